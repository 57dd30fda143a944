from collections import namedtuple

import numpy as np
import paddle
import pytest
from helpers import TINY

import inade_lite as il
from inade_lite import metrics
from inade_lite.data.sketches import Sketched
from inade_lite.methods import METHODS

TOWN = il.ToyTown("val", 64, length=30)
SMALL = il.ToyTown("val", 32, length=30)
Model = namedtuple("Model", "generator encoder")


def instance(random, scene=0, class_id=0, spread=1.0, k=8, colors=None):
    generated = random.normal(scale=spread, size=[k, 3]) if colors is None else np.asarray(colors, float)
    return metrics.Instance(scene, class_id, 128 + generated, 128 + random.normal(size=[k, 3]))


def classes(count):
    return namedtuple("Classes", "thing_classes class_names")(list(range(count)), [f"c{k}" for k in range(count)])


def model(method="inade"):
    config = {**TINY, "method": method, "norm": "instance"}
    generator = METHODS[method].new_generator(config, SMALL.num_classes, (32, 32))
    encoder = METHODS[method].new_encoder(config, generator)
    for network in (generator, encoder) if encoder else (generator,):
        il.modules.initialize(network, 1.0).eval()  # Paddle 2.6's eval() returns nothing
    return Model(generator, encoder)


# ---- The bootstrap


def test_the_bootstrap_of_a_mean_is_the_textbooks(random):
    values = random.normal(3, 2, size=400)
    found = metrics.bootstrap(np.stack([values, np.ones(400)], axis=1), metrics.ratio)
    assert found.value == pytest.approx(values.mean())
    error = values.std(ddof=1) / np.sqrt(400)
    assert [found.low, found.high] == pytest.approx([found.value - 1.96 * error, found.value + 1.96 * error], abs=0.03)


def test_the_bootstrap_interval_covers_the_truth_about_as_often_as_it_says(random):
    hits = 0
    for _ in range(60):
        sums = [
            np.sum([metrics.color_variances(instance(random, spread=0.5)) for _ in range(2)], axis=0) for _ in range(40)
        ]
        _, low, high = metrics.bootstrap(sums, metrics.spread, resamples=200)
        hits += low <= 0.5 <= high
    assert 50 <= hits <= 60  # 57 expected


def test_an_interval_holds_its_value_where_resampling_only_adds(random):
    """The same colors on both sides, in other scenes: the distance is 0, and larger on any resampled scenes."""
    colors = random.integers(0, 256, [50, 8, 3])
    sums = [metrics.color_histograms(metrics.Instance(s, 0, colors[s], colors[s - 1])) for s in range(50)]
    found = metrics.bootstrap(sums, metrics.wasserstein)
    assert found.value == 0 and found.low < 0 < found.high


def test_what_is_not_defined_is_nan():
    assert np.isnan(metrics.bootstrap(np.zeros([5, 2]), metrics.ratio)).all()


# ---- Colors


def test_mean_colors_of_a_case_worked_by_hand():
    images = np.full([2, 3, 2, 2], -1.0, "float32")
    images[1, 0] = [[1, 0], [-1, -1]]
    assert metrics.mean_colors(images, np.array([[True, True], [False, False]])).tolist() == [[0, 0, 0], [191.25, 0, 0]]


def test_spread_ratio_of_a_case_worked_by_hand():
    # Variances with ddof 1: generated 2, 0, 0 and 0, 0, 0; redrawn 8, 8, 8 and 0, 0, 0. sqrt((2/6) / (24/6))
    a = metrics.Instance(0, 0, np.array([[0, 5, 5], [2, 5, 5]]), np.array([[0, 0, 0], [4, 4, 4]]))
    b = metrics.Instance(0, 0, np.ones([2, 3]), np.ones([2, 3]))
    sums = np.sum([metrics.color_variances(x) for x in (a, b)], axis=0)
    assert metrics.spread(sums) == pytest.approx(np.sqrt(2 / 24))
    row, mean = metrics.diversity_rows([a, b], classes(1))
    assert row.spread_ratio.value == pytest.approx(np.sqrt(2 / 24)) and mean.spread_ratio == row.spread_ratio


