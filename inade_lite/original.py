"""The authors' weights in these networks: what every entry of their PyTorch checkpoints is called here."""

import re

import numpy as np

from .discriminator import MultiscaleDiscriminator
from .encoder import InstanceEncoder
from .generator import Generator
from .layers import INADE, InstanceConv2D

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
    model.set_state_dict({ours: given[name].astype(np.float32) for name, ours in names.items()})


def _shape(shapes, name):
    """The shape as PyTorch has it."""
    if name not in shapes:
        return "missing"
    return shapes[name][::-1] if len(shapes[name]) == 2 else shapes[name]
