"""README's eight lines do what they say, and the pictures beside them are theirs."""

import json
import re

import numpy as np
from helpers import ROOT
from PIL import Image

import inade_lite as il
from experiments.pictures import BEST

README = (ROOT / "README.md").read_text("utf-8")
(CODE,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_they_are_eight_lines():
    assert len([line for line in CODE.splitlines() if line and not line.startswith("import ")]) == 8


def test_they_draw_the_picture_beside_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(CODE, {})  # noqa: S102
    drawn, shown = (
        np.asarray(Image.open(path).convert("RGB"), int) for path in ("one_car.png", ROOT / "docs/one_car.png")
    )
    assert drawn.shape == shown.shape
    assert np.abs(drawn - shown).max() <= 3  # of 255: another processor rounds in another way


def test_they_change_one_car_and_hardly_anything_else():
    """What README's first sentence promises, of the very instance that the eight lines draw again."""
    number, scene = int(re.search(r"again\[:, (\d+)\]", CODE).group(1)), int(re.search(r"town\[(\d+)\]", CODE).group(1))
    town = il.ToyTown("val", 64)
    item = town[scene]
    mask = item["instance"] == number
    assert set(item["label"][mask]) == {town.class_names.index("car")}
    picture = np.asarray(Image.open(ROOT / "docs/one_car.png").convert("RGB"), int)
    half = (picture.shape[1] - 4) // 2  # two pictures, four pixels between them
    change = np.abs(picture[:, :half] - picture[:, -half:]).mean(2)
    scale = half // mask.shape[1]
    inside = mask.repeat(scale, 0).repeat(scale, 1)
    assert change[inside].mean() > 20 > 1 > change[~inside].mean()


def test_the_caption_tells_how_the_models_were_trained():
    short, best = (il.load_pretrained(name).config for name in ("inade_short", BEST))
    record = json.loads((ROOT / f"data/results/{best['run']}.json").read_text("utf-8"))
    assert {"Intel", "Xeon"} <= set(re.findall(r"\w+", record["machine"]["processor"])) and best["threads"] == "1"
    minutes = f"{best['seconds'] / 60:.0f} minutes on one core of an Intel Xeon."
    told = f'by `load_pretrained("{BEST}")`: {best["steps"]} steps, {minutes}'
    text = " ".join(README.split())
    assert told in text and f"notebook 6 trains that for {short['steps']} steps," in text
    assert f'load_pretrained("{BEST}")' in CODE
    training = json.loads((ROOT / "notebooks/06_training.ipynb").read_text("utf-8"))
    assert any(f"STEPS = 40 if il.FAST else {short['steps']}" in "".join(cell["source"]) for cell in training["cells"])
