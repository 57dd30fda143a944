"""How far `train --dry-run` is off: what it says of three sizes, and what a step with the whole batch takes.

    python -m experiments.costs          measure all, write data/results/studies/costs.json

Four minutes, and up to 14 GB. Times are worth something on a quiet machine only; memory is the same on any.
"""

import json
import os

import inade_lite as il  # isort: skip: before Paddle, which it prepares
from tqdm.auto import tqdm

from inade_lite.config import DATA_DEFAULTS
from inade_lite.estimate import estimate, probe
from inade_lite.setup.runtime import cpu_model

from .runs import RESULTS, write_record

PATH = RESULTS / "studies/costs.json"

WIDE = {
    "noise_dim": 64,
    "latent_dim": 256,
    "num_upsamplings": 5,
    "base_channels": 64,
    "encoder_channels": 64,
    "discriminator_channels": 64,
}
THIN = dict.fromkeys(("base_channels", "encoder_channels", "discriminator_channels"), 32)

# {name: (settings, side of the pictures)}. The last one has the authors' widths.
SIZES = {
    "64": ({}, 64),
    "128": ({**THIN, "num_upsamplings": 5}, 128),
    "256": (WIDE, 256),
}


def measured(settings, side):
    """What the dry run says of a size, and what was measured, a dict."""
    config = il.TrainConfig(**settings)
    source = DATA_DEFAULTS | {"size": side}
    parameters, costs = estimate(config, source, progress=False)
    whole = probe(config, source, config.batch_size, shrink=1, as_on_gpu=False)
    return {
        "side": side,
        "batch": config.batch_size,
        "base_channels": config.base_channels,
        "weights": parameters,
        "estimated": {"memory": costs[0].memory, "seconds": costs[0].seconds},
        "measured": {"memory": whole.memory, "seconds": whole.seconds},
        "cards": {cost.where: {"memory": cost.memory, "seconds": cost.seconds} for cost in costs[1:]},
    }


def recorded():
    """The record.

    >>> from experiments.costs import recorded
    >>> list(recorded()["sizes"])
    ['64', '128', '256']
    """
    return json.loads(PATH.read_text("utf-8"))


def main():
    """Measure and write the record."""
    sizes = {}
    for name, size in tqdm(SIZES.items()):
        sizes[name] = measured(*size)
        print(name, sizes[name]["estimated"], sizes[name]["measured"])
    machine = {"processor": cpu_model(), "threads": os.environ.get("OMP_NUM_THREADS", "")}
    write_record(PATH, {"machine": machine, "sizes": sizes})


if __name__ == "__main__":
    main()
