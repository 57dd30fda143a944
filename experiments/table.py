"""The tables of INADE, its rivals and its ablations, from what data/results/ records (`make table`).

Writes data/results/table.json, which notebook 9 draws. Writes between marks: all tables and the goals into
docs/results.md, a short table into README.md, the table of tries into docs/training-log.md.

A row is a method at one budget. Where several seeds were trained, its value is their mean and its interval spans all of
theirs.
"""

import json
import re
from math import inf

import numpy as np

from inade_lite.files import write_file
from inade_lite.methods import METHODS
from inade_lite.metrics import Estimate
from tools import markdown

from .runs import RESULTS, ROOT, RUNS, STROKES, TRUTHS, record_path, recorded
from .tries import START, ideas, settings, tries

README = ROOT / "README.md"
PAGE = ROOT / "docs/results.md"
LOG = ROOT / "docs/training-log.md"
TABLE = RESULTS / "table.json"

MARK = "make table"
SHORT_MARK = "make table, short"
PATTERNS_MARK = "make table, patterns"
STROKES_MARK = "make table, strokes"
CONTROL_MARK = "make table, control"
LARGER_MARK = "make table, 128"

# The other methods but INADE are its ablations.
RIVALS = ("spade", "clade", "spade_vae", "class_noise")

# The columns of each table: a measure, its name in the head, and what is best.
DIVERSITY = {
    "spread_ratio": "spread ratio (1)",
    "correlation": "same-class correlation (0)",
    "color_distance": "color distance, of 255 (0)",
    "pattern_distance": "pattern distance, worst (0)",
    "locality": "locality (0)",
    "mISD": "mISD ↑",
    "mOISD": "mOISD ↓",
    "mCSD": "mCSD ↑",
    "mOCD": "mOCD ↓",
}
QUALITY = {
    "pixel_accuracy": "pixel accuracy, %",
    "mean_iou": "mIoU, %",
    "lite0_kid": "Lite0-KID (0)",
    "kinds_kept": "patterns kept, % (chance: 25)",
    "reconstruction": "reconstruction, of 255",
    "round_trip": "round trip, of 255",
}
ALL = DIVERSITY | QUALITY

# README's table: as few as a phone can show, and those that tell the paper's claim.
SHORT_COLUMNS = ("spread_ratio", "correlation", "lite0_kid")
SHORT_ROWS = (
    "inade_positions",
    "inade",
    "inade_positions_short",
    "inade_short",
    "class_noise_short",
    "spade_vae_short",
    "spade_short",
)


# What is particular about a run of INADE, beside its method.
PARTICULAR = {"inade_town": "no wobbly streets", "no_plain_share_0": "no plain share"}


# ---- From records to rows


def rows():
    """The rows of the table from the records of all runs at 64x64 that are done: the truth, then as in `RUNS`.

    >>> from experiments.table import rows
    >>> [row["name"] for row in rows()][:3]
    ['truth', 'inade', 'inade_town']
    """
    groups = {}
    for name in _done(64):
        method = re.sub(r"_\d$", "_short", name)  # all seeds of one method
        groups.setdefault(method, []).append(recorded(name))
    return [_row(name, records) for name, records in groups.items()]


def _row(name, records):
    """One row, a dict, from the records of one method: one for each seed."""
    first = records[0]
    row = {"name": name, "title": _title(first), "steps": 0}
    if "model" in first:
        row["steps"] = first["model"]["steps"]
        row["method"] = first["model"]["train_config"]["method"]
    row["runs"] = [record["run"] for record in records]
    row["measures"] = {}
    for measure, value in first["measures"].items():
        # A measure that came later is known of those models alone that are still there.
        found = [record["measures"][measure] for record in records if measure in record["measures"]]
        if isinstance(value, dict):  # by class
            combined = {}
            for key in value:
                combined[key] = combine([by_class[key] for by_class in found])
        else:
            combined = combine(found)
        row["measures"][measure] = combined
    return row


