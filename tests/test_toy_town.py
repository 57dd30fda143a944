"""ToyTown against its own statement: what `LOOKS` says is what is drawn, and nothing else varies."""

import colorsys
import hashlib
import subprocess
import sys

import numpy as np
import pytest

from inade_lite.data import toy_town
from inade_lite.data.toy_town import LOOKS, PATTERN_STRENGTH, THINGS, ToyTown, hsv_to_rgb
from inade_lite.maps import compact_instances

TOWN = ToyTown("train", 64)


def digest(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()[:16]


def pixels(item):
    """The image as it was drawn, 0..255 float [H, W, 3]."""
    return np.rint((item["image"].transpose(1, 2, 0).astype(float) + 1) * 127.5)


def instances(item):
    """(id, class name, mask) of every instance."""
    for k in range(item["instance"].max() + 1):
        mask = item["instance"] == k
        yield k, TOWN.class_names[item["label"][mask][0]], mask


# ---- Items


@pytest.mark.parametrize("size", [16, 64, (48, 96), (96, 48), 100])
def test_an_item_keeps_the_common_format(size):
    height, width = (size, size) if isinstance(size, int) else size
    town = ToyTown("val", size, length=5)
    for item in town:
        assert item["image"].shape == (3, height, width) and item["image"].dtype == np.float32
        assert item["label"].shape == item["instance"].shape == (height, width)
        assert item["label"].dtype == item["instance"].dtype == np.int64
        assert 0 <= item["label"].min() and item["label"].max() < town.num_classes
        drawn = pixels(item).astype(np.uint8)
        assert np.array_equal(item["image"], drawn.transpose(2, 0, 1) / np.float32(127.5) - np.float32(1))


def test_the_description_of_the_classes():
    assert TOWN.num_classes == len(TOWN.class_names) == len(set(TOWN.class_names)) >= 10
    assert TOWN.class_colors.shape == (TOWN.num_classes, 3) and TOWN.class_colors.dtype == np.uint8
    assert len(np.unique(TOWN.class_colors, axis=0)) == TOWN.num_classes
    assert [TOWN.class_names[k] for k in TOWN.thing_classes] == list(THINGS)
    assert len(TOWN) == 4000 and len(ToyTown("val", 64)) == 256 and len(ToyTown("val", 64, length=7)) == 7


def test_instances_are_compact_of_one_class_and_in_the_order_of_compact_instances():
    for i in range(100):
        item = TOWN[i]
        for k in range(item["instance"].max() + 1):
            assert len(np.unique(item["label"][item["instance"] == k])) == 1
        assert np.array_equal(compact_instances(item["label"], item["instance"]), item["instance"])


def test_stuff_is_one_instance_and_things_are_several_and_large():
    things, pairs = [], dict.fromkeys(THINGS, 0)
    for i in range(200):
        names, areas = zip(*((name, mask.sum()) for _, name, mask in instances(TOWN[i])), strict=True)
        assert all(names.count(name) <= 1 for name in ("sky", "sun", "cloud", "grass", "road"))
        things.append(sum(name in THINGS for name in names))
        for name in THINGS:
            large = sum(n == name and area >= 20 for n, area in zip(names, areas, strict=True))
            pairs[name] += large * (large - 1) // 2
    assert 3 <= min(things) and max(things) <= 15
    assert min(pairs.values()) >= 40, pairs  # what a same-class correlation is computed from


def test_a_house_stands_under_its_roof():
    wall_under_roof = 0
    for i in range(50):
        item = TOWN[i]
        for _, name, mask in instances(item):
            if name == "roof":  # unless another object hides it
                row = np.flatnonzero(mask.any(1))[-1] + 1
                wall_under_roof += "house" in {TOWN.class_names[c] for c in item["label"][row][mask[row - 1]]}
    assert wall_under_roof > 50


# ---- Random streams


def test_the_same_arguments_give_the_same_scenes_on_every_machine():
    items = [ToyTown(*args)[i] for args in (("train", 64), ("val", (48, 96))) for i in (0, 1, 17)]
    assert digest(*(item[key] for item in items for key in ("label", "instance"))) == "d01b52d56ee905dd"
    assert digest(*(pixels(item).astype(np.uint8) for item in items)) == "2fb43c1abb96ba86"


def test_another_process_draws_the_same():
    code = (
        "from inade_lite.data.toy_town import ToyTown; import sys; x = ToyTown('train', 32)[5];"
        "sys.stdout.buffer.write(x['image'].tobytes() + x['label'].tobytes())"
    )
    drawn = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    item = ToyTown("train", 32)[5]
    assert drawn.endswith(item["image"].tobytes() + item["label"].tobytes())


def test_train_and_val_share_no_scene():
    scenes = [digest(ToyTown(split, 64)[i]["label"]) for split in ("train", "val") for i in range(256)]
    assert len(set(scenes)) == len(scenes)


def test_another_seed_is_another_town_and_the_length_changes_nothing():
    assert not np.array_equal(ToyTown("val", 64, seed=1)[0]["label"], ToyTown("val", 64)[0]["label"])
    assert np.array_equal(ToyTown("val", 64, length=3)[2]["image"], ToyTown("val", 64)[2]["image"])


def test_a_scene_is_the_same_street_at_every_resolution():
    small, large = ToyTown("val", 64), ToyTown("val", 256)
    for i in range(5):
        a, b = small[i], large[i]
        assert (a["label"] == b["label"][2::4, 2::4]).mean() > 0.95
        assert abs(pixels(a).mean((0, 1)) - pixels(b).mean((0, 1))).max() < 4


# ---- Looks


def test_redraw_keeps_the_maps_and_draws_every_instance_anew():
    for i in range(10):
        item, redrawn, again, other = TOWN[i], TOWN.redraw(i, 0), TOWN.redraw(i, 0), TOWN.redraw(i, 1)
        for key in ("label", "instance"):
            assert item[key].tobytes() == redrawn[key].tobytes() == other[key].tobytes()
        assert np.array_equal(redrawn["image"], again["image"])
        for a, b in ((item, redrawn), (item, other), (redrawn, other)):
            for _, name, mask in instances(item):
                assert not np.array_equal(pixels(a)[mask], pixels(b)[mask]) or mask.sum() < 4, name


@pytest.fixture(scope="module")
def redraws():
    """[(instances of a scene, its images in 80 redraws [80, H, W, 3])]."""
    return [
        (list(instances(TOWN[i])), np.stack([pixels(TOWN.redraw(i, seed)) for seed in range(80)])) for i in range(10)
    ]


@pytest.mark.parametrize("name", ["sky", "grass", "roof", "tree", "car", "balloon"])
def test_looks_follow_the_table(redraws, name):
    # Darkening scales RGB, which keeps hue and saturation; the median leaves out details, which cover less than half.
    rgb = [np.median(images[:, mask], axis=1) for found, images in redraws for _, n, mask in found if n == name]
    hsv = np.array([colorsys.rgb_to_hsv(*color) for color in np.concatenate(rgb) / 255]) * (360, 100, 100)
    look = LOOKS[name]
    dark = sum(map(abs, look.light)) + look.grain + PATTERN_STRENGTH * (look.patterns != "plain")
    ranges = (look.hue, look.saturation, (look.value[0] * (1 - dark / 100), look.value[1]))
    for k, ((low, high), drawn) in enumerate(zip(ranges, hsv.T, strict=True)):
        assert low - 4 <= drawn.min() and drawn.max() <= high + 4  # rounding to 1/255, channels' medians apart
        if k < 2:  # uniform: the deciles are where they should be
            deciles = (np.quantile(drawn, np.linspace(0.1, 0.9, 9)) - low) / (high - low)
            assert abs(deciles - np.linspace(0.1, 0.9, 9)).max() < 0.08


def test_instances_of_one_scene_have_independent_looks(redraws):
    """The same-class correlation of API.md is 0 here, and the looks of two classes have nothing in common either."""
    same, other = [], []
    for found, images in redraws:
        things = [(name, mask) for _, name, mask in found if name in THINGS and mask.sum() >= 20]
        means = np.array([images[:, mask].mean(1) for _, mask in things])  # [I, K, 3]
        means -= means.mean(1, keepdims=True)
        for b, (name_b, _) in enumerate(things):
            for a, (name_a, _) in enumerate(things[:b]):
                norm = np.sqrt((means[a] ** 2).sum() * (means[b] ** 2).sum())
                (same if name_a == name_b else other).append((means[a] * means[b]).sum() / norm)
    assert len(same) > 40 and len(other) > 200
    assert abs(np.mean(same)) < 0.05 and abs(np.mean(other)) < 0.02
    assert np.abs(same + other).max() < 0.5  # by chance alone, about ± 0.1


def test_two_looks_differ_more_than_the_pixels_of_one(redraws):
    between, within = [], []
    for found, images in redraws:
        for _, name, mask in found:
            if name in ("roof", "car", "balloon") and mask.sum() >= 20:
                between.append(images[:, mask].mean(1).var(0).mean())
                within.append(images[:, mask].var(1).mean())
    assert np.mean(between) > 4 * np.mean(within)


def test_hsv_to_rgb_is_the_standard_one(random):
    hsv = random.uniform((0, 0, 0), (720, 100, 100), (500, 3))
    expected = [colorsys.hsv_to_rgb(h / 360 % 1, s / 100, v / 100) for h, s, v in hsv]
    np.testing.assert_allclose(hsv_to_rgb(*hsv.T), 255 * np.array(expected), atol=1e-9)


# ---- Errors


@pytest.mark.parametrize(
    "arguments, words",
    [
        (dict(split="test", image_size=64), "'test'.*'train' and 'val'"),
        (dict(split="val", image_size=8), "8.*16 or more"),
        (dict(split="val", image_size=(64, 64, 3)), "expected an int or"),
        (dict(split="val", image_size=64.5), "64.5"),
        (dict(split="val", image_size=64, seed=-1), "seed is -1"),
        (dict(split="val", image_size=64, length=0), "length is 0"),
    ],
)
def test_impossible_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        ToyTown(**arguments)


def test_scenes_outside_the_split():
    for i in (-1, 4000):
        with pytest.raises(IndexError, match=f"scene {i}.*0 to 3999"):
            TOWN[i]
    with pytest.raises(ValueError, match="seed is -2"):
        TOWN.redraw(0, -2)


@pytest.mark.parametrize(("cells", "start"), [(32, 0), (10, 0), (10, 0.5), (12, 1)])
def test_bands_are_as_wide_as_told_and_begin_where_they_are_told(cells, start):
    part = toy_town.Part("house", [toy_town.Shape("box", 0.5, 0.73, 0.5, 0.6)])  # from 0.13 down to 0.73
    keys = (key for key in range(99) if toy_town.draw_looks([part], toy_town.Dice(key))[1][0] == 1)  # rows
    maps = toy_town.rasterize([part], 64, 64)
    image = toy_town.paint([part], *maps, toy_town.Dice(next(keys)), cells, start).astype(float)
    rows = np.flatnonzero(maps[0][:, 32] == 0)
    rows = rows[(rows > 9) & (rows < 46)]
    dark = np.floor(cells * ((rows + 0.5) / 64 - 0.13 - start * 0.6)).astype(int) % 2
    light = image[rows, 32].sum(-1)
    for before, after in zip(range(len(rows) - 1), range(1, len(rows)), strict=True):
        step = (light[after] - light[before]) / light[before]
        assert step == pytest.approx(0.13 * (dark[before] - dark[after]), abs=0.04)
