"""Data sets in folders.

    <root>/dataset.json                      class_names; class_colors, thing_classes, ignore_index may be left out
    <root>/<split>/images/<stem>.png         a picture, or <stem>.jpg, <stem>.webp
    <root>/<split>/labels/<stem>.png         gray or indexed, 8 bit: the pixel is the class id
    <root>/<split>/instances/<stem>.png      gray, 8 or 16 bit: any ids that tell the instances of a class apart;
                                             without this folder, each class of a picture is one instance
    <root>/<split>/sketches/<stem>.png       a drawing of the lines inside of things, dark on white; may be left out

An item of a data set is {"image", "label", "instance", "name"}: image float32 [3, H, W] in -1..1, maps int64 [H, W].
If the folder has drawings, an item has a "sketch", too, see `sketches`.
Whatever is wrong with a file is a ValueError or FileNotFoundError that names the file, the value and the remedy.
"""

import colorsys
import contextlib
import json
import threading
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm.auto import tqdm
from tqdm.contrib.concurrent import thread_map

from ..files import make_folder, png, read_json, write_file
from ..maps import compact_instances
from .images import (
    FITS,
    PHOTO_MODES,
    PHOTOS,
    fit,
    height_width,
    is_large,
    read_image,
    read_map,
    read_sketch,
    resize_image,
    resize_map,
    resize_sketch,
    to_float,
    to_uint8,
)
from .slivers import slivers

UNLABELLED = "unlabelled"


class NoSplit(FileNotFoundError):
    """A data set is there, but it has nothing of this split.

    >>> issubclass(NoSplit, OSError)
    True
    """


# ---- The description of the classes, dataset.json


def read_description(path):
    """The content of a dataset.json, a dict with five keys. A ValueError tells which is missing or wrong.

    class_names: a list of names. class_colors: a list of [R, G, B] for drawn label maps, by default colors that lie far
    apart. thing_classes: the ids of the classes that have instances, by default none.
    ignore_index: the id of unlabelled pixels in the label maps, or None, as by default.
    crowds: how many outlines are of several things that nobody told apart, by default none.

    >>> from inade_lite.data.sets import CLASSES
    >>> read_description(CLASSES / "celebamask_hq.json")["class_names"][:3]
    ['background', 'skin', 'nose']
    """
    content = _read_json_object(path)

    def expect(key, is_right, meaning):
        if key not in content:
            raise ValueError(f"{path}: the key {key!r} is missing; expected {meaning}")
        if not is_right:
            raise ValueError(f"{path}: {key!r} is {json.dumps(content[key])[:200]}; expected {meaning}")

    names = content.get("class_names")
    is_right = _is_list_of(names, _is_name) and 1 <= len(names) <= 255 and len(set(names)) == len(names)
    expect("class_names", is_right, "a list of 1 to 255 different names")
    count = len(names)

    defaults = {"class_colors": default_colors(count), "thing_classes": [], "ignore_index": None, "crowds": 0}
    content = defaults | content
    colors = content.get("class_colors")
    is_right = _is_list_of(colors, _is_color) and len(colors) == count
    expect("class_colors", is_right, f"a list of {count} colors [R, G, B], 0 to 255")

    things = content.get("thing_classes")
    is_right = _is_list_of(things, lambda k: _is_integer(k, 0, count - 1))
    expect("thing_classes", is_right, f"a list of class ids, 0 to {count - 1}")

    # An id of its own: a class cannot be ignored.
    ignored = content.get("ignore_index")
    is_right = ignored is None or _is_integer(ignored, count, 255)
    expect("ignore_index", is_right, f"null or the id of unlabelled pixels, {count} to 255")
    expect("crowds", _is_integer(content["crowds"], 0, 10**9), "how many outlines are of crowds, 0 or more")
    return content


def default_colors(count):
    """So many colors [R, G, B], each hue far from those before it.

    >>> default_colors(2)
    [[217, 87, 87], [87, 125, 217]]
    """
    colors = []
    for k in range(count):
        hue = k * 0.618034 % 1  # the golden ratio never comes back near where it was
        colors.append([round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.6, 0.85)])
    return colors


def _read_json_object(path):
    """The dict that a JSON file holds."""
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path} is missing; it describes the classes, see inade_lite/data/folders.py"
        ) from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}; expected an object with the key 'class_names', ...")
    return content


