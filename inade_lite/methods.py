"""INADE, its rivals and its ablations (paper, section 4; measured in notebook 8): one name switches them.

All share the generator, the discriminator, the losses and the data. They differ in where scale and shift of a pixel
come from, and in what one draw of noise decides: the look of an instance, of a class, or of the whole picture.
"""

from collections.abc import Callable
from typing import NamedTuple

import paddle
import paddle.nn.functional as F
from paddle import nn

from .blocks import Conv2D, initialize
from .encoder import InstanceEncoder
from .generator import Generator
from .layers import INADE, instance_norm, normalization
from .noise import NoiseParams, remap_noise


class SPADE(nn.Layer):
    """Spatially-adaptive denormalization (Park et al., CVPR 2019), where m is one-hot labels and instance edges.

        out = (1 + gamma(m)) * norm(x) + beta(m),        gamma, beta = conv(relu(conv(m)))

    hidden: features between the two 3x3 convolutions; the original's 128 belong to generators four times as wide.
    """

    def __init__(self, channels, num_classes, noise_dim=None, norm="instance", hidden=32):
        super().__init__()
        self.norm = normalization(norm, channels)
        self.shared = Conv2D(num_classes + 1, hidden, 3, padding=1)
        self.gamma = Conv2D(hidden, channels, 3, padding=1)
        self.beta = Conv2D(hidden, channels, 3, padding=1)

    def forward(self, x, layout, noise=None):
        """x [N, C, h, w], a Layout of any size -> [N, C, h, w]. It has no use for noise."""
        m = F.relu(self.shared(layout.scene(x.shape[2:])))
        return (1 + self.gamma(m)) * self.norm(x) + self.beta(m)


class CLADE(nn.Layer):
    """Class-adaptive denormalization (Tan et al., TPAMI 2021): out = scale[l] * norm(x) + shift[l], a row per class."""

    def __init__(self, channels, num_classes, noise_dim=None, norm="instance"):
        super().__init__()
        self.norm = normalization(norm, channels)
        uniform = nn.initializer.Uniform(0, 1)  # as INADE's weight
        self.scale = self.create_parameter([num_classes, channels], default_initializer=uniform)
        self.shift = self.create_parameter([num_classes, channels], is_bias=True)

    def forward(self, x, layout, noise=None):
        """x [N, C, h, w], a Layout of any size -> [N, C, h, w]. It has no use for noise."""
        regions = layout.regions(x.shape[2:])
        scale, shift = (regions.paint(F.embedding(layout.region_label, table)) for table in (self.scale, self.shift))
        return self.norm(x) * scale + shift


class ClassNoise(INADE):
    """INADE in which all instances of a class share one noise, that of the first of them."""

    def forward(self, x, layout, noise):
        return super().forward(x, layout.by_class(), noise)


class ScaleNoise(INADE):
    """INADE whose shifts know the class only."""

    def forward(self, x, layout, noise):
        scale, shift = noise.unbind(2)
        return super().forward(x, layout, paddle.stack([scale, paddle.zeros_like(shift)], axis=2))


class ShiftNoise(INADE):
    """INADE whose scales know the class only."""

    def forward(self, x, layout, noise):
        scale, shift = noise.unbind(2)
        return super().forward(x, layout, paddle.stack([paddle.zeros_like(scale), shift], axis=2))


class IndependentNoise(INADE):
    """INADE with a noise of its own in every layer: the k-th layer reads the k-th Z of noise [N, I, 2, K*Z]."""

    def __init__(self, channels, num_classes, noise_dim, norm="instance", place=0):
        super().__init__(channels, num_classes, noise_dim, norm)
        self.own = slice(place * noise_dim, (place + 1) * noise_dim)

    def forward(self, x, layout, noise):
        return super().forward(x, layout, noise[..., self.own])


class ClassEncoder(InstanceEncoder):
    """For ClassNoise: what it sees of a class goes to the class's first instance, the others get zeros."""

    def forward(self, image, layout):
        return super().forward(image, layout.by_class())


class PlainEncoder(InstanceEncoder):
    """The encoder with ordinary convolutions, which see across borders; only the pooling knows the instances."""

    def forward(self, image, layout):
        """(image [N, 3, H, W], layout) -> NoiseParams, each [N, I, Z]."""
        whole, instances = layout.whole(), layout.instances()
        x = self.features(image, whole)
        return NoiseParams(*[layout.by_instance(instances.mean(head(x, whole))) for head in self.heads])


class RepeatingEncoder(InstanceEncoder):
    """For IndependentNoise: the same means and variances for each of the K noises of an instance."""

    def __init__(self, noise_dim, base_channels, repeats):
        super().__init__(noise_dim, base_channels)
        self.repeats = repeats

    def forward(self, image, layout):
        return NoiseParams(*[p.tile([1, 1, self.repeats]) for p in super().forward(image, layout)])


