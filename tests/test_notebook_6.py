"""The training step that notebook 6 writes out is the package's."""

import numpy as np
import pytest
from helpers import LIMIT, TINY, assert_same_weights

import inade_lite as il

TOWN = il.ToyTown("train", 32, length=8)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_its_step_is_the_packages(notebook, share):
    step = notebook["train_step"]
    config = il.TrainConfig(**TINY | {"batch_size": 4, "seed": 3, "plain_share": share})
    ours, theirs = il.Trainer(config, TOWN), il.Trainer(config, TOWN)
    for k in range(2):
        batch = il.collate([TOWN[4 * k + i] for i in range(4)])
        mine, package = step(ours, batch), theirs.step(batch)
        ours.steps_done += 1
        assert set(mine) == set(package)
        for name in mine:
            np.testing.assert_allclose(float(mine[name]), float(package[name]), rtol=LIMIT)
    for network in ("generator", "encoder", "discriminator"):
        assert_same_weights(*(getattr(trainer, network) for trainer in (ours, theirs)), LIMIT)
