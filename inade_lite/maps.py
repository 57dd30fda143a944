"""Label map and instance map: everything the layers need to know about who owns which pixel.

INADE's scale and shift depend on a pixel only through its class l and its instance i (paper, sections 3.2 and 3.3). All
pixels that share (l, i) form one *region*, so a layer works on a short table of regions, [N, R, C], and paints it:

    paint:  out[n, c, p] = table[n, r(p), c]            pool:  out[n, r, c] = sum of x[n, c, p] over p with r(p) = r

`paint` and `pool` are transposes of each other. Both are exact for any maps, also where an instance spans classes.
"""

import copy
from functools import cached_property

import numpy as np
import paddle
import paddle.nn.functional as F

from .kernels import swap, windows

# Up to here a 0/1 matrix of segments is about as large as the features it paints, and one matmul beats a gather on CPU
# and GPU alike. Beyond it the matrix would dominate memory, so rows are gathered instead.
DENSE_SEGMENTS = 128


def nearest_indices(source, target):
    """Source index of each of `target` nearest-neighbour samples along an axis of `source` pixels, int64 [target].

    PyTorch's rule in float32, floor(k * source / target), which the original uses: at a few odd ratios it differs from
    exact integer arithmetic.
    """
    scale = np.float32(source) / np.float32(target)
    return np.minimum((np.arange(target, dtype=np.float32) * scale).astype(np.int64), source - 1)


def resize_nearest(maps, size):
    """Integer maps ndarray [N, H, W] at another size (h, w)."""
    if tuple(maps.shape[1:]) == tuple(size):
        return maps
    rows, columns = (nearest_indices(s, t) for s, t in zip(maps.shape[1:], size, strict=True))
    return maps[:, rows[:, None], columns]


class Segments:
    """A partition of every image's pixels into `count` numbered segments.

    index: int64 ndarray [N, H, W] with values in 0..count-1; a segment may be empty in some images.
    """

    def __init__(self, index, count):
        self.index, self.count = index, count
        self.size = tuple(index.shape[1:])

    @cached_property
    def map(self):
        """The segment of each pixel as a Tensor, int64 [N, H, W]."""
        return paddle.to_tensor(self.index)

    @cached_property
    def membership(self):
        """1 where a pixel belongs to a segment, float32 [N, H*W, count]."""
        return F.one_hot(self.map.flatten(1), self.count)

    @cached_property
    def pixels(self):
        """Pixels per segment, float32 [N, count, 1]."""
        n, s = len(self.index), self.count
        rows = self.index.reshape(n, -1) + s * np.arange(n)[:, None]
        return paddle.to_tensor(np.bincount(rows.ravel(), minlength=n * s).reshape(n, s, 1).astype("float32"))

    @cached_property
    def _rows(self):  # [N, H*W], the row of each pixel in a table flattened to [N*count, C]
        n = len(self.index)
        return paddle.to_tensor(self.index.reshape(n, -1) + self.count * np.arange(n)[:, None])

    def paint(self, table):
        """[N, count, C] -> [N, C, H, W]: every pixel receives its segment's row."""
        n, _, c = table.shape
        if self.count <= DENSE_SEGMENTS:
            painted = paddle.matmul(swap(table), self.membership, transpose_y=True)  # [N, C, H*W]
        else:
            painted = swap(F.embedding(self._rows, table.reshape([-1, c])))
        return painted.reshape([n, c, *self.size])

    def pool(self, x):
        """[N, C, H, W] -> [N, count, C]: sums over each segment's pixels."""
        n, c = x.shape[:2]
        x = x.reshape([n, c, -1])
        if self.count <= DENSE_SEGMENTS:
            return paddle.matmul(self.membership, x, transpose_x=True, transpose_y=True)
        rows = swap(x).reshape([-1, c])  # [N*H*W, C]
        sums = paddle.scatter_nd_add(paddle.zeros([n * self.count, c]), self._rows.reshape([-1, 1]), rows)
        return sums.reshape([n, self.count, c])

    def mean(self, x):
        """[N, C, H, W] -> [N, count, C]: means over each segment's pixels, zeros for an empty one."""
        return self.pool(x) / self.pixels.clip(min=1)


