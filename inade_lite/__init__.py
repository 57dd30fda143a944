"""Instance-aware image synthesis in PaddlePaddle, to read and to run: INADE (Tan et al., CVPR 2021)."""

from . import runtime

runtime.set_up()  # before anything imports Paddle

import os  # noqa: E402

from . import figures, judge, lite0, metrics, textbook  # noqa: E402
from .checkpoint import load_pretrained, save_pretrained  # noqa: E402
from .data import FolderDataset, augment, batches, collate, write_folder  # noqa: E402
from .discriminator import MultiscaleDiscriminator  # noqa: E402
from .encoder import InstanceEncoder  # noqa: E402
from .generator import Generator, sample  # noqa: E402
from .layers import INADE, InstanceConv2D  # noqa: E402
from .maps import Layout, compact_instances  # noqa: E402
from .methods import METHODS  # noqa: E402
from .noise import NoiseParams, kl_divergence, remap_noise, sample_noise  # noqa: E402
from .original import PRESETS, load_original  # noqa: E402
from .sets import SETS, Ade20k, CelebAMaskHQ, Cityscapes, CocoStuff, DeepFashion  # noqa: E402
from .timing import take_turns  # noqa: E402
from .torch_file import read_torch_checkpoint  # noqa: E402
from .toy_town import ToyTown  # noqa: E402
from .training import TrainConfig, Trainer  # noqa: E402

__version__ = "0.1.0"

__all__ = [
    "Ade20k",
    "CelebAMaskHQ",
    "Cityscapes",
    "CocoStuff",
    "DeepFashion",
    "FAST",
    "FolderDataset",
    "Generator",
    "INADE",
    "InstanceConv2D",
    "InstanceEncoder",
    "Layout",
    "METHODS",
    "MultiscaleDiscriminator",
    "NoiseParams",
    "PRESETS",
    "SETS",
    "ToyTown",
    "TrainConfig",
    "Trainer",
    "augment",
    "batches",
    "collate",
    "compact_instances",
    "figures",
    "judge",
    "kl_divergence",
    "lite0",
    "load_original",
    "load_pretrained",
    "metrics",
    "read_torch_checkpoint",
    "remap_noise",
    "sample",
    "sample_noise",
    "save_pretrained",
    "take_turns",
    "textbook",
    "write_folder",
]

# Notebooks shorten their training where this is set; the tests set it.
FAST = os.environ.get("INADE_LITE_FAST") == "1"
