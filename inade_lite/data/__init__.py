"""Data sets, and batches of their items.

An item is {"image", "label", "instance", "name"}: image float32 [3, H, W] in -1..1, maps int64 [H, W], instance ids
0..I-1. Every data set has `len`, `[i]`, `class_names`, `num_classes`, `thing_classes` (ids) and `class_colors` [L, 3].

`ToyTown` is drawn, and so are `WobblyTown` and `StrokeTown`, whose outlines are a hand's. `FolderDataset` is read
from a folder, `SETS` are the paper's. A list of items with these attributes is a data set, too. For files in a layout
of your own, write a `FileDataset`: `StemFiles` finds its files, and `match` brings those of one item together.

>>> import inade_lite as il
>>> town = il.ToyTown("val", 32)
>>> sorted(town[0]), town.num_classes
(['image', 'instance', 'label', 'name'], 14)
"""

from .batches import augment, batches, collate
from .folders import FileDataset, FolderDataset, StemFiles, Summary, match, summarize, write_folder
from .images import to_float, to_uint8
from .painted import StrokeTown, WobblyTown
from .sets import SETS, Ade20k, CelebAMaskHQ, Cityscapes, CocoStuff, DeepFashion
from .toy_town import ToyTown

__all__ = [
    "Ade20k",
    "CelebAMaskHQ",
    "Cityscapes",
    "CocoStuff",
    "DeepFashion",
    "FileDataset",
    "FolderDataset",
    "SETS",
    "StemFiles",
    "StrokeTown",
    "Summary",
    "ToyTown",
    "WobblyTown",
    "augment",
    "batches",
    "collate",
    "match",
    "summarize",
    "to_float",
    "to_uint8",
    "write_folder",
]
