"""OASIS's idea: a discriminator that segments, and noise for every pixel (built in notebook 11).

Sushko, Schönfeld and others, "You Only Need Adversarial Supervision for Semantic Image Synthesis", ICLR 2021. There is
no encoder and no loss but the adversarial one. The discriminator does not look at the label map beside a picture; it
has to find it. It says of each pixel which of L classes is seen there, or that the pixel is painted: class L.

    discriminator   find the classes of the real pixels, and call each painted pixel painted
    generator       paint pixels whose classes are found

Noise is a map with a vector at every pixel, concatenated to the one-hot labels that the layers read. Here all pixels of
an instance have the same vector, which the paper does when it draws single things again. What is left out: LabelMix,
a regularization of the discriminator, and the noise in the start map.
"""

import paddle
import paddle.nn.functional as F
from paddle import nn

from .generator import Generator
from .kernels import convolve, upsample
from .methods import SPADE
from .modules import Conv2D, SpectralConv2D, initialize

# ---- The generator


def paint_noise(layout, noise, size=None):
    """The noise of its instance at every pixel of a map (h, w): [N, I, 2, Z] -> [N, 2Z, h, w].

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0, 0, 0]]], [[[0, 1, 1]]], num_classes=1)
    >>> paint_noise(layout, paddle.to_tensor([[[[1.0], [2.0]], [[3.0], [4.0]]]])).tolist()
    [[[[1.0, 3.0, 3.0]], [[2.0, 4.0, 4.0]]]]
    """
    table = noise.flatten(2).flatten(0, 1)  # [N, I, 2, Z] -> [N*I, 2Z]
    present = F.embedding(layout.present_instance, table)  # [N, P, 2Z]
    return layout.instances(size).paint(present)


class NoiseSPADE(SPADE):
    """SPADE whose map m is one-hot labels, instance edges and the painted noise.

    channels: C. num_classes: L. noise_dim: Z. norm: "instance" or "batch".
    hidden: features between the two convolutions. The first is 1x1 and not 3x3, because with so many channels it would
    take most of the time.

    >>> import inade_lite as il
    >>> layout, layer = il.Layout([[[0, 0]]], [[[0, 1]]], num_classes=1), NoiseSPADE(3, 1, noise_dim=5)
    >>> list(layer(paddle.ones([1, 3, 1, 2]), layout, il.sample_noise(layout, 5)).shape)
    [1, 3, 1, 2]
    """

    def __init__(self, channels, num_classes, noise_dim, norm="instance", hidden=16):
        super().__init__(channels, num_classes, noise_dim, norm, hidden)
        self.shared = Conv2D(num_classes + 1 + 2 * noise_dim, hidden, 1)

    def forward(self, x, layout, noise):
        """x [N, C, h, w], a Layout of any size, noise [N, I, 2, Z] -> [N, C, h, w]."""
        size = x.shape[2:]
        m = paddle.concat([layout.scene(size), paint_noise(layout, noise, size)], axis=1)  # [N, L + 1 + 2Z, h, w]
        m = F.relu(self.shared(m))  # [N, hidden, h, w]
        # Both convolutions at once: on a CPU, copying their windows is what takes the time.
        weight = paddle.concat([self.gamma.weight, self.beta.weight])
        bias = paddle.concat([self.gamma.bias, self.beta.bias])
        both = convolve(m, weight, bias, padding=1)  # [N, 2C, h, w]
        channels = x.shape[1]
        return (1 + both[:, :channels]) * self.norm(x) + both[:, channels:]


class NoiseGenerator(Generator):
    """The blocks of `Generator` with NoiseSPADE in them. There is no latent: the start map is made of the layout.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 8] * 8], [[[0] * 8] * 8], num_classes=1)
    >>> generator = NoiseGenerator(1, image_size=8, noise_dim=5, base_channels=2, num_upsamplings=2)
    >>> list(generator(layout, il.sample_noise(layout, 5)).shape)
    [1, 3, 8, 8]
    """

    def __init__(self, num_classes, image_size, noise_dim=8, base_channels=12, num_upsamplings=4, hidden=16):
        def modulation(channels):
            return NoiseSPADE(channels, num_classes, noise_dim, hidden=hidden)

        super().__init__(
            num_classes,
            image_size,
            noise_dim,
            latent_dim=0,
            base_channels=base_channels,
            num_upsamplings=num_upsamplings,
            modulation=modulation,
        )


