"""Maps of labeling tools, made by hand: what each pixel must be is drawn below, or known from its numbers."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask

import inade_lite as il
from inade_lite.__main__ import SOURCES as OFFERED
from inade_lite.__main__ import main
from inade_lite.data import sources
from inade_lite.data.folders import FolderDataset
from inade_lite.data.images import fit, resize_map
from inade_lite.data.prepare import prepare
from inade_lite.data.slivers import slivers

HEIGHT, WIDTH = 6, 8
PHOTO = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def photos(root, *stems, ending=".png"):
    folder = root / "photos"
    folder.mkdir(exist_ok=True)
    for stem in stems:
        Image.fromarray(PHOTO).save(folder / f"{stem}{ending}")
    return folder


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def rows(text):
    """A map, drawn: a digit for each pixel."""
    return [[int(letter) for letter in line] for line in text.split()]


def drawn(source, k=0):
    label, instance = source.scenes[k].draw(HEIGHT, WIDTH)
    return label.tolist(), instance


# Two cats, one in front of the other, and a dog.
BACK, FRONT, DOG = [0, 0, 4, 0, 4, 3, 0, 3], [2, 1, 6, 1, 6, 3, 2, 3], [6, 4, 8, 4, 8, 6, 6, 6]
LABEL = rows("11110000 11111100 11111100 00000000 00000022 00000022")
INSTANCE = rows("11110000 11222200 11222200 00000000 00000033 00000033")


def coco(root, annotations, **image):
    told = {"id": 7, "file_name": "sub/a.png", "height": HEIGHT, "width": WIDTH} | image
    categories = [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}]
    return write(root / "instances.json", {"images": [told], "annotations": annotations, "categories": categories})


def annotation(category, segmentation, area, **more):
    return {"image_id": 7, "category_id": category, "segmentation": segmentation, "area": area, "iscrowd": 0, **more}


def runs(area):
    """COCO's run lengths of a mask [H, W], column by column, the first of zeros."""
    flat = np.asarray(area).T.ravel()
    counts, value = [], 0
    while flat.size:
        other = np.flatnonzero(flat != value)
        counts.append(int(other[0]) if len(other) else len(flat))
        flat, value = flat[counts[-1] :], 1 - value
    return {"size": [HEIGHT, WIDTH], "counts": counts}


@pytest.mark.parametrize("form", ["polygons", "run lengths", "compressed"])
def test_coco(form, tmp_path):
    def of(polygon):
        if form == "polygons":
            return [polygon]
        area = mask.decode(mask.merge(mask.frPyObjects([polygon], HEIGHT, WIDTH)))
        lengths = runs(area)
        if form == "run lengths":
            return lengths
        packed = mask.frPyObjects(lengths, HEIGHT, WIDTH)
        return {**packed, "counts": packed["counts"].decode()}

    # The small one comes first in the file, and is in front all the same.
    found = [annotation(17, of(FRONT), 8), annotation(17, of(BACK), 12), annotation(18, of(DOG), 4)]
    source = sources.from_coco(photos(tmp_path, "a"), coco(tmp_path, found))
    assert source.class_names == ["background", "cat", "dog"] and source.thing_classes == [1, 2]
    label, instance = drawn(source)
    assert label == LABEL
    assert len(np.unique(instance)) == 4 and (instance == 0).sum() == (np.array(LABEL) == 0).sum()
    assert instance[1, 2] == instance[2, 5] != instance[0, 0]
    assert source.scenes[0].photo == tmp_path / "photos/a.png"


def test_a_crowd_is_one_instance(tmp_path):
    area = np.zeros([HEIGHT, WIDTH], int)
    area[0, ::2] = 1
    source = sources.from_coco(tmp_path, coco(tmp_path, [annotation(18, runs(area), 4, iscrowd=1)]))
    label, instance = drawn(source)
    assert label[0] == [2, 0] * 4 and instance.tolist()[0] == [1, 0] * 4
    assert source.crowds == 1


