"""ToyTown: a picture-book street, drawn on the fly, in which every look comes from a distribution stated on this page.

A scene is made in two steps, from two independent streams of random numbers:

1. the *plan*: which objects stand where. It alone decides the label map and the instance map.
2. the *looks*: for each instance by itself a hue, a saturation, a value and a pattern, from its class's row of `LOOKS`.

So the truth that a generator should learn is known: the colours of two cars in one street have nothing to do with each
other, and `ToyTown.redraw` draws the same street with other looks. All random numbers are uniform and all arithmetic is
+ - * /: the same arguments give the same pixels on every machine. Shapes are tests on pixel centres: any resolution.
"""

from typing import NamedTuple

import numpy as np

from .images import to_float


class Look(NamedTuple):
    """How a class looks. Every instance draws its hue, saturation, value and pattern uniformly and independently."""

    hue: tuple[int, int]  # degrees; beyond 360 it goes round
    saturation: tuple[int, int]  # percent
    value: tuple[int, int]  # percent, where the object is brightest: light, pattern and grain only darken
    patterns: str  # names in `PATTERNS`, each as likely as the others
    light: tuple[int, int]  # percent darker from left to right, from top to bottom; negative: the other way round
    grain: int  # percent darker by noise, at most
    color: tuple[int, int, int]  # RGB of the class in a drawn label map; the images have nothing to do with it


# fmt: off
LOOKS = {                # hue      saturation    value    patterns              light    grain  label map
    "sky":     Look((188, 325), (15,  38), (88, 100), "plain",              ( 0, -16),  0, (150, 200, 236)),
    "sun":     Look(( 34,  58), (45,  85), (96, 100), "plain",              ( 4,  10),  0, (250, 208,  60)),
    "cloud":   Look((200, 400), ( 0,  12), (92, 100), "plain",              ( 2,  12),  0, (240, 242, 246)),
    "grass":   Look(( 66, 132), (40,  66), (62,  88), "plain",              ( 0,  14), 12, (132, 186,  92)),
    "road":    Look((200, 290), ( 0,  14), (44,  74), "plain",              ( 0,   6),  6, (112, 114, 128)),
    "house":   Look((  0, 360), (14,  42), (80, 100), "plain rows",         (14,   6),  0, (244, 200, 152)),
    "roof":    Look((  0, 360), (48,  82), (48,  88), "plain rows stripes", (14,  12),  0, (166,  60,  50)),
    "window":  Look((180, 230), (15,  50), (60, 100), "plain",              (12,  22),  0, ( 96, 220, 232)),
    "tree":    Look(( 20, 140), (52,  85), (50,  88), "plain dots",         (22,  22),  8, ( 34, 112,  62)),
    "trunk":   Look(( 14,  36), (30,  60), (32,  66), "plain",              (24,   0),  0, (124,  84,  54)),
    "car":     Look((  0, 360), (58,  90), (70, 100), "plain rows",         ( 6,  20),  0, (216,  58, 122)),
    "wheel":   Look((200, 290), ( 0,  20), (12,  34), "plain",              ( 0,  16),  0, ( 42,  44,  54)),
    "balloon": Look((  0, 360), (50,  85), (78, 100), "plain stripes dots", (18,  14),  0, (146,  88, 190)),
    "person":  Look((  0, 360), (48,  85), (55, 100), "plain rows",         (12,   8),  0, (242, 128,  34)),
}


THINGS = ("house", "roof", "tree", "car", "balloon", "person")  # windows, trunks, wheels are parts; the rest is stuff


# 1 where a pattern darkens the object, by column and row of a grid of 1/32 of the image's height.
PATTERNS = {
    "plain":   lambda col, row: 0 * col,
    "rows":    lambda col, row: row % 2,
    "stripes": lambda col, row: col % 2,
    "dots":    lambda col, row: col % 2 * (row % 2),
}


PATTERN_STRENGTH = 12  # percent darker


# Details are of one colour in all scenes and part of the instance that they are drawn on.
DETAILS = {
    "skin":  (238, 190, 154), "wood":  (138,  94,  60), "cloth": ( 62,  66,  94),
    "lamp":  (255, 238, 160), "paint": (236, 234, 224), "metal": (194, 198, 206),
}


# What a shape fills of its box: u, v from -1 to 1 are a pixel centre's place in it, v = 1 is the bottom.
SHAPES = {
    "box":     lambda u, v: np.maximum(abs(u), abs(v)) <= 1,
    "disc":    lambda u, v: u * u + v * v <= 1,
    "slab":    lambda u, v: u * u * u * u + v * v * v * v <= 1,
    "gable":   lambda u, v: abs(u) <= 0.5 + 0.5 * v,
    "hip":     lambda u, v: abs(u) <= 0.8 + 0.2 * v,
    "funnel":  lambda u, v: abs(u) <= 0.6 - 0.4 * v,
    "hill":    lambda u, v: v >= 0.5 * u * u - 1,
}