class Layout:
    """A batch of label maps and instance maps: what to paint, and where one thing ends and the next begins.

    label, instance: Tensor or ndarray [N, H, W] of any integer type. Class ids 0..num_classes-1; instance ids >= 0,
    with gaps and absent ids allowed. num_instances: I, by default the largest id + 1. ValueError names what is wrong.

    What depends on the maps alone (regions, resized maps, masks) is computed once per size and kept.
    """

    def __init__(self, label, instance, num_classes, num_instances=None):
        self._label, self._instance = _integer_map("label", label), _integer_map("instance", instance)
        if self._label.shape != self._instance.shape:
            raise ValueError(
                f"label {list(self._label.shape)} and instance {list(self._instance.shape)} differ in shape; "
                "resize both with nearest-neighbour to the same [N, H, W]"
            )
        self.num_classes = int(num_classes)
        self.num_instances = int(self._instance.max()) + 1 if num_instances is None else int(num_instances)
        _check_range("label", "num_classes", self._label, self.num_classes, "give unlabelled pixels an extra class")
        _check_range("instance", "num_instances", self._instance, self.num_instances, "see compact_instances")
        self._memo = {}

    @classmethod
    def of(cls, batch, dataset):
        """The Layout of a batch that `collate` made of a data set's items."""
        return cls(batch["label"], batch["instance"], dataset.num_classes)

    def __len__(self):
        return len(self._label)

    def __getitem__(self, images):
        """layout[a:b]: a Layout of those images, with the same num_classes and num_instances."""
        if not isinstance(images, slice):
            raise TypeError(f"layout[{images!r}]: a Layout is sliced by images, for example layout[{images!r}:][:1]")
        if images.indices(len(self)) == (0, len(self), 1):
            return self  # with all that is known about its maps
        return self.once(("images", images.indices(len(self))), lambda: self._part(images))

    def _part(self, images):
        part = copy.copy(self)
        part._label, part._instance = self._label[images], self._instance[images]
        if not len(part):
            raise ValueError(f"layout[{images.start}:{images.stop}] of {len(self)} images holds none")
        part._memo = {"pairs": [array[images] for array in self._pairs]}  # checked and numbered already
        return part

    def __repr__(self):
        n, h, w = self._label.shape
        return f"Layout({n} x {h} x {w}, {self.num_classes} classes, {self.num_instances} instances)"

    def once(self, key, make):
        """make() the first time that `key` is asked for, then what it returned: for what depends on the maps alone."""
        if key not in self._memo:
            self._memo[key] = make()
        return self._memo[key]

    @property
    def size(self):
        """(H, W) of the maps."""
        return self._label.shape[1:]

    @property
    def label(self):
        """Class ids, int64 Tensor [N, H, W]."""
        return self.once("label", lambda: paddle.to_tensor(self._label))

    @property
    def instance(self):
        """Instance ids, int64 Tensor [N, H, W]."""
        return self.once("instance", lambda: paddle.to_tensor(self._instance))

    def semantics(self):
        """One-hot labels, float32 [N, L, H, W]."""
        n, h, w = self._label.shape

        def make():
            return swap(F.one_hot(self.label.flatten(1), self.num_classes)).reshape([n, -1, h, w])

        return self.once("semantics", make)

    def edges(self):
        """1 where one of the 4 neighbours belongs to another instance, else 0, float32 [N, 1, H, W]."""
        return self.once("edges", lambda: paddle.to_tensor(_edges(self._instance)[:, None].astype("float32")))

    def scene(self, size=None):
        """One-hot labels and edges, float32 [N, L + 1, h, w], at feature size (h, w); by default full resolution."""
        size = self.size if size is None else tuple(size)

        def make():
            maps = paddle.concat([self.semantics(), self.edges()], axis=1)
            for axis, (source, target) in enumerate(zip(self.size, size, strict=True), start=2):
                if source != target:
                    maps = maps.index_select(paddle.to_tensor(nearest_indices(source, target)), axis=axis)
            return maps

        return self.once(("scene", size), make)

    def by_class(self):
        """The same labels with one instance for each class of an image: the lowest id of the class's instances."""

        def make():
            index, instances, labels = self._pairs
            lowest = np.full([len(self), self.num_classes], self.num_instances)
            np.minimum.at(lowest, (np.arange(len(self))[:, None], labels), instances)
            merged = np.take_along_axis(lowest, labels, 1)  # [N, R]
            return self._with(np.take_along_axis(merged, index.reshape(len(self), -1), 1).reshape(index.shape))

        return self.once("by_class", make)

    def whole(self):
        """The same labels with one instance for each image."""
        return self.once("whole", lambda: self._with(np.zeros_like(self._instance)))

    def _with(self, instance):
        other = copy.copy(self)
        other._instance, other._memo = instance, {}
        return other

    @property
    def _pairs(self):
        """Regions at full resolution: index [N, H, W], and each region's instance and label, both int64 [N, R]."""

        def make():
            index, keys = _number(self._instance * self.num_classes + self._label)
            return index, keys // self.num_classes, keys % self.num_classes

        return self.once("pairs", make)

    @property
    def region_label(self):
        """Class of each region, int64 [N, R]."""
        return self.once("region_label", lambda: paddle.to_tensor(self._pairs[2]))

    @property
    def region_instance(self):
        """Row of each region in a table of instances flattened to [N*I, ...], int64 [N, R]."""
        return self.once("region_instance", lambda: paddle.to_tensor(self._row_of(self._pairs[1])))

    def _row_of(self, ids):
        return ids + self.num_instances * np.arange(len(self))[:, None]

    def regions(self, size=None):
        """Segments, one for each (class, instance) pair, at feature size (h, w); by default full resolution."""
        index, pairs, _ = self._pairs
        return self._resized("regions", index, pairs.shape[1], size)

    @property
    def _present(self):
        """Instances at full resolution: index [N, H, W] into the ids that are present, int64 [N, P]."""

        def make():
            index, instances, _ = self._pairs
            rank, ids = _number(instances)
            return np.take_along_axis(rank, index.reshape(len(self), -1), 1).reshape(index.shape), ids

        return self.once("present", make)

    @property
    def present_instance(self):
        """Row of each present instance in a table of instances flattened to [N*I, ...], int64 [N, P]."""
        return self.once("present_instance", lambda: paddle.to_tensor(self._row_of(self._present[1])))

    def instances(self, size=None):
        """Segments, one for each instance that is present, at feature size (h, w); by default full resolution."""
        index, ids = self._present
        return self._resized("instances", index, ids.shape[1], size)

    def by_instance(self, table):
        """Rows [N, P, C] of the present instances, as `instances` numbers them -> [N, I, C]; zeros for absent ones."""
        present = (self.instances().pixels > 0).astype(table.dtype)  # [N, P, 1]; an image may have fewer than P
        full = paddle.zeros([len(self) * self.num_instances, table.shape[-1]], table.dtype)
        full = paddle.scatter_nd_add(full, self.present_instance.reshape([-1, 1]), (table * present).flatten(0, 1))
        return full.reshape([len(self), self.num_instances, -1])

    def _resized(self, name, index, count, size):
        size = self.size if size is None else tuple(size)
        return self.once((name, size), lambda: Segments(resize_nearest(index, size), count))

    def taps(self, size, kernel_size, stride=1, padding=0):
        """Where the instance-aware convolution reads (paper, section 3.4): int32 [N, windows, K*K].

        The row of the pixel under each tap in a table of all pixels [N*h*w + 1, C]. A tap that lies outside the picture
        or in another instance than the window's centre reads the last row, which is to hold zeros.
        """
        size = tuple(size)

        def make():
            ids = self.instances(size).index.astype("int32")
            rows = np.arange(ids.size, dtype="int32").reshape(ids.shape)
            owners, rows = (windows(a, kernel_size, stride, padding, ids.size) for a in (ids, rows))
            rows[owners != owners[..., kernel_size**2 // 2, None]] = ids.size
            return paddle.to_tensor(rows)

        return self.once(("taps", size, kernel_size, stride, padding), make)

    def border(self, size, kernel_size):
        """Where pixels are missing from the sums that each tap takes over an instance's windows, with full padding.

        Pixel q adds to tap t of the window around q - t, unless that centre lies in another instance or outside. For
        all such (q, t), as Tensors: the row of q's instance and t in a table [N*P*K*K, C], int64 [B, 1], and the row of
        q in a table of all pixels [N*h*w, C], int64 [B].
        """
        segments, taps = self.instances(size), kernel_size**2

        def make():
            ids = segments.index
            owners = windows(ids, kernel_size, 1, kernel_size // 2)
            # The centre q - t is what tap -t of the window around q sees, and -t counts from the other end.
            image, pixel, t = np.nonzero(owners[..., ::-1] != ids.reshape(len(ids), -1, 1))
            row = (image * segments.count + ids.reshape(len(ids), -1)[image, pixel]) * taps + t
            return paddle.to_tensor(row[:, None]), paddle.to_tensor(image * ids[0].size + pixel)

        return self.once(("border", tuple(size), kernel_size), make)


def compact_instances(label, instance, ignore_index=None):
    """Instance ids 0..I-1 per image, one for each (class, instance) pair, in the order of (class, old id).

    label, instance: integer maps [H, W] or [N, H, W], as a data set stores them: Cityscapes' 24001, COCO ids that
    collide with class ids, 16-bit PNGs. Pixels of class `ignore_index` count as one instance whatever their ids.
    Returns int64 of the same shape (a Tensor for a Tensor). ValueError for float maps, unequal shapes, negative ids.
    """
    single = len(label.shape) == 2
    arrays = [_integer_map(name, m, single) for name, m in (("label", label), ("instance", instance))]
    for name, array in zip(("label", "instance"), arrays, strict=True):
        if array.min() < 0:
            raise ValueError(f"{name}: id {array.min()} is negative; ids must be >= 0")
    label_ids, instance_ids = arrays
    if label_ids.shape != instance_ids.shape:
        raise ValueError(f"label {list(label.shape)} and instance {list(instance.shape)} differ in shape")
    if ignore_index is not None:
        instance_ids = np.where(label_ids == ignore_index, 0, instance_ids)
    index, _ = _number(label_ids * (instance_ids.max() + 1) + instance_ids)
    index = index[0] if single else index
    return paddle.to_tensor(index) if isinstance(label, paddle.Tensor) else index


def _number(keys):
    """Number the distinct keys of each image: index like keys [N, ...], and keys int64 [N, S], padded by repetition."""
    unique = [_unique(k.ravel()) for k in keys]
    count = max(len(values) for values, _ in unique)
    values = np.stack([np.pad(values, (0, count - len(values)), mode="edge") for values, _ in unique])
    return np.stack([inverse.reshape(keys.shape[1:]) for _, inverse in unique]), values


def _unique(keys):
    """np.unique with the inverse, for keys >= 0; a table instead of a sort unless the largest key forbids it."""
    if keys.max() > 16 * keys.size:
        return np.unique(keys, return_inverse=True)
    present = np.zeros(keys.max() + 1, np.int64)
    present[keys] = 1
    return np.flatnonzero(present), (np.cumsum(present) - 1)[keys]


def _edges(instance):
    edges = np.zeros(instance.shape, bool)
    down, across = instance[:, 1:] != instance[:, :-1], instance[:, :, 1:] != instance[:, :, :-1]
    edges[:, 1:] |= down
    edges[:, :-1] |= down
    edges[:, :, 1:] |= across
    edges[:, :, :-1] |= across
    return edges


def _integer_map(name, value, single=False):
    array = value.numpy() if isinstance(value, paddle.Tensor) else np.asarray(value)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name}: a map holds integer ids, this one is {array.dtype}; cast it, e.g. .astype('int64')")
    if single:
        array = array[None]
    if array.ndim != 3 or array.size == 0:
        raise ValueError(f"{name}: expected a non-empty map [N, H, W], got shape {list(array.shape)}")
    return array.astype(np.int64)


def _check_range(name, bound, ids, limit, remedy):
    bad = np.unique(ids[(ids < 0) | (ids >= limit)])
    if len(bad):
        n, y, x = np.argwhere(ids == bad[0])[0]
        raise ValueError(
            f"{name}: ids {bad[:5].tolist()}{'...' if len(bad) > 5 else ''} are outside 0..{limit - 1} "
            f"({bound}={limit}), first at image {n}, row {y}, column {x}; {remedy}"
        )
