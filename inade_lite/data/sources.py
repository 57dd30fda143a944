"""Maps as labeling tools and public sets write them: outlines in JSON or text, or pictures of ids.

A Source is a list of scenes, each a photo and a function that draws its maps. `prepare` writes it as a data set folder.

    maps        folders of photos, of label maps and, if there are any, of instance maps, with the same stems
    coco        COCO's JSON: polygons and run lengths, or the panoptic form with its folder of PNGs
    labelme     a JSON file beside each photo (labelme, and what exports to it)
    yolo        a text file for each photo, a line for each object: class x y x y ..., from 0 to 1
    voc         SegmentationClass/, SegmentationObject/ and JPEGImages/ of Pascal VOC
    cityscapes  *_polygons.json of Cityscapes

Objects are painted in the order of their files, COCO's from the largest on, so that what lies in front stays visible.
Where nothing is painted, the class is "background".
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from ..files import read_json
from .folders import StemFiles, check_size, listed, match
from .images import PHOTOS, open_image, read_map

BACKGROUND = "background"
UNLABELLED = 255  # in a label map: pixels of no class
MAP_MODES = ("L", "P", "I;16", "I")

VOC_CLASSES = (
    *(BACKGROUND, "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("dining table", "dog", "horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train", "tv/monitor"),
)


class Scene(NamedTuple):
    """A photo and its maps. draw: (height, width) -> label uint8 [H, W], instance int64 [H, W].

    >>> Scene("one", Path("one.jpg"), None).name
    'one'
    """

    name: str
    photo: Path
    draw: Callable


class Source(NamedTuple):
    """What `prepare` writes: class names, the ids of things, and scenes.

    crowds: how many outlines are of several things that nobody told apart.

    >>> Source(["sky"], [], []).class_names
    ['sky']
    """

    class_names: list
    thing_classes: list
    scenes: list
    crowds: int = 0


class Shape(NamedTuple):
    """An object: its class and what it covers, a list of polygons [(x, y), ...] or a mask, bool [H, W].

    >>> Shape(1, [[(0, 0), (2, 0), (2, 2)]]).class_id
    1
    """

    class_id: int
    area: object


def paint(shapes, height, width):
    """Label uint8 and instance int64, both [H, W], of Shapes that are painted one over the other; 0 is background.

    Polygons are drawn by Pillow, their borders included, as labelme's and Cityscapes' own tools draw them.

    >>> label, instance = paint([Shape(3, [[(1, 0), (2, 0), (2, 1), (1, 1)]])], 2, 4)
    >>> label.tolist(), instance.tolist()
    ([[0, 3, 3, 0], [0, 3, 3, 0]], [[0, 1, 1, 0], [0, 1, 1, 0]])
    """
    label = np.zeros([height, width], np.uint8)
    instance = np.zeros([height, width], np.int64)
    for k, shape in enumerate(shapes, start=1):
        area = shape.area
        if isinstance(area, list):
            image = Image.new("1", (width, height))
            for polygon in shape.area:
                ImageDraw.Draw(image).polygon(polygon, fill=1, outline=1)
            area = np.asarray(image)
        label[area] = shape.class_id
        instance[area] = k
    return label, instance


def _polygon(numbers, path):
    """[x, y, x, y, ...] as [(x, y), ...]; ValueError, which names the file, unless it has three corners or more."""
    try:
        corners = np.asarray(numbers, float).reshape(-1, 2)
    except (ValueError, TypeError):
        corners = np.zeros([0, 2])
    if len(corners) < 3 or not np.isfinite(corners).all() or np.abs(corners).max() > 1e6:
        raise ValueError(f"{path}: an outline is {str(numbers)[:80]}; expected x, y of three corners or more")
    return [tuple(corner) for corner in corners.tolist()]


def _object(path, *keys):
    """The dict of a JSON file, which must have these keys."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} is no file; give the JSON with {', '.join(keys)}")
    content = read_json(path)
    if not isinstance(content, dict) or any(key not in content for key in keys):
        raise ValueError(f"{path}: expected an object with {', '.join(keys)}")
    return content


