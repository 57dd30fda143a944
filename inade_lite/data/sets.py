"""The paper's data sets, read from the folders that their downloads make, or as the authors lay them out.

Each gives the same items as `FolderDataset`. Splits are called train, val and test in all of them. Whatever is missing
is told at once when a set is opened; `check()` reads all files and tells at once what is wrong with any.
"""

import functools
import inspect
from pathlib import Path

import numpy as np

from .folders import FileDataset, FolderDataset, NoSplit, StemFiles, check_size, listed, match
from .images import PHOTOS, open_image
from .toy_town import ToyTown

CLASSES = Path(__file__).parent / "classes"

# The modes of a mask that covers one part of a face, and what such a mask is, for an error message.
MASK_MODES = ("L", "P", "1", "RGB", "RGBA")
MASK_REMEDY = "a mask is white where the part is and black elsewhere"


class PublishedDataset(FileDataset):
    """What the sets below share: their classes come with this package, in classes/<name>.json.

    Only things have instances; each class of stuff is one in a picture, whatever the files say. Where instances were
    drawn apart from the classes, their outlines differ, and stuff along an outline would get a thing's id.

    splits: what train, val and test are called in the set's folders.

    >>> issubclass(Cityscapes, PublishedDataset)
    True
    """

    name = None
    as_shown = False  # their maps were drawn on the stored pixels
    splits = {"train": "train", "val": "val", "test": "test"}

    def expected(self):
        # The indented lines of a set's docstring are its layout.
        lines = inspect.getdoc(type(self)).splitlines()
        layout = [line for line in lines if line.startswith("    ")]
        return "\n".join([f"{type(self).__name__} reads", *layout])

    def description(self):
        return CLASSES / f"{self.name}.json"

    def known_ids(self):
        ids = np.flatnonzero(self.class_of >= 0)
        runs = np.split(ids, np.flatnonzero(np.diff(ids) > 1) + 1)  # [0, 1, 2, 255] -> [0, 1, 2], [255]
        known = []
        for run in runs:
            known.append(f"{run[0]} to {run[-1]}" if len(run) > 1 else f"{run[0]}")
        return f"{type(self).__name__} has {' and '.join(known)}; export the map again, or correct its pixels"

    def merge(self, label, instance):
        is_thing = np.isin(label, self.thing_classes)
        return np.where(is_thing, instance, 0)

    def find(self):
        if self.split not in self.splits:
            raise ValueError(f"split is {self.split!r}; {type(self).__name__} has {', '.join(self.splits)}")
        files = self.find_split(self.splits[self.split])
        if not files:
            raise NoSplit(f"there is nothing of split {self.split!r} in {self.root}; {self.expected()}")
        return files

    def find_split(self, split):
        """The `files` of the folders called `split`; empty where the set's folders are missing."""
        raise NotImplementedError

    def match(self, images, labels, instances):
        """The `files` of StemFiles; instances may be None."""
        title = f"{type(self).__name__} in {self.root}: a picture and its maps have the same stem"
        if instances is not None:
            return match(title, images, labels, instances)
        return [(*files, None) for files in match(title, images, labels)]


class Cityscapes(PublishedDataset):
    """Streets of 50 cities, 34 classes and license plates (Cordts et al., 2016).

        leftImg8bit/{train,val,test}/<city>/*_leftImg8bit.png
        gtFine/{train,val,test}/<city>/*_gtFine_{labelIds,instanceIds}.png

    This is the layout of the download and of the authors. An instance id of 1000 k + n is the n-th of class k.

    >>> import inade_lite as il
    >>> il.Cityscapes.splits["val"]
    'val'
    """

    name = "cityscapes"

    def __init__(self, root, split, image_size=None, fit="stretch"):
        super().__init__(root, split, image_size, fit)
        self.class_of[255] = self.class_names.index("license plate")  # its id is -1, which 8 bits store as 255

    def find_split(self, split):
        images = self.root / "leftImg8bit" / split
        maps = self.root / "gtFine" / split
        return self.match(
            StemFiles(images, "_leftImg8bit.png", pattern="*/*"),
            StemFiles(maps, "_gtFine_labelIds.png", pattern="*/*"),
            StemFiles(maps, "_gtFine_instanceIds.png", pattern="*/*"),
        )