def _title(record):
    """The title of a run's row: its method's, and what is particular about it."""
    if "model" not in record:
        return "the truth, drawn again"
    if "tuned" in record["run"]:
        return f"{record['title']}, tuned"
    if record["run"] in PARTICULAR:
        return f"{record['title']}, {PARTICULAR[record['run']]}"
    side = record["model"].get("image_size", [64])[0]
    if side != 64:
        return f"{record['title']}, {side}×{side}"
    return record["title"]


def _title_and_steps(record):
    """The same where the steps have no column of their own."""
    if "model" not in record:
        return _title(record)
    return f"{_title(record)}, {record['model']['steps']} steps"


def combine(estimates):
    """The Estimate over training seeds: the mean of their values, an interval that spans all of theirs.

    >>> from experiments.table import combine
    >>> str(combine([(0.25, 0.2, 0.3), (0.35, 0.3, 0.6)]))
    '0.300 [0.200, 0.600]'
    """
    values, lows, highs = np.array(estimates, float).T
    return Estimate(
        value=float(values.mean()),
        low=float(lows.min()),
        high=float(highs.max()),
    )


# ---- The tables


def report(rows):
    """What docs/results.md shows: two tables of all rows, and how the two long models stand to their goals."""
    return "\n\n".join([full(rows, DIVERSITY), full(rows, QUALITY), goals(rows), position_goals(rows)])


def full(rows, columns):
    """A table of these rows; columns: {measure: its name in the head}.

    >>> from experiments.table import full
    >>> row = {"title": "INADE", "steps": 7, "runs": ["inade_0"], "measures": {"locality": (0.5, 0.4, 0.6)}}
    >>> print(full([row], {"locality": "locality (0)"}))
    | | steps | seeds | locality (0) |
    |---|---|---|---|
    | INADE | 7 | 1 | 0.500 [0.400, 0.600] |
    """
    lines = []
    for row in rows:
        steps, seeds = "–", "–"  # the truth was not trained
        if row["steps"]:
            steps = str(row["steps"])
            seeds = str(len(row["runs"]))
        cells = [cell(row["measures"].get(measure)) for measure in columns]
        lines.append([row["title"], steps, seeds, *cells])
    return markdown.table(["", "steps", "seeds", *columns.values()], lines)


def short(rows):
    """What README shows: a few rows and columns, with short numbers, in Markdown."""
    named = {row["name"]: row for row in rows}
    lines = []
    for name in SHORT_ROWS:
        row = named[name]
        cells = [cell(row["measures"][measure], digits=2) for measure in SHORT_COLUMNS]
        lines.append([f"{row['title']}, {row['steps']} steps", *cells])
    head = ["", *(ALL[measure] for measure in SHORT_COLUMNS)]
    return "\n\n".join([markdown.table(head, lines), _beside_tuned(rows), _what_colors_miss(rows)])


def _beside_tuned(rows):
    """A sentence: the best rival in Lite0-KID, tuned or not, beside INADE at equal steps."""
    inade = {row["name"]: row for row in rows}["inade_short"]
    best = _best_rival(rows, inade["steps"])
    ours = inade["measures"]["lite0_kid"]
    theirs = best["measures"]["lite0_kid"]
    found = verdict(Estimate(*ours), Estimate(*theirs))
    return (
        f"The rival with the least Lite0-KID after {inade['steps']} steps is {best['title']}: {cell(theirs, digits=2)} "
        f"beside INADE's {cell(ours, digits=2)}. For INADE that is {found}. The rival's spread ratio is "
        f"{cell(best['measures']['spread_ratio'], digits=2)}."
    )


def _what_colors_miss(rows):
    """Three sentences: the pattern distances of INADE without and with positions beside the truth's."""
    named = {row["name"]: row for row in rows}
    found = {}
    for name in ("truth", "inade", "inade_positions"):
        found[name] = cell(named[name]["measures"]["pattern_distance"], digits=2)
    return (
        "Spread ratio and correlation look at mean colors, and those see no stripes. The pattern distance does: 0 is "
        "right, and the average pattern on everything has about 1. Of all classes, the worst of INADE after "
        f"{named['inade']['steps']} steps has {found['inade']}, of INADE with positions {found['inade_positions']}, of "
        f"ToyTown itself, drawn again, {found['truth']}."
    )


