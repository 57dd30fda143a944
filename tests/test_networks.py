import contextlib
from unittest import mock

import numpy as np
import paddle
import pytest
from helpers import SEEDS, assert_close, assert_same, blocks, leaf, normal

import inade_lite as il
from inade_lite import kernels, losses, modules, textbook
from inade_lite.generator import start
from inade_lite.kernels import convolve, upsample
from inade_lite.modules import SpectralConv2D
from inade_lite.noise import linear, spherical


def boxes(n=2, size=32, num_instances=None):
    """Two things of one class on a ground."""
    label, instance = np.zeros([n, size, size], int), np.zeros([n, size, size], int)
    for k, left in enumerate((2, size // 2), start=1):
        label[:, 8:20, left : left + size // 3], instance[:, 8:20, left : left + size // 3] = 1, k
    return il.Layout(label, instance, 2, num_instances)


def test_sample_noise_is_standard_normal_and_follows_its_seed():
    layout = boxes(num_instances=40)
    noise = il.sample_noise(layout, 50, seed=4).numpy()
    assert noise.shape == (2, 40, 2, 50) and abs(noise.mean()) < 0.05 and abs(noise.std() - 1) < 0.05
    assert (noise == il.sample_noise(layout, 50, seed=4).numpy()).all()
    assert (noise != il.sample_noise(layout, 50, seed=5).numpy()).any()
    paddle.seed(0)
    first = il.sample_noise(layout, 2).numpy()
    il.sample_noise(layout, 2, seed=1)
    paddle.seed(0)
    assert (il.sample_noise(layout, 2).numpy() == first).all()


@SEEDS
def test_spherical_keeps_the_norm_and_linear_does_not(random):
    a, b = random.standard_normal([2, 5, 2, 16]).astype("float32")
    b *= np.linalg.norm(a, axis=-1, keepdims=True) / np.linalg.norm(b, axis=-1, keepdims=True)
    for t in (0.1, 0.5, 0.8):
        arc, line = (f(paddle.to_tensor(a), paddle.to_tensor(b), t).numpy() for f in (spherical, linear))
        angle = np.arccos((a * b).sum(-1) / (a * a).sum(-1))
        assert np.allclose(np.linalg.norm(arc, axis=-1), np.linalg.norm(a, axis=-1), rtol=1e-5)
        assert np.allclose(np.arccos((a * arc).sum(-1) / (a * a).sum(-1)), t * angle, atol=1e-3)
        assert np.allclose(line, (1 - t) * a + t * b, atol=1e-6)
        assert (np.linalg.norm(line, axis=-1) < np.linalg.norm(a, axis=-1)).all()


def test_spherical_of_parallel_opposite_and_zero_vectors_is_finite(random):
    a = normal(random, 3, 8)
    assert np.allclose(spherical(a, a, 0.3).numpy(), a.numpy(), atol=1e-5)
    assert np.allclose(spherical(a, 2 * a, 0.5).numpy(), 1.5 * a.numpy(), atol=1e-4)
    for b in (-a, 0 * a):
        for t in (0, 0.5, 1):
            assert np.isfinite(spherical(a, b, t).numpy()).all() and np.isfinite(spherical(b, a, t).numpy()).all()
    assert np.array_equal(spherical(a, 0 * a, 1).numpy(), 0 * a.numpy())


def test_each_row_can_have_its_own_t(random):
    a, b = (normal(random, 3, 2, 4) for _ in range(2))
    t = paddle.to_tensor(np.float32([0, 0.4, 1]).reshape(3, 1, 1))
    out = spherical(a, b, t).numpy()
    assert np.array_equal(out[0], a[0].numpy()) and np.array_equal(out[2], b[2].numpy())
    assert np.allclose(out[1], spherical(a[1], b[1], 0.4).numpy(), atol=1e-6)


def test_remapping_and_kl_of_a_case_worked_by_hand():
    zero, noise = paddle.zeros([1, 1, 1]), paddle.to_tensor([[[[1.0], [2.0]]]])
    params = il.NoiseParams(zero + 3, zero + 2 * np.log(5), zero - 1, zero)
    np.testing.assert_allclose(il.remap_noise(noise, params).numpy().ravel(), [3 + 5, -1 + 2], rtol=1e-6)
    expected = 0.5 * (3**2 + 5**2 - 1 - 2 * np.log(5)) + 0.5 * 1**2
    np.testing.assert_allclose(float(il.kl_divergence(params)), expected, rtol=1e-6)
    assert float(il.kl_divergence(il.NoiseParams(zero, zero, zero, zero))) == 0


@pytest.mark.parametrize(("size", "ups"), [(32, 3), ((32, 64), 4), (64, 5), ((128, 256), 6), (256, 7), (8, 0)])
def test_generator_doubles_as_often_as_told(size, ups):
    h, w = (size, size) if isinstance(size, int) else size
    generator = il.Generator(2, size, noise_dim=3, latent_dim=4, base_channels=2, num_upsamplings=ups)
    layout = il.Layout(np.zeros([1, h, w], int), np.zeros([1, h, w], int), 2)
    image = generator(layout, il.sample_noise(layout, 3))
    assert image.shape == [1, 3, h, w] and float(image.abs().max()) < 1
    assert (generator.image_size, generator.start_size) == ((h, w), (h // 2**ups, w // 2**ups))


def test_generator_refuses_sizes_that_do_not_halve():
    with pytest.raises(ValueError, match="image_size=48x48 with num_upsamplings=5.*multiples of 32"):
        il.Generator(2, 48)
    with pytest.raises(ValueError, match="start map needs 2 pixels"):
        il.Generator(2, 32)


def test_all_layers_share_one_noise_and_only_the_drawn_latent_is_random(random):
    generator, layout = il.Generator(2, 32, 3, 4, 2, 3), boxes()
    generator.eval()
    noise, latent = il.sample_noise(layout, 3, 0), normal(random, 2, 4)
    assert (generator(layout, noise, latent).numpy() == generator(layout, noise, latent).numpy()).all()
    assert (generator(layout, noise).numpy() != generator(layout, noise).numpy()).any()
    seen = []
    for block in generator.blocks:
        block.register_forward_pre_hook(lambda block, inputs: seen.append(inputs[2]))
    generator(layout, noise, latent)
    assert len(seen) == 7 and all(n is noise for n in seen)


def test_a_start_follows_its_seed():
    generator, layout = il.Generator(2, 32, 3, 4, 2, 3), boxes()
    starts = [[x.numpy() for x in start(generator, layout, seed)] for seed in (1, 1, 2, [1, 2])]
    assert [x.shape for x in starts[0]] == [(2, 3, 2, 3), (2, 4)]
    for k, same in ((1, True), (2, False), (3, False)):
        assert all((a == b).all() if same else (a != b).all() for a, b in zip(starts[0], starts[k], strict=True))


@pytest.mark.parametrize("training", [True, False])
def test_sampling_leaves_the_generator_as_it_was(training):
    generator, layout = il.Generator(2, 32, 3, 4, 2, 3, norm="batch"), boxes()
    generator.train() if training else generator.eval()
    before = {name: value.numpy().copy() for name, value in generator.state_dict().items()}
    a, b = (il.sample(generator, layout, seed=0).numpy() for _ in range(2))
    assert (a == b).all() and generator.training == training
    assert all((value.numpy() == before[name]).all() for name, value in generator.state_dict().items())


def test_another_modulation_can_take_inades_place(random):
    """One that adds the noise of instance 1, everywhere: the picture hears that noise, wherever it is, and no other."""

    class First(paddle.nn.Layer):
        def __init__(self, channels):
            super().__init__()

        def forward(self, x, layout, noise):
            return x + noise[:, 1, 0].mean(-1)[:, None, None, None]

    layout = boxes()
    generator = modules.initialize(il.Generator(2, 32, 3, 4, 2, 3, modulation=First), 1.0)
    generator.eval()
    latent, noise = normal(random, 2, 4), il.sample_noise(layout, 3, seed=0)
    before = generator(layout, noise, latent).numpy()
    for instance in range(3):
        other = noise.clone()
        other[0, instance] += 1.0
        after = generator(layout, other, latent).numpy()
        assert (after[0] != before[0]).any() == (instance == 1) and (after[1] == before[1]).all()


def test_encoder_speaks_of_each_instance_and_is_silent_on_absent_ones(random):
    encoder, layout, image = il.InstanceEncoder(5, 4), boxes(num_instances=6), normal(random, 2, 3, 32, 32)
    params = encoder(image, layout)
    for part in params:
        assert part.shape == [2, 6, 5]
        assert (part.numpy()[:, 3:] == 0).all() and (part.numpy()[:, :3] != 0).all()
    alone = encoder(image[1:], layout[1:])
    assert_close(alone.scale_mu, params.scale_mu[1:])
    with pytest.raises(ValueError, match="24x24.*multiples of 16"):
        encoder(normal(random, 2, 3, 24, 24), boxes(size=24))


def test_encoder_does_not_care_what_the_ids_are(random):
    encoder, image = il.InstanceEncoder(5, 4), normal(random, 2, 3, 32, 32)
    layout = boxes()
    renamed = il.Layout(layout.label, layout.instance.numpy()[...] * 700 + 20, 2)
    a, b = encoder(image, layout).bias_mu.numpy(), encoder(image, renamed).bias_mu.numpy()
    assert_close(b[:, [20, 720, 1420]], a)


def test_discriminator_returns_every_layer_of_every_scale(random):
    outputs = il.MultiscaleDiscriminator(6, 4)(normal(random, 2, 6, 64, 64))
    shapes = [[tuple(o.shape[1:]) for o in scale] for scale in outputs]
    # 4x4 windows with padding 2: n -> n // 2 + 1 with stride 2, n + 1 with stride 1.
    assert shapes[0] == [(4, 33, 33), (8, 17, 17), (16, 9, 9), (32, 10, 10), (1, 11, 11)]
    assert shapes[1] == [(4, 17, 17), (8, 9, 9), (16, 5, 5), (32, 6, 6), (1, 7, 7)]


def test_a_traced_network_computes_the_same(random):
    network, x = il.MultiscaleDiscriminator(6, 4), normal(random, 2, 6, 64, 64)
    modules.initialize(network, 1.0).eval()
    eager = network(x)
    traced = paddle.jit.to_static(network, full_graph=True)(x)
    for one, other in zip(sum(eager, []), sum(traced, []), strict=True):
        assert_close(one, other)


def test_hinge_losses_of_a_case_worked_by_hand():
    fake, real = [[paddle.to_tensor([[0.5, -3.0]])]], [[paddle.to_tensor([[0.25, 2.0]])]]
    assert float(losses.adversarial_loss(fake)) == 1.25
    assert [float(t) for t in losses.discriminator_losses(fake, real)] == [0.75, 0.375]


def test_feature_matching_sees_the_deep_layers_only_and_holds_the_real_ones_constant(random):
    fake = [[normal(random, 2, 3) for _ in range(5)] for _ in range(2)]
    real = [[normal(random, 2, 3) for _ in range(5)] for _ in range(2)]
    for tensor in fake[0] + real[0]:
        tensor.stop_gradient = False
    loss = losses.feature_matching_loss(fake, real)
    expected = np.mean([np.abs(f[3].numpy() - r[3].numpy()).mean() for f, r in zip(fake, real, strict=True)])
    np.testing.assert_allclose(float(loss), expected, rtol=1e-6)
    loss.backward()
    assert [t.grad is not None for t in fake[0]] == [False, False, False, True, False]
    assert all(t.grad is None for t in real[0])


def test_a_batch_of_two_halves_is_split(random):
    outputs = [[normal(random, 4, 2), normal(random, 4, 1)], [normal(random, 4, 3)]]
    for half, rows in zip(losses.split_batch(outputs), (slice(0, 2), slice(2, 4)), strict=True):
        for scale, whole in zip(half, outputs, strict=True):
            for part, features in zip(scale, whole, strict=True):
                assert (part.numpy() == features.numpy()[rows]).all()


def test_the_pixel_loss_counts_pixels_or_instances():
    """Two pictures of 1x4 pixels, with one instance and with two."""
    layout = il.Layout(np.zeros([2, 1, 4], "int64"), [[[0, 0, 0, 0]], [[1, 1, 2, 2]]], 1)
    off = np.array([[[1, 1, 1, 5]], [[2, 0, 0, 3]]], "float32")[:, None]  # the same in every channel but for its sign
    fake, real = (
        paddle.to_tensor(off * np.reshape([1, -1, 1], [1, 3, 1, 1]).astype("float32")),
        paddle.zeros([2, 3, 1, 4]),
    )
    pixels, instances = 13 / 8, (2 + 1 + 1.5) / 3
    for share, expected in ((0.0, pixels), (1.0, instances), (0.25, 0.75 * pixels + 0.25 * instances)):
        assert float(losses.pixel_loss(fake, real, layout, share)) == pytest.approx(expected)


def test_spectral_norm_finds_the_largest_singular_value(random):
    conv = SpectralConv2D(3, 5, 3, padding=1)
    x = normal(random, 1, 3, 6, 6)
    for _ in range(100):
        conv(x)
    sigma = np.linalg.svd(conv.weight.numpy().reshape(5, -1), compute_uv=False)[0]
    conv.eval()
    u = conv.u.numpy().copy()
    expected = paddle.nn.functional.conv2d(x, conv.weight / float(sigma), conv.bias, padding=1)
    assert_close(conv(x), expected)
    assert (conv.u.numpy() == u).all()


@pytest.mark.parametrize("copies", [0, kernels.COPIES], ids=["conv2d", "fast"])
@pytest.mark.parametrize("channels", [(3, 4), (9, 2)], ids=["wider", "narrower"])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (4, 2, 2), (4, 1, 2), (1, 1, 0), (1, 1, 1)])
def test_convolve_equals_paddles(random, copies, channels, kernel, stride, padding, monkeypatch):
    monkeypatch.setattr(kernels, "COPIES", copies)
    c, o = channels
    x, w, b = leaf(random, 2, c, 9, 12), leaf(random, o, c, kernel, kernel), leaf(random, o)
    ours, theirs = (f(x, w, b, stride, padding) for f in (convolve, paddle.nn.functional.conv2d))
    assert_same(random, ours, theirs, [x, w, b])


def test_without_gradients_windows_are_looked_up_in_parts(random, monkeypatch):
    layer, layout, x = il.InstanceConv2D(3, 4, 3, padding=1), boxes(), normal(random, 2, 3, 32, 32)
    expected = layer(x, layout).numpy()
    monkeypatch.setattr(kernels, "WINDOWS", 300)
    with paddle.no_grad():
        assert_close(layer(x, layout), expected)


def as_on_a_gpu():
    """A context in which the networks take the forms that they take on a GPU."""
    return mock.patch.object(kernels, "eager_on_cpu", lambda x: False)


def test_networks_equal_their_textbook_forms_on_cpu_and_gpu(random):
    """From image through encoder, noise and generator to the gradients of all their parameters."""
    layout = il.Layout(*(blocks(random, (64, 64), 8, k) for k in (3, 7)), 3, 7)
    generator, encoder = il.Generator(3, 64, 5, 4, 2, 3), il.InstanceEncoder(5, 4)
    for network in (generator, encoder):
        modules.initialize(network, 1.0).eval()  # at the original's gain 0.02 everything vanishes
    image, latent, noise, weight = (
        normal(random, 2, 3, 64, 64),
        normal(random, 2, 4),
        normal(random, 2, 7, 2, 5),
        normal(random, 2, 3, 64, 64),
    )
    parameters, results = generator.parameters() + encoder.parameters(), []
    for forms in (contextlib.nullcontext, as_on_a_gpu, textbook.forms):
        with forms():
            params = encoder(image, layout)
            picture = generator(layout, il.remap_noise(noise, params), latent)
            gradients = paddle.grad((picture * weight).sum(), parameters, allow_unused=True)
        results.append([*params, picture, *gradients])
    largest = max(float(result.abs().max()) for result in results[-1])
    for *ours, other in zip(*results, strict=True):
        # The normalization behind it takes most biases away: their gradients are rounding alone.
        scale = max(float(other.abs().max()), 0.01 * largest)
        for one in ours:
            np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-3 * scale)
    assert sum(float(one.abs().max()) > 0.01 * largest for one in results[0]) > 30


def test_upsample_repeats_pixels(random):
    x = normal(random, 2, 3, 4, 5)
    assert (upsample(x).numpy() == x.numpy().repeat(2, axis=2).repeat(2, axis=3)).all()


def test_initialize_draws_xavier_normals_and_leaves_inade_alone():
    generator = il.Generator(2, 32, 40, 50, 8, 3)
    table = generator.blocks[0].norm_0.weight.numpy().copy()
    modules.initialize(generator, 0.5, noise_gain=0.1)
    conv, linear = generator.blocks[0].conv_0.weight.numpy(), generator.blocks[0].norm_0.fc_noise.weight.numpy()
    assert conv.std() == pytest.approx(0.5 * (2 / (9 * (128 + 128))) ** 0.5, rel=0.05)
    assert linear.std() == pytest.approx(0.1 * (2 / (40 + 128)) ** 0.5, rel=0.05)
    assert (generator.blocks[0].norm_0.weight.numpy() == table).all() and (generator.fc.bias.numpy() == 0).all()
