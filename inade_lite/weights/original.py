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

# ---- Names

# The original's names of Generator.blocks and, in the order of NoiseParams, of InstanceEncoder.heads.
BLOCKS = ("head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3", "up_4")
HEADS = ("scale_conv_mu", "scale_conv_var", "bias_conv_mu", "bias_conv_var")

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
    # MultiscaleDiscriminator; the number of the last layer depends on how many there are
    (r"^scales\.(\d)\.first", r"discriminator_\1.model0.0"),
    (r"^scales\.(\d)\.middle\.(\d)", lambda m: f"discriminator_{m[1]}.model{int(m[2]) + 1}.0.0"),
    (r"^scales\.(\d)\.score", r"discriminator_\1.model{last}.0"),
    # SpectralConv2D
    (r"(\bconv_[01s]|\.0\.0)\.weight$", r"\1.weight_orig"),
    (r"\.([uv])$", r".weight_\1"),
)


def original_name(name):
    """What the original calls a parameter, a buffer or a layer of ours.

    >>> original_name("blocks.1.conv_0.weight")
    'G_middle_0.conv_0.weight_orig'
    """
    for pattern, replacement in RULES:
        name = re.sub(pattern, replacement, name)
    return name


def original_names(model):
    """{the original's name: our name} of every parameter and buffer of a network or layer.

    >>> import inade_lite as il
    >>> original_names(il.InstanceEncoder(noise_dim=4, base_channels=2))["layer1.weight"]
    'down.0.weight'
    """
    ours = list(model.state_dict())
    # Only a discriminator has these entries: one weight for each layer between its first and its last.
    middle = [name for name in ours if name.startswith("scales.0.middle.") and name.endswith(".weight")]
    last = str(len(middle) + 1)
    return {original_name(name).replace("{last}", last): name for name in ours}


# ---- One network


def load_original(model, state):
    """Fill an INADE, InstanceConv2D, InstanceEncoder, Generator or MultiscaleDiscriminator with the authors' weights.

    state: {the name in their checkpoint: array}. A missing, extra or misshapen entry is a ValueError that names it, and
    the model stays as it was. BatchNorm's num_batches_tracked, which nothing here counts, may be there or not.

    >>> import inade_lite as il
    >>> layer = il.InstanceConv2D(1, 2, kernel_size=1)
    >>> il.load_original(layer, {"weight": np.full([2, 1, 1, 1], 3), "bias": np.zeros(2)})
    >>> layer.weight.flatten().tolist()
    [3.0, 3.0]
    """
    if not isinstance(model, INADE | InstanceConv2D | InstanceEncoder | Generator | MultiscaleDiscriminator):
        raise TypeError(
            f"the original has no counterpart of {type(model).__name__}; see load_original for those it has"
        )
    given = {}
    for name, array in state.items():
        if not name.endswith("num_batches_tracked"):
            array = np.asarray(array)
            # The only matrices are those of Linear, which Paddle stores transposed.
            given[name] = array.T if array.ndim == 2 else array
    names = original_names(model)
    _compare_shapes(model, names, given)
    filled = {}
    for name, ours in names.items():
        filled[ours] = given[name].astype(np.float32, copy=False)
    model.set_state_dict(filled)


def _compare_shapes(model, names, given):
    """ValueError if the arrays given are not those that the model needs. Both are {the original's name: ...}."""
    own = model.state_dict()
    needs = {name: list(own[ours].shape) for name, ours in names.items()}
    has = {name: list(array.shape) for name, array in given.items()}
    problems = []
    for name in sorted(has.keys() | needs.keys()):
        if has.get(name) != needs.get(name):
            there = _told(has.get(name))
            wanted = _told(needs.get(name))
            problems.append(f"{name} is {there} in the state and {wanted} in the {type(model).__name__}")
    if problems:
        more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise ValueError(f"{'; '.join(problems[:5])}{more}. Build the model with the arguments of the checkpoint")


def _told(shape):
    """A shape as PyTorch has it: Linear's matrices the other way round."""
    if shape is None:
        return "missing"
    return shape[::-1] if len(shape) == 2 else shape


# ---- A whole model


class Preset(NamedTuple):
    """What the authors' model of a data set is: the arguments of its Generator. image_size is (H, W).

    >>> PRESETS["cityscapes"].image_size
    (256, 512)
    """

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

# (epochs, of which with constant learning rates): the schedule of SPADE's paper (Park et al., CVPR 2019), on which the
# authors build. It has no faces and no fashion.
SCHEDULES = {"ade20k": (200, 100), "cityscapes": (200, 100), "coco_stuff": (100, 100)}

# Pictures that are resized to 286x286 and cut to 256x256 at a random place; the others are resized alone.
CROPPED = ("ade20k", "celebamask_hq", "coco_stuff")


