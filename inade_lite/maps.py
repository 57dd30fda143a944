"""Label map and instance map: everything the layers need to know about who owns which pixel.

INADE's scale and shift depend on a pixel only through its class l and its instance i (paper, sections 3.2 and 3.3). All
pixels that share the pair (l, i) form one *region*. For example, a road (class 0, instance 0) with two cars (class 1,
instances 1 and 2). One pixel of car 1 is labeled as road, so instance 1 spans two classes and has two regions:

    label        instance     region       region  0  1  2  3
    0 0 0 0      0 0 0 0      0 0 0 0      instance  0  1  1  2
    1 1 0 1      1 1 0 2      2 2 0 3      label     0  0  1  1
    1 0 0 1      1 1 0 2      2 1 0 3

So a layer computes a short table with one row per region, [N, R, C], and paints it on the pixels. The encoder goes the
other way and pools pixels into a table:

    paint:  out[n, c, p] = table[n, r(p), c]            pool:  out[n, r, c] = sum of x[n, c, p] over p with r(p) = r

As matrices, `paint` and `pool` are transposes of each other. Both are exact for any maps.

>>> import inade_lite as il
>>> label = [[[0, 0, 0, 0], [1, 1, 0, 1], [1, 0, 0, 1]]]  # [N, H, W]
>>> instance = [[[0, 0, 0, 0], [1, 1, 0, 2], [1, 1, 0, 2]]]
>>> layout = il.Layout(label, instance, num_classes=2)
>>> layout.regions().index.tolist()
[[[0, 0, 0, 0], [2, 2, 0, 3], [2, 1, 0, 3]]]
>>> layout.region_instance.tolist(), layout.region_label.tolist()
([[0, 1, 1, 2]], [[0, 0, 1, 1]])
"""

from functools import cached_property

import numpy as np
import paddle
import paddle.nn.functional as F

from .checks import expect_count
from .kernels import swap, windows

# Up to so many segments, the 0/1 matrix of who belongs where is about as large as the features it paints, and one
# matmul beats a gather on CPU and GPU alike. With more segments the matrix would dominate the memory, so rows are
# gathered instead.
DENSE_SEGMENTS = 128

# Noise has a row for each instance of each image. This many of 64 numbers for scales and 64 for shifts take 8.6 GB.
MOST_ROWS = 2**24


# ---- Other sizes


def nearest_indices(source, target):
    """Which pixels nearest-neighbor resizing takes from an axis, int64 [target].

    source, target: the axis' length before and after. The rule is PyTorch's, which the original uses:
    floor(k * source / target) in float32. At a few odd ratios it differs from exact integer arithmetic.

    >>> nearest_indices(6, 3).tolist()
    [0, 2, 4]
    """
    scale = np.float32(source) / np.float32(target)
    positions = np.arange(target, dtype=np.float32) * scale
    indices = positions.astype(np.int64)
    return np.minimum(indices, source - 1)


def resize_nearest(maps, size):
    """Maps, ndarray [N, H, W], at another size (h, w): [N, h, w].

    >>> resize_nearest(np.array([[[1, 2], [3, 4]]]), (1, 4)).tolist()
    [[[1, 1, 2, 2]]]
    """
    height, width = size
    if maps.shape[1:] == (height, width):
        return maps
    rows = nearest_indices(maps.shape[1], height)
    columns = nearest_indices(maps.shape[2], width)
    return maps[:, rows[:, None], columns]


# ---- Painting and pooling


