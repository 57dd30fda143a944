"""ToyTown: a picture-book street, drawn on the fly, in which every look comes from a distribution stated on this page.

A scene is made in two steps, from two independent streams of random numbers:

1. The *plan*: which objects stand where. It alone decides the label map and the instance map
   (`plan`, then `rasterize`).
2. The *looks*: each instance draws a hue, a saturation, a value and a pattern from its class's row of `LOOKS`
   (`draw_looks`, in `paint`).

So the truth that a generator should learn is known. For example, the colors of two cars in one street have nothing to
do with each other, and `ToyTown.redraw` draws the same street with other looks.

All random numbers are uniform and all arithmetic is + - * /, so the same arguments give the same pixels on every
machine. A shape is a test on the centers of pixels, so a scene can be drawn at any resolution.
"""

from typing import NamedTuple

import numpy as np

from .images import to_float

# ---- The tables: what is true in ToyTown


class Look(NamedTuple):
    """How a class looks. Every instance draws its hue, saturation, value and pattern uniformly and independently.

    >>> LOOKS["grass"].hue
    (66, 132)
    """

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

# A class's id is the number of its row.
CLASS_ID = {name: k for k, name in enumerate(LOOKS)}

# Windows, trunks and wheels are parts of things; the rest is stuff.
THINGS = ("house", "roof", "tree", "car", "balloon", "person")

# 1 where a pattern darkens the object, by column and row of a grid that begins at the left and the top of its box.
# Every pattern repeats after two cells.
PATTERNS = {
    "plain":   lambda col, row: 0 * col,
    "rows":    lambda col, row: row % 2,
    "stripes": lambda col, row: col % 2,
    "dots":    lambda col, row: col % 2 * (row % 2),
}
PATTERN_STRENGTH = 12  # percent darker
PATTERN_CELLS = 32  # of the grid, in the image's height

# What a shape fills of its box. u and v are a pixel center's place in it, from -1 to 1; v = 1 is the bottom.
SHAPES = {
    "box":    lambda u, v: np.maximum(abs(u), abs(v)) <= 1,
    "disc":   lambda u, v: u * u + v * v <= 1,
    "slab":   lambda u, v: u * u * u * u + v * v * v * v <= 1,
    "gable":  lambda u, v: abs(u) <= 0.5 + 0.5 * v,
    "hip":    lambda u, v: abs(u) <= 0.8 + 0.2 * v,
    "funnel": lambda u, v: abs(u) <= 0.6 - 0.4 * v,
    "hill":   lambda u, v: v >= 0.5 * u * u - 1,
}

# Details have one color in all scenes, and they belong to the instance that they are drawn on.
DETAILS = {
    "skin":  (238, 190, 154),
    "wood":  (138,  94,  60),
    "cloth": ( 62,  66,  94),
    "lamp":  (255, 238, 160),
    "paint": (236, 234, 224),
    "metal": (194, 198, 206),
}
DETAIL_ID = {name: k for k, name in enumerate(DETAILS, start=1)}  # 0: no detail
# fmt: on

SPLITS = {"train": 4000, "val": 256}  # default lengths

# The two streams of random numbers that a scene has.
PLAN_STREAM = 0
LOOK_STREAM = 1


# ---- What a plan is made of


class Shape(NamedTuple):
    """A shape that stands on `base`, centered at `x`. The unit is the image's height, y points down.

    kind: a name in `SHAPES`. detail: a name in `DETAILS`; without one, the shape has its instance's look.

    >>> Shape("box", x=0.5, base=1.0, width=0.5, height=0.25).box
    (0.25, 0.75, 0.75, 1.0)
    """

    kind: str
    x: float
    base: float
    width: float
    height: float
    detail: str | None = None

    @property
    def box(self):
        """Left, top, right, bottom."""
        half = self.width / 2
        return self.x - half, self.base - self.height, self.x + half, self.base