def test_crowds_are_counted_told_and_left_out(tmp_path, capsys):
    row, column = np.zeros([2, HEIGHT, WIDTH], int)
    row[0], column[:, 0] = 1, 1
    outlines = [annotation(17, runs(column), 6), annotation(18, runs(row), 8, iscrowd=1)]
    told = ["--photos", str(photos(tmp_path, "a")), "--annotations", str(coco(tmp_path, outlines))]
    for name, more in (("kept", []), ("dropped", ["--drop-crowds"])):
        main(
            [
                "prepare",
                "--from=coco",
                *told,
                "--fit=stretch",
                "--size=16",
                "--val=0",
                f"--out={tmp_path / name}",
                *more,
            ]
        )
        assert ("1 outlines are of crowds" in capsys.readouterr().out) == (name == "kept")
    labels = {name: FolderDataset(tmp_path / name, "train") for name in ("kept", "dropped")}
    names = {name: [data.class_names[k] for k in np.unique(data[0]["label"])] for name, data in labels.items()}
    assert names == {"kept": ["background", "cat", "dog"], "dropped": ["background", "cat", "unlabelled"]}
    main(["report", f"--data={tmp_path / 'kept'}", "--size=16", f"--out={tmp_path / 'report'}"])
    assert "train and val: 1 outlines are of crowds" in capsys.readouterr().out


def test_a_crowd_of_the_panoptic_form_and_of_cityscapes(tmp_path):
    (tmp_path / "panoptic").mkdir()
    Image.fromarray(np.full([HEIGHT, WIDTH, 3], (9, 0, 0), np.uint8)).save(tmp_path / "panoptic/a.png")
    segment = {"id": 9, "category_id": 4, "iscrowd": 1}
    told = {
        "images": [{"id": 7, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 7, "file_name": "a.png", "segments_info": [segment]}],
        "categories": [{"id": 4, "name": "car", "isthing": 1}],
    }
    path = write(tmp_path / "panoptic.json", told)
    street = {"objects": [{"label": "cargroup", "polygon": [[0, 0], [7, 0], [7, 5], [0, 5]]}]}
    write(tmp_path / "a_gtFine_polygons.json", street)
    for drop_crowds, wanted in ((False, 1), (True, 255)):
        for source in (
            sources.from_coco(tmp_path, path, drop_crowds),
            sources.from_cityscapes(tmp_path, tmp_path, drop_crowds),
        ):
            assert source.crowds == 1
            assert np.unique(drawn(source)[0]).tolist() == [wanted]


def test_coco_panoptic(tmp_path):
    colors = np.zeros([HEIGHT, WIDTH, 3], np.uint8)
    colors[:, 4:] = (44, 1, 0)  # segment 300
    colors[4:] = (0, 0, 2)  # segment 131072, in nobody's list
    (tmp_path / "panoptic").mkdir()
    Image.fromarray(colors).save(tmp_path / "panoptic/a.png")
    told = {
        "images": [{"id": 7, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 7, "file_name": "a.png", "segments_info": [{"id": 300, "category_id": 5}]}],
        "categories": [{"id": 4, "name": "car", "isthing": 1}, {"id": 5, "name": "sky", "isthing": 0}],
    }
    source = sources.from_coco(tmp_path, write(tmp_path / "panoptic.json", told))
    label, instance = drawn(source)
    assert source.thing_classes == [1]
    assert label == [[0] * 4 + [2] * 4] * 4 + [[0] * 8] * 2
    assert (instance == 300).sum() == 16


def test_labelme(tmp_path):
    shapes = [
        {"label": "dog", "points": [[1, 1], [3, 1], [3, 2], [1, 2]], "shape_type": "polygon", "group_id": None},
        {"label": "cat", "points": [[5, 0], [6, 1]], "shape_type": "rectangle", "group_id": 4},
        {"label": "cat", "points": [[5, 4], [6, 5]], "shape_type": "rectangle", "group_id": 4},
        {"label": "cat", "points": [[0.5, 5.5], [0.5, 5.9]], "shape_type": "circle", "group_id": None},
    ]
    folder = photos(tmp_path, "a", ending=".jpg")
    write(folder / "a.json", {"shapes": shapes, "imagePath": "a.jpg"})
    source = sources.from_labelme(folder, folder)
    label, instance = drawn(source)
    assert source.class_names == ["background", "cat", "dog"]
    assert label == rows("00000110 02220110 02220000 00000000 00000110 10000110")
    assert instance[0, 5] == instance[5, 6] != instance[5, 0]  # one cat in two parts, and another one


def test_yolo(tmp_path):
    folder = photos(tmp_path, "a", "b")
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "classes.txt").write_text("cat\ndog\n")
    (labels / "a.txt").write_text("1 0.25 0.34 0.5 0.34 0.5 0.67 0.25 0.67\n\n0 0 0 0.1 0 0 0.1\n")
    (labels / "b.txt").write_text("")
    source = sources.from_yolo(folder, labels)
    label, instance = drawn(source)
    assert source.class_names == ["background", "cat", "dog"]
    assert np.array(label)[2:5, 2:5].tolist() == [[2] * 3] * 3 and label[0][0] == 1 and instance[0, 0] == 2
    assert not np.any(drawn(source, 1)[0])
    assert sources.from_yolo(folder, labels, ["x", "y"]).class_names == ["background", "x", "y"]