class Segments:
    """A partition of the pixels of every image into numbered segments, for example regions or instances.

    index: the segment of each pixel, int64 ndarray [N, H, W] with values in 0..count-1.
    count: the number S of segments; some may be empty in some images.

    >>> segments = Segments(np.array([[[0, 1, 1]]]), count=2)
    >>> segments.paint(paddle.to_tensor([[[5.0], [7.0]]])).tolist()
    [[[[5.0, 7.0, 7.0]]]]
    >>> segments.pool(paddle.to_tensor([[[[1.0, 2.0, 3.0]]]])).tolist()
    [[[1.0], [5.0]]]
    """

    def __init__(self, index, count):
        self.index = index
        self.count = count
        self.size = tuple(index.shape[1:])

    @cached_property
    def map(self):
        """The segment of each pixel as a Tensor, int64 [N, H, W]."""
        return paddle.to_tensor(self.index)

    @cached_property
    def membership(self):
        """1 where a pixel belongs to a segment, else 0, float32 [N, H*W, S]."""
        segments = self.map.flatten(1)  # [N, H, W] -> [N, H*W]
        return F.one_hot(segments, self.count)

    @cached_property
    def pixels(self):
        """The number of pixels of each segment, float32 [N, S, 1]."""
        n = len(self.index)
        rows = _table_rows(self.index, self.count)
        pixels = np.bincount(rows.ravel(), minlength=n * self.count)
        pixels = pixels.reshape(n, self.count, 1)
        return paddle.to_tensor(pixels.astype("float32"))

    @cached_property
    def _rows(self):
        """The row of each pixel's segment in a table [N*S, C], int64 [N, H*W]."""
        rows = _table_rows(self.index, self.count)
        return paddle.to_tensor(rows)

    def paint(self, table):
        """Give every pixel the row of its segment: [N, S, C] -> [N, C, H, W]."""
        n, _, c = table.shape
        if self.count <= DENSE_SEGMENTS:
            painted = paddle.matmul(swap(table), self.membership, transpose_y=True)  # [N, C, H*W]
        else:
            table = table.reshape([-1, c])  # [N, S, C] -> [N*S, C]
            painted = F.embedding(self._rows, table)  # [N, H*W, C]
            painted = swap(painted)
        return painted.reshape([n, c, *self.size])

    def pool(self, x):
        """Sum over the pixels of each segment: [N, C, H, W] -> [N, S, C]."""
        n, c = x.shape[:2]
        x = x.flatten(2)  # [N, C, H, W] -> [N, C, H*W]
        if self.count <= DENSE_SEGMENTS:
            return paddle.matmul(self.membership, x, transpose_x=True, transpose_y=True)
        x = swap(x).reshape([-1, c])  # [N, C, H*W] -> [N*H*W, C]
        rows = self._rows.reshape([-1, 1])  # [N, H*W] -> [N*H*W, 1]
        sums = paddle.zeros([n * self.count, c])
        sums = paddle.scatter_nd_add(sums, rows, x)
        return sums.reshape([n, self.count, c])

    def mean(self, x):
        """Mean over the pixels of each segment, zeros for an empty one: [N, C, H, W] -> [N, S, C]."""
        sums = self.pool(x)
        return sums / self.pixels.clip(min=1)


# ---- The maps of a batch


