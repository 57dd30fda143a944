"""What a training says of itself when it goes wrong, checked on the logs of notebook 6's trainings."""

import csv
from pathlib import Path

import numpy as np
import pytest

import inade_lite as il
from experiments.tries import failures
from inade_lite import signs, training

LOGS = Path(__file__).parent / "training_logs"  # losses.csv of `python -m experiments.runs failures.<name>`
SIGNS = {
    "usual": set(),
    "no_plain_share": set(),
    "no_kl": set(),
    "no_feature": set(),
    "much_kl": {"kl"},
    "fast_discriminator": {"swings"},
}


def told(name, until=None):
    """All signs of a log, as a Trainer tells them row by row: {sign: the step of its first row}."""
    with open(LOGS / f"{name}.csv", newline="") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    config = il.TrainConfig(**failures()[f"failures.{name}"].fields)
    known = max(1, round(config.batch_size * (1 - config.plain_share)))
    found = {}
    for count in range(1, len(rows) + 1):
        for sign in signs.of_losses(rows[:count], config, known):
            found.setdefault(sign, rows[count - 1]["step"])
    return found


@pytest.mark.parametrize("name", SIGNS)
def test_trainings_that_break_show_their_sign_and_others_none(name):
    found = told(name)
    assert found.keys() == SIGNS[name]
    assert all(step <= 220 for step in found.values())  # of 600


def test_a_discriminator_that_knows_every_picture_is_told():
    rows = [{"step": 200 + k, "fake": 0.01, "real": 0.02, "kl": 1.0} for k in range(5)]
    found = signs.of_losses(rows, il.TrainConfig(), known=4)
    assert list(found) == ["wins"] and "0.03 together" in found["wins"]


@pytest.mark.parametrize(("mode", "blind"), [("hinge", 2.0), ("ls", 1.0), ("original", 1.39)])
def test_a_discriminator_is_measured_by_one_that_says_zero(mode, blind):
    rows = [{"step": 200, "fake": 10.0, "real": 10.0}] * 5
    assert f"always says 0 has {blind:.1f}" in signs.of_losses(rows, il.TrainConfig(gan_mode=mode), 4)["swings"]


def test_scores_without_a_scale_tell_nothing():
    rows = [{"step": 200, "fake": 10.0, "real": 10.0}] * 5
    assert signs.of_losses(rows, il.TrainConfig(gan_mode="w"), 4) == {}


def test_the_first_steps_tell_nothing():
    rows = [{"step": 20 * k, "fake": 9.0, "real": 9.0} for k in range(1, 6)]
    assert signs.of_losses(rows, il.TrainConfig(), 4) == {}


def test_samples_that_are_alike_are_told_where_noise_should_be_heard():
    random = np.random.default_rng(0)
    real, one, other = random.uniform(-1, 1, [3, 2, 3, 8, 8])
    rows = {"real": real, "sample 1": one, "sample 2": one + 0.01 * other}
    assert list(signs.of_samples(rows, "instance")) == ["alike"]
    assert signs.of_samples(rows, None) == {}  # SPADE and CLADE have none
    assert signs.of_samples(rows | {"sample 2": other}, "instance") == {}


@pytest.mark.parametrize(
    ("batch_size", "plain_share", "level", "expected"),
    [
        (1, 0.5, "instance", ["none plain"]),
        (1, 0.0, "instance", []),
        (2, 0.5, "instance", []),
        (2, 0.5, "image", ["one known"]),
        (4, 0.5, "image", []),
        (3, 0.1, "instance", ["none plain"]),
    ],
)
def test_batches_that_are_too_small_are_told(batch_size, plain_share, level, expected):
    config = il.TrainConfig(batch_size=batch_size, plain_share=plain_share)
    known = max(1, round(batch_size * (1 - plain_share)))
    assert list(signs.of_settings(config, known, level)) == expected


def test_a_training_tells_each_sign_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(signs, "FIRST_STEP", 1)
    small = {"noise_dim": 4, "latent_dim": 6, "base_channels": 2, "encoder_channels": 2, "discriminator_channels": 2}
    config = il.TrainConfig(**small, num_upsamplings=3, batch_size=2, log_every=1, preview_every=1, lambda_kl=1e6)
    trainer = il.Trainer(config, il.ToyTown("train", 32, length=4))
    monkeypatch.setattr(training.signs, "NATS", 1e9)
    monkeypatch.setattr(training.signs, "ALIKE", 1e9)
    trainer.fit(8, tmp_path, progress=False)
    out = capsys.readouterr().out
    assert out.count("posterior collapse") == 1 and out.count("mode collapse") == 1
    assert "step 5: the encoder tells only" in out and "step 1: samples of other noise look the same" in out
