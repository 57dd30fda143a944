"""The layers in the form in which they are taught: one-hot maps, einsum, unfold. Tests hold the package's layers to it.

This form is easy to read, and slow: the one-hot maps have I x H x W entries, and unfolding makes K*K copies of the
features.
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
    """`with forms():` every INADE, InstanceConv2D and InstanceEncoder computes in its textbook form, for comparison.

    >>> import inade_lite as il
    >>> layout, x = il.Layout([[[0, 0, 0]]], [[[0, 1, 1]]], num_classes=1), paddle.ones([1, 2, 1, 3])
    >>> conv = il.InstanceConv2D(2, 2, 3, padding=1)
    >>> with il.textbook.forms():
    ...     y = conv(x, layout)
    >>> bool((y - conv(x, layout)).abs().max() < 1e-2)
    True
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(INADE, "forward", inade))
        stack.enter_context(mock.patch.object(InstanceConv2D, "forward", instance_conv))
        stack.enter_context(mock.patch.object(encoder, "instance_means", instance_means))
        yield


# ---- One-hot maps


def resize_one_hot(maps, size):
    """One-hot maps [N, K, H, W] at size (h, w) by nearest neighbor, by PyTorch's rule: [N, K, h, w].

    >>> resize_one_hot(paddle.to_tensor([[[[1.0, 0.0, 0.0, 1.0]]]]), (1, 2)).tolist()
    [[[[1.0, 0.0]]]]
    """
    _, _, height, width = maps.shape
    rows = nearest_indices(height, size[0])
    columns = nearest_indices(width, size[1])
    rows = paddle.to_tensor(rows)
    columns = paddle.to_tensor(columns)
    maps = maps.index_select(rows, axis=2)
    return maps.index_select(columns, axis=3)


def one_hots(layout, size):
    """One-hot classes [N, L, h, w] and one-hot instances [N, I, h, w] at feature size (h, w), made once per Layout.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0, 1]]], [[[0, 2]]], num_classes=2)
    >>> [maps.tolist() for maps in one_hots(layout, (1, 2))]
    [[[[[1.0, 0.0]], [[0.0, 1.0]]]], [[[[1.0, 0.0]], [[0.0, 0.0]], [[0.0, 1.0]]]]]
    """

    def make():
        instances = F.one_hot(layout.instance, layout.num_instances)
        instances = instances.transpose([0, 3, 1, 2])  # [N, H, W, I] -> [N, I, H, W]
        results = []
        for maps in (layout.semantics(), instances):
            maps = resize_one_hot(maps, size)
            results.append(maps.contiguous())
        return results

    return layout.once(("textbook", tuple(size)), make)


# ---- INADE (paper, sections 3.2 and 3.3; notebook 2)


def modulation(layer, layout, noise, size):
    """Scale and shift of an INADE layer for every pixel, each [N, C, h, w].

    layer: the INADE. noise [N, I, 2, Z]. size: (h, w).

    >>> import inade_lite as il
    >>> layout, layer = il.Layout([[[0, 1]]], [[[0, 2]]], num_classes=2), il.INADE(4, 2, 5)
    >>> [list(maps.shape) for maps in modulation(layer, layout, il.sample_noise(layout, 5), (1, 2))]
    [[1, 4, 1, 2], [1, 4, 1, 2]]
    """
    semantics, instances = one_hots(layout, size)
    noise = layer.fc_noise(noise)  # [N, I, 2, Z] -> [N, I, 2, C]
    maps = []
    for half in range(2):
        w = paddle.einsum("lc,nlhw->nchw", layer.weight[:, :, half], semantics)
        b = paddle.einsum("lc,nlhw->nchw", layer.bias[:, :, half], semantics)
        n = paddle.einsum("nic,nihw->nchw", noise[:, :, half], instances)
        maps.append(w * n + b)
    return maps


