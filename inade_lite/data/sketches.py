"""Sketches: the lines inside of things, which no label map and no instance map tells.

A label map says where a house stands, but not where its door is. A sketch is a drawing of such lines, 1 on a line and 0
elsewhere. The original can merge one behind every modulation (`layers.INADE(sketch=True)`; here the method
`inade_sketch`). Where two instances meet there is no line: the networks know that from the maps.

    item["sketch"]    float32 [H, W] in 0..1

A data set folder may hold drawings, dark on white, <split>/sketches/<stem>.png. Otherwise Canny's edge detector draws
them from the pictures (Canny, "A Computational Approach to Edge Detection", TPAMI 1986).
"""

import numpy as np

from ..maps import instance_edges

# Gray is in 0..1. These find a door and a balloon's stripes in ToyTown, and pass over the grain of its trees.
SIGMA = 0.7 / 64  # of the blur, in units of the height
LOW = 0.04  # a gradient that goes on a line
HIGH = 0.08  # a gradient that begins one

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def draw_sketch(item, thing_classes=(), sigma=SIGMA, low=LOW, high=HIGH):
    """The lines inside the things of an item, float32 [H, W], 0 or 1.

    thing_classes: the ids of the classes that are drawn; all classes if it is empty.

    >>> import inade_lite as il
    >>> town = il.ToyTown("val", 64)
    >>> sketch = draw_sketch(town[0], town.thing_classes)
    >>> sketch.shape, bool(0.005 < sketch.mean() < 0.1)
    ((64, 64), True)
    """
    from skimage.feature import canny  # here, because it takes as long to import as all of this package

    gray = np.tensordot(LUMINANCE, (item["image"] + 1) / 2, axes=1)  # [3, H, W] -> [H, W]
    lines = canny(gray, sigma * len(gray), low, high)
    inside = ~instance_edges(item["instance"])
    if len(thing_classes):
        inside &= np.isin(item["label"], thing_classes)
    return (lines & inside).astype(np.float32)


class Sketched:
    """A data set all of whose items have a sketch: their own, or what `draw_sketch` draws of the picture.

    It has all else that `dataset` has, for example class_names.

    >>> import inade_lite as il
    >>> town = Sketched(il.ToyTown("val", 32))
    >>> town[0]["sketch"].shape, town.num_classes
    ((32, 32), 14)
    """

    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, i):
        return self.complete(self.dataset[i])

    def complete(self, item):
        """An item of the data set, with a sketch."""
        if "sketch" in item:
            return item
        return {**item, "sketch": draw_sketch(item, self.dataset.thing_classes)}

    def __getattr__(self, name):
        if name == "dataset":  # while it is unpickled, it has none
            raise AttributeError(name)
        return getattr(self.dataset, name)


def suited(dataset, network):
    """The data set, with sketches if a method or a generator draws by them.

    >>> import inade_lite as il
    >>> "sketch" in suited(il.ToyTown("val", 32), il.METHODS["inade_sketch"])[0]
    True
    """
    return Sketched(dataset) if network.sketch else dataset
