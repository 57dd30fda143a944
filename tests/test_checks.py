"""What does not fit a layer is told in the field's words, and never computed into something else."""

import numpy as np
import paddle
import pytest

import inade_lite as il
from inade_lite.modules import BatchNorm

LAYOUT = il.Layout(np.zeros([2, 16, 16], int), np.arange(2 * 256).reshape(2, 16, 16) % 3, num_classes=4)
X, NOISE = paddle.ones([2, 6, 16, 16]), il.sample_noise(LAYOUT, 5, seed=0)


def inade(x=X, layout=LAYOUT, noise=NOISE):
    return il.INADE(6, 4, 5)(x, layout, noise)


def generator(layout=LAYOUT, noise=NOISE, latent=None):
    return il.Generator(4, 16, 5, 7, base_channels=2, num_upsamplings=2)(layout, noise, latent)


WRONG = {
    "more instances": (lambda: inade(noise=paddle.ones([2, 6, 2, 5])), r"noise has the shape \[2, 6, 2, 5\], expected"),
    "fewer instances": (
        lambda: inade(noise=NOISE[:, :2]),
        r"noise has the shape \[2, 2, 2, 5\], expected \[2, 3, 2, 5\]",
    ),
    "a larger batch": (lambda: inade(noise=paddle.ones([4, 3, 2, 5])), r"noise has the shape \[4, 3, 2, 5\]"),
    "no halves": (
        lambda: inade(noise=paddle.ones([2, 3, 5])),
        r"noise has the shape \[2, 3, 5\], expected \[2, 3, 2, 5\]",
    ),
    "another Z": (lambda: inade(noise=paddle.ones([2, 3, 2, 8])), r"noise has the shape \[2, 3, 2, 8\]"),
    "float64": (lambda: inade(noise=NOISE.astype("float64")), r"noise is of float64, expected float32"),
    "an array": (lambda: inade(noise=NOISE.numpy()), r"noise is a ndarray, expected a Tensor; paddle.to_tensor"),
    "one channel": (lambda: inade(x=X[:, :1]), r"x has the shape \[2, 1, 16, 16\], expected \[2, 6, any, any\]"),
    "features of another batch": (lambda: inade(x=X[:1]), r"x has the shape \[1, 6, 16, 16\], expected \[2, 6"),
    "a layout of another batch": (lambda: inade(layout=LAYOUT[:1]), r"x has the shape \[2, 6, 16, 16\], expected \[1"),
    "other classes": (
        lambda: inade(layout=il.Layout(LAYOUT.label, LAYOUT.instance, 5)),
        r"the layout has 5 classes, this layer knows 4",
    ),
    "a convolution's channels": (lambda: il.InstanceConv2D(3, 8, 3)(X, LAYOUT), r"x has the shape \[2, 6, 16, 16\]"),
    "a convolution's batch": (
        lambda: il.InstanceConv2D(6, 8, 3)(X[:1], LAYOUT),
        r"x has the shape \[1, 6, 16, 16\], expected \[2, 6, any, any\]",
    ),
    "a latent of another length": (lambda: generator(latent=paddle.ones([2, 9])), r"latent has the shape \[2, 9\]"),
    "a latent of another batch": (lambda: generator(latent=paddle.ones([1, 7])), r"expected \[2, 7\]"),
    "an image of one channel": (
        lambda: il.InstanceEncoder(5, 4)(paddle.ones([2, 1, 16, 16]), LAYOUT),
        r"image has the shape \[2, 1, 16, 16\], expected \[2, 3, any, any\]",
    ),
    "noise for other params": (
        lambda: il.remap_noise(NOISE, il.NoiseParams(*[paddle.zeros([2, 3, 8])] * 4)),
        r"noise has the shape \[2, 3, 2, 5\], expected \[2, 3, 2, 8\]",
    ),
    "batch norm of one pixel": (lambda: BatchNorm(3)(paddle.ones([1, 3, 1, 1])), "batch norm of one pixel"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_told(case):
    call, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        call()


def test_what_fits_passes():
    assert list(inade().shape) == [2, 6, 16, 16] and list(generator().shape) == [2, 3, 16, 16]