def training_settings(preset):
    """(fields of TrainConfig, size of the pictures) with which the authors trained on a set: widths, losses, rates.

    Not among them are the batch size and what depends on it, see `schedule`. Our averaged generator stays, which they
    did not have.

    >>> settings, size = training_settings("coco_stuff")
    >>> size, settings["crop"], settings["learning_rate_d"]
    ((286, 286), 256, 0.0004)
    """
    told = PRESETS[preset]
    settings = {
        "noise_dim": told.noise_dim,
        "latent_dim": 256,
        "base_channels": 64,
        "encoder_channels": 64,
        "discriminator_channels": 64,
        "num_upsamplings": told.num_upsamplings,
        "init_gain": 0.02,
        "noise_gain": 0.02,
        "lambda_kl": 0.05,
        "lambda_pixel": 0.0,
        "lambda_perceptual": 10.0,
        "plain_share": 0.0,
        "fresh_fakes": True,
        "flip": True,
        "learning_rate_g": 1e-4,
        "learning_rate_d": 4e-4,
    }
    size = told.image_size
    if preset in CROPPED:
        settings["crop"] = size[0]
        size = (286, 286)
    return settings, size


def schedule(preset, pictures, batch_size):
    """(steps, decay_from, decay_steps) of SCHEDULES with so many pictures, or None for a set that it does not have.

    >>> schedule("cityscapes", pictures=2975, batch_size=8)
    (74375, 37187, 37188)
    """
    if preset not in SCHEDULES:
        return None
    epochs, constant = SCHEDULES[preset]
    steps = epochs * pictures // batch_size
    decay_from = constant * pictures // batch_size
    return steps, decay_from, steps - decay_from


# By these entries their checkpoints are told apart.
ENTRY = {"generator": "head_0.norm_0.fc_noise.weight", "encoder": "scale_conv_mu.weight"}


def class_names(preset):
    """The names of a preset's classes. Those of ADE20K begin with "unlabelled", see `Ade20k(original_labels=True)`.

    >>> len(class_names("coco_stuff")), class_names("ade20k")[:2]
    (183, ['unlabelled', 'wall'])
    """
    description = read_description(CLASSES / f"{preset}.json")
    names = description["class_names"]
    if description["ignore_index"] is None:
        return names
    return [UNLABELLED, *names] if preset == "ade20k" else [*names, UNLABELLED]


def convert(paths, out, preset=None):
    """Write the authors' generator, and their encoder if it is given, as one file that `load_pretrained` reads.

    paths: best_net_G.pth and, in any order, best_net_E.pth (or best_net_IE.pth).
    preset: a name in PRESETS, by default the one with as many classes. Widths and the kind of norm are read off the
    weights.
    Returns {"generator": ..., "encoder": ...}, the second only if it is given. ValueError names the file or what does
    not fit.

    >>> convert(["best_net_G.pth"], "model.safetensors")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FileNotFoundError: best_net_G.pth is missing; ...
    """
    states = _read_states(paths)
    generator = states["generator"]
    preset = _find_preset(generator, preset)
    config = {
        "train_config": _arguments(generator, preset),
        "image_size": PRESETS[preset].image_size,
        "class_names": class_names(preset),
    }
    encoder = states.get("encoder")
    config["train_config"]["encoder_channels"] = None if encoder is None else len(encoder["layer1.weight"])

    networks = {}
    tensors = {}
    for kind, network in zip(ENTRY, build(config), strict=True):
        if network is not None:
            load_original(network, states.pop(kind))
            tensors |= state_arrays(network, f"{kind}.")
            networks[kind] = network
    files = [Path(path).name for path in paths]
    write_tensors(out, tensors, {**config, "preset": preset, "files": files})
    return networks


def _read_states(paths):
    """{"generator": {name: array}, "encoder": ...}; the second may be missing."""
    states = {}
    for path in paths:
        state = read_torch_checkpoint(path)
        for kind, entry in ENTRY.items():
            if entry in state:
                states[kind] = state
                break
        else:
            raise ValueError(f"{path} is neither a generator nor an encoder; it has {', '.join(list(state)[:3])}, ...")
    if "generator" not in states:
        raise ValueError(f"there is no generator in {', '.join(map(str, paths))}; give best_net_G.pth, too")
    return states


def _find_preset(state, preset):
    """The name of the preset with as many classes as a generator's weights; it must be `preset` if that is given."""
    missing = [name for name in ("head_0.norm_0.weight", "fc.weight") if name not in state]
    if missing:
        raise ValueError(f"the generator has no {missing[0]}; give the whole state dict")
    num_classes = len(state["head_0.norm_0.weight"])
    for name, arguments in PRESETS.items():
        if arguments.num_classes == num_classes and preset in (None, name):
            return name
    known = {name: arguments.num_classes for name, arguments in PRESETS.items()}
    raise ValueError(f"the generator has {num_classes} classes, {preset or 'the presets'} {known.get(preset, known)}")


def _arguments(state, preset):
    """What the names and shapes of a generator's weights tell about it, as fields of TrainConfig."""
    has_batch_norm = any(name.endswith("running_mean") for name in state)
    has_sketch = any("sketch_conv" in name for name in state)
    return {
        "method": "inade_sketch" if has_sketch else "inade",
        "noise_dim": state["head_0.norm_0.fc_noise.weight"].shape[1],
        "latent_dim": state["fc.weight"].shape[1],
        "base_channels": state["head_0.norm_0.weight"].shape[1] // 16,
        "num_upsamplings": PRESETS[preset].num_upsamplings,
        "norm": "batch" if has_batch_norm else "instance",
    }
