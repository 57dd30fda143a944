"""What README and docs/ name is there: paths, definitions, links, make targets, command lines."""

import ast
import re
import shlex

import pytest
from helpers import ROOT

from inade_lite.__main__ import parser

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^)\s>]+)>?\)")
CODE = (".py", ".ipynb", ".md", ".js", ".toml", ".yml", ".lock")  # names of files that are this project's own


def prose(page):
    """A page without its code blocks and comments."""
    return re.sub(r"<!--.*?-->", "", FENCE.sub("", page.read_text("utf-8")), flags=re.DOTALL)


def spans(page):
    """What stands in backticks."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose(page))


def shell_lines(page):
    """The commands of its sh blocks, without comments."""
    blocks = [text for language, text in FENCE.findall(page.read_text("utf-8")) if language == "sh"]
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        for command in re.split(r" && | \| |;", line):
            if words := shlex.split(command, comments=True):
                yield words


# ---- Paths and definitions


@every_page
def test_paths_lead_somewhere(page):
    """A path begins with a name in the project's own folder, or ends like a file of code; what is made is none."""
    made, missing = ("build", "runs", ".venv", ".venvs"), []
    for path in re.findall(r"^([\w./*-]+)(?:: [\w.]+)?$", "\n".join(spans(page)), re.MULTILINE):
        first, known = path.split("/")[0], list(ROOT.glob(path.strip("/")))
        if "/" not in path and path.endswith(CODE):
            known = known or list((ROOT / "inade_lite").rglob(path))
        if first not in made and (path.endswith(CODE) or "/" in path and (ROOT / first).exists()):
            missing += [] if known else [path]
    assert not missing


def definitions(path):
    """Names that a Python file defines: its own, and `Class.attribute`."""
    names = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        names |= defined_by(node)
        if isinstance(node, ast.ClassDef):
            inner = set().union(*map(defined_by, node.body))
            for part in ast.walk(node):
                if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
                    inner |= {part.attr} if getattr(part.value, "id", "") == "self" else set()
            names |= {f"{node.name}.{name}" for name in inner}
    return names


def defined_by(node):
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {part.id for target in targets if target for part in ast.walk(target) if isinstance(part, ast.Name)}


@every_page
def test_names_are_defined_where_it_says(page):
    for path, name in re.findall(r"^([\w./-]+\.py): ([\w.]+)$", "\n".join(spans(page)), re.MULTILINE):
        assert name in definitions(ROOT / path), f"{path}: {name}"


def test_definitions_of_a_file(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("A, b = 1, 2\nc: int = 3\nclass D:\n    e: int = 4\n    def f(self):\n        self.g = h = 5\n")
    assert definitions(path) == {"A", "b", "c", "D", "D.e", "D.f", "D.g"}


# ---- Links


def anchors(page):
    """As code-hosting sites make them of headings; the second of a kind ends in -1."""
    found = []
    for heading in re.findall(r"^#+ (.+?) *$", prose(page), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.append(anchor + (f"-{found.count(anchor)}" if anchor in found else ""))
    return found


@every_page
def test_links_lead_somewhere(page):
    broken = []
    for link in LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        found = target.exists() and target.is_relative_to(ROOT)
        if anchor:
            found = found and target.suffix == ".md" and anchor in anchors(target)
        broken += [] if found or "://" in link else [link]
    assert not broken


# ---- Commands


@every_page
def test_make_has_the_targets_and_options(page):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([\w-]+):(?!=)", makefile, re.MULTILINE))
    for words in [*shell_lines(page), *(span.split() for span in spans(page))]:
        if words[0] == "make":
            for word in words[1:]:
                name, is_option, _ = word.partition("=")
                assert f"$({name})" in makefile if is_option else name in targets, " ".join(words)


@every_page
def test_commands_are_understood(page, capsys):
    told = list(shell_lines(page))
    told += [span.split() for span in spans(page) if span.startswith("python -m inade_lite ") and "…" not in span]
    for words in told:
        if words[:3] == ["python", "-m", "inade_lite"]:
            try:
                parser().parse_args(words[3:])
            except SystemExit as stop:  # 0: --help
                assert stop.code == 0, f"{' '.join(words)}\n{capsys.readouterr().err}"


@every_page
def test_options_are_known(page):
    commands = next(action.choices for action in parser()._actions if action.choices)
    known = {option for command in commands.values() for option in command._option_string_actions}
    for span in spans(page):
        assert not span.startswith("--") or span.split()[0] in known, span


# ---- README


def test_readme_is_short():
    """1,200 words at most. A word stands between blanks and has a letter or digit; code blocks, comments, the pipes of
    tables and the targets of links are not counted."""
    text = re.sub(r"\]\([^)]*\)", "]", prose(ROOT / "README.md"))
    words = [word for word in text.replace("|", " ").split() if re.search(r"\w", word)]
    assert len(words) <= 1200, len(words)
