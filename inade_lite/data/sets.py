"""The paper's data sets, read from the folders that their downloads make, or as the authors lay them out.

Each gives the same items as `FolderDataset`. Splits are called train, val and test in all of them. Whatever is missing
is told at once when a set is opened; `check()` reads all files and tells at once what is wrong with any.
"""

import functools
import inspect
from pathlib import Path

import numpy as np

from .folders import FileDataset, FolderDataset, Kind, check_size, listed, pair
from .images import PHOTOS, open_image

CLASSES = Path(__file__).parent / "classes"


MASK_MODES = ("L", "P", "1", "RGB", "RGBA")


class PublishedDataset(FileDataset):
    """What the sets below share: their classes come with this package, in classes/<name>.json.

    Only things have instances; each class of stuff is one in a picture, whatever the files say. Where instances were
    drawn apart from the classes, their outlines differ, and stuff along an outline would get a thing's id.
    """

    name = None
    image_modes = ("RGB", "L", "CMYK")  # the sets hold a few grey photos
    label_modes = ("L", "P")  # a palette's indices are the ids
    instance_modes = ("L", "P", "I;16", "I")
    splits = {"train": "train", "val": "val", "test": "test"}  # what each is called in the set's folders

    def expected(self):
        layout = [line for line in inspect.getdoc(type(self)).splitlines() if line.startswith("    ")]
        return "\n".join([f"{type(self).__name__} reads", *layout])

    def description(self):
        return CLASSES / f"{self.name}.json"

    def known_ids(self):
        ids = np.flatnonzero(self.class_of >= 0)
        ends = np.flatnonzero(np.diff(ids) > 1)
        runs = zip(ids[[0, *(ends + 1)]], ids[[*ends, -1]], strict=True)
        known = " and ".join(f"{a} to {b}" if b > a else f"{a}" for a, b in runs)
        return f"{type(self).__name__} has {known}; export the map again, or correct its pixels"

    def _read(self, i):
        (image, label, instance), problems = super()._read(i)
        if not problems:
            instance = np.where(np.isin(label, self.thing_classes), instance, 0)
        return (image, label, instance), problems

    def find(self):
        if self.split not in self.splits:
            raise ValueError(f"split is {self.split!r}; {type(self).__name__} has {', '.join(self.splits)}")
        files = self.find_split(self.splits[self.split])
        if not files:
            raise FileNotFoundError(f"there is nothing of split {self.split!r} in {self.root}; {self.expected()}")
        return files

    def find_split(self, split):
        """[(name, image, label, instance or None)] of the split; empty where the set's folders are missing."""
        raise NotImplementedError

    def pair(self, images, labels, instances):
        """The files of a split; instances may be None."""
        title = f"{type(self).__name__} in {self.root}: a picture and its maps have the same stem"
        if instances is None:
            return [(*files, None) for files in pair(title, images, labels)]
        return pair(title, images, labels, instances)


class Cityscapes(PublishedDataset):
    """Streets of 50 cities, 34 classes and license plates (Cordts et al., 2016).

        leftImg8bit/{train,val,test}/<city>/*_leftImg8bit.png
        gtFine/{train,val,test}/<city>/*_gtFine_{labelIds,instanceIds}.png

    This is the layout of the download and of the authors. An instance id of 1000 k + n is the n-th of class k.
    """

    name = "cityscapes"

    def __init__(self, root, split, image_size=None):
        super().__init__(root, split, image_size)
        self.class_of[255] = self.class_names.index("license plate")  # its id is -1

    def find_split(self, split):
        maps = self.root / "gtFine" / split
        return self.pair(
            Kind(self.root / "leftImg8bit" / split, "_leftImg8bit.png", pattern="*/*"),
            Kind(maps, "_gtFine_labelIds.png", pattern="*/*"),
            Kind(maps, "_gtFine_instanceIds.png", pattern="*/*"),
        )


class CocoStuff(PublishedDataset):
    """Photos of everyday scenes, 182 classes (Caesar et al., 2018), and unlabelled pixels, 255, as a last class.

        {train,val}_img/*.jpg
        {train,val}_label/*.png
        {train,val}_inst/*.png

    This is the layout of SPADE and of the authors. An instance id may equal the class id of something else.
    """

    name = "coco_stuff"
    splits = {"train": "train", "val": "val"}

    def find_split(self, split):
        return self.pair(
            Kind(self.root / f"{split}_img", *PHOTOS),
            Kind(self.root / f"{split}_label", ".png"),
            Kind(self.root / f"{split}_inst", ".png"),
        )


class Ade20k(PublishedDataset):
    """Scenes in 150 classes (Zhou et al., 2017), and unlabelled pixels, 0 in the files, as a last class.

        {images,annotations}/{training,validation}/*.{jpg,png}
        annotations_instance/{training,validation}/*.png
        instances/{training,validation}/*.png

    images and annotations are the download of the scene parsing challenge. True instances come with another one, of
    the instance segmentation challenge of 2017: annotations_instance, whose green channel tells the instances of its
    100 classes apart. Without it, the authors' `instances` are read; they, too, make one of each class, and so it is
    where there are no files. `instance_source` is the folder that was found, or None.

    original_labels: the ids of the files as they are, 0 unlabelled and 1..150 the classes. The original's own reader
    leaves them so by an oversight, hence its published weights need it.
    """

    name = "ade20k"
    splits = {"train": "training", "val": "validation"}

    def __init__(self, root, split, image_size=None, original_labels=False):
        super().__init__(root, split, image_size)
        if original_labels:
            self.class_of[:] = -1
            self.class_of[:151], self.unlabelled = np.arange(151), 0
            self.class_names = [self.class_names[-1], *self.class_names[:-1]]
            self.class_colors = np.roll(self.class_colors, 1, axis=0)
            self.thing_classes = [k + 1 for k in self.thing_classes]
        else:
            self.class_of[:151] = [150, *range(150)]

    def find_split(self, split):
        sources = (Kind(self.root / name / split, ".png") for name in ("annotations_instance", "instances"))
        instances = next((kind for kind in sources if kind.found), None)
        self.instance_source = instances and instances.folder.parent.name
        images = Kind(self.root / "images" / split, *PHOTOS)
        return self.pair(images, Kind(self.root / "annotations" / split, ".png"), instances)

    def read_instance(self, path):
        if self.instance_source != "annotations_instance":
            return super().read_instance(path)
        remedy = f"the green channel of annotations_instance holds the ids; or remove {path.parent.parent}"
        return np.asarray(open_image(path, ["RGB"], lambda mode: remedy))[..., 1].astype(np.int64)


