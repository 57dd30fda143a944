"""Exercises know right answers from wrong ones, questions have a reason for every choice, and all are asked."""

import json
import re

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from helpers import ROOT
from notebook_definitions import load_definitions
from PIL import Image

import inade_lite as il
from inade_lite import exercises, generator
from inade_lite.exercises import answers

RIGHT = {
    "0.1": lambda: cars(),
    "0.2": lambda: 352,
    "0.3": lambda: 0.1,
    "1.1": lambda: pool,
    "1.2": lambda: means,
    "1.3": lambda: edges,
    "1.4": lambda: convolve,
    "1.5": lambda: "ac,bayx,bic,biyx->bcyx",
    "2.1": lambda: np.array([-0.99999, 0.99999]),
    "2.2": lambda: lambda gamma, beta: (paddle.zeros([*gamma.shape, 2]), paddle.stack([gamma, beta], axis=-1)),
    "2.3": lambda: halfway,
    "2.4": lambda: 1,
    "2.5": lambda: load_definitions(2)["FromMemory"],
    "3.1": lambda: partial,
    "3.2": lambda: deviation,
    "3.3": lambda: (0.47, 0.58, 0.65),
    "3.4": lambda: 0.73,
    "3.5": lambda: load_definitions(3)["FromMemory"],
    "4.1": lambda: 0.15,
    "4.2": lambda: 1.0,
    "4.3": lambda: (0.57, 1.51),
    "4.4": lambda: "No",
    "4.5": lambda: [-0.1, 0, 0, -2, 0, 0, 0.3, 0],
    "5.1": lambda: load_definitions(5)["ResidualBlock"],
    "5.2": lambda: (34, 3),
    "5.3": lambda: load_definitions(5)["held_duel"](400),
    "5.4": lambda: [4, 5, 6],
    "6.1": lambda: 22,
    "6.2": lambda: 0.3,
    "6.3": lambda: "kl",
    "6.4": lambda: load_definitions(6)["train_step"],
    "7.1": lambda: [17, 15],
    "7.2": lambda: 1,
    "7.3": lambda: 1,
    "7.4": lambda: "car",
    "7.5": lambda: -0.43,
    "8.2": lambda: (272, 38),
    "8.3": lambda: 7,
    "9.1": lambda: "color_distance",
    "9.2": lambda: (0.8, 0.1),
    "9.3": lambda: (0.51, 7.11),
    "9.4": lambda: 1024,
    "9.5": lambda: load_definitions(9)["channel_correlation"],
    "10.1": lambda: (0.0, 0.08, 0.37),
    "10.2": lambda: [7, 6, 5, 4],
    "10.3": lambda: (0.021, 0.0),
    "11.1": lambda: load_definitions(11)["velocity"],
    "11.2": lambda: (0.75, 0.84),
    "11.3": lambda: "near",
    "11.4": lambda: load_definitions(11)["label_mix"],
}
WRONG = {
    "0.1": lambda: [10],
    "1.1": lambda: lambda image: F.avg_pool2d(image, 2),
    "1.2": lambda: lambda photo, one_hot: paddle.einsum("nihw,nchw->nic", one_hot, photo),
    "1.3": lambda: lambda instance: 3 * edges(instance),
    "1.4": lambda: lambda image, weight, bias, stride, padding: F.conv2d(image, weight, bias),
    "1.5": lambda: "lc,nlhw,nic,nihw->nihw",
    "2.1": lambda: [0, 1],
    "2.2": lambda: lambda gamma, beta: (paddle.ones([*gamma.shape, 2]), paddle.stack([gamma, beta], axis=-1)),
    "2.3": lambda: lambda layer, label: layer.bias[label].unbind(-1),
    "2.5": lambda: one_plus,
    "3.1": lambda: lambda image, layout: image,
    "3.2": lambda: lambda image, layout: deviation(image, layout) * 127.5,
    "3.3": lambda: (0.3, 0.47, 0.58),
    "3.5": lambda: unmasked,
    "4.4": lambda: "yes",
    "4.5": lambda: [0, 0, 0, 1, 0, 0, 0, 0],
    "5.1": lambda: swapped,
    "5.3": lambda: load_definitions(5)["duel"](400, rate=0.2),
    "6.3": lambda: "pixel",
    "6.4": lambda: forgetful,
    "7.4": lambda: "house",
    "7.5": lambda: 0.43,
    "9.1": lambda: "spread_ratio",
    "9.5": lambda: lambda colors: np.corrcoef(colors[..., 0].ravel(), colors[..., 1].ravel())[0, 1],
    "10.1": lambda: (0.42, 0.93, 0.97),
    "10.3": lambda: (0.0, 0.0),
    "11.1": lambda: lambda x, t: -x / (1 - t),
    "11.2": lambda: (1.0, 1.0),
    "11.3": lambda: "far",
    "11.4": lambda: lambda D, real, fake, layout, chosen: ((D(real) - D(fake)) ** 2).mean(),
}


