import json

import pytest
from PIL import Image

import inade_lite as il
from inade_lite.__main__ import main

TINY = "--size 32 --base_channels 2 --encoder_channels 2 --discriminator_channels 2 --num_upsamplings 3 --batch_size 2"


def run(line):
    main(line.split())


@pytest.mark.parametrize("command", ["", "make-data", "report", "train", "sample", "evaluate", "doctor"])
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        run(f"{command} --help")
    assert stop.value.code == 0 and "usage: python -m inade_lite" in capsys.readouterr().out


def test_from_data_to_samples(tmp_path, capsys):
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
    run(f"sample --model {model} --data {tmp_path}/town --size 32 --scenes 3 --samples 2 --out {tmp_path}/grid.png")
    assert Image.open(tmp_path / "grid.png").width > 3 * 32
    run(f"evaluate --model {model} --size 32 --scenes 3 --samples 2 --json {tmp_path}/rows.json")
    assert "reconstruction" in capsys.readouterr().out
    measures = json.loads((tmp_path / "rows.json").read_text())
    value, low, high = measures["spread_ratio"]["mean"]
    assert low <= value <= high and 0 <= measures["pixel_accuracy"][0] <= 100


def test_pictures_may_be_oblong_and_cropped(tmp_path):
    run(f"train --out {tmp_path} --steps 1 {TINY} --size 32x64")
    assert il.load_pretrained(tmp_path / "model.safetensors").generator.image_size == (32, 64)
    run(f"train --out {tmp_path} --steps 1 {TINY} --size 40 --crop 32 --flip --workers 1")
    assert il.load_pretrained(tmp_path / "model.safetensors").generator.image_size == (32, 32)


def test_samples_of_a_data_set_with_other_classes(tmp_path):
    run(f"train --out {tmp_path}/run --steps 1 {TINY}")
    il.write_folder(il.ToyTown("val", 32, length=1), tmp_path / "town", "val")
    description = tmp_path / "town" / "dataset.json"
    description.write_text(description.read_text("utf-8").replace('"sky"', '"air"'), "utf-8")
    with pytest.raises(SystemExit, match="knows other classes than .*town"):
        run(f"sample --model {tmp_path}/run/model.safetensors --data {tmp_path}/town --size 32")


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
