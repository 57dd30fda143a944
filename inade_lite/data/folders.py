"""Data sets in folders.

    <root>/dataset.json                      class_names, class_colors, thing_classes, ignore_index
    <root>/<split>/images/<stem>.png         RGB, or <stem>.jpg
    <root>/<split>/labels/<stem>.png         grey, 8 bit: the pixel is the class id
    <root>/<split>/instances/<stem>.png      grey, 8 or 16 bit: any ids that tell the instances of a class apart

An item of a data set is {"image", "label", "instance", "name"}: image float32 [3, H, W] in -1..1, maps int64 [H, W].
Whatever is wrong with a file is a ValueError or FileNotFoundError that names the file, the value and the remedy.
"""

import json
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm.auto import tqdm
from tqdm.contrib.concurrent import thread_map

from ..files import png, write_file
from ..maps import compact_instances
from .images import PHOTOS, height_width, read_image, read_map, resize_image, resize_map, to_float, to_uint8

UNLABELLED = "unlabelled"


def read_description(path):
    """The checked content of a dataset.json, a dict with the four keys."""
    try:
        content = json.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing; it describes the classes, see inade_lite/data.py") from None
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error

    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}; expected an object with the key 'class_names', ...")

    def is_list(value, holds):
        return isinstance(value, list) and all(holds(entry) for entry in value)

    def is_int(value, low, high):
        return type(value) is int and low <= value <= high

    names = content.get("class_names", [])
    count = len(names) if is_list(names, lambda name: isinstance(name, str)) and len(set(names)) == len(names) else 0
    expected = {
        "class_names": ("a list of 1 to 255 different names", lambda _: 1 <= count <= 255),
        "class_colors": (
            f"a list of {count} colours [R, G, B], 0 to 255",
            lambda v: is_list(v, lambda c: is_list(c, lambda x: is_int(x, 0, 255)) and len(c) == 3) and len(v) == count,
        ),
        "thing_classes": (
            f"a list of class ids, 0 to {count - 1}",
            lambda v: is_list(v, lambda k: is_int(k, 0, count - 1)),
        ),
        "ignore_index": (
            f"null or the id of unlabelled pixels, {count} to 255",
            lambda v: v is None or is_int(v, count, 255),
        ),
    }
    for key, (meaning, holds) in expected.items():
        if key not in content:
            raise ValueError(f"{path}: the key {key!r} is missing; expected {meaning}")
        if not holds(content[key]):
            raise ValueError(f"{path}: {key!r} is {json.dumps(content[key])[:200]}; expected {meaning}")
    return content


class Kind:
    """The files of one kind, images for one: those of `folder` (and of its folders, with pattern "*/*") that end so.

    found: {stem: path}, where a file is called stem + ending.
    """

    def __init__(self, folder, *endings, pattern="*"):
        self.folder, self.endings, self.pattern = folder, endings, pattern
        self.found, self.problems = {}, []
        for path in sorted(folder.glob(pattern)):
            ending = next((e for e in endings if path.name.lower().endswith(e.lower())), None)
            if ending is None or path.name.startswith("."):
                continue
            stem = path.name[: -len(ending)]
            if stem in self.found:
                self.problems.append(f"{path} has the stem of {self.found[stem].name}: remove one")
            self.found[stem] = path

    def path(self, stem):
        """Where the file of that stem is, or should be."""
        return self.found.get(stem, (self.folder / self.pattern).parent / f"{stem}{self.endings[0]}")


def pair(title, *kinds):
    """[(stem, a path of each kind)], by stem. One FileNotFoundError lists all files without their counterparts."""
    stems = sorted(set().union(*(kind.found for kind in kinds)))
    problems = [problem for kind in kinds for problem in kind.problems]
    problems += [f"{kind.path(stem)} is missing" for stem in stems for kind in kinds if stem not in kind.found]
    if problems:
        raise FileNotFoundError(listed(title, problems))
    return [(stem, *(kind.path(stem) for kind in kinds)) for stem in stems]