class Layout:
    """A batch of label maps and instance maps: what to paint, and where one thing ends and the next begins.

    label: class ids in 0..L-1, Tensor or ndarray [N, H, W] of any integer type.
    instance: instance ids in 0..I-1, likewise. Gaps are allowed, and an image need not have all ids.
    num_classes: L. num_instances: I, by default the largest id + 1.
    sketch: lines inside of things, numbers in 0..1, Tensor or ndarray [N, H, W]; None if there are none.
    A ValueError names the wrong values, where they are, and the remedy.

    What depends on the maps alone (regions, resized maps, masks) is computed once for each size and kept, because all
    layers of a network share it.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0, 0, 1]]], [[[0, 0, 3]]], num_classes=2)
    >>> layout
    Layout(1 x 1 x 3, 2 classes, 4 instances)
    """

    def __init__(self, label, instance, num_classes, num_instances=None, sketch=None):
        self._label = _integer_map("label", label)
        self._instance = _integer_map("instance", instance)
        if self._label.shape != self._instance.shape:
            raise ValueError(
                f"label {list(self._label.shape)} and instance {list(self._instance.shape)} differ in shape; "
                "resize both with nearest-neighbor to the same [N, H, W]"
            )
        if num_instances is None:
            num_instances = max(1, self._instance.max() + 1)
        self.num_classes = expect_count("num_classes", num_classes)
        self.num_instances = expect_count("num_instances", num_instances)
        if len(self._label) * self.num_instances > MOST_ROWS:
            raise ValueError(
                f"instance: ids up to {self.num_instances - 1} would need as many rows of noise for each image; "
                "number them anew with compact_instances"
            )
        _check_range("label", "num_classes", self._label, self.num_classes, "give unlabelled pixels an extra class")
        _check_range("instance", "num_instances", self._instance, self.num_instances, "see compact_instances")
        self._sketch = None
        if sketch is not None:
            self._sketch = _sketch_array(sketch, self._label.shape)
        self._kept = {}

    @classmethod
    def of(cls, batch, dataset):
        """The Layout of a batch that `collate` made of a data set's items.

        >>> import inade_lite as il
        >>> town = il.ToyTown("val", 32)
        >>> len(il.Layout.of(il.collate([town[0], town[1]]), town))
        2
        """
        return cls(batch["label"], batch["instance"], dataset.num_classes, sketch=batch.get("sketch"))

    def __len__(self):
        return len(self._label)

    def __repr__(self):
        n, h, w = self._label.shape
        return f"Layout({n} x {h} x {w}, {self.num_classes} classes, {self.num_instances} instances)"

    def __getitem__(self, images):
        """layout[a:b]: a Layout of those images, with the same num_classes and num_instances."""
        if not isinstance(images, slice):
            raise TypeError(f"layout[{images!r}]: a Layout is sliced by images, for example layout[{images!r}:][:1]")
        limits = images.indices(len(self))
        if limits == (0, len(self), 1):
            return self  # and all that it has kept
        return self.once(("images", limits), lambda: self._part(images))

    def _part(self, images):
        """The Layout of a slice of the images."""
        label = self._label[images]
        instance = self._instance[images]
        sketch = None if self._sketch is None else self._sketch[images]
        part = self._with_maps(label, instance, sketch)
        if not len(part):
            raise ValueError(f"layout[{images.start}:{images.stop}] of {len(self)} images holds none")
        # The regions of these images are numbered already. This fills the cached property.
        part._regions = [array[images] for array in self._regions]
        return part

    def _with_maps(self, label, instance, sketch):
        """A Layout of other maps with ids in the same ranges, which need no check."""
        other = Layout.__new__(Layout)
        other._label = label
        other._instance = instance
        other._sketch = sketch
        other.num_classes = self.num_classes
        other.num_instances = self.num_instances
        other._kept = {}
        return other

    def once(self, key, make):
        """What make() returns, called when `key` is first asked for, then kept: for what depends on the maps alone."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    # ---- The maps as the networks see them

    @property
    def size(self):
        """(H, W) of the maps."""
        return self._label.shape[1:]

    @cached_property
    def label(self):
        """Class ids, int64 Tensor [N, H, W]."""
        return paddle.to_tensor(self._label)

    @cached_property
    def instance(self):
        """Instance ids, int64 Tensor [N, H, W]."""
        return paddle.to_tensor(self._instance)

    def semantics(self):
        """One-hot labels, float32 [N, L, H, W]."""

        def make():
            labels = self.label.flatten(1)  # [N, H, W] -> [N, H*W]
            one_hot = F.one_hot(labels, self.num_classes)
            one_hot = swap(one_hot)  # [N, H*W, L] -> [N, L, H*W]
            return one_hot.reshape([len(self), -1, *self.size])

        return self.once("semantics", make)

    def edges(self):
        """1 where one of the 4 neighbors belongs to another instance, else 0, float32 [N, 1, H, W]."""

        def make():
            edges = instance_edges(self._instance)
            edges = edges.astype("float32")
            return paddle.to_tensor(edges[:, None])  # [N, H, W] -> [N, 1, H, W]

        return self.once("edges", make)

    def scene(self, size=None):
        """One-hot labels and edges, float32 [N, L + 1, h, w], at feature size (h, w); by default full resolution."""
        size = self._size_or_full(size)

        def make():
            semantics = self.semantics()
            edges = self.edges()
            maps = paddle.concat([semantics, edges], axis=1)
            for axis in (0, 1):
                source = self.size[axis]
                target = size[axis]
                if source != target:
                    indices = nearest_indices(source, target)
                    maps = maps.index_select(paddle.to_tensor(indices), axis=axis + 2)
            return maps

        return self.once(("scene", size), make)

    @property
    def has_sketch(self):
        """Whether there is a sketch."""
        return self._sketch is not None

    def sketch(self, size=None):
        """The sketch, float32 [N, 1, h, w], at feature size (h, w); by default full resolution.

        ValueError if the layout has none.
        """
        if not self.has_sketch:
            raise ValueError(
                "the layout has no sketch, and this network draws by one; give Layout(..., sketch=...), or items that "
                "have one: inade_lite.data.sketches.Sketched(dataset)"
            )
        size = self._size_or_full(size)

        def make():
            resized = resize_nearest(self._sketch, size)
            return paddle.to_tensor(resized[:, None])  # [N, h, w] -> [N, 1, h, w]

        return self.once(("sketch", size), make)

    # ---- Coarser instances

    def by_class(self):
        """The same labels with one instance for each class of an image: the lowest id of the class's instances."""

        def make():
            index, instances, labels = self._regions
            image = np.arange(len(self))[:, None]  # [N, 1]
            # The lowest id of each class, [N, L]; absent classes keep an id that is too large.
            lowest = np.full([len(self), self.num_classes], self.num_instances)
            np.minimum.at(lowest, (image, labels), instances)
            owners = lowest[image, labels]  # [N, R]
            merged = _paint_ids(owners, index)
            return self._with_maps(self._label, merged, self._sketch)

        return self.once("by_class", make)

    def whole(self):
        """The same labels with one instance for each image."""

        def make():
            zeros = np.zeros_like(self._instance)
            return self._with_maps(self._label, zeros, self._sketch)

        return self.once("whole", make)

    # ---- Regions: one for each pair of class and instance

    @cached_property
    def _regions(self):
        """The region of each pixel, [N, H, W], and the instance and the label of each region, [N, R]; all int64."""
        keys = self._instance * self.num_classes + self._label  # a number for each pair
        index, keys = _number(keys)
        return index, keys // self.num_classes, keys % self.num_classes

    @cached_property
    def region_label(self):
        """The class of each region, int64 Tensor [N, R]."""
        _, _, labels = self._regions
        return paddle.to_tensor(labels)

    @cached_property
    def region_instance(self):
        """The row of each region's instance in a table of all instances of the batch [N*I, C], int64 Tensor [N, R]."""
        _, instances, _ = self._regions
        rows = _table_rows(instances, self.num_instances)
        return paddle.to_tensor(rows)

    def regions(self, size=None):
        """Segments, one for each region, at feature size (h, w); by default full resolution."""
        index, instances, _ = self._regions
        count = instances.shape[1]
        return self._segments("regions", index, count, size)

    # ---- Instances: the P ids that are present, numbered without gaps, so that absent ids cost nothing

    @cached_property
    def _present(self):
        """The present instance of each pixel, [N, H, W], and the id of each present instance, [N, P]; both int64.

        For example, the ids 3 and 7 of an image get the numbers 0 and 1.
        """
        index, instances, _ = self._regions
        rank, ids = _number(instances)
        return _paint_ids(rank, index), ids

    @cached_property
    def present_instance(self):
        """The row of each present instance in a table of all instances [N*I, C], int64 Tensor [N, P]."""
        _, ids = self._present
        rows = _table_rows(ids, self.num_instances)
        return paddle.to_tensor(rows)

    @cached_property
    def present_label(self):
        """The class of each present instance, int64 Tensor [N, P]; of several, the one with the lowest id."""
        _, instances, labels = self._regions
        rank, ids = _number(instances)
        present = np.arange(ids.shape[1])
        first = (rank[:, None] == present[:, None]).argmax(-1)  # [N, P, R] -> [N, P]: regions are sorted by class
        return paddle.to_tensor(np.take_along_axis(labels, first, axis=1))

    def instances(self, size=None):
        """Segments, one for each present instance, at feature size (h, w); by default full resolution."""
        index, ids = self._present
        count = ids.shape[1]
        return self._segments("instances", index, count, size)

    def by_instance(self, table):
        """From rows of the present instances to rows by id, zeros for absent ones: [N, P, C] -> [N, I, C]."""
        n = len(self)
        c = table.shape[-1]
        # Where an image has fewer than P instances, its last id is repeated. Those rows have no pixels, and nothing of
        # them may be added to that id's row.
        present = self.instances().pixels > 0  # [N, P, 1]
        table = table * present.astype(table.dtype)
        table = table.flatten(0, 1)  # [N, P, C] -> [N*P, C]
        rows = self.present_instance.reshape([-1, 1])  # [N, P] -> [N*P, 1]
        by_id = paddle.zeros([n * self.num_instances, c], table.dtype)
        by_id = paddle.scatter_nd_add(by_id, rows, table)
        return by_id.reshape([n, self.num_instances, c])

    def _segments(self, name, index, count, size):
        """Segments of the map `index` at feature size (h, w), kept under their name."""
        size = self._size_or_full(size)

        def make():
            resized = resize_nearest(index, size)
            return Segments(resized, count)

        return self.once((name, size), make)

    def _size_or_full(self, size):
        return self.size if size is None else tuple(size)

    # ---- Windows: what the instance-aware convolutions read

    def taps(self, size, kernel_size, stride=1, padding=0):
        """The pixels that the windows of an instance-aware convolution read (paper, section 3.4).

        size: (h, w) of the features. Returns an int32 Tensor [N, windows, K*K].

        Think of the features as a table with a row of C numbers for each pixel of the batch, image after image, and one
        last row of zeros: [N*h*w + 1, C]. The result says which row each tap reads. A tap reads the zeros if it lies
        outside the picture or in another instance than the center of its window. For example, the window around pixel 5
        in the corner of car 1:

            instance      row of each pixel     rows that the window reads
            0 0 0 0       0  1  2  3            12 12 12
            1 1 0 2       4  5  6  7             4  5 12
            1 1 0 2       8  9 10 11             8  9 12

        >>> import inade_lite as il
        >>> instance = np.array([[[0, 0, 0, 0], [1, 1, 0, 2], [1, 1, 0, 2]]])
        >>> layout = il.Layout(np.zeros_like(instance), instance, num_classes=1)
        >>> layout.taps((3, 4), kernel_size=3, padding=1)[0, 5].tolist()
        [12, 12, 12, 4, 5, 12, 8, 9, 12]
        """
        size = tuple(size)

        def make():
            ids = self.instances(size).index
            rows = _taps(ids, kernel_size, stride, padding)
            return paddle.to_tensor(rows)

        return self.once(("taps", size, kernel_size, stride, padding), make)

    def border(self, size, kernel_size):
        """What an instance-aware convolution with stride 1 and padding K // 2 leaves out, int64 Tensors [B, 1] and [B].

        size: (h, w) of the features.

        Tap t of the window around p reads the pixel p + t. So a pixel q is read through tap t by the window around
        q - t. The reading (q, t) is left out if this center lies outside the picture or in another instance than q. For
        example, the nine readings of pixel 5 in the corner of car 1:

            instance      pixel          taps t       centers q - t     left out
            0 0 0 0       0  1  2  3     0 1 2        10  9  8          x . .
            1 1 0 2       4  5  6  7     3 4 5         6  5  4          x . .
            1 1 0 2       8  9 10 11     6 7 8         2  1  0          x x x

        The result lists all B readings that are left out. The first Tensor tells the row of (instance of q, t) in a
        table of sums [N*P*K*K, C], the second the row of q in a table of pixels [N*h*w, C]. `encoder.instance_means`
        subtracts the pixels from the sums.

        >>> import inade_lite as il
        >>> instance = np.array([[[0, 0, 0, 0], [1, 1, 0, 2], [1, 1, 0, 2]]])
        >>> layout = il.Layout(np.zeros_like(instance), instance, num_classes=1)
        >>> sums, pixels = layout.border((3, 4), kernel_size=3)
        >>> [row % 9 for row, pixel in zip(sums[:, 0].tolist(), pixels.tolist()) if pixel == 5]
        [0, 3, 6, 7, 8]
        """
        size = tuple(size)

        def make():
            segments = self.instances(size)
            sums, pixels = _border(segments.index, segments.count, kernel_size)
            return paddle.to_tensor(sums), paddle.to_tensor(pixels)

        return self.once(("border", size, kernel_size), make)


