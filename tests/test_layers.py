"""The layers against the textbook forms, NumPy loops, and what must not change."""

import numpy as np
import paddle
import pytest

import inade_lite as il
from inade_lite import textbook
from inade_lite.encoder import instance_means
from inade_lite.kernels import instance_norm

RANDOM = np.random.default_rng(11)
# Matrix products on a GPU may run in TF32.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5} if il.setup.runtime.device() == "cpu" else {"rtol": 1e-2, "atol": 1e-2}


def normal(*shape):
    return paddle.to_tensor(RANDOM.normal(size=shape).astype("float32"), stop_gradient=False)


def random_layout(n=2, size=(12, 20), classes=4, instances=9):
    """Instances span classes here."""
    return il.Layout(RANDOM.integers(0, classes, [n, *size]), RANDOM.integers(0, instances, [n, *size]), classes)


def assert_same_gradients(a, b, inputs):
    """a and b are results to compare, values and gradients with regard to inputs."""
    np.testing.assert_allclose(a.numpy(), b.numpy(), **TOLERANCE)
    weight = normal(*a.shape).detach()
    ours, theirs = (paddle.grad((result * weight).sum(), inputs) for result in (a, b))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-3, atol=TOLERANCE["atol"] * 10)


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("instances", [9, 200], ids=["matmul", "gather"])
@pytest.mark.parametrize("size", [(12, 20), (6, 10), (5, 7), (17, 33)])
def test_inade_equals_the_textbook(norm, instances, size):
    layer, layout = il.INADE(6, 4, 3, norm), random_layout(instances=instances)
    x, noise = normal(2, 6, *size), normal(2, layout.num_instances, 2, 3)
    layer.bias.set_value(normal(4, 6, 2))
    layer.eval()
    inputs = [x, noise, *layer.parameters()]
    assert_same_gradients(layer(x, layout, noise), textbook.inade(layer, x, layout, noise), inputs)


def test_inade_equals_a_loop_over_pixels():
    layer, layout = il.INADE(2, 4, 3), random_layout(size=(4, 5))
    x, noise = normal(2, 2, 4, 5), normal(2, layout.num_instances, 2, 3)
    w, b = layer.weight.numpy(), RANDOM.normal(size=[4, 2, 2]).astype("float32")
    layer.bias.set_value(b)
    n = noise.numpy() @ layer.fc_noise.weight.numpy() + layer.fc_noise.bias.numpy()
    values = x.numpy().astype("float64")
    mean, var = values.mean((2, 3), keepdims=True), values.var((2, 3), keepdims=True)
    expected = (values - mean) / np.sqrt(var + 1e-5)
    for k, y, z in np.ndindex(2, 4, 5):
        c, i = layout.label.numpy()[k, y, z], layout.instance.numpy()[k, y, z]
        scale, shift = (w[c, :, half] * n[k, i, half] + b[c, :, half] for half in range(2))
        expected[k, :, y, z] = scale * expected[k, :, y, z] + shift
    np.testing.assert_allclose(layer(x, layout, noise).numpy(), expected, **TOLERANCE)


def test_inade_starts_as_the_paper_says():
    layer = il.INADE(50, 40, 3)
    assert 0 <= float(layer.weight.min()) < 0.01 and 0.99 < float(layer.weight.max()) <= 1
    assert (layer.bias.numpy() == 0).all() and layer.bias.shape == layer.weight.shape
    assert not list(layer.norm.parameters())


def test_permuting_instance_ids_together_with_their_noise_changes_nothing():
    layer, layout = il.INADE(6, 4, 3), random_layout()
    x, noise = normal(2, 6, 12, 20), normal(2, layout.num_instances, 2, 3)
    order = RANDOM.permutation(layout.num_instances)
    shuffled = il.Layout(layout.label, np.argsort(order)[layout.instance.numpy()], 4)
    a, b = layer(x, layout, noise), layer(x, shuffled, noise.index_select(paddle.to_tensor(order), axis=1))
    np.testing.assert_allclose(a.numpy(), b.numpy(), **TOLERANCE)


def test_one_instances_noise_changes_its_pixels_and_no_others():
    layer, layout = il.INADE(6, 4, 3), random_layout()
    x, noise = normal(2, 6, 12, 20), normal(2, layout.num_instances, 2, 3).detach()
    other = noise.clone()
    other[:, 5] = normal(2, 2, 3)
    changed = (layer(x, layout, noise) - layer(x, layout, other)).abs().max(axis=1).numpy()
    assert ((changed > 0) == (layout.instance.numpy() == 5)).all()


@pytest.mark.parametrize("size", [(4, 5), (1, 1)])
def test_instance_norm_equals_paddles_and_its_formula(size):
    x = normal(2, 3, *size)
    assert_same_gradients(instance_norm(x), paddle.nn.functional.instance_norm(x), [x])
    values = x.numpy().astype("float64")
    mean, variance = (f(values, axis=(2, 3), keepdims=True) for f in (np.mean, np.var))
    np.testing.assert_allclose(instance_norm(x).numpy(), (values - mean) / np.sqrt(variance + 1e-5), **TOLERANCE)


