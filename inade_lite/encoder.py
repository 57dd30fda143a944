"""The instance-aware encoder (paper, section 3.4; built in notebook 3): from a real image to each instance's noise.

Instance-aware convolutions keep a neighbor's colors out of an instance's style. The means over each instance's pixels
leave four vectors per instance: mean and log-variance of its scale noise, and of its shift noise.
"""

import paddle
import paddle.nn.functional as F
from paddle import nn

from .checks import expect, expect_count
from .kernels import instance_norm, swap
from .layers import InstanceConv2D
from .modules import initialize
from .noise import NoiseParams


class InstanceEncoder(nn.Layer):
    """(image [N, 3, H, W], layout) -> NoiseParams, each [N, I, Z].

    down    3 -> f -> 2f -> 4f -> 8f channels, with stride 2
    middle  8f -> 4f
    up      three times: double the size, append the features of that size from the way down, then convolve to 2f, f, f
    heads   four times f -> Z at full size, of which only the mean over each instance is computed

    Every convolution is 3x3 and instance-aware. All but the heads are followed by instance norm and leaky ReLU.

    noise_dim: Z. base_channels: f. ValueError for an image whose sides are no multiples of 16.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 16] * 16], [[[0] * 8 + [1] * 8] * 16], num_classes=1)
    >>> params = il.InstanceEncoder(noise_dim=5, base_channels=4)(paddle.zeros([1, 3, 16, 16]), layout)
    >>> list(params.scale_mu.shape)
    [1, 2, 5]
    """

    def __init__(self, noise_dim, base_channels=64):
        super().__init__()
        expect_count("noise_dim", noise_dim)
        expect_count("base_channels", base_channels)
        f = base_channels
        self.down = nn.LayerList(
            [
                _conv(3, f, stride=2),
                _conv(f, 2 * f, stride=2),
                _conv(2 * f, 4 * f, stride=2),
                _conv(4 * f, 8 * f, stride=2),
            ]
        )
        self.middle = _conv(8 * f, 4 * f)
        self.up = nn.LayerList(
            [
                _conv(4 * f + 4 * f, 2 * f),
                _conv(2 * f + 2 * f, f),
                _conv(f + f, f),
            ]
        )
        self.heads = nn.LayerList([_conv(f, noise_dim) for _ in NoiseParams._fields])
        initialize(self)

    @classmethod
    def beside(cls, generator, base_channels):
        """An encoder for a generator; base_channels: f."""
        return cls(generator.noise_dim, base_channels)

    def forward(self, image, layout):
        """image [N, 3, H, W] -> NoiseParams, each [N, I, Z]."""
        features = self.features(image, layout)
        means = instance_means(self.heads, features, layout)
        return NoiseParams(*means)

    def features(self, image, layout):
        """What the heads see: image [N, 3, H, W] -> [N, f, H, W]."""
        expect("image", image, len(layout), 3, None, None)
        h, w = image.shape[2:]
        if h % 16 or w % 16:
            raise ValueError(f"image {h}x{w}: the encoder halves four times, so both sides must be multiples of 16")
        x = image
        skips = []
        for conv in self.down:
            x = _activate(conv(x, layout))
            skips.append(x)
        x = skips.pop()
        x = _activate(self.middle(x, layout))
        for conv in self.up:
            x = _double(x)
            x = paddle.concat([x, skips.pop()], axis=1)
            x = _activate(conv(x, layout))
        return _double(x)


def _conv(in_channels, out_channels, stride=1):
    """The convolution of which the encoder is made: [N, C, H, W] -> [N, O, H / stride, W / stride]."""
    return InstanceConv2D(in_channels, out_channels, 3, stride, padding=1)


def _activate(x):
    """Instance norm and leaky ReLU, [N, C, H, W] -> [N, C, H, W]."""
    return F.leaky_relu(instance_norm(x), 0.2)


def _double(x):
    """Bilinear up-sampling by 2, [N, C, H, W] -> [N, C, 2H, 2W]."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def instance_means(convolutions, x, layout):
    """The mean of each convolution's output over each instance's pixels, without computing that output.

    convolutions: InstanceConv2D C -> Z, 3x3 with stride 1 and padding 1. x: features [N, C, H, W].
    Returns for each convolution a Tensor [N, I, Z], zeros for absent instances.

    mean(conv(x)) = conv(mean of x under each tap), because a convolution is linear. For instance i with |i| pixels:

        mean of the outputs  =  bias + sum over taps t of  W[t] S[i, t] / |i|
        S[i, t]              =  sum of x[p + t] over the pixels p of i for which p + t lies in i, too
                             =  sum of x[q] over the pixels q of i  -  sum of x[q] over those with q - t not in i

    So: (1) sum x over each instance once; (2) per tap, subtract the border pixels whose window center q - t lies in
    another instance or outside the picture (`Layout.border`); (3) multiply by the weights. The product is taken once
    per instance instead of once per pixel.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0, 0, 0, 0]]], [[[0, 0, 0, 2]]], num_classes=1)
    >>> heads = [il.InstanceConv2D(3, 5, 3, padding=1) for _ in range(4)]
    >>> [list(mean.shape) for mean in instance_means(heads, paddle.ones([1, 3, 1, 4]), layout)]
    [[1, 3, 5], [1, 3, 5], [1, 3, 5], [1, 3, 5]]
    """
    n, c, *size = x.shape
    instances = layout.instances(size)
    p = instances.count
    sum_rows, pixel_rows = layout.border(size, kernel_size=3)

    # For each instance and tap the sum of the pixels to leave out.
    pixels = swap(x.flatten(2))  # [N, C, H*W] -> [N, H*W, C]
    pixels = pixels.reshape([-1, c])
    pixels = F.embedding(pixel_rows, pixels)  # [B, C]
    left_out = paddle.zeros([n * p * 9, c])
    left_out = paddle.scatter_nd_add(left_out, sum_rows, pixels)
    left_out = left_out.reshape([n, p, 9, c])  # [N*P*9, C] -> [N, P, 9, C]

    sums = instances.pool(x).unsqueeze(2)  # [N, P, C] -> [N, P, 1, C]
    sums = sums - left_out  # S, [N, P, 9, C]
    sums = sums.transpose([0, 1, 3, 2])  # [N, P, 9, C] -> [N, P, C, 9], the order of the weights
    sums = sums.flatten(2)  # [N, P, C*9]
    means = sums / instances.pixels.clip(min=1)

    results = []
    for conv in convolutions:
        weight = conv.weight.flatten(1)  # [Z, C, 3, 3] -> [Z, C*9]
        outputs = paddle.matmul(means, weight, transpose_y=True)  # [N, P, Z]
        outputs = outputs + conv.bias
        results.append(layout.by_instance(outputs))
    return results
