"""Pictures and maps: read from files, resized, turned into arrays."""

import warnings

import numpy as np
from PIL import Image, ImageOps

PHOTOS = (".png", ".jpg", ".jpeg", ".webp")
PHOTO_MODES = ("RGB", "L", "RGBA", "LA", "P", "PA", "CMYK", "1")  # each becomes RGB

# What Pillow may take a file for, whatever its name ends in: it would hand an EPS to another program.
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF")

MOST_PIXELS = 2**26  # of a file: a picture and its maps, all at once, then take less than 1 GB
LARGE = 2**22  # pixels from which a picture and its maps are read alone


def height_width(size, name="image_size"):
    """An int or (H, W) as (H, W). ValueError, which calls the size `name`, for anything else.

    >>> height_width(64), height_width((48, 96))
    ((64, 64), (48, 96))
    """
    sides = (size, size) if np.ndim(size) == 0 else tuple(size)
    if len(sides) != 2 or any(side != int(side) or side < 1 for side in sides):
        raise ValueError(f"{name} is {size!r}; expected an int or (H, W)")
    height, width = sides
    return int(height), int(width)


# ---- Files


def open_image(path, modes, remedy, as_shown=True):
    """The decoded PIL image, if its mode is one of `modes`.

    as_shown: whether pixels are turned as a camera tells beside them (EXIF), and as all programs show them.

    remedy: mode -> the end of the ValueError about an image of another mode. A file that cannot be decoded, or has more
    than MOST_PIXELS, is a ValueError, too; one that cannot be read is an OSError.

    >>> import io
    >>> from inade_lite.files import png
    >>> open_image(io.BytesIO(png(np.zeros((2, 3), np.uint8))), modes=["L"], remedy=str).size
    (3, 2)
    """
    too_large = (
        f"{path} has too many pixels, {MOST_PIXELS // 10**6} million are the most; shrink it, or cut it into tiles"
    )
    try:
        with _undecoded(path) as image:
            fits = image.width * image.height <= MOST_PIXELS
            if fits:
                image.load()
                image = ImageOps.exif_transpose(image) if as_shown else image
    except (FileNotFoundError, PermissionError):
        raise  # they name the file
    except Image.DecompressionBombError as error:
        raise ValueError(too_large) from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, EOFError, struct.error, ...
        raise ValueError(f"{path} cannot be decoded ({error}); it is damaged, copy or export it again") from error
    if not fits:
        raise ValueError(too_large)
    if image.mode not in modes:
        raise ValueError(f"{path} has mode {image.mode!r}, expected {' or '.join(modes)}; {remedy(image.mode)}")
    return image


