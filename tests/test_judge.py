import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from helpers import assert_same_weights

import inade_lite as il
from inade_lite import __main__, judge
from inade_lite.weights.tensors import read_tensors, state_arrays, write_tensors

TOWN = il.ToyTown("train", 32, length=400)
VAL = il.collate([il.ToyTown("val", 64)[i] for i in range(32)])
L = TOWN.num_classes


def tiny(seed=0, steps=3):
    return judge.train_judge(TOWN, steps, batch_size=2, seed=seed, base_channels=2, progress=False)


def score(net, images, label=VAL["label"]):
    found = judge.confusion(judge.predict(net, images), label, L)
    return judge.pixel_accuracy(found), judge.mean_iou(found)


@pytest.fixture(scope="module")
def shipped():
    return judge.load_judge()


# ---- Counting


def test_a_case_worked_by_hand():
    label, predicted = np.array([[0, 0], [1, 1]]), np.array([[0, 1], [1, 1]])
    found = judge.confusion(predicted, label, 2)
    assert found.tolist() == [[1, 1], [0, 2]] and found.dtype == np.int64
    assert judge.pixel_accuracy(found) == 75
    assert judge.class_iou(found) == pytest.approx([100 / 2, 200 / 3])
    assert judge.mean_iou(found) == pytest.approx((100 / 2 + 200 / 3) / 2)


def test_a_class_that_no_map_asks_for_costs_where_it_is_seen_but_is_no_part_of_the_mean():
    found = judge.confusion([[0, 2], [1, 1]], [[0, 0], [1, 1]], 4)
    assert np.isnan(judge.class_iou(found)).tolist() == [False, False, True, True]
    assert judge.mean_iou(found) == (50 + 100) / 2
    never_seen = judge.confusion([[0, 0], [0, 0]], [[0, 0], [0, 1]], 2)
    assert judge.mean_iou(never_seen) == (75 + 0) / 2


def test_confusion_and_iou_equal_loops_and_sets_of_pixels(random):
    predicted, label = random.integers(0, 5, [2, 3, 8, 6])
    expected = np.zeros([5, 5], int)
    for asked, seen in zip(label.ravel(), predicted.ravel(), strict=True):
        expected[asked, seen] += 1
    found = judge.confusion(predicted, label, 5)
    assert (found == expected).all()
    assert (found == sum(judge.confusion(p, a, 5) for p, a in zip(predicted, label, strict=True))).all()
    assert judge.pixel_accuracy(found) == pytest.approx(100 * (predicted == label).mean())
    iou = [100 * ((predicted == c) & (label == c)).sum() / ((predicted == c) | (label == c)).sum() for c in range(5)]
    assert judge.class_iou(found) == pytest.approx(iou)
    assert judge.mean_iou(found.astype(float)) == pytest.approx(np.mean(iou))  # a bootstrap sums floats


def test_nothing_to_count_is_nan():
    assert np.isnan([judge.pixel_accuracy(np.zeros([3, 3])), judge.mean_iou(np.zeros([3, 3]))]).all()


def test_what_cannot_be_counted_is_an_error():
    with pytest.raises(ValueError, match=r"predicted has the shape \[1, 2\], label \[2, 2\]"):
        judge.confusion([[0, 0]], [[0, 0], [0, 0]], 2)
    with pytest.raises(ValueError, match="label holds the ids 0 to 255; expected 0 to 1"):
        judge.confusion([0, 0], [0, 255], 2)
    with pytest.raises(ValueError, match="predicted holds the ids -1 to 0"):
        judge.confusion([0, -1], [0, 1], 2)


# ---- Training


def test_blur_is_the_mean_of_the_window_with_the_border_repeated(random):
    image = random.normal(size=[3, 5, 4])
    found = judge.blur(image)
    for row, column in np.ndindex(5, 4):
        window = [image[:, min(max(row + i, 0), 4), min(max(column + j, 0), 3)] for i in (-1, 0, 1) for j in (-1, 0, 1)]
        assert found[:, row, column] == pytest.approx(np.mean(window, axis=0))


def test_a_softened_picture_keeps_to_its_labels_and_bounds():
    # Black and white halves: their classes can be told even after the strongest softening.
    label = np.zeros([8, 8], int)
    label[:, :3] = 1
    item = {"image": np.tile(2 * label - 1.0, [3, 1, 1]).astype("float32"), "label": label, "instance": label}
    mirrored, before = 0, item["image"].copy()
    for k in range(100):
        soft = judge.soften(item, np.random.default_rng(k))
        assert soft["image"].dtype == np.float32 and np.abs(soft["image"]).max() <= 1
        assert ((soft["image"].mean(0) > 0) == soft["label"]).all()
        seen = np.sort(soft["image"].mean((0, 1)))  # columns: four black, two at the edge, two white
        assert seen[3] < -1 + judge.GAIN + judge.SHIFT + 0.03 and seen[-2] > 1 - judge.GAIN - judge.SHIFT - 0.03
        mirrored += soft["label"][0, -1]
    assert 30 < mirrored < 70 and (item["image"] == before).all()
    again = [judge.soften(item, np.random.default_rng(7))["image"] for _ in range(2)]
    assert (again[0] == again[1]).all()


