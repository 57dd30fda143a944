"""What a layer is given must fit its layout, and what a data set gives must be an item.

Without this, a wrong shape ends in a kernel's words, or is computed into something else: one channel is repeated for
eight, and noise of more instances reads the rows of another picture.
"""

import numpy as np
import paddle

from .config import check


def expect(name, tensor, *shape):
    """ValueError, which calls it `name`, unless it is a Tensor of this shape and no float64; None is any length.

    >>> expect("noise", paddle.ones([1, 3, 2, 8]), 1, 4, 2, 8)
    Traceback (most recent call last):
    ValueError: noise has the shape [1, 3, 2, 8], expected [1, 4, 2, 8]
    """
    if not paddle.in_dynamic_mode():
        return  # while Paddle records a graph, tensors have no shape yet
    if not isinstance(tensor, paddle.Tensor):
        raise ValueError(f"{name} is a {type(tensor).__name__}, expected a Tensor; paddle.to_tensor({name}) makes one")
    found = tensor.shape
    if len(found) != len(shape) or any(n is not None and n != m for n, m in zip(shape, found, strict=True)):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} has the shape {list(found)}, expected [{wanted}]")
    if tensor.dtype == paddle.float64:
        raise ValueError(f"{name} is of float64, expected float32; {name}.astype('float32') makes it so")


def expect_classes(layout, num_classes):
    """ValueError unless a layout has as many classes as a layer knows.

    >>> import inade_lite as il
    >>> expect_classes(il.Layout([[[0]]], [[[0]]], num_classes=2), 3)
    Traceback (most recent call last):
    ValueError: the layout has 2 classes, this layer knows 3
    """
    if layout.num_classes != num_classes:
        raise ValueError(f"the layout has {layout.num_classes} classes, this layer knows {num_classes}")


def expect_count(name, value, low=1):
    """The value as an int. ValueError, which calls it `name`, unless it is an integer of `low` or more.

    >>> expect_count("num_classes", 5.7)
    Traceback (most recent call last):
    ValueError: num_classes=5.7: expected an integer of 1 or more
    """
    check(name, value, {"low": low, "high": None, "words": ()}, low)
    return int(value)


def expect_params(params):
    """ValueError unless the four parts of NoiseParams have one shape [N, I, Z].

    >>> import inade_lite as il
    >>> zeros = paddle.zeros([1, 3, 8])
    >>> expect_params(il.NoiseParams(zeros, zeros, zeros, zeros[:, :2]))
    Traceback (most recent call last):
    ValueError: bias_logvar has the shape [1, 2, 8], expected [1, 3, 8]
    """
    first = params[0]
    expect("scale_mu", first, None, None, None)
    for name, part in zip(params._fields, params, strict=True):
        expect(name, part, *first.shape)


def expect_item(item, of="the item"):
    """ValueError, which calls it `of`, unless it is an item as the data sets give it, see `data.folders`.

    >>> expect_item({"image": np.zeros([3, 8, 8], "uint8")}, "item 0")
    Traceback (most recent call last):
    ValueError: item 0 has no 'label'; an item is {"image", "label", "instance", "name"}
    """
    for key in ("image", "label", "instance", "name"):
        if key not in item:
            raise ValueError(f'{of} has no {key!r}; an item is {{"image", "label", "instance", "name"}}')
    image = item["image"]
    if not isinstance(image, np.ndarray) or image.dtype != np.float32 or image.ndim != 3 or len(image) != 3:
        raise ValueError(
            f"{of}: its image is {_kind(image)}, expected float32 [3, H, W] in -1..1; "
            "inade_lite.data.images.to_float makes it of uint8 [H, W, 3]"
        )
    for key in ("label", "instance"):
        ids = item[key]
        is_map = isinstance(ids, np.ndarray) and np.issubdtype(ids.dtype, np.integer)
        if not is_map or ids.shape != image.shape[1:]:
            expected = f"integers {list(image.shape[1:])}, as its image"
            raise ValueError(f"{of}: its {key} is {_kind(ids)}, expected {expected}")
    sketch = item.get("sketch", np.zeros(image.shape[1:], np.float32))
    if not isinstance(sketch, np.ndarray) or sketch.dtype != np.float32 or sketch.shape != image.shape[1:]:
        expected = f"float32 {list(image.shape[1:])}, as its image"
        raise ValueError(f"{of}: its sketch is {_kind(sketch)}, expected {expected}")


def _kind(value):
    """What a value is, in a few words."""
    return f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__
