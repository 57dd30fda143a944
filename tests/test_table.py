"""The tables, the pages that show them and the shipped models say what was recorded."""

import json

import numpy as np
import pytest
from helpers import TINY, assert_same_weights

import inade_lite as il
from experiments import runs, table, tries
from experiments.table import recorded
from experiments.towns import TOWNS
from inade_lite.setup.runtime import cpu_model
from tools.markdown import write_into

SHIPPED = {run.ships_as: name for name, run in runs.RUNS.items() if run.ships_as and runs._shipped_path(run).exists()}


def test_the_table_is_what_was_recorded():
    stored = json.loads(table.TABLE.read_text())["rows"]
    assert json.dumps(stored) == json.dumps(table.rows())
    assert stored[0]["name"] == "truth"
    assert table.report(stored) in table.PAGE.read_text("utf-8")
    assert table.short(stored) in table.README.read_text("utf-8")
    assert table.larger() in table.PAGE.read_text("utf-8")


def test_every_record_is_of_a_run_that_make_trains_on_todays_data():
    names = {path.stem for path in runs.RESULTS.glob("*.json")} - {"table"}
    assert names <= runs.RECORDED.keys()
    assert {path.stem for path in (runs.RESULTS / "tries").iterdir()} == set(tries.TRIES)
    records = {name: recorded(name) for name in names | set(tries.TRIES)}
    versions = {}
    for town, (_, new_val) in TOWNS.items():
        versions |= {(town, size): runs.data_version(new_val("val", size)) for size in (64, 128)}
    assert versions["town", 64] == versions["wobbly", 64] == runs.data_version() != versions["other", 64]
    for name, record in records.items():
        scenes, samples = (64, 4) if name in tries.TRIES else (256, 8)
        run = runs.RECORDED[name]
        assert record["data"] == versions[run.town, run.size]
        assert record["measured"] == {"scenes": scenes, "samples": samples, "seed": 0}
    for name in records.keys() - runs.TRUTHS.keys():
        told, run = records[name]["model"], runs.RECORDED[name]
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
    line = table.full([row], {"locality": "l", "mISD": "m", "mCSD": "c"}).splitlines()[-1]
    assert line == "| a | – | – | – | 0.500 [0.400, 0.600] | – |"


def test_the_short_table_is_a_part_of_the_long_one_and_fits_a_phone():
    lines, sentence, missed = (part.splitlines() for part in table.short(table.rows()).split("\n\n"))
    assert len(missed) == 1 and " of INADE after 10000 steps has " in missed[0]
    assert sentence == [
        "The rival with the least Lite0-KID after 2000 steps is class-level noise, tuned: 0.31 [0.23, 0.38] beside "
        "INADE's 0.31 [0.28, 0.34]. For INADE that is a tie. The rival's spread ratio is 0.79 [0.77, 0.82]."
    ]
    assert len(lines) == 2 + 7 and {line.count("|") for line in lines} == {5} and max(map(len, lines)) <= 100
    first = [line.split(" steps ")[0] for line in lines[2:6]]
    assert first == ["| INADE with positions, 10000", "| INADE, 10000", "| INADE with positions, 2000", "| INADE, 2000"]
    assert table.cell((-0.004, -0.019, 0.006), digits=2) == "0.00 [-0.02, 0.01]"
    assert table.cell((float("nan"),) * 3, digits=2) == "–"


def test_two_estimates_tie_where_their_intervals_overlap():
    ours = il.metrics.Estimate(0.3, 0.2, 0.4)
    assert table.verdict(ours, il.metrics.Estimate(0.5, 0.41, 0.6)) == "better"
    assert table.verdict(ours, il.metrics.Estimate(0.1, 0.0, 0.19)) == "worse"
    for low, high in ((0.4, 0.6), (0.0, 0.2), (0.25, 0.35), (0.0, 1.0)):
        theirs = il.metrics.Estimate((low + high) / 2, low, high)
        assert table.verdict(ours, theirs) == table.verdict(theirs, ours) == "a tie"


