"""The paper's data sets: every layout is read to the truth of a made-up folder; what is wrong is told whole."""

import json
import shutil

import numpy as np
import pytest
import set_folders
from helpers import TINY
from PIL import Image

import inade_lite as il
from inade_lite.data import augment, to_uint8, write_folder
from inade_lite.data.images import resize_map
from inade_lite.data.sets import CLASSES, SETS

COUNTS = {"cityscapes": 35, "coco_stuff": 183, "ade20k": 151, "celebamask_hq": 19, "deepfashion": 8}


def partition(*maps):
    """Every pixel's number among the distinct combinations of the maps."""
    keys = np.stack([np.asarray(m).ravel() for m in maps], 1)
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(np.shape(maps[0]))


@pytest.fixture(scope="module", params=set_folders.LAYOUTS, ids=lambda make: make.__name__)
def case(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param.__name__)
    return SETS[set_folders.LAYOUTS[request.param]], root, request.param(root)


def test_classes_and_instances_are_the_truth(case):
    reader, root, truth = case
    for split, expected in truth.items():
        data = reader(root, split)
        data.check()
        assert len(data) == len(expected)
        for item, (name, classes, instance) in zip(data, expected, strict=True):
            assert item["name"] == name
            assert np.array_equal(item["label"], classes)
            # One id for each (class, stored id), numbered without a gap; 0..I-1 in the order of both.
            assert np.array_equal(item["instance"], partition(classes, instance))
            assert item["image"].shape == (3, *classes.shape) and abs(item["image"]).max() <= 1


def test_pictures_and_maps_are_resized_together(case):
    reader, root, truth = case
    _, classes, instance = truth["train"][0]
    data = reader(root, "train", (20, 30))
    item = data[0]

    def resized(ids):
        return np.asarray(Image.fromarray(ids.astype(np.int32)).resize((30, 20), Image.Resampling.NEAREST))

    assert np.array_equal(item["label"], resized(classes))
    assert np.array_equal(item["instance"], partition(resized(classes), resized(instance)))
    photo = Image.open(data.files[0][1]).resize((30, 20), Image.Resampling.BICUBIC)
    assert np.array_equal(to_uint8(item["image"]), np.asarray(photo))


def test_the_same_trainer_learns_from_every_layout(case):
    reader, root, _ = case
    config = il.TrainConfig(**TINY, crop=32, flip=True)
    trainer = il.Trainer(config, reader(root, "train", 36))
    trainer.fit(1, progress=False)
    assert trainer.steps_done == 1


def test_the_attributes_of_a_data_set(case):
    reader, root, _ = case
    data = reader(root, "train")
    classes = len(data.class_names)
    assert data.num_classes == classes == len(set(data.class_names)) == COUNTS[data.name]
    assert data.class_colors.shape == (classes, 3) and data.class_colors.dtype == np.uint8
    assert data.thing_classes and all(0 <= k < classes for k in data.thing_classes)
    with pytest.raises(IndexError, match="item 99 of"):
        data[99]
    with pytest.raises(ValueError, match="split is 'training'; .* has train"):
        reader(root, "training")


# ---- What is particular


def test_a_thing_is_called_the_same_with_the_original_labels(tmp_path):
    set_folders.ade20k(tmp_path)
    ours, original = il.Ade20k(tmp_path, "train"), il.Ade20k(tmp_path, "train", original_labels=True)
    assert ours.class_names[-1] == original.class_names[0] == "unlabelled"
    assert [ours.class_names[k] for k in ours.thing_classes] == [
        original.class_names[k] for k in original.thing_classes
    ]
    for a, b in zip(ours, original, strict=True):
        assert np.array_equal(np.array(ours.class_names)[a["label"]], np.array(original.class_names)[b["label"]])
        assert np.array_equal(ours.class_colors[a["label"]], original.class_colors[b["label"]])


