"""The discriminator (built in notebook 5): PatchGANs at several scales over labels, instance edges and image, as in
pix2pixHD and SPADE.
"""

import paddle.nn.functional as F
from paddle import nn

from .checks import expect, expect_count
from .kernels import instance_norm
from .modules import Conv2D, SpectralConv2D, initialize


class PatchDiscriminator(nn.Layer):
    """Judges overlapping patches: x [N, C, H, W] -> the outputs of all layers, a map of scores [N, 1, h, w] last.

    num_layers convolutions, 4x4 with padding 2 and leaky ReLU, then one for the score. Their widths are f, 2f, 4f, ...
    up to 512. The last before the score keeps the resolution, the others halve it. All but the first and the score are
    spectrally normalized, without bias, and followed by instance norm.

    in_channels: C. base_channels: f.

    >>> import paddle
    >>> outputs = PatchDiscriminator(in_channels=6, base_channels=4)(paddle.zeros([1, 6, 32, 32]))
    >>> [list(y.shape[1:]) for y in outputs]
    [[4, 17, 17], [8, 9, 9], [16, 5, 5], [32, 6, 6], [1, 7, 7]]
    """

    def __init__(self, in_channels, base_channels=64, num_layers=4):
        super().__init__()
        expect_count("in_channels", in_channels)
        expect_count("base_channels", base_channels)
        expect_count("num_layers", num_layers)
        self.in_channels = in_channels
        widths = [min(base_channels * 2**i, 512) for i in range(num_layers)]
        self.first = Conv2D(in_channels, widths[0], kernel_size=4, stride=2, padding=2)
        self.middle = nn.LayerList()
        for i in range(1, num_layers):
            last = i == num_layers - 1
            conv = SpectralConv2D(
                widths[i - 1],
                widths[i],
                kernel_size=4,
                stride=1 if last else 2,
                padding=2,
                bias=False,
            )
            self.middle.append(conv)
        self.score = Conv2D(widths[-1], 1, kernel_size=4, padding=2)

    def forward(self, x):
        """x [N, C, H, W] -> the outputs of all layers, the score [N, 1, h, w] last."""
        expect("x", x, None, self.in_channels, None, None)
        x = self.first(x)
        x = F.leaky_relu(x, 0.2)
        outputs = [x]
        for conv in self.middle:
            x = conv(x)
            x = instance_norm(x)
            x = F.leaky_relu(x, 0.2)
            outputs.append(x)
        score = self.score(x)
        outputs.append(score)
        return outputs


class MultiscaleDiscriminator(nn.Layer):
    """num_scales PatchDiscriminators, each on the image at half the size of the one before.

    The input is [N, C, H, W]: one-hot labels, instance edges and image, one behind the other. The result has for each
    scale the list of its layers' outputs, the score last. Coarse scales judge the scene, fine ones the texture.

    in_channels: C. base_channels, num_layers: those of each PatchDiscriminator.

    >>> import inade_lite as il, paddle
    >>> outputs = il.MultiscaleDiscriminator(in_channels=6, base_channels=4)(paddle.zeros([1, 6, 32, 32]))
    >>> [list(scale[-1].shape) for scale in outputs]
    [[1, 1, 7, 7], [1, 1, 5, 5]]
    """

    def __init__(self, in_channels, base_channels=64, num_scales=2, num_layers=4):
        super().__init__()
        expect_count("num_scales", num_scales)
        self.scales = nn.LayerList()
        for _ in range(num_scales):
            scale = PatchDiscriminator(in_channels, base_channels, num_layers)
            self.scales.append(scale)
        initialize(self)

    def forward(self, x):
        """x [N, C, H, W] -> for each scale the list of its layers' outputs, the score last."""
        results = []
        for i, scale in enumerate(self.scales):
            if i > 0:
                # With exclusive=True the padding is not counted in the mean.
                x = F.avg_pool2d(x, 3, stride=2, padding=1, exclusive=True)
            results.append(scale(x))
        return results