def test_goals_are_judged_by_the_worst_class_and_by_the_best_rival_of_as_many_steps():
    def row(name, method, spread, correlation, miou, kid, steps=7):
        told = {"spread_ratio": {"low": (spread, 0, 2), "fine": (1, 0, 2), "mean": (9, 9, 9)}}
        told |= {"correlation": {"fine": (-0.5, -1, 0), "high": (correlation, 0, 1), "mean": (9, 9, 9)}}
        told |= {"locality": (0.01, 0, 1), "reconstruction": (10.5, 10, 11), "pixel_accuracy": (99, 98, 100)}
        told |= {"mean_iou": (miou, miou - 5, miou + 5), "lite0_kid": (kid, kid - 0.1, kid + 0.1)}
        return {"name": name, "title": name, "steps": steps, "measures": told} | ({"method": method} if method else {})

    rows = [
        row("truth", None, 1, 0, 80, 0),
        row("inade", "inade", 0.79, 0.1, 72, 0.1, steps=70),
        row("inade_short", "inade", 1, 0, 80, 0.45),
        row("clade_short", "clade", 1, 0, 80, 0.4),
        row("spade_short", "spade", 1, 0, 80, 0.6),
        row("spade_long", "spade", 1, 0, 80, 0.0, steps=70),
        row("no_encoder_short", "no_encoder", 1, 0, 80, 0.1),
    ]
    lines = [line.split(" | ") for line in table.goals(rows).splitlines()]
    assert lines[0][0] == "| inade, 70 steps"
    assert [cells[2] for cells in lines[2:4]] == ["0.790 [0.000, 2.000] (low)", "0.100 [0.000, 1.000] (high)"]
    assert lines[7][2] == "90.0 [83.8, 96.2]"
    verdicts = [cells[3].removesuffix(" |") for cells in lines[2:]]
    assert verdicts == ["missed", "reached", "reached", "missed", "reached", "reached", "a tie"]
    assert lines[-1][:2] == [
        "| Lite0-KID, both at 7 steps", "no worse than the best rival, clade_short: 0.400 [0.300, 0.500]"
    ]  # fmt: skip
    rows[2]["measures"]["lite0_kid"] = (0.6, 0.51, 0.7)
    assert table.goals(rows).endswith("| worse |")


def test_the_goals_with_positions_are_judged_by_the_worst_class_and_beside_inade_at_equal_steps():
    def row(name, worst, spread, kid, steps=7):
        told = {"pattern_distance": {"low": (0.1, 0, 1), "high": (worst, 0, 1), "mean": (9, 9, 9), "worst": (9, 9, 9)}}
        told |= {"correlation": {"fine": (0.05, 0, 1), "low": (-0.11, -1, 0), "mean": (9, 9, 9)}}
        told |= {
            "spread_ratio": {"fine": (1, 0, 2), "high": (spread, 0, 2), "mean": (spread, spread - 0.1, spread + 0.1)}
        }
        told |= {"kinds_kept": (80, 79, 81), "mean_iou": (97.2, 97, 98), "lite0_kid": (kid, kid - 0.01, kid + 0.01)}
        return {"name": name, "title": name, "steps": steps, "measures": told}

    rows = [
        row("inade_positions", 0.35, 1.11, 0.2, steps=70),
        row("inade_positions_short", 1, 1.05, 0.3),
        row("inade_short", 1, 0.5, 0.4),
    ]
    lines = [line.removesuffix(" |").split(" | ") for line in table.position_goals(rows).splitlines()]
    assert lines[0][0] == "| inade_positions, 70 steps"
    assert lines[2][2] == "0.350 [0.000, 1.000] (high)" and lines[5][2] == "-0.110 [-1.000, 0.000] (low)"
    assert [cells[3] for cells in lines[2:]] == [
        "reached", "reached", "missed", "missed", "reached", "missed", "better", "better"
    ]  # fmt: skip
    rows[1] = row("inade_positions_short", 1, 0.25, 0.4)  # 0.75 from the truth, INADE 0.5
    assert [line.split(" | ")[-1] for line in table.position_goals(rows).splitlines()[-2:]] == ["a tie |", "worse |"]
    rows[1] = row("inade_positions_short", 1, 1.5, 0.4)  # as far from the truth, on its other side
    assert table.position_goals(rows).endswith("| a tie |")


