"""Files as a stranger may send them: made by hypothesis, or good ones in which a part of the structure is wrong.

Random flips of bits seldom get far: a zip notices them by its checksums. So the changes are made to what a format
consists of, steps of a pickle, entries of a zip, chunks of a PNG, fields of a header, and then all checksums are made
right again.
"""

import base64
import io
import itertools
import json
import pickle
import pickletools
import struct
import zipfile
import zlib

import numpy as np
import safetensors.numpy
from hypothesis import strategies as st

from inade_lite.weights.tensors import digest

# Where programs go wrong: signs, the ends of types, and lengths that are too long for any memory.
EDGES = (0, 1, -1, 2, 7, 127, 128, 255, 256, 65535, 2**16, 2**31 - 1, 2**31, 2**32, 2**40, 2**48, 2**62, 2**63 - 1)

MOST_BYTES = 200_000  # of a pickle that was changed

# The numbers of all storages that are made here. Any other byte in a tensor comes from somewhere else.
FILLING = 7


# ---- Pickles


def _text(value):
    """The step that puts a text."""
    content = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(content)) + content


def _number(value):
    """The step that puts a number."""
    return b"\x8a\x08" + struct.pack("<q", value)


def _tuple(parts):
    return b"(" + b"".join(parts) + b"t"


STORAGE_TYPES = ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool", "Complex")
edges = st.one_of(st.sampled_from(EDGES), st.integers(-3, 40))
small = st.integers(0, 6)
names = st.one_of(st.sampled_from(["0", "1", "weight", "x", "", "../0", "data.pkl"]), st.text(max_size=8))


@st.composite
def storages(draw):
    """The steps of a storage's id."""
    kind = b"ctorch\n" + draw(st.sampled_from(STORAGE_TYPES)).encode() + b"Storage\n"
    count = draw(st.one_of(st.just(12), edges))
    return _tuple([_text("storage"), kind, _text(draw(st.sampled_from("01"))), _text("cpu"), _number(count)]) + b"Q"


@st.composite
def tensors(draw):
    """The steps of a tensor, which may or may not fit its storage."""
    size = draw(st.lists(st.one_of(small, edges), max_size=5))
    stride = draw(st.one_of(st.lists(edges, min_size=len(size), max_size=len(size)), st.lists(edges, max_size=5)))
    rebuild = draw(st.sampled_from([b"_rebuild_tensor_v2", b"_rebuild_tensor", b"_rebuild_parameter", b"_rebuild"]))
    parts = [
        draw(storages()),
        _number(draw(st.one_of(small, edges))),
        _tuple(map(_number, size)),
        _tuple(map(_number, stride)),
        b"\x89",
        b"}",
    ]
    parts = parts[: draw(st.integers(3, 6))]
    return b"ctorch._utils\n" + rebuild + b"\n" + _tuple(parts) + b"R"


# Steps that are seldom in a state dict, and those that no state dict has.
ODD = (
    *(bytes([step]) for step in b"012(tld}])Naesub.RQo\x81\x85\x86\x87\x88\x92\x93\x94"),
    *(b"q\x00", b"h\x00", b"\x80\x02", b"\x95" + bytes(8), b"\x82\x01", b"ctorch\nFloatStorage\n"),
    *(b"cbuiltins\neval\n", b"cposix\nsystem\n", b"ccollections\nOrderedDict\n"),
)
steps = st.one_of(
    st.sampled_from(ODD),
    tensors(),
    storages(),
    edges.map(_number),
    names.map(_text),
    st.binary(max_size=4),
)


@st.composite
def state_dicts(draw):
    """A pickle that begins as a state dict: entries, among them odd ones, or steps of any kind."""
    if draw(st.integers(0, 3)) == 0:
        return b"\x80\x02" + b"".join(draw(st.lists(steps, max_size=30))) + b"."
    entries = draw(st.lists(st.tuples(names.map(_text), st.one_of(tensors(), steps)), max_size=5))
    return b"\x80\x02}(" + b"".join(key + value for key, value in entries) + b"u."


# ---- The two formats of torch.save


