"""Tidy notebooks that were run: python tools/tidy_notebooks.py notebooks/0_tour.ipynb ...

A widget shows nothing on a page, even where a picture stands beside it in the output; without the widget the picture
shows. An output that has only its repr left goes. What would change with every machine or run goes, too: the version
of Python, the times of execution. Pictures are packed tighter.
"""

import base64
import io
import sys

import nbformat
from PIL import Image

WIDGET = "application/vnd.jupyter.widget-view+json"


def tidy(notebook):
    """Change a notebook in place."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in list(cell.get("outputs", [])):
            data = output.get("data", {})
            if data.pop(WIDGET, None) and set(data) <= {"text/plain"}:
                cell.outputs.remove(output)
            if "image/png" in data:
                data["image/png"] = packed(data["image/png"])


def packed(picture):
    """A base64 PNG, optimized; without its alpha channel where all of it is opaque."""
    image = Image.open(io.BytesIO(base64.b64decode(picture)))
    if image.mode == "RGBA" and image.getextrema()[3][0] == 255:
        image = image.convert("RGB")
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def main(paths):
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        tidy(notebook)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main(sys.argv[1:])