class FileDataset:
    """Items from files of images and maps. A subclass finds the files and knows what the stored ids mean.

    Instance ids become 0..I-1, one for each (class, id) pair; where a set has no instances, each class of a picture is
    one. If there is an `ignore_index`, its pixels become an extra last class "unlabelled".
    """

    image_modes = ("RGB",)
    label_modes = ("L",)
    instance_modes = ("L", "I;16", "I")

    def __init__(self, root, split, image_size=None):
        self.root, self.split = Path(root), split
        self.image_size = None if image_size is None else height_width(image_size)
        if not self.root.is_dir():
            raise FileNotFoundError(f"there is no folder {self.root}; {self.expected()}")
        description = read_description(self.description())
        self.ignore_index = description["ignore_index"]
        self.class_names = description["class_names"] + [UNLABELLED] * (self.ignore_index is not None)
        self.class_colors = np.array(description["class_colors"] + [[0, 0, 0]], np.uint8)[: len(self.class_names)]
        self.thing_classes = description["thing_classes"]
        self.num_classes = len(self.class_names)
        self.class_of = np.full(256, -1)  # stored id -> class id
        known = len(description["class_names"])
        self.class_of[:known] = np.arange(known)
        self.unlabelled = None if self.ignore_index is None else known
        if self.ignore_index is not None:
            self.class_of[self.ignore_index] = known
        self.files = self.find()  # [(name, image, label, instance or None)]
        self._checked = False

    # What a subclass says

    def expected(self):
        """The end of an error message: what this data set reads."""
        raise NotImplementedError

    def description(self):
        """The path of the dataset.json that describes the classes."""
        raise NotImplementedError

    def find(self):
        """[(name, image path, label path, instance path or None)], in the order of the items."""
        raise NotImplementedError

    def known_ids(self):
        """The end of an error message: which ids a label map may hold."""
        raise NotImplementedError

    def read_label(self, path):
        """Stored class ids, int64 [H, W]."""
        return read_map(path, self.label_modes)

    def read_instance(self, path):
        """Stored instance ids, int64 [H, W]."""
        return read_map(path, self.instance_modes)

    def fits(self, image, ids):
        """Whether an image and a map may go together. An image of another size is resized to its maps."""
        return image.shape[:2] == ids.shape

    # What all share

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        if not 0 <= i < len(self):
            raise IndexError(f"item {i} of {len(self)} in {self.root / self.split}")
        (image, label, instance), problems = self._read(i)
        if problems:
            raise problems[0]
        size = self.image_size or label.shape
        image, label, instance = resize_image(image, size), resize_map(label, size), resize_map(instance, size)
        instance = compact_instances(label, instance, self.unlabelled)
        return {"image": to_float(image), "label": label, "instance": instance, "name": self.files[i][0]}

    def _read(self, i):
        """Image, classes and instance ids of an item at their stored size, and the errors of all its files."""
        _, image_path, label_path, instance_path = self.files[i]
        problems = []

        def attempt(read, *arguments):
            try:
                return read(*arguments)
            except (ValueError, OSError) as error:
                problems.append(error)

        image = attempt(read_image, image_path, self.image_modes)
        label = attempt(self._read_classes, label_path)
        instance = label if instance_path is None else attempt(self.read_instance, instance_path)
        if not problems:
            for path, ids in ((label_path, label), (instance_path, instance)):
                if not self.fits(image, ids):
                    attempt(check_size, path, ids, image)
        return (image, label, instance), problems

    def _read_classes(self, path):
        stored = self.read_label(path)
        label = self.class_of[stored]
        if (label < 0).any():
            row, column = np.argwhere(label < 0)[0]
            raise ValueError(
                f"{path}: class id {stored[row, column]} at row {row}, column {column}, but {self.known_ids()}"
            )
        return label

    def check(self):
        """Reads every item, once; one ValueError lists all that is wrong with any file."""
        if self._checked:
            return
        bar = {"desc": f"checking {self.split}", "unit": "item", "delay": 2, "leave": False}
        found = [errors for errors in thread_map(lambda i: self._read(i)[1], range(len(self)), **bar) if errors]
        if found:
            title = f"{len(found)} of {len(self)} items in {self.root / self.split}"
            raise ValueError(listed(title, [str(error) for errors in found for error in errors]))
        self._checked = True