def test_voc(tmp_path):
    folder = photos(tmp_path, "a", "of no maps", ending=".jpg")
    label = np.array(rows("00000000 " * 3 + "08800000 00000000 00000000"), np.uint8)
    label[2] = 255
    for kind, ids in (("SegmentationClass", label), ("SegmentationObject", np.where(label == 8, 3, label))):
        (tmp_path / kind).mkdir()
        image = Image.fromarray(ids.astype(np.uint8), "P")
        image.putpalette(bytes(range(256)) * 3)
        image.save(tmp_path / kind / "a.png")
    source = sources.from_voc(folder, tmp_path)
    found, instance = drawn(source)
    assert found == label.tolist() and source.class_names[8] == "cat" and instance[3, 1] == 3
    assert [scene.name for scene in source.scenes] == ["a"]


def test_cityscapes(tmp_path):
    objects = [
        {"label": "road", "polygon": [[0, 0], [7, 0], [7, 5], [0, 5]]},
        {"label": "cargroup", "polygon": [[1, 1], [2, 1], [2, 2], [1, 2]]},
    ]
    path = tmp_path / "train/ulm/ulm_0_gtFine_polygons.json"
    write(path, {"objects": objects, "imgHeight": HEIGHT, "imgWidth": WIDTH})
    folder = photos(tmp_path, "ulm_0_leftImg8bit")
    source = sources.from_cityscapes(folder, tmp_path)
    label, _ = drawn(source)
    assert source.class_names == ["background", "car", "road"]
    assert label == rows("22222222 21122222 21122222 22222222 22222222 22222222")
    assert source.scenes[0].photo == folder / "ulm_0_leftImg8bit.png"


def test_maps_with_and_without_instances(tmp_path):
    folder = photos(tmp_path, "a")
    for kind, ids in (("labels", LABEL), ("instances", INSTANCE)):
        (tmp_path / kind).mkdir()
        Image.fromarray(np.array(ids, np.uint8)).save(tmp_path / kind / "a.png")
    source = sources.from_maps(folder, tmp_path / "labels", tmp_path / "instances", ["nothing", "cat", "dog"])
    label, instance = drawn(source)
    assert label == LABEL and instance.tolist() == INSTANCE
    source = sources.from_maps(folder, tmp_path / "labels")
    assert source.class_names == ["class 0", "class 1", "class 2"] and drawn(source)[1].tolist() == LABEL


# ---- What is wrong

