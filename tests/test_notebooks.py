"""What must hold of every notebook as it is committed. README's table is what they are held to; nbval runs them."""

import base64
import io
import json
import re
import sys
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

import nbformat
import numpy as np
import pytest
from PIL import Image

import inade_lite as il
from tools.tidy_notebooks import KERNEL

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
README = (ROOT / "README.md").read_text("utf-8")


class Row(NamedTuple):
    """A row of README's table of notebooks."""

    number: str
    title: str
    file: str
    builds: str
    cpu: str
    gpu: str

    def __str__(self):
        return self.file


HEAD = "| | notebook | you build | CPU, 2 cores | GPU, estimated |"
ROW = re.compile(r"^\| (\d+) \| \[(.+)\]\((?:notebooks/)?(\w+\.ipynb)\) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
ROWS = [Row(*found) for found in ROW.findall(README)]
every_notebook = pytest.mark.parametrize("row", ROWS, ids=str)


def cells(row, kind=None):
    return [c for c in nbformat.read(NOTEBOOKS / row.file, 4).cells if kind in (None, c.cell_type)]


def code_cells(row):
    return cells(row, "code")


def prose(row):
    """All Markdown of a notebook, without its fenced code."""
    return re.sub(r"^```.*?^```", "", "\n\n".join(c.source for c in cells(row, "markdown")), flags=re.M | re.S)


def headings(row, level):
    return re.findall(rf"^{'#' * level} (.+)$", prose(row), re.MULTILINE)


def texts(cell):
    """Everything that a code cell has printed or shown as text."""
    return [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]


# ---- The one table


def test_readmes_table_lists_all_notebooks():
    assert HEAD in README
    assert [int(row.number) for row in ROWS] == [int(row.file[:2]) for row in ROWS] == list(range(len(ROWS)))
    assert [row.file for row in ROWS] == sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))


def test_notebook_0_has_the_same_table():
    text = prose(ROWS[0])
    assert HEAD in text
    assert [Row(*found) for found in ROW.findall(text)] == ROWS[1:]


@every_notebook
def test_its_title_and_header_are_those_of_the_table(row):
    first = cells(row)[0].source
    assert headings(row, 1) == [f"{row.number}. {row.title}"] and first.startswith("# ")
    header = re.findall(r"^\| \*\*(.+?)\*\* \| (.+) \|$", first, re.MULTILINE)
    assert [name for name, _ in header] == ["You learn", "You need", "Time on a CPU", "Time on a GPU"]
    assert [value for _, value in header[2:]] == [f"{row.cpu}, on 2 cores", f"{row.gpu}, estimated"]
    assert re.search(r"^Reading takes about \d+ minutes, with the exercises\.", first, re.MULTILINE)


LIT = ["", "_layout", "_generator", "_encoder", "_noise", "_networks", "", "_noise", "_layout", "_painted", "_stripes"]
LIT += ["_networks"]


@every_notebook
def test_it_shows_its_place_in_the_system(row):
    pictures = re.findall(r"!\[The whole system.*?\]\(\.\./docs/system(\w*)\.png\)", prose(row))
    assert pictures == [LIT[int(row.number)]]


@every_notebook
def test_its_last_cell_leads_to_the_notebooks_before_and_after(row):
    k, links = int(row.number), []
    if k:
        links.append(f"[← {k - 1}. {ROWS[k - 1].title}]({ROWS[k - 1].file})")
    if k < len(ROWS) - 1:
        links.append(f"[{k + 1}. {ROWS[k + 1].title} →]({ROWS[k + 1].file})")
    assert cells(row)[-1].source == "## Next\n\n" + " · ".join(links)


