"""The instance-aware encoder (paper, section 3.4; built in notebook 3): from a real image to each instance's noise.

Instance-aware convolutions keep a neighbour's colours out of an instance's style; pooling over each instance's pixels
leaves four vectors per instance: mean and log-variance of its scale noise and of its shift noise.
"""

import paddle
import paddle.nn.functional as F
from paddle import nn

from .kernels import instance_norm, swap
from .layers import InstanceConv2D
from .modules import initialize
from .noise import NoiseParams


class InstanceEncoder(nn.Layer):
    """(image [N, 3, H, W], layout) -> NoiseParams, each [N, I, Z]. H and W are multiples of 16.

    Down 3 -> f -> 2f -> 4f -> 8f, stride 2; middle 8f -> 4f; up with skips 8f -> 2f, 4f -> f, 2f -> f; 4 heads f -> Z.
    Every convolution but the heads is followed by instance norm and leaky ReLU.
    """

    def __init__(self, noise_dim, base_channels=64):
        super().__init__()
        f = base_channels
        down, up = [(3, f), (f, 2 * f), (2 * f, 4 * f), (4 * f, 8 * f)], [(8 * f, 2 * f), (4 * f, f), (2 * f, f)]
        self.down = nn.LayerList([InstanceConv2D(a, b, 3, stride=2, padding=1) for a, b in down])
        self.middle = InstanceConv2D(8 * f, 4 * f, 3, padding=1)
        self.up = nn.LayerList([InstanceConv2D(a, b, 3, padding=1) for a, b in up])
        self.heads = nn.LayerList([InstanceConv2D(f, noise_dim, 3, padding=1) for _ in NoiseParams._fields])
        initialize(self)

    @classmethod
    def beside(cls, generator, base_channels):
        """An encoder of this width for a generator."""
        return cls(generator.noise_dim, base_channels)

    def forward(self, image, layout):
        return NoiseParams(*instance_means(self.heads, self.features(image, layout), layout))

    def features(self, image, layout):
        """What the heads see, [N, f, H, W]."""
        h, w = image.shape[2:]
        if h % 16 or w % 16:
            raise ValueError(f"image {h}x{w}: the encoder halves four times, so both sides must be multiples of 16")
        x, skips = image, []
        for conv in self.down:
            x = _activate(conv(x, layout))
            skips.append(x)
        x = _activate(self.middle(skips.pop(), layout))
        for conv in self.up:
            x = paddle.concat([_double(x), skips.pop()], axis=1)
            x = _activate(conv(x, layout))
        return _double(x)


def instance_means(convolutions, x, layout):
    """The mean of every convolution's output over each instance's pixels, each [N, I, Z]; zeros for absent instances.

    A convolution is linear in its taps, so the taps are averaged first and convolved afterwards: 9 C numbers per
    instance instead of Z feature maps, exactly the same means. Pixel q serves instance i as tap t where the window's
    centre q - t lies in i too: nearly always, so the pixels of i are summed once, and for each tap those at the border
    that do not serve are taken away. The convolutions are 3x3 with stride 1 and padding 1.
    """
    n, c, h, w = x.shape
    instances = layout.instances((h, w))
    tap, pixel = layout.border((h, w), 3)  # both [B]: who does not serve, and for what
    pixels = swap(x.flatten(2)).reshape([-1, c])
    missing = paddle.scatter_nd_add(paddle.zeros([n * instances.count * 9, c]), tap, F.embedding(pixel, pixels))
    taps = instances.pool(x).unsqueeze(2) - missing.reshape([n, instances.count, 9, c])  # [N, P, 9, C]
    taps = taps.transpose([0, 1, 3, 2]).flatten(2) / instances.pixels.clip(min=1)  # [N, P, C*9]
    return [
        layout.by_instance(
            paddle.matmul(taps, c.weight.flatten(1), transpose_y=True) + c.bias
        )  # [N, P, Z] -> [N, I, Z]
        for c in convolutions
    ]


def _activate(x):
    return F.leaky_relu(instance_norm(x), 0.2)


def _double(x):
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
