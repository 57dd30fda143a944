"""What notebook 4 builds is what the package has, and the KL divergence is one."""

import numpy as np
import paddle
import pytest
from notebook_definitions import load_definitions

import inade_lite as il


@pytest.fixture(scope="module")
def notebook():
    return load_definitions("4_")


def random_params(seed, shape=(2, 5, 8)):
    rng = np.random.default_rng(seed)
    params = il.NoiseParams(*[paddle.to_tensor(rng.normal(size=shape).astype("float32")) for _ in range(4)])
    for p in params:
        p.stop_gradient = False
    return params


def random_noise(seed, shape=(2, 5, 2, 8)):
    return paddle.to_tensor(np.random.default_rng(seed).normal(size=shape).astype("float32"))


def gaussian(mu, std):
    """NoiseParams of one instance and one dimension whose scale half is N(mu, std²) and whose shift half is N(0, 1)."""
    zero = paddle.zeros([1, 1, 1])
    return il.NoiseParams(zero + mu, zero + 2 * float(np.log(std)), zero, zero)


def integral(mu, std):
    """KL(N(mu, std²) || N(0, 1)) as a sum over a fine grid, in float64."""
    z, dz = np.linspace(mu - 12 * std, mu + 12 * std, 200_001, retstep=True)
    log_p = -0.5 * ((z - mu) / std) ** 2 - np.log(std)
    return float((np.exp(log_p) / np.sqrt(2 * np.pi) * (log_p + 0.5 * z**2)).sum() * dz)


def value_and_gradients(function, params):
    """The result, and the derivative of a random weighted sum of it by each of the four tables."""
    for p in params:
        p.clear_gradient()
    result = function(params)
    weight = np.random.default_rng(99).normal(size=tuple(result.shape)).astype("float32")
    (result * paddle.to_tensor(weight)).sum().backward()
    return [result.numpy(), *[p.grad.numpy() for p in params]]


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_remapping_equals_the_package(notebook, seed):
    noise, params = random_noise(seed + 100), random_params(seed)
    ours = value_and_gradients(lambda p: notebook["remap_noise"](noise, p), params)
    package = value_and_gradients(lambda p: il.remap_noise(noise, p), params)
    for a, b in zip(ours, package, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_remapping_equals_the_loop_and_the_formula(notebook):
    noise, params = random_noise(21), random_params(22)
    z = il.remap_noise(noise, params).numpy()
    np.testing.assert_allclose(z, notebook["remap_loop"](noise, params), rtol=1e-5, atol=1e-5)
    n, (scale_mu, scale_logvar, bias_mu, bias_logvar) = noise.numpy(), [p.numpy() for p in params]
    np.testing.assert_allclose(z[:, :, 0], n[:, :, 0] * np.exp(scale_logvar) ** 0.5 + scale_mu, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(z[:, :, 1], n[:, :, 1] * np.exp(bias_logvar) ** 0.5 + bias_mu, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seed", [31, 32, 33])
def test_kl_equals_the_package(notebook, seed):
    params = random_params(seed)
    ours, package = (value_and_gradients(f, params) for f in (notebook["kl_divergence"], il.kl_divergence))
    for a, b in zip(ours, package, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.fixture(params=["notebook", "package"])
def kl_divergence(request, notebook):
    return notebook["kl_divergence"] if request.param == "notebook" else il.kl_divergence


def test_kl_of_the_prior_is_zero(kl_divergence):
    assert kl_divergence(gaussian(0.0, 1.0)).item() == 0


@pytest.mark.parametrize("seed", range(5))
def test_kl_is_positive_elsewhere(kl_divergence, seed):
    rng = np.random.default_rng(seed)
    for mu, logvar in rng.uniform(-3, 3, [20, 2]):
        assert kl_divergence(gaussian(mu, np.exp(logvar / 2))).item() > 0


@pytest.mark.parametrize(("mu", "std"), [(0.0, 0.1), (0.5, 1.0), (-2.0, 0.5), (1.0, 2.5), (3.0, 0.05)])
def test_kl_matches_the_integral(kl_divergence, mu, std):
    assert kl_divergence(gaussian(mu, std)).item() == pytest.approx(integral(mu, std), rel=1e-4)


def test_kl_sums_over_everything(kl_divergence):
    params = random_params(41, (2, 3, 4))
    parts = 0.0
    for n in range(2):
        for i in range(3):
            for d in range(4):
                parts += kl_divergence(il.NoiseParams(*[p[n : n + 1, i : i + 1, d : d + 1] for p in params])).item()
    assert kl_divergence(params).item() == pytest.approx(parts, rel=1e-5)


def test_absent_instances_cost_nothing_and_keep_their_noise(kl_divergence):
    label = np.zeros([1, 16, 16], int)
    instance = label.copy()
    instance[:, 8:] = 3  # 1 and 2 are absent
    layout = il.Layout(label, instance, num_classes=1, num_instances=4)
    params = il.InstanceEncoder(8, 4)(paddle.randn([1, 3, 16, 16]), layout)
    noise = random_noise(51, (1, 4, 2, 8))
    assert kl_divergence(il.NoiseParams(*[p[:, 1:3] for p in params])).item() == 0
    assert np.array_equal(il.remap_noise(noise, params).numpy()[:, 1:3], noise.numpy()[:, 1:3])


def test_the_truth_of_the_small_world(notebook):
    """Ground is grey, discs lie between red and yellow, boxes take every hue; every instance is in every picture."""
    kinds, layout, image = notebook["draw_batch"](64, np.random.default_rng(61))
    colors = notebook["draw_colors"](kinds, np.random.default_rng(62))
    red, green, blue = np.moveaxis(colors, -1, 0)
    assert np.array_equal(red[kinds == 0], blue[kinds == 0])
    assert (blue[kinds == 2] == blue[kinds == 2].min()).all() and (red[kinds == 2] >= green[kinds == 2]).all()
    assert (blue[kinds == 1] > red[kinds == 1]).any() and (green[kinds == 1] > red[kinds == 1]).any()
    assert layout.instances().pixels.numpy().min() > 0
    assert abs(image.numpy()).max() <= 1