class CelebAMaskHQ(PublishedDataset):
    """Faces in 18 parts and background (Lee et al., 2020).

        CelebA-HQ-img/*.jpg
        CelebAMask-HQ-mask-anno/{0..14}/*_{skin,nose,...}.png
        CelebA-HQ-to-CelebA-mapping.txt
    or  {train,test}/{images,labels,instances}/*

    The first is the download: a mask for each part, merged in the order of the classes, so that hair covers skin. The
    second is the layout of the authors, where val is test, too. Without `instances`, each part is one. The download's
    images have twice the size of its masks; without an `image_size` they come at the masks' size.
    """

    name = "celebamask_hq"

    def find_split(self, split):
        if (self.root / "CelebA-HQ-img").is_dir():
            return self._find_download(split)
        folder = self.root / ("train" if split == "train" else "test")
        labels, instances = (Kind(folder / kind, ".png") for kind in ("labels", "instances"))
        return self.pair(Kind(folder / "images", *PHOTOS), labels, instances if instances.found else None)

    def _find_download(self, split):
        images = Kind(self.root / "CelebA-HQ-img", ".jpg")
        mapping = self.root / "CelebA-HQ-to-CelebA-mapping.txt"
        if not mapping.is_file():
            raise FileNotFoundError(f"{mapping} is missing; it tells which pictures are train, val and test")
        celeba = {}  # CelebA-HQ's number -> CelebA's
        for k, line in enumerate(mapping.read_text().splitlines()[1:]):
            try:
                number, origin = line.split()[:2]
                celeba[number] = int(origin)
            except ValueError:
                raise ValueError(f"{mapping}, line {k + 2}: {line!r}, expected two numbers and a name") from None
        files, problems = [], []
        for stem in sorted(images.found, key=lambda stem: (len(stem), stem)):
            if stem not in celeba:
                problems.append(f"{images.path(stem)} is not in {mapping.name}")
            elif split == ("train" if celeba[stem] < 162771 else "val" if celeba[stem] < 182638 else "test"):
                masks = self.root / "CelebAMask-HQ-mask-anno" / str(int(stem) // 2000) / f"{int(stem):05d}_*.png"
                if not any(path.is_file() for _, path in self._parts(masks)):
                    problems.append(f"{masks} is missing")
                files.append((stem, images.path(stem), masks, None))
        if problems:
            raise FileNotFoundError(listed(f"CelebAMaskHQ in {self.root}: a picture and its masks", problems))
        return files

    def _parts(self, masks):
        """[(class id, path of its mask, which need not exist)]."""
        return [(k, masks.with_name(masks.name.replace("*", part))) for k, part in enumerate(self.class_names)][1:]

    def read_label(self, path):
        if "*" not in path.name:
            return super().read_label(path)
        label = None
        for k, part in self._parts(path):
            if part.is_file():
                remedy = "a mask is white where the part is and black elsewhere"
                mask = np.asarray(open_image(part, MASK_MODES, lambda mode: remedy).convert("L")) > 0  # noqa: B023
                label = np.zeros(mask.shape, np.int64) if label is None else label
                check_size(part, mask, label, "another part")
                label[mask] = k
        return label

    def fits(self, image, ids):
        times = image.shape[0] // ids.shape[0]
        return image.shape[:2] == (times * ids.shape[0], times * ids.shape[1])


class DeepFashion(PublishedDataset):
    """Fashion photos in 8 classes (Liu et al., 2016; the classes by Zhu et al., 2020).

        {train,test}_img/*.{jpg,png}
        {train,test}_label/*.png
        {train,test}_inst/*.png
    or  {train,test}_{img,mask}/*

    The first is the layout of the authors. A mask is a picture whose first channel holds the class ids. Without
    `*_inst`, each class is one instance. val is test, too. Which name belongs to which id is not published: the names
    of classes are those of Zhu et al., their order is a guess.
    """

    name = "deepfashion"
    splits = {"train": "train", "val": "test", "test": "test"}
    label_modes = ("L", "P", "RGB", "RGBA")

    def find_split(self, split):
        labels, masks, instances = (Kind(self.root / f"{split}_{kind}", ".png") for kind in ("label", "mask", "inst"))
        labels = masks if masks.found and not labels.found else labels
        images = Kind(self.root / f"{split}_img", *PHOTOS)
        return self.pair(images, labels, instances if instances.found else None)

    def read_label(self, path):
        ids = super().read_label(path)
        return ids if ids.ndim == 2 else ids[..., 0]


SETS = {
    "folder": FolderDataset,
    "cityscapes": Cityscapes,
    "coco_stuff": CocoStuff,
    "ade20k": Ade20k,
    "ade20k_original": functools.partial(Ade20k, original_labels=True),
    "celebamask_hq": CelebAMaskHQ,
    "deepfashion": DeepFashion,
}
