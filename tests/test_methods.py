"""Rivals and ablations: what each is equal to, and what its noise can and cannot reach."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

import inade_lite as il
from inade_lite import methods
from inade_lite.methods import METHODS, find_method

CLASSES, CHANNELS, NOISE, COUNT = 4, 5, 3, 6
TINY = {"noise_dim": 4, "latent_dim": 6, "base_channels": 2, "encoder_channels": 4, "num_upsamplings": 2}
LIMIT = 1e-4 if il.setup.runtime.device() == "cpu" else 2e-2  # a GPU's matrix products may run in TF32


def random_layout(seed=0, size=(16, 16)):
    """Blocks of instances, each of one class; the last instance is absent from the second image."""
    random = np.random.default_rng(seed)
    instance = random.integers(0, COUNT, [2, size[0] // 4, size[1] // 4]).repeat(4, 1).repeat(4, 2)
    instance[1][instance[1] == COUNT - 1] = 0
    label = np.stack([random.permutation(COUNT)[instance[n]] % CLASSES for n in range(2)])
    return il.Layout(label, instance, CLASSES, COUNT)


def tensor(seed, *shape):
    return paddle.to_tensor(np.random.default_rng(seed).standard_normal(shape).astype("float32"))


def randomised(layer, seed=1):
    for k, p in enumerate(layer.parameters()):
        p.set_value(tensor(seed + k, *p.shape) * 0.5)
    return layer


def generator(method, **more):
    made = METHODS[method].new_generator({**TINY, "norm": "instance", **more}, CLASSES, (16, 16))
    made.eval()
    return randomised(made)


# ---- Layouts


def test_by_class_gives_every_class_its_lowest_instance():
    layout = random_layout()
    label, instance, merged = (m.numpy() for m in (layout.label, layout.instance, layout.by_class().instance))
    for n in range(2):
        for c in np.unique(label[n]):
            assert (merged[n][label[n] == c] == instance[n][label[n] == c].min()).all()
    assert layout.by_class() is layout.by_class() and layout.by_class().num_instances == COUNT
    assert (layout.instance.numpy() == instance).all() and (layout.by_class().label.numpy() == label).all()


def test_scene_is_labels_and_edges_by_nearest_neighbour():
    layout = random_layout()
    whole = paddle.concat([layout.semantics(), layout.edges()], axis=1)
    np.testing.assert_array_equal(layout.scene().numpy(), whole.numpy())
    np.testing.assert_array_equal(layout.scene((8, 4)).numpy(), whole.numpy()[:, :, ::2, ::4])


def test_means_by_instance_equal_a_loop_and_are_zero_where_absent():
    layout, x = random_layout(), tensor(2, 2, CHANNELS, 16, 16)
    found, ids = layout.by_instance(layout.instances().mean(x)).numpy(), layout.instance.numpy()
    for n, i in np.ndindex(2, COUNT):
        mask = ids[n] == i
        expected = x.numpy()[n][:, mask].mean(1) if mask.any() else np.zeros(CHANNELS)
        np.testing.assert_allclose(found[n, i], expected, atol=1e-5)


# ---- Layers


def test_spade_equals_the_formula():
    layout, x = random_layout(), tensor(3, 2, CHANNELS, 8, 8)
    layer = randomised(methods.SPADE(CHANNELS, CLASSES, hidden=7))
    seen = layout.scene((8, 8))
    m = F.relu(F.conv2d(seen, layer.shared.weight, layer.shared.bias, padding=1))
    gamma, beta = (F.conv2d(m, c.weight, c.bias, padding=1) for c in (layer.gamma, layer.beta))
    mean, std = x.mean([2, 3], keepdim=True), x.var([2, 3], unbiased=False, keepdim=True)
    expected = (1 + gamma) * (x - mean) / (std + 1e-5).sqrt() + beta
    np.testing.assert_allclose(layer(x, layout).numpy(), expected.numpy(), rtol=1e-3, atol=10 * LIMIT)


def test_clade_is_inade_whose_noise_is_silent():
    layout, x = random_layout(), tensor(4, 2, CHANNELS, 8, 8)
    clade, inade = randomised(methods.CLADE(CHANNELS, CLASSES)), randomised(il.INADE(CHANNELS, CLASSES, NOISE))
    inade.weight.set_value(paddle.zeros_like(inade.weight))
    inade.bias.set_value(paddle.stack([clade.scale, clade.shift], axis=2))
    expected = inade(x, layout, tensor(5, 2, COUNT, 2, NOISE))
    np.testing.assert_allclose(clade(x, layout).numpy(), expected.numpy(), rtol=1e-4, atol=LIMIT)


@pytest.mark.parametrize(
    ("kind", "used"),
    [(methods.ScaleNoise, (True, False)), (methods.ShiftNoise, (False, True)), (il.INADE, (True, True))],
)
def test_which_half_of_the_noise_is_heard(kind, used):
    layout, x, noise = random_layout(), tensor(6, 2, CHANNELS, 8, 8), tensor(7, 2, COUNT, 2, NOISE)
    layer = randomised(kind(CHANNELS, CLASSES, NOISE))
    for half in range(2):
        other = noise.clone()
        other[:, :, half] = tensor(8, 2, COUNT, NOISE)
        assert bool((layer(x, layout, other) != layer(x, layout, noise)).any()) == used[half]


def test_scale_and_shift_noise_equal_inade_where_the_other_half_is_silent():
    layout, x, noise = random_layout(), tensor(6, 2, CHANNELS, 8, 8), tensor(7, 2, COUNT, 2, NOISE)
    for half, kind in ((1, methods.ScaleNoise), (0, methods.ShiftNoise)):
        silent = noise.clone()
        silent[:, :, half] = 0.0
        layers = [randomised(k(CHANNELS, CLASSES, NOISE)) for k in (kind, il.INADE)]
        found, expected = layers[0](x, layout, noise), layers[1](x, layout, silent)
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5, atol=1e-5)


# ---- Generators


@pytest.mark.parametrize("name", METHODS)
def test_what_one_draw_of_noise_reaches(name):
    layout, net = random_layout(), generator(name)
    shape = [2, COUNT, 2, net.noise_dim]
    noise, other, latent = tensor(9, *shape), tensor(10, *shape), tensor(11, 2, TINY["latent_dim"])
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


def test_with_equal_noises_a_noise_per_layer_is_inade():
    layout, independent, inade = random_layout(), generator("independent_noise"), generator("inade")
    inade.set_state_dict(independent.state_dict())
    noise, latent = tensor(12, 2, COUNT, 2, TINY["noise_dim"]), tensor(13, 2, TINY["latent_dim"])
    repeated = noise.tile([1, 1, 1, independent.noise_dim // TINY["noise_dim"]])
    found, expected = independent(layout, repeated, latent), inade(layout, noise, latent)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=10 * LIMIT)


def test_methods_without_noise_start_from_the_layout():
    for name in ("spade", "clade"):
        net = generator(name)
        assert net.latent_dim == 0 and list(net.fc.weight.shape)[1] == CLASSES + 1
        a, b = (il.sample(net, random_layout(), seed).numpy() for seed in (1, 2))
        np.testing.assert_array_equal(a, b)


# ---- Encoders


def encoder(name):
    net = generator(name)
    return randomised(METHODS[name].new_encoder(TINY, net)), net


def test_the_class_encoder_speaks_to_the_first_instance_of_each_class():
    layout, image = random_layout(), tensor(14, 2, 3, 16, 16)
    params = encoder("class_noise")[0](image, layout)
    owners = layout.by_class().instance.numpy()
    for n, i in np.ndindex(2, COUNT):
        assert bool((params.scale_mu[n, i] != 0).any()) == (i in owners[n])


def test_the_plain_encoder_sees_across_borders_and_the_instance_aware_one_does_not():
    layout, image = random_layout(), tensor(15, 2, 3, 16, 16)
    label = layout.label.numpy()
    single = il.Layout(label, np.zeros_like(label), CLASSES, 1)
    plain, aware = encoder("plain_encoder")[0], encoder("inade")[0]
    for a, b in zip(plain(image, single), aware(image, single), strict=True):  # one instance: the same
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-3, atol=100 * LIMIT)
    expected = layout.by_instance(
        layout.instances().mean(plain.heads[0](plain.features(image, layout.whole()), layout.whole()))
    )
    np.testing.assert_allclose(plain(image, layout).scale_mu.numpy(), expected.numpy(), rtol=1e-4, atol=LIMIT)
    assert ((plain(image, layout).scale_mu - aware(image, layout).scale_mu).abs() > 1e-3).any()


def test_the_image_encoder_moves_the_latent_and_leaves_the_noise():
    made, net = encoder("spade_vae")
    layout, image = random_layout(), tensor(16, 2, 3, 16, 16)
    params = made(image, layout)
    assert [tuple(p.shape) for p in params] == [(2, 1, TINY["latent_dim"] // 2)] * 4
    noise, latent = tensor(17, 2, COUNT, 2, 4), tensor(18, 2, TINY["latent_dim"])
    same, moved = net.remap(params, noise, latent)
    mu = np.concatenate([params.scale_mu.numpy(), params.bias_mu.numpy()], axis=2)[:, 0]
    std = np.exp(0.5 * np.concatenate([params.scale_logvar.numpy(), params.bias_logvar.numpy()], axis=2)[:, 0])
    assert same is noise
    np.testing.assert_allclose(moved.numpy(), latent.numpy() * std + mu, rtol=1e-4, atol=1e-4)
    zeros = il.NoiseParams(*[paddle.zeros_like(p) for p in params])
    np.testing.assert_array_equal(net.remap(zeros, noise, latent)[1].numpy(), latent.numpy())


def test_the_image_encoders_means_tell_pictures_apart_from_the_start():
    made, _ = encoder("spade_vae")
    pictures = tensor(19, 6, 3, 16, 16)
    made.train()
    params = made(pictures)
    means = paddle.concat([params.scale_mu, params.bias_mu], axis=2)[:, 0].numpy()
    np.testing.assert_allclose(means.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(means.std(0), made.MEAN_STD, rtol=1e-2)
    made.eval()  # the others of a batch no longer matter
    np.testing.assert_allclose(made(pictures)[0][:2].numpy(), made(pictures[:2])[0].numpy(), atol=LIMIT)


def test_a_repeating_encoder_tells_every_layer_the_same():
    made, net = encoder("independent_noise")
    params, repeats = made(tensor(19, 2, 3, 16, 16), random_layout()), net.noise_dim // TINY["noise_dim"]
    for p in params:
        parts = p.numpy().reshape(2, COUNT, repeats, -1)
        assert (parts == parts[:, :, :1]).all()


def test_an_unknown_method_is_told():
    with pytest.raises(ValueError, match="method='inad'.*'inade', 'spade'"):
        find_method("inad")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_is_saved_and_comes_back(name, tmp_path):
    town = il.ToyTown("train", 32, length=8)
    config = il.TrainConfig(**TINY, method=name, discriminator_channels=2, batch_size=4)
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
            for key, value in one.state_dict().items():
                np.testing.assert_allclose(value.numpy(), other.state_dict()[key].numpy(), atol=LIMIT, err_msg=key)
    il.save_pretrained(tmp_path / "model.safetensors", trainer)
    model = il.load_pretrained(tmp_path / "model.safetensors")
    assert model.generator.level == METHODS[name].level and model.generator.noise_dim == trainer.ema.noise_dim
    assert (model.encoder is None) == (METHODS[name].encoder is None)
    batch = il.collate([town[0], town[1]])
    layout = il.Layout(batch["label"], batch["instance"], town.num_classes)
    a, b = (il.sample(net, layout, 5).numpy() for net in (model.generator, trainer.ema))
    np.testing.assert_allclose(a, b, atol=2 / 127.5)
