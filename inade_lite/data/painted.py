"""Streets whose outlines are not ToyTown's own: what a hand may paint, with the pictures that ToyTown gives them.

ToyTown's houses are all rectangles with a gable. A model that has seen nothing else has no answer to a wobbly house, or
to a balloon as large as a street. ToyTown's painter asks only for a box and for the pixels that belong to it, so any
layout has a true picture, too.

    WobblyTown     to train on: the town's streets, with some things missing, moved and resized, and wobbly outlines
    StrokeTown     to measure on: streets that a round brush has painted, thing by thing; no outline is the town's own
"""

import numpy as np

from .toy_town import Part, Shape, ToyTown, plan, rasterize

# ---- Wobbly outlines

# What stays where it is, so that no pixel is left without a class.
GROUND = ("sky", "grass", "road")

# In a wobbly street, the chances of a part to be missing, and to be moved and resized.
MISSING = 0.1
MOVED = 0.3

# How far a wobbly outline strays at most, in units of the image's height, in waves of these many to a picture.
WOBBLE = {4: 0.03, 12: 0.012}


class WobblyTown(ToyTown):
    """A ToyTown in which a share of the streets is wobbly; the others are ToyTown's own, to the last bit.

    share: 0 to 1. The other arguments are ToyTown's.

    >>> import inade_lite as il
    >>> wobbly, town = WobblyTown("train", 64, share=1), il.ToyTown("train", 64)
    >>> bool((wobbly[0]["label"] == town[0]["label"]).mean() > 0.5)
    True
    """

    def __init__(self, split, image_size, length=None, seed=0, share=0.25):
        super().__init__(split, image_size, length, seed)
        self.share = share

    def _maps(self, dice):
        height, width = self.image_size
        parts = plan(dice, width / height)
        if dice.random() >= self.share:
            return parts, *rasterize(parts, height, width)
        changed = []
        for part in parts:
            if part.name in GROUND:
                changed.append(part)
            elif dice.random() >= MISSING:
                changed.append(_move(part, dice))
        maps = rasterize(changed, height, width)
        return changed, *_wobble(maps, dice)


def _move(part, dice):
    """The part as it is, or moved and resized about the middle of its bottom."""
    if dice.random() >= MOVED:
        return part
    left, _, right, bottom = part.box
    middle = (left + right) / 2
    wider = dice.between(0.6, 1.7)
    higher = dice.between(0.6, 1.7)
    shift_x = dice.between(-0.1, 0.1)
    shift_y = dice.between(-0.1, 0.1)
    shapes = []
    for shape in part.shapes:
        moved = shape._replace(
            x=middle + wider * (shape.x - middle) + shift_x,
            base=bottom + higher * (shape.base - bottom) + shift_y,
            width=wider * shape.width,
            height=higher * shape.height,
        )
        shapes.append(moved)
    return part._replace(shapes=shapes)


def _wobble(maps, dice):
    """Maps [H, W], each pixel read from a place nearby; neighbors stray alike."""
    height, width = maps[0].shape
    y, x = np.mgrid[:height, :width].astype(float)
    for waves, reach in WOBBLE.items():
        reach = reach * height * dice.random()
        y += reach * _waves(dice, waves, height, width)
        x += reach * _waves(dice, waves, height, width)
    row = np.rint(y).astype(int).clip(0, height - 1)
    column = np.rint(x).astype(int).clip(0, width - 1)
    return [one[row, column] for one in maps]


def _waves(dice, waves, height, width):
    """A smooth random map [H, W] of values in -1..1: random ones on a coarse grid, straight lines between them."""
    grid = 2 * dice.random((waves + 1, waves + 1)) - 1
    row, between_rows = _grid_place(height, waves)
    column, between_columns = _grid_place(width, waves)
    above = grid[row] * (1 - between_rows)[:, None] + grid[row + 1] * between_rows[:, None]  # [H, waves + 1]
    return above[:, column] * (1 - between_columns) + above[:, column + 1] * between_columns


def _grid_place(count, waves):
    """For each of so many pixels the grid point before it, and how far behind that it lies, from 0 to 1."""
    place = (np.arange(count) + 0.5) / count * waves
    point = place.astype(int)
    return point, place - point


# ---- Strokes

