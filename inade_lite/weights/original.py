"""The authors' weights in these networks: what every entry of their PyTorch checkpoints is called here."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..data.folders import UNLABELLED, read_description
from ..data.sets import CLASSES
from ..discriminator import MultiscaleDiscriminator
from ..encoder import InstanceEncoder
from ..generator import Generator
from ..layers import INADE, InstanceConv2D
from .pretrained import build
from .tensors import state_arrays, write_tensors
from .torch_file import read_torch_checkpoint

BLOCKS = ("head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3", "up_4")


HEADS = ("scale_conv_mu", "scale_conv_var", "bias_conv_mu", "bias_conv_var")  # in the order of NoiseParams


# Our name -> the original's. A name passes through all rules; what no rule matches is called the same in both.
RULES = (
    # Generator
    (r"^blocks\.(\d)", lambda m: BLOCKS[int(m[1])]),
    (r"^to_image", "conv_img"),
    (r"\bnorm\.running", "param_free_norm.running"),
    # InstanceEncoder
    (r"^down\.(\d)", lambda m: f"layer{int(m[1]) + 1}"),
    (r"^up\.(\d)", lambda m: f"up{int(m[1]) + 1}"),
    (r"^heads\.(\d)", lambda m: HEADS[int(m[1])]),
    # MultiscaleDiscriminator
    (r"^scales\.(\d)\.first", r"discriminator_\1.model0.0"),
    (r"^scales\.(\d)\.middle\.(\d)", lambda m: f"discriminator_{m[1]}.model{int(m[2]) + 1}.0.0"),
    (r"^scales\.(\d)\.score", r"discriminator_\1.model{last}.0"),
    # SpectralConv2D
    (r"(\bconv_[01s]|\.0\.0)\.weight$", r"\1.weight_orig"),
    (r"\.([uv])$", r".weight_\1"),
)


def original_name(name):
    """What the original calls a parameter, a buffer or a layer of ours."""
    for pattern, replacement in RULES:
        name = re.sub(pattern, replacement, name)
    return name


def original_names(model):
    """{the original's name: our name} of every parameter and buffer of a network or layer."""
    ours = list(model.state_dict())
    last = 1 + sum(name.startswith("scales.0.middle.") and name.endswith(".weight") for name in ours)
    return {original_name(name).replace("{last}", str(last)): name for name in ours}


def load_original(model, state):
    """Fill an INADE, InstanceConv2D, InstanceEncoder, Generator or MultiscaleDiscriminator with the authors' weights.

    state: {the name in their checkpoint: array}. A missing, extra or misshapen entry is a ValueError that names it, and
    the model stays as it was. BatchNorm's num_batches_tracked, which nothing here counts, may be there or not.
    """
    if not isinstance(model, INADE | InstanceConv2D | InstanceEncoder | Generator | MultiscaleDiscriminator):
        raise TypeError(
            f"the original has no counterpart of {type(model).__name__}; see load_original for those it has"
        )
    names, own = original_names(model), model.state_dict()
    given = {name: np.asarray(a) for name, a in state.items() if name.rpartition(".")[2] != "num_batches_tracked"}
    # The only matrices are those of Linear, which Paddle stores transposed.
    given = {name: a.T if a.ndim == 2 else a for name, a in given.items()}
    has = {name: list(a.shape) for name, a in given.items()}
    needs = {name: list(own[ours].shape) for name, ours in names.items()}
    problems = [
        f"{name} is {_shape(has, name)} in the state and {_shape(needs, name)} in the {type(model).__name__}"
        for name in sorted(has.keys() | needs.keys())
        if has.get(name) != needs.get(name)
    ]
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ValueError(f"{'; '.join(problems[:5])}{more}. Build the model with the arguments of the checkpoint")
    model.set_state_dict({ours: given[name].astype(np.float32, copy=False) for name, ours in names.items()})


def _shape(shapes, name):
    """The shape as PyTorch has it."""
    if name not in shapes:
        return "missing"
    return shapes[name][::-1] if len(shapes[name]) == 2 else shapes[name]


class Preset(NamedTuple):
    """What the authors' model of a data set is: the arguments of its Generator. image_size is (H, W)."""

    num_classes: int
    image_size: tuple
    noise_dim: int = 64
    num_upsamplings: int = 5


PRESETS = {
    "ade20k": Preset(150 + 1, (256, 256)),
    "cityscapes": Preset(35, (256, 512), num_upsamplings=6),
    "celebamask_hq": Preset(19, (256, 256)),
    "deepfashion": Preset(8, (256, 256), noise_dim=8),
    "coco_stuff": Preset(182 + 1, (256, 256)),
}


# By these entries their checkpoints are told apart.
ENTRY = {"generator": "head_0.norm_0.fc_noise.weight", "encoder": "scale_conv_mu.weight"}


def class_names(preset):
    """The names of a preset's classes. Those of ADE20K begin with "unlabelled", see `Ade20k(original_labels=True)`."""
    description = read_description(CLASSES / f"{preset}.json")
    names = description["class_names"]
    if description["ignore_index"] is None:
        return names
    return [UNLABELLED, *names] if preset == "ade20k" else [*names, UNLABELLED]


def convert(paths, out, preset=None):
    """Write the authors' generator, and their encoder if it is given, as one file that `load_pretrained` reads.

    paths: best_net_G.pth and, in any order, best_net_E.pth (or best_net_IE.pth). preset: a name in PRESETS, by default
    the one with as many classes; widths and the kind of norm are read off the weights. Returns {"generator": ...,
    "encoder": ...}. ValueError names the file or what does not fit.
    """
    states = {}
    for path in paths:
        state = read_torch_checkpoint(path)
        kind = next((kind for kind, name in ENTRY.items() if name in state), None)
        if kind is None:
            raise ValueError(f"{path} is neither a generator nor an encoder; it has {', '.join(list(state)[:3])}, ...")
        states[kind] = state
    if "generator" not in states:
        raise ValueError(f"there is no generator in {', '.join(map(str, paths))}; give best_net_G.pth, too")
    train, preset = _arguments(states["generator"], preset)
    train["encoder_channels"] = len(states["encoder"]["layer1.weight"]) if "encoder" in states else None
    config = {"train_config": train, "image_size": PRESETS[preset].image_size, "class_names": class_names(preset)}
    networks = {kind: network for kind, network in zip(ENTRY, build(config), strict=True) if network is not None}
    tensors = {}
    for kind, network in networks.items():
        load_original(network, states.pop(kind))
        tensors |= state_arrays(network, f"{kind}.")
    write_tensors(out, tensors, {**config, "preset": preset, "files": [Path(path).name for path in paths]})
    return networks


def _arguments(state, preset):
    """What the names and shapes of a generator's weights tell about it, and its preset."""
    missing = [name for name in ("head_0.norm_0.weight", "fc.weight") if name not in state]
    if missing:
        raise ValueError(f"the generator has no {missing[0]}; give the whole state dict")
    if any("sketch_conv" in name for name in state):
        raise ValueError("the generator has a sketch branch; `load_original` fills its INADE layers one by one")
    classes, channels, _ = state["head_0.norm_0.weight"].shape
    fitting = [name for name, p in PRESETS.items() if p.num_classes == classes and preset in (None, name)]
    if not fitting:
        known = {name: p.num_classes for name, p in PRESETS.items()}
        raise ValueError(f"the generator has {classes} classes, {preset or 'the presets'} {known.get(preset, known)}")
    return {
        "noise_dim": state["head_0.norm_0.fc_noise.weight"].shape[1],
        "latent_dim": state["fc.weight"].shape[1],
        "base_channels": channels // 16,
        "num_upsamplings": PRESETS[fitting[0]].num_upsamplings,
        "norm": "batch" if any(name.endswith("running_mean") for name in state) else "instance",
    }, fitting[0]
