"""INADE, its rivals and its ablations (paper, section 4; measured in notebook 9): one name switches them.

All share the discriminator, the losses, the data, and a generator of the same blocks. They differ in where scale and
shift of a pixel come from, and in what one draw of noise decides: the look of an instance, of a class, or of the whole
picture.
"""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from .checks import expect, expect_classes
from .encoder import InstanceEncoder
from .generator import Generator
from .kernels import instance_norm
from .layers import INADE
from .modules import Conv2D, initialize, normalization
from .noise import NoiseParams, remap_noise
from .positions import PatternEncoder, PositionINADE
from .prior import PriorEncoder

# ---- Layers: where scale and shift of a pixel come from


class SPADE(nn.Layer):
    """Spatially-adaptive denormalization (Park et al., CVPR 2019), where m is one-hot labels and instance edges.

        out = (1 + gamma(m)) * norm(x) + beta(m),        gamma, beta = conv(relu(conv(m)))

    channels: C. num_classes: L. norm: "instance" or "batch". noise_dim is not used.
    hidden: features between the two 3x3 convolutions; the original's 128 belong to generators four times as wide.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0, 0, 1, 1]]], [[[0, 1, 2, 2]]], num_classes=2)
    >>> list(SPADE(channels=3, num_classes=2)(paddle.ones([1, 3, 1, 4]), layout).shape)
    [1, 3, 1, 4]
    """

    def __init__(self, channels, num_classes, noise_dim=None, norm="instance", hidden=32):
        super().__init__()
        self.norm = normalization(norm, channels)
        self.shared = Conv2D(num_classes + 1, hidden, 3, padding=1)
        self.gamma = Conv2D(hidden, channels, 3, padding=1)
        self.beta = Conv2D(hidden, channels, 3, padding=1)

    def forward(self, x, layout, noise=None):
        """x [N, C, h, w], a Layout of any size -> [N, C, h, w]. The noise is not used."""
        expect("x", x, len(layout), self.gamma.weight.shape[0], None, None)
        expect_classes(layout, self.shared.weight.shape[1] - 1)
        m = layout.scene(x.shape[2:])  # [N, L + 1, h, w]
        m = self.shared(m)
        m = F.relu(m)  # [N, hidden, h, w]
        return (1 + self.gamma(m)) * self.norm(x) + self.beta(m)


class CLADE(nn.Layer):
    """Class-adaptive denormalization (Tan et al., TPAMI 2021): out = scale[l] * norm(x) + shift[l], a row per class.

    channels: C. num_classes: L. norm: "instance" or "batch". noise_dim is not used.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0, 0, 1, 1]]], [[[0, 1, 2, 2]]], num_classes=2)
    >>> list(CLADE(channels=3, num_classes=2)(paddle.ones([1, 3, 1, 4]), layout).shape)
    [1, 3, 1, 4]
    """

    def __init__(self, channels, num_classes, noise_dim=None, norm="instance"):
        super().__init__()
        shape = [num_classes, channels]
        uniform = nn.initializer.Uniform(0, 1)  # as INADE's weight
        self.norm = normalization(norm, channels)
        self.scale = self.create_parameter(shape, default_initializer=uniform)
        self.shift = self.create_parameter(shape, is_bias=True)

    def forward(self, x, layout, noise=None):
        """x [N, C, h, w], a Layout of any size -> [N, C, h, w]. The noise is not used."""
        expect("x", x, len(layout), self.scale.shape[1], None, None)
        expect_classes(layout, len(self.scale))
        regions = layout.regions(x.shape[2:])
        scale = F.embedding(layout.region_label, self.scale)  # [N, R, C]
        shift = F.embedding(layout.region_label, self.shift)
        scale = regions.paint(scale)  # [N, R, C] -> [N, C, h, w]
        shift = regions.paint(shift)
        return self.norm(x) * scale + shift


class ClassNoise(INADE):
    """INADE in which all instances of a class share one noise, that of the one with the lowest id.

    >>> import inade_lite as il
    >>> layout, layer = il.Layout([[[0, 0]]], [[[0, 1]]], num_classes=1), ClassNoise(3, 1, noise_dim=5)
    >>> out = layer(paddle.ones([1, 3, 1, 2]), layout, il.sample_noise(layout, 5))
    >>> bool((out[..., 0] == out[..., 1]).all())
    True
    """

    def forward(self, x, layout, noise):
        """x [N, C, h, w], a Layout of any size, noise [N, I, 2, Z] -> [N, C, h, w]."""
        return super().forward(x, layout.by_class(), noise)


