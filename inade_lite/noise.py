"""Noise: one sample per instance, shared by every layer (paper, sections 3.3 and 3.4; built in notebook 4).

While sampling, the noise of an instance is plain N(0, 1). While training, the encoder moves it to where it means the
look of that instance in the real image:

    noise' = noise * exp(logvar / 2) + mu                                    (prior noise remapping)
"""

from typing import NamedTuple

import numpy as np
import paddle


class NoiseParams(NamedTuple):
    """What the encoder says of each instance: means and log-variances, each [N, I, Z]; zeros for an absent instance."""

    scale_mu: paddle.Tensor
    scale_logvar: paddle.Tensor
    bias_mu: paddle.Tensor
    bias_logvar: paddle.Tensor


def sample_noise(layout, noise_dim, seed=None):
    """N(0, 1) for every instance, float32 [N, I, 2, Z]; index 0 scales, 1 shifts.

    With a seed the values are the same on every device, and Paddle's own random state is neither used nor changed.
    """
    shape = [len(layout), layout.num_instances, 2, noise_dim]
    if seed is None:
        return paddle.randn(shape)
    return paddle.to_tensor(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32))


def remap_noise(noise, params):
    """Remap noise [N, I, 2, Z] by the encoder's NoiseParams. An absent instance (zeros) keeps its noise."""
    mu = paddle.stack([params.scale_mu, params.bias_mu], axis=2)
    logvar = paddle.stack([params.scale_logvar, params.bias_logvar], axis=2)
    return noise * paddle.exp(0.5 * logvar) + mu


def kl_divergence(params):
    """KL(N(mu, exp(logvar)) || N(0, 1)) = -1/2 sum(1 + logvar - mu^2 - exp(logvar)), a scalar in nats.

    The sum runs over batch, instances, dimensions and both halves of the noise, as in the original.
    """
    mu = paddle.stack([params.scale_mu, params.bias_mu])
    logvar = paddle.stack([params.scale_logvar, params.bias_logvar])
    return -0.5 * (1 + logvar - mu * mu - logvar.exp()).sum()
