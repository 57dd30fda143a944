"""Weights on disk: safetensors, so that reading a file never runs code, written whole or not at all."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors
from paddle import nn
from safetensors.numpy import save

from .data import naming, write_file
from .methods import new_encoder, new_generator

PRETRAINED = Path(__file__).resolve().parents[1] / "data" / "pretrained"


def write_tensors(path, tensors, metadata):
    """Write {name: ndarray} and a JSON-able dict to one file. OSError names the file; an old one survives it."""
    path = Path(path)
    with naming(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, save(tensors, {"metadata": json.dumps(metadata)}))


def read_tensors(path):
    """What write_tensors wrote: ({name: ndarray}, metadata). A damaged file is a ValueError that names it."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; train and save first, or check the folder's name")
    try:
        with safetensors.safe_open(path, "numpy") as file:
            metadata = json.loads(file.metadata()["metadata"])
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except (safetensors.SafetensorError, TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is cut short or not this project's ({error}); use another copy") from error


def state_arrays(layer, prefix=""):
    """A layer's parameters and buffers as {prefix + name: ndarray}."""
    return {prefix + name: value.numpy() for name, value in layer.state_dict().items()}


def load_state(layer, tensors, path, prefix=""):
    """Fill a layer from {prefix + name: ndarray}, strictly. ValueError names the first entry that does not fit."""
    own = {prefix + name: list(value.shape) for name, value in layer.state_dict().items()}
    given = {name: list(value.shape) for name, value in tensors.items() if name.startswith(prefix)}
    for name in sorted(own.keys() | given.keys()):
        if own.get(name) != given.get(name):
            raise ValueError(
                f"{path}: {name} has shape {given.get(name, 'missing')}, this {type(layer).__name__} needs "
                f"{own.get(name, 'no such entry')}; build it with the arguments that the checkpoint was trained with"
            )
    layer.set_state_dict({name[len(prefix) :]: tensors[name].astype(np.float32) for name in own})


class Pretrained(NamedTuple):
    """A trained model. config: how it was made, a dict with the TrainConfig, data set, steps and seconds.

    Of a model converted from the authors' checkpoints it tells what they are. encoder is None if there is none.
    """

    generator: nn.Layer
    encoder: nn.Layer
    class_names: list
    config: dict


def save_pretrained(path, trainer, **provenance):
    """Store a trainer's averaged generator and its encoder in half precision, with what load_pretrained needs."""
    tensors = state_arrays(trainer.ema, "generator.")
    if trainer.encoder is not None:
        tensors |= state_arrays(trainer.encoder, "encoder.")
    tensors = {name: value.astype(np.float16) for name, value in tensors.items()}
    metadata = {**trainer.describe(), **provenance, "class_names": list(trainer.dataset.class_names)}
    write_tensors(path, tensors, metadata)


def load_pretrained(name):
    """A model that the repository carries, by its name in data/pretrained, or any file that save_pretrained wrote.

    Both networks are in eval mode. FileNotFoundError names the models that exist.
    """
    path = PRETRAINED / f"{name}.safetensors"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        known = sorted(file.stem for file in PRETRAINED.glob("*.safetensors"))
        raise FileNotFoundError(f"no pretrained model {name!r}; there are {known}, or give a .safetensors file")
    tensors, config = read_tensors(path)
    generator, encoder = build(config)
    load_state(generator, tensors, path, "generator.")
    generator.eval()
    if encoder is not None:
        load_state(encoder, tensors, path, "encoder.")
        encoder.eval()
    return Pretrained(generator, encoder, config["class_names"], config)


def build(config):
    """A new generator and encoder as a model's config describes them; the encoder may be None."""
    train = {"method": "inade", **config["train_config"]}  # files that do not tell it are older than the choice
    generator = new_generator(train, len(config["class_names"]), tuple(config["image_size"]))
    return generator, new_encoder(train, generator)