@every_notebook
def test_a_link_to_a_notebook_has_its_number_or_its_title(row):
    linked = re.findall(r"\[([^\]]+)\]\((\w+\.ipynb)\)", prose(row))
    assert linked
    for text, file in linked:
        (target,) = (r for r in ROWS if r.file == file)
        names = {f"{word} {target.number}" for word in ("notebook", "Notebook")} | {f"{target.number}. {target.title}"}
        in_the_table = target.title if row == ROWS[0] else None
        assert text.strip("← →") in names | {in_the_table}, text


def test_readmes_links_to_notebooks_have_their_number_or_their_title():
    for text, file in re.findall(r"\[([^\]]+)\]\(notebooks/(\w+\.ipynb)\)", README):
        (target,) = (r for r in ROWS if r.file == file)
        assert text in {target.title, target.number, f"notebook {target.number}", f"Notebook {target.number}"}, text


# ---- The template


@every_notebook
def test_its_sections_are_numbered_and_end_in_takeaways_and_exercises(row):
    sections = headings(row, 2)
    if sections[-2].startswith("Appendix: "):
        del sections[-2]
    numbered = [re.match(r"(\d+)\. \S", title) for title in sections[:-4]]
    assert [int(found[1]) for found in numbered] == list(range(1, len(sections) - 3))
    assert sections[-4:] == ["Takeaways", "Quiz", "Exercises", "Next"]
    assert (
        "## Exercises\n\nTry each one in a cell of your own before you read its solution. `il.check` says whether it "
        f'is right, and `il.hint("{row.number}.1")` helps.\n\n### Exercise 1'
    ) in prose(row)


@every_notebook
def test_every_exercise_has_a_solution(row):
    names = re.findall(r"^### (.+)$", prose(row).split("\n## Exercises\n")[1], re.MULTILINE)
    count = len(names) // 2
    assert names == [f"{kind} {k}" for kind in ("Exercise", "Solution") for k in range(1, count + 1)] and count
    solution = None
    solved = set()
    for cell in cells(row):
        heading = re.fullmatch(r"### (Solution \d)", cell.source)
        if heading:
            solution = heading[1]
        elif cell.source.startswith("## "):
            solution = None
        elif solution and cell.source.strip():
            solved.add(solution)
    assert sorted(solved) == names[count:]


@every_notebook
def test_a_prediction_is_asked_in_one_way_and_the_next_cell_tells(row):
    asked = [(cell, after) for cell, after in pairwise(cells(row)) if "**Predict" in cell.source]
    assert asked
    for cell, after in asked:
        question = " ".join(cell.source.split("\n\n")[-1].split())
        assert re.fullmatch(r"\*\*Predict\.\*\* .+\?.* Write your answer down, then run the next cell\.", question)
        assert cell.cell_type == "markdown" and cell.source.count("**Predict") == 1
        assert after.cell_type == "code" and after.outputs
    for cell in code_cells(row):
        assert not re.search(r"\bguess(es)?\b|== \.\.\.", cell.source), cell.source


@every_notebook
def test_it_folds_its_solutions_and_hides_nothing_else(row):
    assert "<details" not in prose(row) and "<summary" not in prose(row)
    for cell in cells(row):
        folded = cell.metadata.get("jp-MarkdownHeadingCollapsed", False)
        assert folded == bool(re.search(r"^### Solution", cell.source, re.MULTILINE))
        assert not folded or re.fullmatch(r"### Solution \d", cell.source)  # a cell of its own: what follows is folded
        assert set(cell.metadata.get("tags", [])) <= {"nbval-check-output"}
        assert "NBVAL" not in cell.source
        assert not cell.metadata.get("jupyter", {}).get("source_hidden")
        assert not cell.metadata.get("jupyter", {}).get("outputs_hidden") and not cell.metadata.get("collapsed")


@every_notebook
def test_its_cells_are_short(row):
    lengths = [len(cell.source.splitlines()) for cell in code_cells(row)]
    assert median(lengths) <= 8 and max(lengths) <= 40


BRITISH = "colour|grey|centre|centring|neighbour|labell|favour|behaviour|normalis|initialis|recognis|organis|licence"


