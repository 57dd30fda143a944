"""The paper's perceptual loss against the network as its paper lists it, with random weights."""

import json

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from helpers import TINY

from inade_lite.__main__ import main
from inade_lite.vgg import VGGLoss
from inade_lite.weights.tensors import write_tensors

# The convolutions of VGG19, configuration E: their widths, and M for a pooling.
LIST = [64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512, "M"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """(path, {name: ndarray}): the weights of a VGG19 by their names in torchvision."""
    random = np.random.default_rng(0)
    arrays, channels, k = {}, 3, 0
    for width in LIST:
        if width == "M":
            k += 1
            continue
        scale = (2 / (9 * channels)) ** 0.5
        arrays[f"features.{k}.weight"] = scale * random.standard_normal([width, channels, 3, 3], dtype=np.float32)
        arrays[f"features.{k}.bias"] = 0.1 * random.standard_normal([width], dtype=np.float32)
        channels = width
        k += 2
    path = tmp_path_factory.mktemp("vgg") / "vgg19.safetensors"
    write_tensors(path, arrays, {})
    return path, arrays


def taps_by_hand(arrays, x):
    """{relu1_1: features, ...}, by the list of the paper."""
    found, stage, place, k = {}, 1, 1, 0
    for width in LIST:
        if width == "M":
            x = F.max_pool2d(x, 2)
            stage, place, k = stage + 1, 1, k + 1
            continue
        weight, bias = (paddle.to_tensor(arrays[f"features.{k}.{name}"]) for name in ("weight", "bias"))
        x = F.relu(F.conv2d(x, weight, bias, padding=1))
        found[f"relu{stage}_{place}"] = x
        place, k = place + 1, k + 2
    return found


def test_the_loss_is_a_quarter_of_relu4_1_and_all_of_relu5_1(weights):
    path, arrays = weights
    loss = VGGLoss(path)
    fake, real = paddle.rand([2, 2, 3, 32, 48]) * 2 - 1
    fake.stop_gradient = False
    ours, theirs = taps_by_hand(arrays, fake), taps_by_hand(arrays, real)
    expected = 0
    for name, weight in (("relu4_1", 1 / 4), ("relu5_1", 1)):
        expected = expected + weight * (ours[name] - theirs[name]).abs().mean()
    found = loss(fake, real)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5) and found.item() > 0
    (a,), (b,) = paddle.grad(found, [fake]), paddle.grad(expected, [fake])
    np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-4 * np.abs(b.numpy()).max())
    assert loss(real, real).item() == 0
    assert all(parameter.stop_gradient for parameter in loss.parameters())


def test_a_file_without_a_weight_is_told(weights, tmp_path):
    _, arrays = weights
    few = {name: array for name, array in arrays.items() if name.startswith("features.0")}
    write_tensors(tmp_path / "few.safetensors", few, {})
    with pytest.raises(ValueError, match=r"few\.safetensors: features\.2\.weight is missing, expected"):
        VGGLoss(tmp_path / "few.safetensors")


def test_a_run_learns_from_it_and_goes_on_with_it(weights, tmp_path):
    path, _ = weights
    settings = " ".join(f"--{name} {value}" for name, value in TINY.items())
    line = f"train --size 32 --steps 1 --out {tmp_path}/run {settings} --log_every 1"
    with pytest.raises(SystemExit, match="--perceptual vgg19 has no weight; give --lambda_perceptual"):
        main(f"{line} --perceptual vgg19 --vgg {path}".split())
    with pytest.raises(SystemExit, match="--vgg is a file of --perceptual vgg19"):
        main(f"{line} --vgg {path}".split())
    main(f"{line} --perceptual vgg19 --vgg {path} --lambda_perceptual 10".split())
    main(f"train --resume --out {tmp_path}/run --steps 1".split())
    rows = (tmp_path / "run/losses.csv").read_text().splitlines()
    assert "perceptual" in rows[0] and len(rows) == 3
    assert json.loads((tmp_path / "run/run.json").read_text())["perceptual"] == "vgg19"
