"""Waves, the layer that adds them, the encoder that hears of them, and the loss that asks for them."""

import numpy as np
import paddle
import pytest
from helpers import TINY, assert_close, blocks, normal, random_layout

import inade_lite as il
from inade_lite import losses, modules, positions, waves
from inade_lite.methods import METHODS

CLASSES, CHANNELS, NOISE = 4, 5, 3


def layer(random, **more):
    """A PositionINADE whose numbers are all of them random."""
    made = positions.PositionINADE(CHANNELS, CLASSES, NOISE, **more)
    for parameter in made.parameters():
        parameter.set_value(normal(random, *parameter.shape))
    return made


def plain(made):
    """The INADE layer of the same numbers."""
    inade = il.INADE(CHANNELS, CLASSES, NOISE)
    inade.set_state_dict({name: value for name, value in made.state_dict().items() if name in inade.state_dict()})
    return inade


# ---- Places and waves


def test_places_of_a_case_worked_by_hand():
    instance = [[[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]]
    layout = il.Layout(np.zeros([1, 4, 4], int), instance, num_classes=1)
    x, y = waves.places(layout, (4, 4))[0] * 4
    outer = [0.5, 1.5, 2.5, 3.5]
    assert x.tolist() == [outer, [0.5, 0.5, 1.5, 3.5], [0.5, 0.5, 1.5, 3.5], outer]
    assert (y == x.T).all()
    # Half of the size: nearest-neighbor takes the pixels 0 and 2, and a center is between two pixels of the map.
    x, _ = waves.places(layout, (2, 2))[0] * 4
    assert x.tolist() == [[1, 3], [1, 2]]


def test_places_and_waves_equal_loops(random):
    layout = random_layout(random, size=(8, 12), instances=5, n=2)
    instance = layout.instance.numpy()
    found = waves.places(layout, (8, 12))
    tables = waves.waves(layout, (8, 12), octaves=(1, 4, 5)).numpy()  # five waves do not fit into 8 rows
    assert tables.shape == (2, 16, 8, 12)
    for n, row, column in np.ndindex(instance.shape):
        rows, columns = np.nonzero(instance[n] == instance[n, row, column])
        x, y = (column + 0.5 - columns.min()) / 8, (row + 0.5 - rows.min()) / 8
        assert found[n, :, row, column] == pytest.approx([x, y])
        wanted = []
        for octave in (1, 4):
            a, b = 2 * np.pi * octave * x, 2 * np.pi * octave * y
            wanted += [np.sin(a), np.sin(b), np.cos(a), np.cos(b)]
            wanted += [f(a) * g(b) for f in (np.sin, np.cos) for g in (np.sin, np.cos)]
        assert tables[n, :, row, column] == pytest.approx(wanted, abs=1e-6)


def test_places_do_not_depend_on_where_an_instance_stands_nor_on_the_size(random):
    shape = random.random([6, 6]) < 0.7
    shape[0, 0] = True
    maps = np.zeros([2, 16, 16], int)
    maps[0, 1:7, 2:8][shape] = 1
    maps[1, 9:15, 4:10][shape] = 1
    layout = il.Layout(maps, maps, num_classes=2)
    here, there = waves.places(layout, (16, 16))
    np.testing.assert_array_equal(here[:, maps[0] == 1], there[:, maps[1] == 1])

    large = il.Layout(*[maps.repeat(2, 1).repeat(2, 2)] * 2, num_classes=2)
    coarse = waves.places(large, (16, 16))
    np.testing.assert_allclose(coarse, waves.places(layout, (16, 16)))


def test_waves_are_made_once_for_each_size(random):
    layout = random_layout(random, size=(32, 32))
    assert waves.waves(layout, (32, 32)) is waves.waves(layout, [32, 32])
    assert waves.waves(layout, (16, 16)) is not waves.waves(layout, (32, 32))


def test_strengths_equal_a_loop_and_are_zero_for_absent_instances(random):
    instance = blocks(random, (12, 12), 3, 5)
    instance[1][instance[1] == 4] = 0
    layout = il.Layout(np.zeros_like(instance), instance, 1, 7)
    image = paddle.tanh(normal(random, 2, 3, 12, 12))
    found = layout.by_instance(waves.strengths(image, layout, (2, 4, 8))).numpy()
    assert found.shape == (2, 7, 24) and not found[..., 16:].any()  # eight waves do not fit into 12 rows
    tables = waves.waves(layout, (12, 12), (2, 4)).numpy()
    light = np.einsum("c,nchw->nhw", [0.299, 0.587, 0.114], image.numpy() + 1)
    for n, i in np.ndindex(2, 7):
        mask = instance[n] == i
        if mask.any():
            inside = light[n][mask]
            sums = ((inside - inside.mean()) * tables[n][:, mask]).sum(1)
            wanted = 2 * sums / inside.mean() / (mask.sum() + 12**2 / 64)
            assert found[n, i, :16] == pytest.approx(wanted, rel=1e-4, abs=1e-6)
        else:
            assert not found[n, i].any()


@pytest.mark.parametrize("bands", ["across", "down", "both"])
def test_a_pattern_is_found_in_its_own_waves(bands):
    """Dots are across, down and in a product; the strength of bands of 0.5 around gray is 0.5 * sqrt(2) of the mean.

    All of it counts as if the picture had 16 more pixels, which are plain.
    """
    row = paddle.to_tensor([0.5, 0.5, -0.5, -0.5] * 8)
    across = row.expand([32, 32])
    image = {"across": across, "down": across.T, "both": paddle.minimum(across, across.T)}[bands]
    layout = il.Layout(np.zeros([1, 32, 32], int), np.zeros([1, 32, 32], int), 1)
    found = waves.strengths(image.expand([1, 3, 32, 32]), layout, (8,))[0, 0].numpy() * (32**2 + 16) / 32**2
    of_x, of_y = np.hypot(*found[[0, 2]]), np.hypot(*found[[1, 3]])
    products = np.linalg.norm(found[4:])
    if bands == "both":
        # 0.5 on a quarter of the pixels and -0.5 on the rest: half of each of the bands, and of their product
        assert [of_x, of_y] == pytest.approx([0.25 * np.sqrt(2) / 0.75] * 2, rel=1e-4)
        assert products == pytest.approx(2 * 0.25 * 0.5 / 0.75, rel=1e-4)
    else:
        strong = 0.5 * np.sqrt(2)
        assert [of_x, of_y] == pytest.approx([strong, 0] if bands == "across" else [0, strong], abs=1e-5)
        assert products == pytest.approx(0, abs=1e-5)


# ---- The layer


@pytest.mark.parametrize("training", [True, False])
def test_the_layer_equals_the_formula(random, training):
    layout = random_layout(random, size=(8, 8), classes=CLASSES)
    made = layer(random, octaves=(1, 2, 4))
    made.training = training
    x, noise = normal(random, 2, CHANNELS, 8, 8), il.sample_noise(layout, NOISE, 0)
    out = made(x, layout, noise).numpy()
    inade = plain(made)(x, layout, noise).numpy()
    wave = waves.waves(layout, (8, 8), (1, 2, 4)).numpy()
    n = noise.flatten(2).numpy() @ made.fc_wave.weight.numpy() + made.fc_wave.bias.numpy()
    w, b, mix = (p.numpy() for p in (made.wave_weight, made.wave_bias, made.mix))
    label, instance = layout.label.numpy(), layout.instance.numpy()
    wanted = inade.copy()
    for image, row, column in np.ndindex(label.shape):
        c, i = label[image, row, column], instance[image, row, column]
        s = w[c] * n[image, i] + b[c]
        loudness = np.tanh(s**3) if training else np.tanh(0.549306 * (s / 0.818986) ** 5)  # 0.818986^3 = 0.549306
        for k in range(24):
            wanted[image, :, row, column] += mix[k] * loudness[k] * wave[image, k, row, column]
    assert_close(out, wanted)


def test_in_use_the_choice_is_sharper_and_half_stays_half(random):
    layout = random_layout(random, classes=CLASSES)
    made, noise = layer(random), il.sample_noise(layout, NOISE, 0)
    soft = made.loudness(layout, noise).numpy()
    made.eval()
    sharp = made.loudness(layout, noise).numpy()
    np.testing.assert_array_equal(np.sign(soft), np.sign(sharp))
    loud = np.abs(soft) > 0.5
    assert 0.1 < loud.mean() < 0.9
    assert (np.abs(sharp) >= np.abs(soft) - 1e-6)[loud].all() and (np.abs(sharp) <= np.abs(soft) + 1e-6)[~loud].all()
    between = [((np.abs(x) > 0.2) & (np.abs(x) < 0.8)).mean() for x in (soft, sharp)]
    assert between[1] < 0.75 * between[0]


def test_without_waves_it_is_inade_to_the_last_bit(random):
    layout = random_layout(random, size=(8, 8), classes=CLASSES)
    x, noise = normal(random, 2, CHANNELS, 8, 8), il.sample_noise(layout, NOISE, 0)
    off = layer(random, octaves=())
    np.testing.assert_array_equal(off(x, layout, noise).numpy(), plain(off)(x, layout, noise).numpy())
    # A map of one row holds no wave, whatever the octaves.
    made = layer(random)
    x = normal(random, 2, CHANNELS, 1, 8)
    np.testing.assert_array_equal(made(x, layout, noise).numpy(), plain(made)(x, layout, noise).numpy())


def test_only_the_instance_whose_noise_is_drawn_again_changes(random):
    layout = random_layout(random, size=(32, 32), classes=CLASSES, instances=5)
    made, x = layer(random), normal(random, 2, CHANNELS, 32, 32)
    noise = il.sample_noise(layout, NOISE, 0)
    again = noise.clone()
    again[:, 3] = il.sample_noise(layout, NOISE, 1)[:, 3]
    changed = (made(x, layout, noise) != made(x, layout, again)).any(1).numpy()
    np.testing.assert_array_equal(changed, layout.instance.numpy() == 3)


def test_a_constant_map_stays_constant_in_inade_and_gets_a_pattern_here(random):
    layout = il.Layout(np.zeros([1, 32, 32], int), np.zeros([1, 32, 32], int), num_classes=CLASSES)
    noise = il.sample_noise(layout, NOISE, 0)
    made, x = layer(random), paddle.ones([1, CHANNELS, 32, 32])
    assert float(plain(made)(x, layout, noise).std([2, 3]).max()) < 1e-4
    assert float(made(x, layout, noise).std([2, 3]).min()) > 0.1


def test_the_method_begins_with_inades_other_networks():
    """What is not about places has the same shapes under the same names, so weights can be carried over."""
    config = {**TINY, "norm": "instance"}
    ours = METHODS["inade_positions"].new_generator(config, CLASSES, 32)
    theirs = METHODS["inade"].new_generator(config, CLASSES, 32)
    shapes = {name: list(value.shape) for name, value in ours.state_dict().items()}
    for name, value in theirs.state_dict().items():
        assert shapes.pop(name) == list(value.shape)
    assert {name.rpartition("norm_")[2].partition(".")[2] for name in shapes} == {
        "fc_wave.weight", "fc_wave.bias", "wave_weight", "wave_bias", "mix"
    }  # fmt: skip


# ---- The encoder


def test_the_encoder_hears_of_a_pattern_and_of_no_neighbor(random):
    instance = np.zeros([1, 32, 32], int)
    instance[:, :, 16:] = 1
    layout = il.Layout(instance, instance, 2)
    encoder = modules.initialize(positions.PatternEncoder(NOISE, base_channels=4, num_classes=2), 1.0)
    encoder.eval()
    silent = [layer for layer in encoder.sublayers() if isinstance(layer, il.InstanceConv2D)]
    for convolution in silent:
        convolution.weight.set_value(paddle.zeros_like(convolution.weight))
    image = paddle.zeros([1, 3, 32, 32])
    striped = image.clone()
    striped[:, :, ::4, 16:] = 0.5
    before, after = encoder(image, layout), encoder(striped, layout)
    for a, b in ((before.scale_mu, after.scale_mu), (before.bias_mu, after.bias_mu)):
        assert_close(a[:, 0], b[:, 0])
        assert float((a[:, 1] - b[:, 1]).abs().max()) > 0.01
    np.testing.assert_array_equal(before.scale_logvar.numpy(), after.scale_logvar.numpy())
    told = encoder.pattern(10 * waves.strengths(striped, layout))
    assert_close(after.scale_mu, told[..., :NOISE])
    assert_close(after.bias_mu, told[..., NOISE:])


# ---- The loss


def test_the_pattern_loss_of_cases_worked_by_hand():
    instance = np.zeros([2, 32, 32], int)
    instance[1, :, 16:] = 2  # the first image has one instance only, in which all waves are whole
    layout = il.Layout(np.zeros_like(instance), instance, 1)
    plain = paddle.zeros([2, 3, 32, 32])
    striped = plain.clone()
    striped[0] = paddle.to_tensor([0.5, 0.5, -0.5, -0.5] * 8)
    half = 0.5 * striped
    strong = (0.5 * np.sqrt(2) * 32**2 / (32**2 + 16)) ** 2  # of one of three instances
    # An octave that is no whole number holds no whole periods. So it swings along with others, here by 0.3 percent.
    assert float(losses.pattern_loss(striped, plain, layout)) == pytest.approx(strong / 3, rel=5e-3)
    assert float(losses.pattern_loss(half, striped, layout)) == pytest.approx(strong / 3 / 4, rel=5e-3)
    assert float(losses.pattern_loss(striped, striped, layout)) == 0
    assert float(losses.pattern_loss(plain + 0.3, plain, layout)) == pytest.approx(0, abs=1e-9)  # another color
    # The opposite phase is worse than none.
    assert float(losses.pattern_loss(-striped, striped, layout)) == pytest.approx(4 * strong / 3, rel=5e-3)


def test_training_weighs_the_pattern_loss():
    town = il.ToyTown("train", 32, length=8)
    terms = {}
    for weight in (0.0, 2.0, 4.0):
        trainer = il.Trainer(il.TrainConfig(**TINY, lambda_pattern=weight), town)
        terms[weight] = trainer.step(il.collate([town[0], town[1]]))
    assert "pattern" not in terms[0.0]
    assert float(terms[4.0]["pattern"]) == pytest.approx(2 * float(terms[2.0]["pattern"]), rel=1e-4)