def cell(value, digits=None):
    """What a measure found, as text; of one that is taken by class, the worst where it has one, else the mean.

    digits: so many behind the point; None takes as many as the size of the value asks for.

    >>> from experiments.table import cell
    >>> cell({"mean": (0.884, 0.864, 0.901), "car": (0.9, 0.8, 1.0)}), cell((-0.004, -0.03, 0.01), digits=2), cell(None)
    ('0.884 [0.864, 0.901]', '0.00 [-0.03, 0.01]', '–')
    """
    if isinstance(value, dict):
        value = value.get("worst") or value.get("mean")
    if value is None or not np.isfinite(value[0]):
        return "–"
    if digits is None:
        return str(Estimate(*value))
    # + 0.0 makes -0.0 a plain 0.
    value, low, high = (f"{round(x, digits) + 0.0:.{digits}f}" for x in value)
    return f"{value} [{low}, {high}]"


def strokes():
    """How the models that ship paint streets that a brush has drawn, in Markdown."""
    names = [name for name in _done(64) if "strokes" in recorded(name)]
    lines = [_line(name, STROKES, of="strokes") for name in names]
    return markdown.table(["", *(QUALITY[measure] for measure in STROKES)], lines)


def control():
    """INADE without and with positions in a town whose patterns are others, in Markdown."""
    columns = ("pattern_distance", "kinds_kept", "lite0_kid", "spread_ratio", "mean_iou")
    lines = [_line(name, columns) for name in _done(64, town="other")]
    return markdown.table(["in the other town", *(ALL[measure] for measure in columns)], lines)


def larger():
    """The model of 128x128 beside the truth of that size, in Markdown; last its Lite0-KID on streets of strokes."""
    columns = ("pattern_distance", "kinds_kept", "spread_ratio", "correlation", "mean_iou", "lite0_kid")
    lines = []
    for name in _done(128):
        on_strokes = recorded(name)["strokes"]["lite0_kid"]
        lines.append([*_line(name, columns), cell(on_strokes)])
    head = ["at 128×128", *(ALL[measure] for measure in columns), "the same on strokes (0)"]
    return markdown.table(head, lines)


def _done(size, town="town"):
    """The names of the truths and the runs of this size that are recorded; town: what they are measured on."""
    return [
        name
        for name, run in (TRUTHS | RUNS).items()
        if run.size == size and (run.town == "other") == (town == "other") and record_path(name).exists()
    ]


def _line(name, columns, of="measures"):
    """The cells of a record: its title with its steps, then these measures."""
    record = recorded(name)
    return [_title_and_steps(record), *(cell(record[of].get(measure)) for measure in columns)]


# ---- The goals


# What INADE should measure: at least, at most.
GOALS = {
    "spread ratio of every class": (0.8, 1.2),
    "same-class correlation of every class": (-inf, 0.1),
    "locality": (-inf, 0.05),
    "reconstruction, of 255": (-inf, 10),
    "pixel accuracy, % of the truth's": (98, inf),
    "mIoU, % of the truth's": (90, inf),
}

# The same of INADE with positions.
POSITION_GOALS = {
    "pattern distance of every class": (-inf, 0.35),
    "patterns kept, %": (80, inf),
    "spread ratio of every class": (0.9, 1.1),
    "same-class correlation of every class": (-0.1, 0.1),
    "Lite0-KID": (-inf, 0.2),
    "mIoU, %": (97.3, inf),
}


def goals(rows):
    """The goals of the long-trained INADE, and Lite0-KID beside the best rival's at equal steps, in Markdown."""
    named = {row["name"]: row for row in rows}
    inade = named["inade"]
    measured = _for_goals(inade["measures"], named["truth"]["measures"])
    last = _beside_rivals(rows, named["inade_short"])
    return _goal_table(inade, GOALS, measured, [last])


