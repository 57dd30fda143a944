"""The explorer: a street whose things are drawn anew by a click, in a page and in a notebook."""

from .notebook import Explorer, render

__all__ = ["Explorer", "render"]
