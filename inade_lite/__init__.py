"""Instance-aware image synthesis in PaddlePaddle, to read and to run: INADE (Tan et al., CVPR 2021).

    import inade_lite as il

    model = il.load_pretrained("inade")

What stands here is loaded when it is first used (PEP 562). So `python -m inade_lite doctor` can tell what is wrong with
an installation whose Paddle is missing or broken. The threads and the allocator are set at once, since Paddle reads
them while it is imported.
"""

import importlib
import os

from .setup import runtime

runtime.set_up()

__version__ = "0.1.0"

# Notebooks shorten their training where this is set; the tests set it.
FAST = os.environ.get("INADE_LITE_FAST") == "1"

# Where each public name is defined.
_PLACES = {
    "Ade20k": "data.sets",
    "CelebAMaskHQ": "data.sets",
    "Cityscapes": "data.sets",
    "CocoStuff": "data.sets",
    "DeepFashion": "data.sets",
    "FolderDataset": "data.folders",
    "Generator": "generator",
    "INADE": "layers",
    "InstanceConv2D": "layers",
    "InstanceEncoder": "encoder",
    "Layout": "maps",
    "METHODS": "methods",
    "MultiscaleDiscriminator": "discriminator",
    "NoiseParams": "noise",
    "PRESETS": "weights.original",
    "SETS": "data.sets",
    "ToyTown": "data.toy_town",
    "TrainConfig": "config",
    "Trainer": "training",
    "augment": "data.batches",
    "batches": "data.batches",
    "check": "exercises",
    "collate": "data.batches",
    "compact_instances": "maps",
    "hint": "exercises",
    "kl_divergence": "noise",
    "load_original": "weights.original",
    "load_pretrained": "weights.pretrained",
    "read_torch_checkpoint": "weights.torch_file",
    "remap_noise": "noise",
    "sample": "generator",
    "sample_noise": "noise",
    "save_pretrained": "weights.pretrained",
    "start_or_resume": "training",
    "take_turns": "timing",
    "write_folder": "data.folders",
}

# Modules that are public under a shorter name than their place.
_MODULES = {"judge": "metrics.judge", "lite0": "metrics.lite0"}

__all__ = sorted([*_PLACES, *_MODULES, "FAST", "figures", "metrics", "textbook"])


def __getattr__(name):
    """The public name, or the module of that name, at its first use."""
    if name.startswith("__"):
        raise AttributeError(name)
    if name in _PLACES:
        value = getattr(_load(_PLACES[name]), name)
    else:
        value = _load(_MODULES.get(name, name))
    globals()[name] = value
    return value


def _load(place):
    """The module of this package at a place such as "data.sets"."""
    module = f"{__name__}.{place}"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            raise AttributeError(f"module {__name__!r} has no attribute {place!r}") from None
        if error.name == "paddle":
            # Paddle is missing. This is an ImportError that tells the remedy.
            runtime.check_installation()
        raise


def __dir__():
    """The public names too that have not been used yet, so that Tab completes them."""
    return sorted({*globals(), *__all__})
