"""Sketches: drawn from pictures, read from files, seen by layers, trainer and shell; the authors' weights with them."""

import numpy as np
import paddle
import pytest
from helpers import TINY, array_of, normal
from PIL import Image

import inade_lite as il
from inade_lite.__main__ import main
from inade_lite.data.sketches import Sketched, draw_sketch, suited
from inade_lite.methods import METHODS
from inade_lite.weights import original
from inade_lite.weights.original import convert, original_names

TOWN = il.ToyTown("val", 32, length=6)


def painted(instance, spots):
    """An item of black things, with white spots."""
    image = -np.ones([3, *instance.shape], np.float32)
    for row, column in spots:
        image[:, row - 2 : row + 3, column - 2 : column + 3] = 1
    return {"image": image, "label": instance, "instance": instance, "name": "painted"}


def test_lines_are_drawn_inside_of_things_and_not_where_two_meet():
    instance = np.zeros([24, 48], int)
    instance[:, 24:] = 1
    item = painted(instance, [(12, 12), (12, 36)])
    item["image"][:, :, 24:] += 0.5 * (item["image"][:, :, 24:] < 0)  # the two things differ in color, too
    both = draw_sketch(item)
    assert set(np.unique(both)) == {0, 1} and both.dtype == np.float32
    assert not both[:, 23:25].any()
    # The outline of a square of 5 pixels, around it or inside of it.
    for half in (both[:, :24], both[:, 24:]):
        rows, columns = np.nonzero(half)
        assert 12 <= len(rows) <= 32
        assert abs(rows - 12).max() <= 3 and abs(columns - 12).max() <= 3
    one = draw_sketch(item, thing_classes=[1])
    assert not one[:, :24].any() and (one[:, 24:] == both[:, 24:]).all()


def test_a_folder_may_have_drawings(tmp_path):
    sketched = Sketched(TOWN)
    il.write_folder(sketched, tmp_path, "val", indices=[0, 1])
    stored = il.FolderDataset(tmp_path, "val")
    stored.check()
    for i in (0, 1):
        np.testing.assert_array_equal(stored[i]["sketch"], sketched[i]["sketch"])
    half = il.FolderDataset(tmp_path, "val", 16)[0]["sketch"]
    means = sketched[0]["sketch"].reshape(16, 2, 16, 2).mean((1, 3))
    np.testing.assert_allclose(half, means, atol=1 / 255)
    # One's own drawing goes before what would be drawn.
    assert Sketched(stored)[0]["sketch"] is not None
    Image.new("L", (32, 32), 255).save(tmp_path / "val/sketches/val_00000.png")
    assert not Sketched(il.FolderDataset(tmp_path, "val"))[0]["sketch"].any()


def test_what_is_wrong_with_drawings_is_told(tmp_path):
    il.write_folder(Sketched(TOWN), tmp_path, "val", indices=[0, 1])
    Image.new("L", (8, 8)).save(tmp_path / "val/sketches/val_00001.png")
    with pytest.raises(ValueError, match=r"sketches/val_00001.png is 8×8.*its label map 32×32"):
        il.FolderDataset(tmp_path, "val").check()
    (tmp_path / "val/sketches/val_00001.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"sketches/val_00001.png is missing"):
        il.FolderDataset(tmp_path, "val")


def test_a_sketch_moves_with_its_picture():
    item = Sketched(TOWN)[0]
    item["sketch"] = item["image"][0] / 2 + 0.5
    for seed in range(4):
        moved = il.augment(item, np.random.default_rng(seed), crop=20, flip=True)
        np.testing.assert_array_equal(moved["sketch"], moved["image"][0] / 2 + 0.5)


def test_a_layout_keeps_its_sketch_at_every_size():
    batch = il.collate([Sketched(TOWN)[i] for i in range(3)])
    layout = il.Layout.of(batch, TOWN)
    np.testing.assert_array_equal(layout.sketch().numpy()[:, 0], batch["sketch"])
    np.testing.assert_array_equal(layout.sketch((16, 16)).numpy()[:, 0], batch["sketch"][:, ::2, ::2])
    for other in (layout[1:], layout.by_class()[1:], layout.whole()[1:]):
        np.testing.assert_array_equal(other.sketch().numpy()[:, 0], batch["sketch"][1:])


@pytest.mark.parametrize(
    ("sketch", "words"), [(np.zeros([1, 8, 9]), r"\[1, 8, 8\], got \[1, 8, 9\]"), (np.full([1, 8, 8], 255), "by 255")]
)
def test_what_is_no_sketch_is_told(sketch, words):
    ids = np.zeros([1, 8, 8], int)
    with pytest.raises(ValueError, match=words):
        il.Layout(ids, ids, 1, sketch=sketch)


def test_without_a_sketch_the_network_says_what_it_needs():
    generator = METHODS["inade_sketch"].new_generator({**TINY, "norm": "instance"}, TOWN.num_classes, 32)
    layout = il.Layout.of(il.collate([TOWN[0]]), TOWN)
    with pytest.raises(ValueError, match="Sketched"):
        il.sample(generator, layout, 0)
    assert suited(TOWN, il.METHODS["inade"]) is TOWN


def test_a_line_changes_the_picture_around_it_and_the_encoder_sees_none():
    generator = METHODS["inade_sketch"].new_generator({**TINY, "norm": "instance"}, 1, 32)
    for p in generator.parameters():
        if not p.stop_gradient:
            p.set_value(p + 0.1)
    ids = np.zeros([1, 32, 32], int)
    pictures = []
    for column in (4, 4, 28):
        sketch = np.zeros([1, 32, 32])
        sketch[:, :, column] = 1
        pictures.append(il.sample(generator, il.Layout(ids, ids, 1, sketch=sketch), 0).numpy())
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[0] != pictures[2]).any()


