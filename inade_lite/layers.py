"""The two layers of the paper (built in notebooks 2 and 3)."""

import paddle
import paddle.nn.functional as F
from paddle import nn

from .checks import expect, expect_classes, expect_count
from .kernels import lookup, output_size
from .modules import normalization


class INADE(nn.Layer):
    """Instance-adaptive denormalization (paper, sections 3.2 and 3.3).

        out = (w0[l] * n0[i] + b0[l]) * norm(x) + (w1[l] * n1[i] + b1[l]),        n = fc_noise(noise)

    for a pixel of class l and instance i. Class l owns a distribution of scales and one of shifts; instance i draws
    from both through its noise. With n = z A + a and z from N(0, 1) a channel has the mean w[l] a + b[l] and the
    deviation |w[l]| |A|, where |A| is the length of its column of A. Unlike in SPADE, there is no "1 +" in the scale.

    channels: C. num_classes: L. noise_dim: Z. norm: "instance" or "batch", without learned parameters.
    sketch: also merge a sketch map, by a 3x3 convolution of it and a 1x1 convolution of both.
    Parameters: weight and bias [L, C, 2], whose last axis is (scale, shift), and fc_noise, one Linear Z -> C for both.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0, 0, 1, 1]]], [[[0, 1, 2, 2]]], num_classes=2)
    >>> layer = il.INADE(channels=3, num_classes=2, noise_dim=5)
    >>> list(layer(paddle.ones([1, 3, 1, 4]), layout, il.sample_noise(layout, 5)).shape)
    [1, 3, 1, 4]
    """

    def __init__(self, channels, num_classes, noise_dim, norm="instance", sketch=False):
        super().__init__()
        expect_count("channels", channels)
        expect_count("num_classes", num_classes)
        expect_count("noise_dim", noise_dim)
        shape = [num_classes, channels, 2]
        uniform = nn.initializer.Uniform(0, 1)  # Uniform() alone would be -1 to 1
        self.weight = self.create_parameter(shape, default_initializer=uniform)
        self.bias = self.create_parameter(shape, is_bias=True)
        self.fc_noise = nn.Linear(noise_dim, channels)
        self.norm = normalization(norm, channels)
        if sketch:
            self.sketch_conv = nn.Conv2D(1, channels, 3, padding=1)
            self.merge_conv = nn.Conv2D(2 * channels, channels, 1, bias_attr=False)

    def forward(self, x, layout, noise, sketch=None):
        """x [N, C, h, w], a Layout of any size, noise [N, I, 2, Z], sketch [N, 1, H, W] -> [N, C, h, w]."""
        expect("x", x, len(layout), self.weight.shape[1], None, None)
        scale, shift = self.modulation(layout, noise)
        regions = layout.regions(x.shape[2:])
        out = self.norm(x) * regions.paint(scale) + regions.paint(shift)  # painted: [N, R, C] -> [N, C, h, w]
        if sketch is not None:
            expect("sketch", sketch, len(layout), 1, None, None)
            if list(sketch.shape[2:]) != list(x.shape[2:]):
                sketch = F.interpolate(sketch, x.shape[2:], mode="nearest")
            sketch = self.sketch_conv(sketch)
            both = paddle.concat([out, sketch], axis=1)  # [N, 2C, h, w]
            out = self.merge_conv(both)
        return out

    def modulation(self, layout, noise):
        """Scale w0[l] n0[i] + b0[l] and shift w1[l] n1[i] + b1[l] of every region, each [N, R, C].

        All pixels of a region have the same l and i, so the formula is computed per region instead of per pixel. The
        scale and the shift are computed at once, as 2C numbers side by side.
        """
        expect("noise", noise, len(layout), layout.num_instances, 2, self.fc_noise.weight.shape[0])
        expect_classes(layout, len(self.weight))
        n = self.fc_noise(noise)  # [N, I, 2, Z] -> [N, I, 2, C]
        n = n.flatten(2).flatten(0, 1)  # [N, I, 2, C] -> [N*I, 2C], a row for each instance of the batch
        w = self.weight.transpose([0, 2, 1]).flatten(1)  # [L, C, 2] -> [L, 2C], a row for each class
        b = self.bias.transpose([0, 2, 1]).flatten(1)

        # For each region the row of its instance and the rows of its class, [N, R, 2C].
        n = F.embedding(layout.region_instance, n)
        w = F.embedding(layout.region_label, w)
        b = F.embedding(layout.region_label, b)
        table = w * n + b

        images, regions, _ = table.shape
        table = table.reshape([images, regions, 2, -1])  # [N, R, 2C] -> [N, R, 2, C]
        return table.unbind(2)


class InstanceConv2D(nn.Layer):
    """Instance-aware convolution (paper, section 3.4): a tap counts only where it lies in the center's instance.

        out[p] = bias + sum over taps t of  W[t] x[p + t] * (1 if instance[p + t] == instance[p] else 0)

    There is no renormalization by the number of taps that count. With a single instance it equals nn.Conv2D.
    The arguments are those of the same names of nn.Conv2D, as integers. kernel_size must be odd, so that a window has
    a center.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0, 0, 0, 0]]], [[[0, 0, 1, 1]]], num_classes=1)
    >>> layer = il.InstanceConv2D(3, 6, kernel_size=3, padding=1)
    >>> list(layer(paddle.ones([1, 3, 1, 4]), layout).shape)
    [1, 6, 1, 4]
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0):
        super().__init__()
        expect_count("in_channels", in_channels)
        expect_count("out_channels", out_channels)
        expect_count("kernel_size", kernel_size)
        expect_count("stride", stride)
        expect_count("padding", padding, low=0)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size}: a window needs a center, so the size must be odd")
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.weight = self.create_parameter([out_channels, in_channels, kernel_size, kernel_size])
        self.bias = self.create_parameter([out_channels], is_bias=True)

    def forward(self, x, layout):
        """x [N, C, H, W] and a Layout of any size -> [N, O, H', W'], sizes as in nn.Conv2D."""
        expect("x", x, len(layout), self.weight.shape[1], None, None)
        n, _, *size = x.shape
        window = (self.kernel_size, self.stride, self.padding)
        # A tap that does not count reads zeros instead of its pixel, so nothing has to be masked.
        taps = layout.taps(size, *window)
        out = lookup(x, taps, self.weight)  # [N, O, windows]
        out = out + self.bias.unsqueeze(-1)
        return out.reshape([n, -1, *output_size(size, *window)])
