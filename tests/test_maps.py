import tracemalloc

import numpy as np
import paddle
import pytest
from helpers import leaf, random_layout

import inade_lite as il
from inade_lite.maps import DENSE_SEGMENTS, Segments, _number, nearest_indices


def test_semantics_and_edges_of_a_case_worked_by_hand():
    layout = il.Layout([[[0, 0, 2]]], [[[0, 0, 5]]], 3)
    assert layout.num_instances == 6
    assert layout.semantics().numpy().tolist() == [[[[1, 1, 0]], [[0, 0, 0]], [[0, 0, 1]]]]
    assert layout.edges().numpy().tolist() == [[[[0, 1, 1]]]]


def test_edges_equal_a_loop_over_neighbours(random):
    layout = random_layout(random, instances=2)
    ids = np.pad(layout.instance.numpy(), [(0, 0), (1, 1), (1, 1)], mode="edge")
    expected = np.zeros([2, 1, 12, 20])
    for n, y, x in np.ndindex(2, 12, 20):
        around = [ids[n, y, x + 1], ids[n, y + 2, x + 1], ids[n, y + 1, x], ids[n, y + 1, x + 2]]
        expected[n, 0, y, x] = any(i != ids[n, y + 1, x + 1] for i in around)
    assert (layout.edges().numpy() == expected).all()


@pytest.mark.parametrize("kind", ["regions", "instances"])
@pytest.mark.parametrize("size", [None, (6, 10), (5, 7), (30, 31)])
def test_segments_know_every_pixels_class_and_instance(random, kind, size):
    layout = random_layout(random)
    segments = getattr(layout, kind)(size)
    h, w = size or layout.size
    rows, columns = nearest_indices(12, h), nearest_indices(20, w)
    instance = layout.instance.numpy()[:, rows[:, None], columns]
    owners = {"regions": layout.region_instance, "instances": layout.present_instance}[kind].numpy()
    for n in range(2):
        assert (owners[n][segments.index[n]] == instance[n] + n * layout.num_instances).all()
    if kind == "regions":
        label = layout.label.numpy()[:, rows[:, None], columns]
        assert all((layout.region_label.numpy()[n][segments.index[n]] == label[n]).all() for n in range(2))


@pytest.mark.parametrize("count", [5, DENSE_SEGMENTS + 1], ids=["matmul", "gather"])
def test_paint_and_pool_equal_loops_and_are_transposes(random, count):
    index = random.integers(0, count, [2, 6, 7])
    segments = Segments(index, count)
    a, b = leaf(random, 2, count, 3), leaf(random, 2, 3, 6, 7)
    table, x = a.numpy(), b.numpy()
    painted, pooled = np.zeros_like(x), np.zeros_like(table)
    for n, y, z in np.ndindex(*index.shape):
        painted[n, :, y, z] = table[n, index[n, y, z]]
        pooled[n, index[n, y, z]] += x[n, :, y, z]
    np.testing.assert_array_equal(segments.paint(a).numpy(), painted)
    np.testing.assert_allclose(segments.pool(b).numpy(), pooled, atol=1e-5)
    counts = [np.bincount(i.ravel(), minlength=count) for i in index]
    np.testing.assert_array_equal(segments.pixels.numpy()[:, :, 0], counts)
    (segments.paint(a) * b).sum().backward()
    np.testing.assert_allclose(a.grad.numpy(), pooled, atol=1e-5)


def test_nothing_is_as_large_as_instances_times_pixels(random):
    """Every pixel is an instance: a one-hot map of them would hold 268 million numbers."""

    def allocated(what):
        return getattr(paddle.base.core, f"host_memory_stat_{what}_value")("Allocated", 0)

    x = leaf(random, 1, 2, 128, 128)
    limit = max(allocated("peak"), allocated("current") + 50e6)  # Paddle 2.6 cannot forget an earlier peak
    inade, conv = il.INADE(2, 3, 4), il.InstanceConv2D(2, 2, 3, padding=1)
    tracemalloc.start()
    try:
        ids = np.arange(128 * 128).reshape(1, 128, 128)
        layout = il.Layout(ids % 3, ids, 3)
        y = conv(inade(x, layout, il.sample_noise(layout, 4)), layout)
        (y.sum() + layout.instances().mean(x).sum() + layout.scene().sum()).backward()
        assert tracemalloc.get_traced_memory()[1] < 50e6  # by NumPy
    finally:
        tracemalloc.stop()
    assert x.grad is not None and allocated("peak") <= limit  # by Paddle


def test_taps_and_border_equal_loops_over_windows(random):
    layout = random_layout(random, instances=3)
    ids = np.pad(layout.instance.numpy(), [(0, 0), (1, 1), (1, 1)], constant_values=-1)
    taps = layout.taps((12, 20), 3, stride=2, padding=1).numpy().reshape(2, 6, 10, 3, 3)
    for n, y, x, dy, dx in np.ndindex(2, 6, 10, 3, 3):
        row, column = 2 * y + dy - 1, 2 * x + dx - 1
        counts = ids[n, row + 1, column + 1] == ids[n, 2 * y + 1, 2 * x + 1]
        assert taps[n, y, x, dy, dx] == (n * 240 + row * 20 + column if counts else 480)
    segments = layout.instances()
    expected = set()
    for n, y, x, dy, dx in np.ndindex(2, 12, 20, 3, 3):
        if ids[n, y + 1 - (dy - 1), x + 1 - (dx - 1)] != ids[n, y + 1, x + 1]:
            row = (n * segments.count + segments.index[n, y, x]) * 9 + 3 * dy + dx
            expected.add((row, n * 240 + y * 20 + x))
    tap, pixel = layout.border((12, 20), 3)
    assert sorted(zip(tap.numpy()[:, 0].tolist(), pixel.tolist(), strict=True)) == sorted(expected)