class ScaleNoise(INADE):
    """INADE whose noise is heard by the scales only; the shifts know the class.

    >>> import inade_lite as il
    >>> layout, layer = il.Layout([[[0, 0]]], [[[0, 1]]], num_classes=1), ScaleNoise(3, 1, noise_dim=5)
    >>> list(layer(paddle.ones([1, 3, 1, 2]), layout, il.sample_noise(layout, 5)).shape)
    [1, 3, 1, 2]
    """

    def forward(self, x, layout, noise):
        """x [N, C, h, w], a Layout of any size, noise [N, I, 2, Z] -> [N, C, h, w]."""
        scale, shift = noise.unbind(2)
        silence = paddle.zeros_like(shift)
        noise = paddle.stack([scale, silence], axis=2)
        return super().forward(x, layout, noise)


class ShiftNoise(INADE):
    """INADE whose noise is heard by the shifts only; the scales know the class.

    >>> import inade_lite as il
    >>> layout, layer = il.Layout([[[0, 0]]], [[[0, 1]]], num_classes=1), ShiftNoise(3, 1, noise_dim=5)
    >>> list(layer(paddle.ones([1, 3, 1, 2]), layout, il.sample_noise(layout, 5)).shape)
    [1, 3, 1, 2]
    """

    def forward(self, x, layout, noise):
        """x [N, C, h, w], a Layout of any size, noise [N, I, 2, Z] -> [N, C, h, w]."""
        scale, shift = noise.unbind(2)
        silence = paddle.zeros_like(scale)
        noise = paddle.stack([silence, shift], axis=2)
        return super().forward(x, layout, noise)


class IndependentNoise(INADE):
    """INADE with a noise of its own in every layer: the layer at place k reads the k-th Z numbers of [N, I, 2, K*Z].

    >>> import inade_lite as il
    >>> layout, layer = il.Layout([[[0, 0]]], [[[0, 1]]], num_classes=1), IndependentNoise(3, 1, noise_dim=5, place=1)
    >>> list(layer(paddle.ones([1, 3, 1, 2]), layout, il.sample_noise(layout, 2 * 5)).shape)
    [1, 3, 1, 2]
    """

    def __init__(self, channels, num_classes, noise_dim, norm="instance", place=0):
        super().__init__(channels, num_classes, noise_dim, norm)
        first = place * noise_dim
        self.own = slice(first, first + noise_dim)

    def forward(self, x, layout, noise):
        """x [N, C, h, w], a Layout of any size, noise [N, I, 2, K*Z] -> [N, C, h, w]."""
        own = noise[..., self.own]  # [N, I, 2, Z]
        return super().forward(x, layout, own)


class SketchINADE(INADE):
    """INADE that merges the layout's sketch, as the original does: see `data.sketches` and INADE's `sketch`.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0, 0]]], [[[0, 1]]], num_classes=1, sketch=[[[0.0, 1.0]]])
    >>> layer = SketchINADE(3, 1, noise_dim=5)
    >>> list(layer(paddle.ones([1, 3, 1, 2]), layout, il.sample_noise(layout, 5)).shape)
    [1, 3, 1, 2]
    """

    def __init__(self, channels, num_classes, noise_dim, norm="instance"):
        super().__init__(channels, num_classes, noise_dim, norm, sketch=True)

    def forward(self, x, layout, noise):
        """x [N, C, h, w], a Layout of any size with a sketch, noise [N, I, 2, Z] -> [N, C, h, w]."""
        return super().forward(x, layout, noise, layout.sketch(x.shape[2:]))


# ---- Encoders: what moves the noise to a real image