def cars():
    item = il.ToyTown("val", 64)[23]
    car = il.ToyTown.class_names.index("car")
    return [i for i in np.unique(item["instance"]) if (item["label"][item["instance"] == i] == car).all()]


def pool(image):
    n, c, h, w = image.shape
    return F.unfold(image, 2, strides=2).reshape([n, c, 4, -1]).amax(axis=2).reshape([n, c, h // 2, w // 2])


def means(photo, one_hot):
    total = paddle.einsum("nihw,nchw->nic", one_hot, photo)
    return total / paddle.clip(paddle.einsum("nihw->ni", one_hot).unsqueeze(2), min=1)


def edges(instance):
    n, _, h, w = instance.shape
    taps = F.unfold(F.pad(instance.astype("float32"), [1, 1, 1, 1], mode="replicate"), 3)
    distance = (taps - taps[:, 4:5]).abs()
    return distance[:, [1, 3, 5, 7]].sum(axis=1).clip(0, 1).reshape([n, 1, h, w])


def halfway(layer, label):
    layout = il.Layout(np.full([1, 1, 1], label), np.zeros([1, 1, 1], int), 3)
    return [half[0, 0] for half in layer.modulation(layout, paddle.zeros([1, 1, 2, 5]))]


def partial(image, layout):
    ids = layout.instance.unsqueeze(1).astype("float32") + 1
    windows, pixels = F.unfold(ids, 3, paddings=1), F.unfold(image, 3, paddings=1)
    counts = (windows == windows[:, 4:5]).astype("float32")
    return ((pixels * counts).sum(1) / counts.sum(1)).reshape(image.shape)


def deviation(image, layout):
    instances = layout.instances()
    mean, square = (instances.mean(x) for x in (image, image * image))
    return layout.by_instance((square - mean * mean).clip(min=0).sqrt())


def convolve(image, weight, bias, stride, padding):
    return load_definitions(1)["convolve"](image, weight, bias, stride, padding)


class one_plus(il.INADE):
    """With SPADE's "1 +"."""

    def forward(self, x, layout, noise):
        return super().forward(x, layout, noise) + self.norm(x)


class unmasked(il.InstanceConv2D):
    """An ordinary convolution."""

    def forward(self, x, layout):
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)


class swapped(generator.ResidualBlock):
    """With the activation in front of the norm."""

    def forward(self, x, layout, noise):
        return super().forward(F.leaky_relu(x, 0.2), layout, noise)


def forgetful(trainer, batch):
    """Takes the package's step, and forgets the average."""
    average = {name: weight.clone() for name, weight in trainer.ema.state_dict().items()}
    trainer.step(batch)
    trainer.ema.set_state_dict(average)


def test_a_right_answer_is_right():
    for name, answer in RIGHT.items():
        right, told = exercises.judge(name, answer())
        assert right and told.startswith("Right. "), (name, told)


def test_a_wrong_answer_is_not_and_gets_no_solution():
    for name in answers.ANSWERS.keys() - WRONG.keys() - {"8.1"}:
        for nonsense in (1e6, "?", [1, 2, 3, 4, 5], None):
            right, told = exercises.judge(name, nonsense)
            assert not right and told.startswith("Not yet. "), (name, nonsense)
    for name, answer in WRONG.items():
        right, told = exercises.judge(name, answer())
        assert not right and told.startswith("Not yet. "), (name, told)


def test_a_data_set_of_ones_own(tmp_path):
    """Exercise 1 of notebook 8: right as it is, wrong with one person."""
    ids = np.zeros([6, 8], "uint8")
    ids[:2] = 1
    ids[3:, 1:3] = ids[3:, 5:7] = 2
    for persons, wanted in ((1 + (np.arange(8) > 3), True), (np.ones(8), False)):
        folder = tmp_path / str(wanted)
        instances = np.where(ids == 2, persons, 0).astype("uint8")
        image = np.zeros([6, 8, 3], "uint8")
        for kind, pixels in {"images": image, "labels": ids, "instances": instances}.items():
            (folder / "train" / kind).mkdir(parents=True)
            Image.fromarray(pixels).save(folder / "train" / kind / "first.png")
        colors = [[0, 0, 0], [0, 0, 255], [255, 0, 0]]
        description = {"class_names": ["background", "sky", "person"], "class_colors": colors, "thing_classes": [2]}
        (folder / "dataset.json").write_text(json.dumps(description | {"ignore_index": None}))
        assert exercises.judge("8.1", il.FolderDataset(folder, "train"))[0] == wanted


def test_code_that_stops_is_told_why(capsys):
    il.check("1.1", lambda image: image.no_such_thing)
    told = capsys.readouterr().out
    assert told.startswith("Not yet. The answer could not be checked: AttributeError") and "no_such_thing" in told


@pytest.mark.parametrize("name", exercises.QUESTIONS)
def test_each_choice_of_a_question_has_a_reason_of_its_own(name, capsys):
    choices = exercises.QUESTIONS[name]
    assert set(choices) == {"right", "a", "b", "c"}
    told = set()
    for letter in "abc":
        il.check(name, letter)
        told.add(capsys.readouterr().out)
        assert exercises.judge(name, letter)[0] == (letter == choices["right"])
    assert len(told) == 3 and all(len(text) > 15 for text in told)
    for letter in ("z", "right", ["a"], None):
        il.check(name, letter)
        assert capsys.readouterr().out == "Choose one of the letters.\n"
    assert exercises.judge(name, f" {choices['right'].upper()})")[0]


def test_every_exercise_and_question_of_the_notebooks_is_known_and_the_other_way_round():
    asked, questions = set(), set()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        number = int(path.name[:2])
        cells = json.loads(path.read_text("utf-8"))["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        own = {f"{number}.{k}" for k in re.findall(r"^### Exercise (\d)$", text, re.MULTILINE)}
        assert len(own) >= 3, path.name
        for name in own:
            assert f'il.check("{name}", ' in text, name
        asked |= own
        mine = re.findall(r"^\*\*(\d+[a-z])\.\*\* .+\n\n- a\) .+\n- b\) .+\n- c\) .+$", text, re.MULTILINE)
        assert mine == [f"{number}{letter}" for letter in "abc"]
        questions |= set(mine)
    assert asked == answers.ANSWERS.keys() == exercises.TEXTS["exercises"].keys()
    assert questions == exercises.QUESTIONS.keys()
    assert asked == RIGHT.keys() | {"8.1"}


def test_every_exercise_has_a_hint_and_an_unknown_one_is_named(capsys):
    hints = set()
    for name in answers.ANSWERS:
        il.hint(name)
        hints.add(capsys.readouterr().out)
    assert len(hints) == len(answers.ANSWERS)
    for call in (il.hint, lambda name: il.check(name, 1)):
        with pytest.raises(ValueError, match=r"no exercise '5\.9'; there are 0\.1, 0\.2, "):
            call("5.9")