class CocoStuff(PublishedDataset):
    """Photos of everyday scenes, 182 classes (Caesar et al., 2018), and unlabelled pixels, 255, as a last class.

        {train,val}_img/*.jpg
        {train,val}_label/*.png
        {train,val}_inst/*.png

    This is the layout of SPADE and of the authors. An instance id may equal the class id of something else.

    >>> import inade_lite as il
    >>> list(il.CocoStuff.splits)
    ['train', 'val']
    """

    name = "coco_stuff"
    splits = {"train": "train", "val": "val"}

    def find_split(self, split):
        return self.match(
            StemFiles(self.root / f"{split}_img", *PHOTOS),
            StemFiles(self.root / f"{split}_label", ".png"),
            StemFiles(self.root / f"{split}_inst", ".png"),
        )


class Ade20k(PublishedDataset):
    """Scenes in 150 classes (Zhou et al., 2017), and unlabelled pixels, 0 in the files, as a last class.

        {images,annotations}/{training,validation}/*.{jpg,png}
        annotations_instance/{training,validation}/*.png
        instances/{training,validation}/*.png

    images and annotations are the download of the scene parsing challenge. True instances come with another download,
    of the instance segmentation challenge of 2017: the green channel of annotations_instance tells the instances of its
    100 classes apart. Without it, the authors' `instances` are read. They hold one instance of each class, and so it
    is where there are no files of instances at all. `instance_source` is the folder that was found, or None.

    original_labels: the ids of the files as they are, 0 unlabelled and 1..150 the classes. The original's own reader
    leaves them so by an oversight, so its published weights need it.

    >>> import inade_lite as il
    >>> il.Ade20k.splits["val"]
    'validation'
    """

    name = "ade20k"
    splits = {"train": "training", "val": "validation"}

    def __init__(self, root, split, image_size=None, fit="stretch", original_labels=False):
        super().__init__(root, split, image_size, fit)
        if original_labels:
            self._keep_stored_ids()
        else:
            self.class_of[:151] = [150, *range(150)]  # 0, unlabelled, becomes the last class

    def _keep_stored_ids(self):
        """Makes the unlabelled class the first one."""
        self.class_of[:] = -1
        self.class_of[:151] = np.arange(151)
        self.unlabelled = 0
        self.class_names = [self.class_names[-1], *self.class_names[:-1]]
        self.class_colors = np.roll(self.class_colors, 1, axis=0)
        self.thing_classes = [k + 1 for k in self.thing_classes]

    def find_split(self, split):
        self.instance_source = None
        instances = None
        for source in ("annotations_instance", "instances"):
            files = StemFiles(self.root / source / split, ".png")
            if files.paths:
                self.instance_source = source
                instances = files
                break
        images = StemFiles(self.root / "images" / split, *PHOTOS)
        labels = StemFiles(self.root / "annotations" / split, ".png")
        return self.match(images, labels, instances)

    def read_instance(self, path):
        if self.instance_source != "annotations_instance":
            return super().read_instance(path)
        remedy = f"the green channel of annotations_instance holds the ids; or remove {path.parent.parent}"
        mask = np.asarray(open_image(path, ["RGB"], lambda mode: remedy))  # [H, W, 3]
        return mask[..., 1]


