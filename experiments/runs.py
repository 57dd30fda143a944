"""All trainings of the table: `make pretrain-all` trains and measures what is not recorded yet.

    python -m experiments.runs                      the names of all runs
    python -m experiments.runs inade_0              train it, or go on where it stopped, measure it, record it
    python -m experiments.runs --measure inade      measure its shipped model again
    python -m experiments.runs --shipped            the names of the runs whose models ship

A run works in runs/pretrain/<name>/ and ends in data/results/<name>.json; those that ship also in data/pretrained/.
A try, for example spade.rates, ends in data/results/tries/.
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
from inade_lite.data.painted import StrokeTown
from inade_lite.data.sketches import suited
from inade_lite.files import write_file
from inade_lite.methods import METHODS
from inade_lite.setup.runtime import cpu_model
from inade_lite.weights.pretrained import PRETRAINED
from inade_lite.weights.tensors import load_state, read_tensors

from .towns import TOWNS
from .tries import POSITIONS, START, STUDIES, TRIES, TRY_SAMPLES, TRY_SCENES, Run, settings

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "data/results"
WORK = ROOT / "runs/pretrain"

# What is measured of each run.
SCENES = 256
SAMPLES = 8

# What is measured on painted streets of the models that ship, and on how many.
STROKES = ("pixel_accuracy", "mean_iou", "lite0_kid")
STROKE_SCENES = 64

SEEDS = range(3)


def _all_runs():
    """{name: Run}, in the order of the table's rows. Of several seeds, the first ships."""
    long = settings("inade", instance_share=0.5, lambda_kl=0.004)
    runs = {"inade": Run(long, 10000, "inade", "wobbly"), "inade_town": Run(long, 10000)}
    for seed in SEEDS:
        runs[f"inade_{seed}"] = Run(settings("inade", seed), ships_as="" if seed else "inade_short")
    for method in ("class_noise", "spade_vae"):
        for seed in SEEDS:
            fields = settings(method, seed, **START[method])
            runs[f"{method}_{seed}"] = Run(fields, ships_as="" if seed else method)
    for method in ("spade", "clade"):
        runs[f"{method}_0"] = Run(settings(method, **START[method]))
    # What these took after their tries.
    for seed in SEEDS:
        runs[f"class_noise_tuned_{seed}"] = Run(TRIES["class_noise.fast_rates"].fields | {"seed": seed})
    for method in ("spade_vae", "clade"):
        runs[f"{method}_tuned_0"] = Run(TRIES[f"{method}.fast_rates"].fields)
    patterns = settings("inade_positions", **POSITIONS)
    runs["inade_positions"] = Run(patterns, 10000, "inade_positions", "wobbly")
    for seed in SEEDS:
        runs[f"inade_positions_{seed}"] = Run(patterns | {"seed": seed})
    # One size up. A generator that doubles once more has weights of the same shapes.
    larger = patterns | {"num_upsamplings": 5, "discriminator_scales": 3, "batch_size": 4}
    falling = {"decay_from": 2200, "decay_steps": 800}
    runs["inade_128"] = Run(larger | falling, 3000, "inade_128", "wobbly", size=128, start="inade_positions")
    # The control: another town, whose patterns are others.
    runs["other_town_inade_0"] = Run(settings("inade"), town="other")
    runs["other_town_inade_positions_0"] = Run(patterns, town="other")
    # Each of its 18 noises has the same means and variances, so that KL counts them 18 times.
    runs["independent_noise_0"] = Run(settings("independent_noise", lambda_kl=il.TrainConfig.lambda_kl / 18))
    for method in ("no_encoder", "plain_encoder", "scale_noise", "shift_noise"):
        runs[f"{method}_0"] = Run(settings(method))
    runs["no_plain_share_0"] = Run(settings("inade", plain_share=0.0))
    return runs


RUNS = _all_runs()

# What a perfect generator would paint: ToyTown's own pictures, drawn again, in both sizes. Nothing is trained.
TRUTHS = {"truth": Run({}, steps=0), "truth_128": Run({}, steps=0, size=128)}

# Everything that leaves a record.
RECORDED = TRUTHS | RUNS | TRIES | STUDIES


def record_path(name):
    """Where the record of a run or a try is.

    >>> from experiments.runs import record_path
    >>> record_path("spade.rates").parts[-4:]
    ('data', 'results', 'tries', 'spade.rates.json')
    """
    folder = RESULTS
    if name in TRIES:
        folder = RESULTS / "tries"
    elif name in STUDIES:
        folder = RESULTS / "studies"
    return folder / f"{name}.json"


def recorded(name):
    """The record of a run, a try or the truth.

    >>> from experiments.runs import recorded
    >>> recorded("inade")["model"]["steps"]
    10000
    """
    return json.loads(record_path(name).read_text("utf-8"))


def data_version(town=None):
    """A digest of the first validation scenes, by default of ToyTown: it changes when they are drawn otherwise.

    >>> from experiments.runs import data_version
    >>> data_version().split()[0]
    'toy_town'
    """
    town = town or il.ToyTown("val", 64)
    digest = hashlib.sha256()
    for i in range(8):
        item = town[i]
        for key in ("image", "label", "instance"):
            digest.update(item[key].tobytes())
    return f"toy_town {digest.hexdigest()[:12]}"


# ---- Training


