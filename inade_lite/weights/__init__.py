"""Weights: this project's files, the shipped models, and the authors' checkpoints."""
