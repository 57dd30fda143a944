"""What notebook 3 builds by hand equals the package: values and every gradient."""

import numpy as np
import paddle
import pytest
from notebook_definitions import load_definitions

import inade_lite as il
from inade_lite import textbook

# Matrix products on a GPU may run in TF32.
TOLERANCE = 1e-4 if il.setup.runtime.device() == "cpu" else 2e-2


@pytest.fixture(scope="module")
def notebook():
    return load_definitions("3_")


def tensor(random, *shape):
    return paddle.to_tensor(random.standard_normal(shape).astype("float32"), stop_gradient=False)


def blocks(random, n, size, block, instances):
    """Maps [n, *size] of square patches, so that windows lie inside of an instance, on borders and in corners."""
    patches = random.integers(0, instances, [n, *(-(-side // block) for side in size)])
    return patches.repeat(block, 1).repeat(block, 2)[:, : size[0], : size[1]]


def layout_of(random, size, block=3, instances=5):
    """Two images; the last id, instances, and one in the middle never occur."""
    ids = blocks(random, 2, size, block, instances)
    ids[ids == 2] = 1
    return il.Layout(ids * 0, ids, 1, instances + 1)


def assert_close(a, b, scale=None):
    a, b = a.numpy(), b.numpy()
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE * (scale or max(1, np.abs(b).max())))


def share_weights(random, ours, theirs):
    """The same random parameters for both, by the names of the package."""
    state = {name: tensor(random, *p.shape) / np.sqrt(max(p[0].size, 1)) for name, p in theirs.named_parameters()}
    for network in ours, theirs:
        missing, unexpected = network.set_state_dict(state)
        assert not missing and not unexpected
    return list(state)


def assert_same_gradients(random, ours, theirs, outputs, names, *inputs):
    """Gradients of one random linear functional of the outputs, for the named parameters and for the inputs."""
    upstream = [tensor(random, *y.shape).detach() for y in outputs[0]]
    gradients = []
    for network, ys in zip((ours, theirs), outputs, strict=True):
        wanted = [*inputs, *(dict(network.named_parameters())[name] for name in names)]
        gradients.append(paddle.grad(sum((y * u).sum() for y, u in zip(ys, upstream, strict=True)), wanted))
    for a, b in zip(*gradients, strict=True):
        assert np.abs(b.numpy()).max() > 0
        assert_close(a, b)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kernel_size, stride, padding", [(3, 1, 1), (3, 2, 1), (5, 1, 2), (3, 1, 0), (1, 1, 0)])
def test_the_mask_equals_the_textbooks(notebook, kernel_size, stride, padding, seed):
    random = np.random.default_rng([seed, kernel_size, stride, padding])
    ids = paddle.to_tensor(blocks(random, 2, (9, 11), 2, 6)).unsqueeze(1)
    ours = notebook["instance_mask"](ids, kernel_size, stride, padding)
    theirs = textbook.instance_mask(ids, kernel_size, stride, padding)
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert 0 < ours.numpy().mean() <= 1


def test_the_lookup_equals_the_packages(notebook):
    random = np.random.default_rng(5)
    ids = blocks(random, 1, (9, 11), 2, 6)
    layout, layer, x = il.Layout(ids * 0, ids, 1), il.InstanceConv2D(3, 4, 3, padding=1), tensor(random, 1, 3, 9, 11)
    rows = notebook["rows_to_read"](ids[0])
    np.testing.assert_array_equal(rows, layout.taps((9, 11), 3, padding=1).numpy()[0])
    inputs, ours = [x, *layer.parameters()], notebook["conv_by_lookup"](x, rows, layer.weight, layer.bias)
    upstream = tensor(random, *ours.shape)
    gradients = [paddle.grad((y * upstream).sum(), inputs) for y in (ours, layer(x, layout))]
    assert_close(ours, layer(x, layout))
    for a, b in zip(*gradients, strict=True):
        assert_close(a, b)


@pytest.mark.parametrize("options", [(3, 1, 1), (3, 2, 1), (5, 1, 2), (3, 1, 0), (1, 1, 0)], ids=str)
@pytest.mark.parametrize(
    "maps, features", [((12, 12), (12, 12)), ((32, 24), (8, 6)), ((26, 13), (22, 11)), ((9, 7), (20, 31))]
)
def test_the_convolution_equals_the_packages(notebook, maps, features, options):
    random = np.random.default_rng([*maps, *features, *options])
    ours, theirs = (make(3, 5, *options) for make in (notebook["InstanceConv2D"], il.InstanceConv2D))
    names = share_weights(random, ours, theirs)
    assert sorted(names) == ["bias", "weight"]
    layout, x = layout_of(random, maps), tensor(random, 2, 3, *features)
    a, b = ours(x, layout), theirs(x, layout)
    assert_close(a, b)
    assert_same_gradients(random, ours, theirs, ([a], [b]), names, x)


@pytest.mark.parametrize("seed", range(3))
def test_the_function_and_the_loop_before_the_class_agree_with_it(notebook, seed):
    random = np.random.default_rng([seed, 3])
    layer, x, layout = il.InstanceConv2D(4, 6, 3, padding=1), tensor(random, 2, 4, 7, 9), layout_of(random, (7, 9))
    share_weights(random, layer, layer)
    arguments = x, layout.instance.unsqueeze(1), layer.weight, layer.bias
    assert_close(notebook["instance_conv"](*arguments), layer(x, layout))
    looped = notebook["conv_by_loop"](*(value.numpy() for value in arguments))
    assert_close(paddle.to_tensor(looped), layer(x, layout))


@pytest.mark.parametrize("seed", range(3))
def test_the_mean_equals_the_textbooks(notebook, seed):
    random = np.random.default_rng([seed, 4])
    layout, x = layout_of(random, (10, 14)), tensor(random, 2, 6, 10, 14)
    ours, theirs = notebook["instance_mean"](x, layout), textbook.instance_mean(x, layout)
    assert_close(ours, theirs)
    assert not ours[:, [2, 5]].numpy().any()  # the absent ids
    assert_close(paddle.to_tensor(notebook["mean_by_loop"](x.numpy(), layout.instance.numpy(), 6)), theirs)
    upstream = tensor(random, *theirs.shape).detach()
    assert_close(*(paddle.grad((y * upstream).sum(), x)[0] for y in (ours, theirs)))


@pytest.mark.parametrize("size, noise_dim, width", [((32, 48), 5, 4), ((64, 64), 3, 6)])
def test_the_encoder_equals_the_packages(notebook, size, noise_dim, width):
    random = np.random.default_rng([*size, noise_dim])
    ours, theirs = (make(noise_dim, width) for make in (notebook["InstanceEncoder"], il.InstanceEncoder))
    names = share_weights(random, ours, theirs)
    layout, image = layout_of(random, size, block=5), tensor(random, 2, 3, *size)
    a, b = ours(image, layout), theirs(image, layout)
    assert type(a) is type(b) is il.NoiseParams
    for x, y in zip(a, b, strict=True):
        assert_close(x, y)
        assert not x.numpy()[:, [2, 5]].any() and not y.numpy()[:, [2, 5]].any()
    # Instance norm takes the biases before it away: their gradients are rounding.
    learned = [name for name in names if name.endswith("weight") or name.startswith("heads")]
    assert_same_gradients(random, ours, theirs, (a, b), learned, image)


def test_both_encoders_start_alike(notebook):
    """The same random numbers, in the same order."""
    states = []
    for make in notebook["InstanceEncoder"], il.InstanceEncoder:
        paddle.seed(5)
        states.append(make(4, 8).state_dict())
    assert list(states[0]) == list(states[1])
    for name, value in states[0].items():
        np.testing.assert_array_equal(value.numpy(), states[1][name].numpy(), err_msg=name)
