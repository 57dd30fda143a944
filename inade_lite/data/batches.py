"""Items become batches: augmented, in an order that depends on the seed alone, read ahead by threads."""

import contextlib
import functools
import itertools
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..maps import compact_instances
from .images import height_width


def collate(items):
    """Items of one size as one batch: image [N, 3, H, W], label and instance [N, H, W], name a list."""
    sizes = {item["label"].shape for item in items}
    if len(sizes) > 1:
        raise ValueError(f"the items have the sizes (H, W) {sorted(sizes)}; give the data set an image_size")
    batch = {key: np.stack([item[key] for item in items]) for key in ("image", "label", "instance")}
    return {**batch, "name": [item["name"] for item in items]}


def augment(item, rng, crop=None, flip=False):
    """A crop of an item, (h, w) or an int, at a random place and, with `flip`, in one of two cases its mirror image.

    Image and maps move together. Instances that the crop has lost leave no gap in the ids 0..I-1. As in the original,
    sides in the names of classes (CelebAMask-HQ's left eye) are not exchanged. ValueError if the crop is too large.
    """
    image, label, instance = item["image"], item["label"], item["instance"]
    if crop is not None:
        size, crop = label.shape, height_width(crop)
        if crop[0] > size[0] or crop[1] > size[1]:
            raise ValueError(
                f"crop is {crop[0]}x{crop[1]}, the items are {size[0]}x{size[1]}; give a larger image_size"
            )
        top, left = (int(rng.integers(side - part + 1)) for side, part in zip(size, crop, strict=True))
        window = np.s_[..., top : top + crop[0], left : left + crop[1]]
        image, label, instance = image[window], label[window], instance[window]
    if flip and rng.random() < 0.5:
        image, label, instance = image[..., ::-1], label[..., ::-1], instance[..., ::-1]
    return {**item, "image": image, "label": label, "instance": compact_instances(label, instance)}


def batches(dataset, batch_size, seed, start_step=0, augment=None, workers=0):
    """Endless batches; every epoch shows each item once, in an order that depends on (seed, epoch) alone.

    Epochs follow each other without a gap, so a batch may begin in one and end in the next. The k-th batch is the same
    wherever one starts: `start_step` continues an interrupted run.
    augment: (item, numpy Generator) -> item; what it draws depends on (seed, epoch, item) alone.
    workers: so many threads read ahead by two batches; with 0, items are read when they are asked for.
    """
    if batch_size < 1 or len(dataset) == 0:
        raise ValueError(f"batch_size is {batch_size}, the data set has {len(dataset)} items; both must be 1 or more")

    @functools.lru_cache(2)
    def order(epoch):
        return np.random.default_rng((seed, epoch)).permutation(len(dataset)).tolist()

    def load(position):
        epoch, k = divmod(position, len(dataset))
        item = dataset[order(epoch)[k]]
        return item if augment is None else augment(item, np.random.default_rng((seed, epoch, order(epoch)[k])))

    positions = itertools.count(start_step * batch_size)
    with ThreadPoolExecutor(workers) if workers else contextlib.nullcontext() as pool:
        items = _read_ahead(pool, load, positions, 2 * batch_size) if workers else map(load, positions)
        while True:
            yield collate(list(itertools.islice(items, batch_size)))


def _read_ahead(pool, load, positions, depth):
    pending = deque(pool.submit(load, position) for position in itertools.islice(positions, depth))
    for position in positions:
        pending.append(pool.submit(load, position))
        yield pending.popleft().result()
