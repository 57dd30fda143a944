"""What notebook 7 says of the model's numbers, directions and halves is so. Its cells are run to see it."""

import json
import re

import nbformat
import numpy as np
import pytest
from helpers import ROOT, SEEDS, normal
from notebook_definitions import load_definitions

import inade_lite as il
from inade_lite.noise import linear, spherical

CELLS = nbformat.read(ROOT / "notebooks/07_instance_diversity.ipynb", 4).cells
TEXT = " ".join("\n\n".join(cell.source for cell in CELLS if cell.cell_type == "markdown").split())
SECTIONS = ("0", "1", "2", "3", "7", "9", "10")  # these need no other


@pytest.fixture(scope="module")
def played():
    """The names that the notebook's cells leave, run in full up to section 10."""
    names, section, fast = {}, "0", il.FAST
    il.FAST = False
    try:
        for cell in CELLS:
            headings = re.findall(r"^## (\w+)", cell.source, re.MULTILINE)
            if cell.cell_type == "markdown" and headings:
                section = headings[-1]
            elif cell.cell_type == "code" and section in SECTIONS:
                exec(cell.source, names)
    finally:
        il.FAST = fast
    return names


def run(start, played):
    """Run the cell that begins like this, after the others."""
    (cell,) = (cell for cell in CELLS if cell.source.startswith(start))
    exec(cell.source, played)


@SEEDS
def test_notebook_7_defines_what_the_package_has(random):
    notebook, (a, b) = load_definitions(7), (normal(random, 3, 2, 7) for _ in range(2))
    for name, function in (("spherical", spherical), ("linear", linear)):
        for t in (0, 0.3, 1):
            assert np.array_equal(notebook[name](a, b, t).numpy(), function(a, b, t).numpy()), name


def test_a_layer_changes_its_shifts_exactly_on_the_car(played):
    assert played["inside"].sum() > 50 and np.array_equal(played["touched"], played["inside"])


def test_the_latent_decides_next_to_nothing_and_the_noise_nearly_everything(played):
    deviation = {name: found.mean() for name, found in played["deviations"].items()}
    assert list(deviation) == ["fresh noise", "fresh latent", "SPADE + VAE, fresh latent"]
    assert deviation["fresh latent"] < 0.02 * min(deviation["fresh noise"], deviation["SPADE + VAE, fresh latent"])


def test_the_numbers_in_use_are_those_that_it_counts(played):
    price = played["nats"].mean(0)  # [2, Z]
    assert price.size == 16 and len(played["nats"]) > 100
    assert (price > 0.1).sum(1).tolist() == [2, 3] and not ((price > 0.09) & (price < 0.2)).any()
    assert "Five numbers of sixteen are in use, two of the scales and three of the shifts." in TEXT


def test_three_shifts_move_the_color_and_nothing_else_does(played):
    seen = played["seen"]
    change = np.abs(seen[:, :, -1] - seen[:, :, 0]).mean((-1, -2)).T  # [2, Z]
    assert (change > 50).sum(1).tolist() == [0, 3] and not ((change > 20) & (change < 50)).any()
    used = played["nats"].mean(0) > 0.1
    assert np.array_equal(change[1] > 50, used[1])
    assert "Three of sixteen, all among the shifts." in TEXT


def test_a_direction_tells_redness_and_serves_two_cars(played):
    assert np.corrcoef(played["predicted"], played["red"][played["half"] :])[0, 1] > 0.9
    weights = np.abs(played["weights"][:-1]).reshape([2, -1])
    assert set(np.argsort(-weights.ravel())[:3]) == {8 + k for k in np.flatnonzero(played["nats"].mean(0)[1] > 0.1)}
    assert list(played["found"]) == ["car 17", "car 15"]
    for redness in played["found"].values():
        assert (np.diff(redness) > 10).all() and redness[0] < -50 and redness[-1] > 50


def test_its_three_sliders_are_what_the_exercise_says(played, capsys):
    run("colors = painted[:, inside]", played)
    found = {name: float(value) for name, value in map(str.split, capsys.readouterr().out.splitlines())}
    assert (
        list(found) == ["redder", "greener", "brighter"] and np.ptp(list(found.values())) < 0.05
    )  # about equally well
    run("unit = {name: slider", played)
    unit = played["unit"]
    assert il.exercises.judge("7.5", unit["redder"] @ unit["greener"])[0]
    assert max(abs(unit[name] @ unit["brighter"]) for name in ("redder", "greener")) < 0.1  # nearly perpendicular


def test_brighter_bends_from_green_to_cyan(played):
    for start in (
        "colors = painted[:, inside]",
        "unit = {name: slider",
        "pushed = np.repeat(noise.numpy(), len(pushes)",
    ):
        run(start, played)
    run("means = brightened", played)
    red, green, blue = played["means"].T
    assert (np.diff(played["means"].mean(1)) > 0).all()  # brighter step by step
    assert blue[-1] - blue[0] > 2 * max(red[-1] - red[0], green[-1] - green[0])
    assert green[0] > blue[0] + 50 and abs(green[-1] - blue[-1]) < 20


def test_the_shifts_have_the_color_where_the_car_is_large_and_the_scales_could(played, capsys):
    run("def spreads(layer)", played)
    rows = [line.replace("²", "").split() for line in capsys.readouterr().out.splitlines()[1:]]
    large = np.array([row[1:] for row in rows if row[0] == "64"], float)  # [3, 4]
    scales, shifts, mean, deviation = large.T
    assert len(rows) == 9 and (scales < 0.05).all() and (shifts > 2 * scales).all()
    assert (mean > 0.4).all() and (deviation > mean).all()


def test_it_tells_the_row_of_noise_on_the_scale_alone_as_recorded():
    rows = json.loads((ROOT / "data/results/table.json").read_text("utf-8"))["rows"]
    found = {row["name"]: row for row in rows}
    scale, both = (found[name]["measures"]["spread_ratio"]["mean"][0] for name in ("scale_noise_short", "inade_short"))
    assert found["scale_noise_short"]["steps"] == found["inade_short"]["steps"]
    assert f"its spread ratio is {scale:.2f}, beside {both:.2f} of INADE after as many steps" in TEXT