class ClassEncoder(InstanceEncoder):
    """For ClassNoise: what it sees of a class goes to the class's instance with the lowest id, the others get zeros.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 16] * 16], [[[0] * 8 + [1] * 8] * 16], num_classes=1)
    >>> params = ClassEncoder(noise_dim=5, base_channels=4)(paddle.ones([1, 3, 16, 16]), layout)
    >>> params.scale_mu[0, 1].tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0]
    """

    def forward(self, image, layout):
        """image [N, 3, H, W] -> NoiseParams, each [N, I, Z]."""
        return super().forward(image, layout.by_class())


class PlainEncoder(InstanceEncoder):
    """The encoder with ordinary convolutions, which see across borders; only the means know the instances.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 16] * 16], [[[0] * 8 + [1] * 8] * 16], num_classes=1)
    >>> params = PlainEncoder(noise_dim=5, base_channels=4)(paddle.ones([1, 3, 16, 16]), layout)
    >>> list(params.scale_mu.shape)
    [1, 2, 5]
    """

    def forward(self, image, layout):
        """image [N, 3, H, W] -> NoiseParams, each [N, I, Z]."""
        whole = layout.whole()  # with one instance, an instance-aware convolution is an ordinary one
        instances = layout.instances()
        x = self.features(image, whole)
        params = []
        for head in self.heads:
            means = instances.mean(head(x, whole))
            params.append(layout.by_instance(means))
        return NoiseParams(*params)


class LooseEncoder(PatternEncoder):
    """PatternEncoder whose noise is not standardized by class: its averages stay 0 and 1.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 16] * 16], [[[0] * 8 + [1] * 8] * 16], num_classes=1)
    >>> encoder = LooseEncoder(5, base_channels=4, num_classes=1)
    >>> params = encoder(paddle.rand([1, 3, 16, 16]), layout)
    >>> bool((encoder.standardize.mean == 0).all()), bool((encoder.standardize.variance == 1).all())
    (True, True)
    """

    def __init__(self, noise_dim, base_channels, num_classes):
        super().__init__(noise_dim, base_channels, num_classes)
        self.standardize.momentum = 1


class RepeatingEncoder(InstanceEncoder):
    """For IndependentNoise: the same means and variances for each of an instance's K noises; repeats: K.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 16] * 16], [[[0] * 8 + [1] * 8] * 16], num_classes=1)
    >>> params = RepeatingEncoder(noise_dim=5, base_channels=4, repeats=3)(paddle.ones([1, 3, 16, 16]), layout)
    >>> list(params.scale_mu.shape)
    [1, 2, 15]
    """

    def __init__(self, noise_dim, base_channels, repeats):
        super().__init__(noise_dim, base_channels)
        self.repeats = repeats

    @classmethod
    def beside(cls, generator, base_channels):
        """An encoder of this width for an IndependentGenerator."""
        noise_dim = generator.noise_dim // generator.repeats
        return cls(noise_dim, base_channels, generator.repeats)

    def forward(self, image, layout):
        """image [N, 3, H, W] -> NoiseParams, each [N, I, K*Z]."""
        params = super().forward(image, layout)
        repeats = [1, 1, self.repeats]
        return NoiseParams(*[p.tile(repeats) for p in params])


