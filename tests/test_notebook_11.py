"""What notebook 11 builds by hand is the package's, and what it says of the models is what was recorded."""

import json
import re

import nbformat
import numpy as np
import pytest
from helpers import ROOT, SEEDS, assert_close, normal, random_layout

import inade_lite as il  # isort: skip: before Paddle, which it prepares
import paddle

from experiments import later
from experiments.runs import recorded
from inade_lite import flow, metrics, modules, oasis
from inade_lite.later import FlowConfig, load_later


def twins(ours, package):
    """Gives ours the package's parameters and buffers; all names must fit."""
    missing, unexpected = ours.set_state_dict(package.state_dict())
    assert not missing and not unexpected
    return ours


def assert_same_gradients(ours, package, call):
    """Both layers give the same, and so do the gradients of their parameters."""
    outputs = [call(layer) for layer in (ours, package)]
    assert_close(*outputs)
    paddle.seed(0)
    upstream = paddle.randn(outputs[0].shape)
    gradients = []
    for layer, out in zip((ours, package), outputs, strict=True):
        gradients.append(paddle.grad((out * upstream).mean(), layer.parameters()))
    for one, other in zip(*gradients, strict=True):
        assert_close(one, other, 1e-3)


# ---- OASIS's idea


@SEEDS
def test_the_balanced_cross_entropy(random, notebook):
    layout = random_layout(random, size=(6, 7), spare=1, n=2)
    logits = normal(random, 2, 6, 6, 7)
    found = float(oasis.balanced_cross_entropy(logits, layout.semantics()))
    assert float(notebook["balanced_cross_entropy"](logits, layout.semantics())) == pytest.approx(found)
    one = float(oasis.balanced_cross_entropy(logits[:1], layout[:1].semantics()))
    loop = notebook["cross_entropy_loop"](logits[0].numpy(), layout.label[0].numpy())
    assert loop == pytest.approx(one, rel=1e-4)
    painted = float(oasis.painted_cross_entropy(logits))
    assert float(notebook["painted_cross_entropy"](logits)) == pytest.approx(painted)


@SEEDS
def test_packing_and_the_discriminator(random, notebook):
    x = normal(random, 2, 3, 32, 32)
    np.testing.assert_array_equal(notebook["pack_loop"](x.numpy()), oasis.pack(x).numpy())
    package = oasis.SegmentingDiscriminator(5, 4)
    ours = twins(notebook["SegmentingDiscriminator"](5, 4), package)
    for layer in (ours, package):
        layer.eval()  # a training forward would move u and v
    assert_same_gradients(ours, package, lambda layer: layer(x))


@SEEDS
def test_painted_noise_and_its_layer(random, notebook):
    layout = random_layout(random, spare=2)
    noise = normal(random, 2, layout.num_instances, 2, 3)
    found = oasis.paint_noise(layout, noise)
    assert_close(notebook["paint_noise"](layout, noise), found)
    for n in range(2):
        loop = notebook["paint_noise_loop"](layout.instance[n].numpy(), noise[n].numpy())
        assert_close(loop, found[n])
    package = oasis.NoiseSPADE(4, layout.num_classes, 3)
    ours = twins(notebook["NoiseSPADE"](4, layout.num_classes, 3), package)
    x = normal(random, 2, 4, 12, 20)
    assert_same_gradients(ours, package, lambda layer: layer(x, layout, noise))


# ---- The flow


@SEEDS
def test_the_block_and_the_network(random, notebook):
    package = flow.TimedBlock(3, 5, 8)
    ours = twins(notebook["TimedBlock"](3, 5, 8), package)
    x, time = normal(random, 2, 3, 8, 8), normal(random, 2, 8)
    assert_same_gradients(ours, package, lambda layer: layer(x, time))

    layout = random_layout(random, size=(32, 32))
    package = flow.FlowUNet(layout.num_classes, 4)
    package.last.weight.set_value(normal(random, *package.last.weight.shape))
    ours = twins(notebook["FlowUNet"](layout.num_classes, 4), package)
    x, t = normal(random, 2, 3, 32, 32), paddle.to_tensor([0.1, 0.8])
    assert_same_gradients(ours, package, lambda layer: layer(x, t, layout))


@SEEDS
def test_its_loss_and_its_steps(random, notebook):
    layout = random_layout(random, size=(16, 16))
    network = flow.FlowUNet(layout.num_classes, 4)
    network.last.weight.set_value(normal(random, *network.last.weight.shape))
    image = normal(random, 2, 3, 16, 16)
    losses = []
    for function in (notebook["flow_loss"], flow.flow_loss):
        paddle.seed(5)
        losses.append(float(function(network, image, layout)))
    assert losses[0] == pytest.approx(losses[1])
    for ours, package in zip(*(f(network, image, layout, 3) for f in (notebook["follow"], flow.follow)), strict=True):
        assert_close(ours, package)


def test_the_block_has_the_packages_norm(notebook):
    """The notebook's blocks are made of the package's parts, so that both can hold the same weights."""
    assert isinstance(notebook["TimedBlock"](3, 5, 8).conv_0, modules.Conv2D)


# ---- What it says


