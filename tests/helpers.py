"""What several test files share: limits, tiny networks, random tensors and maps, comparisons."""

from pathlib import Path

import numpy as np
import pytest

import inade_lite as il  # isort: skip: before Paddle, which it prepares
import paddle

ROOT = Path(__file__).resolve().parents[1]
ON_CPU = il.setup.runtime.device() == "cpu"
# Two forms of one computation differ by at most this share of the largest number. A GPU's products may run in TF32.
LIMIT = 1e-4 if ON_CPU else 2e-2
# Two runs of one computation differ by at most this. A GPU sums in any order.
AGAIN = 0 if ON_CPU else 1e-3

# Fields of TrainConfig for 32x32 pictures, for tests that train or need whole networks.
TINY = {
    "noise_dim": 4,
    "latent_dim": 6,
    "base_channels": 2,
    "encoder_channels": 2,
    "discriminator_channels": 2,
    "num_upsamplings": 3,
    "batch_size": 2,
}

# Runs a test three times; its fixture `random` begins elsewhere each time.
SEEDS = pytest.mark.parametrize("random", [1, 2, 3], indirect=True)


# ---- Random tensors and maps


def normal(random, *shape):
    return paddle.to_tensor(random.standard_normal(shape).astype("float32"))


def leaf(random, *shape):
    """The same, to take gradients for."""
    return paddle.to_tensor(random.standard_normal(shape).astype("float32"), stop_gradient=False)


def random_layout(random, size=(12, 20), classes=4, instances=9, n=2, spare=0):
    """Every pixel by itself, so that instances span classes. `spare` classes and instances more never occur."""
    label, instance = (random.integers(0, count, [n, *size]) for count in (classes, instances))
    return il.Layout(label, instance, classes + spare, instances + spare)


def blocks(random, size, side, instances, n=2):
    """Instance maps of square blocks, so that windows lie inside of an instance, on borders and in corners."""
    coarse = random.integers(0, instances, [n, *(-(-length // side) for length in size)])
    return coarse.repeat(side, 1).repeat(side, 2)[:, : size[0], : size[1]]


# ---- Comparisons


def array_of(x):
    return x.numpy() if isinstance(x, paddle.Tensor) else np.asarray(x)


def assert_close(a, b, limit=LIMIT):
    """No number of a is farther from b's than a share of the largest of b."""
    a, b = array_of(a), array_of(b)
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=0, atol=limit * np.abs(b).max(initial=0))


def assert_same(random, ours, theirs, inputs, their_inputs=None):
    """Two results, Tensors or lists of them, are equal, and so are the gradients of a random functional of them."""
    results = [[y] if isinstance(y, paddle.Tensor) else list(y) for y in (ours, theirs)]
    upstream, gradients = [normal(random, *y.shape) for y in results[0]], []
    for ys, xs in zip(results, (inputs, their_inputs or inputs), strict=True):
        gradients.append(paddle.grad(sum((y * u).sum() for y, u in zip(ys, upstream, strict=True)), xs))
    for pairs in (results, gradients):
        for a, b in zip(*pairs, strict=True):
            assert np.abs(b.numpy()).max() > 0  # equal zeros would tell nothing
            assert_close(a, b)


def assert_same_weights(a, b, limit=AGAIN):
    """Two networks hold the same numbers under the same names."""
    a, b = a.state_dict(), b.state_dict()
    assert list(a) == list(b)
    for name, value in a.items():
        np.testing.assert_allclose(value.numpy(), b[name].numpy(), rtol=0, atol=limit, err_msg=name)
