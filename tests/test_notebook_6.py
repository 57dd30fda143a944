"""The training step that notebook 6 writes out is the package's, its film is the trainer's, and what it says is so."""

import re
from dataclasses import asdict

import nbformat
import numpy as np
import pytest
from helpers import LIMIT, ROOT, TINY, assert_same_weights
from nbclient import NotebookClient

import inade_lite as il
from experiments import failures
from experiments.runs import recorded
from experiments.tries import FAILURE_STEPS, TRIES
from inade_lite import figures

TOWN = il.ToyTown("train", 32, length=8)
CELLS = nbformat.read(ROOT / "notebooks/06_training.ipynb", 4).cells
TEXT = " ".join("\n\n".join(cell.source for cell in CELLS if cell.cell_type == "markdown").split())


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_its_step_is_the_packages(notebook, share):
    step = notebook["train_step"]
    config = il.TrainConfig(**TINY | {"batch_size": 4, "seed": 3, "plain_share": share})
    ours, theirs = il.Trainer(config, TOWN), il.Trainer(config, TOWN)
    for k in range(2):
        batch = il.collate([TOWN[4 * k + i] for i in range(4)])
        mine, package = step(ours, batch), theirs.step(batch)
        assert ours.steps_done == theirs.steps_done == k + 1
        assert list(mine) == list(package)
        for name in mine:
            np.testing.assert_allclose(float(mine[name]), float(package[name]), rtol=LIMIT)
    for network in ("generator", "ema", "encoder", "discriminator"):
        assert_same_weights(*(getattr(trainer, network) for trainer in (ours, theirs)), LIMIT)


# ---- Previews and film


def test_a_run_may_be_looked_at_more_often(tmp_path):
    trainer = il.Trainer(il.TrainConfig(**TINY | {"preview_every": 3}), TOWN)
    seen = []
    trainer.fit(4, tmp_path, on_preview=lambda t: seen.append(t.steps_done), progress=False, preview_at=(0, 1, 3))
    assert seen == [0, 1, 3]
    assert sorted(path.name for path in tmp_path.glob("preview_*")) == [f"preview_{k:06d}.png" for k in seen]
    trainer.fit(3, tmp_path, on_preview=lambda t: seen.append(t.steps_done), progress=False, preview_at=(0, 5))
    assert seen == [0, 1, 3, 5, 6]  # no second look at the start


def test_a_frame_of_the_film_is_the_preview_of_its_step(notebook, tmp_path):
    town = il.ToyTown("train", 64, length=8)
    trainer = il.Trainer(il.TrainConfig(**TINY), town, preview=[town[i] for i in range(3)])
    trainer.fit(1, tmp_path, progress=False, preview_at=(1,))
    frame = notebook["frame"]
    frame.__globals__["trainer"] = trainer
    found = frame(tmp_path / "preview_000001.png")
    for name, pictures in trainer.preview().items():
        assert np.array_equal(found[name], figures.to_image(pictures)), name
    film, steps = frame.__globals__["FILM"], frame.__globals__["STEPS"]
    assert film[0] == 0 and film[-1] == steps and list(film) == sorted(film)


# ---- Going on with the stored model


# What the switch does not change and what takes long.
SKIPPED = ("small = il.TrainConfig", "def answers", "FAILURES = ", "measure_diversity", "il.check(")


def test_with_the_switch_it_goes_on_with_the_stored_model_and_leaves_every_run_alone():
    book = nbformat.v4.new_notebook()
    for cell in CELLS:
        skipped = any(text in cell.source for text in SKIPPED)
        if cell.cell_type == "code" and not skipped:
            book.cells.append(nbformat.v4.new_code_cell(cell.source.replace("TRAIN = True", "TRAIN = False")))
    assert sum("TRAIN = False" in cell.source for cell in book.cells) == 1
    last = """
weights = il.load_pretrained("inade_short").generator.state_dict()
equal = all(bool((w == weights[name]).all()) for name, w in trainer.ema.state_dict().items())
print(equal, trainer.steps_done, (FOLDER / "model.safetensors").exists(), "runs" in FOLDER.parts)
"""
    book.cells.append(nbformat.v4.new_code_cell(last))
    client = NotebookClient(book, timeout=600, resources={"metadata": {"path": str(ROOT / "notebooks")}})
    client.execute()
    assert book.cells[-1].outputs[0].text.split() == ["True", "0", "True", "False"]


# ---- What it says


def test_it_tells_the_first_weights_as_they_are():
    config = il.TrainConfig()
    assert config.init_gain == 1 and f"`fc_noise` in the INADE layers. We take {config.noise_gain:g}." in TEXT
    # A center moves by a rate in a step, so after ten of them it is as large as n at first, which `untrained` prints.
    trainer = il.Trainer(config, il.ToyTown("train", 64, length=8))
    layout = il.Layout.of(il.collate([trainer.dataset[0]]), trainer.dataset)
    n = trainer.generator.blocks[0].norm_0.fc_noise(il.sample_noise(layout, config.noise_dim, seed=0))
    assert 7 < n.numpy().std() / config.learning_rate_g < 12
    assert f"by about its rate in a step, {config.learning_rate_g}. So after ten steps" in TEXT


