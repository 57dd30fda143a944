"""The table of INADE, its rivals and its ablations, from what data/results/ records (`make table`).

Writes data/results/table.json, which notebook 8 draws, docs/rivals.png and, each between two marks, README's tables and
the training log's table of tries. A row is a method at one budget. Where several seeds were trained, its value is their
mean and its interval spans all of theirs.
"""

import json
import re

import inade_lite as il  # isort: skip: before Paddle, which it prepares
import numpy as np

from inade_lite import figures
from inade_lite.files import write_file
from inade_lite.methods import METHODS
from inade_lite.metrics import Estimate

from .runs import RESULTS, ROOT, RUNS, record_path
from .tries import START, settings, tries

README, LOG, TABLE = ROOT / "README.md", ROOT / "docs/training-log.md", RESULTS / "table.json"
MARKS = "<!-- make table -->", "<!-- end of make table -->"
PICTURED = {
    "spade_vae": "SPADE + VAE",
    "class_noise": "class-level noise",
    "inade_short": "INADE",
    "inade": "INADE, long",
}
RIVALS = "spade", "clade", "spade_vae", "class_noise"  # the other methods but INADE are its ablations
# Columns: the measure, its name in the head, and what is best.
DIVERSITY = {
    "spread_ratio": "spread ratio (1)",
    "correlation": "same-class correlation (0)",
    "color_distance": "color distance, of 255 (0)",
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
    "reconstruction": "reconstruction, of 255",
    "round_trip": "round trip, of 255",
}


def recorded(name):
    return json.loads(record_path(name).read_text())


def rows():
    """The rows of the table from the records of all runs that are done: the truth, then as in `RUNS`."""
    groups = {}
    for name in ("truth", *RUNS):
        if record_path(name).exists():
            groups.setdefault(re.sub(r"_\d$", "_short", name), []).append(recorded(name))
    return [row(name, records) for name, records in groups.items()]


def row(name, records):
    first = records[0]
    measures = {
        measure: {key: combine([r["measures"][measure][key] for r in records]) for key in value}
        if isinstance(value, dict)
        else combine([r["measures"][measure] for r in records])
        for measure, value in first["measures"].items()
    }
    if name == "truth":
        told = {"title": "the truth, drawn again", "steps": 0}
    else:
        told = {"title": first["title"] + ", tuned" * ("tuned" in name), "steps": first["model"]["steps"]}
        told["method"] = first["model"]["train_config"]["method"]
    return {"name": name, **told, "runs": [r["run"] for r in records], "measures": measures}


def combine(estimates):
    """The Estimate over training seeds."""
    values, lows, highs = np.array(estimates, float).T
    return Estimate(float(values.mean()), float(lows.min()), float(highs.max()))


def report(rows):
    """The rows in Markdown, as README shows them, and how the long-trained INADE stands to its goals."""
    return "\n\n".join([*(markdown(rows, columns) for columns in (DIVERSITY, QUALITY)), goals(rows)])


def markdown(rows, columns):
    lines = [f"| | steps | seeds | {' | '.join(columns.values())} |", "|---|" + "---|" * (len(columns) + 2)]
    for r in rows:
        cells = [r["title"], f"{r['steps'] or '–'}", str(len(r["runs"])) if r["steps"] else "–"]
        cells += [cell(r["measures"].get(measure)) for measure in columns]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(value):
    """What a measure found, as text; of one that is taken by class, the mean."""
    value = value["mean"] if isinstance(value, dict) else value
    return "–" if value is None or not np.isfinite(value[0]) else str(Estimate(*value))