class CelebAMaskHQ(PublishedDataset):
    """Faces in 18 parts and background (Lee et al., 2020).

        CelebA-HQ-img/*.jpg
        CelebAMask-HQ-mask-anno/{0..14}/*_{skin,nose,...}.png
        CelebA-HQ-to-CelebA-mapping.txt
    or  {train,test}/{images,labels,instances}/*

    The first is the download: a mask for each part, merged in the order of the classes, so that hair covers skin. The
    second is the layout of the authors, where val is test, too. Without `instances`, each part is one. The download's
    images have twice the size of its masks; without an `image_size` they come at the masks' size.

    >>> import inade_lite as il
    >>> list(il.CelebAMaskHQ.splits)
    ['train', 'val', 'test']
    """

    name = "celebamask_hq"

    def find_split(self, split):
        if (self.root / "CelebA-HQ-img").is_dir():
            return self._find_download(split)
        folder = self.root / ("train" if split == "train" else "test")
        images = StemFiles(folder / "images", *PHOTOS)
        labels = StemFiles(folder / "labels", ".png")
        instances = StemFiles(folder / "instances", ".png")
        return self.match(images, labels, instances if instances.paths else None)

    def _find_download(self, split):
        """The `files` of the download. A label path with a * stands for the masks of all parts of a face."""
        images = StemFiles(self.root / "CelebA-HQ-img", ".jpg")
        mapping = self.root / "CelebA-HQ-to-CelebA-mapping.txt"
        split_of = self._read_splits(mapping)
        files = []
        problems = []
        for stem in sorted(images.paths, key=lambda stem: (len(stem), stem)):  # 2 before 10
            if stem not in split_of:
                problems.append(f"{images.path(stem)} is not in {mapping.name}")
                continue
            if split_of[stem] == split:
                masks = self._masks(int(stem))
                if not any(path.is_file() for path in self._parts(masks).values()):
                    problems.append(f"{masks} is missing")
                files.append((stem, images.path(stem), masks, None))
        if problems:
            raise FileNotFoundError(listed(f"CelebAMaskHQ in {self.root}: a picture and its masks", problems))
        return files

    def _read_splits(self, mapping):
        """{a picture's stem: its split}, which is that of the same picture in CelebA."""
        if not mapping.is_file():
            raise FileNotFoundError(f"{mapping} is missing; it tells which pictures are train, val and test")
        split_of = {}
        lines = mapping.read_text().splitlines()
        for k, line in enumerate(lines[1:], start=2):
            try:
                stem, origin = line.split()[:2]
                origin = int(origin)
            except ValueError:
                raise ValueError(f"{mapping}, line {k}: {line!r}, expected two numbers and a name") from None
            # The borders are those of CelebA's own list of splits.
            if origin < 162771:
                split_of[stem] = "train"
            elif origin < 182638:
                split_of[stem] = "val"
            else:
                split_of[stem] = "test"
        return split_of

    def _masks(self, number):
        """The path of a face's masks, with a * for the part; each folder holds 2000 faces."""
        return self.root / "CelebAMask-HQ-mask-anno" / str(number // 2000) / f"{number:05d}_*.png"

    def _parts(self, masks):
        """{class id: the path of its mask}, without the background; a face need not have all of them."""
        parts = {}
        for k, part in enumerate(self.class_names[1:], start=1):
            parts[k] = masks.with_name(masks.name.replace("*", part))
        return parts

    def read_label(self, path):
        if "*" not in path.name:
            return super().read_label(path)
        label = None
        for k, part in self._parts(path).items():
            if not part.is_file():
                continue
            image = open_image(part, MASK_MODES, lambda mode: MASK_REMEDY)
            mask = np.asarray(image.convert("L")) > 0
            if label is None:
                label = np.zeros(mask.shape, np.uint8)
            check_size(part, mask.shape, label.shape, "another part")
            label[mask] = k
        return label

    def fits(self, image, ids):
        height, width = ids.shape
        times = image.shape[0] // height
        return image.shape[:2] == (times * height, times * width)


class DeepFashion(PublishedDataset):
    """Fashion photos in 8 classes (Liu et al., 2016; the classes by Zhu et al., 2020).

        {train,test}_img/*.{jpg,png}
        {train,test}_label/*.png
        {train,test}_inst/*.png
    or  {train,test}_{img,mask}/*

    The first is the layout of the authors. A mask is a picture whose first channel holds the class ids. Without
    `*_inst`, each class is one instance. val is test, too. Which name belongs to which id is not published. The names
    are those of Zhu et al.; in the pictures, 1 is hair, 2 the face, 3 the top, 4 shorts or trousers, 5 arms. The order
    of the last two is a guess.

    >>> import inade_lite as il
    >>> il.DeepFashion.splits["val"]
    'test'
    """

    name = "deepfashion"
    splits = {"train": "train", "val": "test", "test": "test"}
    label_modes = ("L", "P", "RGB", "RGBA")

    def find_split(self, split):
        images = StemFiles(self.root / f"{split}_img", *PHOTOS)
        labels = StemFiles(self.root / f"{split}_label", ".png")
        masks = StemFiles(self.root / f"{split}_mask", ".png")
        instances = StemFiles(self.root / f"{split}_inst", ".png")
        if masks.paths and not labels.paths:
            labels = masks
        return self.match(images, labels, instances if instances.paths else None)

    def read_label(self, path):
        ids = super().read_label(path)
        return ids if ids.ndim == 2 else ids[..., 0]


# The name of a set on the command line -> its reader.
SETS = {
    "folder": FolderDataset,
    "cityscapes": Cityscapes,
    "coco_stuff": CocoStuff,
    "ade20k": Ade20k,
    "ade20k_original": functools.partial(Ade20k, original_labels=True),
    "celebamask_hq": CelebAMaskHQ,
    "deepfashion": DeepFashion,
}


def open_dataset(data, set_name, split, size, fit="stretch"):
    """The data set that a command line names: ToyTown, drawn on the fly, or a folder in the layout of a set.

    >>> open_dataset("toy_town", None, "val", 32).image_size
    (32, 32)
    """
    if data == "toy_town":
        return ToyTown(split, size)
    return SETS[set_name](data, split, size, fit)