@pytest.mark.parametrize(
    ("make", "source"),
    [("ade20k", "annotations_instance"), ("ade20k_of_the_authors", "instances"), ("ade20k_of_scene_parsing", None)],
)
def test_ade20k_tells_where_its_instances_are_from(make, source, tmp_path):
    getattr(set_folders, make)(tmp_path)
    assert il.Ade20k(tmp_path, "val").instance_source == source


def test_known_names_at_known_ids():
    """The label maps of the sets, as everyone has them."""
    names = {name: json.loads((CLASSES / f"{name}.json").read_text())["class_names"] for name in COUNTS}
    assert [names["cityscapes"][k] for k in (7, 11, 23, 24, 26, 33)] == "road building sky person car bicycle".split()
    assert [names["coco_stuff"][k] for k in (0, 2, 16, 80, 156, 168)] == [
        "person",
        "car",
        "cat",
        "sink",
        "sky-other",
        "tree",
    ]
    assert [names["ade20k"][k - 1] for k in (1, 3, 5, 13, 21, 150)] == "wall sky tree person car flag".split()
    assert [names["celebamask_hq"][k] for k in (0, 1, 13, 18)] == "background skin hair cloth".split()
    things = {name: json.loads((CLASSES / f"{name}.json").read_text())["thing_classes"] for name in COUNTS}
    assert [len(things[name]) for name in ("cityscapes", "coco_stuff", "ade20k")] == [10, 80, 100]


def test_gray_photos_are_read(tmp_path):
    set_folders.coco_stuff(tmp_path)
    path = tmp_path / "train_img" / "000000000000.jpg"
    Image.open(path).convert("L").save(path)
    image = il.CocoStuff(tmp_path, "train")[0]["image"]
    assert np.array_equal(image[0], image[1]) and np.array_equal(image[0], image[2])


# ---- What is missing


def test_a_folder_that_is_not_the_sets_says_what_is_read(tmp_path):
    for name, reader in SETS.items():
        if name == "folder":
            continue
        with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere; \w+ reads\n    \S"):
            reader(tmp_path / "nowhere", "train")
        with pytest.raises(FileNotFoundError, match=r"nothing of split 'train' in .*; \w+ reads\n    \S"):
            reader(tmp_path, "train")


@pytest.mark.parametrize(
    ("make", "lost"),
    [
        ("cityscapes", ["*/*/*/*_000001_000019_gtFine_labelIds.png", "*/*/*/*_000002_000019_gtFine_instanceIds.png"]),
        ("coco_stuff", ["train_inst/*0.png", "train_label/*2.png", "train_img/*1.jpg"]),
        ("ade20k", ["images/training/*0.jpg", "annotations/training/*1.png", "annotations_instance/training/*2.png"]),
        ("celebamask_hq_of_the_authors", ["train/instances/0.png", "train/labels/1.png"]),
        ("deepfashion", ["train_inst/id_0.png", "train_label/id_1.png", "train_img/id_2.jpg"]),
        ("deepfashion_of_masks", ["train_mask/id_1.png"]),
    ],
)
def test_all_missing_files_are_told_at_once(make, lost, tmp_path):
    make = getattr(set_folders, make)
    make(tmp_path)
    paths = [next(tmp_path.glob(pattern)) for pattern in lost]
    for path in paths:
        path.unlink()
    with pytest.raises(FileNotFoundError) as error:
        SETS[set_folders.LAYOUTS[make]](tmp_path, "train")
    told = [line for line in str(error.value).splitlines() if line.endswith(" is missing")]
    assert len(told) == len(paths)
    for path in paths:
        assert any(path.stem in line and path.parts[-3] in line for line in told)


@pytest.mark.parametrize("make", ["cityscapes", "coco_stuff"])
def test_sets_with_true_instances_are_not_read_without_them(make, tmp_path):
    make = getattr(set_folders, make)
    make(tmp_path)
    for path in [*tmp_path.rglob("*instanceIds.png"), *tmp_path.glob("train_inst/*")]:
        path.unlink()
    with pytest.raises(FileNotFoundError, match="is missing"):
        SETS[set_folders.LAYOUTS[make]](tmp_path, "train")


