"""The training step that notebook 5 writes out is the package's."""

import numpy as np
import pytest
from notebook_definitions import load_definitions

import inade_lite as il

TINY = {"base_channels": 2, "encoder_channels": 2, "discriminator_channels": 2, "num_upsamplings": 3, "batch_size": 4}
LIMIT = 1e-4 if il.setup.runtime.device() == "cpu" else 1e-2  # a GPU sums in any order
TOWN = il.ToyTown("train", 32, length=8)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_its_step_is_the_packages(share):
    step = load_definitions("5_")["train_step"]
    config = il.TrainConfig(**TINY, seed=3, plain_share=share)
    ours, theirs = il.Trainer(config, TOWN), il.Trainer(config, TOWN)
    for k in range(2):
        batch = il.collate([TOWN[4 * k + i] for i in range(4)])
        mine, package = step(ours, batch), theirs.step(batch)
        ours.steps_done += 1
        assert set(mine) == set(package)
        for name in mine:
            np.testing.assert_allclose(float(mine[name]), float(package[name]), rtol=LIMIT)
    for network in ("generator", "encoder", "discriminator"):
        for a, b in zip(*(getattr(t, network).state_dict().values() for t in (ours, theirs)), strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=LIMIT, atol=LIMIT / 100)
