"""The streets that the page offers: maps as text, real pictures as files, and what is a part of what."""

import base64
import zlib

import numpy as np

from ..data.toy_town import ToyTown
from ..figures import to_image

# The first is the one that the page opens with. All have a car that can be seen well, and the same ids at both sizes.
SCENES = (23, 5, 8, 17, 30, 42, 51, 64, 77, 98, 120, 201)

# A part belongs to what it touches most of: the house or the car, see objects.js.
PART_OF = {
    "roof": ["house"],
    "window": ["house", "car", "roof"],
    "trunk": ["tree"],
    "wheel": ["car"],
}


def classes(town=ToyTown):
    """The classes of a data set, a list of {"name", "color", "thing", "partOf"}; gray where it has no class_colors.

    >>> classes()[11]
    {'name': 'wheel', 'color': [42, 44, 54], 'thing': False, 'partOf': ['car']}
    """
    colors = getattr(town, "class_colors", [[127] * 3] * len(town.class_names))
    found = []
    for k, name in enumerate(town.class_names):
        color = [int(value) for value in colors[k]]
        is_thing = k in town.thing_classes
        found.append({"name": name, "color": color, "thing": is_thing, "partOf": PART_OF.get(name, [])})
    return found


def streets(size, numbers=SCENES):
    """Validation scenes at size × size pixels: what the page reads of each, and its picture, uint8 [H, W, 3].

    >>> (street, picture), *others = streets(64)
    >>> street["name"], picture.shape
    ('23', (64, 64, 3))
    >>> int(unpack(street["label"], "u1", 64).max())
    12
    """
    town = ToyTown("val", size)
    found = []
    for k in numbers:
        item = town[k]
        street = packed(str(k), item) | {"picture": f"scenes/{k:03}_{size}.png"}
        found.append((street, to_image(item["image"])))
    return found


def packed(name, item):
    """The name and the maps of an item of a data set, {"name", "label", "instance"}.

    A map stands there as bytes, one a pixel for classes and two, the lower first, for instances; compressed by zlib, in
    base64.

    >>> sorted(packed("23", ToyTown("val", 64)[23]))
    ['instance', 'label', 'name']
    """
    return {"name": name, "label": pack(item["label"], "u1"), "instance": pack(item["instance"], "<u2")}


def pack(array, dtype):
    """An integer map as text. ValueError where an id does not fit.

    >>> unpack(pack(np.array([[1, 2], [3, 400]]), "<u2"), "<u2", 2).tolist()
    [[1, 2], [3, 400]]
    """
    array = np.asarray(array)
    small = array.astype(dtype)
    if (small != array).any():
        raise ValueError(f"ids from {array.min()} to {array.max()} do not fit into {np.dtype(dtype)}")
    return base64.b64encode(zlib.compress(small.tobytes(), 9)).decode()


def unpack(text, dtype, size):
    """The map [size, size] that `pack` made a text of.

    >>> unpack(pack(np.eye(2, dtype=int), "u1"), "u1", 2).tolist()
    [[1, 0], [0, 1]]
    """
    numbers = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype)
    return numbers.reshape(size, size)