def _is_list_of(value, is_entry):
    """Whether it is a list all of whose entries pass a test."""
    return isinstance(value, list) and all(is_entry(entry) for entry in value)


def _is_name(value):
    """Whether it can name a class."""
    return isinstance(value, str)


def _is_integer(value, low, high):
    """Whether it is one of low, ..., high."""
    return type(value) is int and low <= value <= high  # isinstance would let True and False pass


def _is_color(value):
    """Whether it is [R, G, B]."""
    return _is_list_of(value, lambda x: _is_integer(x, 0, 255)) and len(value) == 3


# ---- The files of an item


class StemFiles:
    """The files of a folder whose names end in one of `endings`, by stem: the name without its ending.

    A picture and its maps have the same stem; `match` brings them together. Upper case in a name's ending is the same
    as lower case, and hidden files do not count.

    pattern: "*/*" finds the files of the folders inside of `folder`, for example of Cityscapes' cities.
    paths: {stem: path}. problems: a sentence about every file whose stem another file has already, and about what has
    the name of a file and is none.

    >>> from inade_lite.data.sets import CLASSES
    >>> sorted(StemFiles(CLASSES, ".json").paths)[:2]
    ['ade20k', 'celebamask_hq']
    """

    def __init__(self, folder, *endings, pattern="*"):
        self.folder = folder
        self.endings = endings
        self.pattern = pattern
        self.paths = {}
        self.problems = []
        for path in sorted(folder.glob(pattern)):
            stem = self._stem(path.name)
            if stem is None:
                continue
            # A pipe would be waited for without end.
            if not path.is_file():
                self.problems.append(f"{path} is no file: remove it")
                continue
            if stem in self.paths:
                self.problems.append(f"{path} has the stem of {self.paths[stem].name}: remove one")
            self.paths[stem] = path

    def _stem(self, name):
        """The stem of a file, or None if it is not one of these."""
        if name.startswith("."):
            return None
        for ending in self.endings:
            if name.lower().endswith(ending.lower()):
                return name[: -len(ending)]
        return None

    def path(self, stem):
        """Where the file of that stem is, or should be."""
        if stem in self.paths:
            return self.paths[stem]
        return (self.folder / self.pattern).with_name(stem + self.endings[0])


def match(title, *kinds):
    """[(stem, a path of each kind)], in the order of the stems; the kinds are StemFiles.

    One FileNotFoundError, which begins with `title`, lists all files without their counterparts.

    >>> from inade_lite.data.sets import CLASSES
    >>> match("", StemFiles(CLASSES, ".json"), StemFiles(CLASSES, ".json"))[0][0]
    'ade20k'
    """
    stems = set()
    problems = []
    for kind in kinds:
        stems.update(kind.paths)
        problems += kind.problems
    files = []
    for stem in sorted(stems):
        files.append((stem, *(kind.path(stem) for kind in kinds)))
        problems += [f"{kind.path(stem)} is missing" for kind in kinds if stem not in kind.paths]
    if problems:
        raise FileNotFoundError(listed(title, problems))
    return files


def check_size(path, shape, other, what="its image"):
    """ValueError if two shapes [H, W, ...] differ in H or W; path is the first's, `what` says what the other is.

    >>> check_size("labels/one.png", (2, 3), (2, 3, 3))
    """
    height, width = shape[:2]
    other_height, other_width = other[:2]
    if (height, width) != (other_height, other_width):
        raise ValueError(
            f"{path} is {width}×{height} (width × height), {what} {other_width}×{other_height}; export both at one size"
        )


def listed(title, problems):
    """One message with a line for each problem.

    >>> print(listed("2 files", ["one.png is missing", "two.png is missing"]))
    2 files:
      one.png is missing
      two.png is missing
    """
    return "\n  ".join([f"{title}:", *problems])


# ---- Data sets


