"""What `make bench` recorded is what README shows."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("bench", HERE / "benchmarks/bench.py")
BENCH = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(BENCH)


def test_readme_shows_what_was_recorded():
    results = json.loads((HERE / "benchmarks/results.json").read_text())
    assert set(results["rows"]) == set(BENCH.WORK) == set(BENCH.NAMES)
    assert BENCH.report(results) in BENCH.README.read_text()


@pytest.mark.parametrize("name", ["inade", "conv"])
def test_the_forms_that_are_compared_compute_the_same(name):
    forms = BENCH.WORK[name]()
    assert list(forms) == ["textbook", "ours"]
    for one, other in zip(*(work() for work in forms.values()), strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-2, atol=1e-3 * float(other.abs().max()))


def test_a_report_takes_the_place_of_the_one_before():
    start, end = BENCH.MARKS
    assert BENCH.into(f"a\n{start}\nold\n{end}\nb", "new") == f"a\n{start}\nnew\n{end}\nb"