CLASS_ID = {name: k for k, name in enumerate(LOOKS)}


DETAIL_ID = {name: k for k, name in enumerate(DETAILS, start=1)}


SPLITS = {"train": 4000, "val": 256}  # default lengths


PLAN, LOOK = 0, 1  # the two streams


class Shape(NamedTuple):
    """A shape that stands on `base`, centred at `x`. The unit is the image's height, y points down."""

    kind: str
    x: float
    base: float
    width: float
    height: float
    detail: str | None = None

    @property
    def box(self):
        """Left, top, right, bottom."""
        return self.x - self.width / 2, self.base - self.height, self.x + self.width / 2, self.base


class Part(NamedTuple):
    """An instance: the class and all the shapes that make it."""

    name: str
    shapes: list[Shape]


class Dice:
    """Uniform random numbers from a key of integers ≥ 0; other keys give independent numbers."""

    def __init__(self, *key):
        self.random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(key))).random

    def between(self, low, high):
        return low + (high - low) * self.random()

    def integer(self, low, high):
        """One of low, ..., high."""
        return low + int((high + 1 - low) * self.random())

    def side(self):
        """-1 or 1."""
        return 2 * self.integer(0, 1) - 1

    def spots(self, count, left, right):
        """`count` places, one in each of as many equal shares of left..right, in random order."""
        return [left + (right - left) * (k + self.between(0.2, 0.8)) / count for k in self.random(count).argsort()]


def house(dice, x, base):
    width, wall, roof, side = dice.between(0.21, 0.28), dice.between(0.17, 0.25), dice.between(0.10, 0.15), dice.side()
    eaves, left, right = base - wall, x - 0.22 * width, x + 0.22 * width
    door, pane = (left, right)[::side]
    panes = [Shape("box", pane, base - 0.045, 0.068, 0.07)]
    if wall > 0.2:
        panes += [Shape("box", spot, eaves + 0.085, 0.064, 0.06) for spot in (left, right)]
    chimney = Shape("box", x + side * 0.22 * width, eaves - 0.4 * roof, 0.044, 0.6 * roof)
    gable = Shape(("gable", "hip")[dice.integer(0, 1)], x, eaves, width + 0.04, roof)
    return [
        Part("house", [Shape("box", x, base, width, wall), Shape("box", door, base, 0.06, 0.105, "wood")]),
        Part("roof", [chimney, gable]),
        Part("window", panes),
    ]


def tree(dice, x, base):
    width, height, low = dice.between(0.15, 0.2), dice.between(0.18, 0.27), base - 0.085
    if dice.random() < 0.35:
        top = Shape("gable", x, low - 0.45 * height, 0.8 * width, 0.55 * height)
        crown = [Shape("gable", x, low, width, 0.65 * height), top]
    else:
        left = Shape("disc", x - 0.28 * width, low + 0.01, 0.6 * width, 0.60 * height)
        right = Shape("disc", x + 0.28 * width, low + 0.01, 0.6 * width, 0.68 * height)
        crown = [Shape("disc", x, low, width, height), left, right]
    return [Part("trunk", [Shape("box", x, base, 0.04, 0.12)]), Part("tree", crown)]


def car(dice, x, base):
    width, height, ahead = dice.between(0.25, 0.31), dice.between(0.13, 0.16), dice.side()
    waist, middle = base - 0.55 * height, x - ahead * 0.06 * width
    body = Shape("slab", x, base - 0.028, width, 0.55 * height - 0.016)
    cabin = Shape("hip", middle, waist + 0.01, 0.68 * width, 0.45 * height + 0.01)
    lamp = Shape("disc", x + ahead * 0.45 * width, waist + 0.04, 0.032, 0.032, "lamp")
    panes = [
        Shape("hip", middle + s * width, waist + 0.002, 0.26 * width, 0.45 * height - 0.016) for s in (-0.15, 0.15)
    ]
    tyres = [Shape("disc", x + s * width, base, 0.066, 0.066) for s in (-0.27, 0.27)]
    hubs = [Shape("disc", x + s * width, base - 0.02, 0.026, 0.026, "metal") for s in (-0.27, 0.27)]
    return [Part("car", [body, cabin, lamp]), Part("window", panes), Part("wheel", tyres + hubs)]


def balloon(dice, x, base):
    width, height = dice.between(0.13, 0.17), dice.between(0.2, 0.23)
    envelope = Shape("disc", x, base - height + width, width, width)
    neck = Shape("funnel", x, base - 0.03, 0.9 * width, height - 0.03 - 0.72 * width)
    return [Part("balloon", [envelope, neck, Shape("box", x, base, 0.036, 0.03, "wood")])]


