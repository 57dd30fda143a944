"""What came after INADE: OASIS's idea and a flow, trained, measured and timed on the same truth (notebook 11).

    python -m experiments.later oasis             train it, or go on where it stopped, measure it, time it, record it
    python -m experiments.later flow              the same of the flow
    python -m experiments.later --measure flow    measure and time the shipped model again
    python -m experiments.later --time flow       only time it again

A run works in runs/later/<name>/ and ends in data/later/<name>.safetensors and data/results/later/<name>.json. It keeps
to one thread; with OMP_NUM_THREADS=2 it takes both cores.
"""

import argparse
import json
import os
import shutil
from dataclasses import asdict

import inade_lite as il  # isort: skip: before Paddle, which it prepares
import numpy as np
import paddle

from inade_lite import metrics
from inade_lite.data.toy_town import ToyTown
from inade_lite.files import write_file
from inade_lite.later import LATER, LEARNERS, load_later, save_later
from inade_lite.setup.runtime import cpu_model
from inade_lite.training import CHECKPOINT, MODEL

from .runs import RESULTS, ROOT, SAMPLES, SCENES, data_version, moved, write_record
from .tries import TRAIN_SCENES

WORK = ROOT / "runs/later"

# Rounds in which INADE and what came after it take turns, and pictures in a batch.
ROUNDS = 21
BATCH = 8


def record_path(name):
    """Where the record of a model is.

    >>> from experiments.later import record_path
    >>> record_path("flow").parts[-4:]
    ('data', 'results', 'later', 'flow.json')
    """
    return RESULTS / "later" / f"{name}.json"


def recorded(name):
    """The record of a model."""
    return json.loads(record_path(name).read_text("utf-8"))


def train(name):
    """Train a model to its end, from its last checkpoint if there is one. Returns the path where it is stored."""
    folder = WORK / name
    learner_class = LEARNERS[name]
    town = ToyTown("train", 64, length=TRAIN_SCENES)
    config = learner_class.config_class()
    if (folder / CHECKPOINT).exists():
        learner = learner_class.resume(folder, town)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        learner = learner_class(config, town)
    if asdict(learner.config) != asdict(config):
        raise SystemExit(f"{folder} was trained with other settings than inade_lite/later.py has; remove the folder")
    learner.fit(folder)

    path = folder / MODEL
    provenance = {
        "processor": cpu_model(),
        "run": name,
        "data": data_version(),
        "train_scenes": TRAIN_SCENES,
        "command": f"python -m experiments.later {name}",
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
    }
    # Stored twice: how far half precision moves the pictures is known only from a stored model.
    save_later(path, learner, **provenance)
    stored = load_later(path).generator
    provenance["half_precision_moves"] = moved(learner.ema, stored, ToyTown("val", 64), scenes=8)
    save_later(path, learner, **provenance)
    LATER.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, shipped_path(name))
    losses = {"history": learner.history}
    write_file(folder / "losses.json", json.dumps(losses).encode())
    return shipped_path(name)


def shipped_path(name):
    """Where a trained model is.

    >>> from experiments.later import shipped_path
    >>> shipped_path("flow").name
    'flow.safetensors'
    """
    return LATER / f"{name}.safetensors"


def record(name, path):
    """Measure and time a model, and write its record."""
    model = load_later(path)
    town = ToyTown("val", 64)
    told = {key: value for key, value in model.config.items() if key != "class_names"}
    content = {
        "run": name,
        "data": data_version(town),
        "measured": {"scenes": SCENES, "samples": SAMPLES, "seed": 0},
        "machine": {"processor": cpu_model(), "paddle": paddle.__version__},
        "model": told,
        "title": LEARNERS[name].title,
        "measures": metrics.measure(model, town, SCENES, SAMPLES),
        "speed": speed(model.generator),
    }
    write_record(record_path(name), content)


def speed(generator):
    """Milliseconds for a picture, beside INADE's in the same minute: {"one" and "batch": {...}}.

    Both take turns, so that a machine that slows down slows both. ms, inade_ms: medians over the rounds, for a picture;
    ratio: the median of the rounds' ratios and their quartiles. Noise is drawn, and what depends on the maps alone is
    known, before the clock runs.
    """
    inade = il.load_pretrained("inade").generator
    town = ToyTown("val", 64)
    found = {"threads": os.environ.get("OMP_NUM_THREADS", ""), "rounds": ROUNDS}
    for what, count in (("one", 1), ("batch", BATCH)):
        layout = il.Layout.of(il.collate([town[i] for i in range(count)]), town)
        forms = {}
        for name, network in (("inade", inade), ("later", generator)):
            forms[name] = _painter(network, layout)
        times = {name: np.array(values) / count for name, values in il.take_turns(forms, ROUNDS).items()}
        low, middle, high = np.percentile(times["later"] / times["inade"], [25, 50, 75])
        found[what] = {
            "pictures": count,
            "ms": float(np.median(times["later"])),
            "inade_ms": float(np.median(times["inade"])),
            "ratio": [float(middle), float(low), float(high)],
        }
    return found


def _painter(generator, layout):
    """A function without arguments that paints the layout."""
    noise, latent = metrics.start(generator, layout, 0)
    return lambda: metrics.paint(generator, layout, noise, latent)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=list(LEARNERS))
    parser.add_argument("--measure", action="store_true", help="measure and time the shipped model again")
    parser.add_argument("--time", action="store_true", help="time the shipped model again")
    arguments = parser.parse_args()
    name = arguments.name
    if arguments.time:
        content = recorded(name)
        content["speed"] = speed(load_later(name).generator)
        write_record(record_path(name), content)
    elif arguments.measure:
        record(name, shipped_path(name))
    else:
        record(name, train(name))


if __name__ == "__main__":
    main()