def test_a_report_takes_the_place_of_the_one_before_and_no_text_is_lost(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("x\n<!-- a -->\nold\n<!-- end of a -->\ny\n")
    for report in ("new", "newer"):
        write_into(page, report, "a")
        assert page.read_text() == f"x\n<!-- a -->\n{report}\n<!-- end of a -->\ny\n"
    for text in ("x", "x <!-- a --> y", "x <!-- end of a --> y <!-- a -->"):
        page.write_text(text)
        with pytest.raises(ValueError, match=r"page\.md: <!-- a --> and, below it, <!-- end of a --> are missing"):
            write_into(page, "new", "a")
        assert page.read_text() == text


def test_inade_and_each_rival_have_the_same_tries():
    assert set(tries.START) == {"inade", *table.RIVALS}
    for method in tries.START:
        assert {run.steps for run in tries.tries(method).values()} == {1000}
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
    assert table.tuning() in table.LOG.read_text("utf-8")
    assert table.patterns() in table.LOG.read_text("utf-8")


def test_the_training_log_tells_how_far_three_seeds_lie_apart():
    text = " ".join(table.LOG.read_text("utf-8").split())
    of_seeds = {}
    for name in ("inade_positions", "inade"):
        found = [recorded(f"{name}_{seed}")["measures"]["lite0_kid"][0] for seed in runs.SEEDS]
        of_seeds[name] = "{:.3f}, {:.3f} and {:.3f}".format(*found)
    told = f"a Lite0-KID of {of_seeds['inade_positions']} where INADE's three have {of_seeds['inade']}."
    assert told in text


def test_the_page_tells_how_painted_streets_look_of_every_model_that_ships():
    found = table.strokes()
    assert found in table.PAGE.read_text("utf-8")
    of_this_size = [name for name in SHIPPED.values() if runs.RUNS[name].size == 64]
    before = 1  # what INADE was before it had seen wobbly streets
    assert len(found.splitlines()) == 2 + 1 + len(of_this_size) + before


def test_the_page_tells_what_wobbly_streets_gain_and_who_paints_strokes_best():
    text = " ".join(table.PAGE.read_text("utf-8").split())
    assert "For INADE what that gains here lies within the intervals, and so does what it changes on the town" in text
    after, before = (recorded(name) for name in ("inade", "inade_town"))
    pairs = [(after["strokes"]["lite0_kid"], before["strokes"]["lite0_kid"])]
    pairs += [(after["measures"][k], before["measures"][k]) for k in ("lite0_kid", "mean_iou", "pixel_accuracy")]
    pairs += [(after["measures"][k]["mean"], before["measures"][k]["mean"]) for k in ("spread_ratio", "correlation")]
    for one, other in pairs:
        assert table.verdict(il.metrics.Estimate(*one), il.metrics.Estimate(*other)) == "a tie"
    assert "INADE with positions has the least Lite0-KID here, within the interval of the long INADE's." in text
    of_this_size = [name for name in SHIPPED.values() if runs.RUNS[name].size == 64]
    kid = {name: il.metrics.Estimate(*recorded(name)["strokes"]["lite0_kid"]) for name in of_this_size}
    assert min(kid, key=lambda name: kid[name].value) == "inade_positions"
    assert table.verdict(kid["inade_positions"], kid["inade"]) == "a tie"


def test_in_each_try_of_positions_one_thing_differs_from_the_start():
    start, *others = (run.fields for run in tries.ideas().values())
    assert start["method"] == "inade_positions"
    for fields in others:
        assert fields.keys() == start.keys()
        assert sum(fields[key] != start[key] for key in start) == 1


def test_the_control_says_how_much_positions_help_between_two_octaves():
    text = table.PAGE.read_text("utf-8")
    assert table.control() in text
    ours, theirs = (recorded(f"other_town_{name}_0")["measures"] for name in ("inade_positions", "inade"))
    worst = [il.metrics.Estimate(*found["pattern_distance"]["worst"]) for found in (ours, theirs)]
    assert table.verdict(*worst) == "better"
    told = (
        f"the worst pattern distance is {worst[0].value:.2f} instead of INADE's {worst[1].value:.2f}, and "
        f"{ours['kinds_kept'][0]:.0f} % of the patterns are kept instead of {theirs['kinds_kept'][0]:.0f} %"
    )
    assert told in " ".join(text.split())


def test_a_control_is_measured_on_its_own_town_and_is_no_row_of_the_table():
    names = [name for name, run in runs.RUNS.items() if run.town == "other"]
    assert len(names) == 2
    assert not {row["name"] for row in table.rows()} & {name.replace("_0", "_short") for name in names}
    _, new_town = runs.TOWNS["other"]
    other, town = new_town("val", 64), il.ToyTown("val", 64)
    for i in range(3):
        np.testing.assert_array_equal(other[i]["label"], town[i]["label"])
        assert (other[i]["image"] != town[i]["image"]).any()


def test_a_row_takes_a_late_measure_from_the_seeds_that_have_it():
    early = {"run": "a_0", "title": "A", "model": {"steps": 7, "train_config": {"method": "inade"}}}
    records = [
        early | {"measures": {"locality": (1, 0, 2), "kinds_kept": (50, 40, 60)}},
        early | {"measures": {"locality": (3, 2, 4)}},
    ]
    measures = table._row("a_short", records)["measures"]
    assert measures["locality"] == (2, 0, 4) and measures["kinds_kept"] == (50, 40, 60)


def test_a_cell_shows_the_worst_where_there_is_one():
    assert table.cell({"roof across": (0.5, 0.4, 0.6), "mean": (0.3, 0.2, 0.4), "worst": (0.5, 0.4, 0.6)}) == (
        "0.500 [0.400, 0.600]"
    )


@pytest.mark.parametrize("method", tries.START)
def test_the_table_has_a_row_with_what_the_tries_chose(method):
    chosen = table.best_try(method)
    name = f"{method}_0" if chosen == f"{method}.start" else f"{method}_tuned_0"
    assert runs.RUNS[name].fields == tries.TRIES[chosen].fields
    assert runs.record_path(name).exists()


def test_the_notebooks_conclude_what_the_rows_say():
    text = (runs.ROOT / "notebooks/09_measuring_diversity.ipynb").read_text("utf-8")
    rows = {row["name"].removesuffix("_short"): row["measures"] for row in table.rows() if row["steps"] == 2000}

    def interval(name, measure):
        found = rows[name][measure]
        return il.metrics.Estimate(*(found["mean"] if isinstance(found, dict) else found))

    def less(one, other, measure):  # wholly
        return table.verdict(interval(one, measure), interval(other, measure)) == "better"

    assert "With a noise for each class it is 0.77, and 0.99 when tuned." in text
    assert f"{interval('class_noise', 'correlation').value:.2f}" == "0.77"
    assert f"{interval('class_noise_tuned', 'correlation').value:.2f}" == "0.99"
    own = [name for name in rows if name not in table.RIVALS and "tuned" not in name]
    assert "With a noise for each instance the same-class correlation is about 0." in text
    assert len(own) == 8 and all(abs(interval(name, "correlation").value) < 0.03 for name in own)

    assert "INADE's Lite0-KID is better than that of each rival's first row, the one that is not *tuned*." in text
    assert all(less("inade", name, "lite0_kid") for name in table.RIVALS)
    assert "Class-level noise, tuned, ties with it, and varies less." in text
    assert not less("inade", "class_noise_tuned", "lite0_kid") and not less("class_noise_tuned", "inade", "lite0_kid")
    assert less("class_noise_tuned", "inade", "spread_ratio")

    assert "SPADE + VAE and class-level noise, tuned, have better shapes (mIoU)." in text
    assert less("inade", "spade_vae", "mean_iou") and less("inade", "class_noise_tuned", "mean_iou")
    assert "Noise on the scale alone varies more than noise on both, at a worse Lite0-KID." in text
    assert less("inade", "scale_noise", "spread_ratio") and interval("scale_noise", "spread_ratio").high < 1
    assert less("inade", "scale_noise", "lite0_kid")
    assert "With the 256 scenes of the table even the long INADE lies below the truth" in " ".join(text.split())
    long, truth = (il.metrics.Estimate(*recorded(name)["measures"]["mean_iou"]) for name in ("inade", "truth"))
    assert table.verdict(long, truth) == "better"  # wholly less
    assert "shapes are better, Lite0-KID is a tie, and things vary less: variety is what it buys." in text
    assert less("inade", "no_plain_share", "mean_iou") and less("no_plain_share", "inade", "spread_ratio")
    assert not less("inade", "no_plain_share", "lite0_kid") and not less("no_plain_share", "inade", "lite0_kid")
    assert "has a *better* Lite0-KID" in text and less("plain_encoder", "inade", "lite0_kid")


def test_a_run_that_is_measured_again_keeps_the_machine_that_trained_it(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "RESULTS", tmp_path)
    monkeypatch.setattr(runs.metrics, "measure", lambda *_, **__: dict.fromkeys(runs.STROKES))
    (tmp_path / "truth.json").write_text('{"machine": {"processor": "another"}}')
    runs.record("truth", None, again=True)
    assert recorded("truth")["machine"] == {"processor": "another"}
    runs.record("truth", None)
    assert recorded("truth")["machine"]["processor"] == cpu_model()


def test_a_larger_run_begins_with_the_weights_of_a_stored_model(tmp_path):
    small, large = (
        il.Trainer(
            il.TrainConfig(**TINY | {"method": "inade_positions", "num_upsamplings": k}), il.ToyTown("train", size)
        )
        for k, size in ((2, 16), (3, 32))
    )
    small.encoder.standardize.mean.set_value(small.encoder.standardize.mean + 0.5)
    il.save_pretrained(tmp_path / "small.safetensors", small)
    runs.begin_with(large, tmp_path / "small.safetensors")
    for theirs, ours in ((small.ema, large.generator), (small.ema, large.ema), (small.encoder, large.encoder)):
        assert_same_weights(theirs, ours, 1e-3)
    assert large.generator.image_size == (32, 32)
