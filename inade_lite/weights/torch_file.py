"""PyTorch's checkpoints, read without PyTorch and without running anything that a file says.

A `.pth` file is a pickle and the numbers of its tensors. A pickle is a program: it may name any function and have it
called. Here it may name only what a state dict is made of, and none of these does more than remember its arguments
(`pickles.py`). Every size that a file declares is checked against the bytes that are there before anything is read.
"""

import functools
import math
import os
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from reprlib import repr as short
from typing import NamedTuple

import numpy as np

from .pickles import unpickle

STORAGES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",  # the upper half of a float32
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}

# How a file in the format before zip begins.
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001

MOST_AXES = 32  # of a tensor
MOST_DIRECTORY = 8_000_000  # bytes of a zip's directory, which zipfile reads as a whole: about 100,000 tensors


def read_torch_checkpoint(path):
    """{name: ndarray} of a state dict that `torch.save` wrote, in the zip format (since 1.6) or the one before it.

    bfloat16 becomes float32, other types stay. Arrays may share memory and be read-only.

    FileNotFoundError, or a ValueError that names the file: if it is damaged, if it names anything but tensors and
    containers, or if it holds anything but a state dict, for example one among other things.

    >>> state = read_torch_checkpoint(Path(__file__).parents[2] / "tests/torch_files/tensors_zip.pth")
    >>> state["whole"].shape
    (4, 6)
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; give the file that torch.save wrote, best_net_G.pth for one")
    with open(path, "rb") as file:
        try:
            content, storage = _read_zip(file) if zipfile.is_zipfile(file) else _read_legacy(file)
            _check_state_dict(content)
            return {str(name): _array(name, tensor, storage) for name, tensor in content.items()}
        except Exception as error:  # whatever a damaged or hostile file makes pickle, zipfile and numpy raise
            reason = str(error) if isinstance(error, ValueError) else f"it is damaged ({type(error).__name__}: {error})"
            raise ValueError(f"{path} is not a state dict of PyTorch: {_plain(reason, 600)}") from error


def _check_state_dict(content):
    """ValueError, with the remedy, if this is no dict of tensors alone."""
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {_type(content)}, expected a dict of tensors by their names")
    if all(isinstance(value, _Tensor) for value in content.values()):
        return
    entries = [f"{short(key)}: {_type(value)}" for key, value in list(content.items())[:7]]
    more = ", ..." if len(entries) > 6 else ""
    # A training script saves the state dict as one entry of several, and the others may be anything.
    inner = [key for key, value in content.items() if isinstance(value, dict)]
    state = f"checkpoint[{short(inner[0])}]" if inner else "model.state_dict()"
    raise ValueError(
        f"it holds {{{', '.join(entries[:6])}{more}}}, expected tensors only; "
        f"save the state dict alone, with PyTorch: torch.save({state}, path)"
    )


def _type(value):
    return type(value).__name__.strip("_")


# ---- The pickle: what it may name, and what becomes of it


class _Storage(NamedTuple):
    """The numbers of one or several tensors: how the file calls them, their type and how many there are."""

    key: str
    type: str
    count: int


class _Tensor(NamedTuple):
    """A view into a storage. Offset and stride count numbers, not bytes."""

    storage: _Storage
    offset: int
    size: tuple
    stride: tuple


class _Mark(NamedTuple):
    """What stands for a name of PyTorch's: a kind, and for a storage the type of its numbers."""

    kind: str
    type: str = ""


def _name(module, attribute):
    """The mark of a name; ValueError for every other."""
    if (module, attribute) == ("collections", "OrderedDict"):
        return _Mark("dict")
    if module == "torch" and isinstance(attribute, str) and attribute in STORAGES:
        return _Mark("storage", STORAGES[attribute])
    if (module, attribute) in (("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_tensor")):
        return _Mark("tensor")
    if (module, attribute) == ("torch._utils", "_rebuild_parameter"):
        return _Mark("parameter")
    raise ValueError(
        f"it names {_plain(module)}.{_plain(attribute)}, which is neither a tensor nor a container, and was not run; "
        "save the state dict alone: torch.save(model.state_dict(), path)"
    )


