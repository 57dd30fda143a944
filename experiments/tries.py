"""The tuning: short runs of INADE and each rival with other settings, the same kinds for all (`make tune`).

python -m experiments.tries      the names of the tries
"""

from typing import NamedTuple

import inade_lite as il

STEPS = 2000  # the common budget of a run: 15 minutes for INADE on 2 cores, see the training log
TRY_STEPS, TRY_SCENES, TRY_SAMPLES = 1000, 64, 4  # of a try


class Run(NamedTuple):
    """One training: fields differ from TrainConfig's defaults; ships_as: its name in data/pretrained."""

    fields: dict
    steps: int = STEPS
    ships_as: str = ""


def settings(method, seed=0, **more):
    return {"method": method, "seed": seed, "preview_every": 500, **more}


# Where INADE and its rivals start from. All pictures are known where there is no noise that plain noise could teach,
# and to SPADE + VAE, whose encoder standardizes over them.
START = {
    "inade": {},
    "class_noise": {},
    "spade_vae": {"plain_share": 0.0, "lambda_kl": 0.002},
    "spade": {"plain_share": 0.0},
    "clade": {"plain_share": 0.0},
}


def tries(method):
    """The tries of INADE or a rival: its start, half and twice its rates, the pixel loss half over instances."""
    start = il.TrainConfig(method=method, **START[method])

    def rates(factor):
        return {key: factor * getattr(start, key) for key in ("learning_rate_g", "learning_rate_d")}

    changes = {"start": {}, "rates": rates(1 / 2), "fast_rates": rates(2), "instances": {"instance_share": 0.5}}
    return {
        f"{method}.{name}": Run(settings(method, **START[method] | change), TRY_STEPS)
        for name, change in changes.items()
    }


TRIES = {name: run for method in START for name, run in tries(method).items()}


if __name__ == "__main__":
    print(" ".join(TRIES))
