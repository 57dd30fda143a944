"""What came after: OASIS's idea and the flow compute what they say, learn, go on exactly, and ship as recorded."""

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers import ROOT, SEEDS, assert_close, assert_same_weights, blocks, leaf, normal, random_layout

import inade_lite as il  # isort: skip: before Paddle, which it prepares
import paddle
import paddle.nn.functional as F

from experiments import later as experiment
from experiments.runs import SAMPLES, SCENES, data_version
from inade_lite import flow, metrics, oasis
from inade_lite.later import (
    LATER,
    LEARNERS,
    FlowConfig,
    FlowLearner,
    OasisConfig,
    OasisLearner,
    load_later,
    save_later,
)

TINY = {
    "oasis": OasisConfig(base_channels=2, hidden=4, discriminator_channels=4, batch_size=2, steps=4, decay_steps=2),
    "flow": FlowConfig(base_channels=4, sampling_steps=3, batch_size=2, steps=4, decay_steps=2),
}
every_learner = pytest.mark.parametrize("name", LEARNERS)


def learner_of(name):
    return LEARNERS[name](TINY[name], il.ToyTown("train", 32, length=8))


# ---- OASIS's idea


@SEEDS
def test_noise_is_painted_on_the_pixels_of_its_instance(random):
    layout = random_layout(random, size=(8, 12), spare=2)
    noise = normal(random, 2, layout.num_instances, 2, 3)
    painted = oasis.paint_noise(layout, noise).numpy()
    for n, y, x in np.ndindex(2, 8, 12):
        owner = int(layout.instance[n, y, x])
        np.testing.assert_allclose(painted[n, :, y, x], noise[n, owner].numpy().ravel(), atol=1e-5)
    assert list(oasis.paint_noise(layout, noise, (4, 6)).shape) == [2, 6, 4, 6]


@SEEDS
def test_its_layer_is_spade_of_labels_edges_and_noise(random):
    layer = oasis.NoiseSPADE(3, 4, noise_dim=2)
    layout, x = random_layout(random), leaf(random, 2, 3, 12, 20)
    noise = normal(random, 2, layout.num_instances, 2, 2)
    m = paddle.concat([layout.semantics(), layout.edges(), oasis.paint_noise(layout, noise)], axis=1)
    m = F.relu(F.conv2d(m, layer.shared.weight, layer.shared.bias))
    gamma, beta = (F.conv2d(m, conv.weight, conv.bias, padding=1) for conv in (layer.gamma, layer.beta))
    wanted = (1 + gamma) * layer.norm(x) + beta
    assert_close(layer(x, layout, noise), wanted)
    parameters = [x, *layer.parameters()]
    upstream = normal(random, *x.shape)
    ours, theirs = (paddle.grad((y * upstream).sum(), parameters) for y in (layer(x, layout, noise), wanted))
    for one, other in zip(ours, theirs, strict=True):
        assert_close(one, other)


@SEEDS
def test_each_class_weighs_alike(random):
    label = random.choice([0, 1, 1, 1, 1, 3], [2, 6, 7])  # class 2 is absent
    layout = il.Layout(label, np.zeros_like(label), 4)
    logits = normal(random, 2, 5, 6, 7)
    log_p = np.log(F.softmax(logits, axis=1).numpy())
    of_classes = []
    for c in (0, 1, 3):
        of_classes.append(np.mean([-log_p[n, c, y, x] for n, y, x in np.argwhere(label == c)]))
    found = oasis.balanced_cross_entropy(logits, layout.semantics())
    assert float(found) == pytest.approx(np.mean(of_classes), rel=1e-4)
    painted = oasis.painted_cross_entropy(logits)
    assert float(painted) == pytest.approx(-log_p[:, 4].mean(), rel=1e-4)


@SEEDS
def test_packing_loses_nothing(random):
    x = normal(random, 2, 3, 6, 8)
    assert (oasis.unpack(oasis.pack(x)) == x).all()
    assert (oasis.pack(x)[:, 4 * 2 + 2 * 1 + 0] == x[:, 2, 1::2, 0::2]).all()