class FileDataset:
    """Items from files of images and maps. A subclass finds the files and knows what the stored ids mean.

    Instance ids become 0..I-1, one for each (class, id) pair; where a set has no instances, each class of a picture is
    one. If there is an `ignore_index`, its pixels become an extra last class "unlabelled".

    files: [(name, image path, label path, instance path or None)]. class_of: int [256], the class id of a stored id, or
    -1 if label maps must not hold it. unlabelled: the class id of unlabelled pixels, or None. sketches: {name: path}.

    >>> import tempfile, inade_lite as il
    >>> root = tempfile.mkdtemp()
    >>> il.write_folder(il.ToyTown("val", 32, length=1), root, "val")
    >>> il.FolderDataset(root, "val").class_of[[0, 1, 13, 14]].tolist()
    [0, 1, 13, -1]
    """

    as_shown = True  # whether pictures are turned as their camera tells, see `images.open_image`
    image_modes = PHOTO_MODES
    label_modes = ("L", "P")  # a palette's indices are the ids
    instance_modes = ("L", "P", "I;16", "I")
    sketches = {}

    def __init__(self, root, split, image_size=None, fit="stretch"):
        if fit not in FITS:
            raise ValueError(f"fit={fit!r}: expected one of {', '.join(FITS)}")
        self.fit = fit
        self.root = Path(root)
        self.split = split
        self.image_size = None if image_size is None else height_width(image_size)
        if not self.root.is_dir():
            raise FileNotFoundError(f"there is no folder {self.root}; {self.expected()}")
        self._describe(read_description(self.description()))
        self.files = self.find()
        self._checked = False

    def _describe(self, description):
        """Sets all attributes that tell of classes."""
        self.class_names = list(description["class_names"])
        colors = list(description["class_colors"])
        self.thing_classes = description["thing_classes"]
        self.ignore_index = description["ignore_index"]
        self.crowds = description["crowds"]

        count = len(self.class_names)
        self.class_of = np.full(256, -1, np.int16)
        self.class_of[:count] = np.arange(count)
        self.unlabelled = None
        if self.ignore_index is not None:
            self.unlabelled = count
            self.class_of[self.ignore_index] = count
            self.class_names.append(UNLABELLED)
            colors.append([0, 0, 0])
        self.class_colors = np.array(colors, np.uint8)  # [L, 3]
        self.num_classes = len(self.class_names)

    # What a subclass says

    def expected(self):
        """The end of an error message: what this data set reads."""
        raise NotImplementedError

    def description(self):
        """The path of the dataset.json that describes the classes."""
        raise NotImplementedError

    def find(self):
        """The `files`, in the order of the items."""
        raise NotImplementedError

    def known_ids(self):
        """The end of an error message: which ids a label map may hold."""
        raise NotImplementedError

    # What a subclass may change

    def read_label(self, path):
        """Stored class ids, integers [H, W]."""
        return read_map(path, self.label_modes)

    def read_instance(self, path):
        """Stored instance ids, integers [H, W]."""
        return read_map(path, self.instance_modes)

    def fits(self, image, ids):
        """Whether an image and a map may go together. An image of another size is resized to its maps."""
        return image.shape[:2] == ids.shape

    def merge(self, label, instance):
        """Instance ids [H, W]: those read, changed where this data set counts several of them as one."""
        return instance

    # What all share

    def __len__(self):
        return len(self.files)

    def names(self):
        """The names of all items, a list."""
        return [name for name, *_ in self.files]

    def __getitem__(self, i):
        if not 0 <= i < len(self):
            raise IndexError(f"item {i} of {len(self)} in {self.root / self.split}")
        image, label, instance, sketch, errors = self._read(i)
        if errors:
            raise errors[0]
        size = self.image_size or label.shape
        if self.fit != "stretch":
            image = resize_image(image, label.shape)  # so that picture and maps are cut alike
        image = fit(image, size, self.fit, resize_image)
        label = fit(label, size, self.fit, resize_map)
        instance = fit(instance, size, self.fit, resize_map)
        instance = compact_instances(label, self.merge(label, instance), self.unlabelled)
        item = {"image": to_float(image), "label": label, "instance": instance, "name": self.files[i][0]}
        if sketch is not None:
            item["sketch"] = fit(sketch, size, self.fit, resize_sketch)
        return item

    def _read(self, i):
        """Image, classes, instance ids and sketch of an item at their stored size, and the errors of all its files."""
        name, image_path, label_path, instance_path = self.files[i]
        errors = []

        def attempt(read, *arguments):
            try:
                return read(*arguments)
            except (ValueError, OSError) as error:
                errors.append(error)

        image = attempt(read_image, image_path, self.image_modes, self.as_shown)
        label = attempt(self._read_classes, label_path)
        if instance_path is None:
            instance = label
        else:
            instance = attempt(self.read_instance, instance_path)
        sketch = None
        if name in self.sketches:
            sketch = attempt(read_sketch, self.sketches[name])

        if not errors:  # all of them could be read
            maps = {label_path: label}
            if instance_path is not None:
                maps[instance_path] = instance
            for path, ids in maps.items():
                if not self.fits(image, ids):
                    attempt(check_size, path, ids.shape, image.shape)
            if sketch is not None:
                attempt(check_size, self.sketches[name], sketch.shape, label.shape, "its label map")
        return image, label, instance, sketch, errors

    def _read_classes(self, path):
        """Class ids, int16 [H, W]."""
        stored = self.read_label(path)
        label = self.class_of[stored]
        if label.min() < 0:
            row, column = np.argwhere(label < 0)[0]
            raise ValueError(
                f"{path}: class id {stored[row, column]} at row {row}, column {column}, but {self.known_ids()}"
            )
        return label

    def check(self):
        """Reads every item, once; one ValueError lists all that is wrong with any file."""
        if self._checked:
            return
        alone = threading.Lock()

        def errors_of(i):
            # Several large pictures at once, each in its own thread, would fill the memory.
            large = any(is_large(path) for path in self.files[i][1:] if path is not None)
            with alone if large else contextlib.nullcontext():
                return self._read(i)[-1]

        bar = {"desc": f"checking {self.split}", "unit": "item", "delay": 2, "leave": False}
        errors_of_items = thread_map(errors_of, range(len(self)), **bar)
        damaged = [errors for errors in errors_of_items if errors]
        if damaged:
            title = f"{len(damaged)} of {len(self)} items in {self.root / self.split}"
            raise ValueError(listed(title, [str(error) for errors in damaged for error in errors]))
        self._checked = True