def test_correlation_of_cases_worked_by_hand():
    a, b = np.array([[0, 0, 0], [2, 0, 0]]), np.array([[7, 1, 1], [9, 1, 3]])
    # centered: a ∓1 in R; b ∓1 in R, ∓1 in B; sum ab = 2, sum aa = 2, sum bb = 4
    assert metrics.same_class_correlation([(a, b)]) == pytest.approx(2 / np.sqrt(2 * 4))
    # a second pair, opposite: ab = -8, aa = 2, bb = 32
    both = metrics.same_class_correlation([(a, b), (a, -4.0 * a)])
    assert both == pytest.approx((2 - 8) / np.sqrt((2 + 2) * (4 + 32)))
    assert metrics.same_class_correlation([(a, a + 100)]) == pytest.approx(1)
    assert np.isnan(metrics.same_class_correlation([]))
    assert np.isnan(metrics.same_class_correlation([(a, np.ones([2, 3]))]))


def test_equal_pictures_have_no_variety_at_all():
    # The mean of eight equal floats is not always that float.
    same = np.full([8, 3], [77.123456, 33.3, 11.7])
    assert metrics.color_variances(metrics.Instance(0, 0, same, same))[0] == 0
    assert np.isnan(metrics.same_class_correlation([(same, same + 0.1)]))


def test_color_distance_of_a_case_worked_by_hand():
    # red: {0, 10} against {10, 30}, each moves 15 on average; green: 4 up, whatever the order; blue: the same
    generated = np.array([[10, 7, 1], [0, 3, 200]])
    redrawn = np.array([[10, 7, 200], [30, 11, 1]])
    histograms = metrics.color_histograms(metrics.Instance(0, 0, generated, redrawn))
    assert histograms.sum() == 2 * 2 * 3 and histograms[0, 0, 10] == 1
    assert metrics.wasserstein(histograms) == pytest.approx((15 + 4 + 0) / 3)


def test_color_distance_equals_sorting(random):
    a, b = random.integers(0, 256, [2, 40, 3])
    sums = sum(metrics.color_histograms(metrics.Instance(0, 0, *pair)) for pair in ((a[:20], b[:20]), (a[20:], b[20:])))
    assert metrics.wasserstein(sums) == pytest.approx(abs(np.sort(a, 0) - np.sort(b, 0)).mean())


def test_independent_instances_do_not_correlate_and_copies_do(random):
    shared = [random.normal(size=[8, 3]) for _ in range(60)]
    independent = [instance(random, s) for s in range(60) for _ in range(3)]
    copies = [
        instance(random, s, colors=shared[s] + 0.1 * random.normal(size=[8, 3])) for s in range(60) for _ in range(3)
    ]
    (a, _), (b, _) = (metrics.diversity_rows(group, classes(1)) for group in (independent, copies))
    assert a.pairs == b.pairs == 180
    assert abs(a.correlation.value) < 0.1 and a.correlation.low < 0 < a.correlation.high
    assert b.correlation.value > 0.97
    assert a.spread_ratio.low < 1 < a.spread_ratio.high


def test_classes_with_few_instances_are_pooled_and_never_paired_with_each_other(random):
    many = [instance(random, s, 0) for s in range(40)]
    few = [instance(random, s, 1) for s in range(39)] + [instance(random, s, 2, spread=3) for s in range(30)]
    rows = metrics.diversity_rows(many + few, classes(3))
    assert [(r.name, r.instances, r.pairs) for r in rows] == [("c0", 40, 0), ("c1 + c2", 69, 0), ("mean", 109, 0)]
    assert np.isnan(rows[1].correlation.value)
    assert rows[2].spread_ratio.value == pytest.approx(np.mean([r.spread_ratio.value for r in rows[:2]]))
    assert "c1 + c2" in metrics.table(rows)


def test_redrawn_truth_measures_as_the_truth():
    """A 'generator' that returns ToyTown's own redraws has spread 1, no correlation and the right colors."""
    parts = list(metrics.drawn(metrics.from_truth(TOWN, 7), TOWN, 24, 6, progress=False))
    assert [len(part[0]) for part in parts] == [8, 8, 8] and parts[0][2].shape == parts[0][3].shape == (6, 8, 3, 64, 64)
    assert (parts[0][2] != parts[0][3]).any()
    found = [a for part in parts for a in metrics.colors_of(*part, TOWN)]
    mean = metrics.diversity_rows(found, TOWN)[-1]
    assert mean.spread_ratio.value == pytest.approx(1, abs=0.1)
    assert abs(mean.correlation.value) < 0.1 and mean.color_distance.value < 12
    assert {a.class_id for a in found} == set(TOWN.thing_classes)


