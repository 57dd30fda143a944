"""Where the noise of a class lies: a normal distribution for each class, fitted after training (our own).

Samples have noise from N(0, 1). While training, the noise of an instance is what the encoder says of it, and KL brings
that to N(0, 1) for all instances together, but not for those of one class: what all skies have in common may lie
anywhere. Then a fresh draw misses it. So each class gets the mean m and the deviation s of its instances' noise:

    the generator reads    m[l] + s[l] * noise
    the encoder says       (mu - m[l]) / s[l]   and   logvar - 2 log s[l]

A picture that is rebuilt from the encoder's noise stays what it was, since one undoes the other. One that is sampled
comes from where its classes were trained. Ghosh et al. (ICLR 2020) fit a density to an encoder's codes after training
in the same way. Built in notebook 9.
"""

import paddle
import paddle.nn.functional as F
from paddle import nn

from .data.batches import scene_batches
from .encoder import InstanceEncoder
from .generator import Generator


class Prior(nn.Layer):
    """The mean and the deviation of each class's noise, both [L, 2Z]; at first 0 and 1, which changes nothing.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0, 1]]], [[[0, 2]]], num_classes=2)
    >>> mean, std = Prior(num_classes=2, noise_dim=5)(layout)
    >>> list(mean.shape), std[0, :, 0, 0].tolist()
    ([1, 3, 2, 5], [1.0, 1.0, 1.0])
    """

    def __init__(self, num_classes, noise_dim):
        super().__init__()
        self.register_buffer("mean", paddle.zeros([num_classes, 2 * noise_dim]))
        self.register_buffer("std", paddle.ones([num_classes, 2 * noise_dim]))

    def forward(self, layout):
        """Mean and deviation of the instances of a Layout, each [N, I, 2, Z]; 0 and 1 for an absent one."""
        found = []
        for table, absent in ((self.mean, 0), (self.std, 1)):
            rows = F.embedding(layout.present_label, table - absent)  # [N, P, 2Z]
            rows = layout.by_instance(rows) + absent  # [N, P, 2Z] -> [N, I, 2Z]
            found.append(rows.reshape([*rows.shape[:2], 2, -1]))
        return found


class PriorGenerator(Generator):
    """A Generator whose classes each have a Prior. The arguments are Generator's.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 8] * 8], [[[0] * 8] * 8], num_classes=1)
    >>> generator = PriorGenerator(1, image_size=8, noise_dim=5, latent_dim=6, base_channels=2, num_upsamplings=2)
    >>> list(generator(layout, il.sample_noise(layout, 5)).shape)
    [1, 3, 8, 8]
    """

    def __init__(self, num_classes, image_size, noise_dim=64, *others, **named):
        super().__init__(num_classes, image_size, noise_dim, *others, **named)
        self.prior = Prior(num_classes, noise_dim)

    def forward(self, layout, noise, latent=None):
        """As Generator's, from m[l] + s[l] * noise."""
        mean, std = self.prior(layout)
        return super().forward(layout, mean + std * noise, latent)


class PriorEncoder(InstanceEncoder):
    """The instance-aware encoder beside a PriorGenerator. The arguments are InstanceEncoder's; num_classes: L.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 16] * 16], [[[0] * 8 + [1] * 8] * 16], num_classes=1)
    >>> params = PriorEncoder(5, base_channels=4, num_classes=1)(paddle.zeros([1, 3, 16, 16]), layout)
    >>> list(params.scale_mu.shape)
    [1, 2, 5]
    """

    def __init__(self, noise_dim, base_channels, num_classes):
        super().__init__(noise_dim, base_channels)
        self.prior = Prior(num_classes, noise_dim)

    @classmethod
    def beside(cls, generator, base_channels):
        """An encoder for a generator; base_channels: f."""
        return cls(generator.noise_dim, base_channels, generator.num_classes)

    def forward(self, image, layout):
        """image [N, 3, H, W] -> NoiseParams, each [N, I, Z]."""
        params = self.raw(image, layout)
        mean, std = self.prior(layout)
        scale_mean, bias_mean = mean.unbind(2)
        scale_std, bias_std = std.unbind(2)
        return params._replace(
            scale_mu=(params.scale_mu - scale_mean) / scale_std,
            scale_logvar=params.scale_logvar - 2 * scale_std.log(),
            bias_mu=(params.bias_mu - bias_mean) / bias_std,
            bias_logvar=params.bias_logvar - 2 * bias_std.log(),
        )

    def raw(self, image, layout):
        """The NoiseParams before the prior counts."""
        return super().forward(image, layout)


@paddle.no_grad()
def fit_prior(generator, encoder, dataset, scenes=256):
    """Fit the priors of a PriorGenerator and a PriorEncoder, in place, to the first scenes of a data set.

    The noise of an instance is N(mu, exp(logvar)). So over all instances of a class

        m = mean of mu,        s^2 = variance of mu + mean of exp(logvar)

    A class without instances keeps 0 and 1. Both networks are to be in eval mode.

    >>> import inade_lite as il
    >>> town = il.ToyTown("train", 16)
    >>> generator = PriorGenerator(town.num_classes, 16, 4, latent_dim=4, base_channels=2, num_upsamplings=2)
    >>> encoder = PriorEncoder(4, base_channels=2, num_classes=town.num_classes)
    >>> fit_prior(generator, encoder, town, scenes=2)
    """
    count, first, second = _moments(encoder, dataset, scenes, generator.image_size)
    mean = first / count.clip(min=1)
    variance = second / count.clip(min=1) - mean**2
    variance = paddle.where(count > 0, variance, paddle.ones_like(variance))
    for prior in (generator.prior, encoder.prior):
        prior.mean.set_value(mean)
        prior.std.set_value(variance.sqrt())


def _moments(encoder, dataset, scenes, size):
    """Of each class: its number of instances [L, 1], and the sums of noise and noise^2 to expect, both [L, 2Z].

    size: (H, W). Larger items are cropped to it, as in training.
    """
    count, first, second = 0, 0, 0
    for _, batch, layout in scene_batches(dataset, min(scenes, len(dataset)), crop=size):
        params = encoder.raw(paddle.to_tensor(batch["image"]), layout)
        mu = paddle.concat([params.scale_mu, params.bias_mu], axis=-1)  # [N, I, 2Z]
        logvar = paddle.concat([params.scale_logvar, params.bias_logvar], axis=-1)
        one = paddle.ones_like(mu[..., :1])
        count = count + _class_sums(one, layout)
        first = first + _class_sums(mu, layout)
        second = second + _class_sums(mu**2 + logvar.exp(), layout)
    return count, first, second


def _class_sums(table, layout):
    """Sums over the present instances of each class: a table of instances [N, I, C] -> [L, C]."""
    rows = F.embedding(layout.present_instance, table.flatten(0, 1))  # [N, P, C]
    present = (layout.instances().pixels > 0).astype(table.dtype)  # [N, P, 1]
    classes = F.one_hot(layout.present_label, layout.num_classes)  # [N, P, L]
    classes = classes * present
    return paddle.matmul(classes.flatten(0, 1), rows.flatten(0, 1), transpose_x=True)
