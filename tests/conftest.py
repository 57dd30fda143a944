"""What every test gets: random numbers of its own, and the definitions of the notebook that its file is named after."""

import re
import sys

import numpy as np
import pytest
from notebook_definitions import load_definitions

from inade_lite.setup import runtime

runtime.set_up()  # before any test file imports Paddle, so that all run in the same set-up

collect_ignore = ["torch_files"]  # written by PyTorch, which is not installed


@pytest.fixture
def random(request):
    """This test's own random numbers: the same whichever tests ran before it."""
    return np.random.default_rng(getattr(request, "param", 0))


@pytest.fixture(autouse=True)
def paddles_random_numbers():
    """The same for Paddle's generator, where Paddle was imported."""
    if "paddle" in sys.modules:
        sys.modules["paddle"].seed(0)


def pytest_terminal_summary(terminalreporter):
    """How many of the authors' numbers test_original.py compared, in whatever process it ran."""
    found = {}
    for report in sum(terminalreporter.stats.values(), []):
        for name, value in getattr(report, "user_properties", []):
            if name == "original" and report.when == "call":
                folder, file, shares = value
                found.setdefault(folder, {}).setdefault(file, []).extend(shares)
    for folder, files in found.items():
        terminalreporter.section(f"{sum(map(len, files.values()))} arrays of {folder} compared")
        for file, shares in files.items():
            worst = max(shares, default=0)
            terminalreporter.line(f"{len(shares):4} {file:14} off by at most {worst:.2g} of what is tolerated")


@pytest.fixture(scope="module")
def notebook(request):
    """What notebook k defines, in test_notebook_k.py."""
    return load_definitions(re.search(r"test_notebook_(\d+)", request.module.__name__)[1])
