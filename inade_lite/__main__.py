"""python -m inade_lite {make-data, report, train, sample, evaluate, make-judge, convert, doctor}: from a shell.

Only the options stand here, and they need no Paddle: `doctor` and `--help` work where it is missing or broken.
"""

import argparse
import dataclasses
import importlib
import sys

from .config import MAY_CHANGE, TrainConfig
from .setup import doctor

# The names in `data.sets.SETS` and in `weights.original.PRESETS`, which need Paddle. A test holds them equal.
SETS = ("folder", "cityscapes", "coco_stuff", "ade20k", "ade20k_original", "celebamask_hq", "deepfashion")
PRESETS = ("ade20k", "cityscapes", "celebamask_hq", "deepfashion", "coco_stuff")


def height_by_width(text):
    """\"64\" -> 64, \"256x512\" -> (256, 512)."""
    sides = tuple(map(int, text.split("x")))
    return sides if len(sides) == 2 else sides[0]


def option(command, name, default, text):
    """An option of the default's type; one that is False by default is a switch."""
    kind = {"action": "store_true"} if default is False else {"type": type(default)}
    command.add_argument(f"--{name}", default=default, help=text, **kind)


def data_options(command, data="toy_town"):
    option(command, "data", data, "a data set folder, or toy_town for scenes drawn on the fly")
    command.add_argument("--set", choices=SETS, default="folder", help="layout of the folder, see data/sets.py")
    command.add_argument("--size", type=height_by_width, default=64, help="of the pictures, in pixels: H, or HxW")


def config_options(command):
    """The fields of TrainConfig. Only those that are given stand in the arguments: --resume must know which."""
    for field in dataclasses.fields(TrainConfig):
        kind = {"action": "store_true"} if field.type is bool else {"type": field.type}
        text = f"{field.metadata['text']} (default: {field.default})".replace("%", "%%")
        command.add_argument(f"--{field.name}", default=argparse.SUPPRESS, help=text, **kind)


def parser():
    """The whole command line. `run` names the function in `commands` that does the work."""
    top = argparse.ArgumentParser(prog="python -m inade_lite", description=__doc__.splitlines()[0])
    commands = top.add_subparsers(required=True, metavar="command")

    def command(name, run, text):
        style = argparse.ArgumentDefaultsHelpFormatter
        sub = commands.add_parser(name, help=text, description=text, formatter_class=style)
        sub.set_defaults(run=run)
        return sub

    sub = command("make-data", "make_data", "write ToyTown scenes as a data set folder")
    option(sub, "out", "runs/toy_town", "the folder")
    option(sub, "train", 1000, "scenes of the train split")
    option(sub, "val", 100, "scenes of the val split")
    option(sub, "size", 64, "pixels of a picture's side")
    option(sub, "seed", 0, "of the scenes")

    sub = command("report", "report", "check a data set folder, tell and draw what is in it")
    data_options(sub, "data/toy_town")
    option(sub, "out", "runs/report", "the folder of the pictures")

    sub = command("train", "train", "train a generator with its encoder")
    data_options(sub)
    option(sub, "out", "runs/inade", "folder of losses, previews, checkpoint and model")
    option(sub, "steps", 2000, "steps of this run")
    text = f"go on from the checkpoint in --out, with its settings; these may change: {', '.join(MAY_CHANGE)}"
    sub.add_argument("--resume", action="store_true", help=text)
    config_options(sub)

    sub = command("sample", "draw_samples", "draw samples of val scenes into one picture")
    data_options(sub)
    option(sub, "model", "inade", "a shipped model's name, or a .safetensors file")
    option(sub, "scenes", 8, "columns")
    option(sub, "samples", 4, "rows")
    option(sub, "seed", 0, "of noise and latent")
    option(sub, "out", "samples.png", "the picture")

    sub = command("evaluate", "evaluate", "measure diversity, control and quality on ToyTown val scenes")
    option(sub, "model", "inade", "a shipped model's name, or a .safetensors file")
    option(sub, "size", 64, "pixels of a picture's side")
    option(sub, "scenes", 64, "held-out scenes")
    option(sub, "samples", 8, "pictures of each")
    option(sub, "seed", 0, "of noise and latent")
    option(sub, "inception", "", "a .safetensors of Paddle's Inception v3: adds an FID, see metrics/lite0.py")
    option(sub, "json", "", "also write the rows to this file")

    sub = command("make-judge", "make_judge", "train the network that judges pictures, 8 minutes")
    option(sub, "out", "data/judge.safetensors", "the file")
    option(sub, "steps", 1200, "of 16 pictures")
    option(sub, "seed", 0, "of start, order and softening")

    sub = command("convert", "convert_checkpoints", "turn the authors' PyTorch checkpoints into a model")
    sub.add_argument("checkpoints", nargs="+", help="best_net_G.pth and, if there is one, best_net_IE.pth")
    option(sub, "out", "model.safetensors", "the model")
    sub.add_argument("--preset", choices=PRESETS, help="their data set, by default told by the number of classes")

    command("doctor", "doctor", "tell what is installed, on what it runs, and what is wrong")
    return top


def main(arguments=None):
    options = parser().parse_args(arguments)
    if options.run == "doctor":
        sys.exit(doctor.main())
    try:
        commands = importlib.import_module("inade_lite.commands")
        getattr(commands, options.run)(options)
    except ModuleNotFoundError as error:
        sys.exit(f"error: {error}; `python -m inade_lite doctor` tells what to do")
    except (ValueError, OSError, FloatingPointError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt as stop:
        sys.exit(f"\n{stop}")


if __name__ == "__main__":
    main()
