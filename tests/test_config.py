"""Every setting of a training has its range, and what lies outside is told with its name."""

import dataclasses
import math

import numpy as np
import pytest

import inade_lite as il
from inade_lite.config import check

FIELDS = {each.name: each for each in dataclasses.fields(il.TrainConfig)}
NUMBERS = [name for name, each in FIELDS.items() if type(each.default) in (int, float)]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_has_its_range(name):
    told, default = FIELDS[name].metadata, FIELDS[name].default
    wrong = [told["low"] - 1, -math.inf, math.nan, math.inf, "8", None, True]
    if told["high"] is not None:
        wrong.append(told["high"] + 1)
    if isinstance(default, int):
        wrong.append(default + 0.5)
    for value in wrong:
        with pytest.raises(ValueError, match=rf"^{name}=.*: expected (an integer|a number) (of|from) "):
            il.TrainConfig(**{name: value})
    ends = [default, told["low"], *([told["high"]] if told["high"] is not None else [])]
    for value in ends:
        assert getattr(il.TrainConfig(**{name: value}), name) == value


def test_numbers_of_numpy_are_numbers():
    assert il.TrainConfig(batch_size=np.int64(4), learning_rate_g=np.float32(0.5)).batch_size == 4


@pytest.mark.parametrize("name", ["norm", "gan_mode", "fresh_fakes", "flip"])
def test_words_and_switches(name):
    for value in ("nothing", 1, None):
        with pytest.raises(ValueError, match=f"^{name}={value!r}: expected"):
            il.TrainConfig(**{name: value})


def test_every_setting_has_a_range_or_words():
    for name, each in FIELDS.items():
        told = each.metadata
        assert told["low"] is not None or told["words"] or type(each.default) is bool or name == "method"
        check(name, each.default, told, each.default)


def test_an_integer_that_no_float_can_hold_is_compared_all_the_same():
    assert il.TrainConfig(batch_size=10**400).batch_size == 10**400
    with pytest.raises(ValueError, match="seed=1000"):
        il.TrainConfig(seed=10**400)
