"""Streets as hands paint them: other outlines, the town's own looks."""

import numpy as np
import pytest

import inade_lite as il
from inade_lite.data import painted
from inade_lite.data.toy_town import CLASS_ID, LOOKS, Dice

TOWNS = {
    "wobbly": lambda split="val", size=64, **more: painted.WobblyTown(split, size, share=1, **more),
    "strokes": painted.StrokeTown,
}


@pytest.mark.parametrize("name", TOWNS)
def test_a_painted_street_is_an_item_like_any_other(name):
    town = TOWNS[name]("val", 64)
    for i in range(12):
        item = town[i]
        assert item["image"].dtype == "float32" and item["image"].shape == (3, 64, 64)
        assert np.array_equal(il.compact_instances(item["label"], item["instance"]), item["instance"])
        assert np.isin(item["label"], np.arange(town.num_classes)).all()
        again = town.redraw(i, 3)
        np.testing.assert_array_equal(again["instance"], item["instance"])
        assert (again["image"] != item["image"]).any()


@pytest.mark.parametrize("name", TOWNS)
def test_the_same_arguments_paint_the_same_and_no_split_shares_a_street(name):
    one, two, train = TOWNS[name]("val", 64), TOWNS[name]("val", 64), TOWNS[name]("train", 64)
    for i in range(4):
        np.testing.assert_array_equal(one[i]["image"], two[i]["image"])
        assert (one[i]["label"] != train[i]["label"]).any()


def test_a_share_of_the_streets_is_wobbly_and_the_others_are_toy_towns():
    town, some = il.ToyTown("val", 64, length=200), painted.WobblyTown("val", 64, length=200, share=0.25)
    same = 0
    for i in range(200):
        a, b = town[i], some[i]
        if (a["label"] == b["label"]).all() and (a["instance"] == b["instance"]).all():
            np.testing.assert_array_equal(a["image"], b["image"])
            same += 1
    assert 130 <= same <= 170  # 150 expected, 6 the deviation
    none = painted.WobblyTown("val", 64, share=0)
    np.testing.assert_array_equal(none[5]["image"], town[5]["image"])


def test_wobbly_streets_lack_things_and_have_them_in_other_sizes():
    town, wobbly = il.ToyTown("val", 64, length=150), TOWNS["wobbly"]("val", 64, length=150)
    sizes = {"town": [], "wobbly": []}
    roofs = {"town": 0, "wobbly": 0}
    for kind, data in (("town", town), ("wobbly", wobbly)):
        for i in range(150):
            item = data[i]
            roofs[kind] += len(np.unique(item["instance"][item["label"] == CLASS_ID["roof"]]))
            for k in np.unique(item["instance"][item["label"] == CLASS_ID["car"]]):
                sizes[kind].append((item["instance"] == k).sum())
    assert roofs["wobbly"] < 0.97 * roofs["town"]
    assert np.std(sizes["wobbly"]) > 1.3 * np.std(sizes["town"])


def test_a_wobble_only_moves_pixels_and_not_far():
    rows = np.tile(np.arange(64)[:, None], [1, 64])
    farthest = 0
    for key in range(5):
        (moved,) = painted._wobble([rows], Dice(key))
        farthest = max(farthest, np.abs(moved - rows).max())
    assert 2 <= farthest <= 64 * sum(painted.WOBBLE.values()) + 0.5


def test_waves_are_smooth_and_pass_through_their_grid():
    waves = painted._waves(Dice(0), 4, 64, 128)
    assert waves.shape == (64, 128) and np.abs(waves).max() <= 1
    assert np.abs(np.diff(waves, axis=0)).max() <= 2 * 4 / 64 + 1e-9
    assert np.abs(np.diff(waves, axis=1)).max() <= 2 * 4 / 128 + 1e-9


def test_every_class_that_is_brushed_occurs_and_ground_fills_the_sides():
    town = painted.StrokeTown("val", 64, length=64)
    seen = set()
    for i in range(64):
        label = town[i]["label"]
        seen |= {list(LOOKS)[k] for k in np.unique(label)}
        assert (label[-3:, [0, -1]] != CLASS_ID["sky"]).all()
    assert seen == {*painted.BRUSHED, "sky", "grass", "road", "cloud", "roof", "window", "wheel", "trunk"}


def test_a_stroke_fills_its_box_and_hardly_more():
    part = painted._brushed(Dice(0), "car", 0.2, 0.3, 0.6, 0.6, brush=0.1)
    left, top, right, bottom = part.box
    assert left == pytest.approx(0.2, abs=0.03) and right == pytest.approx(0.6, abs=0.03)
    assert top == pytest.approx(0.3, abs=0.06) and bottom == pytest.approx(0.6, abs=0.06)
