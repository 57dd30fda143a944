"""Data sets in folders, and batches.

    <root>/dataset.json                      class_names, class_colors, thing_classes, ignore_index
    <root>/<split>/images/<stem>.png         RGB, or <stem>.jpg
    <root>/<split>/labels/<stem>.png         grey, 8 bit: the pixel is the class id
    <root>/<split>/instances/<stem>.png      grey, 8 or 16 bit: any ids that tell the instances of a class apart

An item of a data set is {"image", "label", "instance", "name"}: image float32 [3, H, W] in -1..1, maps int64 [H, W].
Whatever is wrong with a file is a ValueError or FileNotFoundError that names the file, the value and the remedy.
"""

import contextlib
import io
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

from .maps import compact_instances

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg"}
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


def read_image(path):
    """uint8 [H, W, 3]."""
    return np.asarray(open_image(path, ["RGB"], lambda mode: "Image.open(path).convert('RGB').save(path) converts it"))


def read_map(path, modes=("L",)):
    """Ids int64 [H, W] from a grey PNG."""

    def remedy(mode):
        if mode == "P":
            return "if its palette indices are the ids: Image.fromarray(np.asarray(Image.open(path))).save(path)"
        return "a map holds ids, not colours: make ids [H, W] of it and save Image.fromarray(ids.astype('uint8'))"

    return np.asarray(open_image(path, modes, remedy)).astype(np.int64)


def resize_image(image, size):
    """uint8 [H, W, 3] at another size (h, w), bicubic."""
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC))


def resize_map(ids, size):
    """Ids [H, W] at another size (h, w): those nearest to the centres of the new pixels."""
    rows, columns = (((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(size, ids.shape, strict=True))
    return ids[rows[:, None], columns]


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


class FolderDataset:
    """The data set in `<root>/<split>`; `image_size` (int or (H, W)) resizes its items, None keeps their sizes.

    Instance ids become 0..I-1, one for each (class, id) pair. If dataset.json names an `ignore_index`, its pixels
    become an extra last class "unlabelled". Missing files are told all at once when the folder is opened, damaged ones
    when they are read, or all at once by `check()`.
    """

    def __init__(self, root, split, image_size=None):
        self.root, self.split = Path(root), split
        self.image_size = None if image_size is None else height_width(image_size)
        if not self.root.is_dir():
            raise FileNotFoundError(f"there is no folder {self.root}; `python -m inade_lite make-data` makes one")
        description = read_description(self.root / "dataset.json")
        self.ignore_index = description["ignore_index"]
        self.class_names = description["class_names"] + [UNLABELLED] * (self.ignore_index is not None)
        self.class_colors = np.array(description["class_colors"] + [[0, 0, 0]], np.uint8)[: len(self.class_names)]
        self.thing_classes = description["thing_classes"]
        self.num_classes = len(self.class_names)
        self.files = self._find()

    def _find(self):
        """[(image, label, instance)] paths, sorted by stem."""
        folder = self.root / self.split
        if not folder.is_dir():
            splits = sorted(entry.name for entry in self.root.iterdir() if entry.is_dir())
            raise FileNotFoundError(f"there is no split {self.split!r} in {self.root}; its folders: {splits}")
        found, problems = {}, []
        for kind, suffixes in (("images", IMAGE_SUFFIXES), ("labels", {".png"}), ("instances", {".png"})):
            found[kind] = {}
            for path in sorted((folder / kind).glob("[!.]*")):
                if path.suffix.lower() in suffixes:
                    if path.stem in found[kind]:
                        problems.append(f"{path} has the stem of {found[kind][path.stem].name}: remove one")
                    found[kind][path.stem] = path
        stems = sorted(set().union(*found.values()))
        if not stems:
            raise FileNotFoundError(f"{folder} holds no files images/*.png, labels/*.png and instances/*.png")
        problems += [
            f"{folder / kind / stem}.png is missing" for stem in stems for kind in found if stem not in found[kind]
        ]
        if problems:
            raise FileNotFoundError(_listed(f"{folder}: images, labels, instances must have the same stems", problems))
        return [tuple(found[kind][stem] for kind in found) for stem in stems]

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        if not 0 <= i < len(self):
            raise IndexError(f"item {i} of {len(self)} in {self.root / self.split}")
        image_path, label_path, instance_path = self.files[i]
        image, label = read_image(image_path), read_map(label_path)
        instance = read_map(instance_path, modes=("L", "I;16", "I"))
        for path, ids in ((label_path, label), (instance_path, instance)):
            if ids.shape != image.shape[:2]:
                raise ValueError(
                    f"{path} is {ids.shape[1]}×{ids.shape[0]} (width × height), its image "
                    f"{image.shape[1]}×{image.shape[0]}; export both at one size"
                )
        ignored = label == self.ignore_index
        classes = self.num_classes - (self.ignore_index is not None)
        if (wrong := (label >= classes) & ~ignored).any():
            row, column = np.argwhere(wrong)[0]
            raise ValueError(
                f"{label_path}: class id {label[row, column]} at row {row}, column {column}, but dataset.json has the "
                f"classes 0 to {classes - 1} and ignore_index {json.dumps(self.ignore_index)}; correct one of them"
            )
        label[ignored] = self.num_classes - 1
        if self.image_size is not None:
            image = resize_image(image, self.image_size)
            label, instance = resize_map(label, self.image_size), resize_map(instance, self.image_size)
        instance = compact_instances(label, instance, ignore_index=classes)
        return {"image": to_float(image), "label": label, "instance": instance, "name": image_path.stem}

    def check(self):
        """Reads every item; one ValueError lists all that cannot be used."""
        problems = []
        for i in range(len(self)):
            try:
                self[i]
            except (ValueError, OSError) as error:
                problems.append(str(error))
        if problems:
            raise ValueError(_listed(f"{len(problems)} of {len(self)} items in {self.root / self.split}", problems))


def _listed(title, problems):
    return "\n  ".join([f"{title}:", *problems])


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


def batches(dataset, batch_size, seed, start_step=0):
    """Endless batches; every epoch shows each item once, in an order that depends on (seed, epoch) alone.

    Epochs follow each other without a gap, so a batch may begin in one and end in the next. The k-th batch is the same
    wherever one starts: `start_step` continues an interrupted run.
    """
    if batch_size < 1 or len(dataset) == 0:
        raise ValueError(f"batch_size is {batch_size}, the data set has {len(dataset)} items; both must be 1 or more")
    epoch, order = None, None
    position = start_step * batch_size
    while True:
        items = []
        for _ in range(batch_size):
            if position // len(dataset) != epoch:
                epoch = position // len(dataset)
                order = np.random.default_rng((seed, epoch)).permutation(len(dataset))
            items.append(dataset[int(order[position % len(dataset)])])
            position += 1
        yield collate(items)