def inade(layer, x, layout, noise):
    """What INADE.forward computes without a sketch: x [N, C, h, w], noise [N, I, 2, Z] -> [N, C, h, w].

    >>> import inade_lite as il
    >>> layout, layer = il.Layout([[[0, 1]]], [[[0, 2]]], num_classes=2), il.INADE(4, 2, 5)
    >>> list(inade(layer, paddle.ones([1, 4, 1, 2]), layout, il.sample_noise(layout, 5)).shape)
    [1, 4, 1, 2]
    """
    scale, shift = modulation(layer, layout, noise, x.shape[2:])
    return layer.norm(x) * scale + shift


# ---- Instance-aware convolution and pooling (paper, section 3.4; notebook 3)


def instance_mask(instance, kernel_size, stride=1, padding=0):
    """1 where a tap has the id of the window's center, 0 elsewhere: ids [N, 1, H, W] -> [N, K*K, windows].

    >>> instance_mask(paddle.to_tensor([[[[3, 3, 5]]]]), kernel_size=3, padding=1)[0, 3:6, 1].tolist()
    [1.0, 1.0, 0.0]
    """
    ids = instance.astype("float32")
    taps = F.unfold(ids, kernel_size, stride, padding)  # [N, K*K, windows]
    center = taps[:, kernel_size**2 // 2]  # [N, windows]
    center = center.unsqueeze(1)
    distance = (taps - center).abs()
    return 1 - paddle.clip(distance, 0, 1)


def instance_conv(layer, x, layout):
    """What InstanceConv2D.forward computes: x [N, C, H, W] -> [N, O, H', W'].

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0, 0, 0]]], [[[3, 3, 5]]], num_classes=1)
    >>> list(instance_conv(il.InstanceConv2D(4, 6, 3, padding=1), paddle.ones([1, 4, 1, 3]), layout).shape)
    [1, 6, 1, 3]
    """
    n, c, h, w = x.shape
    k, s, p = layer.kernel_size, layer.stride, layer.padding
    instance = resize_one_hot(layout.instance.unsqueeze(1), (h, w))
    mask = instance_mask(instance, k, s, p).unsqueeze(1)  # [N, 1, K*K, windows]
    taps = F.unfold(x, k, s, p)
    taps = taps.reshape([n, c, k * k, -1])  # [N, C*K*K, windows] -> [N, C, K*K, windows]
    taps = taps * mask
    taps = taps.reshape([n, c * k * k, -1])  # [N, C, K*K, windows] -> [N, C*K*K, windows]
    weight = layer.weight.flatten(1)  # [O, C, K, K] -> [O, C*K*K]
    out = paddle.einsum("om,nmq->noq", weight, taps)
    out = out + layer.bias.unsqueeze(-1)  # [N, O, windows]
    height = (h + 2 * p - k) // s + 1
    width = (w + 2 * p - k) // s + 1
    return out.reshape([n, -1, height, width])


def instance_mean(x, layout):
    """Mean of x [N, Z, H, W] over each instance's pixels, [N, I, Z]; zeros for an absent instance.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0, 0, 0]]], [[[0, 2, 2]]], num_classes=1)
    >>> instance_mean(paddle.to_tensor([[[[5.0, 1.0, 3.0]]]]), layout).tolist()
    [[[5.0], [0.0], [2.0]]]
    """
    _, instances = one_hots(layout, x.shape[2:])
    pixels = instances.sum([2, 3])  # [N, I]
    pixels = pixels.clip(min=1)  # an absent instance gives 0 / 1
    sums = paddle.einsum("nihw,nzhw->niz", instances, x)
    return sums / pixels.unsqueeze(-1)


def instance_means(convolutions, x, layout):
    """What encoder.instance_means computes: every convolution in full, then the means, each [N, I, Z].

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0, 0, 0]]], [[[0, 2, 2]]], num_classes=1)
    >>> (mean,) = instance_means([il.InstanceConv2D(4, 6, 3, padding=1)], paddle.ones([1, 4, 1, 3]), layout)
    >>> list(mean.shape)
    [1, 3, 6]
    """
    means = []
    for conv in convolutions:
        outputs = instance_conv(conv, x, layout)
        means.append(instance_mean(outputs, layout))
    return means
