"""The layers against the textbook forms, NumPy loops, and what must not change."""

import numpy as np
import paddle
import pytest
from helpers import assert_close, assert_same, leaf, normal, random_layout

import inade_lite as il
from inade_lite import textbook
from inade_lite.encoder import instance_means
from inade_lite.kernels import instance_norm


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("instances", [9, 200], ids=["matmul", "gather"])
@pytest.mark.parametrize("size", [(12, 20), (6, 10), (5, 7), (17, 33)])
def test_inade_equals_the_textbook(random, norm, instances, size):
    layer, layout = il.INADE(6, 4, 3, norm), random_layout(random, instances=instances)
    x, noise = leaf(random, 2, 6, *size), leaf(random, 2, layout.num_instances, 2, 3)
    layer.bias.set_value(normal(random, 4, 6, 2))
    layer.eval()
    inputs = [x, noise, *layer.parameters()]
    assert_same(random, layer(x, layout, noise), textbook.inade(layer, x, layout, noise), inputs)


def test_inade_equals_a_loop_over_pixels(random):
    layer, layout = il.INADE(2, 4, 3), random_layout(random, size=(4, 5))
    x, noise = normal(random, 2, 2, 4, 5), normal(random, 2, layout.num_instances, 2, 3)
    w, b = layer.weight.numpy(), random.standard_normal([4, 2, 2]).astype("float32")
    layer.bias.set_value(b)
    n = noise.numpy() @ layer.fc_noise.weight.numpy() + layer.fc_noise.bias.numpy()
    values = x.numpy().astype("float64")
    mean, var = values.mean((2, 3), keepdims=True), values.var((2, 3), keepdims=True)
    expected = (values - mean) / np.sqrt(var + 1e-5)
    for k, y, z in np.ndindex(2, 4, 5):
        c, i = layout.label.numpy()[k, y, z], layout.instance.numpy()[k, y, z]
        scale, shift = (w[c, :, half] * n[k, i, half] + b[c, :, half] for half in range(2))
        expected[k, :, y, z] = scale * expected[k, :, y, z] + shift
    assert_close(layer(x, layout, noise), expected)


def test_inade_starts_as_the_paper_says():
    layer = il.INADE(50, 40, 3)
    assert 0 <= float(layer.weight.min()) < 0.01 and 0.99 < float(layer.weight.max()) <= 1
    assert (layer.bias.numpy() == 0).all() and layer.bias.shape == layer.weight.shape
    assert not list(layer.norm.parameters())


def test_permuting_instance_ids_together_with_their_noise_changes_nothing(random):
    layer, layout = il.INADE(6, 4, 3), random_layout(random)
    x, noise = normal(random, 2, 6, 12, 20), normal(random, 2, layout.num_instances, 2, 3)
    order = random.permutation(layout.num_instances)
    shuffled = il.Layout(layout.label, np.argsort(order)[layout.instance.numpy()], 4)
    a, b = layer(x, layout, noise), layer(x, shuffled, noise.index_select(paddle.to_tensor(order), axis=1))
    assert_close(a, b)


def test_one_instances_noise_changes_its_pixels_and_no_others(random):
    layer, layout = il.INADE(6, 4, 3), random_layout(random)
    x, noise = normal(random, 2, 6, 12, 20), normal(random, 2, layout.num_instances, 2, 3)
    other = noise.clone()
    other[:, 5] = normal(random, 2, 2, 3)
    changed = (layer(x, layout, noise) - layer(x, layout, other)).abs().max(axis=1).numpy()
    assert ((changed > 0) == (layout.instance.numpy() == 5)).all()


def test_instance_norm_equals_paddles_and_its_formula(random):
    x = leaf(random, 2, 3, 4, 5)
    assert_same(random, instance_norm(x), paddle.nn.functional.instance_norm(x), [x])
    values = x.numpy().astype("float64")
    mean, variance = (f(values, axis=(2, 3), keepdims=True) for f in (np.mean, np.var))
    assert_close(instance_norm(x), (values - mean) / np.sqrt(variance + 1e-5))
    dot = leaf(random, 2, 3, 1, 1)
    for zeros in (instance_norm(dot), *paddle.grad(instance_norm(dot).sum(), dot)):
        assert not zeros.numpy().any()