def test_what_depends_on_the_maps_alone_is_made_once(random):
    layout = random_layout(random)
    assert layout.regions((6, 10)) is layout.regions((6, 10))
    assert layout.taps((6, 10), 3, padding=1) is layout.taps((6, 10), 3, padding=1)


def test_a_slice_is_the_layout_of_those_images(random):
    layout = random_layout(random, n=3, spare=3)
    part = layout[1:]
    assert (len(part), part.num_classes, part.num_instances) == (2, 7, 12)
    assert (part.instance.numpy() == layout.instance.numpy()[1:]).all()
    assert (part.region_label.numpy() == layout.region_label.numpy()[1:]).all()
    assert part.region_instance.tolist() == (layout.region_instance.numpy()[1:] - 12).tolist()
    assert (part.regions((6, 10)).index == layout.regions((6, 10)).index[1:]).all()
    assert layout[:] is layout and layout[:3] is layout and len(layout[::-1]) == 3 and layout[::-1] is not layout
    with pytest.raises(TypeError, match="slice"):
        layout[0]
    with pytest.raises(ValueError, match="holds none"):
        layout[3:]


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "int64"])
def test_every_integer_type_is_taken_from_arrays_and_tensors(dtype):
    label = np.array([[[0, 1]]], dtype)
    expected = [[[[1, 0]], [[0, 1]]]]
    assert il.Layout(label, label, 2).semantics().numpy().tolist() == expected
    if dtype != "uint16":  # Paddle has no such tensors
        assert il.Layout(paddle.to_tensor(label), paddle.to_tensor(label), 2).semantics().numpy().tolist() == expected


MAP = np.zeros([1, 2, 2], "int64")


@pytest.mark.parametrize(
    ("label", "instance", "more", "message"),
    [
        (MAP + 0.0, MAP, {}, "label.*float64.*cast"),
        (MAP, MAP > 0, {}, "instance.*bool"),
        (MAP[0], MAP[0], {}, r"label.*\[N, H, W\].*\[2, 2\]"),
        (MAP[:0], MAP[:0], {}, "non-empty"),
        (MAP, MAP[:, :1], {}, r"label \[1, 2, 2\] and instance \[1, 1, 2\]"),
        (MAP + 255, MAP, {}, r"label: ids \[255\].*0\.\.2.*num_classes=3.*unlabelled"),
        (MAP - 1, MAP, {}, r"label: ids \[-1\]"),
        (MAP, MAP - 4, {}, r"instance: ids \[-4\]"),
        (MAP, MAP + 7, {"num_instances": 7}, r"instance: ids \[7\].*num_instances=7.*compact_instances"),
    ],
)
def test_bad_maps_are_told(label, instance, more, message):
    with pytest.raises(ValueError, match=message):
        il.Layout(label, instance, 3, **more)


def test_compact_instances_of_a_case_worked_by_hand():
    label = np.array([[26, 26, 7, 255], [26, 26, 7, 255]])
    instance = np.array([[26001, 26000, 26001, 3], [26001, 26000, 26001, 4]])  # 26001 serves two classes
    expected = [[2, 1, 0, 3], [2, 1, 0, 3]]
    assert il.compact_instances(label, instance, ignore_index=255).tolist() == expected
    assert il.compact_instances(label[None], instance[None], 255).tolist() == [expected]
    assert il.compact_instances(label, instance).tolist() == [[2, 1, 0, 3], [2, 1, 0, 4]]


def test_compact_instances_keeps_more_than_255_ids(random):
    instance = random.permutation(65536)[:1600].reshape(40, 40).astype("uint16")
    compact = il.compact_instances(np.zeros([40, 40], "uint8"), instance)
    assert sorted(compact.ravel()) == list(range(1600))
    assert (np.argsort(compact, None) == np.argsort(instance, None)).all()


@pytest.mark.parametrize("spread", [1, 10**6], ids=["table", "sort"])
def test_keys_are_numbered_in_their_order(random, spread):
    keys = random.integers(0, 50, [2, 6, 7]) * spread
    index, values = _number(keys)
    assert (np.take_along_axis(values, index.reshape(2, -1), 1).reshape(keys.shape) == keys).all()
    for row, image in zip(values, keys, strict=True):
        distinct = sorted(set(image.ravel().tolist()))
        assert row.tolist() == distinct + [distinct[-1]] * (len(row) - len(distinct))


def test_compact_instances_refuses_negative_ids():
    with pytest.raises(ValueError, match="instance: id -1"):
        il.compact_instances(MAP, MAP - 1)
