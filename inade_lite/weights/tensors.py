"""Weights on disk: safetensors, so that reading a file never runs code, written whole or not at all."""

import json
from pathlib import Path

import numpy as np
import safetensors
from safetensors.numpy import save

from ..files import naming, write_file


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
