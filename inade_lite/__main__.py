"""The package from a shell: python -m inade_lite COMMAND --help tells the options of a command.

Only the options stand here, and they need no Paddle: `doctor` and `--help` work where it is missing or broken.
"""

import argparse
import dataclasses
import importlib
import re
import sys

from .config import DATA_DEFAULTS, MAY_CHANGE, TrainConfig, check
from .setup import doctor

# The names in `data.sets.SETS` and in `weights.original.PRESETS`, which need Paddle. A test holds them equal.
SETS = ("folder", "cityscapes", "coco_stuff", "ade20k", "ade20k_original", "celebamask_hq", "deepfashion")
SOURCES = ("maps", "coco", "labelme", "yolo", "voc", "cityscapes")  # in `data.sources.SOURCES`
PRESETS = ("ade20k", "cityscapes", "celebamask_hq", "deepfashion", "coco_stuff")

# The sides of pictures, in pixels.
SMALLEST = 16
LARGEST = 4096


def height_by_width(text):
    """The size that a text names: a side, or (height, width).

    >>> height_by_width("64"), height_by_width("256x512")
    (64, (256, 512))
    """
    if not re.fullmatch(r"\d+(x\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; give a side, or height x width such as 256x512")
    sides = tuple(int(side) for side in text.split("x"))
    if not all(SMALLEST <= side <= LARGEST for side in sides):
        raise argparse.ArgumentTypeError(f"{text}: a side has {SMALLEST} to {LARGEST} pixels")
    return sides if len(sides) == 2 else sides[0]


def reader(name, default, told):
    """A function that reads a value of the default's type from a text, for argparse. told: as in `config.check`.

    >>> reader("steps", 2000, {"low": 1, "high": None, "words": ()})("12")
    12
    """

    def read(text):
        try:
            value = type(default)(text)
        except ValueError:
            value = text
        try:
            check(name, value, told, default)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        return value

    return read