class FolderDataset(FileDataset):
    """The data set in `<root>/<split>`; `image_size` (int or (H, W)) resizes its items, None keeps their sizes.

    fit: how pictures of another shape get that size: "stretch", "crop" or "short", see `images.fit`.

    Instance ids become 0..I-1, one for each (class, id) pair. If dataset.json names an `ignore_index`, its pixels
    become an extra last class "unlabelled". Missing files are told all at once when the folder is opened, damaged ones
    when they are read, or all at once by `check()`.

    >>> import tempfile, inade_lite as il
    >>> root = tempfile.mkdtemp()
    >>> il.write_folder(il.ToyTown("val", 32), root, "val", indices=[0, 1])
    >>> il.FolderDataset(root, "val")[1]["name"]
    'val_00001'
    """

    def expected(self):
        return "`python -m inade_lite make-data` makes one"

    def description(self):
        return self.root / "dataset.json"

    def known_ids(self):
        last = self.num_classes - 1
        if self.unlabelled is not None:
            last = self.unlabelled - 1
        ignored = json.dumps(self.ignore_index)
        return f"dataset.json has the classes 0 to {last} and ignore_index {ignored}; correct one of them"

    def find(self):
        folder = self.root / self.split
        if not folder.is_dir():
            splits = sorted(entry.name for entry in self.root.iterdir() if entry.is_dir())
            raise NoSplit(f"there is no split {self.split!r} in {self.root}; its folders: {splits}")
        kinds = [StemFiles(folder / "images", *PHOTOS), StemFiles(folder / "labels", ".png")]
        optional = [kind for kind in ("instances", "sketches") if (folder / kind).is_dir()]
        kinds += [StemFiles(folder / kind, ".png") for kind in optional]
        matched = match(f"{folder}: {', '.join(('images', 'labels', *optional))} must have the same stems", *kinds)
        if not matched:
            raise FileNotFoundError(f"{folder} holds no files images/*.png and labels/*.png")
        files = []
        self.sketches = {}
        for name, image, label, *more in matched:
            found = dict(zip(optional, more, strict=True))
            files.append((name, image, label, found.get("instances")))
            if "sketches" in found:
                self.sketches[name] = found["sketches"]
        return files


# ---- What is in a data set


class Summary(NamedTuple):
    """What is in a data set. sizes: {(H, W): items}. pixels, items, instances: of each class, int64 [L].

    slivers: how many of the instances have no inside, see `data.slivers`.

    >>> print(Summary({(64, 64): 3}, np.array([9000, 3288]), np.array([3, 1]), np.array([3, 5])))
    3 pictures of 64×64 (height × width), 2 of 2 classes, 8 instances
    """

    sizes: dict
    pixels: np.ndarray
    items: np.ndarray
    instances: np.ndarray
    slivers: int = 0

    def __str__(self):
        count = sum(self.sizes.values())
        smallest = min(self.sizes)
        largest = max(self.sizes)
        sizes = f"{smallest[0]}×{smallest[1]}"
        if largest != smallest:
            sizes += f" to {largest[0]}×{largest[1]}"
        present = f"{(self.items > 0).sum()} of {len(self.items)} classes"
        return f"{count} pictures of {sizes} (height × width), {present}, {self.instances.sum()} instances"


