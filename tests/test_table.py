"""The table, README and the shipped models say what was recorded."""

import json
from pathlib import Path

import numpy as np
import pytest

import inade_lite as il
from experiments import runs, table, tries
from experiments.table import recorded

HERE = Path(__file__).parents[1]

SHIPPED = {run.ships_as: name for name, run in runs.RUNS.items() if run.ships_as}


def test_the_table_is_what_was_recorded():
    stored = json.loads(table.TABLE.read_text())["rows"]
    assert json.dumps(stored) == json.dumps(table.rows())
    assert stored[0]["name"] == "truth"
    assert table.report(stored) in table.README.read_text()


def test_every_record_is_of_a_run_that_make_trains_on_todays_data():
    names = {path.stem for path in runs.RESULTS.glob("*.json")} - {"table"}
    assert names <= {"truth", *runs.RUNS}
    assert {path.stem for path in (runs.RESULTS / "tries").iterdir()} == set(tries.TRIES)
    for name in names | set(tries.TRIES):
        scenes, samples = (64, 4) if name in tries.TRIES else (256, 8)
        assert recorded(name)["data"] == runs.data_version()
        assert recorded(name)["measured"] == {"scenes": scenes, "samples": samples, "seed": 0}
    for name in names - {"truth"} | set(tries.TRIES):
        told, run = recorded(name)["model"], (runs.RUNS | tries.TRIES)[name]
        assert told["steps"] == run.steps
        then = il.TrainConfig(**told["train_config"])  # a field that came later has its default
        assert then == il.TrainConfig(**run.fields), name


@pytest.mark.parametrize(
    "path", sorted(il.weights.pretrained.PRETRAINED.glob("*.safetensors")), ids=lambda path: path.stem
)
def test_a_shipped_model_is_the_one_that_was_measured(path):
    model, record = il.load_pretrained(path.stem), recorded(SHIPPED[path.stem])
    told = {key: value for key, value in model.config.items() if key != "class_names"}
    assert told == record["model"]
    assert told.get("half_precision_moves", 0) <= 1  # of 255


def test_the_shipped_models_are_small():
    assert sum(path.stat().st_size for path in (HERE / "data").glob("**/*.safetensors")) <= 40e6


def test_a_measure_comes_back_within_its_interval():
    """Of the shipped model, on a part of the scenes."""
    town = il.ToyTown("val", 64)
    mean = il.metrics.measure_diversity(il.load_pretrained("inade").generator, town, 16, 4, progress=False)[-1]
    low, high = recorded("inade")["measures"]["spread_ratio"]["mean"][1:]
    assert mean.spread_ratio.low < high and low < mean.spread_ratio.high


def test_seeds_are_averaged_and_their_intervals_spanned():
    found = table.combine([(1.0, 0.5, 1.5), (2.0, 1.5, 4.0)])
    assert found == il.metrics.Estimate(1.5, 0.5, 4.0)


def test_a_row_without_a_measure_shows_a_dash():
    row = {
        "title": "a",
        "steps": 0,
        "runs": ["a"],
        "measures": {"locality": (float("nan"),) * 3, "mISD": (0.5, 0.4, 0.6)},
    }
    line = table.markdown([row], {"locality": "l", "mISD": "m", "mCSD": "c"}).splitlines()[-1]
    assert line == "| a | – | – | – | 0.500 [0.400, 0.600] | – |"
    assert np.isnan(row["measures"]["locality"][0])


def test_goals_are_judged_by_the_worst_class_and_by_the_best_rival():
    def row(name, method, spread, correlation, miou, kid):
        told = {"spread_ratio": {"low": (spread, 0, 2), "fine": (1, 0, 2), "mean": (9, 9, 9)}}
        told |= {"correlation": {"fine": (-0.5, -1, 0), "high": (correlation, 0, 1), "mean": (9, 9, 9)}}
        told |= {"locality": (0.01, 0, 1), "reconstruction": (10.5, 10, 11), "pixel_accuracy": (99, 98, 100)}
        told |= {"mean_iou": (miou, miou - 5, miou + 5), "lite0_kid": (kid, kid - 0.1, kid + 0.1)}
        return {"name": name, "steps": 7, "measures": told} | ({"method": method} if method else {})

    rows = [
        row("truth", None, 1, 0, 80, 0),
        row("inade", "inade", 0.79, 0.1, 72, 0.45),
        row("inade_short", "inade", 1, 0, 80, 0),
        row("clade_short", "clade", 1, 0, 80, 0.4),
        row("spade_short", "spade", 1, 0, 80, 0.6),
        row("no_encoder_short", "no_encoder", 1, 0, 80, 0.1),
    ]
    lines = [line.split(" | ") for line in table.goals(rows).splitlines()]
    assert lines[0][0] == "| INADE, 7 steps"
    assert [cells[2] for cells in lines[2:4]] == ["0.790 [0.000, 2.000] (low)", "0.100 [0.000, 1.000] (high)"]
    assert lines[7][2] == "90.0 [83.8, 96.2]"
    verdicts = [cells[3].split()[0] for cells in lines[2:]]
    assert verdicts == ["missed", "reached", "reached", "missed", "reached", "reached", "reached"]
    rows[1]["measures"]["lite0_kid"] = (0.51, 0.4, 0.6)
    assert "missed" in table.goals(rows).splitlines()[-1]


def test_a_report_takes_the_place_of_the_one_before():
    assert table.into("x <a> old <b> y", "new", ("<a>", "<b>")) == "x <a>\nnew\n<b> y"


def test_inade_and_each_rival_have_the_same_tries():
    assert set(tries.START) == {"inade", *table.RIVALS}
    assert {run.steps for run in tries.TRIES.values()} == {1000}
    for method in tries.START:
        first, *others = (run.fields for run in tries.tries(method).values())
        assert first["method"] == method
        changed = [sorted(dict(fields.items() - first.items())) for fields in others]
        rates = ["learning_rate_d", "learning_rate_g"]
        assert changed == [rates, rates, ["instance_share"]]


def test_a_method_leaves_its_start_for_a_try_below_the_interval(monkeypatch):
    found = dict.fromkeys(("start", "rates", "fast_rates"), (0.8, 0.7, 0.9)) | {"instances": (0.72, 0.1, 0.8)}
    monkeypatch.setattr(table, "recorded", lambda name: {"measures": {"lite0_kid": found[name.split(".")[1]]}})
    assert table.best_try("spade") == "spade.start"
    found["instances"] = (0.69, 0.6, 0.8)
    assert table.best_try("spade") == "spade.instances"
    found["rates"] = (0.5, 0.4, 0.75)
    assert table.best_try("spade") == "spade.rates"


def test_the_training_log_tells_the_tries():
    assert table.tuning() in table.LOG.read_text()


@pytest.mark.parametrize("method", tries.START)
def test_the_table_has_a_row_with_what_the_tries_chose(method):
    chosen = table.best_try(method)
    name = f"{method}_0" if chosen == f"{method}.start" else f"{method}_tuned_0"
    assert runs.RUNS[name].fields == tries.TRIES[chosen].fields
    assert runs.record_path(name).exists()
