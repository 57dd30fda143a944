"""What notebook 2 builds by hand equals the package: values and every gradient."""

import numpy as np
import paddle
import pytest
from notebook_definitions import load_definitions

import inade_lite as il

CLASSES, CHANNELS, NOISE_DIM = 5, 6, 3
# Matrix products on a GPU may run in TF32.
TOLERANCE = 1e-4 if il.setup.runtime.device() == "cpu" else 2e-2


@pytest.fixture(scope="module")
def notebook():
    return load_definitions("2_")


def tensor(random, *shape):
    return paddle.to_tensor(random.standard_normal(shape).astype("float32"), stop_gradient=False)


def random_layout(random, size, instances=7):
    """Every pixel by itself: instances span classes; the last class and one instance never occur."""
    label = random.integers(0, CLASSES - 1, [2, *size])
    return il.Layout(label, random.integers(0, instances, [2, *size]), CLASSES, instances + 1)


def two_layers(notebook, random):
    """The notebook's layer and the package's, with the same random parameters."""
    ours, theirs = (make(CHANNELS, CLASSES, NOISE_DIM) for make in (notebook["INADE"], il.INADE))
    state = {name: tensor(random, *p.shape) for name, p in theirs.named_parameters()}
    assert sorted(state) == ["bias", "fc_noise.bias", "fc_noise.weight", "weight"]
    for layer in ours, theirs:
        missing, unexpected = layer.set_state_dict(state)
        assert not missing and not unexpected
    return ours, theirs


def assert_close(a, b):
    b = b.numpy()
    np.testing.assert_allclose(a.numpy(), b, rtol=0, atol=TOLERANCE * max(1, np.abs(b).max()))


@pytest.mark.parametrize("instances", [7, 150], ids=["matmul", "gather"])
@pytest.mark.parametrize(
    "maps, features",
    [((16, 16), (16, 16)), ((32, 24), (8, 6)), ((66, 66), (50, 50)), ((26, 13), (22, 11)), ((9, 7), (20, 31))],
)
def test_the_layer_equals_the_packages(notebook, maps, features, instances):
    random = np.random.default_rng([*maps, *features, instances])
    ours, theirs = two_layers(notebook, random)
    layout = random_layout(random, maps, instances)
    x, noise = tensor(random, 2, CHANNELS, *features), tensor(random, 2, instances + 1, 2, NOISE_DIM)
    a, b = ours(x, layout, noise), theirs(x, layout, noise)
    assert_close(a, b)

    upstream = tensor(random, *b.shape).detach()
    names = ["x", "noise", *(name for name, _ in theirs.named_parameters())]
    grads = [
        paddle.grad((out * upstream).sum(), [x, noise, *(p for _, p in sorted(layer.named_parameters()))])
        for layer, out in ((ours, a), (theirs, b))
    ]
    assert len(grads[0]) == len(grads[1]) == len(names)
    for one, other in zip(*grads, strict=True):
        assert_close(one, other)
        assert np.abs(other.numpy()).max() > 0
    assert np.abs(grads[1][1][:, instances].numpy()).max() == 0  # the noise of the absent instance


def test_a_new_layer_starts_like_the_packages(notebook):
    paddle.seed(5)
    ours, theirs = (make(40, 30, NOISE_DIM) for make in (notebook["INADE"], il.INADE))
    for layer in ours, theirs:
        weight = layer.weight.numpy()
        assert weight.min() >= 0 and weight.max() <= 1
        assert abs(weight.mean() - 1 / 2) < 0.03 and abs(weight.std() - 12**-0.5) < 0.03
        assert not layer.bias.numpy().any()


def test_the_loop_equals_the_layer(notebook):
    random = np.random.default_rng(6)
    _, theirs = two_layers(notebook, random)
    layout, x = random_layout(random, (5, 4)), tensor(random, 2, CHANNELS, 5, 4)
    noise = tensor(random, 2, layout.num_instances, 2, NOISE_DIM)
    n = theirs.fc_noise(noise)
    maps = layout.label.numpy(), layout.instance.numpy()
    out = notebook["inade_loop"](
        theirs.norm(x).numpy(), *maps, n.detach().numpy(), theirs.weight.numpy(), theirs.bias.numpy()
    )
    assert_close(paddle.to_tensor(out), theirs(x, layout, noise).detach())


def test_nearest_indices_equal_the_packages(notebook):
    for source, target in np.random.default_rng(7).integers(1, 700, [500, 2]).tolist() + [[26, 22], [66, 50]]:
        expected = il.maps.nearest_indices(source, target)
        np.testing.assert_array_equal(notebook["nearest_indices"](source, target), expected)
