"""Folders of data: what is written is what is read, and whatever is wrong with a file is one clear error."""

import errno
import itertools
import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from PIL import Image
from PIL.ImageFile import ImageFile
from set_folders import save

from inade_lite.data import FolderDataset, batches, collate, summarize, write_folder
from inade_lite.data.images import read_image
from inade_lite.data.toy_town import ToyTown
from reliability.inputs import png_chunk

PACK = ROOT / "data/toy_town"
KEYS = ("image", "label", "instance")


def describe(root, **changes):
    path = Path(root) / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    root = tmp_path_factory.mktemp("town")
    write_folder(ToyTown("val", (16, 24), length=3), root, "val")
    return root


@pytest.fixture
def root(original, tmp_path):
    """A fresh copy of a folder with three scenes, to be damaged."""
    return Path(shutil.copytree(original, tmp_path / "town"))


# ---- Reading and writing


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_pack_is_toy_town_bit_for_bit(split):
    pack, town = FolderDataset(PACK, split), ToyTown(split, 64)
    assert len(pack) >= 32
    for stored, drawn in zip(pack, town, strict=False):
        assert stored["name"] == drawn["name"]
        for key in KEYS:
            assert stored[key].dtype == drawn[key].dtype and np.array_equal(stored[key], drawn[key])


def test_the_pack_describes_toy_town_and_is_small():
    pack = FolderDataset(PACK, "train")
    for key in ("class_names", "num_classes", "thing_classes"):
        assert getattr(pack, key) == getattr(ToyTown, key)
    assert np.array_equal(pack.class_colors, ToyTown.class_colors)
    assert sum(path.stat().st_size for path in PACK.rglob("*") if path.is_file()) <= 1_200_000


def test_some_items_of_a_data_set_that_was_read_are_written_again_alike(original, tmp_path):
    first = FolderDataset(original, "val")
    write_folder(first, tmp_path, "few", indices=[2, 0])
    second = FolderDataset(tmp_path, "few")
    assert [item["name"] for item in second] == ["val_00000", "val_00002"]
    assert all(np.array_equal(first[2][key], second[1][key]) for key in KEYS)


def test_jpeg_images_upper_case_suffixes_and_hidden_files(root):
    path = root / "val/images/val_00001.png"
    Image.open(path).save(path.with_suffix(".JPG"), "JPEG", quality=95)
    path.unlink()
    (root / "val/labels/.DS_Store").write_bytes(b"x")
    (root / "val/images/._val_00009.png").write_bytes(b"x")
    item, drawn = FolderDataset(root, "val")[1], ToyTown("val", (16, 24))[1]
    assert np.array_equal(item["label"], drawn["label"])
    assert 0 < abs(item["image"] - drawn["image"]).mean() < 0.15


def test_instance_ids_of_16_bits_that_collide_across_classes(root):
    stored = np.zeros((16, 24), np.uint16)
    label = np.zeros((16, 24), np.uint8)
    label[:, 12:] = 3
    stored[4:, :] = 24001  # one id over two classes: two instances
    save(root / "val/instances/val_00000.png", stored)
    save(root / "val/labels/val_00000.png", label)
    expected = np.zeros((16, 24), int)
    expected[4:, :12], expected[:4, 12:], expected[4:, 12:] = 1, 2, 3
    assert np.array_equal(FolderDataset(root, "val")[0]["instance"], expected)


def test_many_instances_are_written_with_16_bits(tmp_path):
    ids = np.arange(400).reshape(20, 20)
    item = {"image": np.zeros((3, 20, 20)), "label": 0 * ids, "instance": ids, "name": "many"}

    class Many(list):
        class_names, num_classes, class_colors, thing_classes = ["all"], 1, [[0, 0, 0]], [0]

    write_folder(Many([item]), tmp_path, "train")
    assert np.array_equal(FolderDataset(tmp_path, "train")[0]["instance"], ids)


def test_ignored_pixels_become_an_extra_last_class_of_one_instance(root):
    describe(root, ignore_index=255)
    label = np.zeros((16, 24), np.uint8)
    label[:3], label[8] = 255, 255
    save(root / "val/labels/val_00000.png", label)
    data = FolderDataset(root, "val")
    item, last = data[0], ToyTown.num_classes
    assert data.num_classes == len(data.class_names) == len(data.class_colors) == last + 1
    assert data.class_names[-1] == "unlabelled" and last not in data.thing_classes
    assert np.array_equal(item["label"] == last, label == 255)
    assert len(np.unique(item["instance"][label == 255])) == 1
    assert not set(item["instance"][label == 255]) & set(item["instance"][label != 255])
    describe(root, ignore_index=None)
    with pytest.raises(ValueError, match=r"class id 255 at row 0, column 0.*0 to 13 and ignore_index null"):
        FolderDataset(root, "val")[0]


