"""What notebook 3 builds by hand equals the package: values and every gradient. And its sentences are true."""

import json
import re

import nbformat
import numpy as np
import paddle
import pytest
from helpers import ROOT, SEEDS, assert_close, assert_same, assert_same_weights, blocks, leaf, normal

import inade_lite as il
from inade_lite import textbook


def layout_of(random, size, side=3, instances=5):
    """Two images; the last id, instances, and one in the middle never occur."""
    ids = blocks(random, size, side, instances)
    ids[ids == 2] = 1
    return il.Layout(ids * 0, ids, 1, instances + 1)


def share_weights(random, ours, theirs):
    """The same random parameters for both, by the names of the package."""
    state = {name: normal(random, *p.shape) / np.sqrt(max(p[0].size, 1)) for name, p in theirs.named_parameters()}
    for network in ours, theirs:
        missing, unexpected = network.set_state_dict(state)
        assert not missing and not unexpected
    return list(state)


def parameters(network, names):
    return [dict(network.named_parameters())[name] for name in names]


@SEEDS
@pytest.mark.parametrize("kernel_size, stride, padding", [(3, 1, 1), (3, 2, 1), (5, 1, 2), (3, 1, 0), (1, 1, 0)])
def test_the_mask_equals_the_textbooks(random, notebook, kernel_size, stride, padding):
    ids = paddle.to_tensor(blocks(random, (9, 11), 2, 6)).unsqueeze(1)
    ours = notebook["instance_mask"](ids, kernel_size, stride, padding)
    theirs = textbook.instance_mask(ids, kernel_size, stride, padding)
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert (ours.numpy() == 0).any() == (kernel_size > 1)


def test_the_lookup_equals_the_packages(random, notebook):
    ids = blocks(random, (9, 11), 2, 6, n=1)
    layout, layer, x = il.Layout(ids * 0, ids, 1), il.InstanceConv2D(3, 4, 3, padding=1), leaf(random, 1, 3, 9, 11)
    rows = notebook["rows_to_read"](ids[0])
    np.testing.assert_array_equal(rows, layout.taps((9, 11), 3, padding=1).numpy()[0])
    ours = notebook["conv_by_lookup"](x, rows, layer.weight, layer.bias)
    assert_same(random, ours, layer(x, layout), [x, *layer.parameters()])


@pytest.mark.parametrize("options", [(3, 1, 1), (3, 2, 1), (5, 1, 2), (3, 1, 0), (1, 1, 0)], ids=str)
@pytest.mark.parametrize(
    "maps, features", [((12, 12), (12, 12)), ((32, 24), (8, 6)), ((26, 13), (22, 11)), ((9, 7), (20, 31))]
)
def test_the_convolution_equals_the_packages(random, notebook, maps, features, options):
    ours, theirs = (make(3, 5, *options) for make in (notebook["InstanceConv2D"], il.InstanceConv2D))
    names = share_weights(random, ours, theirs)
    assert sorted(names) == ["bias", "weight"]
    layout, x = layout_of(random, maps), leaf(random, 2, 3, *features)
    inputs = [[x, *parameters(network, names)] for network in (ours, theirs)]
    assert_same(random, ours(x, layout), theirs(x, layout), *inputs)


@SEEDS
def test_the_function_and_the_loop_before_the_class_agree_with_it(random, notebook):
    layer, x, layout = il.InstanceConv2D(4, 6, 3, padding=1), normal(random, 2, 4, 7, 9), layout_of(random, (7, 9))
    share_weights(random, layer, layer)
    arguments = x, layout.instance.unsqueeze(1), layer.weight, layer.bias
    assert_close(notebook["instance_conv"](*arguments), layer(x, layout))
    looped = notebook["conv_by_loop"](*(value.numpy() for value in arguments))
    assert_close(looped, layer(x, layout))


@SEEDS
def test_the_mean_equals_the_textbooks(random, notebook):
    layout, x = layout_of(random, (10, 14)), leaf(random, 2, 6, 10, 14)
    ours, theirs = notebook["instance_mean"](x, layout), textbook.instance_mean(x, layout)
    assert_same(random, ours, theirs, [x])
    assert not ours.numpy()[:, [2, 5]].any()  # the absent ids
    assert_close(notebook["mean_by_loop"](x.numpy(), layout.instance.numpy(), 6), theirs)


@pytest.mark.parametrize("size, noise_dim, width", [((32, 48), 5, 4), ((64, 64), 3, 6)])
def test_the_encoder_equals_the_packages(random, notebook, size, noise_dim, width):
    ours, theirs = (make(noise_dim, width) for make in (notebook["InstanceEncoder"], il.InstanceEncoder))
    names = share_weights(random, ours, theirs)
    layout, image = layout_of(random, size, side=5), leaf(random, 2, 3, *size)
    a, b = ours(image, layout), theirs(image, layout)
    assert type(a) is type(b) is il.NoiseParams
    for x in (*a, *b):
        assert not x.numpy()[:, [2, 5]].any()
    # Instance norm takes the biases before it away: their gradients are rounding.
    learned = [name for name in names if name.endswith("weight") or name.startswith("heads")]
    assert_same(random, a, b, *([image, *parameters(network, learned)] for network in (ours, theirs)))