class ImageEncoder(nn.Layer):
    """SPADE's encoder: one Gaussian for the latent of the whole picture.

    Its NoiseParams are those of a single instance, each [N, 1, D/2]: scale_mu and bias_mu are the two halves of the D
    means, the log-variances likewise.

    Convolutions 3x3 with stride 2 halve the picture until its shorter side has 4 pixels or fewer, while the channels
    grow from f to 8f. Then comes a Linear. Its input is divided by the number of pixels, because its outputs are sums
    over so many features that otherwise each step of Adam would make them jump.

    The means m that come out of it are standardized over the batch (Zhu et al., ACL 2020):

        mu = MEAN_STD * (m - mean of m over the batch) / std of m over the batch

    Without this, all pictures start with nearly the same mean. The generator learns to ignore the latent before it
    carries information, and KL then keeps it that way (posterior collapse). In eval mode, mean and std are running
    averages of those in training.

    image_size: (H, W). latent_dim: D. base_channels: f.

    >>> encoder = ImageEncoder(image_size=(16, 16), latent_dim=6, base_channels=4)
    >>> list(encoder(paddle.rand([2, 3, 16, 16])).scale_mu.shape)
    [2, 1, 3]
    """

    # The means' variance, 0.64, leaves 0.36 for the variance around each: then the latents of all pictures together are
    # like N(0, 1).
    MEAN_STD = 0.8

    def __init__(self, image_size, latent_dim, base_channels=64):
        super().__init__()
        if latent_dim < 2 or latent_dim % 2:
            raise ValueError(
                f"latent_dim={latent_dim}: the latent of a whole picture has two halves; expected 2, 4, ..."
            )
        height, width = image_size
        channels = 3
        self.down = nn.LayerList()
        while min(height, width) > 4:
            wider = base_channels * min(8, 2 ** len(self.down))
            self.down.append(Conv2D(channels, wider, 3, stride=2, padding=1))
            channels = wider
            height = (height + 1) // 2
            width = (width + 1) // 2
        self.head = nn.Linear(channels * height * width, 2 * latent_dim)
        self.standardize = nn.BatchNorm1D(latent_dim, weight_attr=False, bias_attr=False)
        initialize(self)

    @classmethod
    def beside(cls, generator, base_channels):
        """An encoder of this width for a generator."""
        return cls(generator.image_size, generator.latent_dim, base_channels)

    def forward(self, image, layout=None):
        """image [N, 3, H, W] -> NoiseParams, each [N, 1, D/2]. The layout is not used."""
        x = image
        for conv in self.down:
            x = instance_norm(conv(x))
            x = F.leaky_relu(x, 0.2)
        _, _, height, width = x.shape
        x = x.flatten(1) / (height * width)
        m, logvar = self.head(x).chunk(2, axis=1)  # [N, 2D] -> [N, D] each
        mu = self.MEAN_STD * self.standardize(m)
        mu = mu.unsqueeze(1)
        logvar = logvar.unsqueeze(1)
        scale_mu, bias_mu = mu.chunk(2, axis=2)  # [N, 1, D] -> [N, 1, D/2] each
        scale_logvar, bias_logvar = logvar.chunk(2, axis=2)
        return NoiseParams(scale_mu, scale_logvar, bias_mu, bias_logvar)


# ---- Generators: what one draw of noise decides


class ClassGenerator(Generator):
    """For ClassNoise: one draw decides the look of a class.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0, 0, 1, 1]]], [[[0, 1, 2, 2]]], num_classes=2)
    >>> generator = ClassGenerator(2, image_size=2, base_channels=2, num_upsamplings=0)
    >>> generator.reach(layout, np.array([[False, True, False]])).tolist()
    [[True, True, False]]
    """

    level = "class"

    def reach(self, layout, chosen):
        """All instances of the chosen ones' classes, bool [N, I]."""
        label = layout.label.numpy()
        instance = layout.instance.numpy()
        reached = np.zeros_like(chosen)
        for n in range(len(layout)):
            is_chosen = chosen[n][instance[n]]  # [H, W]
            classes = np.unique(label[n][is_chosen])
            of_classes = np.isin(label[n], classes)  # [H, W]
            ids = np.unique(instance[n][of_classes])
            reached[n, ids] = True
        return reached


class ImageGenerator(Generator):
    """For SPADE + VAE: one draw of the latent decides the whole picture, and the encoder tells that latent.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0, 0, 1, 1]]], [[[0, 1, 2, 2]]], num_classes=2)
    >>> generator = ImageGenerator(2, image_size=2, base_channels=2, num_upsamplings=0)
    >>> generator.reach(layout, np.array([[False, True, False]])).tolist()
    [[True, True, True]]
    """

    level = "image"

    def remap(self, params, noise, latent=None):
        """The noise as it is, and the latent [N, D] moved by the NoiseParams of an ImageEncoder, each [N, 1, D/2]."""
        n = len(latent)
        # The latent's two halves stand where one instance has its noise for scales and for shifts.
        latent = latent.reshape([n, 1, 2, -1])  # [N, D] -> [N, 1, 2, D/2]
        latent = remap_noise(latent, params)
        return noise, latent.reshape([n, -1])

    def reach(self, layout, chosen):
        """All instances, bool [N, I]."""
        return np.ones_like(chosen)

    def redraw_latent(self, latent, seed):
        """A new latent [N, D], the same for the same seed."""
        random = np.random.default_rng(seed)
        latent = random.standard_normal(latent.shape, np.float32)
        return paddle.to_tensor(latent)