def position_goals(rows):
    """The goals of INADE with positions, and two measures beside INADE's at equal steps, in Markdown."""
    named = {row["name"]: row for row in rows}
    long = named["inade_positions"]
    measured = _for_position_goals(long["measures"])
    ours = named["inade_positions_short"]["measures"]
    theirs = named["inade_short"]["measures"]
    lines = []
    for measure, best in (("lite0_kid", 0), ("spread_ratio", 1)):
        lines.append(_beside_inade(measure, best, ours[measure], theirs[measure], named["inade_short"]["steps"]))
    return _goal_table(long, POSITION_GOALS, measured, lines)


def _goal_table(row, wanted, measured, lines):
    """wanted: {goal: (low, high)}. measured: {goal: (Estimate, note)}. lines: the cells of more lines."""
    first = []
    for what, (low, high) in wanted.items():
        estimate, note = measured[what]
        reached = low <= estimate.value <= high
        first.append([what, _between(low, high), f"{estimate}{note}", "reached" if reached else "missed"])
    return markdown.table([f"{row['title']}, {row['steps']} steps", "goal", "measured", ""], first + lines)


def _between(low, high):
    """A goal as text."""
    if low == -inf:
        return f"≤ {high}"
    if high == inf:
        return f"≥ {low}"
    return f"{low} to {high}"


def _for_goals(inade, truth):
    """{goal: (Estimate, note)}. Where each class has a value, the worst class counts, and the note names it."""
    accuracy = _percent(inade["pixel_accuracy"], truth["pixel_accuracy"])
    iou = _percent(inade["mean_iou"], truth["mean_iou"])
    return {
        "spread ratio of every class": _worst(inade["spread_ratio"], lambda value: abs(value - 1)),
        "same-class correlation of every class": _worst(inade["correlation"], lambda value: value),
        "locality": (Estimate(*inade["locality"]), ""),
        "reconstruction, of 255": (Estimate(*inade["reconstruction"]), ""),
        "pixel accuracy, % of the truth's": (accuracy, ""),
        "mIoU, % of the truth's": (iou, ""),
    }


def _for_position_goals(found):
    """{goal: (Estimate, note)}, as `_for_goals`."""
    return {
        "pattern distance of every class": _worst(found["pattern_distance"], lambda value: value),
        "patterns kept, %": (Estimate(*found["kinds_kept"]), ""),
        "spread ratio of every class": _worst(found["spread_ratio"], lambda value: abs(value - 1)),
        "same-class correlation of every class": _worst(found["correlation"], abs),
        "Lite0-KID": (Estimate(*found["lite0_kid"]), ""),
        "mIoU, %": (Estimate(*found["mean_iou"]), ""),
    }


def _worst(by_class, error):
    """The Estimate of the class whose value has the largest error, and a note with its name."""
    classes = [name for name in by_class if name not in ("mean", "worst")]
    worst = max(classes, key=lambda name: error(by_class[name][0]))
    return Estimate(*by_class[worst]), f" ({worst})"


def _percent(found, truth):
    """An Estimate in percent of the truth's value."""
    scale = 100 / truth[0]
    return Estimate(*(scale * x for x in found))


def _best_rival(rows, steps):
    """Of the rivals' rows with so many steps, the one with the least Lite0-KID."""
    rivals = [row for row in rows if row.get("method") in RIVALS and row["steps"] == steps]
    return min(rivals, key=lambda row: row["measures"]["lite0_kid"][0])


def _beside_rivals(rows, inade):
    """The cells of Lite0-KID: INADE beside the best rival that was trained for as many steps."""
    steps = inade["steps"]
    best = _best_rival(rows, steps)
    ours = Estimate(*inade["measures"]["lite0_kid"])
    theirs = Estimate(*best["measures"]["lite0_kid"])
    goal = f"no worse than the best rival, {best['title']}: {theirs}"
    return [f"Lite0-KID, both at {steps} steps", goal, str(ours), verdict(ours, theirs)]


