"""PyTorch's checkpoints, read without PyTorch and without running anything that a file says.

A `.pth` file is a pickle and the numbers of its tensors. A pickle is a program: it may name any function and have it
called. Here it may name only what a state dict is made of, and none of these does more than remember its arguments.
"""

import functools
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np

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
            raise ValueError(f"{path} is not a state dict of PyTorch: {reason}") from error


def _check_state_dict(content):
    """ValueError, with the remedy, if this is no dict of tensors alone."""
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {_type(content)}, expected a dict of tensors by their names")
    if all(isinstance(value, _Tensor) for value in content.values()):
        return
    entries = [f"{key!r}: {_type(value)}" for key, value in content.items()]
    more = ", ..." if len(entries) > 6 else ""
    # A training script saves the state dict as one entry of several, and the others may be anything.
    inner = [key for key, value in content.items() if isinstance(value, dict)]
    state = f"checkpoint[{inner[0]!r}]" if inner else "model.state_dict()"
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


class _Name:
    """What a pickle may name besides OrderedDict. It has no attributes that a pickle could set."""

    __slots__ = ()


class _StorageType(str, _Name):
    """torch.FloatStorage and the like: an empty mark, never called."""

    __slots__ = ()


class _RebuildTensor(_Name):
    """torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)."""

    __slots__ = ()

    def __call__(self, storage, offset, size, stride, *ignored):
        return _Tensor(storage, offset, size, stride)


class _RebuildParameter(_Name):
    """torch._utils._rebuild_parameter(tensor, requires_grad, hooks)."""

    __slots__ = ()

    def __call__(self, tensor, *ignored):
        return tensor


class _Unpickler(pickle.Unpickler):
    """An unpickler that knows the names of a state dict and refuses every other."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in STORAGES:
            return _StorageType(STORAGES[name])
        if (module, name) in (("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_tensor")):
            return _RebuildTensor()
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _RebuildParameter()
        raise ValueError(
            f"it names {module}.{name}, which is neither a tensor nor a container, and was not run; "
            "save the state dict alone: torch.save(model.state_dict(), path)"
        )

    def persistent_load(self, name):
        kind, storage_type, key, _, count, *view = name
        if kind != "storage" or not isinstance(storage_type, _StorageType) or any(view):
            raise ValueError(f"it holds {name!r}, expected a storage")
        return _Storage(str(key), str(storage_type), _integer(count))


def _unpickle(file):
    """The object of the pickle at the file's position, which moves behind it."""
    start = file.tell()
    codes = list(pickletools.genops(file))
    for code, argument, _ in codes:
        # Python makes room for as many entries of its memo as a pickle asks for, be it more than there is memory.
        if "PUT" in code.name and argument is not None and argument > 2 * len(codes):
            raise ValueError("its pickle asks for far more memory than it needs")
    file.seek(start)
    return _Unpickler(file, encoding="utf-8").load()


# ---- The two formats: each gives the content, and a function storage -> ndarray


def _read_zip(file):
    """<name>/data.pkl holds the content and names the storages, which are files in <name>/data/."""
    archive = zipfile.ZipFile(file)
    pickles = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError("it is a zip archive without one <name>/data.pkl; unpack it first if it holds the checkpoint")
    if archive.getinfo(pickles[0]).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"its {pickles[0]} is compressed, as torch.save never does")
    root = pickles[0].removesuffix("data.pkl")
    order = "little"
    if f"{root}byteorder" in archive.namelist():
        order = archive.read(f"{root}byteorder").decode()

    @functools.cache  # several tensors may share one
    def storage(s):
        entry = archive.getinfo(f"{root}data/{s.key}")
        dtype = np.dtype(s.type).newbyteorder(order)
        # A small file must not become a large one.
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != s.count * dtype.itemsize:
            raise ValueError(f"{entry.filename} has {entry.file_size} bytes, expected {s.count} numbers of {dtype}")
        content = archive.read(entry)
        # What the archive declares need not be what it holds.
        if len(content) != entry.file_size:
            raise ValueError(f"{entry.filename} declares {entry.file_size} bytes and holds {len(content)}")
        return np.frombuffer(content, dtype)

    with archive.open(pickles[0]) as pickled:
        return _unpickle(pickled), storage


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
    # The storages themselves do not tell their types; the tensors that use them do.
    types = {tensor.storage.key: tensor.storage.type for tensor in _tensors(content)}
    storages = {}
    for key in keys:
        if key not in types:
            raise ValueError(f"its storage {key!r} belongs to no tensor, so its type is not known")
        count = _integer(*np.fromfile(file, f"{order}i8", 1).tolist())
        storages[key] = np.fromfile(file, f"{order}{types[key]}", count)
        if len(storages[key]) != count:
            raise ValueError(f"it is cut short in storage {key!r}: {len(storages[key])} of {count} numbers")

    def storage(s):
        if storages[s.key].size != s.count:
            raise ValueError(f"storage {s.key!r} has {storages[s.key].size} numbers, expected {s.count}")
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


def _array(name, tensor, storage):
    """The tensor as an ndarray, if all of it lies within its storage."""
    s, offset, size, stride = tensor
    if not isinstance(s, _Storage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise ValueError(f"the tensor {name!r} has a storage, size and stride that are none")
    offset = _integer(offset)
    size = [_integer(n) for n in size]
    stride = [_integer(n) for n in stride]
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    numbers = storage(s)
    # as_strided reads wherever it is told to. A stride of 0 repeats numbers without end, so the count is checked, too.
    if count and (last >= numbers.size or count > numbers.size):
        raise ValueError(
            f"the tensor {name!r}, size {size} with stride {stride} from {offset} on, does not fit its "
            f"storage of {numbers.size} numbers"
        )
    if count == 0:
        return np.zeros(size, numbers.dtype)
    byte_stride = [step * numbers.itemsize for step in stride]
    array = np.lib.stride_tricks.as_strided(numbers[offset:], size, byte_stride, writeable=False)
    if s.type == "u2":
        # bfloat16: the lower half of the float32 is zero.
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _integer(value):
    """The value, if it is a sound count. True and floats, which Python would take for integers, are not."""
    if type(value) is not int or not 0 <= value < 2**48:
        raise ValueError(f"it counts {value!r}, expected an integer of 0 or more")
    return value