# The things that are painted, with the middle of their usual sizes in units of the image's height: width, height, and
# from where to where their bottoms are.
BRUSHED = {
    "house": (0.25, 0.2, (0.5, 0.75)),
    "tree": (0.18, 0.22, (0.4, 0.7)),
    "car": (0.28, 0.14, (0.75, 0.98)),
    "person": (0.09, 0.18, (0.65, 0.95)),
    "balloon": (0.16, 0.2, (0.2, 0.5)),
}


class StrokeTown(ToyTown):
    """Streets that a round brush has painted. The arguments are ToyTown's.

    >>> town = StrokeTown("val", 64, length=64)
    >>> town[0]["label"].shape
    (64, 64)
    """

    def _maps(self, dice):
        height, width = self.image_size
        parts = strokes(dice, width / height)
        return parts, *rasterize(parts, height, width)


def strokes(dice, width):
    """The parts of a street in which every shape is a dab of a brush. Arguments as in `plan`.

    >>> from inade_lite.data.toy_town import Dice
    >>> {shape.kind for part in strokes(Dice(0), width=1)[1:] for shape in part.shapes}
    {'disc'}
    """
    horizon = dice.between(0.4, 0.6)
    curb = dice.between(0.68, 0.78)
    parts = [
        Part("sky", [Shape("box", width / 2, 1, width, 1)]),
        # Both go beyond the picture, so that no sky shines through at its sides.
        _brushed(dice, "grass", -0.1, horizon, width + 0.1, 1, brush=0.12),
        _brushed(dice, "road", -0.1, curb, width + 0.1, 1, brush=0.1),
    ]
    if dice.random() < 0.5:
        x = dice.between(0, width)
        parts.append(_brushed(dice, "cloud", x - 0.12, 0.1, x + 0.12, 0.2, brush=0.08))
    things = dice.count(4, 8, width)
    for x in dice.spots(things, 0, width):
        parts += _painted_thing(dice, x)
    return parts


def _painted_thing(dice, x):
    """A thing of any class; perhaps with what belongs to it."""
    name = list(BRUSHED)[dice.integer(0, len(BRUSHED) - 1)]
    usual_width, usual_height, (low, high) = BRUSHED[name]
    size = dice.between(0.7, 1.5)
    half = size * usual_width * dice.between(0.8, 1.25) / 2
    tall = size * usual_height * dice.between(0.8, 1.25)
    bottom = dice.between(low, high)
    top = bottom - tall
    brush = dice.between(0.3, 0.6) * min(2 * half, tall)
    parts = [_brushed(dice, name, x - half, top, x + half, bottom, brush)]
    if name == "house" and dice.random() < 0.7:
        parts.append(_brushed(dice, "roof", x - 1.1 * half, top - 0.5 * tall, x + 1.1 * half, top, brush))
    if name in ("house", "car") and dice.random() < 0.7:
        pane = 0.4 * half
        parts.append(_brushed(dice, "window", x - pane, top + 0.2 * tall, x + pane, top + 0.55 * tall, 0.3 * tall))
    if name == "car" and dice.random() < 0.8:
        for side in (-0.6, 0.6):
            wheel = x + side * half
            parts.append(_brushed(dice, "wheel", wheel - 0.03, bottom - 0.03, wheel + 0.03, bottom + 0.03, 0.05))
    if name == "tree" and dice.random() < 0.7:
        parts.insert(0, _brushed(dice, "trunk", x - 0.02, bottom - 0.05, x + 0.02, bottom + 0.08, 0.035))
    return parts


def _brushed(dice, name, left, top, right, bottom, brush):
    """A part that a brush of this width paints: rows of dabs that fill the box, as a hand fills it, not quite."""
    shapes = []
    rows = max(1, round((bottom - top) / (0.6 * brush)))
    columns = max(2, round((right - left) / (0.3 * brush)))
    for row in range(rows):
        y = top + (row + 0.5) / rows * (bottom - top)
        first = left + brush / 2 + dice.between(-0.2, 0.2) * brush
        last = right - brush / 2 + dice.between(-0.2, 0.2) * brush
        slope = dice.between(-0.2, 0.2) * brush
        for column in range(columns):
            t = column / (columns - 1)
            x = first + t * (last - first)
            middle = y + slope * (t - 0.5) + dice.between(-0.05, 0.05) * brush
            shapes.append(Shape("disc", x, middle + brush / 2, brush, brush))
    return Part(name, shapes)