def test_faces_without_masks_without_a_row_and_without_the_table(tmp_path):
    set_folders.celebamask_hq(tmp_path)
    for path in tmp_path.glob("CelebAMask-HQ-mask-anno/0/00011_*.png"):
        path.unlink()
    shutil.copy(tmp_path / "CelebA-HQ-img/0.jpg", tmp_path / "CelebA-HQ-img/77.jpg")
    with pytest.raises(FileNotFoundError) as error:
        il.CelebAMaskHQ(tmp_path, "train")
    assert "00011_*.png is missing" in str(error.value) and "77.jpg is not in CelebA-HQ-to" in str(error.value)
    (tmp_path / "CelebA-HQ-to-CelebA-mapping.txt").write_text("idx orig_idx\n0 twelve\n")
    with pytest.raises(ValueError, match="mapping.txt, line 2: '0 twelve'"):
        il.CelebAMaskHQ(tmp_path, "train")
    (tmp_path / "CelebA-HQ-to-CelebA-mapping.txt").unlink()
    with pytest.raises(FileNotFoundError, match="mapping.txt is missing"):
        il.CelebAMaskHQ(tmp_path, "train")


# ---- What is damaged


def test_check_tells_every_problem_of_every_file(tmp_path):
    set_folders.coco_stuff(tmp_path)
    small, wrong = np.zeros((8, 8), np.uint8), np.full(set_folders.SIZE, 200, np.uint8)
    set_folders.save(tmp_path / "train_label/000000000000.png", wrong)
    set_folders.save(tmp_path / "train_inst/000000000001.png", small)
    (tmp_path / "train_img/000000000002.jpg").write_bytes(b"<html>")
    (tmp_path / "train_inst/000000000002.png").write_bytes(b"")
    data = il.CocoStuff(tmp_path, "train")
    with pytest.raises(ValueError, match="3 of 3 items in .*train") as error:
        data.check()
    lines = str(error.value).splitlines()[1:]
    expected = [
        ("train_label/000000000000.png", "class id 200 at row 0, column 0, but CocoStuff has 0 to 181 and 255"),
        ("train_inst/000000000001.png", "is 8×8 (width × height), its image 48×32"),
        ("train_img/000000000002.jpg", "cannot be decoded"),
        ("train_inst/000000000002.png", "cannot be decoded"),
    ]
    assert len(lines) == len(expected)
    for line, (name, words) in zip(lines, expected, strict=True):
        assert name in line and words in line
    with pytest.raises(ValueError, match="000000000000.png: class id 200"):
        il.Trainer(il.TrainConfig(), data)


@pytest.mark.parametrize(
    ("make", "pattern", "wrong", "known"),
    [
        ("cityscapes", "gtFine/train/*/*_labelIds.png", 35, "Cityscapes has 0 to 34 and 255"),
        ("ade20k", "annotations/training/*.png", 151, "Ade20k has 0 to 150 and 255"),
        ("celebamask_hq_of_the_authors", "train/labels/*.png", 19, "CelebAMaskHQ has 0 to 18"),
        ("deepfashion", "train_label/*.png", 8, "DeepFashion has 0 to 7"),
        ("deepfashion_of_masks", "train_mask/*.png", 8, "DeepFashion has 0 to 7"),
    ],
)
def test_an_unknown_class_id_is_named(make, pattern, wrong, known, tmp_path):
    make = getattr(set_folders, make)
    make(tmp_path)
    path = sorted(tmp_path.glob(pattern))[0]
    pixels = np.array(Image.open(path))
    pixels[3, 5] = wrong
    Image.fromarray(pixels).save(path)
    with pytest.raises(ValueError) as error:
        SETS[set_folders.LAYOUTS[make]](tmp_path, "train").check()
    assert f"{path}: class id {wrong} at row 3, column 5, but {known};" in str(error.value)