def test_a_trained_judge_beats_the_best_one_that_does_not_look():
    net = judge.train_judge(TOWN, 40, batch_size=4, learning_rate=3e-2, base_channels=6, progress=False)
    assert not net.training
    batch = il.collate([il.ToyTown("val", 32)[i] for i in range(16)])
    image, label = paddle.to_tensor(batch["image"]), paddle.to_tensor(batch["label"])
    loss = F.cross_entropy(net(image), label, axis=1).item()
    share = np.bincount(batch["label"].ravel(), minlength=L) / batch["label"].size
    blind = -sum(p * np.log(p) for p in share if p)
    assert loss < 0.7 * blind
    assert score(net, batch["image"], batch["label"])[0] > 100 * share.max() + 15


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    a, b, c = map(tiny, (0, 0, 1))
    assert_same_weights(a, b)
    assert any((x != y).any() for x, y in zip(a.parameters(), c.parameters(), strict=True))


# ---- The network


def test_the_network_keeps_the_sides_and_names_those_that_do_not_fit():
    net = judge.UNet(5, 2)
    assert tuple(net(paddle.zeros([2, 3, 16, 24])).shape) == (2, 5, 16, 24)
    with pytest.raises(ValueError, match="image 16x20: .* multiples of 8"):
        net(paddle.zeros([1, 3, 16, 20]))


def test_predictions_do_not_depend_on_the_batch_and_leave_the_mode_as_it_was():
    net, images = tiny(), VAL["image"][:5]
    together = judge.predict(net, images)
    assert together.shape == (5, 64, 64) and together.dtype == np.int64
    net.train()
    apart = np.concatenate([judge.predict(net, paddle.to_tensor(images[k : k + 1])) for k in range(5)])
    assert net.training and (apart == together).mean() > 0.999
    assert (judge.predict(net, images, batch_size=2) == together).mean() > 0.999


# ---- Files


def test_a_saved_judge_comes_back(tmp_path):
    net, path = tiny(), tmp_path / "judge.safetensors"
    judge.save_judge(path, net, steps=3)
    again = judge.load_judge(path)
    assert not again.training and read_tensors(path)[1] == {"num_classes": L, "base_channels": 2, "steps": 3}
    for name, value in state_arrays(net).items():
        np.testing.assert_allclose(state_arrays(again)[name], value, rtol=1e-3, atol=1e-6, err_msg=name)
    assert (judge.predict(again, VAL["image"][:2]) == judge.predict(net, VAL["image"][:2])).mean() > 0.98


def test_a_file_that_holds_no_judge_is_named(tmp_path):
    path = tmp_path / "other.safetensors"
    write_tensors(path, {"weight": np.zeros(3, "float16")}, {})
    with pytest.raises(ValueError, match="other.safetensors holds no judge"):
        judge.load_judge(path)
    with pytest.raises(FileNotFoundError, match="missing.safetensors"):
        judge.load_judge(tmp_path / "missing.safetensors")


def test_the_command_writes_what_it_prints(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(judge, "ToyTown", lambda split, size, length=8: il.ToyTown(split, 32, length=min(length, 8)))
    path = tmp_path / "judge.safetensors"
    __main__.main(["make-judge", "--out", str(path), "--steps", "2", "--seed", "5"])
    told = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    metadata = read_tensors(path)[1]
    assert metadata["ceiling"] == {"mean_iou": float(told["mIoU"]), "pixel_accuracy": float(told["pixel accuracy"])}
    assert set(TOWN.class_names) < set(told) and (metadata["steps"], metadata["seed"]) == (2, 5)


# ---- The shipped judge


def test_the_shipped_judge_meets_its_ceiling(shipped):
    ceiling = read_tensors(judge.JUDGE)[1]["ceiling"]
    assert judge.JUDGE.stat().st_size <= 1e6 and ceiling["pixel_accuracy"] >= 98
    accuracy, iou = score(shipped, VAL["image"])
    # The ceiling is that of all 256 scenes.
    assert accuracy == pytest.approx(ceiling["pixel_accuracy"], abs=0.5)
    assert iou == pytest.approx(ceiling["mean_iou"], abs=3)


def test_the_shipped_judge_forgives_a_mirror_and_a_little_softness_but_no_wrong_picture(shipped):
    image, label = VAL["image"][:8], VAL["label"][:8]
    accuracy, _ = score(shipped, image, label)
    assert score(shipped, image[..., ::-1].copy(), label[..., ::-1])[0] == pytest.approx(accuracy, abs=1)
    assert score(shipped, (image + judge.blur(image)) / 2, label)[0] > accuracy - 1
    assert score(shipped, np.roll(image, 1, axis=0), label)[0] < 75