def person(dice, x, base):
    width, height = dice.between(0.068, 0.084), dice.between(0.165, 0.2)
    legs = Shape("box", x, base, 0.05, 0.045, "cloth")
    coat = Shape("hip", x, base - 0.045, width, height - 0.087)
    head = Shape("disc", x, base - height + 0.055, 0.052, 0.055, "skin")
    return [Part("person", [legs, coat, head])]


def plan(dice, width):
    """The parts of a street `width` times as wide as high, back to front. A square one has 5 to 15 things."""
    horizon, kerb = dice.between(0.44, 0.52), dice.between(0.70, 0.73)
    lane = (1 + kerb) / 2

    def count(low, high):
        return round(dice.integer(low, high) * max(width, 1))

    parts = [Part("sky", [Shape("box", width / 2, 1, width, 1)])]
    if dice.random() < 0.6:
        size = dice.between(0.12, 0.16)
        parts.append(Part("sun", [Shape("disc", dice.between(0.1, width - 0.1), dice.between(0.15, 0.27), size, size)]))
    puffs = []
    for x in dice.spots(count(0, 2), 0, width):
        y, size = dice.between(0.10, 0.3), dice.between(0.035, 0.05)
        top = Shape("disc", x - 0.15 * size, y, 2.3 * size, 2.4 * size)
        puffs += [Shape("disc", x, y, 4.8 * size, 1.6 * size), top]
    parts += [Part("cloud", puffs)] if puffs else []
    for x in dice.spots(count(0, 2), 0.05, width - 0.05):
        parts += balloon(dice, x, dice.between(0.24, 0.42))
    parts.append(Part("grass", [Shape("hill", dice.between(0, width), 1, width + 1, 1 - horizon)]))

    houses = count(1, 3)
    trees = max(count(3, 4) - houses, 1)
    row = sorted((dice.between(0.60, 0.66), x) for x in dice.spots(houses + trees, 0, width))
    kinds = [house] * houses + [tree] * trees
    for (base, x), k in zip(row, dice.random(len(row)).argsort(), strict=True):
        parts += kinds[k](dice, x, base)

    dashes = [Shape("box", 0.125 + k / 4, lane + 0.008, 0.13, 0.016, "paint") for k in range(int(4 * width) + 1)]
    edge = Shape("box", width / 2, kerb + 0.02, width, 0.02, "metal")
    parts.append(Part("road", [Shape("box", width / 2, 1, width, 1 - kerb), edge, *dashes]))
    for x in dice.spots(count(0, 3), 0.04, width - 0.04):
        parts += person(dice, x, kerb + dice.between(-0.02, 0.03))
    cars = dice.spots(count(1, 3), 0.02, width - 0.02)
    for base, x in sorted(((lane, 0.98)[dice.integer(0, 1)] - dice.between(0, 0.02), x) for x in cars):
        parts += car(dice, x, base)
    return parts


def rasterise(parts, height, width):
    """Paints each part over those before it.

    Returns two integer maps [H, W]: the index into `parts`, and the detail (0: none, k: the k-th of `DETAILS`).
    """
    part, detail = np.zeros((height, width), np.intp), np.zeros((height, width), np.intp)
    centre_x, centre_y = (np.arange(width) + 0.5) / height, (np.arange(height) + 0.5) / height
    for k, (_, shapes) in enumerate(parts):
        for shape in shapes:
            x0, y0, x1, y1 = shape.box
            left, right = (min(max(int(x * height + 0.5), 0), width) for x in (x0, x1))
            top, bottom = (min(max(int(y * height + 0.5), 0), height) for y in (y0, y1))
            u = (2 * centre_x[left:right] - x0 - x1) / (x1 - x0)
            v = (2 * centre_y[top:bottom] - y0 - y1) / (y1 - y0)
            inside = SHAPES[shape.kind](u, v[:, None])
            part[top:bottom, left:right][inside] = k
            detail[top:bottom, left:right][inside] = DETAIL_ID.get(shape.detail, 0)
    return part, detail


def hsv_to_rgb(hue, saturation, value):
    """Hue in degrees, saturation and value in percent, all [P]; returns [P, 3] in 0..255."""
    sector = (hue[:, None] / 60 + np.array([5, 3, 1])) % 6
    dip = np.clip(np.minimum(sector, 4 - sector), 0, 1)
    return 255 * value[:, None] / 100 * (1 - saturation[:, None] / 100 * dip)


def draw_looks(parts, dice):
    """A look for every part: its colour [P, 3] in 0..255, and its pattern [P], an index into `PATTERNS`."""
    rows, chance = [LOOKS[name] for name, _ in parts], dice.random((len(parts), 4))
    low, high = np.array([(row.hue, row.saturation, row.value) for row in rows]).transpose(2, 1, 0)
    color = hsv_to_rgb(*(low + (high - low) * chance[:, :3].T))
    names = list(PATTERNS)
    choices = [row.patterns.split() for row in rows]
    return color, np.array([names.index(c[int(len(c) * t)]) for c, t in zip(choices, chance[:, 3], strict=True)])


