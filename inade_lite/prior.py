"""Noise standardized by class, as batch norm does it to features (our own, built in notebook 10).

Samples have noise from N(0, 1). While training, the noise of an instance is what the encoder says of it, and nothing
holds that near 0 for all instances of one class: what all skies have in common may lie anywhere. Then a fresh draw
misses it. So each class's noise is standardized, by its mean m and its deviation s, and the encoder says

    (mu - m[l]) / s[l]   and   logvar - log s[l]^2

where over all instances of class l

    m = mean of mu,        s^2 = variance of mu + mean of exp(logvar)

As in batch norm m and s are running averages, and no gradient flows through them. KL then measures how far an instance
is from its class: of all normal distributions, N(m, s^2) is the one to which the KL of a class's instances is least.
"""

import paddle
import paddle.nn.functional as F
from paddle import nn

from .encoder import InstanceEncoder
from .noise import NoiseParams

LEAST = 1e-5  # a smaller variance counts as this


class ClassStandardize(nn.Layer):
    """NoiseParams of a Layout's instances -> NoiseParams, standardized by class; absent instances keep their zeros.

    num_classes: L. noise_dim: Z. momentum: what is left of the running averages of a class when a batch has more of it.

    The running averages are mean and variance, both [L, 2Z], at first 0 and 1. In training, a batch counts first and is
    standardized then.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0, 0]]], [[[0, 1]]], num_classes=1)
    >>> mu, logvar = paddle.to_tensor([[[1.0], [3.0]]]), paddle.zeros([1, 2, 1])
    >>> standardize = ClassStandardize(num_classes=1, noise_dim=1, momentum=0)
    >>> told = standardize(NoiseParams(mu, logvar, mu, logvar), layout)
    >>> [round(value, 2) for value in told.scale_mu.flatten().tolist()]  # (mu - 2) / sqrt(1 + 1)
    [-0.71, 0.71]
    """

    def __init__(self, num_classes, noise_dim, momentum=0.99):
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", paddle.zeros([num_classes, 2 * noise_dim]))
        self.register_buffer("variance", paddle.ones([num_classes, 2 * noise_dim]))

    def forward(self, params, layout):
        """NoiseParams, each [N, I, Z], of the instances of a Layout -> NoiseParams."""
        mu = paddle.concat([params.scale_mu, params.bias_mu], axis=-1)  # [N, I, 2Z]
        logvar = paddle.concat([params.scale_logvar, params.bias_logvar], axis=-1)
        if self.training:
            self.track(mu.detach(), logvar.detach(), layout)
        mean = _of_instances(self.mean, layout)
        variance = self.variance.clip(min=LEAST)
        variance = _of_instances(variance - 1, layout) + 1  # 1 for an absent instance
        mu = (mu - mean) / variance.sqrt()
        logvar = logvar - variance.log()
        z = params.scale_mu.shape[-1]
        return NoiseParams(mu[..., :z], logvar[..., :z], mu[..., z:], logvar[..., z:])

    @paddle.no_grad()
    def track(self, mu, logvar, layout):
        """Let the instances of a batch count, mu and logvar both [N, I, 2Z]."""
        count = _class_sums(paddle.ones_like(mu[..., :1]), layout)  # [L, 1]
        share = (1 - self.momentum) * (count > 0).astype(mu.dtype)
        count = count.clip(min=1)

        new = _class_sums(mu, layout) / count
        mean = self.mean + share * (new - self.mean)
        around = mu - _of_instances(mean, layout)
        new = _class_sums(around**2 + logvar.exp(), layout) / count
        variance = self.variance + share * (new - self.variance)

        self.mean.set_value(mean)
        self.variance.set_value(variance)


def _of_instances(table, layout):
    """The row of each instance's class: a table of classes [L, C] -> [N, I, C], zeros for an absent instance."""
    rows = F.embedding(layout.present_label, table)  # [N, P, C]
    return layout.by_instance(rows)


def _class_sums(table, layout):
    """Sums over the present instances of each class: a table of instances [N, I, C] -> [L, C]."""
    rows = F.embedding(layout.present_instance, table.flatten(0, 1))  # [N, P, C]
    present = (layout.instances().pixels > 0).astype(table.dtype)  # [N, P, 1]
    classes = F.one_hot(layout.present_label, layout.num_classes)  # [N, P, L]
    classes = classes * present
    return paddle.matmul(classes.flatten(0, 1), rows.flatten(0, 1), transpose_x=True)


class PriorEncoder(InstanceEncoder):
    """The instance-aware encoder whose noise is standardized by class. The arguments are its own; num_classes: L.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 16] * 16], [[[0] * 8 + [1] * 8] * 16], num_classes=1)
    >>> params = PriorEncoder(5, base_channels=4, num_classes=1)(paddle.zeros([1, 3, 16, 16]), layout)
    >>> list(params.scale_mu.shape)
    [1, 2, 5]
    """

    def __init__(self, noise_dim, base_channels, num_classes):
        super().__init__(noise_dim, base_channels)
        self.standardize = ClassStandardize(num_classes, noise_dim)

    @classmethod
    def beside(cls, generator, base_channels):
        """An encoder for a generator; base_channels: f."""
        return cls(generator.noise_dim, base_channels, generator.num_classes)

    def forward(self, image, layout):
        """image [N, 3, H, W] -> NoiseParams, each [N, I, Z]."""
        return self.standardize(self.raw(image, layout), layout)

    def raw(self, image, layout):
        """The NoiseParams before they are standardized."""
        return super().forward(image, layout)
