"""Noise: one sample per instance, shared by every layer (paper, sections 3.3 and 3.4; built in notebook 4).

While sampling, the noise of an instance is plain N(0, 1). While training, the encoder moves it to where it means the
look of that instance in the real image. The paper calls this prior noise remapping:

    noise' = noise * exp(logvar / 2) + mu
"""

from typing import NamedTuple

import numpy as np
import paddle

from .checks import expect, expect_count, expect_params


class NoiseParams(NamedTuple):
    """What the encoder says of each instance: means and log-variances, each [N, I, Z]; zeros for an absent instance.

    The first two belong to the noise that makes scales, the last two to the noise that makes shifts ("bias").

    >>> import inade_lite as il
    >>> il.NoiseParams._fields
    ('scale_mu', 'scale_logvar', 'bias_mu', 'bias_logvar')
    """

    scale_mu: paddle.Tensor
    scale_logvar: paddle.Tensor
    bias_mu: paddle.Tensor
    bias_logvar: paddle.Tensor


def sample_noise(layout, noise_dim, seed=None):
    """Noise from N(0, 1) for every instance of a Layout, float32 [N, I, 2, Z]; index 0 makes scales, 1 shifts.

    noise_dim: Z. seed: with an integer the numbers are the same on every device, and Paddle's own random state is
    neither used nor changed; None draws from Paddle's random state.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0, 0, 0]]], [[[0, 1, 2]]], num_classes=1)
    >>> list(il.sample_noise(layout, noise_dim=8).shape)
    [1, 3, 2, 8]
    """
    expect_count("noise_dim", noise_dim)
    shape = [len(layout), layout.num_instances, 2, noise_dim]
    if seed is None:
        return paddle.randn(shape)
    random = np.random.default_rng(seed)
    noise = random.standard_normal(shape, dtype=np.float32)
    return paddle.to_tensor(noise)


def remap_noise(noise, params):
    """noise * exp(logvar / 2) + mu: noise [N, I, 2, Z] and the encoder's NoiseParams -> [N, I, 2, Z].

    An absent instance keeps its noise, because its mean and log-variance are zeros.

    >>> import inade_lite as il
    >>> zero = paddle.zeros([1, 1, 1])
    >>> params = il.NoiseParams(zero + 3, zero, zero - 1, zero)
    >>> il.remap_noise(paddle.ones([1, 1, 2, 1]), params).flatten().tolist()
    [4.0, 0.0]
    """
    expect_params(params)
    mu = paddle.stack([params.scale_mu, params.bias_mu], axis=2)  # [N, I, 2, Z]
    expect("noise", noise, *mu.shape)
    logvar = paddle.stack([params.scale_logvar, params.bias_logvar], axis=2)
    std = paddle.exp(0.5 * logvar)
    return noise * std + mu


def kl_divergence(params):
    """How far the noise of the NoiseParams is from plain noise, a scalar in nats.

        KL(N(mu, exp(logvar)) || N(0, 1)) = -1/2 sum(1 + logvar - mu^2 - exp(logvar))

    The sum runs over batch, instances, dimensions and both halves of the noise, as in the original.

    >>> import inade_lite as il
    >>> zero = paddle.zeros([1, 1, 1])
    >>> float(il.kl_divergence(il.NoiseParams(zero + 3, zero, zero, zero)))
    4.5
    """
    expect_params(params)
    mu = paddle.stack([params.scale_mu, params.bias_mu])
    logvar = paddle.stack([params.scale_logvar, params.bias_logvar])
    terms = 1 + logvar - mu * mu - logvar.exp()
    return -0.5 * terms.sum()


# ---- From one noise to another (built in notebook 7)


def linear(a, b, t):
    """From a (t = 0) to b (t = 1) along the straight line: (1 - t) a + t b.

    >>> from inade_lite.noise import linear
    >>> linear(paddle.to_tensor([2.0, 0.0]), paddle.to_tensor([0.0, 2.0]), 0.5).tolist()
    [1.0, 1.0]
    """
    return (1 - t) * a + t * b


def spherical(a, b, t):
    """From a (t = 0) to b (t = 1) along the arc between them: sin((1 - t) θ) / sin θ a + sin(t θ) / sin θ b.

    Over the last axis of tensors [..., Z], θ the angle between a and b; t is a number or a tensor [..., 1]. Between two
    vectors of one norm all have that norm, where a straight line would cut through the inside of the sphere
    (Shoemake, 1985).

    >>> from inade_lite.noise import spherical
    >>> middle = spherical(paddle.to_tensor([2.0, 0.0]), paddle.to_tensor([0.0, 2.0]), 0.5)
    >>> [round(float(x), 3) for x in middle]
    [1.414, 1.414]
    """
    norms = a.norm(axis=-1, keepdim=True) * b.norm(axis=-1, keepdim=True)
    cosine = (a * b).sum(-1, keepdim=True) / norms.clip(1e-12)
    theta = paddle.acos(cosine.clip(-1 + 1e-6, 1 - 1e-6))  # never 0, so that nothing is divided by 0
    sine = theta.sin()
    share_of_a = paddle.sin((1 - t) * theta) / sine
    share_of_b = paddle.sin(t * theta) / sine
    return share_of_a * a + share_of_b * b
