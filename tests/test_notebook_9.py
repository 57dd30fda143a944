"""The measures that notebook 9 builds by hand are the package's, and its sentences say what was measured."""

import json
import re

import nbformat
import numpy as np
import pytest
from helpers import ROOT, SEEDS

import inade_lite as il
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


def test_no_coin_toss_is_crowned(notebook):
    """Rows that tie with the nearest are listed in the order of the table, whichever of them is nearest by chance."""
    rows = [{"measures": {"locality": found}} for found in ([0.3, 0.2, 0.4], [0.1, 0.05, 0.25], [0.9, 0.8, 1.0])]
    rows.append({"measures": {"locality": [float("nan")] * 3}})
    assert notebook["nearest"](rows, "locality", 0) == rows[:2]
    assert notebook["nearest"](rows, "locality", 1) == [rows[2]]
    assert notebook["apart"]([1, 0, 2], [3, 2.5, 4]) and notebook["apart"]([3, 2.5, 4], [1, 0, 2])
    assert not notebook["apart"]([1, 0, 2.6], [3, 2.5, 4])


# ---- What its sentences say

CELLS = nbformat.read(ROOT / "notebooks/09_measuring_diversity.ipynb", 4).cells
PROSE = " ".join("\n\n".join(cell.source for cell in CELLS if cell.cell_type == "markdown").split())
ROWS = json.loads((ROOT / "data/results/table.json").read_text("utf-8"))["rows"]
EQUALS = [row for row in ROWS if row["steps"] == min(r["steps"] for r in ROWS[1:])]


def found(row, measure):
    value = row["measures"].get(measure, [np.nan] * 3)
    return metrics.Estimate(*(value["mean"] if isinstance(value, dict) else value))


def of_level(level, measure, rows=ROWS[1:]):
    """What was found for the rows in which one draw of noise decides this; None: no noise."""
    values = [found(row, measure) for row in rows if il.METHODS[row["method"]].level == level]
    return [value for value in values if np.isfinite(value.value)]


def named(name):
    return next(row for row in EQUALS if row["name"] == f"{name}_short")


def below(ones, others):
    """Whether all intervals of the first lie wholly below all those of the others."""
    return max(one.high for one in ones) < min(other.low for other in others)


def without(name):
    return [row for row in EQUALS if row is not named(name) and il.METHODS[row["method"]].level]


def ties(one, other):
    return one.low <= other.high and other.low <= one.high


def test_what_is_said_of_control():
    assert "Every row with noise for each instance lies wholly below every row with noise for each class" in PROSE
    instance, by_class, image = (of_level(level, "mOISD") for level in ("instance", "class", "image"))
    assert below(instance, by_class) and below(by_class, image)
    assert "In `mISD`, SPADE + VAE with our settings changes most inside, and pays for it outside." in PROSE
    others = [found(row, "mISD") for row in without("spade_vae")]
    assert below(others, [found(named("spade_vae"), "mISD")])
    assert (
        "Of all rows with noise, the one without an encoder has the least outside, in a tie with the plain encoder and "
        "with no plain share, and the least inside, in a tie with no plain share:" in PROSE
    )
    outside = {row["name"]: found(row, "mOISD") for row in without("no_encoder")}
    least = found(named("no_encoder"), "mOISD")
    assert least.value < min(value.value for value in outside.values())
    assert [name for name, value in outside.items() if ties(value, least)] == [
        "plain_encoder_short",
        "no_plain_share_short",
    ]
    inside = {row["name"]: found(row, "mISD") for row in without("no_encoder")}
    least = found(named("no_encoder"), "mISD")
    assert least.value < min(value.value for value in inside.values())
    assert [name for name, value in inside.items() if ties(value, least)] == ["no_plain_share_short"]


def test_what_is_said_of_the_plain_encoder():
    assert "has a *better* Lite0-KID, but its things vary less and its colors are less right" in PROSE
    plain, inade = named("plain_encoder"), named("inade")
    assert below([found(plain, "spread_ratio")], [found(inade, "spread_ratio")])
    assert below([found(inade, "color_distance")], [found(plain, "color_distance")])


def test_what_is_said_of_the_encoder():
    assert "all rows with noise for each instance lie wholly below all others, whatever their steps" in PROSE
    instance, by_class, image = (of_level(level, "reconstruction") for level in ("instance", "class", "image"))
    assert below(instance, by_class + image)
    assert "SPADE + VAE, tuned, lies wholly below all other rows of its number of steps" in PROSE
    tuned = named("spade_vae_tuned")
    round_trips = [found(row, "round_trip") for row in without("spade_vae_tuned")]
    assert below([found(tuned, "round_trip")], [value for value in round_trips if np.isfinite(value.value)])
    assert "its spread ratio is the least of all methods with noise" in PROSE
    assert below([found(tuned, "spread_ratio")], [found(row, "spread_ratio") for row in without("spade_vae_tuned")])