def test_measuring_a_generator_is_reproducible():
    generator = il.Generator(TOWN.num_classes, 64, 4, 4, 2, 4)
    a, b = (metrics.measure_diversity(generator, TOWN, 3, 2, progress=False) for _ in range(2))
    assert [row[:3] for row in a] == [row[:3] for row in b] and len(a) >= 2
    np.testing.assert_array_equal(*([row.spread_ratio for row in rows] for rows in (a, b)))


# ---- Patterns

STRIPED = np.tile([1.0, 1.0, -1.0, -1.0], 4)  # white, white, black, black


def pictures(*kinds):
    """[K, 3, 16, 16]: gray with the named bands, of half the range."""
    bands = {
        "plain": np.zeros([16, 16]),
        "across": np.tile(STRIPED, [16, 1]),
        "down": np.tile(STRIPED, [16, 1]).T,
    }
    return np.stack([np.tile(bands[kind] / 2, [3, 1, 1]) for kind in kinds])


def textures(generated, redrawn, things=1):
    """`things` equal things of class 0 in scenes of their own."""
    whole = np.ones([16, 16], bool)
    ours = metrics.amplitudes(pictures(*generated), whole, 4)
    truth = metrics.amplitudes(pictures(*redrawn), whole, 4)
    return [metrics.Texture(scene, 0, ours, truth) for scene in range(things)]


def test_amplitudes_of_bands_worked_by_hand():
    # Bands +1 +1 -1 -1 are sqrt(2) cos(2 pi x / 4 - pi / 4) at the pixels. Half of the range around gray: 0.5 * sqrt(2)
    found = metrics.amplitudes(pictures("plain", "across", "down"), np.ones([16, 16], bool), 4)
    strong = 0.5 * np.sqrt(2)
    assert found == pytest.approx(np.array([[0, 0], [strong, 0], [0, strong]]), abs=1e-6)


def test_amplitudes_ask_neither_for_the_light_nor_where_bands_begin(random):
    y, x = np.mgrid[:16, :16] / 16
    light = 0.2 * x - 0.1 * y + 0.2 * x**2 - 0.3 * y**2
    mask = random.random([16, 16]) < 0.7
    for shift in range(4):
        moved = np.roll(pictures("across"), shift, axis=3)
        plain = metrics.amplitudes(moved, mask, 4) * _luminance(moved, mask)
        lit = metrics.amplitudes(moved + light, mask, 4) * _luminance(moved + light, mask)
        assert plain[0, 0] == pytest.approx(127.5 * 0.5 * np.sqrt(2))
        assert lit == pytest.approx(plain, abs=1e-4)


def _luminance(images, mask):
    return (np.array([0.299, 0.587, 0.114]) @ (images[0, :, mask].T + 1)).mean() * 127.5


def test_amplitudes_weigh_colors_as_the_eye_does():
    gray = np.zeros([3, 16, 16])
    found = []
    for channel in range(3):
        image = gray.copy()
        image[channel] = STRIPED / 2
        found.append(metrics.amplitudes(image[None], np.ones([16, 16], bool), 4)[0, 0])
    assert np.array(found) / sum(found) == pytest.approx([0.299, 0.587, 0.114])


def test_pattern_distance_of_plain_striped_and_half_and_half():
    town = classes(1)
    half = ["plain", "across"]
    found = metrics.pattern_distances(textures(half, half), town)
    assert list(found) == ["c0 across", "mean", "worst"]  # nothing is striped down, so that direction is left out
    assert found["worst"].value == 0

    # All plain: half of the truth's things must lose an amplitude A. So W = A / 2, and the truth's deviation is A / 2.
    plain = metrics.pattern_distances(textures(["plain", "plain"], half), town)
    striped = metrics.pattern_distances(textures(["across", "across"], half), town)
    assert plain["worst"].value == pytest.approx(1)
    assert striped["worst"].value == pytest.approx(1)

    # One of four is striped instead of two: a quarter of the things move by A.
    few = metrics.pattern_distances(textures(["plain", "plain", "plain", "across"], 2 * half), town)
    assert few["worst"].value == pytest.approx(0.5)


def test_the_average_pattern_on_everything_is_as_wrong_as_none():
    (texture,) = textures(["plain", "across"], ["plain", "across"])
    average = np.tile(texture.redrawn.mean(axis=0), [2, 1])
    found = metrics.pattern_distances([texture._replace(generated=average)], classes(1))
    assert found["worst"].value == pytest.approx(1)


