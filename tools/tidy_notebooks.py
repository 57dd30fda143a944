"""Tidy notebooks that were run: python tools/tidy_notebooks.py notebooks/00_tour.ipynb ...

A widget shows nothing on a page, even where a picture stands beside it in the output. Without the widget the picture
shows. An output that has only its repr left is removed. So are the times of execution, which change with every run.
The version of Python stays, and the kernel has its full name: JupyterLab would write both back, and call a notebook
modified that was only opened. Pictures are packed tighter.
"""

import base64
import io
import sys

import nbformat
from PIL import Image

WIDGET = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def tidy(notebook):
    """Change a notebook in place.

    >>> import nbformat.v4 as v4
    >>> from tools.tidy_notebooks import WIDGET, tidy
    >>> widget = v4.new_output("display_data", {WIDGET: {}, "text/plain": "Button()"})
    >>> notebook = v4.new_notebook(cells=[v4.new_code_cell("button", outputs=[widget])])
    >>> tidy(notebook)
    >>> notebook.cells[0].outputs
    []
    """
    notebook.metadata.pop("widgets", None)
    notebook.metadata.kernelspec = KERNEL
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        # Over a copy, because outputs are removed on the way.
        for output in list(cell.get("outputs", [])):
            data = output.get("data", {})
            was_widget = data.pop(WIDGET, None) is not None
            if was_widget and set(data) <= {"text/plain"}:
                cell.outputs.remove(output)
            if "image/png" in data:
                data["image/png"] = packed(data["image/png"])


def packed(picture):
    """A base64 PNG, optimized; without its alpha channel where all of it is opaque.

    >>> import base64, io
    >>> from PIL import Image
    >>> from tools.tidy_notebooks import packed
    >>> file = io.BytesIO()
    >>> Image.new("RGBA", (8, 8)).save(file, "PNG", compress_level=0)
    >>> large = base64.b64encode(file.getvalue()).decode()
    >>> len(packed(large)) < len(large)
    True
    """
    image = Image.open(io.BytesIO(base64.b64decode(picture)))
    if image.mode == "RGBA":
        lowest_alpha, _ = image.getextrema()[3]
        if lowest_alpha == 255:
            image = image.convert("RGB")
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def main(paths):
    """Tidy each of these files."""
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        tidy(notebook)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main(sys.argv[1:])