def test_its_discriminator_sees_the_whole_and_answers_where(random):
    network = oasis.SegmentingDiscriminator(5, base_channels=4)
    x = leaf(random, 1, 3, 64, 64)
    (gradient,) = paddle.grad(network(x)[0, :, 31, 33].sum(), x)
    reached = gradient[0].abs().sum(0).numpy()
    assert reached[31, 33] > 0 and np.ptp(np.argwhere(reached > 0), axis=0).min() > 40


# ---- The flow


@SEEDS
def test_the_straight_flow_of_one_picture_ends_in_it(random):
    """With a single real picture the velocity is known: (x_1 - x_t) / (1 - t)."""
    picture = normal(random, 1, 3, 16, 16)
    x = normal(random, 2, 3, 16, 16)

    def velocity(x_t, t, layout):
        return (picture - x_t) / (1 - t.reshape([-1, 1, 1, 1]))

    for steps in (1, 4):
        path = flow.follow(velocity, x, None, steps)
        assert len(path) == steps + 1
        assert_close(path[-1], picture.expand([2, 3, 16, 16]))
    for step, x_t in zip((np.arange(5) / 4) ** 2, path, strict=True):
        assert_close(x_t, (1 - step) * x + step * picture)


def test_its_loss_asks_for_the_velocity_of_the_line(random):
    image = normal(random, 4, 3, 16, 16)
    seen = []

    def remember(x_t, t, layout):
        seen.append((x_t, t))
        return paddle.zeros_like(x_t)

    paddle.seed(3)
    loss = flow.flow_loss(remember, image, None)
    paddle.seed(3)
    noise = paddle.randn(image.shape)
    ((x_t, t),) = seen
    along = t.reshape([4, 1, 1, 1])
    assert_close(x_t, (1 - along) * noise + along * image)
    assert float(loss) == pytest.approx(float(((image - noise) ** 2).mean()), rel=1e-5)
    assert (4 * t.sqrt()).floor().tolist() == [0, 1, 2, 3]  # one in each quarter


@SEEDS
def test_an_instance_drawn_again_gets_new_noise_at_its_pixels_alone(random):
    instance = blocks(random, (16, 16), 5, 6)
    layout = il.Layout(instance % 3, instance, 3, 6)
    generator = flow.FlowGenerator(3, 16, base_channels=4, steps=1)
    noise, latent = metrics.start(generator, layout, 0)
    assert latent is None and list(noise.shape) == [2, 6, 2, 3 * 16 * 16 // 2]
    chosen = np.zeros([2, 6], bool)
    chosen[:, instance[0, 0, 0]] = True
    again, _ = metrics.draw_again(generator, layout, noise, latent, chosen, 1)
    before, after = (generator.cut_out(layout, part).numpy() for part in (noise, again))
    differs = (before != after).all(axis=1)
    np.testing.assert_array_equal(differs, instance == instance[0, 0, 0])
    for n, y, x in [(0, 3, 4), (1, 15, 0)]:
        canvas = noise[n, int(instance[n, y, x])].numpy().reshape([3, 16, 16])
        np.testing.assert_array_equal(before[n, :, y, x], canvas[:, y, x])
    assert abs(before.mean()) < 0.15 and abs(before.std() - 1) < 0.15


def test_a_size_that_cannot_be_halved_three_times_is_refused():
    with pytest.raises(ValueError, match="20x16: both sides must be multiples of 8"):
        flow.FlowGenerator(3, (20, 16))


# ---- Learning


@every_learner
def test_a_run_that_goes_on_is_an_unbroken_one(name, tmp_path):
    unbroken = learner_of(name)
    unbroken.fit(progress=False)
    broken = learner_of(name)
    broken.fit(tmp_path, steps=2, progress=False)
    again = LEARNERS[name].resume(tmp_path, broken.dataset)
    assert again.steps_done == 2
    again.fit(progress=False)
    assert again.steps_done == unbroken.steps_done == 4
    for network, other in zip(again.networks().values(), unbroken.networks().values(), strict=True):
        assert_same_weights(network, other)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        (
            "oasis",
            {"learning_rate_g": 0.0, "learning_rate_d": 1e-2},
        ),  # the discriminator, against one that stands still
        ("flow", {"base_channels": 8, "learning_rate": 1e-2}),
    ],
)
def test_it_learns_something(name, changes):
    config = replace(TINY[name], steps=60, decay_steps=0, **changes)
    learner = LEARNERS[name](config, il.ToyTown("train", 32, length=8))
    learner.fit(progress=False, log_every=10)
    first, *_, last = ([row[key] for key in row if key in ("found", "painted", "velocity")] for row in learner.history)
    assert sum(last) < 0.85 * sum(first)


