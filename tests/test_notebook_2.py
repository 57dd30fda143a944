"""Notebook 2: the layer that it builds equals the package's."""

import inade_lite as il  # isort: skip

import numpy as np
import paddle
import pytest
from notebook_definitions import load_definitions
