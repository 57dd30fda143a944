"""The records in docs/reliability.md: `python -m reliability.report`."""

import json
from pathlib import Path

from tools import markdown

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/reliability.md"
RECORDS = Path(__file__).parent

WAYS = {
    "large": "of 50 MB, greedy",
    "made": "made whole",
    "changed": "good ones, changed",
    "guided": "good ones, changed, guided by the code",
}
TARGETS = {
    "torch": "`.pth`: `read_torch_checkpoint`",
    "model": "safetensors: `load_pretrained`",
    "description": "`dataset.json`",
    "picture": "pictures and maps",
    "outlines": "outlines: `from_coco`, `from_labelme`, `from_cityscapes`",
    "street": "the explorer's streets and states, in Python",
    "code": "the explorer's addresses, in JavaScript",
}


def record(name):
    """A record, by the name of its command.

    >>> from reliability.report import record
    >>> record("kill")["command"]
    'make kill'
    """
    return json.loads((RECORDS / f"{name}.json").read_text("utf-8"))


def head(told):
    """When and on what something was tried.

    >>> from reliability.report import head
    >>> machine = {"processor": "P", "cores": 2, "system": "Linux", "python": "3.11.7", "paddle": "3.2.2"}
    >>> head({"command": "make kill", "date": "2026-12-01", "machine": machine})
    '`make kill` on 2026-12-01: P, 2 cores, Linux, Python 3.11.7, Paddle 3.2.2.'
    """
    machine = told["machine"]
    on = f"{machine['processor']}, {machine['cores']} cores, {machine['system']}"
    return f"`{told['command']}` on {told['date']}: {on}, Python {machine['python']}, Paddle {machine['paddle']}."


def fuzz():
    """The files that were read."""
    told = record("fuzz")
    lines = []
    for line in told["lines"]:
        slowest = f"{line['slowest_s']:.2f} s" if "slowest_s" in line else ""
        cells = [TARGETS[line["target"]], WAYS[line["way"]], f"{line['inputs']:,}", slowest, str(len(line["findings"]))]
        lines.append(cells)
    inputs = sum(line["inputs"] for line in told["lines"])
    findings = sum(len(line["findings"]) for line in told["lines"])
    minutes = sum(line["seconds"] for line in told["lines"]) / 60
    lines.append(["**all**", f"{minutes:.0f} minutes", f"**{inputs:,}**", "", f"**{findings}**"])
    return f"{head(told)}\n\n" + markdown.table(["read", "files", "tried", "slowest", "found"], lines)


def kill():
    """The runs that were killed."""
    told = record("kill")
    lines = []
    for line in told["lines"]:
        counts = [str(line[key]) for key in ("kills", "half_written", "runs_finished", "most_steps_lost")]
        lines.append([line["run"], *counts, str(len(line["wrong"]))])
    sums = [sum(line[key] for line in told["lines"]) for key in ("kills", "half_written", "runs_finished")]
    most = max(line["most_steps_lost"] for line in told["lines"])
    wrong = sum(len(line["wrong"]) for line in told["lines"])
    lines.append(["**all**", *(f"**{count}**" for count in (*sums, most, wrong))])
    columns = [
        "run",
        "kills",
        "while a checkpoint was half written",
        "brought to their end",
        "most steps lost",
        "wrong",
    ]
    return f"{head(told)}\n\n" + markdown.table(columns, lines)


def disks():
    """The commands on bad disks."""
    told = record("disks")
    names = list(dict.fromkeys(line["command"] for line in told["lines"]))
    lines = []
    for name in names:
        cells = [f"`{name}`"]
        wrong = 0
        for disk in ("full", "read-only"):
            (line,) = [line for line in told["lines"] if (line["command"], line["disk"]) == (name, disk)]
            cells.append(f"{line['trials']}, {line['failed']} ended early")
            wrong += len(line["wrong"])
        lines.append([*cells, str(wrong)])
    columns = ["command", "disks of growing size", "read-only from the 1st, 2nd, ... write on", "wrong"]
    return f"{head(told)}\n\n" + markdown.table(columns, lines)


def soak():
    """How a process grows."""
    told = record("soak")
    lines = []
    for key, title in (("project", "this project"), ("paddle", "plain Paddle: as many tensors and parameters")):
        grown = told[key]
        lines.append(
            [
                title,
                f"{grown['rounds']:,}",
                f"{grown['kb_a_round']:.0f} KB",
                f"{grown['lists_a_round']:.0f}",
                f"{grown['objects_a_round'] - grown['lists_a_round']:.1f}",
            ]
        )
    columns = ["", "rounds", "grown a round", "lists left behind", "other objects left behind"]
    made = (
        f"A round is {told['steps_a_round']} steps, a save, `Trainer.resume` and a sample; it makes "
        f"{told['tensors_a_round']} tensors by `paddle.to_tensor` and {told['parameters_a_round']} parameters."
    )
    return f"{head(told)} {made}\n\n" + markdown.table(columns, lines)


def checks():
    """What the checks cost."""
    told = record("checks")
    return (
        f"{head(told)} In {told['steps']} steps with the defaults, {told['calls_a_step']:.0f} checks a step took "
        f"{100 * told['share']:.2f} % of the time."
    )


TABLES = {"checks": checks, "fuzz": fuzz, "kill": kill, "disks": disks, "soak": soak}


def assembled(text):
    """The page's text with the tables of all records."""
    for name, table in TABLES.items():
        text = markdown.into(text, table(), name)
    return text


def main():
    """The command line."""
    PAGE.write_text(assembled(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