def test_masks_of_one_face_have_one_size(tmp_path):
    set_folders.celebamask_hq(tmp_path)
    path = tmp_path / "CelebAMask-HQ-mask-anno/0/00000_hair.png"
    set_folders.save(path, np.zeros((8, 8), np.uint8))
    with pytest.raises(ValueError, match=r"00000_hair.png is 8×8 \(width × height\), another part 48×32"):
        il.CelebAMaskHQ(tmp_path, "train").check()


def test_a_picture_may_be_larger_than_its_masks_by_a_whole_factor_only(tmp_path):
    set_folders.celebamask_hq(tmp_path)
    set_folders.save(tmp_path / "CelebA-HQ-img/0.jpg", np.zeros((2 * 32, 2 * 48 + 2, 3), np.uint8))
    with pytest.raises(ValueError, match=r"00000_\*.png is 48×32 .*, its image 98×64") as error:
        il.CelebAMaskHQ(tmp_path, "train").check()
    assert "None" not in str(error.value)  # a face has no file of instances


# ---- Maps and pictures stay together


@pytest.mark.parametrize("sizes", [((7, 9), (3, 5)), ((480, 640), (256, 256)), ((5, 4), (10, 12))])
def test_maps_are_resized_by_pillows_rule_whatever_their_ids(sizes):
    old, new = sizes
    ids = np.arange(old[0] * old[1]).reshape(old) + 60_000
    rows = ((np.arange(new[0]) + 0.5) * old[0] / new[0]).astype(int)
    columns = ((np.arange(new[1]) + 0.5) * old[1] / new[1]).astype(int)
    assert np.array_equal(resize_map(ids, new), ids[rows[:, None], columns])


def position(h=12, w=17):
    """An item whose image and maps tell each pixel's place."""
    place = np.arange(h * w).reshape(h, w)
    image = np.stack([place, place // w, place % w]).astype(np.float32)
    return {"image": image, "label": place // w, "instance": place, "name": "place"}


def test_image_and_maps_are_cropped_and_mirrored_together():
    places, flips = set(), 0
    for seed in range(200):
        item = augment(position(), np.random.default_rng(seed), crop=(5, 8), flip=True)
        place, row, column = item["image"].astype(int)
        assert place.shape == item["label"].shape == item["instance"].shape == (5, 8)
        assert np.array_equal(item["label"], row)  # the label map moved like the image
        assert np.array_equal(item["instance"], partition(item["label"], place))  # and so did the instances
        across = np.diff(column, axis=1)
        assert (across == 1).all() or (across == -1).all()
        assert (np.diff(row, axis=0) == 1).all()
        flips += across[0, 0] == -1
        places.add((row.min(), column.min()))
    assert 70 < flips < 130
    assert len(places) > 60  # of 8 x 10
    assert {0, 7} <= {top for top, _ in places} and {0, 9} <= {left for _, left in places}


def test_augmentation_repeats_itself_and_may_do_nothing():
    a, b = (augment(position(), np.random.default_rng(3), crop=6, flip=True) for _ in range(2))
    assert all(np.array_equal(a[key], b[key]) for key in a)
    same = augment(position(), np.random.default_rng(3))
    assert all(np.array_equal(same[key], position()[key]) for key in same)
    with pytest.raises(ValueError, match="crop is 13x13, the items are 12x17"):
        augment(position(), np.random.default_rng(0), crop=13)


def test_a_data_set_that_was_read_is_written_as_a_folder(tmp_path):
    set_folders.coco_stuff_of_many_instances(tmp_path / "coco")
    data = il.CocoStuff(tmp_path / "coco", "train")
    write_folder(data, tmp_path / "folder", "train")
    for a, b in zip(data, il.FolderDataset(tmp_path / "folder", "train"), strict=True):
        assert a["instance"].max() > 255
        assert all(np.array_equal(a[key], b[key]) for key in ("image", "label", "instance"))
