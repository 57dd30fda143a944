"""What `make bench` recorded is what README shows."""

import importlib.util
import json
from pathlib import Path

HERE = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("bench", HERE / "benchmarks/bench.py")
BENCH = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(BENCH)


def test_readme_shows_what_was_recorded():
    results = json.loads((HERE / "benchmarks/results.json").read_text())
    assert set(results["rows"]) == set(BENCH.WORK) == set(BENCH.NAMES)
    assert BENCH.report(results) in BENCH.README.read_text()


def test_the_forms_that_are_compared_compute_the_same():
    """The textbook's and the package's work differ in time only: their tensors' shapes are those of the table."""
    assert BENCH.blocks(3, 64, 46, 72)[0].shape == (3, 64, 64) and BENCH.boxes(8, 64, 8, 10)[1].max() == 9
    for forms in (BENCH.WORK["inade"](), BENCH.WORK["conv"]()):
        assert list(forms) == ["textbook", "ours"] and all(BENCH.peak(work) > 0 for work in forms.values())


def test_a_report_takes_the_place_of_the_one_before():
    start, end = BENCH.MARKS
    assert BENCH.into(f"a\n{start}\nold\n{end}\nb", "new") == f"a\n{start}\nnew\n{end}\nb"