@every_notebook
def test_its_spelling_is_american(row):
    for cell in cells(row):
        assert not re.findall(rf"\w*(?:{BRITISH})\w*", cell.source, re.IGNORECASE)


@every_notebook
def test_its_links_lead_somewhere(row):
    def anchors(of):
        return {re.sub("[`*]", "", title).replace(" ", "-") for level in (2, 3) for title in headings(of, level)}

    others = {other.file: other for other in ROWS}
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(row)):
        path, _, anchor = target.partition("#")
        assert "://" in target or not path or (NOTEBOOKS / path).exists(), target
        if anchor and "://" not in target:
            assert anchor in anchors(others[path] if path else row), target


@every_notebook
def test_it_imports_only_what_requirements_name(row):
    named = re.findall(r"^([\w-]+)==", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    assert {"pillow", "scikit-image", "ipywidgets"} <= set(named)  # of PIL, skimage and IPython
    known = {"inade_lite", "paddle", "PIL", "skimage", "IPython", *named} | sys.stdlib_module_names
    for cell in code_cells(row):
        for line in re.findall(r"^(?:import|from) .+$", cell.source, re.MULTILINE):
            modules = line.split(" import ")[0].removeprefix("from ").removeprefix("import ").split(",")
            assert {module.split()[0].split(".")[0] for module in modules} <= known, line


# ---- The stored outputs


@every_notebook
def test_it_is_stored_with_the_outputs_of_one_run_from_top_to_bottom(row):
    counts = [cell.execution_count for cell in code_cells(row) if cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1)) and counts
    outputs = [output for cell in code_cells(row) for output in cell.outputs]
    assert "error" not in {output.output_type for output in outputs}
    assert "stderr" not in {output.get("name") for output in outputs}


@every_notebook
def test_it_is_small_and_free_of_what_one_machine_or_front_end_leaves(row):
    path = NOTEBOOKS / row.file
    assert path.stat().st_size < 1_000_000
    content = json.loads(path.read_text("utf-8"))
    assert "widgets" not in content["metadata"]
    assert content["metadata"]["language_info"]["version"]  # else JupyterLab writes it back: modified by being opened
    assert content["metadata"]["kernelspec"] == KERNEL
    for cell in cells(row):
        assert "execution" not in cell.metadata
    for cell in code_cells(row):
        formats = {key for output in cell.outputs for key in output.get("data", {})}
        assert "application/vnd.jupyter.widget-view+json" not in formats
        assert not any("Place(" in text for text in texts(cell))