class Part(NamedTuple):
    """An instance: its class's name and all the shapes that make it.

    >>> Part("sun", [Shape("disc", x=0.5, base=0.25, width=0.5, height=0.25)]).box
    (0.25, 0.0, 0.75, 0.25)
    """

    name: str
    shapes: list[Shape]

    @property
    def box(self):
        """Left, top, right, bottom of all its shapes together."""
        left, top, right, bottom = zip(*(shape.box for shape in self.shapes), strict=True)
        return min(left), min(top), max(right), max(bottom)


class Dice:
    """A stream of uniform random numbers. Its key, integers ≥ 0, is its seed: other keys give independent streams.

    >>> dice = Dice(0, 7)
    >>> [dice.integer(1, 6) for _ in range(5)]
    [1, 5, 5, 3, 6]
    """

    def __init__(self, *key):
        seeds = np.random.SeedSequence(key)
        # The numbers in 0..1 that everything else is made of: random() is one of them, random((2, 3)) an array.
        self.random = np.random.Generator(np.random.PCG64(seeds)).random

    def between(self, low, high):
        """A number from low to high."""
        return low + (high - low) * self.random()

    def integer(self, low, high):
        """One of low, ..., high."""
        return low + int((high + 1 - low) * self.random())

    def side(self):
        """-1 or 1."""
        return 2 * self.integer(0, 1) - 1

    def count(self, low, high, width):
        """How many objects: low, ..., high in a street that is square or narrower, in proportion in a wider one."""
        return round(self.integer(low, high) * max(width, 1))

    def spots(self, count, left, right):
        """Places in random order, one in each of `count` equal shares of left..right, so that no two are close."""
        places = []
        for share in self.random(count).argsort():
            steps = share + self.between(0.2, 0.8)
            places.append(left + (right - left) * steps / count)
        return places


# ---- Step 1, the plan: objects, each a list of its parts from back to front
# An object draws all its random numbers first; the rest is arithmetic.


def house(dice, x, base):
    """Walls with a door and up to three windows; a roof with a chimney. It stands on `base`, centered at x.

    >>> [part.name for part in house(Dice(0), x=0.5, base=0.6)]
    ['house', 'roof', 'window']
    """
    width = dice.between(0.21, 0.28)
    wall = dice.between(0.17, 0.25)
    roof = dice.between(0.10, 0.15)
    side = dice.side()
    kind = ("gable", "hip")[dice.integer(0, 1)]

    eaves = base - wall
    pane_x = x + side * 0.22 * width
    door_x = x - side * 0.22 * width
    front = Shape("box", x, base, width, wall)
    door = Shape("box", door_x, base, 0.06, 0.105, "wood")
    panes = [Shape("box", pane_x, base - 0.045, 0.068, 0.07)]
    if wall > 0.2:  # high enough for two windows upstairs
        panes.append(Shape("box", pane_x, eaves + 0.085, 0.064, 0.06))
        panes.append(Shape("box", door_x, eaves + 0.085, 0.064, 0.06))
    chimney = Shape("box", pane_x, eaves - 0.4 * roof, 0.044, 0.6 * roof)
    top = Shape(kind, x, eaves, width + 0.04, roof)
    return [
        Part("house", [front, door]),
        Part("roof", [chimney, top]),
        Part("window", panes),
    ]


def tree(dice, x, base):
    """A trunk, and before it a crown: about one in three is a fir, the others are round. Arguments as in `house`.

    >>> [part.name for part in tree(Dice(0), x=0.5, base=0.6)]
    ['trunk', 'tree']
    """
    width = dice.between(0.15, 0.2)
    height = dice.between(0.18, 0.27)
    is_fir = dice.random() < 0.35

    low = base - 0.085
    trunk = Shape("box", x, base, 0.04, 0.12)
    if is_fir:
        skirt = Shape("gable", x, low, width, 0.65 * height)
        tip = Shape("gable", x, low - 0.45 * height, 0.8 * width, 0.55 * height)
        crown = [skirt, tip]
    else:
        middle = Shape("disc", x, low, width, height)
        left = Shape("disc", x - 0.28 * width, low + 0.01, 0.6 * width, 0.60 * height)
        right = Shape("disc", x + 0.28 * width, low + 0.01, 0.6 * width, 0.68 * height)
        crown = [middle, left, right]
    return [Part("trunk", [trunk]), Part("tree", crown)]