def summarize(dataset):
    """Reads every item and counts: a Summary.

    >>> import inade_lite as il
    >>> print(summarize(il.ToyTown("val", 32, length=2)))
    2 pictures of 32×32 (height × width), 14 of 14 classes, 43 instances
    """
    classes = dataset.num_classes
    sizes = Counter()
    pixels = np.zeros(classes, np.int64)
    items = np.zeros(classes, np.int64)
    instances = np.zeros(classes, np.int64)
    thin = 0
    for i in tqdm(range(len(dataset)), desc="counting", unit="item", delay=2, leave=False):
        item = dataset[i]
        label = item["label"]
        instance = item["instance"]
        class_of_instance = np.zeros(instance.max() + 1, np.int64)
        class_of_instance[instance] = label
        pixels_of_item = np.bincount(label.ravel(), minlength=classes)

        sizes[label.shape] += 1
        pixels += pixels_of_item
        items += pixels_of_item > 0
        instances += np.bincount(class_of_instance, minlength=classes)
        thin += len(slivers(instance))
    return Summary(dict(sizes), pixels, items, instances, thin)


# ---- Writing


def write_folder(dataset, root, split, indices=None):
    """Writes items of a data set (all, or those at `indices`) as the folder that `FolderDataset` reads.

    A file is either complete or not there: if the disk is full, an OSError names the file. ValueError if the split has
    files already, or if `root` holds a data set of other classes.

    >>> import tempfile, inade_lite as il
    >>> root = tempfile.mkdtemp()
    >>> il.write_folder(il.ToyTown("val", 32, length=2), root, "val")
    >>> sorted(path.name for path in Path(root).iterdir())
    ['dataset.json', 'val']
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
    if (root / "dataset.json").exists() and read_description(root / "dataset.json") != description | {"crowds": 0}:
        raise ValueError(f"{root}/dataset.json describes other classes; write to another folder")
    if any((root / split).glob("*/*")):
        raise ValueError(f"{root / split} has files already; remove them or write to another folder")

    make_split(root / split)
    write_description(root, description)
    if indices is None:
        indices = range(len(dataset))
    for i in indices:
        _write_item(dataset[i], root / split)


def make_split(folder):
    """Make the folders of a split.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> make_split(folder)
    >>> sorted(path.name for path in folder.iterdir())
    ['images', 'instances', 'labels']
    """
    for kind in ("images", "labels", "instances"):
        make_folder(folder / kind)


def write_description(root, description):
    """Write the dict that `read_description` reads as <root>/dataset.json, a line for each key.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> write_description(root, {"class_names": ["sky"], "ignore_index": None})
    >>> read_description(root / "dataset.json")["class_names"]
    ['sky']
    """
    # json.dumps with an indent would give each number of a color a line of its own.
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in description.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    write_file(Path(root) / "dataset.json", text.encode())


def _write_item(item, folder):
    """The files of an item: three, or four if it has a sketch."""
    write_maps(folder, item["name"], to_uint8(item["image"]), item["label"], item["instance"], optimize=True)
    if "sketch" in item:
        drawing = np.rint(255 * (1 - item["sketch"])).astype(np.uint8)
        write_file(make_folder(folder / "sketches") / f"{item['name']}.png", png(drawing, optimize=True))


def write_maps(folder, name, image, label, instance, optimize=False):
    """Write a picture, uint8 [H, W, 3], and its maps [H, W] into a split's folders. optimize: smaller files, slowly.

    Instance maps have 8 bits, or 16 where there are more than 256 of them.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> make_split(folder)
    >>> write_maps(folder, "one", np.zeros([4, 4, 3], np.uint8), *np.zeros([2, 4, 4], int))
    >>> (folder / "labels/one.png").exists()
    True
    """
    pixels = {
        "images": image,
        "labels": label.astype(np.uint8),
        "instances": instance.astype(np.uint8 if instance.max() < 256 else np.uint16),
    }
    for kind, array in pixels.items():
        write_file(folder / kind / f"{name}.png", png(array, optimize=optimize))
