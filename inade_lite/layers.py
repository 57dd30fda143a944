"""The two layers of the paper (built in notebooks 2 and 3)."""

import paddle
import paddle.nn.functional as F
from paddle import nn

from .kernels import lookup
from .modules import normalization


class INADE(nn.Layer):
    """Instance-adaptive denormalization (paper, sections 3.2 and 3.3).

        out = (w0[l] * n0[i] + b0[l]) * norm(x) + (w1[l] * n1[i] + b1[l]),        n = fc_noise(noise)

    for a pixel of class l and instance i. Class l owns a distribution of scales and shifts, with deviation w[l] and
    mean b[l]; instance i draws from it through its noise. There is no "1 +" as SPADE has.

    channels: C; num_classes: L; noise_dim: Z; norm: "instance" or "batch", without learned parameters.
    sketch: also merge a sketch map, through a 3x3 convolution and a 1x1 convolution over both.
    Parameters: weight, bias [L, C, 2] (last axis: scale, shift), fc_noise Linear(Z -> C) for both halves.
    """

    def __init__(self, channels, num_classes, noise_dim, norm="instance", sketch=False):
        super().__init__()
        # Paddle's Uniform() is U(-1, 1).
        shape, uniform = [num_classes, channels, 2], nn.initializer.Uniform(0, 1)
        self.weight = self.create_parameter(shape, default_initializer=uniform)
        self.bias = self.create_parameter(shape, is_bias=True)
        self.fc_noise = nn.Linear(noise_dim, channels)
        self.norm = normalization(norm, channels)
        if sketch:
            self.sketch_conv = nn.Conv2D(1, channels, 3, padding=1)
            self.merge_conv = nn.Conv2D(2 * channels, channels, 1, bias_attr=False)

    def forward(self, x, layout, noise, sketch=None):
        """x [N, C, h, w], a Layout of any size, noise [N, I, 2, Z], sketch [N, 1, H, W] -> [N, C, h, w]."""
        scale, shift = self.modulation(layout, noise)
        regions = layout.regions(x.shape[2:])
        out = self.norm(x) * regions.paint(scale) + regions.paint(shift)
        if sketch is not None:
            sketch = F.interpolate(sketch, x.shape[2:], mode="nearest")
            out = self.merge_conv(paddle.concat([out, self.sketch_conv(sketch)], axis=1))
        return out

    def modulation(self, layout, noise):
        """Scale and shift of every region, each [N, R, C]: the formula, once per region instead of once per pixel."""
        n = self.fc_noise(noise).flatten(2).flatten(0, 1)  # [N, I, 2, C] -> [N*I, 2C]
        n = F.embedding(layout.region_instance, n)  # [N, R, 2C]
        w, b = (
            F.embedding(layout.region_label, p.transpose([0, 2, 1]).flatten(1))  # [L, C, 2] -> [N, R, 2C]
            for p in (self.weight, self.bias)
        )
        return (w * n + b).reshape([*n.shape[:2], 2, -1]).unbind(2)


class InstanceConv2D(nn.Layer):
    """Instance-aware convolution (paper, section 3.4): a tap counts only where it lies in the centre's instance.

        out[p] = bias + sum over taps t of  W[t] x[p + t] * (1 if instance[p + t] == instance[p] else 0)

    There is no renormalization by the number of taps that count. With a single instance it equals nn.Conv2D.
    kernel_size is odd, so that a window has a centre.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size}: a window needs a centre, so the size must be odd")
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.weight = self.create_parameter([out_channels, in_channels, kernel_size, kernel_size])
        self.bias = self.create_parameter([out_channels], is_bias=True)

    def forward(self, x, layout):
        """x [N, C, H, W] and a Layout of any size -> [N, O, H', W'], sizes as in nn.Conv2D."""
        n, _, *size = x.shape
        k, (h, w) = self.kernel_size, ((s + 2 * self.padding - self.kernel_size) // self.stride + 1 for s in size)
        out = lookup(x, layout.taps(size, k, self.stride, self.padding), self.weight) + self.bias.unsqueeze(-1)
        return out.reshape([n, -1, h, w])