def test_pattern_distance_has_an_interval_over_scenes(random):
    things = []
    for scene in range(60):
        redrawn = random.choice([0.0, 0.1], [8, 2])
        generated = random.choice([0.0, 0.1], [8, 2])
        things.append(metrics.Texture(scene, scene % 2, generated, redrawn))
    found = metrics.pattern_distances(things, classes(2))
    assert list(found) == ["c0 + c1 across", "c0 + c1 down", "mean", "worst"]  # 30 of each: pooled
    assert found["worst"].value == max(found["c0 + c1 across"].value, found["c0 + c1 down"].value)
    for estimate in found.values():
        assert estimate.low < estimate.value < estimate.high < estimate.value + 0.3


def test_small_things_have_no_texture():
    town = il.ToyTown("val", 64)
    (part,) = metrics.drawn(metrics.from_truth(town, 0), town, scenes=4, samples=2, batch_size=4, progress=False)
    pixels = []
    for label, instance in zip(part[1]["label"], part[1]["instance"], strict=True):
        pixels += [mask.sum() for _, mask in metrics.things(label, instance, town.thing_classes)]
    found = metrics.textures_of(*part, town)
    assert len(found) == sum(count >= 60 for count in pixels) < len(pixels)


def test_kinds_kept_of_cases_worked_by_hand():
    counts = np.zeros([4, 4], int)
    counts[0] = [8, 0, 0, 0]  # all that is plain stays plain
    counts[1] = [3, 1, 0, 0]  # a quarter of what is striped across
    counts[3] = [1, 0, 1, 2]  # half of what is both; nothing is striped down only
    assert metrics.kinds_kept(counts) == pytest.approx(100 * (1 + 0.25 + 0.5) / 3)
    assert np.isnan(metrics.kinds_kept(0 * counts))


@pytest.mark.parametrize("kept", [True, False])
def test_rebuilt_kinds_tell_whether_patterns_come_back(kept, monkeypatch):
    """A generator that paints what the encoder saw, or its mean color."""
    town = il.ToyTown("val", 64)

    def rebuild(model, image, layout, latent):
        instances = layout.instances()
        return image if kept else instances.paint(instances.mean(image))

    monkeypatch.setattr(metrics.patterns, "rebuild", rebuild)
    generator = il.Generator(town.num_classes, 64, noise_dim=4, latent_dim=4, base_channels=2, num_upsamplings=3)
    counts = metrics.rebuilt_kinds(Model(generator, None), town, scenes=10, progress=False).sum(0)
    assert (counts.sum(1) > 0).all()
    if kept:
        assert metrics.kinds_kept(counts) == 100
    else:
        assert metrics.kinds_kept(counts) == 25 and counts[:, 1:].sum() == 0


# ---- Control


@pytest.fixture(scope="module")
def street():
    """A layout of two scenes with two cars or more, and the instance ids of the cars of the first."""
    car = SMALL.class_names.index("car")
    town = Sketched(SMALL)
    items = [item for item in (town[i] for i in range(30)) if cars_in(item, car) > 1][:2]
    batch = il.collate(items)
    layout = il.Layout.of(batch, SMALL)
    return layout, np.unique(items[0]["instance"][items[0]["label"] == car])


def cars_in(item, car):
    return len(np.unique(item["instance"][item["label"] == car]))


@pytest.mark.parametrize(("method", "level"), [(name, METHODS[name].level) for name in METHODS])
def test_the_least_that_covers_an_instance_is_drawn_again(street, method, level):
    layout, cars = street
    generator = model(method).generator
    noise, latent = metrics.start(generator, layout, [1])
    chosen = np.zeros([2, layout.num_instances], bool)
    chosen[0, cars[0]] = True
    again, latent_again = metrics.draw_again(generator, layout, noise, latent, chosen, [2])
    moved = (again.numpy() != noise.numpy()).any((2, 3))
    if level == "image":
        assert moved.all() and (latent_again.numpy() != latent.numpy()).any(1).all()
    else:
        assert latent_again is latent
        assert np.flatnonzero(moved[0]).tolist() == (cars.tolist() if level == "class" else [cars[0]])
        assert not moved[1].any()
    before, after = (metrics.paint(generator, layout, *x).numpy() for x in ((noise, latent), (again, latent_again)))
    assert (before[0] != after[0]).any() == (level is not None)
    assert (before[1] != after[1]).any() == (level == "image")


