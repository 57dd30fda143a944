"""Every public class and function of the package has an example. `make test` runs them; `pytest tests` does not."""

import ast
import doctest

from helpers import ROOT

from inade_lite import __main__


def test_everything_public_has_an_example():
    missing = []
    for path in sorted((ROOT / "inade_lite").rglob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                if ">>> " not in (ast.get_docstring(node) or ""):
                    missing.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}")
    assert not missing, f"{len(missing)} without an example:\n" + "\n".join(missing)


def test_the_examples_of_the_command_line_run():
    """pytest leaves out files that are called __main__.py."""
    assert doctest.testmod(__main__).failed == 0
