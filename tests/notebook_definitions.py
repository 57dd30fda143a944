"""Read a notebook's functions and classes, so that tests can hold them to the package's."""

import ast
from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def load_definitions(name):
    """The namespace of notebooks/<name>*.ipynb after its imports, constants in capitals, functions and classes."""
    (path,) = NOTEBOOKS.glob(f"{name}*.ipynb")
    namespace = {}
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type != "code":
            continue
        source = "\n".join(line for line in cell.source.splitlines() if not line.startswith(("%", "!")))
        keep = [node for node in ast.parse(source).body if _defines(node)]
        exec(compile(ast.Module(keep, []), f"{path.name}", "exec"), namespace)  # noqa: S102
    return namespace


def _defines(node):
    if isinstance(node, ast.Assign):
        return all(isinstance(t, ast.Name) and t.id.isupper() for t in node.targets)
    return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