def test_batch_norm_keeps_the_unbiased_running_variance(random):
    norm, x = il.INADE(3, 1, 1, norm="batch").norm, normal(random, 2, 3, 4, 5)
    norm(x)
    assert_close(norm.running_mean, 0.1 * x.numpy().mean((0, 2, 3)))
    assert_close(norm.running_var, 0.9 + 0.1 * x.numpy().var((0, 2, 3), ddof=1))


def test_an_unknown_norm_is_told():
    with pytest.raises(ValueError, match="norm='layer'.*instance.*batch"):
        il.INADE(3, 1, 1, norm="layer")


def test_a_sketch_is_merged_behind_the_modulation(random):
    layer, layout = il.INADE(3, 4, 2, sketch=True), random_layout(random)
    x, sketch = normal(random, 2, 3, 12, 20), normal(random, 2, 1, 12, 20)
    noise = normal(random, 2, layout.num_instances, 2, 2)
    plain = layer(x, layout, noise)
    both = paddle.concat([plain, layer.sketch_conv(sketch)], axis=1)
    expected = paddle.einsum("ok,nkhw->nohw", layer.merge_conv.weight[:, :, 0, 0], both)
    assert_close(layer(x, layout, noise, sketch), expected)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (5, 1, 2), (1, 1, 0), (1, 1, 1), (3, 1, 0)]
)
def test_instance_convolution_equals_the_textbook_and_a_loop(random, kernel, stride, padding):
    layer, layout = il.InstanceConv2D(3, 4, kernel, stride, padding), random_layout(random, instances=3)
    x = leaf(random, 2, 3, 12, 20)
    out = layer(x, layout)
    assert_same(random, out, textbook.instance_conv(layer, x, layout), [x, *layer.parameters()])
    ids = np.pad(layout.instance.numpy(), [(0, 0), (padding, padding), (padding, padding)])
    values = np.pad(x.numpy(), [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    for n, y, z in [(0, 0, 0), (1, 2, 3), (1, out.shape[2] - 1, out.shape[3] - 1)]:
        rows, columns = slice(y * stride, y * stride + kernel), slice(z * stride, z * stride + kernel)
        mask = ids[n, rows, columns] == ids[n, rows, columns][kernel // 2, kernel // 2]
        expected = (layer.weight.numpy() * values[n, :, rows, columns] * mask).sum((1, 2, 3)) + layer.bias.numpy()
        assert_close(out.numpy()[n, :, y, z], expected)


def test_a_single_instance_makes_it_a_plain_convolution(random):
    layer, x = il.InstanceConv2D(3, 4, 3, stride=2, padding=1), normal(random, 2, 3, 12, 20)
    layout = il.Layout(np.zeros([2, 12, 20], int), np.full([2, 12, 20], 8), 1)
    plain = paddle.nn.functional.conv2d(x, layer.weight, layer.bias, 2, 1)
    assert_close(layer(x, layout), plain)


def test_what_happens_in_one_instance_stays_there(random):
    layer, layout = il.InstanceConv2D(3, 4, 3, padding=1), random_layout(random, instances=4)
    inside = layout.instance.numpy() == 2
    x = normal(random, 2, 3, 12, 20)
    other = x + normal(random, 2, 3, 12, 20) * paddle.to_tensor(inside[:, None].astype("float32"))
    changed = (layer(x, layout) - layer(other, layout)).abs().max(axis=1).numpy() > 0
    assert changed[inside].any() and not changed[~inside].any()


def test_an_even_kernel_has_no_centre():
    with pytest.raises(ValueError, match="kernel_size=4.*odd"):
        il.InstanceConv2D(3, 4, 4)


def test_means_of_taps_equal_means_of_convolutions(random):
    heads, x = [il.InstanceConv2D(3, 2, 3, padding=1) for _ in range(4)], leaf(random, 2, 3, 12, 20)
    layout = random_layout(random, instances=5, spare=2)
    for mean, head in zip(instance_means(heads, x, layout), heads, strict=True):
        full = textbook.instance_mean(textbook.instance_conv(head, x, layout), layout)
        assert_same(random, mean, full, [x, *head.parameters()])
        assert (mean.numpy()[:, 5:] == 0).all()  # absent
        # A strided view would be read wrongly by Paddle 3.2 where a list indexes it.
        assert (mean[:, [0, 3]].numpy() == mean.numpy()[:, [0, 3]]).all()