def _known(names, path):
    """ValueError unless there are 1 to 254 classes."""
    if not 1 <= len(names) <= 254:
        raise ValueError(f"{path} has {len(names)} classes; an 8-bit map has room for 254 and background")
    return list(names)


# ---- The sources: each is called with the folder of the photos and the file or folder of what was drawn on them


def from_maps(photos, annotations, instances=None, classes=None):
    """Maps of ids. classes: the names, by default "class 0", "class 1", ... up to the largest id but 255.

    >>> from inade_lite.data.sources import from_maps
    >>> from_maps("no_such_folder", "no_such_folder")
    Traceback (most recent call last):
    FileNotFoundError: no_such_folder holds no photos .png, .jpg, .jpeg, .webp with maps in no_such_folder
    """
    kinds = [StemFiles(Path(photos), *PHOTOS), StemFiles(Path(annotations), ".png")]
    if instances is not None:
        kinds.append(StemFiles(Path(instances), ".png"))
    files = match(f"{photos}, {annotations}: photos and maps must have the same stems", *kinds)
    if not files:
        raise FileNotFoundError(f"{photos} holds no photos {', '.join(PHOTOS)} with maps in {annotations}")
    if classes is None:
        largest = max(_largest_id(label) for _, _, label, *_ in files)
        classes = [f"class {k}" for k in range(largest + 1)]
    scenes = []
    for stem, photo, label, *instance in files:
        scenes.append(Scene(stem, photo, _read_maps(label, *instance)))
    things = [] if instances is None else list(range(len(classes)))
    return Source(_known(classes, annotations), things, scenes)


def _largest_id(path):
    """The largest class id of a label map."""
    ids = read_map(path, MAP_MODES)
    ids = ids[ids != UNLABELLED]
    return int(ids.max()) if ids.size else 0


def _read_maps(label_path, instance_path=None):
    """The `draw` of a scene whose maps are files."""

    def draw(height, width):
        label = read_map(label_path, MAP_MODES)
        instance = label if instance_path is None else read_map(instance_path, MAP_MODES)
        for path, ids in ((label_path, label), (instance_path, instance)):
            check_size(path, ids.shape, (height, width), "its photo")
        if label.max() > UNLABELLED:
            raise ValueError(f"{label_path}: class id {label.max()}; expected 0 to 254, or 255 for unlabelled pixels")
        return label.astype(np.uint8), instance.astype(np.int64)

    return draw


def from_coco(photos, annotations, drop_crowds=False):
    """COCO's instances_*.json, or panoptic_*.json with the folder of PNGs that has its name.

    A crowd is one instance, or with drop_crowds unlabelled. Categories keep their order; background, or what the
    panoptic form leaves unlabelled, is 0.

    >>> from inade_lite.data.sources import from_coco
    >>> from_coco("photos", "no_such_file.json")
    Traceback (most recent call last):
    FileNotFoundError: no_such_file.json is no file; give the JSON with images, annotations, categories
    """
    told = _object(annotations, "images", "annotations", "categories")
    try:
        names = [str(category["name"]) for category in told["categories"]]
        class_of = {category["id"]: k for k, category in enumerate(told["categories"], start=1)}
        stuff = {category["id"] for category in told["categories"] if category.get("isthing", 1) == 0}
        of_image = {image["id"]: [] for image in told["images"]}
        for annotation in told["annotations"]:
            of_image[annotation["image_id"]].append(annotation)
        crowds = sum(map(_crowds_of, told["annotations"]))
        scenes = []
        for image in told["images"]:
            stem = Path(image["file_name"]).stem
            draw = _draw_coco(annotations, image, of_image[image["id"]], class_of, drop_crowds)
            scenes.append(Scene(stem, Path(photos) / Path(image["file_name"]).name, draw))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{annotations} is not COCO's JSON ({type(error).__name__}: {error})") from error
    things = [class_id for category, class_id in class_of.items() if category not in stuff]
    return Source(_known([BACKGROUND, *names], annotations), things, scenes, crowds)


