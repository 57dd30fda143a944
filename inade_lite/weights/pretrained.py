"""Trained models: stored in half precision, loaded by their names."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from paddle import nn

from ..files import SHIPPED
from ..methods import find_method
from .tensors import load_state, read_tensors, state_arrays, write_tensors

PRETRAINED = SHIPPED / "pretrained"


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
        if not known:
            raise FileNotFoundError(
                f"no pretrained model {name!r}: {PRETRAINED} holds none. The repository carries them in "
                "data/pretrained; clone it, or give the path of a .safetensors file"
            )
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
    method = find_method(train["method"])
    generator = method.new_generator(train, len(config["class_names"]), tuple(config["image_size"]))
    return generator, method.new_encoder(train, generator)