def test_its_failures_are_what_was_trained(notebook):
    usual = il.TrainConfig()
    names = notebook["row"].__globals__["FAILURES"]
    changed = {}
    for name in names:
        run = TRIES[f"failures.{name}"]
        assert run.steps == FAILURE_STEPS
        config = asdict(il.TrainConfig(**run.fields))
        changed[name] = {k: v for k, v in config.items() if v != getattr(usual, k) and k != "preview_every"}
    assert changed == {
        "no_plain_share": {"plain_share": 0},
        "no_kl": {"lambda_kl": 0},
        "much_kl": {"lambda_kl": pytest.approx(10 * usual.lambda_kl)},
        "no_feature": {"lambda_feature": 0},
        "fast_discriminator": {"learning_rate_d": pytest.approx(10 * usual.learning_rate_d)},
    }
    told = re.findall(r"\*\*([\w ]+)\*\*: (`\w+=0`)?", TEXT.split("## 9.")[1].split("![")[0])
    settings = ["`plain_share=0`", "`lambda_kl=0`", "", "`lambda_feature=0`", ""]
    titles = [title.replace("\n", " ") for title in failures.ROWS]
    assert told == list(zip(titles[1:], settings, strict=True))
    assert [run.split(".")[1] for run in failures.ROWS.values()] == ["usual", *names]
    assert f"training for {FAILURE_STEPS:,} steps" in TEXT


def interval(name, measure):
    found = recorded(name)["measures"][measure]
    return found["mean"] if isinstance(found, dict) else found


def apart(name, measure):
    """-1 or 1 if a failure's interval lies below or above that of the usual settings, else 0."""
    (_, low, high), (_, usual_low, usual_high) = (interval(run, measure) for run in (name, "failures.usual"))
    return (low > usual_high) - (high < usual_low)


@pytest.mark.parametrize(
    ("name", "measure", "side"),
    [
        ("no_plain_share", "spread_ratio", -1),
        ("no_plain_share", "lite0_kid", 0),
        ("no_kl", "lite0_kid", 1),
        ("no_kl", "reconstruction", -1),
        ("much_kl", "reconstruction", 1),
        ("much_kl", "spread_ratio", -1),
        ("no_feature", "reconstruction", 1),
        ("no_feature", "lite0_kid", 0),
        ("no_feature", "spread_ratio", 0),
        ("fast_discriminator", "spread_ratio", -1),
        ("fast_discriminator", "lite0_kid", -1),
    ],
)
def test_a_failure_is_on_the_side_of_the_usual_settings_that_it_tells(name, measure, side):
    assert apart(f"failures.{name}", measure) == side


def test_the_failures_are_the_best_and_the_worst_that_it_calls_them():
    def ranked(measure):
        return sorted(failures.ROWS.values(), key=lambda run: interval(run, measure)[0])

    assert ranked("lite0_kid")[0] == ranked("spread_ratio")[0] == "failures.fast_discriminator"
    assert ranked("lite0_kid")[-1] == ranked("reconstruction")[0] == "failures.no_kl"


def test_a_model_that_was_not_trained_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(failures, "WORK", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"python -m experiments\.runs failures\.no_kl"):
        failures.folders()


def test_the_picture_of_the_failures_has_a_row_for_each(tmp_path):
    town = il.ToyTown("train", 64, length=8)
    trainer = il.Trainer(il.TrainConfig(**TINY | {"log_every": 1}), town)
    trainer.fit(2, tmp_path, progress=False)
    il.save_pretrained(tmp_path / "model.safetensors", trainer)
    figure = failures.draw({"usual": tmp_path, "no KL": tmp_path})
    assert [text.get_text() for text in figure.texts] == ["usual", "no KL"]
    pictures = [axes for axes in figure.axes if axes.images]
    curves = [axes for axes in figure.axes if axes.lines]
    assert len(pictures) == 2 * 2 * len(failures.STREETS) and len(curves) == 2
    assert curves[0].lines[0].get_ydata().tolist() == pytest.approx([row["real"] for row in trainer.history])
    assert not np.array_equal(pictures[0].images[0].get_array(), pictures[3].images[0].get_array())


def test_it_tells_its_weights_and_what_no_row_of_the_failures_hides():
    config = il.TrainConfig()
    weights = f"$\\lambda_{{FM}} = {config.lambda_feature:g}$, $\\lambda_{{KL}} = {config.lambda_kl:g}$"
    assert weights in TEXT and f"and $\\lambda_{{pixel}} = {config.lambda_pixel:g}$" in TEXT
    rows = [run for run in failures.ROWS.values()]
    spreads = {run: interval(run, "spread_ratio")[0] for run in rows}
    assert "the spread ratio is the best of all rows" in TEXT and max(spreads, key=spreads.get) == "failures.no_kl"
    low = {run for run in rows if interval(run, "mean_iou")[0] < 95}
    assert "the only ones below 95" in TEXT and low == {"failures.no_kl", "failures.fast_discriminator"}


def test_what_it_reads_off_its_last_table_is_printed_there():
    cells = nbformat.read(ROOT / "notebooks/06_training.ipynb", 4).cells
    (cell,) = (cell for cell in cells if "metrics.measure_diversity(" in cell.source)
    text = "".join(output.get("text", "") for output in cell.outputs)
    rows = {}
    for line in text.splitlines()[1:]:
        name, *numbers = re.findall(r"-?[\w.]+", line)
        rows[name] = [float(number) for number in numbers]  # n, spread and ends, pairs, correlation and ends, color
    _, spread, *_ = rows["mean"]
    assert "about a tenth less than they should" in TEXT and 0.85 < spread < 0.95
    assert rows["mean"][6] < 0 < rows["mean"][7] and "The mean correlation is 0 within its interval." in TEXT
    assert max(abs(row[5]) for row in rows.values()) < 0.1
    colors = {name: row[8] for name, row in rows.items()}
    assert "Balloons have the least exact colors." in TEXT and max(colors, key=colors.get) == "balloon"
