"""Pictures and maps: read from files, resized, turned into arrays."""

import numpy as np
from PIL import Image

PHOTOS = (".png", ".jpg", ".jpeg")


def height_width(image_size):
    """An int or (H, W) as (H, W)."""
    size = (image_size, image_size) if np.ndim(image_size) == 0 else tuple(image_size)
    if len(size) != 2 or any(side != int(side) or side < 1 for side in size):
        raise ValueError(f"image_size is {image_size!r}; expected an int or (H, W)")
    return int(size[0]), int(size[1])


def open_image(path, modes, remedy):
    """The decoded PIL image, if its mode is one of `modes`."""
    try:
        with Image.open(path) as image:
            image.load()
    except (FileNotFoundError, PermissionError):
        raise  # they name the file
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, EOFError, struct.error, ...
        raise ValueError(f"{path} cannot be decoded ({error}); it is damaged, copy or export it again") from error
    if image.mode not in modes:
        raise ValueError(f"{path} has mode {image.mode!r}, expected {' or '.join(modes)}; {remedy(image.mode)}")
    return image


def read_image(path, modes=("RGB",)):
    """uint8 [H, W, 3]."""
    image = open_image(path, modes, lambda mode: "Image.open(path).convert('RGB').save(path) converts it")
    return np.asarray(image.convert("RGB"))


def read_map(path, modes=("L",)):
    """Ids int64 [H, W] from a grey PNG."""

    def remedy(mode):
        if mode == "P":
            return "if its palette indices are the ids: Image.fromarray(np.asarray(Image.open(path))).save(path)"
        return "a map holds ids, not colours: make ids [H, W] of it and save Image.fromarray(ids.astype('uint8'))"

    return np.asarray(open_image(path, modes, remedy)).astype(np.int64)


def resize_image(image, size):
    """uint8 [H, W, 3] at another size (h, w), bicubic."""
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC))


def resize_map(ids, size):
    """Ids [H, W] at another size (h, w): those nearest to the centres of the new pixels, as Pillow has it.

    So pictures and maps stay aligned. Inside the networks the original follows another rule, see `maps.resize_nearest`.
    """
    if ids.shape == size:
        return ids
    resized = Image.fromarray(ids.astype(np.int32)).resize(size[::-1], Image.Resampling.NEAREST)
    return np.asarray(resized).astype(np.int64)


def to_float(image):
    """uint8 [H, W, 3] → float32 [3, H, W] in -1..1."""
    return np.ascontiguousarray(image.transpose(2, 0, 1), np.float32) / 127.5 - 1


def to_uint8(image):
    """float [..., 3, H, W] → uint8 [..., H, W, 3]: the exact inverse of `to_float`; values beyond -1..1 are clipped."""
    return np.rint(np.moveaxis(np.clip(image, -1, 1), -3, -1) * 127.5 + 127.5).astype(np.uint8)