def _undecoded(path):
    """The PIL image of a file, of which only the size is known yet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # of many pixels, which are counted here
        return Image.open(path, formats=FORMATS)


def is_large(path):
    """Whether a picture has so many pixels that it is to be read alone. A file that tells none is not.

    >>> import io
    >>> from inade_lite.files import png
    >>> is_large(io.BytesIO(png(np.zeros((2, 3), np.uint8))))
    False
    """
    try:
        with _undecoded(path) as image:
            return image.width * image.height > LARGE
    except Exception:  # whoever reads it tells what is wrong
        return False


def read_image(path, modes=PHOTO_MODES, as_shown=True):
    """uint8 [H, W, 3] from a picture. Gray and indexed ones become RGB, what is transparent becomes white.

    as_shown: see `open_image`.

    >>> import io
    >>> from inade_lite.files import png
    >>> read_image(io.BytesIO(png(np.zeros((2, 3, 3), np.uint8)))).shape
    (2, 3, 3)
    """
    image = open_image(path, modes, _remedy_for_image, as_shown)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    if image.mode != "RGB":
        image = image.convert("RGB")
    return np.asarray(image)


def _remedy_for_image(mode):
    """What to do about a picture of that mode."""
    return "Image.open(path).convert('RGB').save(path) converts it"


def read_map(path, modes=("L",)):
    """Ids [H, W] from a gray PNG, of the integer type that the file has.

    >>> import io
    >>> from inade_lite.files import png
    >>> read_map(io.BytesIO(png(np.array([[0, 24001]], np.uint16))), modes=["I;16", "I"]).tolist()
    [[0, 24001]]
    """
    image = open_image(path, modes, _remedy_for_map)
    ids = np.asarray(image)
    if ids.min() < 0:
        row, column = np.argwhere(ids < 0)[0]
        raise ValueError(
            f"{path}: id {ids[row, column]} at row {row}, column {column}; ids are 0 or more, renumber them"
        )
    return ids


def read_sketch(path):
    """A drawing, dark on white, as uint8 [H, W]: 255 on a line, 0 on the paper.

    >>> import io
    >>> from inade_lite.files import png
    >>> read_sketch(io.BytesIO(png(np.array([[0, 255]], np.uint8)))).tolist()
    [[255, 0]]
    """
    drawing = Image.fromarray(read_image(path)).convert("L")
    return 255 - np.asarray(drawing)


def _remedy_for_map(mode):
    """What to do about a map of that mode."""
    if mode == "P":
        return "if its palette indices are the ids: Image.fromarray(np.asarray(Image.open(path))).save(path)"
    return "a map holds ids, not colors: make ids [H, W] of it and save Image.fromarray(ids.astype('uint8'))"


# ---- Sizes


def resize_image(image, size):
    """uint8 [H, W, 3] at another size (h, w), bicubic.

    >>> resize_image(np.zeros((2, 3, 3), np.uint8), (4, 6)).shape
    (4, 6, 3)
    """
    if image.shape[:2] == size:
        return image
    height, width = size
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized)


def resize_map(ids, size):
    """Ids [H, W] at another size (h, w): those nearest to the centers of the new pixels, as Pillow has it.

    Pillow resizes the pictures by the same rule, so pictures and maps stay aligned. Inside the networks the original
    follows another rule, see `maps.resize_nearest`.

    Returns int64.

    >>> resize_map(np.array([[0, 1, 2, 3]]), (1, 2)).tolist()
    [[1, 3]]
    """
    if ids.shape == size:
        return ids.astype(np.int64)
    height, width = size
    image = Image.fromarray(ids.astype(np.int32))  # Pillow has no images of 64-bit integers
    resized = image.resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(resized).astype(np.int64)


def resize_sketch(sketch, size):
    """A drawing, uint8 [H, W], at another size (h, w), as float32 in 0..1: the mean, so that no thin line is lost.

    >>> resize_sketch(np.array([[0, 255, 0, 0]], np.uint8), (1, 2)).round(2).tolist()
    [[0.5, 0.0]]
    """
    height, width = size
    image = Image.fromarray(sketch)
    if sketch.shape != size:
        image = image.resize((width, height), Image.Resampling.BOX)
    return np.asarray(image).astype(np.float32) / 255


# How a picture of another shape gets a size.
FITS = ("stretch", "crop", "short")


def fit(array, size, how, resize):
    """An array [H, W, ...] at a size (h, w).

    how: "stretch" takes all of it, whatever its shape; "crop" the largest part in the middle of the new shape; "short"
    keeps its shape and all of it, so that the result covers the size, for a crop at a random place.
    resize: `resize_image`, `resize_map` or `resize_sketch`.

    >>> array = np.arange(8).reshape(2, 4)
    >>> fit(array, (2, 2), "crop", resize_map).tolist()
    [[1, 2], [5, 6]]
    >>> fit(array, (1, 1), "short", resize_map).shape
    (1, 2)
    """
    height, width = array.shape[:2]
    scale = min(height / size[0], width / size[1])
    if how == "crop":
        part = [min(height, round(scale * size[0])), min(width, round(scale * size[1]))]
        top, left = (height - part[0]) // 2, (width - part[1]) // 2
        array = array[top : top + part[0], left : left + part[1]]
    if how == "short":
        size = (round(height / scale), round(width / scale))
    return resize(np.ascontiguousarray(array), size)


# ---- Bytes and floats


def to_float(image):
    """uint8 [H, W, 3] -> float32 [3, H, W] in -1..1.

    >>> to_float(np.array([[[0, 255, 255]]], np.uint8)).tolist()
    [[[-1.0]], [[1.0]], [[1.0]]]
    """
    channels_first = np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)
    return channels_first / 127.5 - 1


def to_uint8(image):
    """float [..., 3, H, W] -> uint8 [..., H, W, 3]: the exact inverse of `to_float`; values beyond -1..1 are clipped.

    >>> to_uint8(np.array([[[-1.0]], [[0.0]], [[7.0]]])).tolist()
    [[[0, 128, 255]]]
    """
    clipped = np.clip(image, -1, 1)
    channels_last = np.moveaxis(clipped, -3, -1)
    return np.rint(channels_last * 127.5 + 127.5).astype(np.uint8)