def car(dice, x, base):
    """A body with a cabin and a lamp, two windows, two wheels. Arguments as in `house`.

    >>> [part.name for part in car(Dice(0), x=0.5, base=0.9)]
    ['car', 'window', 'wheel']
    """
    width = dice.between(0.25, 0.31)
    height = dice.between(0.13, 0.16)
    ahead = dice.side()  # the direction in which it drives

    waist = base - 0.55 * height
    middle = x - ahead * 0.06 * width
    body = Shape("slab", x, base - 0.028, width, 0.55 * height - 0.016)
    cabin = Shape("hip", middle, waist + 0.01, 0.68 * width, 0.45 * height + 0.01)
    lamp = Shape("disc", x + ahead * 0.45 * width, waist + 0.04, 0.032, 0.032, "lamp")
    panes = []
    for offset in (-0.15 * width, 0.15 * width):
        panes.append(Shape("hip", middle + offset, waist + 0.002, 0.26 * width, 0.45 * height - 0.016))
    wheels = []
    for offset in (-0.27 * width, 0.27 * width):
        wheels.append(Shape("disc", x + offset, base, 0.066, 0.066))
        wheels.append(Shape("disc", x + offset, base - 0.02, 0.026, 0.026, "metal"))
    return [
        Part("car", [body, cabin, lamp]),
        Part("window", panes),
        Part("wheel", wheels),
    ]


def balloon(dice, x, base):
    """A balloon with its basket. Arguments as in `house`; `base` is the bottom of the basket.

    >>> [part.name for part in balloon(Dice(0), x=0.5, base=0.3)]
    ['balloon']
    """
    width = dice.between(0.13, 0.17)
    height = dice.between(0.2, 0.23)
    envelope = Shape("disc", x, base - height + width, width, width)
    neck = Shape("funnel", x, base - 0.03, 0.9 * width, height - 0.03 - 0.72 * width)
    basket = Shape("box", x, base, 0.036, 0.03, "wood")
    return [Part("balloon", [envelope, neck, basket])]


def person(dice, x, base):
    """Legs, a coat and a head. Arguments as in `house`.

    >>> [part.name for part in person(Dice(0), x=0.5, base=0.7)]
    ['person']
    """
    width = dice.between(0.068, 0.084)
    height = dice.between(0.165, 0.2)
    legs = Shape("box", x, base, 0.05, 0.045, "cloth")
    coat = Shape("hip", x, base - 0.045, width, height - 0.087)
    head = Shape("disc", x, base - height + 0.055, 0.052, 0.055, "skin")
    return [Part("person", [legs, coat, head])]


# ---- Step 1, the plan: the street


def plan(dice, width):
    """The parts of a street, from back to front. A square street has 5 to 15 things.

    width: of the street, in units of its height.

    >>> [part.name for part in plan(Dice(0), width=1)][:3]
    ['sky', 'sun', 'cloud']
    """
    horizon = dice.between(0.44, 0.52)
    curb = dice.between(0.70, 0.73)
    return [
        *_sky(dice, width),
        *_meadow(dice, width, horizon),
        *_street(dice, width, curb),
    ]


def _sky(dice, width):
    """The sky; before it perhaps the sun, clouds and balloons."""
    sky = Shape("box", width / 2, 1, width, 1)
    parts = [Part("sky", [sky])]

    if dice.random() < 0.6:
        size = dice.between(0.12, 0.16)
        x = dice.between(0.1, width - 0.1)
        base = dice.between(0.15, 0.27)
        sun = Shape("disc", x, base, size, size)
        parts.append(Part("sun", [sun]))

    puffs = []
    clouds = dice.count(0, 2, width)
    for x in dice.spots(clouds, 0, width):
        base = dice.between(0.10, 0.3)
        size = dice.between(0.035, 0.05)
        puffs.append(Shape("disc", x, base, 4.8 * size, 1.6 * size))
        puffs.append(Shape("disc", x - 0.15 * size, base, 2.3 * size, 2.4 * size))
    if puffs:
        parts.append(Part("cloud", puffs))  # clouds are stuff: all of a scene are one instance

    balloons = dice.count(0, 2, width)
    for x in dice.spots(balloons, 0.05, width - 0.05):
        base = dice.between(0.24, 0.42)
        parts += balloon(dice, x, base)
    return parts