def test_an_estimate_is_read_and_compared(notebook):
    Estimate = metrics.Estimate
    assert notebook["estimate"]({"a": {"mean": [1, 0, 2], "worst": [3, 2, 4]}}, "a") == Estimate(3, 2, 4)
    assert notebook["gap"](Estimate(0.9, 0.8, 1.1), 1) == pytest.approx(Estimate(0.1, 0, 0.2))
    assert notebook["gap"](Estimate(0.9, 0.8, 0.95), 1) == pytest.approx(Estimate(0.1, 0.05, 0.2))
    assert notebook["verdict"](Estimate(1, 0, 2), Estimate(2, 1, 3)) == "tie"
    assert notebook["verdict"](Estimate(1, 0, 2), Estimate(4, 3, 5)) == "better"
    assert notebook["verdict"](Estimate(4, 3, 5), Estimate(1, 0, 2)) == "worse"


def text_of_the_notebook():
    cells = json.loads((ROOT / "notebooks/11_what_came_after.ipynb").read_text("utf-8"))["cells"]
    return " ".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def test_what_is_so_by_construction():
    text = text_of_the_notebook()
    assert "INADE calls its network once, the flow ten times" in text and FlowConfig().sampling_steps == 10
    assert "Neither newcomer has one; both can only draw." in text
    assert load_later("oasis").encoder is load_later("flow").encoder is None
    assert il.load_pretrained("inade").encoder is not None
    assert "INADE after 2,000 steps and after 10,000" in text
    assert [recorded(name)["model"]["steps"] for name in ("inade_0", "inade")] == [2000, 10000]


def measures_of(name):
    """The measures of a newcomer, or of a row of the table."""
    if name in ("oasis", "flow"):
        return later.recorded(name)["measures"]
    rows = json.loads((ROOT / "data/results/table.json").read_text("utf-8"))["rows"]
    return next(row["measures"] for row in rows if row["name"] == name)


def estimate(name, measure):
    found = measures_of(name)[measure]
    return metrics.Estimate(*((found.get("worst") or found["mean"]) if isinstance(found, dict) else found))


def test_its_verdicts_are_those_of_the_table(notebook):
    text = " ".join(text_of_the_notebook().split())
    minutes = [recorded("inade_0")["model"]["seconds"] / 60]
    minutes += [later.recorded(name)["model"]["seconds"] / 60 for name in ("oasis", "flow")]
    assert "half an hour on one core for each newcomer and 17 minutes for INADE's short training" in text
    assert round(minutes[0]) == 17 and all(25 < each < 31 for each in minutes[1:])

    def verdict(one, other, measure):
        goal = notebook["estimate"].__globals__["GOALS"][measure]
        return notebook["verdict"](*(notebook["gap"](estimate(name, measure), goal) for name in (one, other)))

    assert f"its spread ratio is {estimate('oasis', 'spread_ratio').value:.2f}" in text
    assert verdict("oasis", "inade_short", "lite0_kid") == "worse"
    assert "INADE without its encoder, in the table of [notebook 9](09_measuring_diversity.ipynb), has " in text
    assert f"has {estimate('no_encoder_short', 'spread_ratio').value:.2f}." in text
    assert f"its things do vary: {estimate('flow', 'spread_ratio').value:.2f}" in text
    assert "Its shapes (mIoU) are a tie with INADE's short training" in text
    assert verdict("flow", "inade_short", "mean_iou") == "tie"
    assert "Its Lite0-KID and its colors are worse." in text
    assert {verdict("flow", "inade_short", name) for name in ("lite0_kid", "color_distance")} == {"worse"}
    assert "better told by both than by INADE, and best by INADE with positions" in text
    for name in ("oasis", "flow"):
        assert {verdict(name, other, "pattern_distance") for other in ("inade_short", "inade")} == {"better"}
        assert verdict("inade_positions", name, "pattern_distance") == "better"
    ratios = [
        estimate(name, "locality").value / estimate("inade_short", "locality").value for name in ("oasis", "flow")
    ]
    assert "three to four times as much as INADE's short training" in text and all(2.8 < r < 4.2 for r in ratios)
    log = (ROOT / "docs/training-log.md").read_text("utf-8")
    values = [estimate("oasis", name).value for name in ("spread_ratio", "lite0_kid", "mean_iou")]
    assert "to {:.2f}, {:.2f} and {:.1f}".format(*values) in " ".join(log.split())


def test_its_grain_is_as_printed():
    cells = nbformat.read(ROOT / "notebooks/11_what_came_after.ipynb", 4).cells
    (cell,) = (cell for cell in cells if "grain(pictures, sixteen" in cell.source)
    text = "".join(output.get("text", "") for output in cell.outputs)
    rows = {
        name: (float(grass), float(sky))
        for name, grass, sky in re.findall(r"(\w+) +grass ([\d.]+) +sky ([\d.]+)", text)
    }
    (grass, sky), inade, found = rows["ToyTown"], rows["INADE"], rows["flow"]
    told = text_of_the_notebook()
    assert "nearly as much grain as the town's, three times as much as INADE's" in told
    assert 0.75 < found[0] / grass < 1 and 3 < found[0] / inade[0] < 4
    assert "its skies have grain, too, where the town's are smooth" in told and sky < 0.5 < 2 < found[1]


def test_a_flow_takes_longer_for_a_picture():
    for what in ("one", "batch"):
        ratios = {name: later.recorded(name)["speed"][what]["ratio"] for name in ("oasis", "flow")}
        low = {name: ratio[1] for name, ratio in ratios.items()}
        assert low["flow"] > max(1, ratios["oasis"][2])