def _beside_inade(measure, best, ours, theirs, steps):
    """The cells of a measure, best at this value: INADE with positions beside INADE at equal steps."""
    ours, theirs = (Estimate(*(x["mean"] if isinstance(x, dict) else x)) for x in (ours, theirs))
    gaps = []
    for estimate in (ours, theirs):
        near, far = sorted(abs(end - best) for end in (estimate.low, estimate.high))
        if estimate.low < best < estimate.high:
            near = 0
        gaps.append(Estimate(abs(estimate.value - best), near, far))
    goal = f"better than INADE's: {theirs}" if measure == "lite0_kid" else f"no worse than INADE's: {theirs}"
    return [f"{ALL[measure]}, both at {steps} steps", goal, str(ours), verdict(*gaps)]


def verdict(ours, theirs):
    """How an Estimate of ours stands to one of theirs, where less is better: "better", "worse" or "a tie".

    Where the intervals overlap, the difference may be chance. That is a tie.

    >>> from experiments.table import verdict
    >>> from inade_lite.metrics import Estimate
    >>> verdict(Estimate(0.31, 0.28, 0.34), Estimate(0.32, 0.23, 0.38))
    'a tie'
    """
    if ours.high < theirs.low:
        return "better"
    if ours.low > theirs.high:
        return "worse"
    return "a tie"


# ---- The tries


def best_try(method):
    """The try with the lowest Lite0-KID if that lies below the interval of the first, else the first.

    >>> from experiments.table import best_try
    >>> best_try("inade")
    'inade.start'
    """
    kid = {}
    for name in tries(method):
        kid[name] = Estimate(*recorded(name)["measures"]["lite0_kid"])
    first = next(iter(kid))
    best = min(kid, key=lambda name: kid[name].value)
    return best if kid[best].value < kid[first].low else first


def tuning():
    """The tries of INADE and its rivals in Markdown, each method's choice in bold."""
    columns = ("lite0_kid", "spread_ratio", "mean_iou")
    lines = []
    for method in START:
        best = best_try(method)
        common = settings(method)
        for name, run in tries(method).items():
            changed = [f"`{key}={value:g}`" for key, value in run.fields.items() if key not in common]
            measures = recorded(name)["measures"]
            cells = [cell(measures[measure]) for measure in columns]
            cells = [METHODS[method].title, ", ".join(changed) or "–", *cells]
            if name == best:
                cells = [f"**{text}**" for text in cells]
            lines.append(cells)
    return markdown.table(["", "other than `TrainConfig`", *(ALL[measure] for measure in columns)], lines)


def patterns():
    """The tries of INADE with positions in Markdown."""
    columns = ("pattern_distance", "kinds_kept", "lite0_kid", "spread_ratio", "mean_iou")
    start, *_ = ideas().values()
    lines = []
    for name, run in ideas().items():
        changed = [f"`{key}={value}`" for key, value in run.fields.items() if start.fields[key] != value]
        measures = recorded(name)["measures"]
        lines.append([", ".join(changed) or "–", *(cell(measures.get(measure)) for measure in columns)])
    return markdown.table(["other than the start", *(ALL[measure] for measure in columns)], lines)


def main():
    """Assemble the table from the records, write it into the pages and print it."""
    table = rows()
    text = json.dumps({"rows": table}, indent=1) + "\n"
    write_file(TABLE, text.encode())
    markdown.write_into(PAGE, report(table), MARK)
    markdown.write_into(PAGE, strokes(), STROKES_MARK)
    markdown.write_into(PAGE, control(), CONTROL_MARK)
    markdown.write_into(PAGE, larger(), LARGER_MARK)
    markdown.write_into(README, short(table), SHORT_MARK)
    markdown.write_into(LOG, tuning(), MARK)
    markdown.write_into(LOG, patterns(), PATTERNS_MARK)
    print(report(table))


if __name__ == "__main__":
    main()
