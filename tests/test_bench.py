"""What `make bench` recorded is what README and docs/results.md show; how it counts."""

import copy
import json
from unittest import mock

import inade_lite as il  # isort: skip: before Paddle, which it prepares
import paddle
import pytest
from helpers import assert_close

from benchmarks import bench
from inade_lite import kernels

RESULTS = json.loads(bench.RESULTS.read_text("utf-8"))


def test_the_pages_show_what_was_recorded():
    for processor, record in RESULTS.items():
        assert record["set_up"]["processor"] == processor
        assert set(record["rows"]) == set(bench.WORK)
    assert bench.report(RESULTS) in bench.PAGE.read_text("utf-8")
    assert bench.short(RESULTS) in bench.README.read_text("utf-8")


def test_goals_are_judged_on_every_machine():
    one = next(iter(RESULTS.values()))
    records = {"slow": one, "fast": copy.deepcopy(one)}
    for record, ratio in zip(records.values(), (3.1, 3.5), strict=True):
        record["rows"]["inade"]["ratio"] = ratio
    line = bench.goals(records).splitlines()[2]
    assert line == "| INADE layer | 3.5 | missed: 3.1 | reached: 3.5 |"
    told = "on slow. Missed: INADE layer (3.1 instead of 3.5). 5 of 5 goals are reached on fast."
    assert bench.short(records).endswith(told)


@pytest.mark.parametrize("name", ["inade", "conv"])
def test_the_forms_that_are_compared_compute_the_same(name):
    forms = bench.WORK[name].forms()
    assert list(forms) == ["textbook", "ours"]
    for one, other in zip(*(work() for work in forms.values()), strict=True):
        assert_close(one, other, 1e-3)


def test_the_textbooks_training_step_has_its_layout_ready():
    forms = bench.WORK["step"].forms()
    with mock.patch.object(il.Layout, "__init__", side_effect=AssertionError):
        forms["textbook"]()
        with pytest.raises(AssertionError):
            forms["ours"]()


def test_products_are_counted_with_their_gradients_and_copies_are_not():
    x, y = paddle.ones([2, 3, 4]), paddle.ones([5, 4])
    y.stop_gradient = False
    product = 2 * (2 * 3 * 5) * 4
    assert bench.count_flops(lambda: paddle.matmul(x, y, transpose_y=True)) == 2 * product
    with paddle.no_grad():
        assert bench.count_flops(lambda: paddle.matmul(x, y, transpose_y=True)) == product
        assert bench.count_flops(lambda: paddle.matmul(x, paddle.ones([2, 3, 5]), transpose_x=True)) == product
    assert bench.count_flops(lambda: kernels.swap(x)) == 0
