"""What a layer is given must fit its layout.

Without this, a wrong shape ends in a kernel's words, or is computed into something else: one channel is repeated for
eight, and noise of more instances reads the rows of another picture.
"""

import paddle


def expect(name, tensor, *shape):
    """ValueError, which calls it `name`, unless it is a Tensor of this shape and no float64; None is any length.

    >>> expect("noise", paddle.ones([1, 3, 2, 8]), 1, 4, 2, 8)
    Traceback (most recent call last):
    ValueError: noise has the shape [1, 3, 2, 8], expected [1, 4, 2, 8]
    """
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