@every_learner
def test_it_is_stored(name, tmp_path):
    learner = learner_of(name)
    learner.fit(steps=1, progress=False)
    path = tmp_path / "m.safetensors"
    save_later(path, learner, note="here")
    model = load_later(path)
    assert model.config["note"] == "here" and model.encoder is None
    layout = il.Layout.of(il.collate([learner.dataset[0]]), learner.dataset)
    assert_close(il.sample(model.generator, layout, 0), il.sample(learner.ema, layout, 0), 0.02)


def test_the_discriminator_learns_nothing_in_the_generators_step():
    learner = learner_of("oasis")
    batch = il.collate([learner.dataset[k] for k in range(2)])
    before = [p.numpy() for p in learner.discriminator.parameters()]
    learner.optimizer_d.set_lr(0.0)
    generator = [p.numpy() for p in learner.generator.parameters()]
    learner.step(il.Layout.of(batch, learner.dataset), paddle.to_tensor(batch["image"]))
    assert all((a == b.numpy()).all() for a, b in zip(before, learner.discriminator.parameters(), strict=True))
    assert any((a != b.numpy()).any() for a, b in zip(generator, learner.generator.parameters(), strict=True))


def test_an_unknown_model_is_named():
    with pytest.raises(FileNotFoundError, match="no model 'oases'; data/later has those of oasis, flow"):
        load_later("oases")


def test_a_loss_that_is_no_number_ends_the_run():
    learner = learner_of("flow")
    learner.generator.network.last.bias.set_value(paddle.full([12], float("nan")))
    with pytest.raises(FloatingPointError, match="the loss 'velocity' is nan at step 1"):
        learner.fit(progress=False, log_every=1)


# ---- What ships


@every_learner
def test_what_ships_is_what_was_measured(name):
    path = LATER / f"{name}.safetensors"
    record = json.loads((ROOT / f"data/results/later/{name}.json").read_text("utf-8"))
    model = load_later(name)
    told = {key: value for key, value in model.config.items() if key != "class_names"}
    assert told == record["model"] and path.stat().st_size < 5e6
    assert record["data"] == data_version() == told["data"]
    assert record["measured"] == {"scenes": SCENES, "samples": SAMPLES, "seed": 0}
    assert (
        told["train_config"] == vars(LEARNERS[name].config_class()) and told["steps"] == told["train_config"]["steps"]
    )
    assert told["seconds"] * int(told["threads"]) <= 30 * 60  # 15 minutes on two cores
    assert told["half_precision_moves"] <= 2  # of 255
    assert model.generator.level == "instance"
    assert experiment.recorded(name) == record


@every_learner
def test_a_measure_comes_back_within_its_interval(name):
    town = il.ToyTown("val", 64)
    mean = metrics.measure_diversity(load_later(name).generator, town, 8, 4, progress=False)[-1]
    low, high = experiment.recorded(name)["measures"]["spread_ratio"]["mean"][1:]
    assert mean.spread_ratio.low < high and low < mean.spread_ratio.high


def test_both_learners_have_names():
    assert LEARNERS == {"oasis": OasisLearner, "flow": FlowLearner}