def _plain(name, length=99):
    """At most so many characters of a text that a file may have chosen."""
    return name[:length] if isinstance(name, str) else short(name)


def _call(mark, arguments):
    """What a call gives: OrderedDict(), _rebuild_tensor_v2(storage, offset, size, stride, ...), _rebuild_parameter."""
    kind = mark.kind if isinstance(mark, _Mark) else None
    if kind == "dict" and not arguments:
        return OrderedDict()
    if kind == "tensor" and len(arguments) >= 4:
        return _Tensor(*arguments[:4])
    if kind == "parameter" and arguments:
        return arguments[0]
    raise ValueError(f"it calls {short(mark)} with {len(arguments)} arguments, which no state dict does")


def _storage(name):
    """What ("storage", type, key, device, count) stands for."""
    if not isinstance(name, tuple) or len(name) < 5:
        raise ValueError(f"it holds {short(name)}, expected a storage")
    kind, mark, key, _, count, *view = name
    sound = kind == "storage" and isinstance(mark, _Mark) and mark.kind == "storage" and isinstance(key, str | int)
    if not sound or any(part is not None for part in view):
        raise ValueError(f"it holds {short(name)}, expected a storage")
    return _Storage(str(key), mark.type, _integer(count))


def _unpickle(file):
    """The object of the pickle at the file's position, which moves behind it."""
    return unpickle(file, _name, _call, _storage)


# ---- The two formats: each gives the content, and a function storage -> ndarray


def _read_zip(file):
    """<name>/data.pkl holds the content and names the storages, which are files in <name>/data/."""
    _check_directory(file)
    archive = zipfile.ZipFile(file)
    pickles = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError("it is a zip archive without one <name>/data.pkl; unpack it first if it holds the checkpoint")
    if archive.getinfo(pickles[0]).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"its {pickles[0]} is compressed, as torch.save never does")
    root = pickles[0].removesuffix("data.pkl")
    order = "little"
    if f"{root}byteorder" in archive.namelist():
        entry = archive.getinfo(f"{root}byteorder")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size not in (len("little"), len("big")):
            raise ValueError(f"its {entry.filename} has {entry.file_size} bytes, expected little or big")
        order = archive.read(entry).decode()

    @functools.cache  # several tensors may share one
    def storage(s):
        try:
            entry = archive.getinfo(f"{root}data/{s.key}")
        except KeyError:
            raise ValueError(f"its storage {s.key[:99]!r} is not there") from None
        dtype = np.dtype(s.type).newbyteorder(order)
        # A small file must not become a large one.
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != s.count * dtype.itemsize:
            raise ValueError(f"{entry.filename} has {entry.file_size} bytes, expected {s.count} numbers of {dtype}")
        content = archive.read(entry)
        # What the archive declares need not be what it holds.
        if len(content) != entry.file_size:
            raise ValueError(f"{entry.filename} declares {entry.file_size} bytes and holds {len(content)}")
        return _numbers(np.frombuffer(content, dtype), s.type)

    with archive.open(pickles[0]) as pickled:
        return _unpickle(pickled), storage