@st.composite
def torch_files(draw):
    """A `.pth` around such a pickle, in either format."""
    pickled = draw(state_dicts())
    count = draw(st.sampled_from([0, 5, 12, 40]))
    itemsize = draw(st.sampled_from([1, 2, 4, 8]))
    content = bytes([FILLING]) * (count * itemsize)
    if draw(st.booleans()):
        return legacy(pickled, draw(st.sampled_from([("0",), ("0", "1"), ("1",), ()])), draw(edges), content)
    entries = {"x/data.pkl": pickled, "x/data/0": content, "x/data/1": content[: draw(st.integers(0, 8))]}
    if draw(st.integers(0, 4)) == 0:
        entries["x/byteorder"] = draw(st.sampled_from([b"little", b"big", b"middle", b""]))
    file = archive(entries, compressed=draw(st.integers(0, 9)) == 0)
    if draw(st.integers(0, 2)) == 0:
        file = lie(file, draw(st.integers(0, 20)), draw(st.sampled_from(EDGES)))
    return file


def archive(entries, compressed=False):
    """A zip of {name: bytes}.

    >>> zipfile.ZipFile(io.BytesIO(archive({"a": b"1"}))).namelist()
    ['a']
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as zipped:
        for name, content in entries.items():
            zipped.writestr(zipfile.ZipInfo(name), content)
    return file.getvalue()


# What a zip declares of an entry, twice: (offset, format) behind the mark of its own header, and in the directory.
LOCAL = ((4, "<H"), (6, "<H"), (8, "<H"), (14, "<I"), (18, "<I"), (22, "<I"), (26, "<H"), (28, "<H"))
CENTRAL = ((8, "<H"), (10, "<H"), (16, "<I"), (20, "<I"), (24, "<I"), (28, "<H"), (30, "<H"), (42, "<I"))
END = ((8, "<H"), (10, "<H"), (12, "<I"), (16, "<I"))


def lie(file, which, value):
    """The zip with one number that it declares changed; with a size, in both places and with what follows right.

    >>> lie(archive({"a": b"1"}), 5, 9) != archive({"a": b"1"})
    True
    """
    changed = bytearray(file)
    for mark, fields in ((b"PK\3\4", LOCAL), (b"PK\1\2", CENTRAL), (b"PK\5\6", END)):
        offset, form = fields[which % len(fields)]
        at = -1
        while (at := file.find(mark, at + 1)) >= 0:
            if at + offset + struct.calcsize(form) <= len(file):
                limit = 256 ** struct.calcsize(form)
                struct.pack_into(form, changed, at + offset, value % limit)
    return bytes(changed)


def legacy(pickled, keys, declared, content):
    """The format before zip: five pickles, then for each storage its length and numbers."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    head = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, system)]
    numbers = b"".join(struct.pack("<q", declared) + content for _ in keys)
    return b"".join(head) + pickled + pickle.dumps(list(keys), 2) + numbers


