"""Items become batches: augmented, in an order that depends on the seed alone, read ahead by threads."""

import functools
import itertools
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..checks import expect_item
from ..maps import Layout, compact_instances
from .images import height_width

ARRAYS = ("image", "label", "instance", "sketch")  # what an item may hold besides its name; the last is optional


def collate(items):
    """Items of one size as one batch: image [N, 3, H, W], label and instance [N, H, W], name a list.

    If the items have a sketch, so has the batch, [N, H, W]. ValueError if the sizes differ, or if one is no item.

    >>> import inade_lite as il
    >>> batch = il.collate(list(il.ToyTown("val", 32, length=4)))
    >>> batch["image"].shape, batch["label"].shape, batch["name"][0]
    ((4, 3, 32, 32), (4, 32, 32), 'val_00000')
    """
    for k, item in enumerate(items):
        expect_item(item, f"item {item.get('name', k)!r}")
    sizes = {item["label"].shape for item in items}
    if len(sizes) > 1:
        raise ValueError(f"the items have the sizes (H, W) {sorted(sizes)}; give the data set an image_size")
    batch = {}
    for key in ARRAYS:
        if all(key in item for item in items):
            batch[key] = np.stack([item[key] for item in items])
    batch["name"] = [item["name"] for item in items]
    return batch


def augment(item, rng, crop=None, flip=False):
    """A crop of an item, (h, w) or an int, at a random place and, with `flip`, in one of two cases its mirror image.

    Image and maps move together. Instances that the crop has lost leave no gap in the ids 0..I-1. As in the original,
    sides in the names of classes (CelebAMask-HQ's left eye) are not exchanged. ValueError if the crop is too large.

    >>> import inade_lite as il
    >>> item = il.augment(il.ToyTown("val", 64)[0], np.random.default_rng(0), crop=(48, 32), flip=True)
    >>> item["image"].shape
    (3, 48, 32)
    """
    arrays = {key: item[key] for key in ARRAYS if key in item}
    if crop is not None:
        window = _random_window(arrays["label"].shape, height_width(crop, "crop"), rng)
        arrays = {key: array[window] for key, array in arrays.items()}
    if flip and rng.random() < 0.5:
        arrays = {key: array[..., ::-1] for key, array in arrays.items()}
    arrays["instance"] = compact_instances(arrays["label"], arrays["instance"])
    return {**item, **arrays}


def _random_window(size, crop, rng):
    """An index that cuts `crop` (h, w) out of arrays [..., H, W] of that size (H, W)."""
    height, width = size
    crop_height, crop_width = crop
    if crop_height > height or crop_width > width:
        raise ValueError(
            f"crop is {crop_height}x{crop_width}, the items are {height}x{width}; give a larger image_size"
        )
    top = int(rng.integers(height - crop_height + 1))
    left = int(rng.integers(width - crop_width + 1))
    return np.s_[..., top : top + crop_height, left : left + crop_width]


def scene_batches(dataset, scenes, batch_size=8):
    """Yields (numbers, batch, layout) for the first `scenes` items of a dataset, batch by batch.

    >>> import inade_lite as il
    >>> from inade_lite.data.batches import scene_batches
    >>> [list(numbers) for numbers, batch, layout in scene_batches(il.ToyTown("val", 16), 3, batch_size=2)]
    [[0, 1], [2]]
    """
    for first in range(0, scenes, batch_size):
        numbers = range(first, min(first + batch_size, scenes))
        items = [dataset[i] for i in numbers]
        batch = collate(items)
        yield numbers, batch, Layout.of(batch, dataset)


def batches(dataset, batch_size, seed, start_step=0, augment=None, workers=0):
    """Endless batches; every epoch shows each item once, in an order that depends on (seed, epoch) alone.

    Epochs follow each other without a gap, so a batch may begin in one and end in the next. The k-th batch is the same
    wherever one starts: `start_step` continues an interrupted run.

    augment: (item, numpy Generator) -> item; what it draws depends on (seed, epoch, item) alone.
    workers: so many threads read ahead by two batches; with 0, items are read when they are asked for.
    ValueError for a batch_size below 1 and for an empty data set, when the first batch is asked for.

    >>> import inade_lite as il
    >>> endless = il.batches(il.ToyTown("train", 32), batch_size=2, seed=0)
    >>> next(endless)["image"].shape
    (2, 3, 32, 32)
    """
    count = len(dataset)
    if batch_size < 1 or count == 0:
        raise ValueError(f"batch_size is {batch_size}, the data set has {count} items; both must be 1 or more")

    @functools.lru_cache(2)  # threads that read ahead may be in two epochs at once
    def order(epoch):
        return np.random.default_rng((seed, epoch)).permutation(count).tolist()

    def load(position):
        epoch, k = divmod(position, count)
        index = order(epoch)[k]
        item = dataset[index]
        if augment is not None:
            item = augment(item, np.random.default_rng((seed, epoch, index)))
        return item

    positions = itertools.count(start_step * batch_size)
    if workers:
        items = _read_ahead(load, positions, workers, depth=2 * batch_size)
    else:
        items = map(load, positions)
    while True:
        yield collate(list(itertools.islice(items, batch_size)))


def _read_ahead(load, positions, workers, depth):
    """load(position) for each position in turn, while threads load the next `depth`.

    Threads are enough: Pillow and numpy let others run while they decode and compute.
    """
    with ThreadPoolExecutor(workers) as pool:
        pending = deque()
        for position in positions:
            pending.append(pool.submit(load, position))
            if len(pending) > depth:
                yield pending.popleft().result()