def main(arguments=None):
    """Run one command. What a user can mend is told in one line, without a traceback, by SystemExit.

    >>> main(["make-data", "--train", "many"])
    Traceback (most recent call last):
    SystemExit: 2
    """
    options = parser().parse_args(arguments)
    if options.run == "doctor":
        sys.exit(doctor.main())
    try:
        # This imports Paddle. A RuntimeError says here that the device that was wished for is not there.
        commands = importlib.import_module("inade_lite.commands")
    except ImportError as error:
        sys.exit(f"error: {error}; `python -m inade_lite doctor` tells what to do")
    except (ValueError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    try:
        getattr(commands, options.run)(options)
    except (ValueError, OSError, FloatingPointError, ImportError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt as stop:
        sys.exit(f"\n{stop}")


def parser():
    """The whole command line. In what it parses, `run` names the function in `commands` that does the work.

    >>> options = parser().parse_args(["train", "--size", "32x64", "--noise_dim", "16"])
    >>> options.run, options.size, options.noise_dim
    ('train', (32, 64), 16)
    """
    top = argparse.ArgumentParser(
        prog="python -m inade_lite",
        description="INADE in PaddlePaddle: data, training, samples and measures.",
        epilog="python -m inade_lite COMMAND --help tells the options of a command.",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND", title="commands")

    def command(name, run, text, positional=""):
        usage = f"python -m inade_lite {name}{positional} [options]"
        sub = commands.add_parser(name, usage=usage, help=text, description=f"{text[0].upper()}{text[1:]}.")
        sub.set_defaults(run=run)
        return sub

    sub = command("make-data", "make_data", "write ToyTown scenes as a data set folder")
    _option(sub, "out", "runs/toy_town", "the folder to write")
    _option(sub, "train", 1000, "number of scenes in the train split", low=1)
    _option(sub, "val", 100, "number of scenes in the val split", low=1)
    _option(sub, "size", 64, "height and width of the pictures, in pixels", low=SMALLEST)
    _option(sub, "seed", 0, "seed of the scenes", low=0)

    text = "make a data set folder of photos and of what was drawn on them"
    sub = command("prepare", "prepare_folder", text)
    text = f"what was drawn: {', '.join(SOURCES)} (data/sources.py)"
    sub.add_argument("--from", dest="source", choices=SOURCES, required=True, metavar="NAME", help=text)
    sub.add_argument("--photos", required=True, metavar="NAME", help="the folder of the photos")
    text = "the JSON file or the folder of what was drawn; with maps the label maps"
    sub.add_argument("--annotations", required=True, metavar="NAME", help=text)
    _option(sub, "instances", None, "with maps: the folder of the instance maps")
    _option(sub, "classes", None, "with maps and yolo: the names of the classes, with commas between them")
    _option(sub, "out", "runs/photos", "the folder to write")
    text = "size of the pictures in pixels: a side, or height x width such as 256x512 (default: 64)"
    sub.add_argument("--size", type=height_by_width, default=64, metavar="N", help=text)
    text = "crop: the middle of each photo; stretch: all of it, whatever its shape (default: crop)"
    sub.add_argument("--fit", choices=("crop", "stretch"), default="crop", metavar="NAME", help=text)
    text = "give instances without an inside, such as a border's pixels with a neighbor's id, to their neighbors"
    sub.add_argument("--merge-slivers", action="store_true", help=text)
    text = "with coco and cityscapes: outlines of crowds become unlabelled, not one instance each"
    sub.add_argument("--drop-crowds", action="store_true", help=text)
    _option(sub, "val", 0.1, "share of the photos, drawn by chance, that go to val", low=0, high=0.9)
    _option(sub, "seed", 0, "seed of that chance", low=0)

    sub = command("report", "report", "check a data set folder, and show its pictures and classes")
    _data_options(sub, "data/toy_town")
    _option(sub, "out", "runs/report", "the folder for the figures")

    sub = command("train", "train", "train a model: a generator, its encoder and a discriminator")
    _data_options(sub, "toy_town", remembered=True)
    _option(sub, "out", "runs/inade", "the folder for losses, previews, checkpoint and model")
    text = "number of steps to train now, with --resume in addition to those done (default: 2000, or the preset's)"
    sub.add_argument("--steps", type=reader("steps", 1, ANY | {"low": 1}), metavar="N", help=text)
    text = "steps from one measurement on the val split to the next; the best model is kept; 0 for none"
    _option(sub, "evaluate_every", 0, text, low=0)
    text = "a perceptual loss: vgg19, the paper's, or lite0, whose weights come with make lab; with --lambda_perceptual"
    sub.add_argument("--perceptual", choices=("vgg19", "lite0"), metavar="NAME", help=text)
    text = "VGG19's weights, torchvision's .pth or a .safetensors (default: Paddle downloads its own, 550 MB)"
    sub.add_argument("--vgg", metavar="NAME", help=text)
    text = f"the authors' settings for a set: {', '.join(PRESETS)}; with VGG19, see --vgg. What is given goes before"
    sub.add_argument("--preset", choices=PRESETS, metavar="NAME", help=text)
    text = "tell what the run would take, here and on a V100 and an A100: weights, memory, time; train nothing"
    sub.add_argument("--dry-run", action="store_true", help=text)
    sub.add_argument(
        "--resume",
        action="store_true",
        help=f"go on from the checkpoint in --out with its settings; these may change: {', '.join(MAY_CHANGE)}",
    )
    _config_options(sub)

    sub = command("sample", "draw_samples", "draw samples of a few scenes into one figure, or into single pictures")
    _model_options(sub)
    _item_options(sub, 8)
    _option(sub, "label", None, "instead of a data set: the gray PNG of one label map")
    _option(sub, "instance", None, "with --label: the gray PNG of its instance map")
    _option(sub, "sketch", None, "with --label, for a model that draws by sketches: the drawing, dark on white")
    _option(sub, "samples", 4, "number of samples of each scene", low=1)
    _option(sub, "seed", 0, "seed of noise and latent", low=0)
    _option(sub, "out", "samples.png", "the figure's file; or a folder, for single pictures")

    sub = command("edit", "edit", "change the look of an instance, a class or a picture, and leave the rest alone")
    _model_options(sub)
    _option(sub, "item", "0", "the picture: its number in the split, or its name")
    text = "the instance that changes, or several: 3,7; without it and without --class and --like they are listed"
    sub.add_argument("--instance", type=_integers, metavar="N", help=text)
    sub.add_argument("--class", dest="class_name", metavar="NAME", help="the class all of whose instances change")
    _option(sub, "like", None, "another picture whose looks are taken; without it they are drawn again")
    text = "the instance of --like whose look is taken (default: the largest ones of the same class)"
    sub.add_argument("--like-instance", type=reader("like-instance", 0, ANY), metavar="N", help=text)
    _option(sub, "seed", 0, "seed of what is drawn", low=0)
    _option(sub, "out", "edit.png", "the figure's file; or a folder, for single pictures")

    sub = command("reconstruct", "reconstruct", "rebuild real pictures from the looks that the encoder finds in them")
    _model_options(sub)
    _item_options(sub, 0)
    _option(sub, "seed", 0, "seed of the latent", low=0)
    _option(sub, "out", "runs/rebuilt", "the folder for the pictures")

    sub = command("evaluate", "evaluate", "measure diversity, control and quality of a model")
    _model_options(sub)
    _option(sub, "scenes", 64, "number of scenes, or of all that there are", low=3)
    _option(sub, "samples", 8, "number of samples of each scene", low=2)
    _option(sub, "seed", 0, "seed of noise and latent", low=0)
    _option(sub, "judge", None, "what make-judge --data wrote of this data set, for the mean IoU")
    _option(sub, "inception", None, "a .safetensors of Paddle's Inception v3, to measure FID too (metrics/lite0.py)")
    _option(sub, "json", None, "a file to write the measures to as well")

    sub = command("make-judge", "make_judge", "train the network that judges pictures by their classes; takes minutes")
    _data_options(sub, "toy_town")
    _option(sub, "out", "data/judge.safetensors", "the file to write")
    _option(sub, "steps", 1200, "number of steps, of 16 pictures each", low=1)
    _option(sub, "seed", 0, "seed of the weights, the order and the softening of the pictures", low=0)

    text = "turn the authors' PyTorch checkpoints into a model"
    sub = command("convert", "convert_checkpoints", text, positional=" FILE [FILE]")
    sub.add_argument("checkpoints", nargs="+", metavar="FILE", help="best_net_G.pth and, if it exists, best_net_IE.pth")
    _option(sub, "out", "model.safetensors", "the file to write")
    text = f"the data set that they were trained on: {', '.join(PRESETS)} (default: the one with as many classes)"
    sub.add_argument("--preset", choices=PRESETS, metavar="NAME", help=text)

    command("doctor", "doctor", "tell what is installed, where it runs, and what is wrong")
    return top


# How pictures of another shape get their size, as in `data.images.fit`, which cannot be imported without Paddle.
FITS = ("stretch", "crop", "short")
FIT = "stretch: all of a picture, whatever its shape; crop: its middle; short: in its shape, for --crop to cut from"

# What --help shows in the place of a value.
_METAVARS = {int: "N", float: "X", str: "NAME"}


# Any number from 0 on, as `config.check` wants it told.
ANY = {"low": 0, "high": None, "words": ()}


def _integers(text):
    """The integers of 0 or more in a text with commas between them, for argparse."""
    return [reader("instance", 0, ANY)(word) for word in text.split(",")]


def _model_options(command):
    """Add --model, and the options of its data: those not given are None, the model knows them."""
    _option(command, "model", "inade", "a shipped model's name, or a .safetensors file")
    _option(command, "data", None, "a data set folder, or toy_town (default: what the model was trained with)")
    text = f"the layout of that folder: {', '.join(SETS)} (default: that of the model)"
    command.add_argument("--set", choices=SETS, metavar="NAME", help=text)
    text = "size of the pictures in pixels, which must be the model's (default: the model's)"
    command.add_argument("--size", type=height_by_width, metavar="N", help=text)
    command.add_argument("--fit", choices=FITS, metavar="NAME", help=f"{FIT} (default: that of the model)")
    _option(command, "split", None, "the split that the pictures come from (default: val, or train if there is no val)")


def _item_options(command, scenes):
    """Add --items and --scenes, with this default."""
    _option(command, "items", None, "the pictures, by numbers or names with commas between them")
    _option(command, "scenes", scenes, "without --items: so many, from the first one on; 0 for all", low=0)


def _option(command, name, default, text, low=None, high=None):
    """Add an option of the default's type, with the default in its help. None: a name that may be left out.

    low, high: the least and the largest value of a number.
    """
    kind = str if default is None else type(default)
    if default is not None:
        text = f"{text} (default: {default})"
    read = kind if low is None else reader(name, default, ANY | {"low": low, "high": high})
    command.add_argument(f"--{name}", type=read, default=default, metavar=_METAVARS[kind], help=text)


def _data_options(command, data, remembered=False):
    """Add --data, with this default, --set and --size. remembered: those not given are None, a run may know them."""
    defaults = DATA_DEFAULTS | {"data": data}
    end = ", with --resume that of the run)" if remembered else ")"

    def add(name, text, **kind):
        default = None if remembered else defaults[name]
        command.add_argument(f"--{name}", default=default, help=f"{text} (default: {defaults[name]}{end}", **kind)

    add("data", "a data set folder, or toy_town, whose scenes are drawn as they are needed", metavar="NAME")
    add("set", f"the layout of that folder: {', '.join(SETS)}", choices=SETS, metavar="NAME")
    text = "size of the pictures in pixels: a side, or height x width such as 256x512"
    add("size", text, type=height_by_width, metavar="N")
    add("fit", FIT, choices=FITS, metavar="NAME")


def _config_options(command):
    """Add the fields of TrainConfig. Only those that are given get into the arguments: --resume must know which."""
    settings = command.add_argument_group("settings (the fields of TrainConfig)")
    for field in dataclasses.fields(TrainConfig):
        read = reader(field.name, field.default, field.metadata)
        kind = {"type": read, "metavar": _METAVARS.get(field.type)}
        if field.type is bool:
            kind = {"action": "store_true"}
        text = f"{field.metadata['text']} (default: {field.default})"
        text = text.replace("%", "%%")  # argparse would fill it in
        settings.add_argument(f"--{field.name}", default=argparse.SUPPRESS, help=text, **kind)


if __name__ == "__main__":
    main()