def _check_directory(file):
    """ValueError for a zip whose directory would take long to read. The file's position stays at its beginning."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 2**16 - 22))
    end = file.read()
    file.seek(0)
    # The end's record: a mark, ..., the bytes of the directory. A larger one has its own record in front of it.
    at = end.rfind(b"PK\5\6")
    at_large = end.rfind(b"PK\6\6")
    bytes_of = struct.unpack_from("<I", end, at + 12)[0] if 0 <= at <= len(end) - 22 else 0
    if 0 <= at_large <= len(end) - 56:
        bytes_of = max(bytes_of % 0xFFFFFFFF, struct.unpack_from("<Q", end, at_large + 40)[0])
    if bytes_of > MOST_DIRECTORY:
        raise ValueError(f"its directory has {bytes_of:,} bytes, expected {MOST_DIRECTORY:,} at most")


def _read_legacy(file):
    """Five pickles one behind the other, of which the fourth is the content; then each storage's length and numbers."""
    file.seek(0)
    beginning = file.read(16)
    file.seek(0)
    try:
        magic = _unpickle(file)
        protocol = _unpickle(file)
        system = _unpickle(file)
        sound = (magic, protocol) == (LEGACY_MAGIC, LEGACY_PROTOCOL) and isinstance(system, dict)
    except Exception:
        sound = False
    if not sound:
        raise ValueError(f"it begins with {beginning!r}, not as torch.save begins a file; download or export it again")
    order = "<" if system.get("little_endian", True) else ">"
    content = _unpickle(file)
    keys = _unpickle(file)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError(f"it lists its storages as {short(keys)}, expected their names")
    size = os.fstat(file.fileno()).st_size
    # The storages themselves do not tell their types; the tensors that use them do.
    types = {s.key: s.type for s, *_ in _tensors(content) if isinstance(s, _Storage)}
    storages = {}
    for key in keys:
        if key not in types:
            raise ValueError(f"its storage {short(key)} belongs to no tensor, so its type is not known")
        count = _integer(*np.fromfile(file, f"{order}i8", 1).tolist())
        dtype = np.dtype(f"{order}{types[key]}")
        there = min(count, (size - file.tell()) // dtype.itemsize)
        if there < count:
            raise ValueError(f"it is cut short in storage {short(key)}: {there} of {count} numbers")
        storages[key] = _numbers(np.fromfile(file, dtype, count), types[key])

    def storage(s):
        if s.key not in storages:
            raise ValueError(f"its storage {short(s.key)} is not there")
        if storages[s.key].size != s.count:
            raise ValueError(f"storage {short(s.key)} has {storages[s.key].size} numbers, expected {s.count}")
        return storages[s.key]

    return content, storage


def _tensors(content):
    """All tensors of nested dicts, lists and tuples, each container once: a pickle may hold one in itself."""
    waiting = [content]
    seen = set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, _Tensor):
            yield value
        elif isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            waiting += value.values() if isinstance(value, dict) else value


# ---- One tensor


def _numbers(array, kind):
    """The numbers of a storage as this machine has them. Once for all its tensors: a small file may have many."""
    if kind == "u2":
        # bfloat16: the lower half of the float32 is zero.
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _array(name, tensor, storage):
    """The tensor as an ndarray, if all of it lies within its storage."""
    s, offset, size, stride = tensor
    if not isinstance(s, _Storage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise ValueError(f"the tensor {short(name)} has a storage, size and stride that are none")
    if len(size) > MOST_AXES or len(stride) != len(size):
        raise ValueError(
            f"the tensor {short(name)} has {len(size)} axes and {len(stride)} strides, expected {MOST_AXES} at most"
        )
    offset = _integer(offset)
    size = [_integer(n) for n in size]
    stride = [_integer(n) for n in stride]
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    numbers = storage(s)
    # as_strided reads wherever it is told to. A stride of 0 repeats numbers without end, so the count is checked, too.
    if count and (last >= numbers.size or count > numbers.size):
        raise ValueError(
            f"the tensor {short(name)}, size {size} with stride {stride} from {offset} on, does not fit its "
            f"storage of {numbers.size} numbers"
        )
    if count == 0:
        return np.zeros(size, numbers.dtype)
    byte_stride = [step * numbers.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(numbers[offset:], size, byte_stride, writeable=False)


def _integer(value):
    """The value, if it is a sound count. True and floats, which Python would take for integers, are not."""
    if type(value) is not int or not 0 <= value < 2**48:
        raise ValueError(f"it counts {short(value)}, expected an integer of 0 or more")
    return value