def _meadow(dice, width, horizon):
    """Grass up to the horizon; before it a row of houses and trees."""
    top = dice.between(0, width)
    grass = Shape("hill", top, 1, width + 1, 1 - horizon)
    parts = [Part("grass", [grass])]

    houses = dice.count(1, 3, width)
    trees = max(dice.count(3, 4, width) - houses, 1)
    objects = [house] * houses + [tree] * trees
    places = []
    for x in dice.spots(len(objects), 0, width):
        base = dice.between(0.60, 0.66)
        places.append((base, x))
    places.sort()  # what stands higher in the picture is farther away, so it is drawn first
    order = dice.random(len(objects)).argsort()
    for (base, x), k in zip(places, order, strict=True):
        parts += objects[k](dice, x, base)
    return parts


def _street(dice, width, curb):
    """The road; before it persons near the curb, and cars in two lanes."""
    lane = (1 + curb) / 2
    asphalt = Shape("box", width / 2, 1, width, 1 - curb)
    edge = Shape("box", width / 2, curb + 0.02, width, 0.02, "metal")
    road = [asphalt, edge]
    for k in range(int(4 * width) + 1):
        x = 0.125 + k / 4
        road.append(Shape("box", x, lane + 0.008, 0.13, 0.016, "paint"))
    parts = [Part("road", road)]

    persons = dice.count(0, 3, width)
    for x in dice.spots(persons, 0.04, width - 0.04):
        base = curb + dice.between(-0.02, 0.03)
        parts += person(dice, x, base)

    places = []
    cars = dice.count(1, 3, width)
    for x in dice.spots(cars, 0.02, width - 0.02):
        base = (lane, 0.98)[dice.integer(0, 1)]
        base = base - dice.between(0, 0.02)
        places.append((base, x))
    for base, x in sorted(places):
        parts += car(dice, x, base)
    return parts


def rasterize(parts, height, width):
    """Paints each part over those before it. No random number is drawn: the plan has decided everything.

    Returns two integer maps [H, W]: the index into `parts`, and the detail (0: none, k: the k-th of `DETAILS`).

    >>> part_map, detail_map = rasterize(house(Dice(0), x=0.5, base=1), height=64, width=64)
    >>> part_map.shape, sorted(set(detail_map.ravel().tolist()))
    ((64, 64), [0, 2])
    """
    part_map = np.zeros((height, width), np.intp)
    detail_map = np.zeros((height, width), np.intp)
    center_x, center_y = _centers(height, width)
    for k, part in enumerate(parts):
        for shape in part.shapes:
            left, top, right, bottom = shape.box
            columns = _pixels(left, right, height, width)
            rows = _pixels(top, bottom, height, height)
            u = (2 * center_x[columns] - left - right) / (right - left)
            v = (2 * center_y[rows] - top - bottom) / (bottom - top)
            inside = SHAPES[shape.kind](u, v)
            part_map[rows, columns][inside] = k
            detail_map[rows, columns][inside] = DETAIL_ID.get(shape.detail, 0)
    return part_map, detail_map


def _centers(height, width):
    """Where the pixels' centers are, in units of the image's height: x [W] and y [H, 1]."""
    x = (np.arange(width) + 0.5) / height
    y = (np.arange(height) + 0.5) / height
    return x, y[:, None]


def _pixels(start, end, height, count):
    """The pixels, of `count` in a row or column, whose centers lie between start and end: a slice."""
    first = int(start * height + 0.5)
    stop = int(end * height + 0.5)
    first = min(max(first, 0), count)
    stop = min(max(stop, 0), count)
    return slice(first, stop)


# ---- Step 2, the looks


