"""Small made-up folders in every layout that `inade_lite.data.sets` reads.

`make(root)` writes 3 training and 2 held-out pictures and returns what a reader must make of them:
{split: [(name, classes [H, W], stored instance ids [H, W])]}, where the ids of stuff are 0.
"""

import json

import numpy as np
from PIL import Image

from inade_lite.data.sets import CLASSES

SIZE = (32, 48)
SPLITS = {"train": 3, "val": 2}


def save(path, array, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).convert(mode).save(path)


def photo(rng, size=SIZE):
    return rng.integers(0, 256, (*size, 3), np.uint8)


def blocks(rng, ids, size=SIZE, side=8):
    """A map of blocks that hold some of `ids`, the first and the last of them for sure."""
    rows, columns = size[0] // side, size[1] // side
    coarse = rng.choice(ids, rows * columns)
    coarse[[0, -1]] = ids[0], ids[-1]
    return coarse.reshape(rows, columns).repeat(side, 0).repeat(side, 1)


def things(name):
    return json.loads((CLASSES / f"{name}.json").read_text())["thing_classes"]


def of_things(classes, ids, name, shift=0):
    return np.where(np.isin(classes - shift, things(name)), ids, 0)


def names_of(split, stem):
    return [stem.format(split=split, k=k) for k in range(SPLITS[split])]