def paint(parts, part, detail, dice):
    """Draws the looks and paints the maps of `rasterise` with them; returns uint8 [H, W, 3]."""
    height, width = part.shape
    color, pattern = draw_looks(parts, dice)
    boxes = [np.array([shape.box for shape in shapes]).T for _, shapes in parts]
    x0, y0, x1, y1 = np.array([(*b[:2].min(1), *b[2:].max(1)) for b in boxes]).T[:, part]
    light_x, light_y, grain = np.array([(*LOOKS[name].light, LOOKS[name].grain) for name, _ in parts]).T[:, part]

    x, y = (np.arange(width) + 0.5) / height, (np.arange(height)[:, None] + 0.5) / height
    noise = dice.random((64, int(64 * width / height) + 1))[(64 * y).astype(int), (64 * x).astype(int)]
    col, row = (32 * (x - x0)).astype(int), (32 * (y - y0)).astype(int)
    bands = np.choose(pattern[part], [is_dark(col, row) for is_dark in PATTERNS.values()])
    light = light_x * (x - x0) / (x1 - x0) + light_y * (y - y0) / (y1 - y0)
    light -= np.minimum(light_x, 0) + np.minimum(light_y, 0)  # from its brightest end
    darker = light + PATTERN_STRENGTH * bands + grain * noise  # percent
    flat = np.where(detail[..., None] > 0, np.array([(0, 0, 0), *DETAILS.values()])[detail], color[part])
    return (flat * (1 - darker / 100)[..., None] + 0.5).astype(np.uint8)


class ToyTown:
    """A data set of streets, each drawn when it is asked for, in about 2 ms at 64×64.

    split: "train" or "val"; they never share a scene. image_size: an int or (H, W), 16 or more each; at all sizes of
    one aspect ratio, a scene of the same index is the same street. length: number of scenes, by default 4000 in
    "train" and 256 in "val". seed: an integer ≥ 0, every one another town. Impossible arguments are a ValueError.

    An item is {"image", "label", "instance", "name"}: image float32 [3, H, W], exactly uint8 / 127.5 - 1; maps int64
    [H, W]; instance ids 0..I-1, numbered by class id, then from back to front. Every instance is of one class.
    """

    class_names = list(LOOKS)
    num_classes = len(LOOKS)
    thing_classes = [CLASS_ID[name] for name in THINGS]
    class_colors = np.array([look.color for look in LOOKS.values()], np.uint8)  # [L, 3]

    def __init__(self, split, image_size, length=None, seed=0):
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}; ToyTown has 'train' and 'val'")
        size = (image_size, image_size) if np.ndim(image_size) == 0 else tuple(image_size)
        if len(size) != 2 or any(side != int(side) or side < 16 for side in size):
            raise ValueError(f"image_size is {image_size!r}; expected an int or (H, W), each 16 or more")
        if seed < 0:
            raise ValueError(f"seed is {seed}; expected an integer of 0 or more")
        if length is not None and length < 1:
            raise ValueError(f"length is {length}; expected an integer of 1 or more, or None")
        self.split, self.image_size, self.seed = split, (int(size[0]), int(size[1])), seed
        self.length = SPLITS[split] if length is None else length

    def __len__(self):
        return self.length

    def __getitem__(self, i):
        return self._draw(i, 0)

    def redraw(self, i, seed):
        """Item i with the same maps, and the look of every instance drawn anew; seed: an integer ≥ 0."""
        if seed < 0:
            raise ValueError(f"seed is {seed}; expected an integer of 0 or more")
        return self._draw(i, 1 + seed)

    def _draw(self, i, look_seed):
        if not 0 <= i < self.length:
            raise IndexError(f"scene {i} of a ToyTown with scenes 0 to {self.length - 1}")
        height, width = self.image_size
        key = self.seed, list(SPLITS).index(self.split), i
        parts = plan(Dice(*key, PLAN), width / height)
        part, detail = rasterise(parts, height, width)
        image = paint(parts, part, detail, Dice(*key, LOOK, look_seed))

        class_of = np.array([CLASS_ID[name] for name, _ in parts])
        visible = np.flatnonzero(np.bincount(part.ravel()))  # an object may be hidden behind others
        instance_of = np.zeros(len(parts), np.int64)
        instance_of[visible[class_of[visible].argsort(kind="stable")]] = np.arange(len(visible))
        return {
            "image": to_float(image),
            "label": class_of[part].astype(np.int64),
            "instance": instance_of[part],
            "name": f"{self.split}_{i:05d}",
        }
