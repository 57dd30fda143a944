"""Noise that is standardized by class while training."""

import numpy as np
import paddle
import pytest
from helpers import TINY, assert_close, normal, random_layout

import inade_lite as il
from inade_lite.prior import ClassStandardize, PriorEncoder

CLASSES = 4


def random_params(random, layout, z=3):
    """Noise of an encoder, zeros for absent instances, whose means and variances differ from class to class."""
    present = layout.by_instance(paddle.ones([len(layout), layout.instances().count, 1]))
    label = layout.by_instance(layout.present_label.unsqueeze(-1).astype("float32"))
    fields = [normal(random, len(layout), layout.num_instances, z) for _ in range(4)]
    mu, logvar = fields[::2], fields[1::2]
    mu = [(field * (1 + label) + 3 * label) * present for field in mu]
    logvar = [(field - label) * present for field in logvar]
    return il.NoiseParams(mu[0], logvar[0], mu[1], logvar[1])


def both(params):
    """Means and variances of NoiseParams, both ndarray [N, I, 2Z]."""
    mu = np.concatenate([params.scale_mu.numpy(), params.bias_mu.numpy()], axis=-1)
    logvar = np.concatenate([params.scale_logvar.numpy(), params.bias_logvar.numpy()], axis=-1)
    return mu.astype("float64"), np.exp(logvar.astype("float64"))


def members(layout):
    """{class: [(n, i), ...]} of the present instances, each with the lowest of its classes, by a loop."""
    found = {}
    for n in range(len(layout)):
        for i in np.unique(layout._instance[n]):
            label = int(layout._label[n][layout._instance[n] == i].min())
            found.setdefault(label, []).append((n, i))
    return found


def test_present_label_is_the_lowest_class_of_each_present_instance(random):
    layout = random_layout(random, size=(5, 5), spare=2)
    label, instance = layout._label, layout._instance
    found, rows = layout.present_label.numpy(), layout.present_instance.numpy()
    for n in range(2):
        for k, row in enumerate(rows[n]):
            assert found[n, k] == label[n][instance[n] == row - n * layout.num_instances].min()


