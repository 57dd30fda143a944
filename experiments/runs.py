"""All trainings of the table: `make pretrain-all` trains and measures what is not recorded yet.

    python -m experiments.runs                      the names of all runs
    python -m experiments.runs inade_0              train it, or go on where it stopped, measure it, record it
    python -m experiments.runs --measure inade      measure its shipped model again
    python -m experiments.runs --shipped            the names of the runs whose models ship

A run works in runs/pretrain/<name>/ and ends in data/results/<name>.json; those that ship also in data/pretrained/.
A try, such as spade.rates, ends in data/results/tries/.
"""

import argparse
import hashlib
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

import inade_lite as il  # isort: skip: before Paddle, which it prepares
import paddle

from inade_lite import metrics
from inade_lite.files import write_file
from inade_lite.methods import METHODS
from inade_lite.setup.runtime import cpu_model
from inade_lite.weights.pretrained import PRETRAINED
from inade_lite.weights.tensors import read_tensors

from .tries import START, TRIES, TRY_SAMPLES, TRY_SCENES, Run, settings

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "data/results"
WORK = ROOT / "runs/pretrain"

TRAIN_SCENES = 32000  # drawn on the fly, so that no scene is seen twice at the common budget
SCENES, SAMPLES = 256, 8  # measured


RUNS = {
    "inade": Run(settings("inade", instance_share=0.5, lambda_kl=0.004), 10000, "inade"),
    **{f"inade_{s}": Run(settings("inade", s), ships_as="" if s else "inade_short") for s in range(3)},
    **{f"class_noise_{s}": Run(settings("class_noise", s), ships_as="" if s else "class_noise") for s in range(3)},
    **{
        f"spade_vae_{s}": Run(settings("spade_vae", s, **START["spade_vae"]), ships_as="" if s else "spade_vae")
        for s in range(3)
    },
    "spade_0": Run(settings("spade", **START["spade"])),
    "clade_0": Run(settings("clade", **START["clade"])),
    # What these took after their tries.
    **{f"class_noise_tuned_{s}": Run(TRIES["class_noise.fast_rates"].fields | {"seed": s}) for s in range(3)},
    **{f"{method}_tuned_0": Run(TRIES[f"{method}.fast_rates"].fields) for method in ("spade_vae", "clade")},
    # Each of its 18 noises has the same means and variances, so that KL counts them 18 times.
    "independent_noise_0": Run(settings("independent_noise", lambda_kl=il.TrainConfig.lambda_kl / 18)),
    "no_encoder_0": Run(settings("no_encoder")),
    "plain_encoder_0": Run(settings("plain_encoder")),
    "scale_noise_0": Run(settings("scale_noise")),
    "shift_noise_0": Run(settings("shift_noise")),
}


def record_path(name):
    return RESULTS / ("tries" if name in TRIES else "") / f"{name}.json"


def data_version():
    """A digest of the first validation scenes: it changes when ToyTown draws otherwise."""
    town, digest = il.ToyTown("val", 64), hashlib.sha256()
    for i in range(8):
        for key in ("image", "label", "instance"):
            digest.update(town[i][key].tobytes())
    return f"toy_town {digest.hexdigest()[:12]}"


def train(name):
    """Train a run to its end; returns the path of its model."""
    run, folder = (RUNS | TRIES)[name], WORK / name
    town, val = il.ToyTown("train", 64, length=TRAIN_SCENES), il.ToyTown("val", 64)
    preview = [val[i] for i in range(8)]
    if (folder / "checkpoint.safetensors").exists():
        trainer = il.Trainer.resume(folder, town, preview)
    else:
        trainer = il.Trainer(il.TrainConfig(**run.fields), town, preview)
    if asdict(trainer.config) != asdict(il.TrainConfig(**run.fields)):
        raise SystemExit(f"{folder} was trained with other settings than experiments/runs.py has; remove the folder")
    if trainer.steps_done < run.steps:
        trainer.fit(run.steps - trainer.steps_done, folder)
    path = folder / "model.safetensors"
    provenance = {
        "run": name,
        "data": data_version(),
        "train_scenes": TRAIN_SCENES,
        "command": f"python -m experiments.runs {name}",
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
    }
    il.save_pretrained(path, trainer, **provenance)
    il.save_pretrained(path, trainer, **provenance, half_precision_moves=moved(trainer.ema, path, val))
    if run.ships_as:
        shutil.copyfile(path, PRETRAINED / f"{run.ships_as}.safetensors")
    return path


def moved(generator, path, dataset, scenes=32):
    """How far the half precision of a stored model moves a pixel at most, in units of 0..255."""
    batch = il.collate([dataset[i] for i in range(scenes)])
    layout = il.Layout(batch["label"], batch["instance"], dataset.num_classes)
    stored = il.load_pretrained(path).generator
    return float((il.sample(generator, layout, 0) - il.sample(stored, layout, 0)).abs().amax()) * 127.5


def record(name, path):
    """Measure the model of a run or a try, or the truth, and write its record."""
    town = il.ToyTown("val", 64)
    scenes, samples = (TRY_SCENES, TRY_SAMPLES) if name in TRIES else (SCENES, SAMPLES)
    content = {"run": name, "data": data_version(), "measured": {"scenes": scenes, "samples": samples, "seed": 0}}
    content["machine"] = {"processor": cpu_model(), "paddle": paddle.__version__}
    if path is None:
        measures = metrics.measure(None, town, scenes, samples, draw=metrics.from_truth(town, 1))
    else:
        content["model"] = {k: v for k, v in read_tensors(path)[1].items() if k != "class_names"}
        content["title"] = METHODS[content["model"]["train_config"]["method"]].title
        measures = metrics.measure(il.load_pretrained(path), town, scenes, samples)
    content["measures"] = measures
    record_path(name).parent.mkdir(parents=True, exist_ok=True)
    write_file(record_path(name), (json.dumps(content, indent=1) + "\n").encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", choices=[*RUNS, *TRIES, "truth"])
    parser.add_argument("--measure", action="store_true", help="measure the shipped model again, without training")
    parser.add_argument("--shipped", action="store_true", help="the names of the runs whose models ship")
    arguments = parser.parse_args()
    if arguments.shipped:
        print(" ".join(name for name, run in RUNS.items() if run.ships_as))
    elif arguments.name is None:
        print(" ".join(["truth", *RUNS]))
    elif arguments.name == "truth":
        record("truth", None)
    elif arguments.measure:
        record(arguments.name, PRETRAINED / f"{RUNS[arguments.name].ships_as}.safetensors")
    else:
        record(arguments.name, train(arguments.name))


if __name__ == "__main__":
    main()
