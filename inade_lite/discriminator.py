"""The discriminator: PatchGANs at several scales over labels, instance edges and image (as in pix2pixHD and SPADE)."""

import paddle.nn.functional as F
from paddle import nn

from .kernels import instance_norm
from .modules import Conv2D, SpectralConv2D, initialize


class PatchDiscriminator(nn.Layer):
    """4x4 convolutions, padding 2, that judge overlapping patches: widths f, 2f, 4f, ... up to 512, then one score map.

    The last of the num_layers keeps the resolution, the others halve it. All but the first and the score are spectrally
    normalized, without bias, and followed by instance norm.
    """

    def __init__(self, in_channels, base_channels=64, num_layers=4):
        super().__init__()
        widths = [min(base_channels * 2**i, 512) for i in range(num_layers)]
        self.first = Conv2D(in_channels, widths[0], 4, stride=2, padding=2)
        self.middle = nn.LayerList(
            [
                SpectralConv2D(a, b, 4, stride=1 if i == num_layers - 2 else 2, padding=2, bias=False)
                for i, (a, b) in enumerate(zip(widths[:-1], widths[1:], strict=True))
            ]
        )
        self.score = Conv2D(widths[-1], 1, 4, padding=2)

    def forward(self, x):
        """x [N, C, H, W] -> the outputs of all layers, the score [N, 1, h, w] last."""
        outputs = [F.leaky_relu(self.first(x), 0.2)]
        for conv in self.middle:
            outputs.append(F.leaky_relu(instance_norm(conv(outputs[-1])), 0.2))
        return [*outputs, self.score(outputs[-1])]


class MultiscaleDiscriminator(nn.Layer):
    """num_scales PatchDiscriminators, each on the image at half the size of the one before.

    x = concat(semantics, edges, image) [N, C, H, W] -> for each scale the list of its layers' outputs, the score last.
    """

    def __init__(self, in_channels, base_channels=64, num_scales=2, num_layers=4):
        super().__init__()
        scales = [PatchDiscriminator(in_channels, base_channels, num_layers) for _ in range(num_scales)]
        self.scales = nn.LayerList(scales)
        initialize(self)

    def forward(self, x):
        results = []
        for i, scale in enumerate(self.scales):
            if i:
                x = F.avg_pool2d(x, 3, stride=2, padding=1, exclusive=True)  # padding is not counted in the mean
            results.append(scale(x))
        return results