class SilentGenerator(Generator):
    """For SPADE and CLADE: neither noise nor latent. The start map is a convolution of the layout, as in SPADE.

    >>> SilentGenerator(2, image_size=2, base_channels=2, num_upsamplings=0).latent_dim
    0
    """

    level = None

    def __init__(self, num_classes, image_size, noise_dim=64, latent_dim=0, *others, **named):
        super().__init__(num_classes, image_size, noise_dim, 0, *others, **named)


class IndependentGenerator(Generator):
    """For IndependentNoise: it numbers its K layers, and its noise has K * Z dimensions.

    modulation: called as modulation(channels, place=k), gives the k-th layer.

    >>> modulation = functools.partial(IndependentNoise, num_classes=2, noise_dim=5)
    >>> generator = IndependentGenerator(2, 2, 5, base_channels=2, num_upsamplings=0, modulation=modulation)
    >>> generator.repeats, generator.noise_dim  # 7 blocks with 2 layers each, 4 of them with a third
    (18, 90)
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

    title: what tables call it. modulation: called as modulation(channels, num_classes, noise_dim, norm), gives a layer.
    encoder: a class, or None. generator: a class. sketch: whether it needs layouts with a sketch.

    >>> config = {"noise_dim": 5, "latent_dim": 6, "base_channels": 2, "num_upsamplings": 2, "norm": "instance"}
    >>> METHODS["clade"].new_generator(config, num_classes=2, image_size=8).level is None
    True
    """

    title: str
    modulation: Callable
    encoder: Callable | None = InstanceEncoder
    generator: Callable = Generator
    sketch: bool = False

    @property
    def level(self):
        """What one draw of noise decides: "instance", "class", "image" (by the latent), or None."""
        return self.generator.level

    def new_generator(self, config, num_classes, image_size):
        """The generator with the widths of a TrainConfig, given as a dict."""
        modulation = functools.partial(
            self.modulation,
            num_classes=num_classes,
            noise_dim=config["noise_dim"],
            norm=config["norm"],
        )
        generator = self.generator(
            num_classes,
            image_size,
            config["noise_dim"],
            config["latent_dim"],
            config["base_channels"],
            config["num_upsamplings"],
            modulation=modulation,
        )
        generator.sketch = self.sketch
        return generator

    def new_encoder(self, config, generator):
        """The encoder that goes with this generator, or None."""
        if self.encoder is None or config["encoder_channels"] is None:
            return None
        return self.encoder.beside(generator, config["encoder_channels"])


METHODS = {
    "inade": Method("INADE", INADE),
    # Rivals
    "spade": Method("SPADE", SPADE, encoder=None, generator=SilentGenerator),
    "clade": Method("CLADE", CLADE, encoder=None, generator=SilentGenerator),
    "spade_vae": Method("SPADE + VAE", SPADE, ImageEncoder, ImageGenerator),
    "class_noise": Method("class-level noise", ClassNoise, ClassEncoder, ClassGenerator),
    # Ablations
    "independent_noise": Method("a noise per layer", IndependentNoise, RepeatingEncoder, IndependentGenerator),
    "no_encoder": Method("no encoder", INADE, encoder=None),
    "plain_encoder": Method("plain encoder", INADE, PlainEncoder),
    "scale_noise": Method("noise on scale only", ScaleNoise),
    "shift_noise": Method("noise on shift only", ShiftNoise),
    # INADE that can paint patterns, and its ablations
    "inade_positions": Method("INADE with positions", PositionINADE, PatternEncoder),
    "no_places": Method("no places", INADE, PatternEncoder),
    "no_strengths": Method("no strengths told", PositionINADE, PriorEncoder),
    "loose_noise": Method("not standardized", PositionINADE, LooseEncoder),
    # INADE that draws by the lines inside of things, too
    "inade_sketch": Method("INADE with sketches", SketchINADE, sketch=True),
}


def find_method(name):
    """METHODS[name], or a ValueError that names those that exist.

    >>> find_method("spade_vae").title
    'SPADE + VAE'
    """
    if name not in METHODS:
        raise ValueError(f"method={name!r}: expected one of {', '.join(map(repr, METHODS))}")
    return METHODS[name]
