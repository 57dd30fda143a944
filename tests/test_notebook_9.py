"""The measures that notebook 9 builds by hand are the package's."""

import numpy as np
import pytest
from helpers import SEEDS

from inade_lite import judge, lite0, metrics


def random_colors(random, samples=5, instances=4):
    """Two [K, I, 3]. What they vary and where they lie differs, so that no measure is 0 or 1."""
    shared = random.normal(0, 20, [samples, 1, 3])
    generated = random.uniform(60, 200, [1, instances, 3]) + random.normal(0, 30, [samples, instances, 3]) + shared
    return generated.clip(0, 255), random.uniform(0, 255, [samples, instances, 3])


def instances_of(generated, redrawn):
    return [metrics.Instance(0, 0, generated[:, i], redrawn[:, i]) for i in range(generated.shape[1])]


@SEEDS
def test_spread_ratio(random, notebook):
    generated, redrawn = random_colors(random)
    sums = np.sum([metrics.color_variances(a) for a in instances_of(generated, redrawn)], axis=0)
    assert notebook["spread_ratio"](generated, redrawn) == pytest.approx(metrics.spread(sums))
    loops = [notebook["variance_loop"](colors) for colors in (generated, redrawn)]
    np.testing.assert_allclose(loops, sums / generated.shape[1])


@SEEDS
def test_same_class_correlation(random, notebook):
    pairs = notebook["pairs_of"](random_colors(random)[0])
    assert len(pairs) == 6 and pairs[0][0].shape == (5, 3)
    found = metrics.same_class_correlation(pairs)
    assert 0.01 < abs(found) < 0.99
    for name in ("same_class_correlation", "correlation_loop"):
        assert notebook[name](pairs) == pytest.approx(found), name


def test_what_is_not_defined_is_nan(random, notebook):
    still = np.ones([5, 3])
    for function in (notebook["same_class_correlation"], notebook["correlation_loop"], metrics.same_class_correlation):
        assert np.isnan(function([])) and np.isnan(function([(still, random_colors(random)[0][:, 0])]))


@SEEDS
def test_color_distance(random, notebook):
    generated, redrawn = random_colors(random)
    found = metrics.wasserstein(sum(metrics.color_histograms(a) for a in instances_of(generated, redrawn)))
    assert notebook["color_distance"](generated, redrawn) == pytest.approx(found)
    one, two = (np.rint(colors).reshape(-1, 3).T for colors in (generated, redrawn))
    assert np.mean([abs(np.sort(p) - np.sort(q)).mean() for p, q in zip(one, two, strict=True)]) == pytest.approx(found)
    shares = notebook["shares_loop"]
    assert shares([1, 3, 3], 3).tolist() == [0, 1 / 3, 1 / 3, 1]
    loops = [abs(shares(p, 255) - shares(q, 255)).sum() for p, q in zip(one, two, strict=True)]
    assert np.mean(loops) == pytest.approx(found)


def test_color_distance_clips(notebook):
    generated, redrawn = np.array([[-40.0, 300, 255]]), np.array([[0.0, 255, 254.6]])
    assert notebook["color_distance"](generated, redrawn) == 0


@SEEDS
def test_mean_color(random, notebook):
    image, mask = random.uniform(-1, 1, [3, 6, 7]).astype("float32"), random.random([6, 7]) < 0.4
    found = metrics.mean_colors(image[None], mask)[0]
    np.testing.assert_allclose(notebook["mean_color"](image, mask), found, rtol=1e-6)


@SEEDS
@pytest.mark.parametrize(
    ("statistic", "shape"), [(metrics.spread, [2]), (metrics.ratio, [2]), (metrics.locality, [2, 2])]
)
def test_bootstrap(random, notebook, statistic, shape):
    per_scene = random.uniform(1, 9, [7, *shape])
    for arguments in ((), (150, 4)):
        ours, package = (f(per_scene, statistic, *arguments) for f in (notebook["bootstrap"], metrics.bootstrap))
        np.testing.assert_allclose(ours, package)
        assert ours[1] < ours[0] < ours[2]


def test_bootstrap_leaves_out_what_is_not_defined(notebook):
    per_scene = np.array([[1.0, 1], [0, 0], [0, 0], [3, 1]])  # a resample of the two in the middle is 0/0
    found = notebook["bootstrap"](per_scene, metrics.ratio)
    np.testing.assert_allclose(found, metrics.bootstrap(per_scene, metrics.ratio))
    assert np.isfinite(found).all()


@SEEDS
def test_locality(random, notebook):
    change, inside = random.uniform(0, 50, [8, 9]), random.random([8, 9]) < 0.3
    sums = [[change[side].sum(), side.sum()] for side in (inside, ~inside)]
    assert notebook["locality"](change, inside) == pytest.approx(metrics.locality(sums))


@SEEDS
def test_confusion_and_its_scores(random, notebook):
    label = random.choice([0, 1, 2, 4], [9, 9])  # 3 is never asked for, 5 not even seen
    predicted = np.where(random.random([9, 9]) < 0.7, label, random.integers(0, 5, [9, 9]))
    found = notebook["confusion"](predicted, label, 6)
    np.testing.assert_array_equal(found, judge.confusion(predicted, label, 6))
    assert notebook["pixel_accuracy"](found) == pytest.approx(judge.pixel_accuracy(found))
    iou = judge.class_iou(found)
    np.testing.assert_allclose(notebook["class_iou"](found), iou[np.isfinite(iou)])
    assert notebook["class_iou"](found).mean() == pytest.approx(judge.mean_iou(found))


@SEEDS
def test_kid(random, notebook):
    a, b = random.normal(size=[6, 5]), random.normal(0.5, 1.5, size=[8, 5])
    found, _ = lite0.kid(a, b)
    assert notebook["kid"](a, b) == pytest.approx(found)
    loop = notebook["mean_kernel_loop"]
    assert loop(a, a, True) + loop(b, b, True) - 2 * loop(a, b, False) == pytest.approx(found)


def test_a_row_of_the_table_is_read(notebook):
    row = {"measures": {"mean_iou": [3, 2, 4], "correlation": {"car": [0, 0, 0], "mean": [1, 0.5, float("nan")]}}}
    assert notebook["estimate"](row, "mean_iou").tolist() == [3, 2, 4]
    assert notebook["estimate"](row, "correlation")[:2].tolist() == [1, 0.5]
    assert np.isnan(notebook["estimate"](row, "correlation")[2]) and np.isnan(notebook["estimate"](row, "mISD")).all()