def test_batch_norm_keeps_the_unbiased_running_variance():
    norm, x = il.INADE(3, 1, 1, norm="batch").norm, normal(2, 3, 4, 5)
    norm(x)
    np.testing.assert_allclose(norm.running_mean.numpy(), 0.1 * x.numpy().mean((0, 2, 3)), **TOLERANCE)
    np.testing.assert_allclose(norm.running_var.numpy(), 0.9 + 0.1 * x.numpy().var((0, 2, 3), ddof=1), **TOLERANCE)


def test_an_unknown_norm_is_told():
    with pytest.raises(ValueError, match="norm='layer'.*instance.*batch"):
        il.INADE(3, 1, 1, norm="layer")


def test_a_sketch_is_merged_behind_the_modulation():
    layer, layout = il.INADE(3, 4, 2, sketch=True), random_layout()
    x, noise, sketch = normal(2, 3, 12, 20), normal(2, layout.num_instances, 2, 2), normal(2, 1, 12, 20)
    plain = layer(x, layout, noise)
    both = paddle.concat([plain, layer.sketch_conv(sketch)], axis=1)
    expected = paddle.einsum("ok,nkhw->nohw", layer.merge_conv.weight[:, :, 0, 0], both)
    np.testing.assert_allclose(layer(x, layout, noise, sketch).numpy(), expected.numpy(), **TOLERANCE)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (5, 1, 2), (1, 1, 0), (1, 1, 1), (3, 1, 0)]
)
def test_instance_convolution_equals_the_textbook_and_a_loop(kernel, stride, padding):
    layer, layout = il.InstanceConv2D(3, 4, kernel, stride, padding), random_layout(instances=3)
    x = normal(2, 3, 12, 20)
    out = layer(x, layout)
    assert_same_gradients(out, textbook.instance_conv(layer, x, layout), [x, *layer.parameters()])
    ids = np.pad(layout.instance.numpy(), [(0, 0), (padding, padding), (padding, padding)])
    values = np.pad(x.numpy(), [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    for n, y, z in [(0, 0, 0), (1, 2, 3), (1, out.shape[2] - 1, out.shape[3] - 1)]:
        rows, columns = slice(y * stride, y * stride + kernel), slice(z * stride, z * stride + kernel)
        mask = ids[n, rows, columns] == ids[n, rows, columns][kernel // 2, kernel // 2]
        expected = (layer.weight.numpy() * values[n, :, rows, columns] * mask).sum((1, 2, 3)) + layer.bias.numpy()
        np.testing.assert_allclose(out.numpy()[n, :, y, z], expected, **TOLERANCE)


def test_a_single_instance_makes_it_a_plain_convolution():
    layer, x = il.InstanceConv2D(3, 4, 3, stride=2, padding=1), normal(2, 3, 12, 20)
    layout = il.Layout(np.zeros([2, 12, 20], int), np.full([2, 12, 20], 8), 1)
    plain = paddle.nn.functional.conv2d(x, layer.weight, layer.bias, 2, 1)
    np.testing.assert_allclose(layer(x, layout).numpy(), plain.numpy(), **TOLERANCE)


def test_what_happens_in_one_instance_stays_there():
    layer, layout = il.InstanceConv2D(3, 4, 3, padding=1), random_layout(instances=4)
    inside = layout.instance.numpy() == 2
    x = normal(2, 3, 12, 20)
    other = x + normal(2, 3, 12, 20) * paddle.to_tensor(inside[:, None].astype("float32"))
    changed = (layer(x, layout) - layer(other, layout)).abs().max(axis=1).numpy() > 0
    assert changed[inside].any() and not changed[~inside].any()


def test_an_even_kernel_has_no_centre():
    with pytest.raises(ValueError, match="kernel_size=4.*odd"):
        il.InstanceConv2D(3, 4, 4)


def test_means_of_taps_equal_means_of_convolutions():
    heads, x = [il.InstanceConv2D(3, 2, 3, padding=1) for _ in range(4)], normal(2, 3, 12, 20)
    layout = il.Layout(*(RANDOM.integers(0, 5, [2, 12, 20]) for _ in range(2)), 5, num_instances=7)
    for mean, head in zip(instance_means(heads, x, layout), heads, strict=True):
        full = textbook.instance_mean(textbook.instance_conv(head, x, layout), layout)
        assert_same_gradients(mean, full, [x, *head.parameters()])
        assert (mean.numpy()[:, 5:] == 0).all()  # absent
        # A strided view would be read wrongly by Paddle 3.2 where a list indexes it.
        assert (mean[:, [0, 3]].numpy() == mean.numpy()[:, [0, 3]]).all()