# ---- Instance ids as data sets store them


def compact_instances(label, instance, ignore_index=None):
    """Instance ids 0..I-1 per image, one for each pair of class and instance, in the order of (class, old id).

    label, instance: integer maps [H, W] or [N, H, W], as a data set stores them: Cityscapes' 24001, COCO ids that
    collide with class ids, 16-bit PNGs. Pixels of class `ignore_index` count as one instance whatever their ids.
    Returns int64 of the same shape, a Tensor for a Tensor. ValueError for float maps, unequal shapes, negative ids.

    >>> import inade_lite as il
    >>> label = np.array([[26, 26, 7], [26, 26, 7]])
    >>> instance = np.array([[26001, 26000, 7], [26001, 26000, 7]])
    >>> il.compact_instances(label, instance).tolist()
    [[2, 1, 0], [2, 1, 0]]
    """
    single = len(label.shape) == 2
    label_ids = _integer_map("label", label, single)
    instance_ids = _integer_map("instance", instance, single)
    for name, ids in (("label", label_ids), ("instance", instance_ids)):
        if ids.min() < 0:
            raise ValueError(f"{name}: id {ids.min()} is negative; ids must be >= 0")
    if label_ids.shape != instance_ids.shape:
        raise ValueError(f"label {list(label.shape)} and instance {list(instance.shape)} differ in shape")
    if ignore_index is not None:
        instance_ids = np.where(label_ids == ignore_index, 0, instance_ids)
    instance_ids = _small(instance_ids)
    label_ids = _small(label_ids)
    bound = instance_ids.max() + 1
    keys = label_ids * bound + instance_ids  # a number for each pair
    index, _ = _number(keys)
    if single:
        index = index[0]
    if isinstance(label, paddle.Tensor):
        return paddle.to_tensor(index)
    return index


