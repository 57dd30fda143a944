"""Weights on disk: safetensors, so that reading a file never runs code, written whole or not at all."""

import json
from pathlib import Path

import numpy as np
import paddle
import safetensors
from safetensors.numpy import save

from ..files import naming, write_file

# What Paddle's Adam keeps of each parameter: the averages of its gradient and of the gradient's square, and the powers
# of beta1 and beta2 that correct their start at zero.
ADAM_STATE = ("moment1_0", "moment2_0", "beta1_pow_acc_0", "beta2_pow_acc_0")


def write_tensors(path, tensors, metadata):
    """Write {name: ndarray} and a JSON-able dict to one file. OSError names the file; an old one survives it.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.safetensors"
    >>> write_tensors(path, {"weight": np.ones([2, 3], "float32")}, {"steps": 1})
    >>> read_tensors(path)[0]["weight"].tolist()
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    path = Path(path)
    with naming(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, save(tensors, {"metadata": json.dumps(metadata)}))


def read_tensors(path):
    """What write_tensors wrote: ({name: ndarray}, metadata). A damaged file is a ValueError that names it.

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
            metadata = json.loads(file.metadata()["metadata"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, metadata
    except (safetensors.SafetensorError, TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is cut short or not this project's ({error}); use another copy") from error


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

    >>> fc = paddle.nn.Linear(2, 3)
    >>> adam = paddle.optimizer.Adam(parameters=fc.parameters())
    >>> load_adam(adam, {"fc.weight": fc.weight}, {"a.fc.weight@moment1_0": np.ones([2, 3], "float32")}, "a.")
    """
    state = {}
    for name, value in tensors.items():
        if name.startswith(prefix):
            parameter, kind = name[len(prefix) :].split("@")
            state[f"{parameters[parameter].name}_{kind}"] = paddle.to_tensor(value)
    adam.set_state_dict(state)
