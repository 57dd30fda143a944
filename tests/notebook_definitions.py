"""Read a notebook's functions and classes, so that tests can hold them to the package's."""

import ast
from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def load_definitions(number):
    """The functions and classes that a notebook defines itself, by their names; what it imports is not among them."""
    (path,) = NOTEBOOKS.glob(f"{int(number):02}_*.ipynb")
    namespace, own = {}, set()
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type != "code":
            continue
        source = "\n".join(line for line in cell.source.splitlines() if not line.startswith(("%", "!")))
        keep = [node for node in ast.parse(source).body if _defines(node)]
        exec(compile(ast.Module(keep, []), path.name, "exec"), namespace)
        own |= {node.name for node in keep if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return {name: namespace[name] for name in own}


def _defines(node):
    if isinstance(node, ast.Assign):
        return all(isinstance(t, ast.Name) and t.id.isupper() for t in node.targets)
    return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