def large_torch_files():
    """(name, file) of `.pth` of 50 MB that ask for as much time or memory as the format allows.

    >>> name, file = next(large_torch_files())
    >>> name, len(file) > 50_000_000
    ('steps without end', True)
    """
    size = 50_000_000
    number = b"\x8b" + struct.pack("<i", size) + b"\x11" * size
    keys = b"".join(_text(f"{k:0168}") + b"N" for k in range(140_000))
    views = b"".join(_text(f"w{k}") + _whole(size // 4, b"BFloat16") for k in range(8000))
    pickles = {
        "steps without end": b"N0" * (size // 2) + b"}.",
        "values without end": b"N" * size + b"}.",
        "a number of 50 MB": number + b".",
        "as many keys as steps allow": b"}(" + keys + b"u.",
        "8,000 views of one storage": b"}(" + views + b"u.",
    }
    for name, pickled in pickles.items():
        yield name, archive({"x/data.pkl": b"\x80\x02" + pickled, "x/data/0": bytes(size // 2)})
    entries = {f"x/data/{k}": bytes(600) for k in range(70_000)}
    yield "70,000 entries", archive({"x/data.pkl": b"\x80\x02}.", **entries})
    one = b"\x80\x02}" + _text("w") + _whole(size // 4, b"Float") + b"s."
    yield "one tensor, in the format before zip", legacy(one, ("0",), size // 4, bytes(size))
    yield "no pickle at all", bytes(size)


def _whole(count, kind):
    """The steps of a tensor that is all of storage 0."""
    kind = b"ctorch\n" + kind + b"Storage\n"
    held = _tuple([_text("storage"), kind, _text("0"), _text("cpu"), _number(count)]) + b"Q"
    parts = [held, _number(0), _tuple([_number(count)]), _tuple([_number(1)]), b"\x89", b"}"]
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + _tuple(parts) + b"R"


def mutated_torch(file, random):
    """A good `.pth` in which some steps of its pickle, or what its zip declares, are others.

    >>> import random
    >>> good = archive({"x/data.pkl": pickle.dumps({}, 2)})
    >>> mutated_torch(good, random.Random(0)) != good
    True
    """
    if random.random() < 0.15:
        return flipped(file, random)
    try:
        with zipfile.ZipFile(io.BytesIO(file)) as zipped:
            entries = {name: zipped.read(name) for name in zipped.namelist()}
    except Exception:  # not a zip any more
        return _mutated_pickle(file, random)
    key = next((name for name in entries if name.endswith("data.pkl")), None)
    if key is not None and random.random() < 0.8:
        entries[key] = _mutated_pickle(entries[key], random)
    elif entries:
        name = random.choice(list(entries))
        entries[name] = entries[name][: random.randrange(len(entries[name]) + 1)]
    file = archive(entries)
    if random.random() < 0.3:
        file = lie(file, random.randrange(20), random.choice(EDGES))
    return file


def _mutated_pickle(pickled, random):
    """The pickle with a few steps repeated, left out, exchanged, or with other numbers."""
    positions = []
    try:
        for _, _, position in pickletools.genops(pickled):
            positions.append(position)
    except Exception:  # what follows is no step
        pass
    bounds = [*positions, len(pickled)]
    parts = [pickled[start:end] for start, end in itertools.pairwise(bounds)]
    for _ in range(random.randint(1, 4)):
        if not parts:
            break
        k = random.randrange(len(parts))
        change = random.randrange(6)
        if change == 0:
            del parts[k]
        elif change == 1:
            parts.insert(k, random.choice(parts))
        elif change == 2:
            other = random.randrange(len(parts))
            parts[k], parts[other] = parts[other], parts[k]
        elif change == 3:
            parts[k] = random.choice(ODD)
        elif change == 4:
            parts[k] = _number(random.choice(EDGES))
        else:
            parts[k] = parts[k] * min(random.choice((2, 50, 3000)), 1 + MOST_BYTES // max(1, len(parts[k])))
    return b"".join(parts)[:MOST_BYTES]


def flipped(file, random):
    """The file with a few bytes changed, or cut short.

    >>> import random
    >>> len(flipped(b"abc", random.Random(1))) <= 3
    True
    """
    changed = bytearray(file)
    for _ in range(random.randint(1, 8)):
        if changed:
            changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed[: random.randrange(len(changed) + 1)]) if random.random() < 0.2 else bytes(changed)


# ---- JSON: dataset.json, and what models and saved streets say of themselves

json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.sampled_from(EDGES),
        st.floats(),
        st.text(max_size=6),
        st.sampled_from(["class_names", "inade", "spade_vae", "batch", "toy_town"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=8,
)


def deep(depth):
    """JSON of lists in lists, deeper than a parser of recursive calls can follow.

    >>> deep(2)
    '[[]]'
    """
    return "[" * depth + "]" * depth


def paths(value, path=()):
    """All places in nested dicts and lists, as tuples of keys.

    >>> list(paths({"a": [1]}))
    [('a',), ('a', 0)]
    """
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from paths(inner, (*path, key))


def changed_at(value, path, new):
    """A copy of nested dicts and lists with another value at a place.

    >>> changed_at({"a": [1, 2]}, ("a", 0), None)
    {'a': [None, 2]}
    """
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed_at(copy[path[0]], path[1:], new)
    return copy


def without(value, path):
    """The same with nothing at that place.

    >>> without({"a": [1, 2]}, ("a", 0))
    {'a': [2]}
    """
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = without(copy[path[0]], path[1:])
    return copy


@st.composite
def changed_json(draw, good, top=()):
    """Nested dicts and lists in which one to three places are others, or gone. top: keys that are changed often."""
    value = good
    for _ in range(draw(st.integers(1, 3))):
        places = list(paths(value))
        if not places:
            break
        path = draw(st.sampled_from(places))
        if top and draw(st.booleans()):
            path = (draw(st.sampled_from(top)),)
            if path[0] not in value:
                continue
        value = without(value, path) if draw(st.integers(0, 4)) == 0 else changed_at(value, path, draw(json_values))
    return value


DESCRIPTION = {
    "class_names": ["sky", "car", "road"],
    "class_colors": [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
    "thing_classes": [1],
    "ignore_index": 255,
}
descriptions = st.one_of(
    changed_json(DESCRIPTION, tuple(DESCRIPTION)).map(json.dumps),
    json_values.map(json.dumps),
    st.sampled_from([deep(100), deep(100_000), "9" * 10_000, "", "null", "\ufeff{}", '{"a": 1' + "0" * 5000 + "}"]),
    st.text(max_size=30),
).map(lambda text: text.encode("utf-8", "surrogatepass"))


_SQUARE = [0, 0, 4, 0, 4, 3]
_RUNS = {"size": [6, 8], "counts": [8, 4, 36]}
OUTLINES = {
    "coco": {
        "images": [{"id": 7, "file_name": "a.png", "height": 6, "width": 8}],
        "annotations": [
            {"image_id": 7, "category_id": 3, "segmentation": [_SQUARE], "area": 9, "iscrowd": 0},
            {"image_id": 7, "category_id": 4, "segmentation": _RUNS, "area": 4, "iscrowd": 1},
            {"image_id": 7, "category_id": 4, "segmentation": {**_RUNS, "counts": "8442"}, "area": 4, "iscrowd": 1},
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}],
    },
    "labelme": {
        "shapes": [
            {"label": "cat", "points": [[0, 0], [4, 0], [4, 3]], "shape_type": "polygon", "group_id": None},
            {"label": "dog", "points": [[0, 0], [4, 3]], "shape_type": "rectangle", "group_id": 1},
            {"label": "dog", "points": [[3, 3], [4, 3]], "shape_type": "circle", "group_id": 1},
        ]
    },
    "cityscapes": {"objects": [{"label": "cargroup", "polygon": [[0, 0], [4, 0], [4, 3]]}]},
}


# ---- safetensors: a model of this project


def tensor_file(tensors, metadata, told=None):
    """The file of {name: ndarray} and metadata with the right digest. told: more or other entries of the header.

    >>> len(tensor_file({"a": np.zeros(2, "float32")}, {})) > 8
    True
    """
    header = {"metadata": json.dumps(metadata), "sha256": digest(tensors), **(told or {})}
    return safetensors.numpy.save(tensors, {key: str(value) for key, value in header.items()})


@st.composite
def model_files(draw, good_tensors, good_metadata):
    """A model whose metadata, tensors or header are changed; its digest is right unless that is what is changed."""
    tensors = dict(good_tensors)
    metadata = good_metadata
    if draw(st.booleans()):
        metadata = draw(changed_json(good_metadata, tuple(good_metadata)))
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from(sorted(good_tensors)))
        kind = draw(st.sampled_from(["float32", "float16", "float64", "int64", "uint8", "bool"]))
        change = draw(st.integers(0, 3))
        if change == 0:
            tensors.pop(name, None)
        elif change == 1:
            tensors[name] = np.zeros(draw(st.lists(st.integers(0, 3), max_size=5)), kind)
        elif change == 2:
            tensors[name] = good_tensors[name].astype(kind)
        else:
            tensors[name + "." + draw(st.text(max_size=3))] = good_tensors[name]
    told = {}
    if draw(st.integers(0, 5)) == 0:
        text = st.sampled_from([deep(100_000), "null", "[]", "{", ""])
        told = draw(st.dictionaries(st.sampled_from(["metadata", "sha256"]), text, min_size=1, max_size=2))
    file = tensor_file(tensors, metadata, told)
    if draw(st.integers(0, 4)) == 0:
        file = mutated_header(file, draw(st.randoms(use_true_random=False)))
    return file


def mutated_header(file, random):
    """The file with another header in front of the same numbers, or another length of it.

    >>> import random
    >>> good = tensor_file({"a": np.zeros(2, "float32")}, {})
    >>> mutated_header(good, random.Random(0)) != good
    True
    """
    (length,) = struct.unpack_from("<Q", file)
    try:
        header = json.loads(file[8 : 8 + length])
    except ValueError:
        return flipped(file, random)
    places = [path for path in paths(header) if path[0] != "__metadata__"] or list(paths(header))
    if places:
        header = changed_at(header, random.choice(places), random.choice([*EDGES, None, "F64", "BOOL", [], [2**62, 2]]))
    content = json.dumps(header).encode()
    declared = len(content) if random.random() < 0.8 else random.choice(EDGES) % 2**64
    return struct.pack("<Q", declared) + content + file[8 + length :]


# ---- Pictures and maps


def png_chunk(name, content):
    """A chunk of a PNG with the right checksum.

    >>> png_chunk(b"IEND", b"").hex()
    '0000000049454e44ae426082'
    """
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_chunks(file):
    """[(name, content)] of a PNG.

    >>> from inade_lite.files import png
    >>> [name for name, _ in png_chunks(png(np.zeros([2, 2], "uint8")))]
    [b'IHDR', b'IDAT', b'IEND']
    """
    chunks = []
    at = 8
    while at + 12 <= len(file):
        (length,) = struct.unpack_from(">I", file, at)
        chunks.append((file[at + 4 : at + 8], file[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def mutated_picture(file, random):
    """A PNG in which a chunk is gone, doubled, elsewhere or other; another file with bytes changed.

    >>> import random
    >>> from inade_lite.files import png
    >>> good = png(np.zeros([2, 2], "uint8"))
    >>> mutated_picture(good, random.Random(0)) != good
    True
    """
    if not file.startswith(b"\x89PNG") or random.random() < 0.15:
        return flipped(file, random)
    chunks = png_chunks(file)
    for _ in range(random.randint(1, 3)):
        if not chunks:
            break
        k = random.randrange(len(chunks))
        name, content = chunks[k]
        change = random.randrange(6)
        if change == 0:
            del chunks[k]
        elif change == 1:
            chunks.insert(random.randrange(len(chunks) + 1), chunks[k])
        elif change == 2 and name == b"IHDR" and len(content) >= 13:
            side = random.choice([n for n in EDGES if 0 <= n < 2**32])
            content = bytearray(content)
            struct.pack_into(">I", content, random.choice([0, 4]), side)
            chunks[k] = (name, bytes(content))
        elif change == 3 and name == b"IHDR" and len(content) >= 13:
            content = bytearray(content)
            content[random.randrange(8, 13)] = random.choice([0, 1, 2, 3, 4, 6, 8, 16, 255])
            chunks[k] = (name, bytes(content))
        elif change == 4:
            more = random.choice([b"PLTE", b"tRNS", b"iCCP", b"zTXt", b"gAMA", b"acTL", b"eXIf", b"IDAT", b"abcd"])
            packed = zlib.compress(bytes(random.choice([10, 1000, 3_000_000])))
            chunks.insert(k, (more, random.choice([bytes(6), b"name\0\0" + packed, packed])))
        else:
            chunks[k] = (name, flipped(content, random))
    return file[:8] + b"".join(png_chunk(name, content) for name, content in chunks)


# ---- A street that the explorer has saved


@st.composite
def saved_streets(draw, good):
    """A saved street, a dict, with other entries, other texts or arrays of other lengths."""
    street = draw(changed_json(good, tuple(good)))
    if isinstance(street, dict) and draw(st.booleans()):
        name = draw(st.sampled_from(["label", "instance", "noise", "latent"]))
        told = base64.b64decode(good[name])
        content = bytearray(told)
        for _ in range(draw(st.integers(0, 4))):
            content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
        content = content[: draw(st.one_of(st.just(len(told)), st.integers(0, len(told))))]
        street = {**street, name: base64.b64encode(content).decode()}
    return street