def hsv_to_rgb(hue, saturation, value):
    """Colors [P, 3] in 0..255 (A. R. Smith, Color gamut transform pairs, 1978).

    hue: in degrees, any number. saturation, value: in percent. All [P].

    >>> hsv_to_rgb(np.array([120]), np.array([50]), np.array([100])).tolist()
    [[127.5, 255.0, 127.5]]
    """
    sector = hue[:, None] / 60 + np.array([5, 3, 1])  # [P, 3], a column for red, green, blue
    sector = sector % 6
    dip = np.minimum(sector, 4 - sector).clip(0, 1)
    brightest = 255 * value[:, None] / 100
    return brightest * (1 - saturation[:, None] / 100 * dip)


def draw_looks(parts, dice):
    """A look for every part: its color [P, 3] in 0..255, and its pattern [P], an index into `PATTERNS`.

    >>> color, pattern = draw_looks(plan(Dice(0), width=1)[:2], Dice(1))
    >>> color.shape, pattern.shape
    ((2, 3), (2,))
    """
    looks = [LOOKS[part.name] for part in parts]
    chance = dice.random((len(parts), 4))  # for hue, saturation, value, pattern

    ranges = np.array([(look.hue, look.saturation, look.value) for look in looks])  # [P, 3, 2]
    low = ranges[..., 0]
    high = ranges[..., 1]
    hsv = low + (high - low) * chance[:, :3]
    color = hsv_to_rgb(*hsv.T)

    names = list(PATTERNS)
    pattern = []
    for look, t in zip(looks, chance[:, 3], strict=True):
        choices = look.patterns.split()
        chosen = choices[int(len(choices) * t)]
        pattern.append(names.index(chosen))
    return color, np.array(pattern)


def paint(parts, part_map, detail_map, dice, cells=PATTERN_CELLS, start=0):
    """Draws the looks and paints the maps of `rasterize` with them: the image, uint8 [H, W, 3].

    cells: of a pattern, in the image's height. start: where in a box its cells begin, 0 at the left and the top, 1 at
    the right and the bottom.

    >>> parts = plan(Dice(0), width=2)
    >>> paint(parts, *rasterize(parts, height=16, width=32), Dice(1)).shape
    (16, 32, 3)
    """
    height, width = part_map.shape
    center_x, center_y = _centers(height, width)
    color, pattern = draw_looks(parts, dice)
    looks = [LOOKS[part.name] for part in parts]

    # Each pixel's place in the box of its part, [H, W].
    boxes = np.array([part.box for part in parts])  # [P, 4]
    left, top, right, bottom = boxes.T[:, part_map]
    x = center_x - left
    y = center_y - top

    # Light falls off across the box, from 0 at its brightest side.
    light = np.array([look.light for look in looks])  # [P, 2]
    light_x, light_y = light.T[:, part_map]
    across = light_x * x / (right - left)
    down = light_y * y / (bottom - top)
    brightest = np.minimum(light_x, 0) + np.minimum(light_y, 0)
    shade = across + down - brightest

    col = np.floor(cells * (x - start * (right - left))).astype(int)
    row = np.floor(cells * (y - start * (bottom - top))).astype(int)
    marks = [is_dark(col, row) for is_dark in PATTERNS.values()]
    marked = np.choose(pattern[part_map], marks)

    # The noise is a grid of 64 rows at every resolution, so that a scene keeps its grain.
    cells = dice.random((64, int(64 * width / height) + 1))
    noise_row = (64 * center_y).astype(int)
    noise_col = (64 * center_x).astype(int)
    noise = cells[noise_row, noise_col]
    grain = np.array([look.grain for look in looks])[part_map]

    darker = shade + PATTERN_STRENGTH * marked + grain * noise  # percent
    detail_color = np.array([(0, 0, 0), *DETAILS.values()])
    flat = np.where(detail_map[..., None] > 0, detail_color[detail_map], color[part_map])  # [H, W, 3]
    shaded = flat * (1 - darker / 100)[..., None]
    return (shaded + 0.5).astype(np.uint8)


# ---- The data set