def test_resizing_takes_pixels_of_maps_and_interpolates_images(original):
    large, small = FolderDataset(original, "val", image_size=(48, 72)), FolderDataset(original, "val", image_size=8)
    item = FolderDataset(original, "val")[0]
    assert large[0]["image"].shape == (3, 48, 72) and small[0]["image"].shape == (3, 8, 8)
    assert np.array_equal(large[0]["label"], item["label"].repeat(3, 0).repeat(3, 1))
    assert np.array_equal(large[0]["instance"], item["instance"].repeat(3, 0).repeat(3, 1))
    assert np.array_equal(small[0]["label"], item["label"][1::2, 1::3])  # the middle pixel of three
    assert small[0]["instance"].max() + 1 == len(np.unique(small[0]["instance"]))  # compact again
    reference = Image.open(original / "val/images/val_00000.png").resize((72, 48), Image.Resampling.BICUBIC)
    assert np.array_equal(
        np.rint(large[0]["image"] * 127.5 + 127.5).astype(int).transpose(1, 2, 0), np.asarray(reference)
    )


# ---- What is missing


def test_missing_folders_name_what_is_there(root, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.*make-data"):
        FolderDataset(tmp_path / "nowhere", "val")
    with pytest.raises(FileNotFoundError, match=r"no split 'test'.*\['val'\]"):
        FolderDataset(root, "test")
    (root / "dataset.json").unlink()
    with pytest.raises(FileNotFoundError, match="dataset.json is missing"):
        FolderDataset(root, "val")


def test_an_empty_folder(root):
    for kind in ("images", "labels", "instances"):
        shutil.rmtree(root / "val" / kind)
    with pytest.raises(FileNotFoundError, match="val holds no files images"):
        FolderDataset(root, "val")


def test_all_missing_files_are_told_at_once(root):
    for name in ("images/val_00000.png", "labels/val_00001.png", "instances/val_00001.png", "instances/val_00002.png"):
        (root / "val" / name).unlink()
    Image.new("L", (24, 16)).save(root / "val/labels/lonely.png")
    with pytest.raises(FileNotFoundError) as error:
        FolderDataset(root, "val")
    told = sorted(line.strip() for line in str(error.value).splitlines() if "is missing" in line)
    missing = ["images/lonely", "images/val_00000", "instances/lonely"]
    missing += ["instances/val_00001", "instances/val_00002", "labels/val_00001"]
    assert told == [f"{root / 'val' / name}.png is missing" for name in missing]


def test_two_images_of_one_stem(root):
    Image.new("RGB", (24, 16)).save(root / "val/images/val_00000.jpg")
    with pytest.raises(FileNotFoundError, match=r"val_00000.png has the stem of val_00000.jpg: remove one"):
        FolderDataset(root, "val")


def test_a_file_that_goes_away_while_training(root):
    data = FolderDataset(root, "val")
    (root / "val/labels/val_00002.png").unlink()
    with pytest.raises(FileNotFoundError, match="val_00002.png"):
        data[2]


# ---- What is damaged

GRAY, RGB = np.zeros((16, 24), np.uint8), np.zeros((16, 24, 3), np.uint8)
DAMAGE = {
    "RGB label": ("labels", lambda p: save(p, RGB), r"mode 'RGB', expected L or P; a map holds ids, not colors"),
    "16-bit label": ("labels", lambda p: save(p, GRAY.astype(np.uint16)), r"mode 'I.*', expected L or P; .*uint8"),
    "RGB instances": ("instances", lambda p: save(p, RGB), r"mode 'RGB', expected L or P or I;16"),
    "truncated image": ("images", lambda p: p.write_bytes(p.read_bytes()[:200]), r"cannot be decoded.*damaged"),
    "truncated label": ("labels", lambda p: p.write_bytes(p.read_bytes()[:60]), r"cannot be decoded.*damaged"),
    "empty file": ("labels", lambda p: p.write_bytes(b""), r"cannot be decoded.*damaged"),
    "text": ("instances", lambda p: p.write_text("no image"), r"cannot be decoded.*damaged"),
    "smaller label": ("labels", lambda p: save(p, GRAY[:, :8]), r"is 8×16 \(width × height\), its image 24×16"),
    "larger instances": ("instances", lambda p: save(p, GRAY.repeat(2, 0)), r"is 24×32 .*, its image 24×16"),
    "class id": ("labels", lambda p: save(p, GRAY + np.uint8(14)), r"class id 14 at row 0, column 0.*0 to 13"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("size", [None, 32])
def test_damaged_files_are_named(root, damage, size):
    kind, harm, words = DAMAGE[damage]
    path = root / "val" / kind / "val_00001.png"
    harm(path)
    data = FolderDataset(root, "val", size)
    assert data[0]["name"] == "val_00000"
    with pytest.raises(ValueError, match=words) as error:
        data[1]
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_check_tells_all_damage_at_once(root):
    FolderDataset(root, "val").check()
    (root / "val/images/val_00000.png").write_bytes(b"")
    save(root / "val/labels/val_00002.png", RGB)
    with pytest.raises(ValueError, match="2 of 3 items") as error:
        FolderDataset(root, "val").check()
    lines = str(error.value).splitlines()
    assert len(lines) == 3 and "images/val_00000.png" in lines[1] and "labels/val_00002.png" in lines[2]


@pytest.mark.parametrize(
    "key, value",
    [
        ("class_names", []),
        ("class_names", "sky"),
        ("class_names", ["sky", "sky"]),
        ("class_names", [1, 2]),
        ("class_colors", [[0, 0, 0]]),
        ("class_colors", [[0, 0, 256]] * 14),
        ("class_colors", ["#ff0000"] * 14),
        ("thing_classes", [14]),
        ("thing_classes", ["car"]),
        ("thing_classes", None),
        ("ignore_index", 3),
        ("ignore_index", 256),
        ("ignore_index", "255"),
    ],
)
def test_a_wrong_key_of_dataset_json(root, key, value):
    describe(root, **{key: value})
    with pytest.raises(ValueError, match=f"dataset.json: '{key}' is .*; expected ") as error:
        FolderDataset(root, "val")
    assert json.dumps(value)[:100] in str(error.value)


def test_a_data_set_needs_the_names_of_its_classes(root):
    path = root / "dataset.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({key: value for key, value in told.items() if key != "class_names"}))
    with pytest.raises(ValueError, match="dataset.json: the key 'class_names' is missing"):
        FolderDataset(root, "val")


def test_the_rest_of_the_description_may_be_left_out(root):
    path = root / "dataset.json"
    names = json.loads(path.read_text())["class_names"]
    path.write_text(json.dumps({"class_names": names}))
    data = FolderDataset(root, "val")
    assert data.thing_classes == [] and data.ignore_index is None and data.num_classes == 14
    assert len({tuple(color) for color in data.class_colors.tolist()}) == 14


def test_without_instances_each_class_of_a_picture_is_one(root, original):
    shutil.rmtree(root / "val/instances")
    data = FolderDataset(root, "val")
    data.check()
    label, instance = data[0]["label"], data[0]["instance"]
    pairs = np.unique(np.stack([label.ravel(), instance.ravel()], 1), axis=0)
    assert len(pairs) == len(np.unique(label)) == instance.max() + 1


# ---- Photos as they are


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_its_camera_says(orientation, root):
    """All eight ways to hold a camera: the stored pixels differ, what is read is the same."""
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:4, :6] = (200, 0, 0)
    upright[-4:, :6] = (0, 200, 0)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = root / "photo.png"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    assert np.array_equal(read_image(path), upright)


def test_photos_of_all_kinds_become_rgb(root):
    image = np.random.default_rng(0).integers(0, 255, (16, 24, 3), dtype=np.uint8)
    path = root / "photo.webp"
    Image.fromarray(image).save(path, lossless=True)
    assert np.array_equal(read_image(path), image)
    Image.fromarray(image[..., 0]).save(path.with_suffix(".png"))
    assert np.array_equal(read_image(path.with_suffix(".png")), image[..., :1].repeat(3, -1))
    alpha = np.full((16, 24, 1), 255, np.uint8)
    alpha[:8] = 0
    Image.fromarray(np.concatenate([image, alpha], -1)).save(path.with_suffix(".png"))
    found = read_image(path.with_suffix(".png"))
    assert (found[:8] == 255).all() and np.array_equal(found[8:], image[8:])


def test_a_palettes_indices_are_ids_and_webp_is_a_photo(root):
    data = FolderDataset(root, "val")
    before = data[1]
    label = Image.open(root / "val/labels/val_00001.png")
    colored = Image.fromarray(np.asarray(label), "P")
    colored.putpalette(np.random.default_rng(0).integers(0, 255, 768, dtype=np.uint8).tolist())
    colored.save(root / "val/labels/val_00001.png")
    photo = root / "val/images/val_00001.png"
    Image.open(photo).save(photo.with_suffix(".webp"), lossless=True)
    photo.unlink()
    after = FolderDataset(root, "val")[1]
    for key in ("image", "label", "instance"):
        assert np.array_equal(before[key], after[key])


@pytest.mark.parametrize(
    "text, words", [("{", "not valid JSON.*line 1"), ("[]", "holds a list"), ("\xff", "not valid")]
)
def test_dataset_json_of_another_format(root, text, words):
    (root / "dataset.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=f"dataset.json.*{words}"):
        FolderDataset(root, "val")


@pytest.mark.parametrize("size", [0, (64,), 1.5, (8, 8, 3)])
def test_impossible_sizes(root, size):
    with pytest.raises(ValueError, match="image_size is .*expected an int or"):
        FolderDataset(root, "val", size)


def test_items_outside_the_data_set(root):
    for i in (-1, 3):
        with pytest.raises(IndexError, match=f"item {i} of 3"):
            FolderDataset(root, "val")[i]


# ---- What cannot be written


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    written = itertools.count()

    def until_full(number):
        if next(written) >= 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", until_full)
    with pytest.raises(OSError, match=r"No space left on device.*labels.val_00001\.png") as error:
        write_folder(ToyTown("val", 16, length=3), tmp_path, "val")
    assert error.value.errno == errno.ENOSPC
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 5 and all(path.suffix in (".png", ".json") for path in files)
    for path in tmp_path.rglob("*.png"):
        Image.open(path).load()


def test_nothing_is_mixed_with_what_is_there(root):
    with pytest.raises(ValueError, match="val has files already"):
        write_folder(ToyTown("val", 16, length=1), root, "val")
    describe(root, thing_classes=[])
    with pytest.raises(ValueError, match="describes other classes"):
        write_folder(ToyTown("train", 16, length=1), root, "train")


# ---- Batches


def test_collate_stacks():
    items = [ToyTown("val", (16, 32))[i] for i in range(3)]
    batch = collate(items)
    assert batch["image"].shape == (3, 3, 16, 32) and batch["image"].dtype == np.float32
    assert batch["label"].shape == batch["instance"].shape == (3, 16, 32)
    assert batch["label"].dtype == batch["instance"].dtype == np.int64
    assert batch["name"] == [item["name"] for item in items]
    assert all(np.array_equal(batch[key][1], items[1][key]) for key in KEYS)
    with pytest.raises(ValueError, match=r"\(16, 16\), \(16, 32\).*image_size"):
        collate([items[0], ToyTown("val", 16)[0]])


def names(iterator, steps):
    return [batch["name"] for batch in itertools.islice(iterator, steps)]


def test_batches_show_every_item_once_an_epoch_in_other_orders():
    town = ToyTown("train", 16, length=7)
    shown = sum(names(batches(town, 3, seed=0), 14), [])
    epochs = [shown[k : k + 7] for k in range(0, 42, 7)]
    assert all(len(set(epoch)) == 7 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_batches_are_reproducible_and_resume_at_any_step():
    town = ToyTown("train", 16, length=7)
    run = names(batches(town, 3, seed=4), 12)
    assert names(batches(town, 3, seed=4), 12) == run != names(batches(town, 3, seed=5), 12)
    for step in (1, 6, 7, 11):
        assert names(batches(town, 3, seed=4, start_step=step), 12 - step) == run[step:]


def test_a_batch_may_be_larger_than_the_data_set():
    [shown] = names(batches(ToyTown("val", 16, length=2), 4, seed=0), 1)
    assert sorted(shown) == ["val_00000", "val_00000", "val_00001", "val_00001"]


def test_no_batches_of_nothing():
    with pytest.raises(ValueError, match="batch_size is 0"):
        next(batches(ToyTown("val", 16, length=2), 0, seed=0))


def mirrored(item, rng):
    return {**item, "image": item["image"][..., ::-1], "name": f"{item['name']} {rng.integers(1000)}"}


def test_items_are_augmented_by_what_depends_on_seed_epoch_and_item():
    town = ToyTown("train", 16, length=5)
    run, other = (names(batches(town, 3, seed=seed, augment=mirrored), 10) for seed in (4, 5))
    assert names(batches(town, 3, seed=4, start_step=4, augment=mirrored), 6) == run[4:]
    run, other = sum(run, []), sum(other, [])
    assert len({name.split()[1] for name in run}) > 25  # of 30: another number for each item in each epoch
    assert len(set(run) & set(other)) < 3
    first = next(batches(town, 3, seed=4, augment=mirrored))
    assert np.array_equal(first["image"][..., ::-1], next(batches(town, 3, seed=4))["image"])


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_read_ahead_and_change_nothing(workers):
    class Counted(ToyTown):
        read = 0

        def __getitem__(self, i):
            self.read += 1
            return super().__getitem__(i)

    town = Counted("train", 16, length=7)
    source = batches(town, 3, seed=4, augment=mirrored, workers=workers)
    assert names(source, 12) == names(batches(ToyTown("train", 16, length=7), 3, seed=4, augment=mirrored), 12)
    source.close()
    assert 12 * 3 < town.read <= (12 + 3) * 3  # ahead, but not without bounds


def test_an_error_of_a_worker_reaches_the_reader(root):
    data = FolderDataset(root, "val")
    (root / "val/images/val_00001.png").write_bytes(b"")
    with pytest.raises(ValueError, match="val_00001.png cannot be decoded"):
        next(batches(data, 3, seed=0, workers=2))


# ---- What is in a data set


def test_a_summary_by_hand():
    class Two(list):
        num_classes = 4

    label = np.array([[0, 0, 2], [0, 2, 2]])
    first = {"label": label, "instance": np.array([[0, 0, 1], [0, 2, 2]])}
    second = {"label": np.full((3, 5), 3), "instance": np.zeros((3, 5), int)}
    summary = summarize(Two([first, second]))
    assert summary.sizes == {(2, 3): 1, (3, 5): 1}
    assert summary.pixels.tolist() == [3, 0, 3, 15]
    assert summary.items.tolist() == [1, 0, 1, 1]
    assert summary.instances.tolist() == [1, 0, 2, 1]
    assert str(summary) == "2 pictures of 2×3 to 3×5 (height × width), 3 of 4 classes, 4 instances"


# ---- Large files and what is no file


def black_png(side, channels):
    """A black PNG of so many pixels that its array would fill the memory of a small machine."""
    row = bytes(1 + side * channels)
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">2I5B", side, side, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", packed), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def large_folder(root, side, count):
    """A data set of so many black pictures."""
    description = {"class_names": ["a"], "class_colors": [[0, 0, 0]], "thing_classes": [], "ignore_index": None}
    root.mkdir()
    (root / "dataset.json").write_text(json.dumps(description))
    for kind, channels in (("images", 3), ("labels", 1), ("instances", 1)):
        (root / "train" / kind).mkdir(parents=True)
        content = black_png(side, channels)
        for k in range(count):
            (root / "train" / kind / f"{k}.png").write_bytes(content)
    return root


@pytest.mark.parametrize("side", [8200, 9000, 13000, 20000])
def test_pictures_of_too_many_pixels_are_told_in_the_list_and_not_decoded(side, tmp_path, monkeypatch):
    small = large_folder(tmp_path / "large", 16, 1)
    header = bytearray(black_png(16, 3))
    header[16:24] = struct.pack(">2I", side, side)
    header[29:33] = struct.pack(">I", zlib.crc32(header[12:29]))
    (small / "train/images/0.png").write_bytes(header)
    load = ImageFile.load
    monkeypatch.setattr(ImageFile, "load", lambda image: load(image) if image.width == 16 else pytest.fail("decoded"))
    with pytest.raises(ValueError, match=r"1 of 1 items in(.|\n)*0\.png has too many pixels, 67 million are the most"):
        FolderDataset(small, "train").check()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("kind", ["images", "labels", "instances"])
def test_a_pipe_is_told_and_not_waited_for(kind, root):
    os.mkfifo(root / f"val/{kind}/pipe.png")
    with pytest.raises(FileNotFoundError, match=r"pipe\.png is no file: remove it"):
        FolderDataset(root, "val")


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process, as Linux tells it")
def test_three_large_pictures_are_checked_one_after_the_other(tmp_path):
    """All at once, as small ones are, with ids as int64, they took 1.9 GB."""
    root = large_folder(tmp_path / "large", 5000, 3)
    code = """
import resource, sys
from inade_lite.data import FolderDataset
dataset = FolderDataset(sys.argv[1], "train")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
dataset.check()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code, root], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 700