# ---- The computations, on arrays


def _number(keys):
    """Number each image's distinct keys, the lowest first: keys [N, ...] -> index like keys, values int64 [N, S].

    So values[n, index[n, ...]] is keys[n, ...]. S is the largest count of an image. Where an image has fewer distinct
    keys, its last one is repeated.

    >>> index, values = _number(np.array([[30, 10, 10], [20, 20, 20]]))
    >>> index.tolist(), values.tolist()
    ([[1, 0, 0], [0, 0, 0]], [[10, 30], [20, 20]])
    """
    index = []
    values = []
    for image in keys:
        distinct, numbers = _unique(image.ravel())
        index.append(numbers.reshape(image.shape))
        values.append(distinct)
    count = max(len(distinct) for distinct in values)
    for n, distinct in enumerate(values):
        missing = count - len(distinct)
        values[n] = np.pad(distinct, (0, missing), mode="edge")
    return np.stack(index), np.stack(values)


def _small(ids):
    """The same ids if they are small, else their ranks: the product of two large ones would not fit int64."""
    if ids.max() < 2**31:
        return ids
    return np.unique(ids, return_inverse=True)[1].reshape(ids.shape)


def _unique(keys):
    """np.unique(keys, return_inverse=True) of keys >= 0 [K]."""
    if keys.max() > 16 * keys.size:
        return np.unique(keys, return_inverse=True)
    # With small keys a table of all of them is faster than a sort.
    count = keys.max() + 1
    present = np.zeros(count, np.int64)
    present[keys] = 1
    number = np.cumsum(present) - 1
    return np.flatnonzero(present), number[keys]