def test_the_discriminator_sees_the_sketch():
    trainer = il.Trainer(il.TrainConfig(**TINY, method="inade_sketch"), TOWN)
    seen = []
    trainer.discriminator.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0].numpy()))
    batch = il.collate([trainer.dataset[0], trainer.dataset[1]])
    trainer.step(batch)
    classes = TOWN.num_classes
    for pairs in seen:
        assert pairs.shape[1] == classes + 1 + 1 + 3
        np.testing.assert_array_equal(pairs[:1, classes + 1], batch["sketch"][:1])


def test_previews_of_other_items_get_a_sketch():
    trainer = il.Trainer(il.TrainConfig(**TINY, method="inade_sketch"), TOWN, preview=[TOWN[3]])
    assert trainer.preview()["sample 1"].shape == (1, 3, 32, 32)


# ---- From a shell


def test_from_a_set_to_a_picture(tmp_path, capsys):
    small = [f"--{name}={value}" for name, value in TINY.items()]
    run = tmp_path / "run"
    main(["train", "--method=inade_sketch", "--size=32", "--steps=1", *small, f"--out={run}"])
    main(["train", "--resume", "--steps=1", f"--out={run}"])
    model = run / "model.safetensors"
    for command in ("sample", "reconstruct"):
        main([command, f"--model={model}", "--scenes=1", f"--out={tmp_path / command}"])
    main(["edit", f"--model={model}", "--item=0", "--instance=0", f"--out={tmp_path / 'edit.png'}"])
    capsys.readouterr()

    item = Sketched(TOWN)[0]
    maps = {"label": item["label"], "sketch": 255 - 255 * item["sketch"]}
    for name, pixels in maps.items():
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{name}.png")
    one_map = ["sample", f"--model={model}", f"--label={tmp_path / 'label.png'}", "--samples=1", f"--out={tmp_path}"]
    with pytest.raises(SystemExit, match="draws by a sketch"):
        main(one_map)
    main([*one_map, f"--sketch={tmp_path / 'sketch.png'}"])
    layout = il.Layout(item["label"][None], item["label"][None], TOWN.num_classes, sketch=item["sketch"][None])
    layout = il.Layout(layout.label, il.compact_instances(layout.label, layout.label), 14, sketch=item["sketch"][None])
    expected = il.sample(il.load_pretrained(model).generator, layout, 0)[0].numpy()
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "label_1.png")), il.data.to_uint8(expected))
    with pytest.raises(SystemExit, match="inade draws by no sketch"):
        main(["sample", f"--label={tmp_path / 'label.png'}", f"--sketch={tmp_path / 'sketch.png'}"])


# ---- The authors' weights


def test_the_authors_generator_with_sketches_becomes_a_model(tmp_path, monkeypatch, random):
    config = {**TINY, "noise_dim": 8, "num_upsamplings": 5, "norm": "instance"}
    ours = METHODS["inade_sketch"].new_generator(config, 8, 256)
    ours.eval()
    state = {}
    own = ours.state_dict()
    for name, our_name in original_names(ours).items():
        array = array_of(own[our_name])
        state[name] = array.T if array.ndim == 2 else array
    assert state["up_3.norm_1.merge_conv.weight"].shape == (2, 4, 1, 1) and "up_3.norm_1.sketch_conv.bias" in state
    monkeypatch.setattr(original, "read_torch_checkpoint", lambda path: state)
    convert(["best_net_G.pth"], tmp_path / "model.safetensors")
    model = il.load_pretrained(tmp_path / "model.safetensors")
    assert model.generator.sketch and model.config["train_config"]["method"] == "inade_sketch"
    ids = random.integers(0, 8, [1, 256, 256])
    layout = il.Layout(ids, ids, 8, sketch=random.integers(0, 2, [1, 256, 256]))
    noise, latent = il.sample_noise(layout, 8, seed=0), normal(random, 1, TINY["latent_dim"])
    with paddle.no_grad():
        pictures = [network(layout, noise, latent).numpy() for network in (ours, model.generator)]
    np.testing.assert_array_equal(*pictures)
