"""What notebook 5 builds by hand is the package's: spectral norm, the block, the generator, the discriminators."""

import numpy as np
import paddle
import pytest
from helpers import SEEDS, assert_close, leaf, normal, random_layout

import inade_lite as il
from inade_lite import discriminator, generator, kernels, losses, modules

CLASSES = 4
NOISE = 5


def inade(channels):
    return il.INADE(channels, CLASSES, NOISE)


def twins(ours, package):
    """Both with the package's weights, which must have the same names."""
    missing, unexpected = ours.set_state_dict(package.state_dict())
    assert not missing and not unexpected
    return ours, package


def assert_same(networks, inputs, random):
    """The same outputs, and the same gradients for the inputs that have any and for all parameters."""
    found = []
    for network in networks:
        out = network(*inputs)
        out = [feature for scale in out for feature in (scale if isinstance(scale, list) else [scale])]
        weights = [normal(np.random.default_rng(k), *feature.shape) for k, feature in enumerate(out)]
        total = sum((feature * weight).mean() for feature, weight in zip(out, weights, strict=True))
        learned = [x for x in [*inputs, *network.parameters()] if isinstance(x, paddle.Tensor) and not x.stop_gradient]
        found.append((out, paddle.grad(total, learned)))
    (ours, our_slopes), (package, slopes) = found
    for one, other in zip(ours, package, strict=True):
        assert_close(one, other, limit=1e-3)
    # Before a norm the gradient of a bias is 0 but for rounding.
    rounding = 1e-6 * max(float(slope.abs().amax()) for slope in slopes)
    for one, other in zip(our_slopes, slopes, strict=True):
        assert float((one - other).abs().amax()) < 1e-3 * float(other.abs().amax()) + rounding


@SEEDS
@pytest.mark.parametrize(("kernel", "stride", "padding", "bias"), [(3, 1, 1, True), (4, 2, 2, False), (1, 1, 0, False)])
def test_spectral_norm(random, notebook, kernel, stride, padding, bias):
    settings = (3, 5, kernel, stride, padding, bias)
    pair = twins(notebook["SpectralConv2D"](*settings), modules.SpectralConv2D(*settings))
    assert_same(pair, [leaf(random, 2, 3, 8, 8)], random)
    assert_close(pair[0].u, pair[1].u)
    for network in pair:
        network.eval()
    before = pair[0].u.numpy()
    assert_same(pair, [leaf(random, 2, 3, 8, 8)], random)
    np.testing.assert_array_equal(pair[0].u.numpy(), before)


@SEEDS
def test_power_iteration(random, notebook):
    matrix = random.normal(size=[4, 3])
    v, sigma = notebook["power_iteration"](matrix, random.normal(size=4), 500)[-1]
    _, values, rows = np.linalg.svd(matrix)
    assert sigma == pytest.approx(values[0], rel=1e-6)
    assert abs(v @ rows[0]) == pytest.approx(1, rel=1e-6)


def test_upsampling(random, notebook):
    x = normal(random, 2, 3, 4, 5)
    np.testing.assert_array_equal(notebook["upsample"](x).numpy(), kernels.upsample(x).numpy())


@SEEDS
@pytest.mark.parametrize("channels", [(6, 6), (6, 3), (3, 6)])
def test_the_block(random, notebook, channels):
    layout = random_layout(random, size=(16, 16), classes=CLASSES)
    pair = twins(notebook["ResidualBlock"](*channels, inade), generator.ResidualBlock(*channels, inade))
    noise = normal(random, 2, layout.num_instances, 2, NOISE)
    assert_same(pair, [leaf(random, 2, channels[0], 8, 8), layout, noise], random)


def test_the_generator(random, notebook):
    layout = random_layout(random, size=(64, 64), classes=CLASSES)
    package = il.Generator(CLASSES, 64, NOISE, latent_dim=6, base_channels=2, num_upsamplings=4)
    pair = twins(notebook["Generator"](6, 2, inade), package)
    noise = normal(random, 2, layout.num_instances, 2, NOISE)
    assert_same(pair, [layout, noise, leaf(random, 2, 6)], random)


@SEEDS
def test_the_discriminators(random, notebook):
    x = leaf(random, 2, 5, 32, 32)
    for name, package in (
        ("PatchDiscriminator", discriminator.PatchDiscriminator(5, 4)),
        ("MultiscaleDiscriminator", il.MultiscaleDiscriminator(5, 4)),
    ):
        assert_same(twins(notebook[name](5, 4), package), [x], random)


@pytest.mark.parametrize("strides", [(2, 2, 2, 1, 1), (2, 1, 1), (1,), (2, 2)])
def test_the_receptive_field_is_what_a_gradient_reaches(random, notebook, strides):
    convolutions = [paddle.nn.Conv2D(1, 1, 4, stride, padding=2) for stride in strides]
    x = leaf(random, 1, 1, 160, 160)
    y = x
    for convolution in convolutions:
        y = convolution(y)
    middle = y.shape[2] // 2
    (slope,) = paddle.grad(y[0, 0, middle, middle], x)
    reached = np.flatnonzero(slope.numpy()[0, 0].any(axis=1))
    assert notebook["receptive_field"](strides) == reached.max() - reached.min() + 1


@SEEDS
def test_feature_matching(random, notebook):
    fake, real = ([[normal(random, 2, c, 3, 3) for c in (2, 3, 1)] for _ in range(2)] for _ in range(2))
    for first in (0, 1):
        ours = notebook["feature_matching"](fake, real, first)
        assert float(ours) == pytest.approx(float(losses.feature_matching_loss(fake, real, first)), rel=1e-5)


def test_the_duel_on_paper_takes_the_steps_of_its_losses(notebook):
    """Against Paddle's gradients of the two hinge losses."""
    path = notebook["duel"](12, rate=0.3)
    theta, psi = (paddle.to_tensor(0.0, stop_gradient=False) for _ in range(2))
    for wanted in path[1:]:
        loss = paddle.nn.functional.relu(1 - psi) + paddle.nn.functional.relu(1 + psi * theta.detach())
        (slope,) = paddle.grad(loss, psi)
        psi = (psi - 0.3 * slope).detach()
        psi.stop_gradient = False
        (slope,) = paddle.grad(-psi.detach() * theta, theta)
        theta = (theta - 0.3 * slope).detach()
        theta.stop_gradient = False
        np.testing.assert_allclose([float(theta), float(psi)], wanted, rtol=1e-5)


def test_a_network_of_someone_else_gets_noise_in_place_of_each_norm(random, notebook):
    network = il.judge.UNet(num_classes=3, base_channels=2)
    count = sum(isinstance(layer, modules.BatchNorm) for layer in network.sublayers())
    scene = notebook["Scene"]()
    notebook["give_noise"](network, scene, CLASSES, NOISE)
    layers = network.sublayers()
    assert sum(isinstance(layer, il.INADE) for layer in layers) == count == 14
    assert not any(isinstance(layer, modules.BatchNorm) for layer in layers)
    scene.layout = random_layout(random, size=(16, 16), classes=CLASSES, n=1)
    scene.noise = il.sample_noise(scene.layout, NOISE, 0)
    x = normal(random, 1, 3, 16, 16)
    before = network(x).numpy()
    np.testing.assert_array_equal(before, network(x).numpy())
    scene.noise = scene.noise.clone()
    scene.noise[:, 3] += 1
    assert np.abs(network(x).numpy() - before).max() > 1e-3
