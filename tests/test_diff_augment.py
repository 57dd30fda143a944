"""Differentiable augmentation: against loops and cases worked by hand; the trainer changes real and fake alike."""

import numpy as np
import paddle
import pytest
from helpers import TINY, assert_close, leaf, normal

import inade_lite as il
from inade_lite import training
from inade_lite.diff_augment import POLICIES, Changes, changed_pair, draw_changes, translate

TOWN = il.ToyTown("train", 32, length=4)


def test_translation_equals_a_loop(random):
    x = normal(random, 5, 2, 12, 20)
    down, right = np.array([0, 1, -1, 1, 0]), np.array([0, 0, 2, -2, 1])
    shift = paddle.to_tensor(np.stack([down / 12, right / 20], 1).astype("float32"))
    expected = np.zeros(x.shape, "float32")
    for n in range(5):
        for i in range(12):
            for j in range(20):
                if 0 <= i - down[n] < 12 and 0 <= j - right[n] < 20:
                    expected[n, :, i, j] = x.numpy()[n, :, i - down[n], j - right[n]]
    np.testing.assert_array_equal(translate(x, shift).numpy(), expected)


@pytest.mark.parametrize("size", [(32, 32), (24, 40), (256, 256)])
def test_translation_is_whole_pixels_at_every_size(size, random):
    """Every value that arrives is one that was there: nothing is interpolated."""
    x = paddle.arange(1, size[0] * size[1] + 1, dtype="float32").reshape([1, 1, *size])
    for _ in range(8):
        moved = translate(x, draw_changes(1, "translation").shift).numpy()
        kept = moved[moved > 0]
        assert len(np.unique(kept)) == len(kept) >= 0.7 * x.size
        assert (kept == kept.round()).all()


def test_colors_equal_a_loop(random):
    image = normal(random, 3, 3, 4, 4)
    changes = draw_changes(3, "color")
    found = changed_pair(paddle.zeros([3, 1, 4, 4]), image, changes)
    for n in range(3):
        x = image.numpy()[n].astype(float) + changes.brightness[n].item()
        x = x.mean(0) + changes.saturation[n].item() * (x - x.mean(0))
        x = x.mean() + changes.contrast[n].item() * (x - x.mean())
        np.testing.assert_allclose(found[n, 1:].numpy(), x, atol=1e-5)
    assert not found[:, 0].any()


def test_what_moves_a_picture_moves_its_maps_in_the_same_way():
    one = TOWN[0]
    image = paddle.to_tensor(one["image"][None]).tile([6, 1, 1, 1])
    changes = draw_changes(6, "all")._replace(brightness=None)
    pair = changed_pair(image, image, changes)
    np.testing.assert_array_equal(pair[:, :3].numpy(), pair[:, 3:].numpy())
    assert (pair[:3] != pair[3:]).any()


def test_a_cut_out_has_half_the_size_and_stays_in_the_picture():
    ones = paddle.ones([4, 1, 8, 16])
    hole = paddle.to_tensor([[0.5, 0.5], [0.0, 0.0], [1.0, 1.0], [0.5, 0.0]])
    left = changed_pair(ones, ones, Changes(hole=hole)).numpy()
    zeros = (left[:, 0] == 0).sum((1, 2))
    assert zeros.tolist() == [4 * 8, 2 * 4, 2 * 4, 4 * 4]
    assert not left[0, :, 2:6, 4:12].any() and not left[1, :, :2, :4].any() and not left[2, :, 6:, 12:].any()


def test_gradients_pass_where_the_picture_is_seen(random):
    image = leaf(random, 3, 3, 16, 16)
    scene = paddle.zeros([3, 1, 16, 16])
    for policy in POLICIES:
        changes = draw_changes(3, policy)
        weights = normal(random, 3, 4, 16, 16)
        (gradient,) = paddle.grad((changed_pair(scene, image, changes) * weights).sum(), image)
        # Every change is affine in the picture: twice as far changes twice as much.
        step = normal(random, 3, 3, 16, 16)
        pairs = [changed_pair(scene, image.detach() + k * step, changes) for k in (0.0, 1.0)]
        assert_close(((pairs[1] - pairs[0]) * weights).sum(), (gradient * step).sum())


def test_each_policy_draws_what_it_names():
    drawn = {
        policy: {name for name, value in draw_changes(2, policy)._asdict().items() if value is not None}
        for policy in POLICIES
    }
    color = {"brightness", "saturation", "contrast"}
    assert drawn == {
        "none": set(),
        "color": color,
        "translation": {"shift"},
        "cutout": {"hole"},
        "geometry": {"shift", "hole"},
        "all": color | {"shift", "hole"},
    }
    changes = draw_changes(2000)
    for name, low, high in (
        ("brightness", -0.5, 0.5),
        ("saturation", 0, 2),
        ("contrast", 0.5, 1.5),
        ("shift", -1 / 8, 1 / 8),
    ):
        values = getattr(changes, name).numpy()
        assert low <= values.min() < low + 0.01 * (high - low) and high - 0.01 * (high - low) < values.max() <= high


def recorded(monkeypatch, policy):
    """What a step gives to `changed_pair`: [(scene, image, changes)]."""
    calls = []

    def pair(scene, image, changes):
        calls.append((scene, image, changes))
        return changed_pair(scene, image, changes)

    monkeypatch.setattr(training, "changed_pair", pair)
    trainer = il.Trainer(il.TrainConfig(**{**TINY, "batch_size": 4}, diff_augment=policy), TOWN)
    trainer.step(il.collate([TOWN[i] for i in range(4)]))
    return calls


def test_the_trainer_changes_real_and_fake_pictures(monkeypatch):
    fake, known, fake_again, real = recorded(monkeypatch, "all")
    # Features are compared of pairs that went through the same changes.
    for ours, theirs in zip(known[2], fake[2].first(2), strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    # The discriminator sees real and fake ones under other changes, and neither as in the generator's step.
    shifts = [call[2].shift.numpy() for call in (fake, fake_again, real)]
    assert not any((shifts[i] == shifts[k]).any() for i, k in ((0, 1), (1, 2), (0, 2)))
    assert (real[1].numpy() == np.stack([TOWN[i]["image"] for i in range(4)])).all()


def test_without_it_nothing_is_drawn(monkeypatch):
    assert all(value is None for _, _, changes in recorded(monkeypatch, "none") for value in changes)


def test_a_resumed_run_draws_the_same_changes(tmp_path):
    config = il.TrainConfig(**TINY, diff_augment="all")
    whole = il.Trainer(config, TOWN)
    whole.fit(3, progress=False)
    half = il.Trainer(config, TOWN)
    half.fit(2, tmp_path, progress=False)
    again = il.Trainer.resume(tmp_path, TOWN)
    again.fit(1, progress=False)
    for a, b in zip(whole.discriminator.parameters(), again.discriminator.parameters(), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