def test_locality_of_a_case_worked_by_hand():
    # inside: 12 over 3 pixels; outside: 2 over 10 pixels
    assert metrics.locality(np.array([[12, 3], [2, 10]])) == pytest.approx(0.2 / 4)
    assert np.isnan(metrics.locality(np.array([[0, 3], [0, 10]])))


class Painted(paddle.nn.Layer):
    """A generator whose pictures show the first three noise numbers of every pixel's instance, and a given leak."""

    level, noise_dim, latent_dim, leak = "instance", 4, 0, 0.0
    remap, reach, redraw_latent = il.Generator.remap, il.Generator.reach, il.Generator.redraw_latent

    def forward(self, layout, noise, latent=None):
        rows = noise[:, :, 0, :3].clip(-1, 1)
        return (
            layout.regions().paint(rows.flatten(0, 1)[layout.region_instance])
            + self.leak * rows.sum([1, 2])[:, None, None, None]
        )


def brightness(a, b):
    """In place of lite0.distance_map: mean difference over RGB."""
    return (a - b).abs().mean(1).numpy()


def test_changes_are_inside_unless_the_generator_leaks():
    generator = Painted()
    found = metrics.changes(Model(generator, None), SMALL, 6, 3, distance_map=brightness, batch_size=4, progress=False)
    for what in ("instance", "class"):
        sums = found[what].sum(0)
        assert (sums[:, 0, 0] > 0).all() and (sums[:, 1, 0] == 0).all()
        assert sums[0, 0, 0] == pytest.approx(127.5 * sums[1, 0, 0], rel=1e-5)
        assert (found[what][:, :, :, 1].sum(2) == 3 * 32 * 32).all()  # inside and outside are all pixels, three times
    generator.leak = 0.01
    leaking = metrics.changes(Model(generator, None), SMALL, 6, 3, batch_size=4, progress=False)
    assert metrics.locality(leaking["instance"].sum(0)[0]) > 0.005
    assert (leaking["instance"][:, 1, :, 0] == 0).all()  # no network, no Lite0-LPIPS


# ---- The encoder


class Looks(paddle.nn.Layer):
    """An encoder that reads the mean color of every instance, off by `error`."""

    error = 0.0

    def forward(self, image, layout):
        colors = layout.by_instance(layout.instances().mean(image)) + self.error
        mu = paddle.concat([colors, 0 * colors[..., :1]], axis=-1)
        return il.NoiseParams(mu, 0 * mu, 0 * mu, 0 * mu)


def test_a_perfect_encoder_has_no_error_and_another_one_what_it_is_off():
    encoder = Looks()
    perfect = metrics.rebuilding_errors(Model(Painted(), encoder), SMALL, 5, batch_size=2, progress=False)
    assert (perfect[..., 1] > 0).all() and (perfect[..., 0] / perfect[..., 1]).max() < 1e-4
    encoder.error = -2 / 255
    off = metrics.rebuilding_errors(Model(Painted(), encoder), SMALL, 5, batch_size=2, progress=False)
    assert metrics.ratio(off[0].sum(0)) == pytest.approx(1, abs=0.02)  # a few colors are clipped


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].encoder])
def test_rebuilding_leaves_nothing_to_chance(street, method):
    layout, _ = street
    net = model(method)
    image = paddle.to_tensor(il.collate([SMALL[0], SMALL[1]])["image"])
    latent = metrics.start(net.generator, layout, [3])[1]
    pictures = [metrics.rebuild(net, x, layout, latent).numpy() for x in (image, image, -image)]
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[0] != pictures[2]).any()


# ---- All of them


def test_without_lite0_the_rest_is_measured_and_inception_where_its_file_is_named(monkeypatch):
    monkeypatch.setattr(metrics.lite0, "available", lambda: False)
    monkeypatch.setattr(metrics.lite0, "inception", lambda path: lambda images: images.mean((2, 3)))

    def darker(numbers, layout, k):
        return np.stack([SMALL.redraw(i, k)["image"] for i in numbers]) - 0.1

    found = metrics.measure(None, SMALL, 12, 2, draw=darker, inception="weights.safetensors", progress=False)
    assert found["inception_fid"].value == pytest.approx(3 * 0.1**2, rel=1e-3)
    assert found["spread_ratio"]["mean"].value == pytest.approx(1, abs=1e-3)
    assert found.keys() == {
        "spread_ratio", "correlation", "color_distance", "pattern_distance", "pixel_accuracy", "mean_iou",
        "inception_fid",
    }  # fmt: skip