def test_what_is_said_of_the_nearest_rows(notebook):
    assert "In locality one row lies nearest alone, INADE with positions. In spread ratio it shares the first" in PROSE
    assert notebook["nearest"](EQUALS, "locality", 0) == [named("inade_positions")]
    names = [row["name"] for row in notebook["nearest"](EQUALS, "spread_ratio", 1)]
    assert names == ["class_noise_short", "inade_positions_short", "scale_noise_short"]
    low, high = found(named("class_noise"), "spread_ratio")[1:]
    assert high - low > 0.15
    assert "tuned class-level noise moves the things of a class together more than any other row" in PROSE
    assert notebook["nearest"](EQUALS, "correlation", 1) == [named("class_noise_tuned")]
    tied = notebook["nearest"](EQUALS, "correlation", 0)
    assert len(tied) > 4 and {il.METHODS[row["method"]].level for row in tied} == {"instance"}


def test_what_is_said_of_the_ablations():
    base = named("inade")
    assert "Without an encoder the looks vary less, and Lite0-KID is worse." in PROSE
    for name in ("no_encoder", "independent_noise"):
        assert below([found(named(name), "spread_ratio")], [found(base, "spread_ratio")])
        assert below([found(base, "lite0_kid")], [found(named(name), "lite0_kid")])
    assert "it ties with INADE in all three measures of diversity, and its Lite0-KID is better" in PROSE
    shift = named("shift_noise")
    for measure in ("spread_ratio", "correlation", "color_distance"):
        assert ties(found(shift, measure), found(base, measure))
    assert below([found(shift, "lite0_kid")], [found(base, "lite0_kid")])


def test_what_is_said_class_by_class():
    assert "In spread ratio, houses and trees tie with it." in PROSE
    truth, inade = (next(row for row in ROWS if row["name"] == name)["measures"] for name in ("truth", "inade"))

    def classes(measure):
        """{class: (INADE's, the truth's)}"""
        pairs = {name: (inade[measure][name], truth[measure][name]) for name in inade[measure] if name != "mean"}
        return {name: tuple(metrics.Estimate(*value) for value in pair) for name, pair in pairs.items()}

    spread = classes("spread_ratio")
    assert [name for name, pair in spread.items() if ties(*pair)] == ["house", "tree"]
    assert all(ours.high < its.low for name, (ours, its) in spread.items() if name not in ("house", "tree"))
    others = [ours for name, (ours, _) in spread.items() if name != "balloon"]
    assert "balloons lowest of all" in PROSE and below([spread["balloon"][0]], others)
    assert all(ties(*pair) for pair in classes("correlation").values())
    assert not any(ties(*pair) for pair in classes("color_distance").values())


# ---- What its sentences say of its own stored numbers

ESTIMATE = re.compile(r"(-?[\d.]+) \[(-?[\d.]+), (-?[\d.]+)\]")


def printed(*starts):
    """{row: the Estimates of its line} of the code cell that has this line."""
    (cell,) = (c for c in CELLS if c.cell_type == "code" and all(start in c.source for start in starts))
    rows = {}
    for line in "".join(output.get("text", "") for output in cell.outputs).splitlines():
        estimates = [metrics.Estimate(*map(float, numbers)) for numbers in ESTIMATE.findall(line)]
        if estimates:
            rows[line.split("  ")[0].strip()] = estimates
    return rows


def columns(rows):
    return [dict(zip(rows, column, strict=True)) for column in zip(*rows.values(), strict=True)]


def test_what_is_said_of_its_own_locality():
    one, all_of_class = columns(printed("changed = {name: metrics.changes"))
    long, short, by_class, image = one.values()
    assert below([long, short], [by_class]) and below([by_class], [image])
    long, short, by_class, _ = all_of_class.values()
    assert ties(long, by_class) and ties(short, by_class)


def test_what_is_said_of_its_own_mOISD():
    _, outside, _, _ = columns(printed('names = {"mISD"'))
    long, short, by_class, image = outside.values()
    assert below([long, short], [by_class]) and below([by_class], [image])


def test_what_is_said_of_its_own_scores():
    _, miou = columns(printed("scores = [metrics.bootstrap(table, score)"))
    real, _, long, short, by_class, image = miou.values()
    assert ties(long, real) and ties(image, real) and ties(short, by_class)
    assert below([short, by_class], [real])


def test_what_is_said_of_its_own_kid():
    ((real, *models),) = (list(column.values()) for column in columns(printed("found = {name: lite0.kid")))
    assert below([real], models)
    assert all(ties(one, other) for one, other in zip(models, models[1:], strict=False))
    long, short, by_class, image = models
    assert below([long], [by_class]) and below([long, short], [image])


def test_what_is_said_of_red_and_green():
    truth, inade = (row[0] for row in printed("def products").values())
    assert truth.high < 0 and inade.high < 0 and ties(truth, inade)
