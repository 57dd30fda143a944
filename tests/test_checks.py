"""What does not fit a layer is told in the field's words, and never computed into something else."""

import numpy as np
import paddle
import pytest

import inade_lite as il
from inade_lite import losses
from inade_lite.methods import CLADE, SPADE
from inade_lite.modules import BatchNorm

LAYOUT = il.Layout(np.zeros([2, 16, 16], int), np.arange(2 * 256).reshape(2, 16, 16) % 3, num_classes=4)
X, NOISE = paddle.ones([2, 6, 16, 16]), il.sample_noise(LAYOUT, 5, seed=0)
PARAMS = il.NoiseParams(*[paddle.zeros([2, 3, 5])] * 4)
PICTURES = paddle.ones([2, 3, 16, 16])


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
    "params of other instances": (
        lambda: il.remap_noise(NOISE, PARAMS._replace(bias_logvar=PARAMS.bias_logvar[:, :2])),
        r"bias_logvar has the shape \[2, 2, 5\], expected \[2, 3, 5\]",
    ),
    "params of another batch": (
        lambda: il.kl_divergence(PARAMS._replace(bias_mu=PARAMS.bias_mu[:1])),
        r"bias_mu has the shape \[1, 3, 5\], expected \[2, 3, 5\]",
    ),
    "params as arrays": (lambda: il.kl_divergence(il.NoiseParams(*[np.zeros([2, 3, 5])] * 4)), "scale_mu is a ndarray"),
    "a sketch of three channels": (
        lambda: il.INADE(6, 4, 5, sketch=True)(X, LAYOUT, NOISE, paddle.ones([2, 3, 16, 16])),
        r"sketch has the shape \[2, 3, 16, 16\], expected \[2, 1, any, any\]",
    ),
    "a discriminator's channels": (
        lambda: il.MultiscaleDiscriminator(8, 2)(X),
        r"x has the shape \[2, 6, 16, 16\], expected \[any, 8, any, any\]",
    ),
    "one real picture for a batch": (
        lambda: losses.pixel_loss(PICTURES, PICTURES[:1], LAYOUT),
        r"real has the shape \[1, 3, 16, 16\], expected \[2, 3, 16, 16\]",
    ),
    "pictures of another size": (
        lambda: losses.pattern_loss(PICTURES[..., :8], PICTURES[..., :8], LAYOUT),
        r"fake has the shape \[2, 3, 16, 8\], expected \[2, 3, 16, 16\]",
    ),
    "one channel for SPADE": (lambda: SPADE(6, 4)(X[:, :1], LAYOUT), r"x has the shape \[2, 1, 16, 16\], expected"),
    "another batch for CLADE": (lambda: CLADE(6, 4)(X[:1], LAYOUT), r"x has the shape \[1, 6, 16, 16\], expected"),
    "other classes for SPADE": (lambda: SPADE(6, 7)(X, LAYOUT), "the layout has 4 classes, this layer knows 7"),
    "5.7 classes": (
        lambda: il.Layout(LAYOUT.label, LAYOUT.instance, 5.7),
        r"num_classes=5\.7: expected an integer of 1 or more",
    ),
    "5.7 classes of a layer": (lambda: il.INADE(6, 5.7, 5), r"num_classes=5\.7"),
    "5.7 classes of a generator": (lambda: il.Generator(5.7, 16, 5), r"num_classes=5\.7"),
    "no channels": (lambda: il.InstanceConv2D(0, 8, 3), "in_channels=0: expected an integer of 1 or more"),
    "half a dimension of noise": (lambda: il.sample_noise(LAYOUT, 2.5), r"noise_dim=2\.5"),
    "an id of 2^40": (
        lambda: il.Layout(LAYOUT.label, np.full([2, 16, 16], 2**40), 4),
        r"ids up to 1099511627776 would need as many rows .*compact_instances",
    ),
    "batch norm of one pixel": (lambda: BatchNorm(3)(paddle.ones([1, 3, 1, 1])), "batch norm of one pixel"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_told(case):
    call, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        call()


ITEM = il.ToyTown("train", 16)[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": None}, r"item 'train_00000' has no 'image'; an item is"),
        ({"name": None}, "item 1 has no 'name'"),
        (
            {"image": ITEM["image"].astype("float64")},
            r"its image is float64 \[3, 16, 16\], expected float32 \[3, H, W\]",
        ),
        ({"image": np.zeros([16, 16, 3], "uint8")}, r"its image is uint8 \[16, 16, 3\], .*to_float makes it"),
        ({"label": ITEM["label"] + 0.0}, r"its label is float64 \[16, 16\], expected integers \[16, 16\]"),
        ({"instance": ITEM["instance"][:8]}, r"its instance is int64 \[8, 16\], expected integers \[16, 16\]"),
        ({"label": ITEM["label"].tolist()}, "its label is list, expected integers"),
    ],
)
def test_what_is_no_item_is_told(change, message):
    item = {key: value for key, value in {**ITEM, **change}.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        il.collate([ITEM, item])


def test_ids_as_large_as_int64_are_numbered():
    """Their product with a class id does not fit: another instance could have come out."""
    label = np.array([[3, 3, 0, 0]])
    instance = np.array([[2**62, 2**62 - 1, 2**62, 2**40]])
    assert il.compact_instances(label, instance).tolist() == [[3, 2, 1, 0]]


def test_what_fits_passes():
    assert list(inade().shape) == [2, 6, 16, 16] and list(generator().shape) == [2, 3, 16, 16]