def _crowds_of(annotation):
    """How many crowds an annotation has: the panoptic form has one for each picture."""
    return sum(bool(segment.get("iscrowd")) for segment in annotation.get("segments_info", [annotation]))


def _draw_coco(path, image, found, class_of, drop_crowds):
    """The `draw` of an image of COCO's."""

    def class_id(segment):
        if drop_crowds and segment.get("iscrowd"):
            return UNLABELLED
        return class_of[segment["category_id"]]

    def draw(height, width):
        if found and "segments_info" in found[0]:
            return _panoptic(path, found[0], class_id, height, width)
        shapes = []
        for annotation in found:
            area = _coco_area(path, annotation["segmentation"], height, width)
            shapes.append(Shape(class_id(annotation), area))
        largest_first = sorted(shapes, key=lambda shape: -shape.area.sum(dtype=np.int64))
        return paint(largest_first, height, width)

    def told(height, width):
        if (image.get("height", height), image.get("width", width)) != (height, width):
            expected = f"{image['width']}×{image['height']}"
            raise ValueError(f"{path}: {image['file_name']} is {width}×{height} (width × height), expected {expected}")
        try:
            return draw(height, width)
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"{path}: {image['file_name']}: {type(error).__name__}: {error}") from error

    return told


def _coco_area(path, segmentation, height, width):
    """What an annotation covers, bool [H, W], as COCO's own code has it: polygons or run lengths, compressed or not."""
    try:
        from pycocotools import mask  # needed by nothing else
    except ImportError:
        raise ValueError(f"{path} takes COCO's own code to be read: pip install pycocotools") from None

    if isinstance(segmentation, list):
        for polygon in segmentation:
            _polygon(polygon, path)
        return mask.decode(mask.merge(mask.frPyObjects(segmentation, height, width))).astype(bool)
    counts = segmentation["counts"]
    if list(segmentation["size"]) != [height, width]:
        raise ValueError(f"{path}: run lengths of {segmentation['size']}, expected {[height, width]}")
    if isinstance(counts, list):
        if any(type(n) is not int or n < 0 for n in counts) or sum(counts) != height * width:
            raise ValueError(f"{path}: run lengths that do not add up to {height * width} pixels")
        segmentation = mask.frPyObjects(segmentation, height, width)
    return mask.decode(segmentation).astype(bool)


def _panoptic(path, annotation, class_id, height, width):
    """Maps of the panoptic form: the segment of a pixel is red + 256 green + 65536 blue."""
    png = Path(path).with_suffix("") / annotation["file_name"]
    image = open_image(png, ["RGB"], lambda mode: "the segments are colors", as_shown=False)
    colors = np.asarray(image).astype(np.int64)
    check_size(png, colors.shape, (height, width), "its photo")
    segments = colors @ (1, 256, 65536)
    label = np.zeros([height, width], np.uint8)
    for segment in annotation["segments_info"]:
        label[segments == segment["id"]] = class_id(segment)
    return label, segments