def test_the_noise_of_a_batch_is_standardized_by_class_as_a_loop_does_it(random):
    layout = random_layout(random, size=(6, 6), classes=CLASSES - 2, spare=2)
    params = random_params(random, layout)
    told = both(ClassStandardize(CLASSES, 3, momentum=0)(params, layout))
    mu, variance = both(params)
    places = members(layout)
    assert max(len(of_class) for of_class in places.values()) > 2
    for of_class in places.values():
        index = tuple(np.transpose(of_class))
        mean = mu[index].mean(axis=0)
        deviation = np.sqrt(mu[index].var(axis=0) + variance[index].mean(axis=0))
        np.testing.assert_allclose(told[0][index], (mu[index] - mean) / deviation, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(told[1][index], variance[index] / deviation**2, rtol=1e-3)
    absent = np.ones(mu.shape[:2], bool)
    absent[tuple(np.transpose(sum(places.values(), [])))] = False
    assert absent.any() and not told[0][absent].any() and (told[1][absent] == 1).all()


def test_the_running_averages_forget_as_momentum_says_and_only_where_a_class_is_there(random):
    standardize = ClassStandardize(CLASSES, 3, momentum=0.5)
    mean, variance = np.zeros([CLASSES, 6]), np.ones([CLASSES, 6])
    seen = set()
    for size in ((1, 2), (3, 3), (2, 1), (3, 4)):
        layout = random_layout(random, size=size, classes=CLASSES - 1, spare=1)
        params = random_params(random, layout)
        standardize(params, layout)
        mu, of_instance = both(params)
        for label, of_class in members(layout).items():
            seen.add(label)
            index = tuple(np.transpose(of_class))
            mean[label] = (mean[label] + mu[index].mean(axis=0)) / 2
            around = ((mu[index] - mean[label]) ** 2 + of_instance[index]).mean(axis=0)
            variance[label] = (variance[label] + around) / 2
    np.testing.assert_allclose(standardize.mean.numpy(), mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(standardize.variance.numpy(), variance, rtol=1e-4)
    never = CLASSES - 1
    assert never not in seen and not standardize.mean.numpy()[never].any()
    assert (standardize.variance.numpy()[never] == 1).all()


def test_after_training_nothing_is_tracked_and_a_fresh_one_changes_nothing(random):
    layout = random_layout(random, classes=CLASSES)
    params = random_params(random, layout)
    standardize = ClassStandardize(CLASSES, 3)
    standardize.eval()
    for before, after in zip(params, standardize(params, layout), strict=True):
        np.testing.assert_allclose(before.numpy(), after.numpy(), rtol=1e-6, atol=1e-6)
    assert not standardize.mean.numpy().any() and (standardize.variance.numpy() == 1).all()


def test_no_gradient_flows_through_the_averages(random):
    layout = random_layout(random, classes=CLASSES)
    params = random_params(random, layout)
    for field in params:
        field.stop_gradient = False
    standardize = ClassStandardize(CLASSES, 3, momentum=0)
    standardize(params, layout).bias_mu.sum().backward()
    deviation = np.sqrt(standardize.variance.numpy()[:, 3:])
    for label, of_class in members(layout).items():
        for place in of_class:
            np.testing.assert_allclose(params.bias_mu.grad.numpy()[place], 1 / deviation[label], rtol=1e-4)


def test_no_other_normal_distribution_is_nearer_to_a_class(random):
    layout = random_layout(random, classes=CLASSES)
    params = random_params(random, layout)
    standardize = ClassStandardize(CLASSES, 3, momentum=0)
    least = float(il.kl_divergence(standardize(params, layout)))
    standardize.eval()
    label = next(iter(members(layout)))
    for buffer in (standardize.mean, standardize.variance):
        found = buffer.numpy()
        for change in (-0.1, 0.1):
            moved = found.copy()
            moved[label, 0] += change
            buffer.set_value(moved)
            assert float(il.kl_divergence(standardize(params, layout))) > least + 1e-3
        buffer.set_value(found)


def test_a_class_without_variance_stays_finite():
    layout = il.Layout([[[0, 0]]], [[[0, 1]]], num_classes=1)
    mu, logvar = paddle.full([1, 2, 3], 2.0), paddle.full([1, 2, 3], -200.0)
    for field in ClassStandardize(1, 3, momentum=0)(il.NoiseParams(mu, logvar, mu, logvar), layout):
        assert np.isfinite(field.numpy()).all()


@pytest.mark.parametrize("method", ["inade_positions", "no_places", "no_strengths"])
def test_training_tracks_and_a_stored_model_remembers(tmp_path, method):
    town = il.ToyTown("train", 32, length=8)
    config = il.TrainConfig(**TINY, method=method)
    trainer = il.Trainer(config, town)
    trainer.fit(2, tmp_path / "run", progress=False)
    assert isinstance(trainer.encoder, PriorEncoder)
    tracked = trainer.encoder.standardize
    there = np.unique(np.concatenate([town[i]["label"].ravel() for i in range(8)]))
    assert set(np.flatnonzero(tracked.mean.numpy().any(axis=1))) <= set(there)
    assert tracked.mean.numpy().any()

    resumed = il.Trainer.resume(tmp_path / "run", town)
    np.testing.assert_array_equal(resumed.encoder.standardize.variance.numpy(), tracked.variance.numpy())
    il.save_pretrained(tmp_path / "m.safetensors", trainer)
    encoder = il.load_pretrained(tmp_path / "m.safetensors").encoder
    assert not encoder.training
    assert_close(encoder.standardize.mean, tracked.mean, limit=1e-3)
    assert_close(encoder.standardize.variance, tracked.variance, limit=1e-3)