# ---- The discriminator


def pack(x):
    """Squares of 2x2 pixels side by side as channels: [N, C, H, W] -> [N, 4C, H/2, W/2].

    >>> pack(paddle.to_tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).flatten().tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    return F.pixel_unshuffle(x, 2)


def unpack(x):
    """What `pack` did, undone: [N, 4C, h, w] -> [N, C, 2h, 2w].

    >>> unpack(pack(paddle.to_tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))).tolist()
    [[[[1.0, 2.0], [3.0, 4.0]]]]
    """
    return F.pixel_shuffle(x, 2)


class SegmentingDiscriminator(nn.Layer):
    """A U-Net that tells of each pixel its class, or that it is painted: x [N, 3, H, W] -> [N, L + 1, H, W].

    It works on packed pixels (`pack`). num_scales convolutions 4x4 halve the features, and as many steps double them
    again. Each step also reads the features of its size from the way down, so that it knows what is there and where
    exactly.

    num_classes: L. base_channels: f, the width of the packed pixels; deeper ones have 2f, then 4f.

    >>> list(SegmentingDiscriminator(num_classes=5, base_channels=2)(paddle.zeros([1, 3, 32, 32])).shape)
    [1, 6, 32, 32]
    """

    def __init__(self, num_classes, base_channels=24, num_scales=3):
        super().__init__()
        widths = [base_channels * min(2**k, 4) for k in range(num_scales + 1)]
        self.first = SpectralConv2D(4 * 3, widths[0], 3, padding=1)
        self.down = nn.LayerList()
        self.up = nn.LayerList()
        for fine, coarse in zip(widths[:-1], widths[1:], strict=True):
            self.down.append(SpectralConv2D(fine, coarse, 4, stride=2, padding=1))
            self.up.append(SpectralConv2D(coarse + fine, fine, 3, padding=1))
        self.last = Conv2D(widths[0], 4 * (num_classes + 1), 1)
        initialize(self, gain=1.0)

    def forward(self, x):
        """x [N, 3, H, W] -> logits [N, L + 1, H, W]."""
        x = pack(x)  # [N, 12, H/2, W/2]
        x = F.leaky_relu(self.first(x), 0.2)
        passed = []
        for conv in self.down:
            passed.append(x)
            x = F.leaky_relu(conv(x), 0.2)
        for conv in reversed(self.up):
            x = paddle.concat([upsample(x), passed.pop()], axis=1)
            x = F.leaky_relu(conv(x), 0.2)
        return unpack(self.last(x))


# ---- The losses


def balanced_cross_entropy(logits, semantics):
    """How badly the classes are found, a scalar: -log p of the true class, averaged over pixels with weights.

        weight of a pixel of class c = pixels / (classes * pixels of class c)

    Counted in the batch, for classes that are present. So each class weighs as much as any other, however small it is.
    This equals the mean over classes of the mean over their pixels.

    logits [N, L + 1, H, W], semantics: one-hot labels [N, L, H, W].

    >>> semantics = paddle.to_tensor([[[[1.0, 1.0, 1.0, 0.0]], [[0.0, 0.0, 0.0, 1.0]]]])
    >>> logits = paddle.to_tensor([[[[9.0, 9.0, 9.0, 9.0]], [[0.0, 0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0, 0.0]]]])
    >>> round(float(balanced_cross_entropy(logits, semantics)), 1)  # the mean of 0 and 9
    4.5
    """
    pixels = semantics.sum([0, 2, 3], keepdim=True)  # [1, L, 1, 1]
    present = (pixels > 0).astype("float32")
    weights = present / (present.sum() * pixels.clip(min=1))
    log_p = F.log_softmax(logits, axis=1)[:, :-1]  # [N, L, H, W]
    return -(weights * semantics * log_p).sum()


def painted_cross_entropy(logits):
    """How badly painted pixels are recognized as such, a scalar: the mean of -log p of the last class.

    >>> round(float(painted_cross_entropy(paddle.zeros([1, 4, 2, 2]))), 3)  # log 4
    1.386
    """
    return -F.log_softmax(logits, axis=1)[:, -1].mean()
