"""Trained models: stored in half precision, loaded by their names."""

import contextlib
import math
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
from paddle import nn

from ..config import TrainConfig, check
from ..files import SHIPPED
from ..methods import find_method
from .tensors import load_state, read_tensors, state_arrays, write_tensors

PRETRAINED = SHIPPED / "pretrained"


class Pretrained(NamedTuple):
    """A trained model, in eval mode.

    encoder: None if the method has none. config: how the model was made, a dict with the TrainConfig, the data set,
    steps and seconds. Of a model converted from the authors' checkpoints it tells which files they were.

    >>> import inade_lite as il
    >>> il.load_pretrained("inade").class_names[:2]
    ['sky', 'sun']
    """

    generator: nn.Layer
    encoder: nn.Layer
    class_names: list
    config: dict


def save_pretrained(path, trainer, **provenance):
    """Store a trainer's averaged generator and its encoder in half precision, with what load_pretrained needs.

    provenance: JSON-able values to keep in the model's config as well. OSError names a file that cannot be written.

    >>> import tempfile, inade_lite as il
    >>> small = il.TrainConfig(base_channels=2, num_upsamplings=3)
    >>> il.save_pretrained(f"{tempfile.mkdtemp()}/my.safetensors", il.Trainer(small, il.ToyTown("train", 32)))
    """
    tensors = state_arrays(trainer.ema, "generator.")
    if trainer.encoder is not None:
        tensors |= state_arrays(trainer.encoder, "encoder.")
    tensors = {name: value.astype(np.float16) for name, value in tensors.items()}
    metadata = {**trainer.describe(), **provenance, "class_names": list(trainer.dataset.class_names)}
    write_tensors(path, tensors, metadata)


def load_pretrained(name):
    """The model of this name in data/pretrained, or of any file that save_pretrained or `convert` wrote.

    Both networks are in eval mode. FileNotFoundError names the models that exist, ValueError a file that is damaged.

    >>> import inade_lite as il
    >>> il.load_pretrained("inade").generator.image_size
    (64, 64)
    """
    path = _find(name)
    tensors, config = read_tensors(path)
    if "history" in config:
        raise ValueError(
            f"{path} is a checkpoint, from which a training goes on; give the model, {path.parent}/model.safetensors"
        )
    _check_description(config, path)
    try:
        with _no_more_than(sum(values.size for values in tensors.values())):
            generator, encoder = build(config)
    except ValueError as error:
        raise ValueError(f"{path} describes no network of this project: {error}") from error
    load_state(generator, tensors, path, "generator.")
    generator.eval()
    if encoder is not None:
        load_state(encoder, tensors, path, "encoder.")
        encoder.eval()
    return Pretrained(generator, encoder, config["class_names"], config)


SETTINGS = ("method", "noise_dim", "latent_dim", "base_channels", "encoder_channels", "num_upsamplings", "norm")


def _check_description(config, path):
    """ValueError unless a model's metadata tell what `build` needs."""
    train = config.get("train_config")
    names = config.get("class_names")
    sides = config.get("image_size")
    is_names = isinstance(names, list) and all(isinstance(name, str) for name in names) and 1 <= len(names) <= 256
    is_size = isinstance(sides, list) and all(type(side) is int and 1 <= side <= 4096 for side in sides)
    if not isinstance(train, dict) or not is_names or not is_size or len(sides) != 2:
        raise ValueError(
            f"{path} does not tell its train_config, class_names (256 at most) and image_size [H, W]; "
            "use a model that save_pretrained or convert wrote"
        )
    for field in fields(TrainConfig):
        if field.name not in SETTINGS:
            continue
        value = {"method": "inade", **train}.get(field.name)
        if field.name == "encoder_channels" and field.name in train and value is None:
            continue  # a model may have no encoder, and says so
        try:
            check(field.name, value, field.metadata, field.default)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


@contextlib.contextmanager
def _no_more_than(count):
    """Whoever makes networks of more weights inside gets a ValueError before their memory is taken.

    A file of a few bytes may describe a network of any size, and that it does not fit is known only once it is built.
    """
    create = nn.Layer.create_parameter
    left = count

    def create_counted(layer, shape, *more, **named):
        nonlocal left
        left -= math.prod(shape)
        if left < 0:
            raise ValueError("its settings need more weights than it holds")
        return create(layer, shape, *more, **named)

    nn.Layer.create_parameter = create_counted
    try:
        yield
    finally:
        nn.Layer.create_parameter = create


def _find(name):
    """The path of a model. A shipped one goes before a file of the same name."""
    for path in (PRETRAINED / f"{name}.safetensors", Path(name)):
        if path.is_file():
            return path
    known = sorted(file.stem for file in PRETRAINED.glob("*.safetensors"))
    if not known:
        raise FileNotFoundError(
            f"no pretrained model {name!r}: {PRETRAINED} holds none. The repository carries them in "
            "data/pretrained; clone it, or give the path of a .safetensors file"
        )
    raise FileNotFoundError(f"no pretrained model {name!r}; there are {known}, or give a .safetensors file")


def build(config):
    """A new generator and encoder as a model's config describes them. The encoder may be None.

    >>> generator, encoder = build(load_pretrained("inade").config)
    >>> generator.num_classes
    14
    """
    train = {"method": "inade", **config["train_config"]}  # files that do not tell it are older than the choice
    method = find_method(train["method"])
    generator = method.new_generator(train, len(config["class_names"]), tuple(config["image_size"]))
    return generator, method.new_encoder(train, generator)
