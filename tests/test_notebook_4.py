"""What notebook 4 builds is what the package has, the KL divergence is one, and its sentences say what was measured."""

import json
import re

import nbformat
import numpy as np
import paddle
import pytest
from helpers import ROOT, SEEDS, assert_close, assert_same, leaf, normal

import inade_lite as il


def random_params(random, *shape):
    return il.NoiseParams(*(leaf(random, *shape) for _ in range(4)))


def gaussian(mu, std):
    """NoiseParams of one instance and one dimension whose scale half is N(mu, std²) and whose shift half is N(0, 1)."""
    zero = paddle.zeros([1, 1, 1])
    return il.NoiseParams(zero + mu, zero + 2 * float(np.log(std)), zero, zero)


def integral(mu, std):
    """KL(N(mu, std²) || N(0, 1)) as a sum over a fine grid, in float64."""
    z, dz = np.linspace(mu - 12 * std, mu + 12 * std, 200_001, retstep=True)
    log_p = -0.5 * ((z - mu) / std) ** 2 - np.log(std)
    return float((np.exp(log_p) / np.sqrt(2 * np.pi) * (log_p + 0.5 * z**2)).sum() * dz)


@SEEDS
def test_remapping_equals_the_package(random, notebook):
    noise, params = leaf(random, 2, 5, 2, 8), random_params(random, 2, 5, 8)
    ours, package = (remap(noise, params) for remap in (notebook["remap_noise"], il.remap_noise))
    assert_same(random, ours, package, [noise, *params])


def test_remapping_equals_the_loop_and_the_formula(random, notebook):
    noise, params = normal(random, 2, 5, 2, 8), random_params(random, 2, 5, 8)
    z = il.remap_noise(noise, params).numpy()
    assert_close(notebook["remap_loop"](noise, params), z)
    n, (scale_mu, scale_logvar, bias_mu, bias_logvar) = noise.numpy(), [p.numpy() for p in params]
    assert_close(z[:, :, 0], n[:, :, 0] * np.exp(scale_logvar) ** 0.5 + scale_mu)
    assert_close(z[:, :, 1], n[:, :, 1] * np.exp(bias_logvar) ** 0.5 + bias_mu)


@SEEDS
def test_kl_equals_the_package(random, notebook):
    params = random_params(random, 2, 5, 8)
    assert_same(random, notebook["kl_divergence"](params), il.kl_divergence(params), params)


@pytest.fixture(params=["notebook", "package"])
def kl_divergence(request, notebook):
    return notebook["kl_divergence"] if request.param == "notebook" else il.kl_divergence


def test_kl_of_the_prior_is_zero(kl_divergence):
    assert kl_divergence(gaussian(0.0, 1.0)).item() == 0


def test_kl_is_positive_elsewhere(random, kl_divergence):
    for mu, logvar in random.uniform(-3, 3, [100, 2]):
        assert kl_divergence(gaussian(mu, np.exp(logvar / 2))).item() > 0


@pytest.mark.parametrize(("mu", "std"), [(0.0, 0.1), (0.5, 1.0), (-2.0, 0.5), (1.0, 2.5), (3.0, 0.05)])
def test_kl_matches_the_integral(kl_divergence, mu, std):
    assert kl_divergence(gaussian(mu, std)).item() == pytest.approx(integral(mu, std), rel=1e-4)


def test_kl_sums_over_everything(random, kl_divergence):
    params = random_params(random, 2, 3, 4)
    parts = 0.0
    for n in range(2):
        for i in range(3):
            for d in range(4):
                parts += kl_divergence(il.NoiseParams(*[p[n : n + 1, i : i + 1, d : d + 1] for p in params])).item()
    assert kl_divergence(params).item() == pytest.approx(parts, rel=1e-5)


def test_absent_instances_cost_nothing_and_keep_their_noise(random, kl_divergence):
    label = np.zeros([1, 16, 16], int)
    instance = label.copy()
    instance[:, 8:] = 3  # 1 and 2 are absent
    layout = il.Layout(label, instance, num_classes=1, num_instances=4)
    params = il.InstanceEncoder(8, 4)(normal(random, 1, 3, 16, 16), layout)
    noise = normal(random, 1, 4, 2, 8)
    assert kl_divergence(il.NoiseParams(*[p[:, 1:3] for p in params])).item() == 0
    assert np.array_equal(il.remap_noise(noise, params).numpy()[:, 1:3], noise.numpy()[:, 1:3])


