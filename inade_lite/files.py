"""Files, written whole or not at all, and where the files are that come with the project."""

import contextlib
import io
import os
from pathlib import Path

from PIL import Image

# The models and the judge: beside the package in a clone, inside of it where pip has installed it.
_INSTALLED = Path(__file__).parent / "shipped"
SHIPPED = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).resolve().parents[1] / "data"


def write_file(path, content):
    """Write bytes to a file, whole or not at all. After an OSError, such as a full disk, an old file is as it was.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "letter.txt"
    >>> write_file(path, b"whole")
    >>> path.read_text()
    'whole'
    """
    partial = path.with_name(path.name + ".part")
    with naming(path):
        try:
            partial.write_bytes(content)
            os.replace(partial, path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise


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


def png(image, optimize=False):
    """The bytes of a PNG of uint8 [H, W] or [H, W, 3], or of uint16 [H, W]. `optimize` makes it smaller, slowly.

    >>> import numpy as np
    >>> png(np.zeros([4, 4], "uint8"))[1:4]
    b'PNG'
    """
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", optimize=optimize)
    return file.getvalue()
