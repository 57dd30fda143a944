"""Rivals and ablations: what each is equal to, and what its noise can and cannot reach."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from helpers import LIMIT, TINY, assert_close, assert_same_weights, blocks, normal

import inade_lite as il
from inade_lite import methods
from inade_lite.methods import METHODS, find_method

CLASSES, CHANNELS, NOISE, COUNT = 4, 5, 3, 6
SMALLER = TINY | {"num_upsamplings": 2}  # for 16x16


@pytest.fixture
def layout(random):
    """Blocks of instances, each of one class. The first image has all of them, the second lacks the last one."""
    instance = blocks(random, (16, 16), 4, COUNT)
    instance[0, :4], instance[0, 4:8] = np.arange(4).repeat(4), np.arange(2, 6).repeat(4)
    instance[1][instance[1] == COUNT - 1] = 0
    label = np.stack([random.permutation(COUNT)[instance[n]] % CLASSES for n in range(2)])
    sketch = random.integers(0, 2, [2, 16, 16])
    return il.Layout(label, instance, CLASSES, COUNT, sketch)


def randomized(layer):
    """The same numbers for layers with the same parameters."""
    random = np.random.default_rng(1)
    for p in layer.parameters():
        if not p.stop_gradient:  # Paddle counts running statistics, too, and a variance cannot be negative
            p.set_value(0.5 * normal(random, *p.shape))
    return layer


def generator(method):
    made = METHODS[method].new_generator({**SMALLER, "norm": "instance"}, CLASSES, (16, 16))
    made.eval()
    return randomized(made)


# ---- Layouts


def test_by_class_gives_every_class_its_lowest_instance(layout):
    label, instance, merged = (m.numpy() for m in (layout.label, layout.instance, layout.by_class().instance))
    for n in range(2):
        for c in np.unique(label[n]):
            assert (merged[n][label[n] == c] == instance[n][label[n] == c].min()).all()
    assert layout.by_class() is layout.by_class() and layout.by_class().num_instances == COUNT
    assert (layout.instance.numpy() == instance).all() and (layout.by_class().label.numpy() == label).all()
    assert not layout.whole().instance.numpy().any() and (layout.whole().label.numpy() == label).all()


def test_scene_is_labels_and_edges_by_nearest_neighbour(layout):
    whole = paddle.concat([layout.semantics(), layout.edges()], axis=1)
    np.testing.assert_array_equal(layout.scene().numpy(), whole.numpy())
    np.testing.assert_array_equal(layout.scene((8, 4)).numpy(), whole.numpy()[:, :, ::2, ::4])


def test_means_by_instance_equal_a_loop_and_are_zero_where_absent(random, layout):
    x = normal(random, 2, CHANNELS, 16, 16)
    found, ids = layout.by_instance(layout.instances().mean(x)).numpy(), layout.instance.numpy()
    for n, i in np.ndindex(2, COUNT):
        mask = ids[n] == i
        expected = x.numpy()[n][:, mask].mean(1) if mask.any() else np.zeros(CHANNELS)
        assert_close(found[n, i], expected)
    present = layout.by_instance(paddle.ones([2, layout.instances().count, 1])).numpy()[:, :, 0]
    assert present.tolist() == [[i in ids[n] for i in range(COUNT)] for n in range(2)]


# ---- Layers


def test_spade_equals_the_formula(random, layout):
    x = normal(random, 2, CHANNELS, 8, 8)
    layer = randomized(methods.SPADE(CHANNELS, CLASSES, hidden=7))
    seen = layout.scene((8, 8))
    m = F.relu(F.conv2d(seen, layer.shared.weight, layer.shared.bias, padding=1))
    gamma, beta = (F.conv2d(m, c.weight, c.bias, padding=1) for c in (layer.gamma, layer.beta))
    mean, std = x.mean([2, 3], keepdim=True), x.var([2, 3], unbiased=False, keepdim=True)
    expected = (1 + gamma) * (x - mean) / (std + 1e-5).sqrt() + beta
    assert_close(layer(x, layout), expected)


def test_clade_is_inade_whose_noise_is_silent(random, layout):
    x = normal(random, 2, CHANNELS, 8, 8)
    clade, inade = randomized(methods.CLADE(CHANNELS, CLASSES)), randomized(il.INADE(CHANNELS, CLASSES, NOISE))
    inade.weight.set_value(paddle.zeros_like(inade.weight))
    inade.bias.set_value(paddle.stack([clade.scale, clade.shift], axis=2))
    expected = inade(x, layout, normal(random, 2, COUNT, 2, NOISE))
    assert_close(clade(x, layout), expected)


@pytest.mark.parametrize(
    ("kind", "used"),
    [(methods.ScaleNoise, (True, False)), (methods.ShiftNoise, (False, True)), (il.INADE, (True, True))],
)
def test_which_half_of_the_noise_is_heard(random, layout, kind, used):
    x, noise = normal(random, 2, CHANNELS, 8, 8), normal(random, 2, COUNT, 2, NOISE)
    layer = randomized(kind(CHANNELS, CLASSES, NOISE))
    for half in range(2):
        other = noise.clone()
        other[:, :, half] = normal(random, 2, COUNT, NOISE)
        assert bool((layer(x, layout, other) != layer(x, layout, noise)).any()) == used[half]


def test_scale_and_shift_noise_equal_inade_where_the_other_half_is_silent(random, layout):
    x, noise = normal(random, 2, CHANNELS, 8, 8), normal(random, 2, COUNT, 2, NOISE)
    for half, kind in ((1, methods.ScaleNoise), (0, methods.ShiftNoise)):
        silent = noise.clone()
        silent[:, :, half] = 0.0
        layers = [randomized(k(CHANNELS, CLASSES, NOISE)) for k in (kind, il.INADE)]
        found, expected = layers[0](x, layout, noise), layers[1](x, layout, silent)
        assert_close(found, expected)


# ---- Generators


@pytest.mark.parametrize("name", METHODS)
def test_what_one_draw_of_noise_reaches(random, layout, name):
    net = generator(name)
    shape = [2, COUNT, 2, net.noise_dim]
    noise, other, latent = normal(random, *shape), normal(random, *shape), normal(random, 2, TINY["latent_dim"])
    owners = np.unique(layout.by_class().instance.numpy()[0])

    def draw(noise, latent=latent):
        return net(layout, noise, latent).numpy()

    before = draw(noise)
    assert (draw(other) != before).any() == (METHODS[name].level in ("instance", "class"))
    assert (draw(noise, latent + 1.0) != before).any() == (METHODS[name].level is not None)
    for chosen in range(COUNT):
        one = noise.clone()
        one[0, chosen] = other[0, chosen]
        after = draw(one)
        assert (after[1] == before[1]).all()
        if METHODS[name].level == "class":
            assert (after[0] != before[0]).any() == (chosen in owners)


def test_a_noise_per_layer_is_one_for_each_of_the_layers():
    net = generator("independent_noise")
    layers = [layer for layer in net.sublayers() if isinstance(layer, methods.IndependentNoise)]
    assert net.noise_dim == TINY["noise_dim"] * len(layers)
    read = np.concatenate([np.arange(net.noise_dim)[layer.own] for layer in layers])
    assert sorted(read.tolist()) == list(range(net.noise_dim))


def test_with_equal_noises_a_noise_per_layer_is_inade(random, layout):
    independent, inade = generator("independent_noise"), generator("inade")
    inade.set_state_dict(independent.state_dict())
    noise, latent = normal(random, 2, COUNT, 2, TINY["noise_dim"]), normal(random, 2, TINY["latent_dim"])
    repeated = noise.tile([1, 1, 1, independent.noise_dim // TINY["noise_dim"]])
    found, expected = independent(layout, repeated, latent), inade(layout, noise, latent)
    assert_close(found, expected)


def test_methods_without_noise_start_from_the_layout(layout):
    for name in ("spade", "clade"):
        net = generator(name)
        assert net.latent_dim == 0 and list(net.fc.weight.shape)[1] == CLASSES + 1
        a, b = (il.sample(net, layout, seed).numpy() for seed in (1, 2))
        np.testing.assert_array_equal(a, b)


# ---- Encoders


def encoder(name):
    net = generator(name)
    return randomized(METHODS[name].new_encoder(SMALLER, net)), net


def test_the_class_encoder_speaks_to_the_first_instance_of_each_class(random, layout):
    image = normal(random, 2, 3, 16, 16)
    params = encoder("class_noise")[0](image, layout)
    owners = layout.by_class().instance.numpy()
    for n, i in np.ndindex(2, COUNT):
        assert bool((params.scale_mu[n, i] != 0).any()) == (i in owners[n])


def test_the_plain_encoder_sees_across_borders_and_the_instance_aware_one_does_not(random, layout):
    image = normal(random, 2, 3, 16, 16)
    label = layout.label.numpy()
    single = il.Layout(label, np.zeros_like(label), CLASSES, 1)
    plain, aware = encoder("plain_encoder")[0], encoder("inade")[0]
    for a, b in zip(plain(image, single), aware(image, single), strict=True):  # one instance: the same
        assert_close(a, b)
    expected = layout.by_instance(
        layout.instances().mean(plain.heads[0](plain.features(image, layout.whole()), layout.whole()))
    )
    assert_close(plain(image, layout).scale_mu, expected)
    assert ((plain(image, layout).scale_mu - aware(image, layout).scale_mu).abs() > 1e-3).any()


def test_the_image_encoder_moves_the_latent_and_leaves_the_noise(random, layout):
    made, net = encoder("spade_vae")
    image = normal(random, 2, 3, 16, 16)
    params = made(image, layout)
    assert [tuple(p.shape) for p in params] == [(2, 1, TINY["latent_dim"] // 2)] * 4
    noise, latent = normal(random, 2, COUNT, 2, 4), normal(random, 2, TINY["latent_dim"])
    same, moved = net.remap(params, noise, latent)
    mu = np.concatenate([params.scale_mu.numpy(), params.bias_mu.numpy()], axis=2)[:, 0]
    std = np.exp(0.5 * np.concatenate([params.scale_logvar.numpy(), params.bias_logvar.numpy()], axis=2)[:, 0])
    assert same is noise
    assert_close(moved, latent.numpy() * std + mu)
    zeros = il.NoiseParams(*[paddle.zeros_like(p) for p in params])
    np.testing.assert_array_equal(net.remap(zeros, noise, latent)[1].numpy(), latent.numpy())


def test_the_image_encoders_means_tell_pictures_apart_from_the_start(random):
    made, _ = encoder("spade_vae")
    pictures = normal(random, 6, 3, 16, 16)
    made.train()
    params = made(pictures)
    means = paddle.concat([params.scale_mu, params.bias_mu], axis=2)[:, 0].numpy()
    np.testing.assert_allclose(means.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(means.std(0), made.MEAN_STD, rtol=1e-2)
    made.eval()  # the others of a batch no longer matter
    assert_close(made(pictures)[0][:2], made(pictures[:2])[0])


def test_a_repeating_encoder_tells_every_layer_the_same(random, layout):
    made, net = encoder("independent_noise")
    params, repeats = made(normal(random, 2, 3, 16, 16), layout), net.noise_dim // TINY["noise_dim"]
    for p in params:
        parts = p.numpy().reshape(2, COUNT, repeats, -1)
        assert (parts == parts[:, :, :1]).all()


def test_an_unknown_method_is_told():
    with pytest.raises(ValueError, match="method='inad'.*'inade', 'spade'"):
        find_method("inad")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_is_saved_and_comes_back(name, tmp_path):
    town = il.ToyTown("train", 32, length=8)
    config = il.TrainConfig(**TINY, method=name)
    trainer = il.Trainer(config, town)
    before = {k: v.numpy().copy() for k, v in trainer.generator.state_dict().items()}
    trainer.fit(2, tmp_path, progress=False)
    assert any((v.numpy() != before[k]).any() for k, v in trainer.generator.state_dict().items())
    assert ("rebuilt" in trainer.preview()) == (METHODS[name].encoder is not None)
    again = il.Trainer.resume(tmp_path, town)
    again.fit(1, progress=False)
    trainer.fit(1, progress=False)
    for one, other in ((trainer.generator, again.generator), (trainer.encoder, again.encoder)):
        if one is not None:
            assert_same_weights(one, other, LIMIT)
    il.save_pretrained(tmp_path / "model.safetensors", trainer)
    model = il.load_pretrained(tmp_path / "model.safetensors")
    assert model.generator.level == METHODS[name].level and model.generator.noise_dim == trainer.ema.noise_dim
    assert (model.encoder is None) == (METHODS[name].encoder is None)
    batch = il.collate([trainer.dataset[0], trainer.dataset[1]])
    layout = il.Layout.of(batch, town)
    a, b = (il.sample(net, layout, 5).numpy() for net in (model.generator, trainer.ema))
    np.testing.assert_allclose(a, b, atol=2 / 127.5)


@pytest.mark.parametrize("latent_dim", [0, 7])
def test_a_latent_that_cannot_be_halved_is_told(latent_dim):
    config = il.TrainConfig(**{**TINY, "method": "spade_vae", "latent_dim": latent_dim})
    with pytest.raises(ValueError, match=f"latent_dim={latent_dim}: .*two halves; expected 2, 4"):
        il.Trainer(config, il.ToyTown("train", 32, length=2))
