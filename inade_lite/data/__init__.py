"""Data sets, and batches of their items.

An item is {"image", "label", "instance", "name"}: image float32 [3, H, W] in -1..1, maps int64 [H, W], instance ids
0..I-1. Every data set has `len`, `[i]`, `class_names`, `num_classes`, `thing_classes`.
"""

from .batches import augment, batches, collate
from .folders import FolderDataset, summarize, write_folder
from .images import to_float, to_uint8
from .sets import SETS, Ade20k, CelebAMaskHQ, Cityscapes, CocoStuff, DeepFashion
from .toy_town import ToyTown

__all__ = [
    "Ade20k",
    "CelebAMaskHQ",
    "Cityscapes",
    "CocoStuff",
    "DeepFashion",
    "FolderDataset",
    "SETS",
    "ToyTown",
    "augment",
    "batches",
    "collate",
    "summarize",
    "to_float",
    "to_uint8",
    "write_folder",
]
