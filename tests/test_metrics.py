import numpy as np
import pytest

import inade_lite as il
from inade_lite import metrics

RANDOM = np.random.default_rng(5)
TOWN = il.ToyTown("val", 64, length=30)


def instance(scene=0, class_id=0, spread=1.0, k=8, colors=None):
    generated = RANDOM.normal(scale=spread, size=[k, 3]) if colors is None else np.asarray(colors, float)
    return metrics.Instance(scene, class_id, generated, RANDOM.normal(size=[k, 3]))


def test_mean_colors_of_a_case_worked_by_hand():
    images = np.full([2, 3, 2, 2], -1.0, "float32")
    images[1, 0] = [[1, 0], [-1, -1]]
    assert metrics.mean_colors(images, np.array([[True, True], [False, False]])).tolist() == [[0, 0, 0], [191.25, 0, 0]]


def test_spread_ratio_of_a_case_worked_by_hand():
    # Variances with ddof 1: generated 2, 0, 0 and 0, 0, 0; redrawn 8, 8, 8 and 0, 0, 0. sqrt((2/6) / (24/6))
    a = metrics.Instance(0, 0, np.array([[0, 5, 5], [2, 5, 5]]), np.array([[0, 0, 0], [4, 4, 4]]))
    b = metrics.Instance(0, 0, np.ones([2, 3]), np.ones([2, 3]))
    assert metrics.spread_ratio([a, b]) == pytest.approx(np.sqrt(2 / 24))


def test_correlation_of_cases_worked_by_hand():
    a, b = np.array([[0, 0, 0], [2, 0, 0]]), np.array([[7, 1, 1], [9, 1, 3]])
    # centred: a ∓1 in R; b ∓1 in R, ∓1 in B; sum ab = 2, sum aa = 2, sum bb = 4
    assert metrics.same_class_correlation([(a, b)]) == pytest.approx(2 / np.sqrt(2 * 4))
    # a second pair, opposite: ab = -8, aa = 2, bb = 32
    both = metrics.same_class_correlation([(a, b), (a, -4.0 * a)])
    assert both == pytest.approx((2 - 8) / np.sqrt((2 + 2) * (4 + 32)))
    assert metrics.same_class_correlation([(a, a + 100)]) == pytest.approx(1)
    assert np.isnan(metrics.same_class_correlation([]))
    assert np.isnan(metrics.same_class_correlation([(a, np.ones([2, 3]))]))


def test_independent_instances_do_not_correlate_and_copies_do():
    shared = [RANDOM.normal(size=[8, 3]) for _ in range(60)]
    independent = [instance(s) for s in range(60) for _ in range(3)]
    copies = [instance(s, colors=shared[s] + 0.1 * RANDOM.normal(size=[8, 3])) for s in range(60) for _ in range(3)]
    (a,), (b,) = (metrics.diversity(group, _classes(1)) for group in (independent, copies))
    assert a.pairs == b.pairs == 180
    assert abs(a.correlation) < 0.1 and a.correlation_interval[0] < 0 < a.correlation_interval[1]
    assert b.correlation > 0.97
    assert a.spread_interval[0] < 1 < a.spread_interval[1]


def test_classes_with_few_instances_are_pooled_and_never_paired_with_each_other():
    many = [instance(s, 0) for s in range(40)]
    few = [instance(s, 1) for s in range(39)] + [instance(s, 2, spread=3) for s in range(30)]
    rows = metrics.diversity(many + few, _classes(3))
    assert [(r.name, r.instances, r.pairs) for r in rows] == [("c0", 40, 0), ("c1 + c2", 69, 0)]
    assert np.isnan(rows[1].correlation)
    assert "c1 + c2" in metrics.table(rows)


def test_the_bootstrap_interval_covers_the_truth_about_as_often_as_it_says():
    hits = 0
    for _ in range(60):
        sample = [instance(s, 0, spread=0.5) for s in range(40) for _ in range(2)]
        low, high = metrics.diversity(sample, _classes(1), resamples=200)[0].spread_interval
        hits += low <= 0.5 <= high
    assert 50 <= hits <= 60  # 57 expected


def test_redrawn_truth_measures_as_the_truth(monkeypatch):
    """A 'generator' that returns ToyTown's own redraws has spread 1 and no correlation."""
    scenes, calls = 24, []

    def redraw(generator, layout, seed):
        calls.append(seed)
        _, first, k = seed
        return FakeTensor(np.stack([TOWN.redraw(first + n, 1000 + k)["image"] for n in range(len(layout))]))

    monkeypatch.setattr(metrics, "sample", redraw)
    found = metrics.instance_colors(None, TOWN, scenes, samples=6, progress=False)
    assert len(calls) == 3 * 6
    assert metrics.spread_ratio(found) == pytest.approx(1, abs=0.1)
    pairs = [(a.generated, b.generated) for i, a in enumerate(found) for b in found[:i] if a[:2] == b[:2]]
    assert abs(metrics.same_class_correlation(pairs)) < 0.1
    things = {TOWN.class_names[a.class_id] for a in found}
    assert things == {TOWN.class_names[c] for c in TOWN.thing_classes}


def test_measuring_a_generator_is_reproducible():
    generator = il.Generator(TOWN.num_classes, 64, 4, 4, 2, 4)
    a, b = (metrics.instance_colors(generator, TOWN, 3, 2, progress=False) for _ in range(2))
    assert all((x.generated == y.generated).all() for x, y in zip(a, b, strict=True)) and len(a) > 5
    assert any((x.generated[0] != x.generated[1]).any() for x in a)


class FakeTensor:
    def __init__(self, array):
        self.array = array

    def numpy(self):
        return self.array


def _classes(count):
    class Classes:
        thing_classes = list(range(count))
        class_names = [f"c{k}" for k in range(count)]

    return Classes
