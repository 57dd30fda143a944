import dataclasses
import json
import os
import shlex
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import set_folders
from helpers import TINY
from PIL import Image

import inade_lite as il
from inade_lite import __main__
from inade_lite.__main__ import main
from inade_lite.weights.original import SCHEDULES, schedule, training_settings
from inade_lite.weights.tensors import read_tensors, write_tensors

TINY = " ".join(["--size 32", *(f"--{name} {value}" for name, value in TINY.items())])


def run(line):
    main(line.split())


@pytest.mark.parametrize(
    "command", ["", "make-data", "report", "train", "sample", "evaluate", "make-judge", "convert", "doctor"]
)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        run(f"{command} --help")
    assert stop.value.code == 0 and f"usage: python -m inade_lite {command}" in capsys.readouterr().out


def test_the_options_offer_what_there_is(capsys):
    assert (__main__.SETS, set(__main__.PRESETS)) == (tuple(il.SETS), set(il.PRESETS))
    with pytest.raises(SystemExit):
        run("train --help")
    told = "".join(capsys.readouterr().out.split())  # argparse breaks lines at hyphens, too
    for field in dataclasses.fields(il.TrainConfig):
        text = f"{field.metadata['text']} (default: {field.default})"
        assert f"--{field.name}" in told and "".join(text.split()) in told, field.name


def test_from_data_to_samples(tmp_path, capsys, monkeypatch):
    run(f"make-data --out {tmp_path}/town --size 32 --train 6 --val 3")
    assert len(il.FolderDataset(tmp_path / "town", "train")) == 6
    run(f"report --data {tmp_path}/town --size 32 --out {tmp_path}/report")
    assert "train: 6 pictures of 32×32 (height × width), 1" in capsys.readouterr().out
    pictures = {path.name: Image.open(path).size for path in (tmp_path / "report").glob("*.png")}
    assert len(pictures) == 4 and pictures["train_pictures.png"] > pictures["val_pictures.png"] > (3 * 32, 3 * 32)
    run(f"train --data {tmp_path}/town --out {tmp_path}/run --steps 2 --save_every 1 --log_every 1 {TINY}")
    assert Image.open(tmp_path / "run" / "losses.png").width > 300
    run(f"train --data {tmp_path}/town --out {tmp_path}/run --steps 1 --size 32 --resume")
    model = tmp_path / "run" / "model.safetensors"
    assert il.load_pretrained(model).config["steps"] == 3
    shown, show_grid = [], il.figures.show_grid
    monkeypatch.setattr(il.figures, "show_grid", lambda images, **how: shown.extend(images) or show_grid(images, **how))
    run(f"sample --model {model} --data {tmp_path}/town --size 32 --scenes 3 --samples 2 --out {tmp_path}/grid.png")
    assert Image.open(tmp_path / "grid.png").width > 3 * 32
    town = il.FolderDataset(tmp_path / "town", "val")
    layout = il.Layout.of(il.collate(list(town)), town)
    for row, seed in ((shown[6:9], 0), (shown[9:12], 1)):
        assert np.array_equal(row, il.sample(il.load_pretrained(model).generator, layout, seed).numpy())
    run(f"evaluate --model {model} --data toy_town --scenes 3 --samples 2 --json {tmp_path}/rows.json")
    assert "reconstruction" in capsys.readouterr().out
    measures = json.loads((tmp_path / "rows.json").read_text())
    value, low, high = measures["spread_ratio"]["mean"]
    assert low <= value <= high and 0 <= measures["pixel_accuracy"][0] <= 100


