"""Data sets in folders, and batches.

    <root>/dataset.json                      class_names, class_colors, thing_classes, ignore_index
    <root>/<split>/images/<stem>.png         RGB, or <stem>.jpg
    <root>/<split>/labels/<stem>.png         grey, 8 bit: the pixel is the class id
    <root>/<split>/instances/<stem>.png      grey, 8 or 16 bit: any ids that tell the instances of a class apart

An item of a data set is {"image", "label", "instance", "name"}: image float32 [3, H, W] in -1..1, maps int64 [H, W].
Whatever is wrong with a file is a ValueError or FileNotFoundError that names the file, the value and the remedy.
"""

import contextlib
import functools
import io
import itertools
import json
import os
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm.auto import tqdm
from tqdm.contrib.concurrent import thread_map

from .maps import compact_instances

PHOTOS = (".png", ".jpg", ".jpeg")
UNLABELLED = "unlabelled"


# ---- Reading files


def height_width(image_size):
    """An int or (H, W) as (H, W)."""
    size = (image_size, image_size) if np.ndim(image_size) == 0 else tuple(image_size)
    if len(size) != 2 or any(side != int(side) or side < 1 for side in size):
        raise ValueError(f"image_size is {image_size!r}; expected an int or (H, W)")
    return int(size[0]), int(size[1])


def open_image(path, modes, remedy):
    """The decoded PIL image, if its mode is one of `modes`."""
    try:
        with Image.open(path) as image:
            image.load()
    except (FileNotFoundError, PermissionError):
        raise  # they name the file
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, EOFError, struct.error, ...
        raise ValueError(f"{path} cannot be decoded ({error}); it is damaged, copy or export it again") from error
    if image.mode not in modes:
        raise ValueError(f"{path} has mode {image.mode!r}, expected {' or '.join(modes)}; {remedy(image.mode)}")
    return image


def read_image(path, modes=("RGB",)):
    """uint8 [H, W, 3]."""
    image = open_image(path, modes, lambda mode: "Image.open(path).convert('RGB').save(path) converts it")
    return np.asarray(image.convert("RGB"))


def read_map(path, modes=("L",)):
    """Ids int64 [H, W] from a grey PNG."""

    def remedy(mode):
        if mode == "P":
            return "if its palette indices are the ids: Image.fromarray(np.asarray(Image.open(path))).save(path)"
        return "a map holds ids, not colours: make ids [H, W] of it and save Image.fromarray(ids.astype('uint8'))"

    return np.asarray(open_image(path, modes, remedy)).astype(np.int64)


def resize_image(image, size):
    """uint8 [H, W, 3] at another size (h, w), bicubic."""
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC))


def resize_map(ids, size):
    """Ids [H, W] at another size (h, w): those nearest to the centres of the new pixels, as Pillow has it.

    So pictures and maps stay aligned. Inside the networks the original follows another rule, see `maps.resize_nearest`.
    """
    if ids.shape == size:
        return ids
    resized = Image.fromarray(ids.astype(np.int32)).resize(size[::-1], Image.Resampling.NEAREST)
    return np.asarray(resized).astype(np.int64)


def to_float(image):
    """uint8 [H, W, 3] → float32 [3, H, W] in -1..1."""
    return np.ascontiguousarray(image.transpose(2, 0, 1), np.float32) / 127.5 - 1


def to_uint8(image):
    """float [..., 3, H, W] → uint8 [..., H, W, 3]: the exact inverse of `to_float`; values beyond -1..1 are clipped."""
    return np.rint(np.moveaxis(np.clip(image, -1, 1), -3, -1) * 127.5 + 127.5).astype(np.uint8)


# ---- A folder


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


def write_file(path, content):
    """Write bytes to a file, whole or not at all: an OSError, of a full disk for one, leaves an old file as it was."""
    partial = path.with_name(path.name + ".part")
    with naming(path):
        try:
            partial.write_bytes(content)
            os.replace(partial, path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def naming(path):
    """An OSError inside names this file and the remedy."""
    try:
        yield
    except OSError as error:
        remedy = "could not write; free some space or choose another folder"
        raise OSError(error.errno, f"{error.strerror}; {remedy}", str(path)) from error


def png(image, optimize=False):
    """The bytes of a PNG of uint8 [H, W] or [H, W, 3], or of uint16 [H, W]; `optimize` makes it smaller, slowly."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", optimize=optimize)
    return file.getvalue()


# ---- Batches


def collate(items):
    """Items of one size as one batch: image [N, 3, H, W], label and instance [N, H, W], name a list."""
    sizes = {item["label"].shape for item in items}
    if len(sizes) > 1:
        raise ValueError(f"the items have the sizes (H, W) {sorted(sizes)}; give the data set an image_size")
    batch = {key: np.stack([item[key] for item in items]) for key in ("image", "label", "instance")}
    return {**batch, "name": [item["name"] for item in items]}


def augment(item, rng, crop=None, flip=False):
    """A crop of an item, (h, w) or an int, at a random place and, with `flip`, in one of two cases its mirror image.

    Image and maps move together. Instances that the crop has lost leave no gap in the ids 0..I-1. As in the original,
    sides in the names of classes (CelebAMask-HQ's left eye) are not exchanged. ValueError if the crop is too large.
    """
    image, label, instance = item["image"], item["label"], item["instance"]
    if crop is not None:
        size, crop = label.shape, height_width(crop)
        if crop[0] > size[0] or crop[1] > size[1]:
            raise ValueError(
                f"crop is {crop[0]}x{crop[1]}, the items are {size[0]}x{size[1]}; give a larger image_size"
            )
        top, left = (int(rng.integers(side - part + 1)) for side, part in zip(size, crop, strict=True))
        window = np.s_[..., top : top + crop[0], left : left + crop[1]]
        image, label, instance = image[window], label[window], instance[window]
    if flip and rng.random() < 0.5:
        image, label, instance = image[..., ::-1], label[..., ::-1], instance[..., ::-1]
    return {**item, "image": image, "label": label, "instance": compact_instances(label, instance)}


def batches(dataset, batch_size, seed, start_step=0, augment=None, workers=0):
    """Endless batches; every epoch shows each item once, in an order that depends on (seed, epoch) alone.

    Epochs follow each other without a gap, so a batch may begin in one and end in the next. The k-th batch is the same
    wherever one starts: `start_step` continues an interrupted run.
    augment: (item, numpy Generator) -> item; what it draws depends on (seed, epoch, item) alone.
    workers: so many threads read ahead by two batches; with 0, items are read when they are asked for.
    """
    if batch_size < 1 or len(dataset) == 0:
        raise ValueError(f"batch_size is {batch_size}, the data set has {len(dataset)} items; both must be 1 or more")

    @functools.lru_cache(2)
    def order(epoch):
        return np.random.default_rng((seed, epoch)).permutation(len(dataset)).tolist()

    def load(position):
        epoch, k = divmod(position, len(dataset))
        item = dataset[order(epoch)[k]]
        return item if augment is None else augment(item, np.random.default_rng((seed, epoch, order(epoch)[k])))

    positions = itertools.count(start_step * batch_size)
    with ThreadPoolExecutor(workers) if workers else contextlib.nullcontext() as pool:
        items = _read_ahead(pool, load, positions, 2 * batch_size) if workers else map(load, positions)
        while True:
            yield collate(list(itertools.islice(items, batch_size)))


def _read_ahead(pool, load, positions, depth):
    pending = deque(pool.submit(load, position) for position in itertools.islice(positions, depth))
    for position in positions:
        pending.append(pool.submit(load, position))
        yield pending.popleft().result()
