"""The pictures in docs/ are what `make pictures` draws."""

import io

import numpy as np
import pytest
from helpers import ROOT
from PIL import Image

from experiments.pictures import PICTURES


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_what_its_command_draws(name):
    path = ROOT / f"docs/{name}.png"
    file = io.BytesIO()
    PICTURES[name]().savefig(file)
    drawn, shown = (np.asarray(Image.open(source).convert("RGBA"), int) for source in (file, path))
    assert drawn.shape == shown.shape and path.stat().st_size < 400_000
    # Another processor rounds in another way, and a thin line may fall on the next pixel.
    assert (np.abs(drawn - shown).max(2) > 3).mean() < 1e-3