class ImageEncoder(nn.Layer):
    """SPADE's encoder: one Gaussian for the latent of the whole picture, as NoiseParams of one instance, [N, 1, D/2].

    3x3 convolutions of stride 2, f to 8f channels, down to 4x4 pixels, then a Linear; image_size and D = latent_dim.
    Its input is divided by the number of pixels: the sum over so many would jump with every step of Adam.

        mu = MEAN_STD * (m - mean of m over the batch) / std of m over the batch

    (Zhu et al., ACL 2020). Else the means start almost equal, the generator learns to do without them before they tell
    anything, and KL makes that final. In eval mode mean and std are running averages of the training's.
    """

    MEAN_STD = 0.8  # leaves 0.36 for the variance, so that latents of all pictures together are like N(0, 1)

    def __init__(self, image_size, latent_dim, base_channels=64):
        super().__init__()
        (height, width), channels = image_size, [3]
        while min(height, width) > 4:
            height, width = (height + 1) // 2, (width + 1) // 2
            channels.append(base_channels * min(8, 2 ** (len(channels) - 1)))
        pairs = zip(channels[:-1], channels[1:], strict=True)
        self.down = nn.LayerList([Conv2D(a, b, 3, stride=2, padding=1) for a, b in pairs])
        self.head = nn.Linear(channels[-1] * height * width, 2 * latent_dim)
        self.standardize = nn.BatchNorm1D(latent_dim, weight_attr=False, bias_attr=False)
        initialize(self)

    def forward(self, image, layout=None):
        x = image
        for conv in self.down:
            x = F.leaky_relu(instance_norm(conv(x)), 0.2)
        _, _, height, width = x.shape
        m, logvar = self.head(x.flatten(1) / (height * width)).chunk(2, axis=1)
        mu = self.MEAN_STD * self.standardize(m)
        scale_mu, bias_mu = mu.unsqueeze(1).chunk(2, axis=2)
        scale_logvar, bias_logvar = logvar.unsqueeze(1).chunk(2, axis=2)
        return NoiseParams(scale_mu, scale_logvar, bias_mu, bias_logvar)


class Method(NamedTuple):
    """title; modulation(channels, num_classes, noise_dim, norm) -> layer; encoder: None, or a class.

    level: what one draw of noise decides, "instance", "class", "image" (by the latent), or None.
    """

    title: str
    modulation: Callable
    encoder: Callable | None
    level: str | None


METHODS = {
    "inade": Method("INADE", INADE, InstanceEncoder, "instance"),
    # rivals
    "spade": Method("SPADE", SPADE, None, None),
    "clade": Method("CLADE", CLADE, None, None),
    "spade_vae": Method("SPADE + VAE", SPADE, ImageEncoder, "image"),
    "class_noise": Method("class-level noise", ClassNoise, ClassEncoder, "class"),
    # ablations
    "independent_noise": Method("a noise per layer", IndependentNoise, RepeatingEncoder, "instance"),
    "no_encoder": Method("no encoder", INADE, None, "instance"),
    "plain_encoder": Method("plain encoder", INADE, PlainEncoder, "instance"),
    "scale_noise": Method("noise on scale only", ScaleNoise, InstanceEncoder, "instance"),
    "shift_noise": Method("noise on shift only", ShiftNoise, InstanceEncoder, "instance"),
}


def new_generator(config, num_classes, image_size):
    """The generator of config["method"], with the widths of a TrainConfig as a dict. Generator.level tells its level.

    Methods without noise have no latent either: their start map is a convolution of the layout, as in SPADE.
    """
    method = find_method(config["method"])
    layers = []

    def modulation(channels):
        more = {"place": len(layers)} if method.modulation is IndependentNoise else {}
        layers.append(method.modulation(channels, num_classes, config["noise_dim"], config["norm"], **more))
        return layers[-1]

    generator = Generator(
        num_classes,
        image_size,
        config["noise_dim"],
        config["latent_dim"] if method.level else 0,
        config["base_channels"],
        config["num_upsamplings"],
        modulation=modulation,
    )
    if method.modulation is IndependentNoise:
        generator.noise_dim *= len(layers)
    generator.level = method.level
    return generator


def new_encoder(config, generator):
    """The encoder that goes with new_generator's generator, or None."""
    kind, width = find_method(config["method"]).encoder, config["encoder_channels"]
    if kind is None or width is None:
        return None
    if kind is ImageEncoder:
        return ImageEncoder(generator.image_size, generator.latent_dim, width)
    if kind is RepeatingEncoder:
        return RepeatingEncoder(config["noise_dim"], width, generator.noise_dim // config["noise_dim"])
    return kind(config["noise_dim"], width)


def find_method(name):
    if name not in METHODS:
        raise ValueError(f"method={name!r}: expected one of {', '.join(map(repr, METHODS))}")
    return METHODS[name]


def remap(generator, params, noise, latent=None):
    """Noise [N, I, 2, Z] and latent [N, D] moved to where the encoder's NoiseParams put the look of its images.

    Where one draw decides the whole picture, that is the latent; else it is the noise.
    """
    if generator.level != "image":
        return remap_noise(noise, params), latent
    n = len(latent)
    return noise, remap_noise(latent.reshape([n, 1, 2, -1]), params).reshape([n, -1])