def test_both_encoders_start_alike(notebook):
    """The same random numbers, in the same order."""
    encoders = []
    for make in notebook["InstanceEncoder"], il.InstanceEncoder:
        paddle.seed(5)
        encoders.append(make(4, 8))
    assert_same_weights(*encoders, limit=0)


# ---- What the prose says


CELLS = nbformat.read(ROOT / "notebooks/03_instance_encoder.ipynb", 4).cells
PROSE = " ".join("\n".join(cell.source for cell in CELLS if cell.cell_type == "markdown").split())


def leak(encoder, count=32):
    """How far the means of neighbors that touch a recolored car move, and of all others: shares of its own move."""
    town, touching, far = il.ToyTown("val", 64), [], []
    for item in (town[k] for k in range(count)):
        ids, image = item["instance"], item["image"]
        car = ids[item["label"] == town.class_names.index("car")].min()
        own = ids == car
        batch = [item, item | {"image": np.where(own, np.roll(image, 1, axis=0), image)}]
        batch = il.collate(batch)
        with paddle.no_grad():
            params = encoder(paddle.to_tensor(batch["image"]), il.Layout.of(batch, town))
        means = np.concatenate([params.scale_mu.numpy(), params.bias_mu.numpy()], axis=2)
        moves = np.linalg.norm(means[1] - means[0], axis=1)
        padded = np.pad(own, 1)
        near = [padded[1 + y : 65 + y, 1 + x : 65 + x] for y in (-1, 0, 1) for x in (-1, 0, 1)]
        neighbors = set(ids[np.any(near, axis=0)].tolist()) - {car}
        others = set(ids.ravel().tolist()) - neighbors - {car}
        touching += [moves[i] / moves[car] for i in neighbors]
        far += [moves[i] / moves[car] for i in others]
    return np.mean(touching), np.mean(far)


def test_how_far_a_color_leaks_in_the_trained_encoder():
    near, far = leak(il.load_pretrained("inade").encoder)
    assert f"**trained**: {100 * near:.0f} % near the car and {100 * far:.0f} % far from it." in PROSE


def test_what_it_says_of_the_four_encoders_is_what_it_has_printed():
    (cell,) = (cell for cell in CELLS if '"aware, trained": influence(' in cell.source)
    text = "".join(output.get("text", "") for output in cell.outputs)
    rows = re.findall(r"^(\w[\w, ]+?) {2,}([\d.]+)% +([\d.]+)%$", text, re.MULTILINE)
    shares = {name: (float(touching) / 100, float(far) / 100) for name, touching, far in rows}
    plain, aware, bare, trained = (shares[k] for k in ("plain", "aware", "aware, no norm", "aware, trained"))
    assert f"**trained**: {trained[0]:.0%} near the car and {trained[1]:.0%} far".replace("%", " %") in PROSE
    assert "more than half as far as the car" in PROSE and plain[0] > 0.5
    assert "less than half of that is left near the car, about a quarter far from it" in PROSE
    assert aware[0] < 0.5 * plain[0] and 0.2 < aware[1] / plain[1] < 0.3
    assert "far from the car the leak is gone" in PROSE and bare[1] < 0.001
    assert "Near the car nearly all of it stays" in PROSE and bare[0] > 0.8 * aware[0]
    assert "a neighbor moves 7 % as far as the recolored car, a far instance 2 %." in PROSE


def test_its_last_section_tells_what_the_plain_encoder_measures():
    rows = {row["name"]: row for row in json.loads((ROOT / "data/results/table.json").read_text("utf-8"))["rows"]}
    found = {}
    forms = ("{:.2f} [{:.2f}, {:.2f}]", "{:.2f} [{:.2f}, {:.2f}]", "{:.1f} [{:.1f}, {:.1f}]", "{:.2f} [{:.2f}, {:.2f}]")
    for title, name in ("INADE", "inade_short"), ("with the plain encoder", "plain_encoder_short"):
        measures = rows[name]["measures"]
        spread, correlation, color = (measures[k]["mean"] for k in ("spread_ratio", "correlation", "color_distance"))
        found[name] = spread, correlation, color, measures["lite0_kid"]
        cells = [form.format(*estimate) for form, estimate in zip(forms, found[name], strict=True)]
        assert f"| {title} | {' | '.join(cells)} |" in PROSE
    (spread, _, color, distance), (plain_spread, plain, plain_color, plain_distance) = found.values()
    assert "Samples are as independent with the plain encoder" in PROSE and plain[1] < 0 < plain[2]
    assert plain_spread[2] < spread[1] and "a little less variety" in PROSE
    assert plain_color[1] > color[2] and "their colors are further off" in PROSE
    assert plain_distance[2] < distance[1] and "the *better* ones by Lite0-KID" in PROSE
    assert "It was trained once, INADE three times, each 2000 steps long" in PROSE
    runs = [len(rows[name]["runs"]) for name in ("plain_encoder_short", "inade_short")]
    assert runs == [1, 3] and all(rows[name]["steps"] == 2000 for name in found)
