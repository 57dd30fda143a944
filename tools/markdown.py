"""What commands write into Markdown files: tables, between two marks, which are comments that a page does not show."""


def table(head, lines):
    """Lists of cells, all texts, as a table.

    >>> from tools.markdown import table
    >>> print(table(["", "steps"], [["INADE", "2000"]]))
    | | steps |
    |---|---|
    | INADE | 2000 |
    """
    rule = "|" + "---|" * len(head)
    return "\n".join([_line(head), rule, *map(_line, lines)])


def _line(cells):
    """One line of a table."""
    return "".join(f"| {text} " if text else "| " for text in cells) + "|"


def into(text, report, name):
    """The text with the report between `<!-- name -->` and `<!-- end of name -->`, in place of what stood there.

    ValueError where one of the marks is missing.

    >>> from tools.markdown import into
    >>> into("before <!-- x --> old <!-- end of x --> after", "new", "x").splitlines()
    ['before <!-- x -->', 'new', '<!-- end of x --> after']
    """
    start = f"<!-- {name} -->"
    end = f"<!-- end of {name} -->"
    before, found_start, rest = text.partition(start)
    _, found_end, after = rest.partition(end)
    if not found_start or not found_end:
        raise ValueError(f"{start} and, below it, {end} are missing; add these two lines where the report belongs")
    return f"{before}{start}\n{report}\n{end}{after}"


def write_into(path, report, name):
    """The same in a file.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from tools.markdown import write_into
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = Path(folder) / "page.md"
    ...     _ = page.write_text("<!-- x --><!-- end of x -->")
    ...     write_into(page, "new", "x")
    ...     page.read_text().splitlines()
    ['<!-- x -->', 'new', '<!-- end of x -->']
    """
    text = path.read_text("utf-8")
    try:
        text = into(text, report, name)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    path.write_text(text, "utf-8")