def _paint_ids(ids, index):
    """Segments.paint for arrays: the id of each pixel's segment, ids [N, S], index [N, H, W] -> [N, H, W]."""
    pixels = index.reshape(len(index), -1)  # [N, H, W] -> [N, H*W]
    painted = np.take_along_axis(ids, pixels, axis=1)
    return painted.reshape(index.shape)


def _table_rows(index, count):
    """Rows [N, K] for entries [N, ...] in 0..count-1 of a table [N*count, C], which holds the images one by one."""
    n = len(index)
    first = count * np.arange(n)  # the row where each image begins
    return index.reshape(n, -1) + first[:, None]


def _taps(ids, kernel_size, stride, padding):
    """Layout.taps of instance ids [N, h, w]: int32 [N, windows, K*K]."""
    zeros = ids.size  # the row after those of all pixels; no id is as large
    rows = np.arange(ids.size, dtype="int32")
    rows = rows.reshape(ids.shape)
    rows = windows(rows, kernel_size, stride, padding, outside=zeros)
    owners = ids.astype("int32")
    owners = windows(owners, kernel_size, stride, padding, outside=zeros)
    center = owners[..., kernel_size**2 // 2, None]  # [N, windows, 1]
    rows[owners != center] = zeros
    return rows


def _border(ids, count, kernel_size):
    """Layout.border of instance ids [N, h, w] below count: rows of sums, int64 [B, 1], and of pixels, int64 [B]."""
    n, h, w = ids.shape
    owner = ids.reshape([n, h * w, 1])  # of q
    # The instances at q + t for all taps t, [N, h*w, K*K]. Counted from the other end, tap t is -t: those at q - t.
    around = windows(ids, kernel_size, stride=1, padding=kernel_size // 2)
    centers = around[..., ::-1]
    image, pixel, tap = np.nonzero(centers != owner)
    instance = owner[image, pixel, 0]
    sums = (image * count + instance) * kernel_size**2 + tap
    pixels = image * h * w + pixel
    return sums[:, None], pixels


def instance_edges(instance):
    """Where one of the 4 neighbors has another id: instance ids [..., H, W] -> bool [..., H, W].

    >>> instance_edges(np.array([[0, 0, 0, 1]])).tolist()
    [[False, False, True, True]]
    """
    down = instance[..., 1:, :] != instance[..., :-1, :]
    across = instance[..., 1:] != instance[..., :-1]
    edges = np.zeros(instance.shape, bool)
    edges[..., 1:, :] |= down
    edges[..., :-1, :] |= down
    edges[..., 1:] |= across
    edges[..., :-1] |= across
    return edges


# ---- Checks


def _integer_map(name, value, single=False):
    """A map as an int64 ndarray [N, H, W]; a single one comes as [H, W]."""
    if isinstance(value, paddle.Tensor):
        array = value.numpy()
    else:
        array = np.asarray(value)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name}: a map holds integer ids, this one is {array.dtype}; cast it, e.g. .astype('int64')")
    if single:
        array = array[None]
    if array.ndim != 3 or array.size == 0:
        raise ValueError(f"{name}: expected a non-empty map [N, H, W], got shape {list(array.shape)}")
    return array.astype(np.int64)


def _sketch_array(sketch, shape):
    """A sketch as a float32 ndarray [N, H, W]. ValueError unless it has this shape, and numbers in 0..1."""
    array = sketch.numpy() if isinstance(sketch, paddle.Tensor) else np.asarray(sketch)
    if array.shape != shape:
        raise ValueError(f"sketch: expected the shape of the maps, {list(shape)}, got {list(array.shape)}")
    array = array.astype(np.float32)
    if not ((array >= 0) & (array <= 1)).all():
        raise ValueError("sketch: expected numbers in 0..1, where 1 is a line; divide gray values by 255")
    return array


def _check_range(name, bound, ids, limit, remedy):
    """ValueError where a map has ids outside of 0..limit-1; bound is the name of the argument that sets the limit."""
    outside = (ids < 0) | (ids >= limit)
    bad = np.unique(ids[outside])
    if len(bad):
        n, y, x = np.argwhere(ids == bad[0])[0]
        raise ValueError(
            f"{name}: ids {bad[:5].tolist()}{'...' if len(bad) > 5 else ''} are outside 0..{limit - 1} "
            f"({bound}={limit}), first at image {n}, row {y}, column {x}; {remedy}"
        )