def test_the_truth_of_the_small_world(notebook):
    """Ground is gray, discs lie between red and yellow, boxes take every hue; every instance is in every picture."""
    kinds, layout, image = notebook["draw_batch"](64, np.random.default_rng(61))
    colors = notebook["draw_colors"](kinds, np.random.default_rng(62))
    red, green, blue = np.moveaxis(colors, -1, 0)
    assert np.array_equal(red[kinds == 0], blue[kinds == 0])
    assert (blue[kinds == 2] == blue[kinds == 2].min()).all() and (red[kinds == 2] >= green[kinds == 2]).all()
    assert (blue[kinds == 1] > red[kinds == 1]).any() and (green[kinds == 1] > red[kinds == 1]).any()
    assert layout.instances().pixels.numpy().min() > 0
    assert abs(image.numpy()).max() <= 1


# ---- What its sentences say

CELLS = nbformat.read(ROOT / "notebooks/04_noise_remapping.ipynb", 4).cells
PROSE = "\n\n".join(cell.source for cell in CELLS if cell.cell_type == "markdown")


def printed(start):
    """What the code cell that begins like this has printed when the notebook was stored."""
    (cell,) = (c for c in CELLS if c.cell_type == "code" and c.source.startswith(start))
    return "".join(output.get("text", "") for output in cell.outputs)


def printed_table(start):
    """The same, as {name of a row: its numbers}."""
    rows = re.findall(r"^([a-z].*?) {2,}((?:-?\d+\.\d+ *)+)$", printed(start), re.MULTILINE)
    return {name: [float(number) for number in numbers.split()] for name, numbers in rows}


@pytest.mark.parametrize("name", ["conditional VAE", "posterior collapse", "aggregate posterior"])
def test_each_name_is_given_once(name):
    assert PROSE.count(f"**{name}**") == 1


def test_what_scales_and_shifts_alone_can_do_is_as_recorded():
    rows = json.loads((ROOT / "data/results/table.json").read_text("utf-8"))["rows"]
    found = {row["name"]: row["measures"]["spread_ratio"]["mean"] for row in rows}
    both, scale, shift = (found[f"{name}_short"] for name in ("inade", "scale_noise", "shift_noise"))
    assert f"with {scale[0]:.3f} they vary even more than with both halves" in PROSE and scale[1] > both[2]
    assert f"alone has {shift[0]:.3f}, a tie with both" in PROSE
    assert shift[1] < both[2] and both[1] < shift[2]


def test_the_planes_are_what_the_prose_says_of_them():
    rows = list(printed_table("print(HEADER)\nfor weight, (painter").values())
    nats, discs_off = [row[1] for row in rows], [row[5] for row in rows]
    boxes = [row[2] for row in rows]
    assert len(rows) == 5 and nats == sorted(nats, reverse=True)
    assert nats[-1] < 0.05 and boxes[-1] < 0.3  # collapsed
    assert boxes[2] > 0.7 and discs_off[2] < discs_off[0] / 2  # a good weight
    assert "spends three times as many nats as the middle one and rebuilds twice as well" in PROSE
    assert 3 < nats[1] / nats[2] < 3.5 and rows[1][0] <= rows[2][0] / 2 and rows[1][4] <= rows[2][4]
    assert "ten times as far off (0.10 beside 0.01)" in PROSE and (discs_off[1], discs_off[2]) == (0.10, 0.01)


def test_the_scale_alone_brings_the_variety_back_and_finds_a_level_in_the_second_layer_only():
    rows = printed_table('print(HEADER)\nreport("both halves"')
    assert rows["scale only"][2] > 0.9 * rows["both halves"][2]
    first, second = map(float, re.findall(r"\d\.\d\d", printed("@paddle.no_grad()\ndef levels")))
    assert first < 0.15 and second > 4 * first


def test_three_numbers_of_the_shift_say_all_and_one_of_the_scale_a_little():
    nats = {}
    for name in ("scale", "shift"):
        (row,) = re.findall(rf"^{name} \[(.+)\]$", printed("batch = il.collate"), re.MULTILINE)
        nats[name] = np.array(row.split(), float)
    assert np.flatnonzero(nats["shift"] > 0.1).tolist() == [0, 3, 6] and np.sort(nats["shift"])[:5].max() < 0.02
    assert np.flatnonzero(nats["scale"] > 0.02).tolist() == [0] and nats["scale"][0] < nats["shift"][6]
    assert "numbers 0, 3 and 6" in PROSE and "of the scale, only number 0 says a little" in PROSE


def test_the_direction_is_redder_for_every_class_and_least_for_houses():
    direction = np.array(re.findall(r"-?\d\.\d+", printed("shifts = np.random")), float)
    assert abs(direction).argmax() == 3 and direction[3] < -0.9  # nearly number 3, the other way
    rise = dict(re.findall(r"^(\w+) +(-?\d\.\d\d)$", printed("twice = il.Layout"), re.MULTILINE))
    rise = {name: float(value) for name, value in rise.items()}
    assert len(rise) == 5 and min(rise.values()) > 0
    assert min(rise, key=rise.get) == "house" and max(rise, key=rise.get) == "car"
