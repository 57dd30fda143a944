"""Weights on disk: safetensors, so that reading a file never runs code, written whole or not at all."""

import hashlib
import json
from pathlib import Path

import numpy as np
import paddle
import safetensors
from safetensors.numpy import save

from ..files import make_folder, parse_json, write_file

# What Paddle's Adam keeps of each parameter: the averages of its gradient and of the gradient's square, and the powers
# of beta1 and beta2 that correct their start at zero.
ADAM_STATE = ("moment1_0", "moment2_0", "beta1_pow_acc_0", "beta2_pow_acc_0")


def write_tensors(path, tensors, metadata, before=None):
    """Write {name: ndarray} and a JSON-able dict to one file. OSError names the file; an old one survives it.

    before: a path under which the old file, if there is one, stays.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.safetensors"
    >>> write_tensors(path, {"weight": np.ones([2, 3], "float32")}, {"steps": 1})
    >>> read_tensors(path)[0]["weight"].tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    path = Path(path)
    make_folder(path.parent)
    write_file(path, save(tensors, {"metadata": json.dumps(metadata), "sha256": digest(tensors)}), before)


def read_tensors(path):
    """What write_tensors wrote: ({name: ndarray}, metadata). A damaged file is a ValueError that names it.

    It is known by its digest, if it has one: files of earlier versions have none.

    >>> from inade_lite.weights.pretrained import PRETRAINED
    >>> tensors, metadata = read_tensors(PRETRAINED / "inade.safetensors")
    >>> metadata["image_size"]
    [64, 64]
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; train and save first, or check the folder's name")
    try:
        with safetensors.safe_open(path, "numpy") as file:
            told = file.metadata()
            metadata = parse_json(told["metadata"], "its metadata")
            if not isinstance(metadata, dict):
                raise ValueError(f"its metadata are a {type(metadata).__name__}, expected a dict")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if "sha256" in told and told["sha256"] != digest(tensors):
            raise ValueError("its numbers are not those that were written")
        return tensors, metadata
    except (safetensors.SafetensorError, TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is cut short or not this project's ({error}); use another copy") from error


def digest(tensors):
    """SHA-256 of {name: ndarray}: of all names, types, shapes and numbers, whatever their order.

    >>> digest({"a": np.zeros(2, "float32")})[:8]
    '90b35266'
    """
    found = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        found.update(f"{name} {array.dtype.str} {list(array.shape)} ".encode())
        found.update(array.data.cast("B") if array.size else b"")
    return found.hexdigest()


def state_arrays(layer, prefix=""):
    """A layer's parameters and buffers as {prefix + name: ndarray}.

    >>> list(state_arrays(paddle.nn.Linear(2, 3), "fc."))
    ['fc.weight', 'fc.bias']
    """
    return {prefix + name: value.numpy() for name, value in layer.state_dict().items()}


def load_state(layer, tensors, path, prefix=""):
    """Fill a layer from {prefix + name: ndarray}, strictly. Names without the prefix are not looked at.

    ValueError names the first entry that is missing, extra or misshapen, and the file at `path` that it came from.

    >>> one, other = paddle.nn.Linear(2, 3), paddle.nn.Linear(2, 3)
    >>> load_state(one, state_arrays(other), path="other.safetensors")
    >>> one.weight.tolist() == other.weight.tolist()
    True
    """
    has = {name: list(value.shape) for name, value in tensors.items() if name.startswith(prefix)}
    needs = {prefix + name: list(value.shape) for name, value in layer.state_dict().items()}
    for name in sorted(has.keys() | needs.keys()):
        if has.get(name) != needs.get(name):
            raise ValueError(
                f"{path}: {name} has shape {has.get(name, 'missing')}, this {type(layer).__name__} needs "
                f"{needs.get(name, 'no such entry')}; build it with the arguments that the checkpoint was trained with"
            )
    state = {}
    for name in layer.state_dict():
        state[name] = tensors[prefix + name].astype(np.float32)
    layer.set_state_dict(state)


def adam_arrays(adam, parameters, prefix=""):
    """What an Adam keeps of its parameters, as {prefix + name + "@" + one of ADAM_STATE: ndarray}.

    parameters: {name: parameter}, because the names that Paddle gives change from one process to the next. Before the
    first step there is nothing.

    >>> fc = paddle.nn.Linear(2, 3)
    >>> adam_arrays(paddle.optimizer.Adam(parameters=fc.parameters()), {"fc.weight": fc.weight})
    {}
    """
    state = adam.state_dict()
    arrays = {}
    for name, parameter in parameters.items():
        for kind in ADAM_STATE:
            value = state.get(f"{parameter.name}_{kind}")
            if value is not None:
                arrays[f"{prefix}{name}@{kind}"] = value.numpy()
    return arrays


def load_adam(adam, parameters, tensors, prefix=""):
    """Give an Adam what adam_arrays took from another one. Names without the prefix are not looked at.

    Of each parameter there must be all, or of none anything, as before the first step. ValueError names the first entry
    that is missing or belongs to no parameter.

    >>> fc = paddle.nn.Linear(2, 3)
    >>> adam = paddle.optimizer.Adam(parameters=fc.parameters())
    >>> load_adam(adam, {"fc.weight": fc.weight}, {"a.fc.weight@moment1_0": np.ones([2, 3], "float32")}, "a.")
    Traceback (most recent call last):
    ValueError: a.fc.weight@beta1_pow_acc_0 is missing, which Adam keeps of every parameter that it has moved
    """
    has = {name for name in tensors if name.startswith(prefix)}
    needs = {}
    for parameter in parameters:
        names = {f"{prefix}{parameter}@{kind}": (parameter, kind) for kind in ADAM_STATE}
        # A parameter that no loss has reached yet has nothing.
        if has & names.keys():
            needs |= names
    for name in sorted(has ^ needs.keys()):
        if name in needs:
            raise ValueError(f"{name} is missing, which Adam keeps of every parameter that it has moved")
        raise ValueError(f"{name} belongs to no parameter of these networks")
    state = {}
    for name, (parameter, kind) in needs.items():
        state[f"{parameters[parameter].name}_{kind}"] = paddle.to_tensor(tensors[name])
    adam.set_state_dict(state)