def train(name):
    """Train a run or a try to its end, from its last checkpoint if there is one. Returns the path of its model."""
    run = RECORDED[name]
    folder = WORK / name
    new_train, new_val = TOWNS[run.town]
    town = new_train("train", run.size, length=run.scenes)
    val = new_val("val", run.size)
    preview = [val[i] for i in range(8)]
    config = il.TrainConfig(**run.fields)
    if (folder / "checkpoint.safetensors").exists():
        trainer = il.Trainer.resume(folder, town, preview)
    else:
        trainer = il.Trainer(config, town, preview)
        if run.start:
            begin_with(trainer, PRETRAINED / f"{run.start}.safetensors")
    if asdict(trainer.config) != asdict(config):
        raise SystemExit(f"{folder} was trained with other settings than experiments/runs.py has; remove the folder")
    if trainer.steps_done < run.steps:
        trainer.fit(run.steps - trainer.steps_done, folder)

    path = folder / "model.safetensors"
    provenance = {
        "processor": cpu_model(),
        "run": name,
        "data": data_version(val),
        "town": run.town,
        "start": run.start,
        "train_scenes": run.scenes,
        "command": f"python -m experiments.runs {name}",
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
    }
    # Stored twice: how far half precision moves the pictures is known only from a stored model.
    il.save_pretrained(path, trainer, **provenance)
    provenance["half_precision_moves"] = moved(trainer.ema, il.load_pretrained(path).generator, val)
    il.save_pretrained(path, trainer, **provenance)
    if run.ships_as:
        shutil.copyfile(path, _shipped_path(run))
    return path


def begin_with(trainer, path):
    """Give a new trainer the weights of a stored model. Its discriminator stays fresh, since none is stored."""
    tensors, _ = read_tensors(path)
    for network in (trainer.generator, trainer.ema):
        load_state(network, tensors, path, "generator.")
    load_state(trainer.encoder, tensors, path, "encoder.")


def moved(generator, stored, dataset, scenes=32):
    """How far half precision, in which a generator was stored, moves a pixel at most, in units of 0..255."""
    dataset = suited(dataset, generator)
    batch = il.collate([dataset[i] for i in range(scenes)])
    layout = il.Layout.of(batch, dataset)
    before = il.sample(generator, layout, 0)
    after = il.sample(stored, layout, 0)
    return float((before - after).abs().amax()) * 127.5


def _shipped_path(run):
    return PRETRAINED / f"{run.ships_as}.safetensors"


# ---- Measuring


def record(name, path, again=False):
    """Measure the model of a run or a try, or with path None a truth, and write its record.

    again: the model was recorded before; where it was trained stays.
    """
    machine = {"processor": cpu_model(), "paddle": paddle.__version__}
    if again:
        machine = recorded(name)["machine"]
    run = RECORDED[name]
    _, new_val = TOWNS[run.town]
    town = new_val("val", run.size)
    scenes, samples = SCENES, SAMPLES
    if name in TRIES:
        scenes, samples = TRY_SCENES, TRY_SAMPLES
    content = {
        "run": name,
        "data": data_version(town),
        "measured": {"scenes": scenes, "samples": samples, "seed": 0},
        "machine": machine,
    }
    if path is None:
        draw = metrics.from_truth(town, 1)
        content["measures"] = metrics.measure(None, town, scenes, samples, draw=draw)
        content["strokes"] = on_strokes(run.size, lambda strokes: metrics.from_truth(strokes, 1))
    else:
        _, model = read_tensors(path)
        model.pop("class_names", None)
        content["model"] = model
        content["title"] = METHODS[model["train_config"]["method"]].title
        pretrained = il.load_pretrained(path)
        content["measures"] = metrics.measure(pretrained, town, scenes, samples)
        if run.ships_as:
            draw = metrics.from_generator(pretrained.generator)
            content["strokes"] = on_strokes(run.size, lambda strokes: draw)
    write_record(record_path(name), content)


def write_record(path, content):
    """Write a record, a JSON-able dict, and its folder if there is none."""
    text = json.dumps(content, indent=1) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, text.encode())


def on_strokes(size, new_draw):
    """What is measured on 64 streets of this size that a brush has painted.

    new_draw: from a StrokeTown to what draws pictures.
    """
    strokes = StrokeTown("val", size, length=STROKE_SCENES)
    found = metrics.measure(None, strokes, STROKE_SCENES, SAMPLES, draw=new_draw(strokes))
    return {measure: found[measure] for measure in STROKES}


def main():
    """The command line."""
    shipped = {name: run for name, run in RUNS.items() if run.ships_as and _shipped_path(run).exists()}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", choices=RECORDED)
    parser.add_argument("--measure", action="store_true", help="measure the shipped model again, without training")
    parser.add_argument("--shipped", action="store_true", help="the names of the runs whose models ship")
    arguments = parser.parse_args()
    name = arguments.name
    if arguments.shipped:
        print(" ".join(shipped))
    elif name is None:
        print(" ".join([*TRUTHS, *RUNS]))
    elif name in TRUTHS:
        record(name, None)
    elif arguments.measure:
        if name not in shipped:
            parser.error(f"the model of {name} does not ship; those that do: {', '.join(shipped)}")
        record(name, _shipped_path(shipped[name]), again=True)
    else:
        path = train(name)
        record(name, path)


if __name__ == "__main__":
    main()