def cityscapes(root):
    """leftImg8bit, gtFine: 24001 is the second person; 255 in a file of 8 bits is the license plate's -1."""
    rng, truth = np.random.default_rng(1), {}
    for split in SPLITS:
        truth[split] = []
        for name in names_of(split, "{split}stadt_00000{k}_000019"):
            city = f"{split}stadt"
            stored = blocks(rng, [0, 7, 23, 24, 26, 255])
            number = blocks(rng, [0, 1, 2])
            ids = np.where(np.isin(stored, [24, 26]), 1000 * stored + number, stored)
            maps = root / "gtFine" / split / city
            save(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", photo(rng))
            save(maps / f"{name}_gtFine_labelIds.png", stored.astype(np.uint8))
            save(maps / f"{name}_gtFine_instanceIds.png", ids.astype(np.uint16))
            save(maps / f"{name}_gtFine_labelTrainIds.png", 0 * stored.astype(np.uint8))  # not read
            (maps / f"{name}_gtFine_polygons.json").write_text("{}")
            classes = np.where(stored == 255, 34, stored)
            truth[split].append((name, classes, of_things(classes, ids, "cityscapes")))
    return truth


def coco_stuff(root, ids=(0, 1, 2, 16, 90, 156), bits=np.uint8, side=4):
    """Instance ids that collide with class ids, and 255 for unlabelled pixels."""
    rng, truth = np.random.default_rng(2), {}
    for split in SPLITS:
        truth[split] = []
        for name in names_of(split, "{k:012d}"):
            stored, instance = blocks(rng, [0, 16, 91, 156, 181, 255]), blocks(rng, ids, side=side)
            save(root / f"{split}_img" / f"{name}.jpg", photo(rng))
            save(root / f"{split}_label" / f"{name}.png", stored.astype(np.uint8))
            save(root / f"{split}_inst" / f"{name}.png", instance.astype(bits))
            classes = np.where(stored == 255, 182, stored)
            truth[split].append((name, classes, of_things(classes, instance, "coco_stuff")))
    return truth


def coco_stuff_of_many_instances(root):
    """More instances than 8 bits can tell apart."""
    return coco_stuff(root, range(0, 7000, 7), np.uint16, side=1)


def _ade20k(root, source, original=False):
    rng, truth = np.random.default_rng(3), {}
    for split, folder in (("train", "training"), ("val", "validation")):
        truth[split] = []
        for name in names_of(split, "ADE_{split}_0000000{k}"):
            stored = blocks(rng, [0, 1, 8, 13, 150])  # unlabelled, wall, bed, person, flag
            number = blocks(rng, [0, 1, 2, 255], side=4)
            save(root / "images" / folder / f"{name}.jpg", photo(rng))
            save(root / "annotations" / folder / f"{name}.png", stored.astype(np.uint8))
            classes = stored if original else np.where(stored == 0, 150, stored - 1)
            if source == "annotations_instance":
                mask = np.stack([stored % 100, number, 255 - number], -1)  # red, green, blue
                save(root / source / folder / f"{name}.png", mask.astype(np.uint8))
            elif source == "instances":
                save(root / source / folder / f"{name}.png", stored.astype(np.uint8))
            ids = (
                of_things(classes, number, "ade20k", int(original)) if source == "annotations_instance" else 0 * stored
            )
            truth[split].append((name, classes, ids))
    return truth


def ade20k(root):
    """Both downloads: scene parsing, and the instances of 2017."""
    return _ade20k(root, "annotations_instance")


def ade20k_of_scene_parsing(root):
    """Only the download of scene parsing, which has no instances."""
    return _ade20k(root, None)


def ade20k_of_the_authors(root):
    """The authors' instances: one of each class."""
    return _ade20k(root, "instances")


def ade20k_original(root):
    """Read with the labels that the published weights need."""
    return _ade20k(root, "annotations_instance", original=True)


def celebamask_hq(root):
    """The download: a mask for each part at half the pictures' size, and the table that tells the splits."""
    rng, truth = np.random.default_rng(4), {split: [] for split in ("train", "val", "test")}
    parts = json.loads((CLASSES / "celebamask_hq.json").read_text())["class_names"]
    rows = ["   idx    orig_idx    orig_file    "]
    celeba = {0: 12, 1: 162770, 2: 162771, 9: 182637, 2001: 182638, 2010: 200000, 11: 5}
    for k, origin in celeba.items():
        size = (2 * SIZE[0], 2 * SIZE[1])
        save(root / "CelebA-HQ-img" / f"{k}.jpg", photo(rng, size))
        rows.append(f"{k}        {origin}       {origin + 1:06d}.jpg")
        classes = np.zeros(SIZE, int)
        for part in ("skin", "l_eye", "hair", "cloth"):  # in the order in which they cover each other
            mask = rng.random(SIZE) < 0.4
            picture = 255 * mask.astype(np.uint8)
            picture = picture[..., None].repeat(3, -1) if part == "hair" else picture
            save(root / "CelebAMask-HQ-mask-anno" / str(k // 2000) / f"{k:05d}_{part}.png", picture)
            classes[mask] = parts.index(part)
        split = "train" if origin <= 162770 else "val" if origin <= 182637 else "test"
        truth[split].append((str(k), classes, 0 * classes))
    (root / "CelebA-HQ-to-CelebA-mapping.txt").write_text("\n".join(rows) + "\n")
    for split in truth:
        truth[split].sort(key=lambda item: int(item[0]))
    return truth


def celebamask_hq_of_the_authors(root):
    """images, labels, instances; what is held out is called test."""
    rng, truth = np.random.default_rng(5), {}
    for split, folder in (("train", "train"), ("val", "test")):
        truth[split] = []
        for name in names_of(split, "{k}"):
            classes = blocks(rng, range(19))
            save(root / folder / "images" / f"{name}.jpg", photo(rng))
            save(root / folder / "labels" / f"{name}.png", classes.astype(np.uint8))
            save(root / folder / "instances" / f"{name}.png", classes.astype(np.uint8))
            truth[split].append((name, classes, 0 * classes))
    truth["test"] = truth["val"]
    return truth


def _deepfashion(root, kind):
    rng, truth = np.random.default_rng(6), {}
    for split, folder in (("train", "train"), ("val", "test")):
        truth[split] = []
        for name in names_of(split, "id_{k}"):
            classes = blocks(rng, range(8))
            save(root / f"{folder}_img" / f"{name}.jpg", photo(rng))
            if kind == "mask":
                mask = np.stack([classes, 7 - classes, 0 * classes], -1)
                save(root / f"{folder}_mask" / f"{name}.png", mask.astype(np.uint8))
            else:
                save(root / f"{folder}_label" / f"{name}.png", classes.astype(np.uint8))
                save(root / f"{folder}_inst" / f"{name}.png", classes.astype(np.uint8))
            truth[split].append((name, classes, 0 * classes))
    truth["test"] = truth["val"]
    return truth


def deepfashion(root):
    """label and inst, the layout of the authors; what is held out is called test."""
    return _deepfashion(root, "label")


def deepfashion_of_masks(root):
    """Masks whose first channel holds the classes, no instances."""
    return _deepfashion(root, "mask")


# Folder maker -> the name of its reader in SETS.
LAYOUTS = {
    cityscapes: "cityscapes",
    coco_stuff: "coco_stuff",
    coco_stuff_of_many_instances: "coco_stuff",
    ade20k: "ade20k",
    ade20k_of_scene_parsing: "ade20k",
    ade20k_of_the_authors: "ade20k",
    ade20k_original: "ade20k_original",
    celebamask_hq: "celebamask_hq",
    celebamask_hq_of_the_authors: "celebamask_hq",
    deepfashion: "deepfashion",
    deepfashion_of_masks: "deepfashion",
}
