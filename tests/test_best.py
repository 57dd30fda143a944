"""The best model of a training is kept, not the last one."""

import csv

import numpy as np
import pytest
from helpers import TINY, assert_same_weights

import inade_lite as il
from inade_lite.__main__ import main
from inade_lite.best import BEST, EVALUATIONS, Best
from inade_lite.metrics import Estimate

TOWN = il.ToyTown("train", 32, length=6)
VAL = il.ToyTown("val", 32, length=5)
OFTEN = TINY | {"log_every": 1, "preview_every": 1, "save_every": 2}


def rows(folder):
    with open(folder / EVALUATIONS, newline="") as file:
        return list(csv.DictReader(file))


def told(values):
    """A Best whose measurements are these."""

    class Told(Best):
        def measure(self, generator):
            return Estimate(values.pop(0), 0.0, 1.0)

    return Told


def test_the_model_with_the_least_distance_is_kept_and_a_resumed_run_knows_it(tmp_path):
    trainer = il.Trainer(il.TrainConfig(**OFTEN), TOWN)
    trainer.fit(6, tmp_path, on_preview=told([0.9, 0.3, 0.5])(VAL, tmp_path, every=2), progress=False)
    assert il.load_pretrained(tmp_path / BEST).config["steps"] == 4
    assert [(row["step"], row["value"]) for row in rows(tmp_path)] == [("2", "0.9"), ("4", "0.3"), ("6", "0.5")]
    resumed = il.Trainer.resume(tmp_path, TOWN)
    resumed.fit(4, tmp_path, on_preview=told([0.4, 0.2])(VAL, tmp_path, every=2), progress=False)
    assert il.load_pretrained(tmp_path / BEST).config["steps"] == 10
    assert len(rows(tmp_path)) == 5


def test_steps_that_a_killed_run_repeats_get_one_row(tmp_path):
    trainer = il.Trainer(il.TrainConfig(**OFTEN), TOWN)
    trainer.fit(2, tmp_path, progress=False)
    again = il.Trainer.resume(tmp_path, TOWN)
    for each in (trainer, again):
        keeper = told([0.1])(VAL, tmp_path, every=4)
        each.fit(2, None, on_preview=None, progress=False)
        keeper(each)
    assert [row["step"] for row in rows(tmp_path)] == ["4"]


def test_the_measure_is_the_kid_of_samples_beside_photos():
    trainer = il.Trainer(il.TrainConfig(**OFTEN), TOWN)
    found = Best(VAL, ".", every=1, seed=3).measure(trainer.ema)
    batch = il.collate(list(VAL))
    samples = il.sample(trainer.ema, il.Layout.of(batch, VAL), [3, 0]).numpy()
    expected, interval = il.lite0.kid(il.lite0.features(samples), il.lite0.features(batch["image"]), range(5))
    assert found == pytest.approx((expected, *interval))


def test_from_the_shell(tmp_path, capsys):
    il.write_folder(TOWN, tmp_path / "town", "train")
    il.write_folder(VAL, tmp_path / "town", "val")
    settings = " ".join(f"--{name} {value}" for name, value in TINY.items())
    line = f"train --data {tmp_path}/town --size 32 --out {tmp_path}/run --evaluate_every 2 {settings}"
    main(f"{line} --steps 5".split())
    out = capsys.readouterr().out
    assert "best.safetensors: the best of 2, Lite0-KID" in out
    found = rows(tmp_path / "run")
    best = min(found, key=lambda row: float(row["value"]))
    assert [row["step"] for row in found] == ["2", "4"] and np.isfinite(float(best["value"]))
    model = il.load_pretrained(tmp_path / "run" / BEST)
    assert str(model.config["steps"]) == best["step"] and model.config["data"] == f"{tmp_path}/town"
    main(f"train --resume --out {tmp_path}/run --steps 1 --evaluate_every 2".split())
    assert [row["step"] for row in rows(tmp_path / "run")] == ["2", "4", "6"]


def test_a_val_split_of_two_is_too_small():
    with pytest.raises(ValueError, match="val has 2 items, a measurement takes 3 or more"):
        Best(il.ToyTown("val", 32, length=2), ".", every=1)


def test_measuring_changes_nothing(tmp_path):
    """A run that is measured learns what one learns that is not."""
    one, other = (il.Trainer(il.TrainConfig(**OFTEN), TOWN) for _ in range(2))
    one.fit(3, tmp_path, on_preview=Best(VAL, tmp_path, every=1), progress=False)
    other.fit(3, progress=False)
    assert_same_weights(one.generator, other.generator)
    assert_same_weights(one.ema, other.ema)
