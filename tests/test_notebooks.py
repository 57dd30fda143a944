"""What must hold of every notebook as it is committed; nbval runs them."""

import json
import re
from statistics import median

import nbformat
import pytest
from notebook_definitions import NOTEBOOKS

NAMES = [
    "0_tour",
    "1_unfold_einsum_clip",
    "2_inade_layer",
    "3_instance_encoder",
    "4_noise_remapping",
    "5_training",
    "6_instance_diversity",
    "7_your_own_pictures",
    "8_measuring_diversity",
]


def test_the_collection_is_complete():
    assert sorted(p.stem for p in NOTEBOOKS.glob("*.ipynb")) == NAMES


@pytest.fixture(params=NAMES)
def path(request):
    return NOTEBOOKS / f"{request.param}.ipynb"


def code_cells(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def test_it_is_stored_with_the_outputs_of_one_run_from_top_to_bottom(path):
    counts = [cell.execution_count for cell in code_cells(path) if cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1))
    kinds = {output.output_type for cell in code_cells(path) for output in cell.outputs}
    assert "error" not in kinds
    names = {output.get("name") for cell in code_cells(path) for output in cell.outputs}
    assert "stderr" not in names


def test_it_is_small_and_free_of_what_one_machine_or_front_end_leaves(path):
    assert path.stat().st_size < 1_000_000
    content = json.loads(path.read_text("utf-8"))
    assert "widgets" not in content["metadata"] and "version" not in content["metadata"]["language_info"]
    assert content["metadata"]["kernelspec"]["name"] == "python3"
    for cell in content["cells"]:
        assert "execution" not in cell["metadata"]
        for output in cell.get("outputs", []):
            assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {})
            assert "Place(" not in "".join(output.get("text", []))


def test_its_cells_are_short(path):
    lengths = [len(cell.source.splitlines()) for cell in code_cells(path)]
    assert median(lengths) <= 8 and max(lengths) <= 40


def test_it_has_a_header_and_a_footer(path):
    cells = nbformat.read(path, 4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert cells[0].source.startswith("# ")
    for word in ("CPU", "GPU", "learn", "Takeaways", "Exercise"):
        assert word in text, word


def test_its_links_lead_somewhere(path):
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\(([^)#\s]+)", cell.source):
                assert "://" in target or (path.parent / target).exists(), target