@pytest.mark.parametrize(
    ("data", "splits", "options"),
    [
        ("toy_town", (), "--size 32"),
        ("toy_town", (), "--size 32x64"),
        ("toy_town", (), "--size 40 --crop 32"),
        ("my town", ("train", "val"), "--size 32 --set folder"),
        ("my town", ("train",), "--size 32x64 --set folder"),
        ("cities", ("train", "val"), "--size 32x64 --set cityscapes"),
    ],
)
def test_the_command_that_train_prints_works(data, splits, options, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "cityscapes" in options:
        set_folders.cityscapes(tmp_path / data)
    else:
        for split in splits:
            il.write_folder(il.ToyTown(split, 32, length=2), data, split)
    main(["train", "--data", data, "--out", "my runs/1", "--steps", "1", *f"{TINY} {options}".split()])
    printed = capsys.readouterr().out.splitlines()[-1]
    path, command = printed.split(": ", 1)
    assert path == str(Path("my runs/1/model.safetensors")) and command.startswith("python -m inade_lite sample ")
    main(shlex.split(command)[3:])
    assert Image.open("samples.png").width > 2 * 32


@pytest.mark.parametrize("size", ["32x64x3", "x32", "large", "-64"])
def test_a_size_that_is_none_is_told(size, capsys):
    with pytest.raises(SystemExit):
        main(["sample", f"--size={size}"])
    assert f"{size!r} is no size; give a side, or height x width such as 256x512" in capsys.readouterr().err


def test_pictures_may_be_oblong_and_cropped(tmp_path):
    run(f"train --out {tmp_path}/wide --steps 1 {TINY} --size 32x64")
    assert il.load_pretrained(tmp_path / "wide/model.safetensors").generator.image_size == (32, 64)
    run(f"train --out {tmp_path}/cropped --steps 1 {TINY} --size 40 --crop 32 --flip --workers 1")
    assert il.load_pretrained(tmp_path / "cropped/model.safetensors").generator.image_size == (32, 32)


def test_samples_of_a_data_set_with_other_classes(tmp_path):
    run(f"train --out {tmp_path}/run --steps 1 {TINY}")
    il.write_folder(il.ToyTown("val", 32, length=1), tmp_path / "town", "val")
    description = tmp_path / "town" / "dataset.json"
    description.write_text(description.read_text("utf-8").replace('"sky"', '"air"'), "utf-8")
    with pytest.raises(SystemExit, match="knows other classes than .*town"):
        run(f"sample --model {tmp_path}/run/model.safetensors --data {tmp_path}/town --size 32")


def test_a_folder_with_a_run_is_not_overwritten(tmp_path):
    line = f"train --out {tmp_path} {TINY} --seed 1 --steps"
    run(f"{line} 1")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(SystemExit, match="holds a run already.*another folder"):
        run(f"{line} 2")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_resumed_run_takes_what_may_change_and_refuses_the_rest_by_name(tmp_path):
    line = f"train --out {tmp_path} {TINY} --steps 1"
    run(line)
    run(f"{line} --resume --learning_rate_g 0.5 --log_every 1")
    told = il.load_pretrained(tmp_path / "model.safetensors").config
    assert told["steps"] == 2
    assert (told["train_config"]["learning_rate_g"], told["train_config"]["log_every"]) == (0.5, 1)
    with pytest.raises(SystemExit, match="batch_size=2, not 3.*learning_rate_g"):
        run(f"train --out {tmp_path} --size 32 --steps 1 --resume --batch_size 3")


def test_a_perceptual_weight_without_its_loss_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="lambda_perceptual=10.0 weighs a perceptual loss, and there is none"):
        run(f"train --out {tmp_path} --steps 1 {TINY} --lambda_perceptual 10")


def test_a_model_is_measured_at_its_own_size():
    with pytest.raises(SystemExit, match="draws 64x64, --size is 32"):
        run("evaluate --model inade --size 32")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train --data nowhere --out {}", "nowhere"),
        ("report --data nowhere --set cityscapes", "Cityscapes reads"),
        ("sample --model nothing", "no pretrained model 'nothing'"),
        ("train --resume --size 32 --out {}", "checkpoint.safetensors is missing"),
    ],
)
def test_what_is_wrong_is_one_line(line, message, tmp_path):
    with pytest.raises(SystemExit) as stop:
        run(line.format(tmp_path))
    assert str(stop.value.code).startswith("error: ") and message in str(stop.value.code)


def test_a_resumed_run_knows_its_data(tmp_path):
    run(f"make-data --out {tmp_path}/town --size 32 --train 6 --val 3")
    run(f"train --data {tmp_path}/town --out {tmp_path}/run --steps 1 {TINY}")
    run(f"train --resume --out {tmp_path}/run --steps 1")
    model = il.load_pretrained(tmp_path / "run/model.safetensors")
    assert model.config["data"] == f"{tmp_path}/town" and model.config["steps"] == 2
    with pytest.raises(SystemExit, match=r"was trained with --data \S+town, not toy_town; leave that out to go on"):
        run(f"train --resume --out {tmp_path}/run --steps 1 --data toy_town")
    with pytest.raises(SystemExit, match="was trained with --size 32, not 64"):
        run(f"train --resume --out {tmp_path}/run --steps 1 --size 64")


def test_a_data_set_that_has_lost_items_is_another_one(tmp_path):
    run(f"make-data --out {tmp_path}/town --size 32 --train 6 --val 3")
    run(f"train --data {tmp_path}/town --out {tmp_path}/run --steps 1 {TINY}")
    for path in (tmp_path / "town/train").glob("*/train_00005.png"):
        path.unlink()
    with pytest.raises(SystemExit, match="was trained with 6 items, this data set has 5"):
        run(f"train --resume --out {tmp_path}/run --steps 1")


