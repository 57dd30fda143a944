"""Looks that are borrowed: what takes them, what lends them, and that the rest stays as it is."""

import numpy as np
import paddle
import pytest
from helpers import TINY
from PIL import Image

import inade_lite as il
from inade_lite.__main__ import main
from inade_lite.looks import borrow, instances_of_classes, looks, transfer
from inade_lite.weights.pretrained import Pretrained

TOWN = il.ToyTown("val", 64)


def scene(i):
    batch = il.collate([TOWN[i]])
    return paddle.to_tensor(batch["image"]), il.Layout.of(batch, TOWN)


def fresh(method):
    """An untrained model of a method."""
    config = il.TrainConfig(**{**TINY, "method": method})
    trainer = il.Trainer(config, il.ToyTown("train", 32, length=2))
    trainer.ema.eval()
    if trainer.encoder is not None:
        trainer.encoder.eval()
    return Pretrained(trainer.ema, trainer.encoder, TOWN.class_names, {})


def test_what_is_borrowed_is_the_row_of_the_lender_and_nothing_else():
    model = il.load_pretrained("inade")
    params, other = looks(model, *scene(0)), looks(model, *scene(1))
    taken = borrow(params, 2, other, 5)
    for mine, theirs, now in zip(params, other, taken, strict=True):
        assert (now[:, 2] == theirs[:, 5]).all()
        kept = [i for i in range(mine.shape[1]) if i != 2]
        assert (now.numpy()[:, kept] == mine.numpy()[:, kept]).all()


@pytest.mark.parametrize("wrong", [-1, 99, 1.5])
def test_an_instance_that_is_not_there_is_told(wrong):
    params = looks(il.load_pretrained("inade"), *scene(0))
    with pytest.raises(ValueError, match="instance="):
        borrow(params, wrong, params, 0)
    with pytest.raises(ValueError, match="source_instance="):
        borrow(params, 0, params, wrong)


def test_a_picture_lends_itself_its_own_looks():
    """From a picture to the same maps: what the encoder rebuilds, whatever is drawn."""
    model = il.load_pretrained("inade")
    image, layout = scene(3)
    latent = il.metrics.start(model.generator, layout, 7)[1]
    noise, own_latent = transfer(model, image, layout, layout, seed=7)
    assert np.array_equal(
        model.generator(layout, noise, own_latent).numpy(), il.metrics.rebuild(model, image, layout, latent).numpy()
    )


def test_the_largest_take_from_the_largest_of_their_class_and_missing_classes_are_drawn():
    label = np.array([[0, 0, 0, 1, 1, 2]])
    mine = il.Layout(label[None], np.array([[[0, 0, 1, 2, 3, 4]]]), 4)  # class 0: 0 (2 pixels), 1; class 1: 2, 3
    theirs = il.Layout(np.array([[[0, 1, 1, 1, 3, 3]]]), np.array([[[0, 1, 2, 2, 3, 3]]]), 4)  # class 1: 2, then 1
    rows = paddle.arange(1, 5, dtype="float32").reshape([1, 4, 1])
    surely = paddle.full([1, 4, 1], -np.inf)

    class Lender:
        encoder = staticmethod(lambda image, layout: il.NoiseParams(rows, surely, rows, surely))
        generator = il.Generator(4, (2, 4), noise_dim=1, latent_dim=2, base_channels=2, num_upsamplings=0)

    noise, _ = transfer(Lender, None, theirs, mine, seed=0)
    drawn = il.metrics.start(Lender.generator, mine, 0)[0]
    assert noise[0, :4, 0, 0].tolist() == [1, 1, 3, 2]  # id 0 twice, for it has but one; ids 2 and 1 of class 1
    assert noise[0, 4].tolist() == drawn[0, 4].tolist()  # class 2 lends nothing


def test_instances_by_size():
    layout = il.Layout(np.array([[[0, 0, 0, 1]]]), np.array([[[4, 2, 2, 0]]]), 2)
    assert instances_of_classes(layout) == {0: [2, 4], 1: [0]}


@pytest.mark.parametrize("method", ["class_noise", "spade_vae", "inade_positions"])
def test_models_of_every_level_take_the_looks_of_a_picture(method):
    model = fresh(method)
    town = il.ToyTown("val", 32)
    one, other = (il.collate([town[i]]) for i in (0, 1))
    source, layout = il.Layout.of(one, town), il.Layout.of(other, town)
    a = transfer(model, paddle.to_tensor(one["image"]), source, layout, seed=0)
    pictures = [model.generator(layout, *a), model.generator(layout, *il.metrics.start(model.generator, layout, 0))]
    assert not np.array_equal(pictures[0].numpy(), pictures[1].numpy())


def test_a_model_without_an_encoder_says_so():
    with pytest.raises(ValueError, match="has no encoder"):
        looks(fresh("spade"), *scene(0))


# ---- From the shell


def run(line):
    main([str(word) for word in line.split()])


def picture(path):
    return np.asarray(Image.open(path)).astype(int)


def test_one_instance_is_drawn_again_and_the_rest_stays(tmp_path, capsys):
    run(f"edit --item 5 --instance 3 --out {tmp_path}/out")
    assert "real, before, after" in capsys.readouterr().out
    before, after = (picture(tmp_path / f"out/val_00005_{name}.png") for name in ("before", "after"))
    change = np.abs(before - after).sum(-1)
    inside = TOWN[5]["instance"] == 3
    assert change[inside].mean() > 10 * change[~inside].mean()


