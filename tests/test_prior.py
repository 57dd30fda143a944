"""A normal distribution for the noise of each class, fitted after training."""

import numpy as np
import paddle
import pytest
from helpers import TINY, assert_close, normal, random_layout

import inade_lite as il
from inade_lite import prior
from inade_lite.weights.pretrained import final


def shifted(random, method="inade_positions"):
    """A generator and an encoder of random numbers whose means lie far from 0, and their streets."""
    town = il.ToyTown("train", 32, length=12)
    trainer = il.Trainer(il.TrainConfig(**TINY, method=method), town)
    generator, encoder = trainer.ema, trainer.encoder
    for network in (generator, encoder):
        network.eval()
        for parameter in network.parameters():
            parameter.set_value(0.3 * normal(random, *parameter.shape))
    return generator, encoder, town


def test_present_label_is_the_lowest_class_of_each_present_instance(random):
    layout = random_layout(random, size=(5, 5), spare=2)
    label, instance = layout._label, layout._instance
    found, rows = layout.present_label.numpy(), layout.present_instance.numpy()
    for n in range(2):
        for k, row in enumerate(rows[n]):
            assert found[n, k] == label[n][instance[n] == row - n * layout.num_instances].min()


@pytest.mark.parametrize("method", ["inade_positions", "no_places", "no_strengths"])
def test_rebuilt_pictures_stay_and_sampled_ones_come_from_where_their_classes_are(random, method):
    generator, encoder, town = shifted(random, method)
    batch = il.collate([town[i] for i in range(12)])
    layout, real = il.Layout.of(batch, town), paddle.to_tensor(batch["image"])
    noise, latent = il.sample_noise(layout, generator.noise_dim, 0), paddle.zeros([12, generator.latent_dim])
    told = encoder(real, layout)
    rebuilt = generator(layout, il.remap_noise(noise, told), latent)

    # The noise of each instance, and the moments of its class, by a loop.
    mu, variance = (np.stack([told[k].numpy(), told[k + 2].numpy()], axis=2) for k in range(2))  # both [N, I, 2, Z]
    variance = np.exp(variance)
    places = {}
    for n in range(12):
        for i in np.unique(batch["instance"][n]):
            label = int(batch["label"][n][batch["instance"][n] == i].min())
            places.setdefault(label, []).append((n, i))
    wanted = noise.numpy().copy()
    for members in places.values():
        mus = np.stack([mu[place] for place in members])
        std = np.sqrt(mus.var(axis=0) + np.mean([variance[place] for place in members], axis=0))
        for place in members:
            wanted[place] = mus.mean(axis=0) + std * wanted[place]
    assert np.abs(wanted - noise.numpy()).max() > 0.1
    wanted = generator(layout, paddle.to_tensor(wanted), latent)

    prior.fit_prior(generator, encoder, town, scenes=12)
    assert_close(generator(layout, il.remap_noise(noise, encoder(real, layout)), latent), rebuilt, limit=2e-3)
    assert_close(generator(layout, noise, latent), wanted, limit=2e-3)
    present = np.zeros([12, layout.num_instances], bool)
    for n, i in sum(places.values(), []):
        present[n, i] = True
    for value in encoder(real, layout):
        assert not value.numpy()[~present].any() and value.numpy()[present].any()

    before = encoder.prior.std.numpy()
    prior.fit_prior(generator, encoder, town, scenes=12)  # a second fit finds the same
    np.testing.assert_allclose(encoder.prior.std.numpy(), before)


def test_a_class_that_never_occurs_keeps_plain_noise(random):
    generator, encoder, town = shifted(random)
    prior.fit_prior(generator, encoder, town, scenes=1)
    there = np.isin(np.arange(town.num_classes), town[0]["label"])
    assert not there.all()
    for network in (generator, encoder):
        mean, std = network.prior.mean.numpy(), network.prior.std.numpy()
        assert not mean[~there].any() and (std[~there] == 1).all() and (std[there] != 1).all()


def test_an_unfitted_prior_changes_nothing(random):
    generator, encoder, town = shifted(random)
    layout = il.Layout.of(il.collate([town[0]]), town)
    noise, latent = il.sample_noise(layout, generator.noise_dim, 0), paddle.zeros([1, generator.latent_dim])
    plain = il.Generator.forward(generator, layout, noise, latent)
    np.testing.assert_array_equal(generator(layout, noise, latent).numpy(), plain.numpy())
    image = paddle.to_tensor(town[0]["image"][None])
    for raw, told in zip(encoder.raw(image, layout), encoder(image, layout), strict=True):
        np.testing.assert_array_equal(raw.numpy(), told.numpy())


def test_a_stored_model_is_fitted_and_the_trainer_is_left_alone(tmp_path):
    town = il.ToyTown("train", 32, length=8)
    trainer = il.Trainer(il.TrainConfig(**TINY, method="inade_positions"), town)
    trainer.step(il.collate([town[0], town[1]]))
    before = {name: value.numpy().copy() for name, value in trainer.ema.state_dict().items()}
    il.save_pretrained(tmp_path / "m.safetensors", trainer)
    for name, value in trainer.ema.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    assert not trainer.encoder.prior.mean.numpy().any()
    model = il.load_pretrained(tmp_path / "m.safetensors")
    layout = il.Layout.of(il.collate([town[0]]), town)
    generator, encoder = final(trainer)
    assert_close(il.sample(model.generator, layout, 0), il.sample(generator, layout, 0), limit=0.02)
    assert encoder.prior.mean.numpy().any()
    assert_close(model.encoder.prior.mean, encoder.prior.mean, limit=0.01)


def test_a_model_that_was_trained_on_crops_is_fitted_on_crops(tmp_path):
    town = il.ToyTown("train", 48, length=4)
    trainer = il.Trainer(il.TrainConfig(**TINY, method="inade_positions", crop=32), town)
    il.save_pretrained(tmp_path / "m.safetensors", trainer)
    model = il.load_pretrained(tmp_path / "m.safetensors")
    assert model.generator.image_size == (32, 32) and model.generator.prior.mean.numpy().any()
