"""The dry run: straight lines go on exactly, operations are those counted by hand, and the record keeps to 15 %."""

from dataclasses import replace

import numpy as np
import paddle
import pytest
from helpers import TINY

import inade_lite as il
from experiments import costs
from inade_lite import commands, estimate
from inade_lite.__main__ import main
from inade_lite.config import DATA_DEFAULTS
from inade_lite.estimate import Cost, Probe, count_operations, count_weights, shrinking
from inade_lite.training import Trainer

SOURCE = DATA_DEFAULTS | {"size": 32}


def probes(memory, tensors=0.5):
    """A `probe` by formulas of (pictures, share of the full size)."""

    def probe(config, source, batch, shrink, as_on_gpu):
        weights = estimate.weights(replace(config), source)
        pixels = batch / shrink**2
        return Probe(memory(pixels), tensors + 0.1 * pixels, 0.2 + 0.3 * pixels, weights, 1e12 * pixels, 10.0)

    return probe


@pytest.mark.parametrize(("size", "batch"), [(32, 8), (256, 1), (256, 16)])
def test_what_is_in_proportion_to_pictures_and_pixels_is_told_exactly(size, batch, monkeypatch):
    monkeypatch.setattr(estimate, "probe", probes(lambda pixels: 1.5 + 0.25 * pixels))
    config = il.TrainConfig(**{**TINY, "batch_size": batch})
    _, (here, v100, a100) = estimate.estimate(config, SOURCE | {"size": size}, progress=False)
    assert here.memory == pytest.approx(1.5 + 0.25 * batch) and here.seconds == pytest.approx(0.2 + 0.3 * batch)
    assert v100.memory == a100.memory == pytest.approx(0.5 + 0.1 * batch + estimate.LIBRARIES)
    rates = [
        cost.seconds * card.teraflops * estimate.REACHED
        for cost, card in zip((v100, a100), estimate.CARDS, strict=True)
    ]
    assert rates == pytest.approx([batch, batch])


def test_weights_that_a_smaller_picture_does_not_have_are_added(monkeypatch):
    config = il.TrainConfig(**TINY)
    small = estimate.weights(config, SOURCE | {"size": 128})
    whole = estimate.weights(config, SOURCE | {"size": 256})
    assert whole["generator"] > small["generator"] and whole["encoder"] == small["encoder"]

    def probe(*arguments):
        return Probe(1.0, 1.0, 1.0, small, 1.0, 1.0)

    monkeypatch.setattr(estimate, "probe", probe)
    parameters, (here, *_) = estimate.estimate(config, SOURCE | {"size": 256}, progress=False)
    more = whole["generator"] - small["generator"]
    assert parameters == whole
    assert (here.memory - 1) * 2**30 == pytest.approx(4 * 5 * more)  # weight, gradient, two moments, the average's


def test_a_small_layer_takes_the_time_of_its_launches(monkeypatch):
    monkeypatch.setattr(estimate, "probe", lambda *_: Probe(1.0, 1.0, 1.0, estimate.weights(config, SOURCE), 1.0, 40.0))
    config = il.TrainConfig(**TINY)
    assert estimate.estimate(config, SOURCE, progress=False)[1][1].seconds == pytest.approx(40 * estimate.LAUNCHES)


def test_operations_equal_those_counted_by_hand():
    layer, counted = paddle.nn.Conv2D(3, 5, 3, padding=1), []
    count_operations(layer, counted)
    x = paddle.ones([2, 3, 4, 6])
    layer(x)
    with paddle.no_grad():
        layer(x)
    layer.weight.stop_gradient = True
    layer(x)
    forward = 2 * (2 * 5 * 4 * 6) * (3 * 3 * 3)
    assert counted == [3 * forward, forward, 2 * forward]


def test_all_weights_of_a_trainer_are_counted():
    config = il.TrainConfig(**TINY)
    trainer = Trainer(config, il.ToyTown("train", 32, length=4))
    counted = {name: count_weights(getattr(trainer, name)) for name in ("generator", "encoder", "discriminator")}
    assert estimate.weights(config, SOURCE) == counted
    no_encoder = il.TrainConfig(**TINY, method="spade", plain_share=0.0)
    assert estimate.weights(no_encoder, SOURCE)["encoder"] == 0


def test_a_probe_is_as_small_as_the_generator_allows():
    for size, upsamplings, wanted in (
        (64, 4, 1),
        (160, 5, 1),
        (256, 5, 2),
        (512, 6, 4),
        ((256, 512), 6, 4),
        (704, 6, 1),
    ):
        found = shrinking(il.TrainConfig(num_upsamplings=upsamplings), SOURCE | {"size": size})
        height, width = (size, size) if isinstance(size, int) else size
        assert found == wanted
        step = found * 2**upsamplings
        assert height % step == 0 and width % step == 0


def test_a_smaller_item_keeps_every_other_pixel():
    (item,) = estimate.few_items(il.TrainConfig(), SOURCE, 1)
    (small,) = estimate.few_items(il.TrainConfig(), SOURCE, 1, shrink=2)
    np.testing.assert_array_equal(small["image"], item["image"][:, ::2, ::2])
    np.testing.assert_array_equal(small["label"], item["label"][::2, ::2])


def test_it_tells_and_trains_nothing(tmp_path, monkeypatch, capsys):
    told = (
        {"generator": 1234567, "encoder": 0, "discriminator": 8},
        [Cost("this machine", 1.25, 0.5), Cost("X", 2, 1)],
    )
    asked = []
    monkeypatch.setattr(commands, "estimate", lambda config, source: asked.append((config, source)) or told)
    main(f"train --dry-run --size 32 --crop 16 --batch_size 4 --steps 3600 --out {tmp_path / 'run'}".split())
    printed = capsys.readouterr().out
    assert "generator 1,234,567" in printed and "3,600 steps of 4 pictures" in printed
    assert "this machine           1.2       0.500      0.50" in printed
    assert not (tmp_path / "run").exists()
    config, source = asked[0]
    assert config.crop == 16 and source["size"] == 32
    (tmp_path / "run").mkdir()
    (tmp_path / "run/model.safetensors").touch()
    main(f"train --dry-run --size 32 --steps 3600 --out {tmp_path / 'run'}".split())  # it would not be overwritten
    with pytest.raises(SystemExit, match="--dry-run tells what a new run takes"):
        main(f"train --dry-run --resume --out {tmp_path / 'run'}".split())


def test_a_step_that_fails_is_told(monkeypatch):
    monkeypatch.setattr(estimate.kernels, "COPIES", "many")  # no number, so that the process cannot begin
    with pytest.raises(TypeError):
        estimate.probe(il.TrainConfig(**TINY), SOURCE, 1, 1, False)
    with pytest.raises(ValueError, match="a step with 1 pictures failed: .*no_such"):
        estimate.probe(il.TrainConfig(**TINY), SOURCE | {"data": "no_such"}, 1, 1, True)


@pytest.mark.parametrize("size", costs.SIZES)
def test_the_record_keeps_to_15_percent(size):
    found = costs.recorded()["sizes"][size]
    assert abs(found["estimated"]["memory"] / found["measured"]["memory"] - 1) < 0.15