def test_a_stopped_run_prints_the_command_that_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(il.Trainer, "_show", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as stop:
        run(f"train --out {tmp_path}/run --steps 9 {TINY} --preview_every 2")
    monkeypatch.undo()
    told = str(stop.value).strip()
    assert told.startswith("stopped after step 2 and saved; go on with: python -m inade_lite train --resume")
    run(told.partition("python -m inade_lite ")[2])
    assert il.load_pretrained(tmp_path / "run/model.safetensors").config["steps"] == 9


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("train --steps 0", "steps=0: expected an integer of 1 or more"),
        ("train --size 32x32x32", "'32x32x32' is no size"),
        ("train --size 99999x99999", "99999x99999: a side has 16 to 4096 pixels"),
        ("train --batch_size 0", "batch_size=0: expected an integer of 1 or more"),
        ("train --learning_rate_d 1e12", "learning_rate_d=1000000000000.0: expected a number from 0 to 1"),
        ("train --ema_decay nan", "ema_decay=nan: expected a number from 0 to 1"),
        ("train --norm layer", "norm='layer': expected one of instance, batch"),
        ("train --noise_dim many", "noise_dim='many': expected an integer of 1 or more"),
        ("sample --scenes -1", "scenes=-1: expected an integer of 0 or more"),
        ("sample --seed -1", "seed=-1: expected an integer of 0 or more"),
        ("evaluate --scenes 2", "scenes=2: expected an integer of 3 or more"),
        ("evaluate --samples 1", "samples=1: expected an integer of 2 or more"),
        ("make-data --val 0", "val=0: expected an integer of 1 or more"),
        ("make-judge --steps -1", "steps=-1: expected an integer of 1 or more"),
    ],
)
def test_a_wrong_argument_is_told_in_one_line_with_code_2(line, told, capsys):
    with pytest.raises(SystemExit) as stop:
        run(line)
    *_, last = capsys.readouterr().err.strip().splitlines()
    assert stop.value.code == 2 and told in last


def test_what_does_not_fit_is_told_in_one_line(tmp_path):
    run(f"train --out {tmp_path}/run --steps 1 {TINY}")
    for line, told in (
        (
            f"train --set coco_stuff --out {tmp_path}/other",
            "--set coco_stuff is the layout of a folder; name the folder",
        ),
        ("sample --size 32", "inade draws 64x64, --size is 32; give --size 64"),
        (f"sample --model {tmp_path}/run/checkpoint.safetensors", "is a checkpoint, from which a training goes on"),
        (f"evaluate --json {tmp_path}/nowhere/a.json", "there is no folder"),
    ):
        with pytest.raises(SystemExit, match=f"^error: .*{told}"):
            run(line)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A data set whose classes are not ToyTown's, and a model that was trained on it."""
    root = tmp_path_factory.mktemp("photos")
    il.write_folder(il.ToyTown("train", 32, length=4), root / "set", "train")
    description = root / "set/dataset.json"
    told = json.loads(description.read_text("utf-8"))
    told |= {"class_names": [name.upper() for name in told["class_names"]], "thing_classes": []}
    description.write_text(json.dumps(told))
    run(f"train --data {root}/set --out {root}/run --steps 1 --size 32 {TINY}")
    return root


def test_a_model_is_measured_on_its_own_photos(photos, capsys):
    """Its set has no things, no val split and no truth."""
    model = photos / "run/model.safetensors"
    run(f"evaluate --model {model} --samples 2 --json {photos}/found.json")
    out = capsys.readouterr().out
    found = json.loads((photos / "found.json").read_text())
    assert "rare classes" in out and "make-judge --data" in out and "real_mean_iou" not in found
    assert set(found) >= {"spread", "correlation", "lite0_kid", "locality", "mISD", "mOISD", "reconstruction"}
    assert not set(found) & {"spread_ratio", "color_distance", "pattern_distance", "kinds_kept"}
    for name in ("lite0_kid", "locality", "reconstruction"):
        value, low, high = found[name]
        assert low <= value <= high
    # The command that it prints works, and adds the mean IoU.
    command = shlex.split(out[out.index("python -m inade_lite make-judge") :].splitlines()[0])[3:]
    main([*command[:-1], f"{photos}/judge.safetensors", "--steps", "1"])
    run(f"evaluate --model {model} --samples 2 --judge {photos}/judge.safetensors --json {photos}/found.json")
    found = json.loads((photos / "found.json").read_text())
    assert 0 <= found["mean_iou"][0] <= 100 and 0 <= found["real_mean_iou"][0] <= 100


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("evaluate --data toy_town", "knows other classes than toy_town"),
        (
            "evaluate --judge data/judge.safetensors",
            "the judge knows other classes: 'sky' and so on, not 'SKY'",
        ),
        ("evaluate --judge of five", None),
        ("sample --data toy_town", "knows other classes than toy_town"),
        ("sample --size 64", "draws 32x32, --size is 64; give --size 32"),
    ],
)
def test_what_does_not_belong_to_a_model_is_refused(line, message, photos, tmp_path):
    if message is None:
        judge = il.judge.UNet(5, 2)
        il.judge.save_judge(tmp_path / "other.safetensors", judge)
        line, message = (
            f"evaluate --judge {tmp_path}/other.safetensors",
            "the judge knows 5 classes, the data set has 14",
        )
    with pytest.raises(SystemExit, match=message):
        run(f"{line} --model {photos}/run/model.safetensors")


