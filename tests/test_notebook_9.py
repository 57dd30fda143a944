"""What notebook 9 builds by hand is the package's: the measure, the places, the waves, the layer, the loss."""

import numpy as np
import paddle
import pytest
from helpers import SEEDS, TINY, assert_close, blocks, leaf, normal

import inade_lite as il
from inade_lite import losses, metrics, positions, prior, waves


def maps_of(random, classes=4):
    """Two images of 64x64 with up to nine instances of any class: the instance maps, and a Layout."""
    instance = blocks(random, (64, 64), 13, 9)
    return instance, il.Layout(instance % classes, instance, classes, 9)


@SEEDS
def test_amplitudes(random, notebook):
    image = np.tanh(random.standard_normal([3, 24, 32]))
    mask = random.random([24, 32]) < 0.3
    found = metrics.amplitudes(image[None], mask, 4)[0]
    np.testing.assert_allclose(notebook["amplitudes"](image, mask, 4), found, rtol=1e-6)


@SEEDS
def test_pattern_distance(random, notebook):
    town = il.ToyTown("val", 64)
    roof = town.class_names.index("roof")
    heaps = random.gamma(2, 0.02, [2, 64, 4, 2])  # generated and redrawn, things, samples, directions
    textures = [metrics.Texture(k, roof, *heaps[:, k]) for k in range(64)]
    found = metrics.pattern_distances(textures, town)
    for direction, word in enumerate(("across", "down")):
        ours = notebook["pattern_distance"](*heaps[..., direction].reshape([2, -1]))
        assert ours == pytest.approx(found[f"roof {word}"].value)


@SEEDS
def test_places_and_waves(random, notebook):
    instance, layout = maps_of(random)
    for n in range(2):
        ours = notebook["places_loop"](instance[n])
        np.testing.assert_allclose(ours, waves.places(layout, (64, 64))[n], atol=1e-12)
    one = layout[:1]
    for size in ((64, 64), (32, 32)):
        np.testing.assert_allclose(notebook["waves_of"](one, size), waves.waves(one, size).numpy()[0], atol=1e-5)


@SEEDS
def test_the_layer_and_its_gradients(random, notebook):
    _, layout = maps_of(random)
    noise = normal(random, 2, 9, 2, 5)
    package = positions.PositionINADE(3, 4, 5)
    ours = notebook["PositionINADE"](3, 4, 5)
    missing, unexpected = ours.set_state_dict(package.state_dict())
    assert not missing and not unexpected
    x = leaf(random, 2, 3, 64, 64)
    weight = normal(random, 2, 3, 64, 64)
    outputs, gradients = [], []
    for layer in (ours, package):
        out = layer(x, layout, noise)
        outputs.append(out)
        gradients.append(paddle.grad((out * weight).mean(), [x, *layer.parameters()]))
    assert_close(*outputs)
    for one, other in zip(*gradients, strict=True):
        assert_close(one, other)


@SEEDS
def test_strengths_and_the_loss(random, notebook):
    instance, layout = maps_of(random)
    layout = layout[:1]
    table = waves.waves(layout, (64, 64)).numpy()[0]
    images = [paddle.tanh(normal(random, 1, 3, 64, 64)) for _ in range(2)]
    loops = [notebook["strengths_loop"](image[0].numpy(), instance[0], table) for image in images]
    for image, ours in zip(images, loops, strict=True):
        np.testing.assert_allclose(ours, waves.strengths(image, layout)[0].numpy(), atol=1e-5)
    assert notebook["pattern_loss"](*loops) == pytest.approx(float(losses.pattern_loss(*images, layout)), rel=1e-4)


def test_moments(random, notebook):
    town = il.ToyTown("train", 32, length=6)
    trainer = il.Trainer(il.TrainConfig(**TINY, method="inade_positions"), town)
    generator, encoder = trainer.ema, trainer.encoder
    for network in (generator, encoder):
        network.eval()
    batch = il.collate([town[i] for i in range(6)])
    params = encoder.raw(paddle.to_tensor(batch["image"]), il.Layout.of(batch, town))
    sky = batch["instance"][:, 0, 0]  # of each street, its upper left corner
    assert (batch["label"][:, 0, 0] == town.class_names.index("sky")).all()
    told = [np.stack([value.numpy()[n, i] for n, i in enumerate(sky)]) for value in params]
    mu, logvar = np.hstack([told[0], told[2]]), np.hstack([told[1], told[3]])
    prior.fit_prior(generator, encoder, town)
    for ours, table in zip(notebook["moments"](mu, logvar), (encoder.prior.mean, encoder.prior.std), strict=True):
        np.testing.assert_allclose(ours, table.numpy()[town.class_names.index("sky")], rtol=1e-4, atol=1e-6)
