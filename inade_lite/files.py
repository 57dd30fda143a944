"""Files, written whole or not at all, and where the files are that come with the project."""

import contextlib
import csv
import glob
import io
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from PIL import Image

# The models and the judge: beside the package in a clone, inside of it where pip has installed it.
_INSTALLED = Path(__file__).parent / "shipped"
SHIPPED = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).resolve().parents[1] / "data"

PARTIAL = ".part"  # how a file ends that is being written
OLD = 3600  # seconds after which nobody writes it any more


def write_file(path, content, before=None):
    """Write bytes to a file, whole or not at all. After an OSError, such as a full disk, an old file is as it was.

    before: a path under which the old file, if there is one, stays.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "letter.txt"
    >>> write_file(path, b"whole")
    >>> path.read_text()
    'whole'
    """
    with naming(path):
        _sweep(path)
        # A name of its own, so that two processes do not write into one file.
        with tempfile.NamedTemporaryFile(
            "wb", dir=path.parent, prefix=f"{path.name}.", suffix=PARTIAL, delete=False
        ) as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # else a crash of the machine may leave the new name and none of the content
                os.chmod(file.name, 0o666 & ~_umask())
                if before is not None and path.exists():
                    keep_as(path, before)
                os.replace(file.name, path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise


def _sweep(path):
    """Remove what a process left that was killed while it wrote this file."""
    for partial in path.parent.glob(f"{glob.escape(path.name)}.*{PARTIAL}"):
        with contextlib.suppress(OSError):
            if time.time() - partial.stat().st_mtime > OLD:
                partial.unlink()


def _umask():
    """Which rights a new file does not get; Python can only ask by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def keep_as(path, other):
    """Give a file a second name, in the place of an older file of that name. The first name is never without a file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "letter.txt"
    >>> write_file(path, b"old")
    >>> keep_as(path, path.with_name("before.txt"))
    >>> write_file(path, b"new")
    >>> path.with_name("before.txt").read_text()
    'old'
    """
    with naming(other):
        _sweep(other)
        partial = other.with_name(f"{other.name}.{os.getpid()}{PARTIAL}")
        partial.unlink(missing_ok=True)  # never write into what may be a second name of a good file
        try:
            os.link(path, partial)
        except OSError:  # a file system without links
            shutil.copyfile(path, partial)
        os.replace(partial, other)
        # Where both were names of one file, as after a kill between the two renames of a save, this has done nothing.
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def naming(path):
    """Let an OSError that is raised inside name this file and the remedy.

    >>> with naming("runs/losses.csv"):  # doctest: +ELLIPSIS
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    OSError: [Errno 28] No space left on device; ... free some space ...: 'runs/losses.csv'
    """
    try:
        yield
    except OSError as error:
        remedy = "could not write; free some space or choose another folder"
        raise OSError(error.errno, f"{error.strerror}; {remedy}", str(path)) from error


def make_folder(path):
    """Make a folder and those above it, if they are not there. An OSError names it and the remedy.

    >>> import tempfile
    >>> make_folder(Path(tempfile.mkdtemp()) / "a/b").name
    'b'
    """
    path = Path(path)
    with naming(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def csv_text(rows, header=True):
    """Dicts with the same keys as lines of a CSV file, with their names in front of the first one.

    >>> csv_text([{"step": 1, "loss": 0.5}])
    'step,loss\\r\\n1,0.5\\r\\n'
    """
    file = io.StringIO()
    if rows:
        writer = csv.DictWriter(file, list(rows[0]))
        if header:
            writer.writeheader()
        writer.writerows(rows)
    return file.getvalue()


def read_json(path):
    """What a JSON file says. A ValueError names the file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.json"
    >>> write_file(path, b"[1]")
    >>> read_json(path)
    [1]
    """
    try:
        text = Path(path).read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not valid UTF-8: {error}") from error
    return parse_json(text, path)


def parse_json(text, path):
    """What a JSON text says. A ValueError names the file at `path`, which it came from.

    >>> parse_json("{", "a.json")
    Traceback (most recent call last):
    ValueError: a.json is not valid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(f"{path} is not valid JSON: its lists lie too deep in one another") from None
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error


def png(image, optimize=False):
    """The bytes of a PNG of uint8 [H, W] or [H, W, 3], or of uint16 [H, W]. `optimize` makes it smaller, slowly.

    >>> import numpy as np
    >>> png(np.zeros([4, 4], "uint8"))[1:4]
    b'PNG'
    """
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", optimize=optimize)
    return file.getvalue()
