"""Writes checkpoints with PyTorch, which the project itself never needs: run this in an environment of its own.

    python write.py .                          # the fixtures beside this file
    python write.py DIR cityscapes legacy      # best_net_G.pth and best_net_E.pth in full size, with random weights

The modules have the names and shapes of the authors' networks and no forward.
"""

import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils import spectral_norm

#          classes, noise, start map (height, width)
PRESETS = {
    "ade20k": (151, 64, (8, 8)),
    "cityscapes": (35, 64, (4, 8)),
    "celebamask_hq": (19, 64, (8, 8)),
    "deepfashion": (8, 8, (8, 8)),
    "coco_stuff": (183, 64, (8, 8)),
}


class Ilade(nn.Module):
    def __init__(self, channels, classes, noise, norm):
        super().__init__()
        self.param_free_norm = norm(channels, affine=False)
        self.weight, self.bias = (nn.Parameter(torch.rand(classes, channels, 2)) for _ in range(2))
        self.fc_noise = nn.Linear(noise, channels)


class Block(nn.Module):
    def __init__(self, a, b, *norm):
        super().__init__()
        m = min(a, b)
        self.norm_0, self.norm_1 = Ilade(a, *norm), Ilade(m, *norm)
        self.conv_0, self.conv_1 = (spectral_norm(nn.Conv2d(i, o, 3, padding=1)) for i, o in ((a, m), (m, b)))
        if a != b:
            self.norm_s, self.conv_s = Ilade(a, *norm), spectral_norm(nn.Conv2d(a, b, 1, bias=False))


class Generator(nn.Module):
    def __init__(self, f, latent, classes, noise, start, norm):
        super().__init__()
        self.fc = nn.Linear(latent, 16 * f * start[0] * start[1])
        names = ("head_0", "G_middle_0", "G_middle_1", "up_0", "up_1", "up_2", "up_3")
        widths = (16 * f, 16 * f, 16 * f, 16 * f, 8 * f, 4 * f, 2 * f, f)
        for name, a, b in zip(names, widths[:-1], widths[1:], strict=True):
            setattr(self, name, Block(a, b, classes, noise, norm))
        self.conv_img = nn.Conv2d(f, 3, 3, padding=1)


class Encoder(nn.Module):
    def __init__(self, f, noise):
        super().__init__()
        convs = {"layer1": (3, f), "layer2": (f, 2 * f), "layer3": (2 * f, 4 * f), "layer4": (4 * f, 8 * f)}
        convs |= {"middle": (8 * f, 4 * f), "up1": (8 * f, 2 * f), "up2": (4 * f, f), "up3": (2 * f, f)}
        convs |= {f"{half}_conv_{kind}": (f, noise) for half in ("scale", "bias") for kind in ("mu", "var")}
        for name, (a, b) in convs.items():
            setattr(self, name, nn.Conv2d(a, b, 3))


def every_kind():
    """Tensors of all types and shapes of memory that a state dict can hold."""
    base = torch.arange(24.0).reshape(4, 6)
    tensors = {"whole": base, "transposed": base.t(), "window": base[1:3, 2:5], "column": base[:, 4]}
    tensors |= {"scalar": torch.tensor(3.5), "empty": torch.zeros(0, 3), "parameter": nn.Parameter(torch.ones(2))}
    types = (
        torch.float64,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.bool,
    )
    for kind in types:
        tensors[str(kind).removeprefix("torch.")] = (torch.randn(3, 2) * 3).to(kind)
    return OrderedDict(tensors, uint8=torch.arange(250, 256).to(torch.uint8))


def write(content, path, kind):
    torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")


def main(folder, preset=None, kind="zip"):
    torch.manual_seed(0)
    folder = Path(folder)
    if preset:
        classes, noise, start = PRESETS[preset]
        norm = nn.BatchNorm2d if kind == "legacy" else nn.InstanceNorm2d
        write(Generator(64, 256, classes, noise, start, norm).state_dict(), folder / "best_net_G.pth", kind)
        write(Encoder(64, noise).state_dict(), folder / "best_net_E.pth", kind)
        return
    tensors = every_kind()
    for kind in ("zip", "legacy"):
        write(tensors, folder / f"tensors_{kind}.pth", kind)
        write({"state_dict": tensors, "epoch": 3}, folder / f"nested_{kind}.pth", kind)
    plain = {name: (t.float() if t.dtype == torch.bfloat16 else t).detach().numpy() for name, t in tensors.items()}
    np.savez(folder / "tensors.npz", **plain)
    write(Generator(1, 2, *PRESETS["deepfashion"], nn.BatchNorm2d).state_dict(), folder / "generator.pth", "legacy")
    write(Encoder(2, 8).state_dict(), folder / "encoder.pth", "zip")


main(*sys.argv[1:])
