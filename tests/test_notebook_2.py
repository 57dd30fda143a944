"""What notebook 2 builds by hand equals the package: values and every gradient. And its sentences are true."""

import json
import re

import nbformat
import numpy as np
import paddle
import pytest
from helpers import ROOT, assert_close, assert_same, leaf, normal, random_layout

import inade_lite as il

CLASSES, CHANNELS, NOISE_DIM = 5, 6, 3


def two_layers(notebook, random):
    """The notebook's layer and the package's, with the same random parameters."""
    ours, theirs = (make(CHANNELS, CLASSES, NOISE_DIM) for make in (notebook["INADE"], il.INADE))
    state = {name: normal(random, *p.shape) for name, p in theirs.named_parameters()}
    assert sorted(state) == ["bias", "fc_noise.bias", "fc_noise.weight", "weight"]
    for layer in ours, theirs:
        missing, unexpected = layer.set_state_dict(state)
        assert not missing and not unexpected
    return ours, theirs


@pytest.mark.parametrize("instances", [7, 150], ids=["matmul", "gather"])
@pytest.mark.parametrize(
    "maps, features",
    [((16, 16), (16, 16)), ((32, 24), (8, 6)), ((66, 66), (50, 50)), ((26, 13), (22, 11)), ((9, 7), (20, 31))],
)
def test_the_layer_equals_the_packages(random, notebook, maps, features, instances):
    ours, theirs = two_layers(notebook, random)
    layout = random_layout(random, maps, CLASSES - 1, instances, spare=1)
    x, noise = leaf(random, 2, CHANNELS, *features), leaf(random, 2, instances + 1, 2, NOISE_DIM)
    inputs = [[x, noise, *(p for _, p in sorted(layer.named_parameters()))] for layer in (ours, theirs)]
    assert_same(random, ours(x, layout, noise), theirs(x, layout, noise), *inputs)
    for layer in ours, theirs:
        (of_noise,) = paddle.grad(layer(x, layout, noise).sum(), noise)
        assert not of_noise[:, instances].numpy().any()  # the absent instance


def test_a_new_layer_starts_like_the_packages(notebook):
    ours, theirs = (make(40, 30, NOISE_DIM) for make in (notebook["INADE"], il.INADE))
    for layer in ours, theirs:
        weight = layer.weight.numpy()
        assert weight.min() >= 0 and weight.max() <= 1
        assert abs(weight.mean() - 1 / 2) < 0.03 and abs(weight.std() - 12**-0.5) < 0.03
        assert not layer.bias.numpy().any()


def test_the_loop_equals_the_layer(random, notebook):
    _, theirs = two_layers(notebook, random)
    layout, x = random_layout(random, (5, 4), CLASSES - 1, spare=1), normal(random, 2, CHANNELS, 5, 4)
    noise = normal(random, 2, layout.num_instances, 2, NOISE_DIM)
    n = theirs.fc_noise(noise)
    maps = layout.label.numpy(), layout.instance.numpy()
    out = notebook["inade_loop"](
        theirs.norm(x).numpy(), *maps, n.detach().numpy(), theirs.weight.numpy(), theirs.bias.numpy()
    )
    assert_close(out, theirs(x, layout, noise))


def test_nearest_indices_equal_the_packages(random, notebook):
    for source, target in random.integers(1, 700, [500, 2]).tolist() + [[26, 22], [66, 50]]:
        expected = il.maps.nearest_indices(source, target)
        np.testing.assert_array_equal(notebook["nearest_indices"](source, target), expected)


# ---- What the prose says


CELLS = nbformat.read(ROOT / "notebooks/02_inade_layer.ipynb", 4).cells
PROSE = " ".join(" ".join(cell.source for cell in CELLS if cell.cell_type == "markdown").split())


def printed_by(line):
    """What the one cell with this line of code has printed."""
    (cell,) = (cell for cell in CELLS if cell.cell_type == "code" and line in cell.source)
    return "".join(output.get("text", "") for output in cell.outputs)


def test_how_often_the_bias_of_fc_noise_moves_a_center_farther_than_b():
    shares, weights = [], []
    for layer in il.load_pretrained("inade").generator.sublayers():
        if isinstance(layer, il.INADE):
            a = layer.fc_noise.bias.numpy()[None, :, None]
            larger = np.abs(layer.weight.numpy() * a) > np.abs(layer.bias.numpy())
            shares.append(larger.mean())
            weights.append(larger.size)
    assert f"In {np.average(shares, weights=weights):.0%} of all cases".replace("%", " %") in PROSE
    assert "in some layers in two cases of three" in PROSE
    assert sum(abs(share - 2 / 3) < 0.02 for share in shares) >= 2 and max(shares) < 0.7


def test_the_table_says_what_a_noise_per_layer_costs():
    rows = {row["name"]: row for row in json.loads((ROOT / "data/results/table.json").read_text("utf-8"))["rows"]}
    own, shared = rows["independent_noise_short"], rows["inade_short"]
    spreads = [row["measures"]["spread_ratio"]["mean"][0] for row in (own, shared)]
    distances = [row["measures"]["lite0_kid"][0] for row in (own, shared)]
    assert "Its spread ratio is {:.2f} beside INADE's {:.2f},".format(*spreads) in PROSE
    assert "is {:.2f} beside {:.2f}.".format(*distances) in PROSE
    assert "(One training beside three, 2000 steps each.)" in PROSE
    assert (len(own["runs"]), len(shared["runs"])) == (1, 3) and own["steps"] == shared["steps"] == 2000


def test_a_noise_per_layer_halves_the_spread_of_the_small_network():
    assert "the colors vary nearly as in the data. With own noises they vary about half as far" in PROSE
    found = dict(re.findall(r"(shared|own) +([\d.]+)", printed_by("def spread(colors):")))
    assert 0.8 < float(found["shared"]) < 1.1
    assert 0.4 < float(found["own"]) / float(found["shared"]) < 0.62


def test_votes_agree_where_the_noise_is_shared():
    numbers = re.findall(r"-?\d\.\d*", printed_by("votes = [layer.modulation("))
    shared, own = np.array(numbers, float).reshape(2, 4, 4)
    apart = ~np.eye(4, dtype=bool)
    assert shared[apart].min() > 0.4 and np.abs(own[apart]).max() < 0.3