def goals(rows):
    """The goals of the long-trained INADE in Markdown. Where each class has a value, the worst class counts."""
    named = {row["name"]: row for row in rows}
    inade, truth = named["inade"]["measures"], named["truth"]["measures"]

    def worst(measure, error):
        classes = {name: Estimate(*value) for name, value in inade[measure].items() if name != "mean"}
        name = max(classes, key=lambda name: error(classes[name].value))
        return f"{classes[name]} ({name})", classes[name].value

    def single(measure, scale=1):
        estimate = Estimate(*(scale * x for x in inade[measure]))
        return str(estimate), estimate.value

    spread, correlation = worst("spread_ratio", lambda x: abs(x - 1)), worst("correlation", lambda x: x)
    accuracy, iou = (single(measure, 100 / truth[measure][0]) for measure in ("pixel_accuracy", "mean_iou"))
    locality, reconstruction, kid = map(single, ("locality", "reconstruction", "lite0_kid"))
    best = min(Estimate(*row["measures"]["lite0_kid"]) for row in rows if row.get("method") in RIVALS)
    lines = [
        ("spread ratio of every class", "0.8 to 1.2", spread, 0.8 <= spread[1] <= 1.2),
        ("same-class correlation of every class", "≤ 0.1", correlation, correlation[1] <= 0.1),
        ("locality", "≤ 0.05", locality, locality[1] <= 0.05),
        ("reconstruction, of 255", "≤ 10", reconstruction, reconstruction[1] <= 10),
        ("pixel accuracy, % of the truth's", "≥ 98", accuracy, accuracy[1] >= 98),
        ("mIoU, % of the truth's", "≥ 90", iou, iou[1] >= 90),
        ("Lite0-KID", f"the best rival's, {best}, or within it", kid, kid[1] <= best.high),
    ]
    head = f"| INADE, {named['inade']['steps']} steps | goal | measured | |"
    return "\n".join(
        [head, "|---|---|---|---|"]
        + [f"| {what} | {goal} | {text} | {'reached' if ok else 'missed'} |" for what, goal, (text, _), ok in lines]
    )


def best_try(method):
    """The try with the lowest Lite0-KID if that lies below the interval of the first, else the first."""
    kid = {name: Estimate(*recorded(name)["measures"]["lite0_kid"]) for name in tries(method)}
    first, best = next(iter(kid)), min(kid, key=lambda name: kid[name].value)
    return best if kid[best].value < kid[first].low else first


def tuning():
    """The tries of INADE and its rivals in Markdown, each method's choice in bold."""
    columns = {key: (DIVERSITY | QUALITY)[key] for key in ("lite0_kid", "spread_ratio", "mean_iou")}
    lines = [f"| | other than `TrainConfig` | {' | '.join(columns.values())} |", "|---|---|" + "---|" * len(columns)]
    for method in START:
        best = best_try(method)
        for name, run in tries(method).items():
            changed = [f"`{key}={value:g}`" for key, value in run.fields.items() if key not in settings(method)]
            cells = [METHODS[method].title, ", ".join(changed) or "–"]
            cells += [cell(recorded(name)["measures"][measure]) for measure in columns]
            lines.append(f"| {' | '.join(f'**{text}**' if name == best else text for text in cells)} |")
    return "\n".join(lines)


def into(text, report, marks=MARKS):
    """A text with the report between two marks."""
    before, _, rest = text.partition(marks[0])
    _, _, after = rest.partition(marks[1])
    return f"{before}{marks[0]}\n{report}\n{marks[1]}{after}"


def busy_street(town):
    """The first scene with two cars, two houses and two people of the size that is measured."""
    wanted = [town.class_names.index(name) for name in ("car", "house", "person")]
    for i in range(len(town)):
        found = [c for c, _ in il.metrics.things(town[i]["label"], town[i]["instance"], town.thing_classes)]
        if all(found.count(c) >= 2 for c in wanted):
            return i
    raise ValueError("no scene with two cars, two houses and two people")


def draw(samples=8):
    """docs/rivals.png: a row for the truth and for each shipped method, all of one layout."""
    town = il.ToyTown("val", 64)
    number = busy_street(town)
    item = town[number]
    layout = il.Layout(item["label"][None], item["instance"][None], town.num_classes)
    grid = {"classes": [figures.color_labels(item["label"], town.class_colors)] * samples}
    grid["truth"] = [town.redraw(number, k)["image"] for k in range(samples)]
    for name, title in PICTURED.items():
        if (il.weights.pretrained.PRETRAINED / f"{name}.safetensors").exists():
            generator = il.load_pretrained(name).generator
            grid[title] = [il.sample(generator, layout, k)[0] for k in range(samples)]
    grid.pop("classes")
    images = [image for row in grid.values() for image in row]
    figure = figures.show_grid(images, row_titles=list(grid), columns=samples, scale=2)
    figure.savefig(ROOT / "docs/rivals.png")


def main():
    table = rows()
    write_file(TABLE, (json.dumps({"rows": table}, indent=1) + "\n").encode())
    README.write_text(into(README.read_text(), report(table)))
    LOG.write_text(into(LOG.read_text(), tuning()))
    draw()
    print(report(table))


if __name__ == "__main__":
    main()
