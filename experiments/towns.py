"""The towns of the trainings: ToyTown, with a share of wobbly streets, and one whose patterns are others."""

from functools import partial

from inade_lite.data.painted import WobblyTown
from inade_lite.data.toy_town import ToyTown


class OtherTown(ToyTown):
    """ToyTown whose bands are three pixels wide at 64x64, not two, and begin in the middle of a box, not at its corner.

    A control: a layer that was made to fit ToyTown's patterns would not learn these.

    >>> from experiments.towns import OtherTown
    >>> OtherTown("val", 64).pattern_period
    6.0
    """

    pattern_cells = 64 / 3
    pattern_start = 0.5


# What a run is trained on and measured on, each called as town(split, image_size, length=...).
TOWNS = {
    "town": (ToyTown, ToyTown),
    "wobbly": (partial(WobblyTown, share=0.25), ToyTown),
    "other": (OtherTown, OtherTown),
}
