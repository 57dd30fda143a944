"""The tuning: short runs of INADE and each rival with other settings, the same kinds for all (`make tune`).

python -m experiments.tries      the names of the tries
"""

from typing import NamedTuple

import inade_lite as il

# The common budget of a run: 17 minutes for INADE on one core, see the training log.
STEPS = 2000

# Drawn on the fly, so that no scene is seen twice at the common budget.
TRAIN_SCENES = 32000

# Of a try, and how it is measured.
TRY_STEPS = 1000
TRY_SCENES = 64
TRY_SAMPLES = 4

# Of a failure: enough to see it.
FAILURE_STEPS = 600


class Run(NamedTuple):
    """One training. fields: what differs from TrainConfig's defaults; ships_as: its name in data/pretrained.

    town: a name in `TOWNS`, what it is trained on and measured on. size: the side of its pictures. start: the shipped
    model whose weights it begins with, by default fresh ones. scenes: how many different ones it is trained on.

    >>> from experiments.tries import Run
    >>> Run({"method": "spade"}).steps
    2000
    """

    fields: dict
    steps: int = STEPS
    ships_as: str = ""
    town: str = "town"
    size: int = 64
    start: str = ""
    scenes: int = TRAIN_SCENES


def settings(method, seed=0, **more):
    """The fields of a run: those that all runs have, and more.

    >>> from experiments.tries import settings
    >>> settings("spade", plain_share=0.0)
    {'method': 'spade', 'seed': 0, 'preview_every': 500, 'plain_share': 0.0}
    """
    return {"method": method, "seed": seed, "preview_every": 500, **more}


# Where INADE and its rivals start from. Half of INADE's batch has plain noise, because samples will have it, too
# (`plain_share`). SPADE and CLADE have no noise. The encoder of SPADE + VAE standardizes over the pictures that it
# sees, so it sees all of the batch.
START = {
    "inade": {},
    "class_noise": {},
    "spade_vae": {"plain_share": 0.0, "lambda_kl": 0.002},
    "spade": {"plain_share": 0.0},
    "clade": {"plain_share": 0.0},
}


def tries(method):
    """The four tries of INADE or a rival, {name: Run}.

    Its start; with half and with twice its learning rates; with half of the pixel loss over instances.

    >>> from experiments.tries import tries
    >>> list(tries("spade"))
    ['spade.start', 'spade.rates', 'spade.fast_rates', 'spade.instances']
    """
    start = il.TrainConfig(method=method, **START[method])
    changes = {
        "start": {},
        "rates": _rates(start, 1 / 2),
        "fast_rates": _rates(start, 2),
        "instances": {"instance_share": 0.5},
    }
    found = {}
    for name, change in changes.items():
        fields = settings(method, **START[method] | change)
        found[f"{method}.{name}"] = Run(fields, TRY_STEPS)
    return found


def _rates(config, factor):
    """Both learning rates, times a factor."""
    return {
        "learning_rate_g": factor * config.learning_rate_g,
        "learning_rate_d": factor * config.learning_rate_d,
    }


# INADE with positions: what it takes to paint patterns, and what is left where one part of it is missing. Half of the
# pixel loss over instances and less KL are what the long INADE has, too.
POSITIONS = {"instance_share": 0.5, "lambda_kl": 0.004, "lambda_pattern": 500.0}


def ideas():
    """The tries of INADE with positions, {name: Run}.

    >>> from experiments.tries import ideas
    >>> list(ideas())[:2]
    ['positions.start', 'positions.no_places']
    """
    changes = {
        "start": {},
        "no_places": {"method": "no_places"},
        "no_strengths": {"method": "no_strengths"},
        "no_loss": {"lambda_pattern": 0.0},
        "loose_noise": {"method": "loose_noise"},
    }
    found = {}
    for name, change in changes.items():
        fields = {**settings("inade_positions"), **POSITIONS, **change}
        found[f"positions.{name}"] = Run(fields, TRY_STEPS)
    return found


def failures():
    """INADE with its usual settings, and with one that breaks it, {name: Run}.

    >>> from experiments.tries import failures
    >>> list(failures())[:2]
    ['failures.usual', 'failures.no_plain_share']
    """
    usual = il.TrainConfig()
    changes = {
        "usual": {},
        "no_plain_share": {"plain_share": 0.0},
        "no_kl": {"lambda_kl": 0.0},
        "much_kl": {"lambda_kl": 10 * usual.lambda_kl},
        "no_feature": {"lambda_feature": 0.0},
        "fast_discriminator": {"learning_rate_d": 10 * usual.learning_rate_d},
    }
    return {f"failures.{name}": Run(settings("inade", **change), FAILURE_STEPS) for name, change in changes.items()}


def few():
    """INADE trained on few scenes, without and with differentiable augmentation, {name: Run}.

    >>> from experiments.tries import few
    >>> list(few())[:2]
    ['few.16.none', 'few.16.geometry']
    """
    found = {}
    for scenes in (16, 100, 1000):
        for policy in ("none", "geometry", "all"):
            fields = settings("inade", diff_augment=policy)
            found[f"few.{scenes}.{policy}"] = Run(fields, scenes=scenes)
    return found


def sketches():
    """INADE that draws by sketches, too, {name: Run}; inade_0 is the same without.

    >>> from experiments.tries import sketches
    >>> list(sketches())
    ['sketch.0']
    """
    return {"sketch.0": Run(settings("inade_sketch"))}


# What is compared beside the table.
STUDIES = few() | sketches()

TRIES = {name: run for method in START for name, run in tries(method).items()} | ideas() | failures()


if __name__ == "__main__":
    print(" ".join(TRIES))