@every_notebook
def test_its_figures_bring_no_page_of_their_own(row):
    """White boxes on a dark page have four corners of one color. A picture that fills its output may be opaque."""
    data = [output.get("data", {}) for cell in code_cells(row) for output in cell.outputs]
    for picture in (found["image/png"] for found in data if "image/png" in found):
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGBA"))
        corners = pixels[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert not corners[:, 3].any() or len(np.unique(corners, axis=0)) > 1


# ---- What the prose says about models and numbers


def test_notebook_0_says_how_its_models_were_trained():
    text = " ".join(prose(ROWS[0]).split())
    makers = {"inade_positions": "Intel Xeon", "inade": "AMD EPYC", "inade_short": "Intel Xeon"}
    for name, maker in makers.items():
        config = il.load_pretrained(name).config
        record = json.loads((ROOT / f"data/results/{config['run']}.json").read_text("utf-8"))
        minutes = f"{config['seconds'] / 60:.0f} minutes on one core"
        assert re.search(rf"`{name}` took {config['steps']:,} steps, in {minutes}", text)
        assert config["threads"] == "1"
        assert set(maker.split()) <= set(re.findall(r"\w+", record["machine"]["processor"]))
        assert f"on one core of an {maker} processor" in text.replace(" (`threads`)", "")
        assert f"all three learned from {config['train_scenes']:,} streets" in text


def test_notebook_0_names_the_seeds_that_it_takes():
    text = " ".join(prose(ROWS[0]).split())
    source = "\n".join(cell.source for cell in code_cells(ROWS[0]))
    first, stop = map(int, re.search(r"seeds = range\((\d+), (\d+)\)\npairs", source).groups())
    assert f"with the same seeds {first} to {stop - 1}, from each of the three models" in text
    (base,) = re.findall(r"^noise = il\.sample_noise\(.+ seed=(\d+)\)$", source, re.MULTILINE)
    assert f"The noise that we have comes from seed {base}, so take other seeds." in text
    assert "samples = [il.sample(model.generator, layout, seed)[0] for seed in range(12)]" in source
    assert "These are twelve pictures of `inade_positions`" in text


def test_the_short_model_has_the_steps_and_settings_of_notebook_6():
    config = il.load_pretrained("inade_short").config
    source = "\n".join(cell.source for cell in code_cells(ROWS[6]))
    assert re.search(r"^config = il\.TrainConfig\(\)$", source, re.MULTILINE)
    assert re.search(r"^STEPS = 40 if il\.FAST else (\d+)$", source, re.MULTILINE)[1] == str(config["steps"])
    changed = {key for key, value in config["train_config"].items() if vars(il.TrainConfig()).get(key) != value}
    assert changed == {"preview_every"}


def test_notebook_6_tells_rates_and_averages_as_they_are():
    text, config = " ".join(prose(ROWS[6]).split()), il.TrainConfig()
    assert f"both with $\\beta_1 = {config.beta1:g}$ and $\\beta_2 = {config.beta2:g}$" in text
    assert f"rates of {config.learning_rate_d} and, for generator and encoder, {config.learning_rate_g}." in text
    assert f"\\min\\left({config.ema_decay}," in text


@pytest.mark.parametrize("k", [0, 6, 9])
def test_scenes_of_notebook_6_and_of_the_table_are_told_where_they_are_compared(k):
    text, mine = " ".join(prose(ROWS[k]).split()), len(il.ToyTown("train", 64))
    recorded = {json.loads(path.read_text())["model"]["train_scenes"] for path in records()}
    assert len(recorded) == 1 and recorded != {mine}
    assert f"{mine:,}" in text and f"{recorded.pop():,} streets" in text
    assert 'train, val = il.ToyTown("train", 64)' in code_cells(ROWS[6])[1].source


def records():
    return [path for path in (ROOT / "data/results").glob("*.json") if path.stem not in ("table", "truth", "truth_128")]


def test_notebook_9_ranks_only_rows_of_the_common_number_of_steps():
    rows = json.loads((ROOT / "data/results/table.json").read_text("utf-8"))["rows"][1:]
    common = min(row["steps"] for row in rows)
    (cell,) = (c for c in code_cells(ROWS[9]) if c.source.startswith("for measure, goal in"))
    (printed,) = texts(cell)
    for measure in ("correlation", "spread_ratio", "locality"):
        ranked = {row["steps"] for row in rows if interval(row, measure) in printed}
        assert ranked == {common}


def interval(row, measure):
    found = row["measures"][measure]
    return str(il.metrics.Estimate(*(found["mean"] if isinstance(found, dict) else found)))


def test_notebook_9_says_who_leaves_the_others_behind_in_patterns():
    (text,) = (c.source for c in cells(ROWS[9], "markdown") if "leave the others behind" in c.source)
    assert "only the two rows of INADE with positions" in text
    ours, others = [], []
    for row in json.loads((ROOT / "data/results/table.json").read_text("utf-8"))["rows"][1:]:
        found = row["measures"].get("pattern_distance")
        if found:
            (ours if row["method"] == "inade_positions" else others).append(found["mean"])
    assert len(ours) == 2 and max(high for _, _, high in ours) < min(low for _, low, _ in others)