SQUARE = [0, 0, 4, 0, 4, 3]
WRONG = {
    "two corners": (lambda r: coco(r, [annotation(17, [[0, 0, 1, 1]], 1)]), "an outline is .*three corners"),
    "a text": (lambda r: coco(r, [annotation(17, [["x"] * 6], 1)]), "an outline is"),
    "another size": (lambda r: coco(r, [annotation(17, [SQUARE], 1)], width=9), r"a.png is 8×6 .*, expected 9×6"),
    "an unknown category": (lambda r: coco(r, [annotation(99, [SQUARE], 1)]), "a.png: KeyError: 99"),
    "short runs": (
        lambda r: coco(r, [annotation(17, {"size": [HEIGHT, WIDTH], "counts": [3, 4]}, 1)]),
        "run lengths that do not add up to 48 pixels",
    ),
    "an unknown image": (
        lambda r: coco(r, [annotation(17, [SQUARE], 1, image_id=8)]),
        "is not COCO's JSON .*KeyError: 8",
    ),
    "no JSON": (lambda r: (r / "x.json").write_text("{") and r / "x.json", "is not valid JSON"),
    "a list": (lambda r: write(r / "x.json", []), "expected an object with images, annotations, categories"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_wrong_with_cocos_json_is_told(fault, tmp_path):
    make, message = WRONG[fault]
    photos(tmp_path, "a")
    path = make(tmp_path)
    with pytest.raises(ValueError, match=message) as error:
        prepare(sources.from_coco(tmp_path / "photos", path), tmp_path / "out", 8)
    assert str(path) in str(error.value)
    assert not (tmp_path / "out/dataset.json").exists()


SHAPE = {"label": "cat", "points": [[0, 0], [4, 3]], "shape_type": "rectangle"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": [["x", 0], [1, 1]]}, "a shape of type 'rectangle'"),
        ({"points": {"a": 1}}, "a shape of type 'rectangle'"),
        ({"points": [[0, 0], [1e300, 1]]}, "the points of a shape are"),
        ({"points": [[0, 0], [1]], "shape_type": "polygon"}, "an outline is"),
        ({"shape_type": "line"}, "a shape of type 'line'; expected polygon, rectangle or circle"),
        ({"label": None}, "a shape has no label"),
        ({"group_id": {}}, "a group_id that is no number"),
    ],
)
def test_what_is_wrong_with_a_shape_of_labelme_is_told(change, message, tmp_path):
    folder = photos(tmp_path, "a")
    path = write(folder / "a.json", {"shapes": [{**SHAPE, **change}]})
    with pytest.raises(ValueError, match=message) as error:
        sources.from_labelme(folder, folder).scenes[0].draw(HEIGHT, WIDTH)
    assert str(path) in str(error.value)


def test_a_box_is_no_outline_and_a_missing_photo_is_told(tmp_path):
    folder = photos(tmp_path, "a")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(ValueError, match=r"a\.txt, line 1 is a box; this project needs outlines"):
        prepare(sources.from_yolo(folder, tmp_path / "labels", ["cat"]), tmp_path / "out", 8)
    (tmp_path / "labels/b.txt").write_text("")
    with pytest.raises(FileNotFoundError, match=r"b\.png is missing"):
        sources.from_yolo(folder, tmp_path / "labels", ["cat"])


# ---- The folder


@pytest.mark.parametrize(("how", "expected"), [("crop", [[3, 5]]), ("stretch", [[2, 6]])])
def test_a_wide_photo_is_cut_or_stretched(how, expected):
    assert fit(np.array([[0, 1, 2, 3, 4, 5, 6, 7]] * 2), (1, 2), how, resize_map).tolist() == expected


def test_from_photos_to_a_data_set_from_the_shell(tmp_path, capsys):
    """Photos of another shape and size, with maps that tell whether picture and map were cut alike."""
    folder, labels = tmp_path / "photos", tmp_path / "labels"
    folder.mkdir()
    labels.mkdir()
    random = np.random.default_rng(0)
    for k in range(6):
        ids = random.integers(0, 3, [3, 4]).repeat(40, 0).repeat(40, 1).astype(np.uint8)
        Image.fromarray((80 * ids)[..., None].repeat(3, -1)).save(folder / f"{k}.png")
        Image.fromarray(ids).save(labels / f"{k}.png")
    line = f"prepare --from maps --photos {folder} --annotations {labels} --classes a,b,c --size 32 --val 0.4 --seed 1"
    main(f"{line} --out {tmp_path}/out".split())
    assert "4 train + 2 val, 3 classes" in capsys.readouterr().out
    seen = set()
    for split in ("train", "val"):
        data = FolderDataset(tmp_path / "out", split)
        data.check()
        for item in data:
            seen.add(item["name"])
            assert item["image"].shape == (3, 32, 32)
            colors = (item["image"][0] + 1) * 127.5
            assert np.mean(np.abs(colors - 80 * item["label"]) < 30) > 0.8  # all but the borders
    assert seen == set("012345")
    main(f"{line} --out {tmp_path}/again".split())
    assert FolderDataset(tmp_path / "again", "val").names() == FolderDataset(tmp_path / "out", "val").names()
    with pytest.raises(SystemExit, match="holds a data set already"):
        main(f"{line} --out {tmp_path}/out".split())
    main(
        f"train --data {tmp_path}/out --size 32 --steps 1 --batch_size 2 --base_channels 2 --out {tmp_path}/run".split()
    )
    main(f"report --data {tmp_path}/out --size 32 --out {tmp_path}/report".split())


def test_the_command_line_offers_all_sources():
    assert tuple(sources.SOURCES) == OFFERED
    with pytest.raises(SystemExit, match="--classes is not for --from coco"):
        main("prepare --from coco --photos x --annotations y --classes a".split())
    assert il.SETS is not sources.SOURCES


def test_slivers_are_told_and_join_the_neighbor_with_the_longest_border(tmp_path, capsys):
    """A cat whose outline was drawn wider than its class: a rim of grass has the cat's id."""
    label = np.zeros([24, 24], np.uint8)
    label[8:16, 8:16] = 1
    instance = np.zeros([24, 24], np.uint8)
    instance[7:17, 7:17] = 5
    for kind, array in (("photos", np.zeros([24, 24, 3], np.uint8)), ("labels", label), ("instances", instance)):
        (tmp_path / kind).mkdir()
        for k in range(2):
            Image.fromarray(array).save(tmp_path / kind / f"{k}.png")
    line = f"prepare --from maps --photos {tmp_path}/photos --annotations {tmp_path}/labels --size 24 --val 0.5 "
    line += f"--instances {tmp_path}/instances --classes grass,cat"
    main(f"{line} --out {tmp_path}/with".split())
    main(f"{line} --out {tmp_path}/without --merge-slivers".split())
    main(f"report --data {tmp_path}/with --size 24 --out {tmp_path}/report".split())
    assert "train: 1 of these instances are slivers" in capsys.readouterr().out
    main(f"report --data {tmp_path}/without --size 24 --out {tmp_path}/report".split())
    assert "are slivers" not in capsys.readouterr().out
    item = FolderDataset(tmp_path / "without", "train")[0]
    # The rim's 36 pixels lie along the grass with 40 sides, along the cat with 32.
    assert item["label"].sum() == 64 and len(np.unique(item["instance"])) == 2


def test_after_merging_no_sliver_is_left_at_the_size_of_the_pictures(tmp_path):
    random = np.random.default_rng(0)
    coarse = random.integers(0, 4, [10, 10]).repeat(9, 0).repeat(9, 1).astype(np.uint8)
    for kind, array in (("photos", coarse[..., None].repeat(3, -1)), ("labels", coarse)):
        (tmp_path / kind).mkdir()
        Image.fromarray(array).save(tmp_path / kind / "a.png")
    source = sources.from_maps(tmp_path / "photos", tmp_path / "labels")
    prepare(source, tmp_path / "out", 20, val=0, merge=True)
    item = FolderDataset(tmp_path / "out", "train")[0]
    assert len(slivers(item["instance"])) == 0 and item["instance"].max() + 1 == len(np.unique(item["instance"]))


def test_wide_photos_keep_their_shape_and_squares_are_cut_out(tmp_path, capsys):
    """A picture that tells its columns: stretched ones would have other steps between them."""
    wide = np.arange(96, dtype=np.uint8)[None].repeat(32, 0)
    for split in ("train", "val"):
        for kind, pixels in {
            "images": wide,
            "labels": wide // 48,
            "instances": wide // 24,
            "sketches": 255 - wide,
        }.items():
            for name in "abc":
                path = tmp_path / "set" / split / kind / f"{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    write(tmp_path / "set/dataset.json", {"class_names": ["left", "right"]})
    item = FolderDataset(tmp_path / "set", "train", 32, fit="short")[0]
    assert item["image"].shape == (3, 32, 96) and item["label"].shape == item["sketch"].shape == (32, 96)
    middle = FolderDataset(tmp_path / "set", "train", 32, fit="crop")[0]
    np.testing.assert_array_equal(middle["image"], item["image"][:, :, 32:64])
    np.testing.assert_array_equal(middle["label"], item["label"][:, 32:64])
    np.testing.assert_array_equal(middle["sketch"], item["sketch"][:, 32:64])
    with pytest.raises(ValueError, match="fit='long'.*stretch, crop, short"):
        FolderDataset(tmp_path / "set", "train", 32, fit="long")

    small = "--base_channels 2 --encoder_channels 2 --discriminator_channels 2 --num_upsamplings 3 --batch_size 2"
    line = f"train --data {tmp_path}/set --size 32 --fit short {small}"
    with pytest.raises(SystemExit, match="give --crop"):
        main(f"{line} --out {tmp_path}/run".split())
    cropped = f"{line} --crop 32"
    main(f"{cropped} --steps 2 --out {tmp_path}/whole".split())
    main(f"{cropped} --steps 1 --out {tmp_path}/run".split())
    main(f"train --resume --steps 1 --out {tmp_path}/run".split())
    whole, parts = (il.load_pretrained(tmp_path / name / "model.safetensors") for name in ("whole", "run"))
    np.testing.assert_array_equal(whole.generator.fc.weight.numpy(), parts.generator.fc.weight.numpy())
    assert parts.config["fit"] == "short"
    main(f"reconstruct --model {tmp_path}/run/model.safetensors --out {tmp_path}/rebuilt".split())
    assert Image.open(tmp_path / "rebuilt/a.png").size == (32, 32)
