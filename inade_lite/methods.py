"""INADE, its rivals and its ablations (paper, section 4; measured in notebook 8): one name switches them.

All share the generator, the discriminator, the losses and the data. They differ in where scale and shift of a pixel
come from, and in what one draw of noise decides: the look of an instance, of a class, or of the whole picture.
"""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from .encoder import InstanceEncoder
from .generator import Generator
from .kernels import instance_norm
from .layers import INADE
from .modules import Conv2D, initialize, normalization
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

    @classmethod
    def beside(cls, generator, base_channels):
        return cls(generator.noise_dim // generator.repeats, base_channels, generator.repeats)

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

    @classmethod
    def beside(cls, generator, base_channels):
        """An encoder of this width for a generator."""
        return cls(generator.image_size, generator.latent_dim, base_channels)

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


# ---- What one draw of noise decides


class ClassGenerator(Generator):
    """For ClassNoise: one draw decides the look of a class."""

    level = "class"

    def reach(self, layout, chosen):
        label = layout.label.numpy()
        instance = layout.instance.numpy()
        reached = np.zeros_like(chosen)
        for n in range(len(layout)):
            classes = np.unique(label[n][chosen[n][instance[n]]])
            reached[n, np.unique(instance[n][np.isin(label[n], classes)])] = True
        return reached


class ImageGenerator(Generator):
    """For SPADE + VAE: one draw of the latent decides the whole picture, and the encoder tells that latent."""

    level = "image"

    def remap(self, params, noise, latent=None):
        # The latent's two halves stand where one instance has its noise for scales and for shifts.
        n = len(latent)
        return noise, remap_noise(latent.reshape([n, 1, 2, -1]), params).reshape([n, -1])

    def reach(self, layout, chosen):
        return np.ones_like(chosen)

    def redraw_latent(self, latent, seed):
        return paddle.to_tensor(np.random.default_rng(seed).standard_normal(latent.shape, np.float32))


class SilentGenerator(Generator):
    """For SPADE and CLADE: neither noise nor latent. The start map is a convolution of the layout, as in SPADE."""

    level = None

    def __init__(self, num_classes, image_size, noise_dim=64, latent_dim=0, *others, **named):
        super().__init__(num_classes, image_size, noise_dim, 0, *others, **named)


class IndependentGenerator(Generator):
    """For IndependentNoise: numbers its K layers, and its noise has K * Z dimensions.

    modulation: (channels, place=k) -> the k-th layer.
    """

    def __init__(self, num_classes, image_size, noise_dim=64, *others, modulation, **named):
        places = itertools.count()

        def numbered(channels):
            return modulation(channels, place=next(places))

        super().__init__(num_classes, image_size, noise_dim, *others, modulation=numbered, **named)
        self.repeats = next(places)
        self.noise_dim = self.repeats * noise_dim


# ---- One name for each


class Method(NamedTuple):
    """A layer that modulates, the generator that it stands in, and the encoder that tells its noise.

    modulation: called as modulation(channels, num_classes, noise_dim, norm) -> layer. encoder: a class, or None.
    """

    title: str
    modulation: Callable
    encoder: Callable | None = InstanceEncoder
    generator: Callable = Generator

    @property
    def level(self):
        """What one draw of noise decides: "instance", "class", "image" (by the latent), or None."""
        return self.generator.level

    def new_generator(self, config, num_classes, image_size):
        """The generator with the widths of a TrainConfig, given as a dict."""
        modulation = functools.partial(
            self.modulation, num_classes=num_classes, noise_dim=config["noise_dim"], norm=config["norm"]
        )
        return self.generator(
            num_classes,
            image_size,
            config["noise_dim"],
            config["latent_dim"],
            config["base_channels"],
            config["num_upsamplings"],
            modulation=modulation,
        )

    def new_encoder(self, config, generator):
        """The encoder that goes with this generator, or None."""
        if self.encoder is None or config["encoder_channels"] is None:
            return None
        return self.encoder.beside(generator, config["encoder_channels"])


METHODS = {
    "inade": Method("INADE", INADE),
    # rivals
    "spade": Method("SPADE", SPADE, None, SilentGenerator),
    "clade": Method("CLADE", CLADE, None, SilentGenerator),
    "spade_vae": Method("SPADE + VAE", SPADE, ImageEncoder, ImageGenerator),
    "class_noise": Method("class-level noise", ClassNoise, ClassEncoder, ClassGenerator),
    # ablations
    "independent_noise": Method("a noise per layer", IndependentNoise, RepeatingEncoder, IndependentGenerator),
    "no_encoder": Method("no encoder", INADE, None),
    "plain_encoder": Method("plain encoder", INADE, PlainEncoder),
    "scale_noise": Method("noise on scale only", ScaleNoise),
    "shift_noise": Method("noise on shift only", ShiftNoise),
}


def find_method(name):
    """METHODS[name], or a ValueError that names those that exist."""
    if name not in METHODS:
        raise ValueError(f"method={name!r}: expected one of {', '.join(map(repr, METHODS))}")
    return METHODS[name]