def from_labelme(photos, annotations):
    """A JSON file for each photo: polygons, rectangles and circles with a label; the photo has the same stem.

    Shapes with one `group_id` and one label are one instance.

    >>> from inade_lite.data.sources import from_labelme
    >>> from_labelme("no_such_folder", "no_such_folder")
    Traceback (most recent call last):
    FileNotFoundError: no_such_folder holds no .json files of photos in no_such_folder
    """
    files = _with_photos(photos, annotations, ".json")
    told = {path: _object(path, "shapes") for _, _, path in files}
    for path, content in told.items():
        shapes = content["shapes"]
        if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
            raise ValueError(f"{path}: its shapes are no list of objects")
        for shape in shapes:
            if not isinstance(shape.get("label"), str) or not isinstance(shape.get("group_id"), int | None):
                raise ValueError(f"{path}: a shape has no label, or a group_id that is no number: {str(shape)[:80]}")
    names = sorted({shape["label"] for content in told.values() for shape in content["shapes"]} - {BACKGROUND})
    class_of = {name: k for k, name in enumerate([BACKGROUND, *names])}

    def scene(stem, photo, path):
        def draw(height, width):
            groups = {}
            for k, shape in enumerate(told[path]["shapes"]):
                group = shape.get("group_id")
                key = (shape["label"], ("alone", k) if group is None else group)
                groups.setdefault(key, []).append(_labelme_outline(path, shape))
            return paint([Shape(class_of[name], area) for (name, _), area in groups.items()], height, width)

        return Scene(stem, photo, draw)

    return Source(
        _known([BACKGROUND, *names], annotations), list(range(1, len(names) + 1)), [scene(*each) for each in files]
    )


def _labelme_outline(path, shape):
    """The corners of a shape."""
    kind = shape.get("shape_type", "polygon")
    points = shape.get("points")
    if kind == "polygon":
        return _polygon(points, path)
    try:
        corners = np.asarray(points, float)
    except (ValueError, TypeError):
        corners = np.zeros(0)
    if not np.isfinite(corners).all() or np.abs(corners).max(initial=0) > 1e6:
        raise ValueError(f"{path}: the points of a shape are {str(points)[:80]}")
    if kind == "rectangle" and corners.shape == (2, 2):
        (left, top), (right, bottom) = corners
        return [(left, top), (right, top), (right, bottom), (left, bottom)]
    if kind == "circle" and corners.shape == (2, 2):
        center, edge = corners
        angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
        around = center + np.hypot(*(edge - center)) * np.stack([np.cos(angles), np.sin(angles)], 1)
        return [tuple(corner) for corner in around.tolist()]
    raise ValueError(f"{path}: a shape of type {kind!r}; expected polygon, rectangle or circle")


def from_yolo(photos, annotations, classes=None):
    """A text file for each photo. classes: the names, by default the lines of classes.txt beside them.

    >>> from inade_lite.data.sources import from_yolo
    >>> from_yolo("no_such_folder", "no_such_folder")
    Traceback (most recent call last):
    FileNotFoundError: no_such_folder holds no .txt files of photos in no_such_folder
    """
    files = _with_photos(photos, annotations, ".txt", but="classes")
    if classes is None:
        listing = Path(annotations) / "classes.txt"
        if not listing.is_file():
            raise FileNotFoundError(f"{listing} is missing, a line for each class; write it, or give --classes a,b,c")
        classes = [line.strip() for line in listing.read_text("utf-8").splitlines() if line.strip()]

    def scene(stem, photo, path):
        def draw(height, width):
            shapes = []
            for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
                words = line.split()
                if not words:
                    continue
                where = f"{path}, line {number}"
                if not words[0].isdigit() or int(words[0]) >= len(classes):
                    raise ValueError(f"{where}: class {words[0]!r}; expected 0 to {len(classes) - 1}")
                if len(words) == 5:
                    raise ValueError(f"{where} is a box; this project needs outlines, as YOLO's segmentation has them")
                corners = [(x * width, y * height) for x, y in _polygon(words[1:], where)]
                shapes.append(Shape(int(words[0]) + 1, [corners]))
            return paint(shapes, height, width)

        return Scene(stem, photo, draw)

    names = _known([BACKGROUND, *classes], annotations)
    return Source(names, list(range(1, len(names))), [scene(*each) for each in files])


