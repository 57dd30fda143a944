"""From photos and what was drawn on them to a data set folder: shrunk once, cut, dealt into train and val."""

from pathlib import Path

import numpy as np
from tqdm.contrib.concurrent import thread_map

from ..maps import compact_instances
from .folders import default_colors, listed, make_split, write_description, write_maps
from .images import fit, height_width, read_image, resize_image, resize_map
from .slivers import merge_slivers
from .sources import UNLABELLED

FITS = ("crop", "stretch")


def prepare(source, out, size, how="crop", val=0.1, seed=0, merge=False):
    """Write a `sources.Source` as the folder that `FolderDataset` reads. Returns {split: number of scenes}.

    size: of the pictures, an int or (H, W). how: one of FITS. val: the share of the scenes, drawn by chance from the
    seed, that go to val; of two scenes or more, each split gets one. merge: whether slivers join their neighbors, see
    `data.slivers`. Photos are read and shrunk by several threads. One ValueError lists all that is wrong with any file,
    and then nothing is written of those scenes; ValueError, too, if there is a data set already, or for another `how`.

    >>> import tempfile, inade_lite as il
    >>> from inade_lite.data.sources import from_maps
    >>> root = Path(tempfile.mkdtemp())
    >>> il.write_folder(il.ToyTown("val", 64, length=4), root / "town", "val")
    >>> town = from_maps(root / "town/val/images", root / "town/val/labels", root / "town/val/instances")
    >>> prepare(town, root / "small", size=32, val=0.25)
    {'train': 3, 'val': 1}
    """
    out = Path(out)
    size = height_width(size, "size")
    if how not in FITS:
        raise ValueError(f"how={how!r}: expected one of {', '.join(FITS)}")
    if (out / "dataset.json").exists():
        raise ValueError(f"{out} holds a data set already; name another folder")
    splits = _dealt(len(source.scenes), val, seed)
    for split in set(splits):
        make_split(out / split)

    def write(k):
        try:
            return _write_scene(source.scenes[k], out / splits[k], size, how, len(source.class_names), merge)
        except (ValueError, FileNotFoundError) as error:
            return str(error)

    wrong = [text for text in thread_map(write, range(len(splits)), desc="preparing", unit="photo", delay=2) if text]
    if wrong:
        raise ValueError(listed(f"{len(wrong)} of {len(splits)} photos", wrong))
    names = source.class_names
    description = {
        "class_names": names,
        "class_colors": default_colors(len(names)),
        "thing_classes": source.thing_classes,
        "ignore_index": UNLABELLED if len(names) < UNLABELLED else None,
    }
    if source.crowds:
        description["crowds"] = source.crowds
    # Last, so that a folder without it was not finished.
    write_description(out, description)
    return {split: splits.count(split) for split in ("train", "val") if split in splits}


def _dealt(count, val, seed):
    """train or val for each of so many scenes."""
    if count == 0:
        raise ValueError("there are no photos")
    of_val = min(max(1, round(val * count)), count - 1) if val else 0
    chosen = set(np.random.default_rng(seed).permutation(count)[:of_val].tolist())
    return ["val" if k in chosen else "train" for k in range(count)]


def _write_scene(scene, folder, size, how, num_classes, merge):
    """The three files of a scene. Returns nothing; a ValueError names what is wrong."""
    image = read_image(scene.photo)
    label, instance = scene.draw(*image.shape[:2])
    beyond = label[(label >= num_classes) & (label != UNLABELLED)]
    if beyond.size:
        raise ValueError(f"{scene.name}: class id {beyond.max()}, but there are the classes 0 to {num_classes - 1}")
    label = fit(label, size, how, resize_map)
    instance = compact_instances(label, fit(instance, size, how, resize_map))
    if merge:  # at this size, since shrinking makes slivers, too
        label, instance = merge_slivers(label, instance)
        instance = compact_instances(label, instance)
    write_maps(folder, scene.name, fit(image, size, how, resize_image), label, instance)
