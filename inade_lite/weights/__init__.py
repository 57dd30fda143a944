"""Weights: this project's files, the shipped models, and the authors' checkpoints."""

from .original import PRESETS, load_original
from .pretrained import load_pretrained, save_pretrained
from .torch_file import read_torch_checkpoint

__all__ = ["PRESETS", "load_original", "load_pretrained", "read_torch_checkpoint", "save_pretrained"]