def from_voc(photos, annotations):
    """Pascal VOC: `annotations` holds SegmentationClass/ and SegmentationObject/. Their rims, 255, are unlabelled.

    >>> from inade_lite.data.sources import from_voc
    >>> from_voc("no_such_folder", "no_such_folder")
    Traceback (most recent call last):
    FileNotFoundError: no_such_folder has no SegmentationClass/*.png
    """
    labels = StemFiles(Path(annotations) / "SegmentationClass", ".png")
    objects = StemFiles(Path(annotations) / "SegmentationObject", ".png")
    if not labels.paths:
        raise FileNotFoundError(f"{annotations} has no SegmentationClass/*.png")
    pictures = StemFiles(Path(photos), *PHOTOS)
    scenes = []
    for stem, label, instance in match(f"{annotations}: classes and objects must have the same stems", labels, objects):
        scenes.append(Scene(stem, pictures.path(stem), _read_maps(label, instance)))  # most photos have no maps
    return Source(list(VOC_CLASSES), list(range(1, len(VOC_CLASSES))), scenes)


def from_cityscapes(photos, annotations, drop_crowds=False):
    """*_polygons.json, each with a photo of the same stem before its endings; a label ending in "group" is a crowd.

    A crowd is one instance, or with drop_crowds unlabelled.

    >>> from inade_lite.data.sources import from_cityscapes
    >>> from_cityscapes("no_such_folder", "no_such_folder")
    Traceback (most recent call last):
    FileNotFoundError: no_such_folder holds no *_polygons.json
    """
    paths = sorted(Path(annotations).rglob("*_polygons.json"))
    if not paths:
        raise FileNotFoundError(f"{annotations} holds no *_polygons.json")
    told = {path: _object(path, "objects") for path in paths}
    try:
        all_labels = [thing["label"] for content in told.values() for thing in content["objects"]]
        labels = {_ungrouped(label) for label in all_labels}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{annotations}: an object has no label ({error})") from error
    names = [BACKGROUND, *sorted(labels - {BACKGROUND})]
    crowds = sum(label != _ungrouped(label) for label in all_labels)
    pictures = {}
    for path in sorted(Path(photos).rglob("*")):
        if path.suffix.lower() in PHOTOS:
            pictures[path.stem.removesuffix("_leftImg8bit")] = path

    def scene(path):
        stem = path.name.removesuffix("_polygons.json").removesuffix("_gtFine").removesuffix("_gtCoarse")

        def draw(height, width):
            shapes = []
            for thing in told[path]["objects"]:
                name = _ungrouped(thing["label"])
                is_dropped = drop_crowds and name != thing["label"]
                outline = _polygon(thing.get("polygon"), path)
                shapes.append(Shape(UNLABELLED if is_dropped else names.index(name), [outline]))
            return paint(shapes, height, width)

        return Scene(stem, pictures.get(stem, Path(photos) / f"{stem}.png"), draw)

    return Source(_known(names, annotations), list(range(1, len(names))), [scene(path) for path in paths], crowds)


def _ungrouped(label):
    """The class of an object; several that nobody told apart have a name that ends in "group"."""
    return label.removesuffix("group")


def _with_photos(photos, annotations, ending, but=None):
    """[(stem, photo, file)] of the files of an ending; one FileNotFoundError lists those without a photo."""
    files = StemFiles(Path(annotations), ending)
    pictures = StemFiles(Path(photos), *PHOTOS)
    found = [(stem, pictures.path(stem), path) for stem, path in files.paths.items() if stem != but]
    if not found:
        raise FileNotFoundError(f"{annotations} holds no {ending} files of photos in {photos}")
    missing = [f"{photo} is missing" for stem, photo, _ in found if stem not in pictures.paths]
    if missing:
        raise FileNotFoundError(listed(f"{annotations}: each file needs its photo", missing))
    return found


# The name of a source on the command line -> its function.
SOURCES = {
    "maps": from_maps,
    "coco": from_coco,
    "labelme": from_labelme,
    "yolo": from_yolo,
    "voc": from_voc,
    "cityscapes": from_cityscapes,
}
