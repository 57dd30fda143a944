"""The layers in the form in which they are taught: one-hot maps, einsum, unfold. Tests hold the package's layers to it.

Readable and slow: the one-hot maps have I x H x W entries, unfolding makes K*K copies of the features.
"""

import contextlib
from unittest import mock

import paddle
import paddle.nn.functional as F

from . import encoder
from .layers import INADE, InstanceConv2D
from .maps import nearest_indices


@contextlib.contextmanager
def forms():
    """`with forms():` every INADE, InstanceConv2D and InstanceEncoder computes in its textbook form, for comparison."""
    patch = mock.patch.object
    with patch(INADE, "forward", inade), patch(InstanceConv2D, "forward", instance_conv):
        with patch(encoder, "instance_means", instance_means):
            yield


def resize_one_hot(maps, size):
    """Nearest-neighbour resize of one-hot maps [N, K, H, W] to size (h, w), by PyTorch's rule."""
    rows, columns = (paddle.to_tensor(nearest_indices(s, t)) for s, t in zip(maps.shape[2:], size, strict=True))
    return maps.index_select(rows, axis=2).index_select(columns, axis=3)


def one_hots(layout, size):
    """One-hot classes [N, L, h, w] and one-hot instances [N, I, h, w] at feature size (h, w), made once per Layout."""

    def make():
        instances = F.one_hot(layout.instance, layout.num_instances).transpose([0, 3, 1, 2])
        return [resize_one_hot(maps, size).contiguous() for maps in (layout.semantics(), instances)]

    return layout.once(("textbook", tuple(size)), make)


def modulation(layer, layout, noise, size):
    """Scale and shift of an INADE layer for every pixel, each [N, C, h, w] (paper, sections 3.2, 3.3; notebook 2)."""
    semantics, instances = one_hots(layout, size)
    n = layer.fc_noise(noise)  # [N, I, 2, C]
    maps = []
    for half in range(2):
        w = paddle.einsum("lc,nlhw->nchw", layer.weight[:, :, half], semantics)
        b = paddle.einsum("lc,nlhw->nchw", layer.bias[:, :, half], semantics)
        maps.append(w * paddle.einsum("nic,nihw->nchw", n[:, :, half], instances) + b)
    return maps


def inade(layer, x, layout, noise):
    """What INADE.forward computes without a sketch: [N, C, h, w] -> [N, C, h, w]."""
    scale, shift = modulation(layer, layout, noise, x.shape[2:])
    return layer.norm(x) * scale + shift


def instance_mask(instance, kernel_size, stride=1, padding=0):
    """1 where a tap has the id of the window's centre, 0 elsewhere: [N, 1, H, W] -> [N, K*K, windows] (notebook 3)."""
    taps = F.unfold(instance.astype("float32"), kernel_size, stride, padding)
    centre = taps[:, kernel_size**2 // 2].unsqueeze(1)
    return 1 - paddle.clip((taps - centre).abs(), 0, 1)


def instance_conv(layer, x, layout):
    """What InstanceConv2D.forward computes: [N, C, H, W] -> [N, O, H', W'] (paper, section 3.4; notebook 3)."""
    n, c, h, w = x.shape
    k, s, p = layer.kernel_size, layer.stride, layer.padding
    instance = resize_one_hot(layout.instance.unsqueeze(1), (h, w))
    mask = instance_mask(instance, k, s, p).unsqueeze(1)  # [N, 1, K*K, windows]
    taps = F.unfold(x, k, s, p).reshape([n, c, k * k, -1])  # [N, C*K*K, .] -> [N, C, K*K, .]
    taps = (taps * mask).reshape([n, c * k * k, -1])
    out = paddle.einsum("cm,nml->ncl", layer.weight.flatten(1), taps) + layer.bias.unsqueeze(-1)
    return out.reshape([n, -1, (h + 2 * p - k) // s + 1, (w + 2 * p - k) // s + 1])


def instance_mean(x, layout):
    """Mean of x [N, Z, H, W] over each instance's pixels, [N, I, Z]; zeros for an absent instance (notebook 3)."""
    _, instances = one_hots(layout, x.shape[2:])
    pixels = instances.sum([2, 3]).clip(min=1).unsqueeze(-1)  # [N, I, 1]
    return paddle.einsum("nihw,nzhw->niz", instances, x) / pixels


def instance_means(convolutions, x, layout):
    """What encoder.instance_means computes: every convolution in full, then the means, each [N, I, Z]."""
    return [instance_mean(instance_conv(convolution, x, layout), layout) for convolution in convolutions]