class FolderDataset(FileDataset):
    """The data set in `<root>/<split>`; `image_size` (int or (H, W)) resizes its items, None keeps their sizes.

    Instance ids become 0..I-1, one for each (class, id) pair. If dataset.json names an `ignore_index`, its pixels
    become an extra last class "unlabelled". Missing files are told all at once when the folder is opened, damaged ones
    when they are read, or all at once by `check()`.
    """

    def expected(self):
        return "`python -m inade_lite make-data` makes one"

    def description(self):
        return self.root / "dataset.json"

    def known_ids(self):
        last = self.num_classes - 1 - (self.ignore_index is not None)
        ignored = json.dumps(self.ignore_index)
        return f"dataset.json has the classes 0 to {last} and ignore_index {ignored}; correct one of them"

    def find(self):
        folder = self.root / self.split
        if not folder.is_dir():
            splits = sorted(entry.name for entry in self.root.iterdir() if entry.is_dir())
            raise FileNotFoundError(f"there is no split {self.split!r} in {self.root}; its folders: {splits}")
        images = Kind(folder / "images", *PHOTOS)
        maps = [Kind(folder / kind, ".png") for kind in ("labels", "instances")]
        files = pair(f"{folder}: images, labels, instances must have the same stems", images, *maps)
        if not files:
            raise FileNotFoundError(f"{folder} holds no files images/*.png, labels/*.png and instances/*.png")
        return files


def check_size(path, array, other, what="its image"):
    """ValueError if two arrays [H, W, ...] differ in H or W; path is the first's, `what` says what the other is."""
    if array.shape[:2] != other.shape[:2]:
        (h, w), (other_h, other_w) = array.shape[:2], other.shape[:2]
        raise ValueError(f"{path} is {w}×{h} (width × height), {what} {other_w}×{other_h}; export both at one size")


def listed(title, problems):
    """One message with a line for each problem."""
    return "\n  ".join([f"{title}:", *problems])


class Summary(NamedTuple):
    """What is in a data set. sizes: {(H, W): items}. pixels, items, instances: of each class, int64 [L]."""

    sizes: dict
    pixels: np.ndarray
    items: np.ndarray
    instances: np.ndarray

    def __str__(self):
        count, (low, high) = sum(self.sizes.values()), (min(self.sizes), max(self.sizes))
        sizes = f"{low[0]}×{low[1]}" + (f" to {high[0]}×{high[1]}" if high != low else "")
        present = f"{(self.items > 0).sum()} of {len(self.items)} classes"
        return f"{count} pictures of {sizes} (height × width), {present}, {self.instances.sum()} instances"


def summarize(dataset):
    """Reads every item and counts: a Summary."""
    sizes, counts = Counter(), np.zeros((3, dataset.num_classes), np.int64)
    for i in tqdm(range(len(dataset)), desc="counting", unit="item", delay=2, leave=False):
        item = dataset[i]
        label, instance = item["label"], item["instance"]
        sizes[label.shape] += 1
        pixels = np.bincount(label.ravel(), minlength=dataset.num_classes)
        class_of_instance = np.zeros(instance.max() + 1, np.int64)
        class_of_instance[instance] = label
        counts += pixels, pixels > 0, np.bincount(class_of_instance, minlength=dataset.num_classes)
    return Summary(dict(sizes), *counts)


def write_folder(dataset, root, split, indices=None):
    """Writes items of a data set (all, or those at `indices`) as the folder that `FolderDataset` reads.

    A file is either complete or not there: if the disk is full, an OSError names the file. ValueError if the split has
    files already, or if `root` holds a data set of other classes.
    """
    if dataset.num_classes > 255:
        raise ValueError(f"{dataset.num_classes} classes; an 8-bit label map has room for 255")
    root = Path(root)
    description = {
        "class_names": list(dataset.class_names),
        "class_colors": np.asarray(dataset.class_colors).tolist(),
        "thing_classes": list(dataset.thing_classes),
        "ignore_index": None,
    }
    if (root / "dataset.json").exists() and read_description(root / "dataset.json") != description:
        raise ValueError(f"{root}/dataset.json describes other classes; write to another folder")
    if any((root / split).glob("*/*")):
        raise ValueError(f"{root / split} has files already; remove them or write to another folder")
    for kind in ("images", "labels", "instances"):
        (root / split / kind).mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in description.items())
    write_file(root / "dataset.json", f"{{\n{lines}\n}}\n".encode())
    for i in range(len(dataset)) if indices is None else indices:
        item = dataset[i]
        instance = item["instance"].astype(np.uint8 if item["instance"].max() < 256 else np.uint16)
        maps = {"images": to_uint8(item["image"]), "labels": item["label"].astype(np.uint8), "instances": instance}
        for kind, pixels in maps.items():
            write_file(root / split / kind / f"{item['name']}.png", png(pixels, optimize=True))