def test_a_model_whose_data_have_moved_says_so(photos, tmp_path, monkeypatch):
    moved = tmp_path / "moved.safetensors"
    tensors, told = read_tensors(photos / "run/model.safetensors")
    write_tensors(moved, tensors, told | {"data": str(tmp_path / "gone")})
    with pytest.raises(
        SystemExit, match=r"moved\.safetensors was trained with .*gone, which is not there; give --data"
    ):
        run(f"sample --model {moved}")
    run(f"sample --model {moved} --data {photos}/set --scenes 1 --samples 1 --out {tmp_path}/one.png")
    write_tensors(moved, tensors, {key: value for key, value in told.items() if key != "data"})
    with pytest.raises(SystemExit, match="does not tell what it was trained with; give --data and --set"):
        run(f"sample --model {moved}")


def test_a_preset_is_the_authors_settings_and_what_is_given_goes_before(tmp_path, monkeypatch):
    """Nothing of that size is trained here: what the Trainer is asked for is looked at."""
    set_folders.coco_stuff(tmp_path / "coco")
    asked = {}

    class Asked(Exception):
        pass

    def ask(config, dataset, perceptual):
        asked.update(config=config, dataset=dataset, perceptual=perceptual)
        raise Asked

    monkeypatch.setattr("inade_lite.commands.Trainer", ask)
    monkeypatch.setattr("inade_lite.commands.VGGLoss", lambda path: ("vgg", path))
    with pytest.raises(Asked):
        given = "--vgg w.pth --batch_size 4 --lambda_kl 0.1"
        run(f"train --preset coco_stuff --data {tmp_path}/coco {given} --out {tmp_path}/run")
    config, data = asked["config"], asked["dataset"]
    assert (config.noise_dim, config.latent_dim, config.base_channels, config.num_upsamplings) == (64, 256, 64, 5)
    assert (config.learning_rate_g, config.learning_rate_d, config.beta1, config.beta2) == (1e-4, 4e-4, 0, 0.9)
    assert (config.lambda_feature, config.feature_from, config.lambda_perceptual) == (10, 3, 10)
    assert (config.crop, config.flip, config.plain_share, config.fresh_fakes) == (256, True, 0, True)
    assert (config.batch_size, config.lambda_kl) == (4, 0.1)  # those that were given
    assert type(data) is il.CocoStuff and data.image_size == (286, 286)
    assert asked["perceptual"] == ("vgg", "w.pth")
    # SPADE's schedule: 100 epochs on COCO-Stuff, no fall of the rates.
    assert (config.decay_from, config.decay_steps) == (100 * len(data) // 4, 0)


def test_a_presets_schedule_is_in_steps_of_its_batches():
    for preset, (epochs, constant) in SCHEDULES.items():
        steps, decay_from, decay_steps = schedule(preset, 20_210, 16)
        assert steps * 16 == pytest.approx(epochs * 20_210, abs=16)
        assert decay_from * 16 == pytest.approx(constant * 20_210, abs=16)
        assert decay_from + decay_steps == steps
    assert schedule("deepfashion", 20_210, 16) is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train --preset ade20k", "--preset ade20k takes the pictures of that set; give their folder as --data"),
        ("train --preset ade20k --data x --resume", "--preset ade20k begins a run; one that goes on has its settings"),
    ],
)
def test_a_preset_needs_its_set_and_a_new_run(line, message, tmp_path):
    with pytest.raises(SystemExit, match=message):
        run(f"{line} --out {tmp_path}/run")


@pytest.mark.parametrize("preset", sorted(il.PRESETS))
def test_a_preset_makes_pictures_of_the_size_of_the_authors_generator(preset):
    settings, size = training_settings(preset)
    il.TrainConfig(**settings)  # no setting is out of its range
    side = settings.get("crop")
    assert (size if side is None else (side, side)) == il.PRESETS[preset].image_size


@pytest.mark.parametrize("line", ["report", "sample --model {photos}/run/model.safetensors"])
def test_a_val_that_is_damaged_is_told_and_not_passed_over(line, photos, tmp_path):
    shutil.copytree(photos / "set", tmp_path / "set")
    shutil.copytree(tmp_path / "set/train", tmp_path / "set/val")
    (tmp_path / "set/val/labels/train_00001.png").unlink()
    with pytest.raises(SystemExit, match=r"val/labels/train_00001\.png is missing"):
        run(f"{line.format(photos=photos)} --data {tmp_path}/set --size 32 --out {tmp_path}/out")