class ToyTown:
    """A data set of streets, each drawn when it is asked for, in about 2 ms at 64×64.

    split: "train" or "val"; they never share a scene.
    image_size: an int or (H, W), 16 or more each. At all sizes of one aspect ratio, a scene is the same street.
    length: the number of scenes, by default 4000 in "train" and 256 in "val". It does not change what a scene is.
    seed: an integer ≥ 0; every seed is another town. Impossible arguments are a ValueError.

    An item is {"image", "label", "instance", "name"}: image float32 [3, H, W], exactly uint8 / 127.5 - 1; maps int64
    [H, W]; instance ids 0..I-1, numbered by class id, then from back to front. Every instance is of one class.

    >>> import inade_lite as il
    >>> town = il.ToyTown("val", (32, 64))
    >>> town[7]["name"], town[7]["image"].shape
    ('val_00007', (3, 32, 64))
    """

    class_names = list(LOOKS)
    num_classes = len(LOOKS)
    thing_classes = [CLASS_ID[name] for name in THINGS]
    class_colors = np.array([look.color for look in LOOKS.values()], np.uint8)  # [L, 3]

    # The grid of patterns, see `paint`. A town of another kind has others.
    pattern_cells = PATTERN_CELLS
    pattern_start = 0

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
        self.split = split
        self.image_size = (int(size[0]), int(size[1]))
        self.length = SPLITS[split] if length is None else length
        self.seed = seed

    def __len__(self):
        return self.length

    def __getitem__(self, i):
        return self._draw(i, look_seed=0)

    def names(self):
        """The names of all items, a list.

        >>> import inade_lite as il
        >>> il.ToyTown("val", 32).names()[7]
        'val_00007'
        """
        return [self._name(i) for i in range(len(self))]

    def _name(self, i):
        return f"{self.split}_{i:05d}"

    @property
    def pattern_period(self):
        """After how many pixels a pattern repeats: two cells.

        >>> import inade_lite as il
        >>> il.ToyTown("val", 64).pattern_period
        4.0
        """
        return 2 * self.image_size[0] / self.pattern_cells

    def redraw(self, i, seed):
        """Item i with the same maps, and the look of every instance drawn anew; seed: an integer ≥ 0.

        >>> import inade_lite as il
        >>> town = il.ToyTown("val", 32)
        >>> bool((town.redraw(7, seed=0)["label"] == town[7]["label"]).all())
        True
        """
        if seed < 0:
            raise ValueError(f"seed is {seed}; expected an integer of 0 or more")
        return self._draw(i, look_seed=1 + seed)

    def _draw(self, i, look_seed):
        """Item i with the looks of that seed; the plan does not depend on it."""
        if not 0 <= i < self.length:
            raise IndexError(f"scene {i} of a ToyTown with scenes 0 to {self.length - 1}")
        scene = (self.seed, list(SPLITS).index(self.split), i)

        parts, part_map, detail_map = self._maps(Dice(*scene, PLAN_STREAM))
        dice = Dice(*scene, LOOK_STREAM, look_seed)
        image = paint(parts, part_map, detail_map, dice, self.pattern_cells, self.pattern_start)

        class_of, instance_of = self._ids(parts, part_map)
        return {
            "image": to_float(image),
            "label": class_of[part_map],
            "instance": instance_of[part_map],
            "name": self._name(i),
        }

    def _maps(self, dice):
        """Step 1: the parts of a street and the two maps of `rasterize`. Towns of other shapes draw them otherwise."""
        height, width = self.image_size
        parts = plan(dice, width / height)
        return parts, *rasterize(parts, height, width)

    def _ids(self, parts, part_map):
        """The class id and the instance id of each part, both int64 [P]."""
        class_of = np.array([CLASS_ID[part.name] for part in parts], np.int64)
        # A part that is hidden behind others is no instance.
        visible = np.flatnonzero(np.bincount(part_map.ravel()))
        by_class = visible[class_of[visible].argsort(kind="stable")]
        instance_of = np.zeros(len(parts), np.int64)
        instance_of[by_class] = np.arange(len(visible))
        return class_of, instance_of
