"""What notebook 8 says of few pictures and of sketches is what was measured, and so are the tables of docs/."""

import json
import re

import nbformat
import numpy as np
import pytest
from helpers import ROOT
from PIL import Image

import inade_lite as il
from experiments import studies
from experiments.runs import recorded
from experiments.studies import found
from experiments.tries import STUDIES, settings
from inade_lite import exercises

CELLS = nbformat.read(ROOT / "notebooks/08_your_own_pictures.ipynb", 4).cells
PROSE = " ".join(" ".join(cell.source for cell in CELLS if cell.cell_type == "markdown").split())


def apart(run, other, measure):
    """-1 if the interval of the first lies below that of the second, 1 if above, 0 for a tie."""
    (_, low, high), (_, other_low, other_high) = found(run, measure), found(other, measure)
    return int(low > other_high) - int(high < other_low)


def test_studies_are_recorded_as_they_are_defined():
    for name, run in STUDIES.items():
        record = recorded(name)
        config = record["model"]["train_config"]
        assert record["model"]["steps"] == run.steps == 2000 == recorded("inade_0")["model"]["steps"]
        assert record["model"]["train_scenes"] == run.scenes
        assert config | run.fields == config
        assert record["measured"] == recorded("inade_0")["measured"]
    assert {run.scenes for name, run in STUDIES.items() if name.startswith("few")} == set(studies.SCENES)
    # But for what is studied, the settings are those of inade_0.
    usual = recorded("inade_0")["model"]["train_config"]
    for name, run in STUDIES.items():
        changed = {key for key in run.fields if usual.get(key) != run.fields[key]}
        assert changed <= {"method" if name.startswith("sketch") else "diff_augment"}
    assert settings("inade").items() <= usual.items()


def test_the_tables_are_those_of_the_records():
    page = studies.PAGE.read_text("utf-8")
    assert studies.assembled(page) == page


def test_the_pictures_have_a_row_for_each_run():
    """Each row is of streets at twice their size, with a gap of 4 pixels after it but for the last."""
    heights = [Image.open(ROOT / f"docs/{name}.png").height + 4 for name in ("few", "sketches")]
    assert heights == [132 * len(studies.few_runs()), 132 * 4]  # ToyTown's row stands for the run that has none


@pytest.mark.parametrize("scenes", studies.SCENES)
def test_what_is_said_of_few_streets(scenes):
    none, geometry, everything = (f"few.{scenes}.{policy}" for policy in studies.POLICIES)
    assert "at 16, at 100 and at 1000 streets the changes lower Lite0-KID, and the intervals are apart" in PROSE
    assert apart(geometry, none, "lite0_kid") == apart(everything, none, "lite0_kid") == -1
    assert "Colors help at 16 streets; at 100 and 1000 they are a tie with shifts and holes alone." in PROSE
    assert apart(everything, geometry, "lite0_kid") == (-1 if scenes == 16 else 0)


def test_what_is_said_of_the_variety_of_few_streets():
    spread = {run: found(run, "spread_ratio")[0] for run in studies.few_runs().values()}
    assert f"is {spread['few.16.none']:.2f} without and {spread['few.16.all']:.2f} with all of them at 16" in PROSE
    thousand = f"at 1000 streets, {spread['few.1000.none']:.2f} without, they cost some: {spread['few.1000.all']:.2f}."
    assert thousand in PROSE
    assert apart("few.1000.all", "few.1000.none", "spread_ratio") == -1
    assert apart("few.1000.geometry", "few.1000.none", "spread_ratio") == -1
    assert max(spread[f"few.{scenes}.{policy}"] for scenes in (16, 100) for policy in studies.POLICIES) < 0.2


def test_the_numbers_of_sketches():
    with_sketch, without = (found(run, "pattern_distance")[0] for run in ("sketch.0", "inade_0"))
    assert f"falls from {without:.2f} to {with_sketch:.2f}, and the intervals are apart" in PROSE
    assert apart("sketch.0", "inade_0", "pattern_distance") == -1
    assert apart("sketch.0", "inade_0", "lite0_kid") == apart("sketch.0", "inade_0", "mean_iou") == 0
    with_sketch, without = (found(run, "spread_ratio")[0] for run in ("sketch.0", "inade_0"))
    assert f"a little lower, {with_sketch:.2f} instead of {without:.2f}" in PROSE
    assert apart("sketch.0", "inade_0", "spread_ratio") == -1


def test_what_its_own_run_shows():
    """The best measurement is the last one or a tie with it, and the lambda_kl is a fifth of the usual one."""
    printed = [output.text for cell in CELLS if cell.cell_type == "code" for output in cell.outputs if "text" in output]
    (table,) = [text for text in printed if re.match(r" +200 ", text)]
    rows = [[float(number) for number in re.findall(r"[\d.]+", line)] for line in table.splitlines()]
    assert [row[0] for row in rows] == list(range(200, 1401, 200))
    assert rows[-1][1] < rows[0][1]
    source = "\n".join(cell.source for cell in CELLS)
    (weight,) = re.findall(r"lambda_kl=([\d.]+)", source)
    assert float(weight) == il.TrainConfig.lambda_kl / 5 and "it is a fifth here" in PROSE


def test_what_it_says_of_its_data():
    nuclei = {split: il.FolderDataset(ROOT / "data/nuclei", split) for split in ("train", "val")}
    for data in nuclei.values():
        data.check()
    assert [len(data) for data in nuclei.values()] == [88, 12]
    assert "the same 88 tiles" in PROSE and "With twelve tiles of `val`" in PROSE
    readme = (ROOT / "data/nuclei/README.md").read_text("utf-8")
    assert "88 in `train` and 12 in `val`" in readme and "1,294 nuclei" in readme


def test_the_outlines_of_its_photos_lie_in_them():
    for path in sorted((ROOT / "data/photos").glob("*.json")):
        drawing = json.loads(path.read_text("utf-8"))
        points = np.concatenate([shape["points"] for shape in drawing["shapes"]])
        assert (points >= 0).all() and (points <= (drawing["imageWidth"], drawing["imageHeight"])).all()
    assert re.search(r"espresso by Rachel Michetti.*Chelsea the cat by Stefan van der Walt", PROSE)


def test_the_counts_of_exercise_2_are_those_of_the_nuclei():
    val = il.FolderDataset(ROOT / "data/nuclei", "val", 64)
    before = sum(int(item["instance"].max()) + 1 for item in val)
    merged = [il.compact_instances(item["label"], 0 * item["label"]) for item in val]
    after = sum(int(ids.max()) + 1 for ids in merged)
    right, told = exercises.judge("8.2", (before, after))
    assert right and f"{before - after} nuclei have lost their own look" in told
