"""Few pictures, sketches, and how far the dry run is off: the tables and pictures of docs/own_pictures.md.

    python -m experiments.studies             write the tables, from the records
    python -m experiments.studies --draw      docs/few.png and docs/sketches.png, too

The models of the pictures are not shipped. They are what `python -m experiments.runs <name>` leaves in
runs/pretrain/<name>/, for the names in `STUDIES`.
"""

import argparse

import inade_lite as il  # isort: skip: before Paddle, which it prepares

from inade_lite import figures
from inade_lite.data.sketches import Sketched
from inade_lite.training import MODEL
from tools import markdown

from . import costs
from .runs import ROOT, WORK, recorded

PAGE = ROOT / "docs/own_pictures.md"

SCENES = (16, 100, 1000)
POLICIES = ("none", "geometry", "all")  # of `diff_augment`
ENDLESS = "inade_0"  # no scene is seen twice

# Of the pictures: streets of the val split, and the seeds of their samples.
STREETS = (5, 21, 23)
STRIPED = (1, 4, 7)  # for the sketches
SEEDS = (0, 1)

# {the name of a measure: what a table calls it}
FEW_MEASURES = {
    "lite0_kid": "Lite0-KID",
    "mean_iou": "mean IoU",
    "spread_ratio": "spread ratio",
    "reconstruction": "rebuilt, off by",
}
SKETCH_MEASURES = {
    "pattern_distance": "pattern distance",
    "lite0_kid": "Lite0-KID",
    "mean_iou": "mean IoU",
    "spread_ratio": "spread ratio",
    "reconstruction": "rebuilt, off by",
}
DIGITS = {"lite0_kid": 2, "mean_iou": 1, "spread_ratio": 2, "pattern_distance": 2, "reconstruction": 1}


def found(run, measure):
    """[value, low, high] of a measure of a run.

    >>> from experiments.studies import found
    >>> low, high = found("inade_0", "lite0_kid")[1:]
    >>> 0 < low < high
    True
    """
    values = recorded(run)["measures"][measure]
    return values["mean"] if isinstance(values, dict) else values


def told(run, measure):
    """The same as a text, or a dash where it was not measured.

    >>> from experiments.studies import told
    >>> told("inade_0", "lite0_kid")
    '0.31 (0.29–0.33)'
    """
    if measure not in recorded(run)["measures"]:
        return "–"
    digits = DIGITS[measure]
    value, low, high = (f"{number:.{digits}f}" for number in found(run, measure))
    return f"{value} ({low}–{high})"


def few_runs():
    """{(scenes, policy): run}; the last one is the run in which no scene is seen twice.

    >>> from experiments.studies import few_runs
    >>> few_runs()[16, "all"]
    'few.16.all'
    """
    runs = {}
    for scenes in SCENES:
        for policy in POLICIES:
            runs[scenes, policy] = f"few.{scenes}.{policy}"
    return runs | {(recorded(ENDLESS)["model"]["train_scenes"], "none"): ENDLESS}


def few():
    """The table of few scenes."""
    lines = []
    for (scenes, policy), run in few_runs().items():
        lines.append([f"{scenes:,}", policy, *(told(run, measure) for measure in FEW_MEASURES)])
    return markdown.table(["scenes", "`diff_augment`", *FEW_MEASURES.values()], lines)


def sketches():
    """The table of INADE with and without sketches."""
    lines = []
    for title, run in (("INADE", "inade_0"), ("with sketches", "sketch.0")):
        lines.append([title, *(told(run, measure) for measure in SKETCH_MEASURES)])
    return markdown.table(["", *SKETCH_MEASURES.values()], lines)


def dry_run():
    """The table of what the dry run says and what is."""
    lines = []
    for size in costs.recorded()["sizes"].values():
        estimated = size["estimated"]["memory"]
        measured = size["measured"]["memory"]
        lines.append(
            [
                f"{size['side']}×{size['side']}, batch {size['batch']}, widths {size['base_channels']} and more",
                f"{sum(size['weights'].values()) / 1e6:.1f} million",
                f"{estimated:.2f} GB",
                f"{measured:.2f} GB",
                f"{100 * (estimated / measured - 1):+.0f} %",
            ]
        )
    return markdown.table(["", "weights", "said", "measured", "off by"], lines)


TABLES = {"few scenes": few, "sketches": sketches, "dry run": dry_run}


def assembled(text):
    """A page's text with all tables as they are recorded."""
    for name, table in TABLES.items():
        text = markdown.into(text, table(), name)
    return text


# ---- Pictures


def model_of(run):
    """The model that a run has left. FileNotFoundError if there is none, with the command that trains it."""
    path = WORK / run / MODEL
    if not path.exists():
        raise FileNotFoundError(f"{path} is not shipped; python -m experiments.runs {run} trains it")
    return il.load_pretrained(path)


def painted(model, town, streets=STREETS):
    """Samples of the streets, all of the first seed, then all of the second: ndarrays [3, H, W]."""
    layout = il.Layout.of(il.collate([town[i] for i in streets]), town)
    return [picture for seed in SEEDS for picture in il.sample(model.generator, layout, seed).numpy()]


def draw_few():
    """Rows: the streets themselves, then samples of each run."""
    town = il.ToyTown("val", 64)
    rows = {"ToyTown": [town[i]["image"] for i in STREETS] + [town.redraw(i, 1)["image"] for i in STREETS]}
    for (scenes, policy), run in few_runs().items():
        if run != ENDLESS:
            rows[f"{scenes:,} scenes,\n{policy}"] = painted(model_of(run), town)
    return _grid(rows)


def draw_sketches():
    """Rows: the streets, their sketches, samples without and with them."""
    town = Sketched(il.ToyTown("val", 64))
    items = [town[i] for i in STRIPED]
    lines = [figures.to_image((1 - 2 * item["sketch"])[None].repeat(3, 0)) for item in items]
    rows = {
        "ToyTown": [item["image"] for item in items] + [town.redraw(i, 1)["image"] for i in STRIPED],
        "the sketch": lines + lines,
        "INADE": painted(il.load_pretrained("inade_short"), town, STRIPED),
        "with the\nsketch": painted(model_of("sketch.0"), town, STRIPED),
    }
    return _grid(rows)


def _grid(rows):
    images = [image for row in rows.values() for image in row]
    return figures.show_grid(images, row_titles=list(rows), columns=2 * len(STREETS), scale=2)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", action="store_true", help="draw the pictures, too")
    if parser.parse_args().draw:
        figures.save(draw_few(), ROOT / "docs/few.png")
        figures.save(draw_sketches(), ROOT / "docs/sketches.png")
    PAGE.write_text(assembled(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