def test_a_look_is_borrowed_from_another_picture(tmp_path):
    house = TOWN.class_names.index("house")

    def color(item, image):  # of the largest house, 0..255
        ids, pixels = np.unique(item["instance"][item["label"] == house], return_counts=True)
        return image[item["instance"] == ids[pixels.argmax()]].mean(0) if len(ids) else np.full(3, np.nan)

    def real(i):
        return color(TOWN[i], (TOWN[i]["image"].transpose(1, 2, 0) + 1) * 127.5)

    lender = max(range(20), key=lambda i: np.nan_to_num(np.abs(real(i) - real(5)).mean()))
    run(f"edit --item 5 --class house --like {lender} --out {tmp_path}/out")
    run(f"reconstruct --items {lender} --out {tmp_path}/lender")
    lent = color(TOWN[lender], picture(tmp_path / f"lender/val_{lender:05d}.png"))
    before, after = (color(TOWN[5], picture(tmp_path / f"out/val_00005_{name}.png")) for name in ("before", "after"))
    assert np.abs(after - lent).mean() < 0.5 * np.abs(before - lent).mean()


def test_without_a_name_the_instances_are_listed(capsys, tmp_path):
    run(f"edit --item 5 --out {tmp_path}/none.png")
    lines = capsys.readouterr().out.splitlines()
    assert "name one of these with --instance" in lines[0]
    assert len(lines) == 1 + len(np.unique(TOWN[5]["instance"])) and " pixels around row " in lines[1]
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "edit --item 9999 --instance 1",
            "no item '9999'; expected a number from 0 to 255, or a name such as val_",
        ),
        ("edit --item nobody --instance 1", "no item 'nobody'"),
        ("edit --instance 999", "--instance 999: val_00000 has the instances 0 to"),
        ("edit --class zebra", "--class zebra: expected one of sky, sun"),
        ("edit --model class_noise --instance 1 --like 3", "decides the look of more than an instance"),
        ("edit --instance 1 --like 3 --like-instance 99", "source_instance=99"),
        ("sample --items 3,nobody", "no item 'nobody'"),
        ("sample --scenes 0", "256 scenes do not fit into one figure, 32 do"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(line, message, tmp_path):
    with pytest.raises(SystemExit, match=message):
        run(f"{line} --out {tmp_path}/out.png")


def test_pictures_are_rebuilt_from_the_shell(tmp_path, capsys):
    run(f"reconstruct --items 3,val_00004 --out {tmp_path}/rebuilt")
    out = capsys.readouterr().out
    assert "2 pictures, rebuilt; mean |difference|" in out
    model = il.load_pretrained("inade")
    image, layout = scene(3)
    latent = il.metrics.start(model.generator, layout, 0)[1]
    expected = il.figures.to_image(il.metrics.rebuild(model, image, layout, latent))[0]
    assert np.array_equal(picture(tmp_path / "rebuilt/val_00003.png"), expected)
    assert sorted(path.name for path in (tmp_path / "rebuilt").iterdir()) == ["val_00003.png", "val_00004.png"]


def test_samples_as_single_pictures_of_any_item(tmp_path):
    run(f"sample --items 7,val_00002 --samples 2 --seed 5 --out {tmp_path}/pictures")
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == ["val_00002_1.png", "val_00002_2.png", "val_00007_1.png", "val_00007_2.png"]
    _, layout = scene(7)
    expected = il.figures.to_image(il.sample(il.load_pretrained("inade").generator, layout, 6))[0]
    assert np.array_equal(picture(tmp_path / "pictures/val_00007_2.png"), expected)


def test_a_map_that_does_not_fit_is_told(tmp_path):
    Image.fromarray(np.full([8, 8], 14, np.uint8)).save(tmp_path / "label.png")
    with pytest.raises(SystemExit, match=r"label\.png: label: ids \[14\] are outside 0\.\.13"):
        run(f"sample --label {tmp_path}/label.png --out {tmp_path}/out")
    Image.fromarray(np.zeros([8, 9], np.uint8)).save(tmp_path / "instance.png")
    with pytest.raises(SystemExit, match=r"instance\.png is 9×8 \(width × height\), its label map 8×8"):
        run(f"sample --label {tmp_path}/label.png --instance {tmp_path}/instance.png --out {tmp_path}/out")


def test_samples_of_a_map_that_belongs_to_no_data_set(tmp_path):
    item = TOWN[2]
    for key in ("label", "instance"):
        Image.fromarray(item[key].astype("uint8")).save(tmp_path / f"{key}.png")
    run(f"sample --label {tmp_path}/label.png --instance {tmp_path}/instance.png --samples 1 --out {tmp_path}/out")
    _, layout = scene(2)
    expected = il.figures.to_image(il.sample(il.load_pretrained("inade").generator, layout, 0))[0]
    assert np.array_equal(picture(tmp_path / "out/label_1.png"), expected)
    run(f"sample --label {tmp_path}/label.png --samples 1 --out {tmp_path}/classes")
    assert picture(tmp_path / "classes/label_1.png").shape == (64, 64, 3)
