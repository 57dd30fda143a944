"""The pictures of README and docs/, drawn by the shipped models (`make pictures`).

    python -m experiments.pictures              all of them
    python -m experiments.pictures rivals       docs/rivals.png alone

README's one_car.png is not among them: README's eight lines draw it. play.gif and explorer.png are `make film`'s.
"""

import argparse
from functools import partial

import inade_lite as il  # isort: skip: before Paddle, which it prepares

from inade_lite import figures
from inade_lite.metrics import things

from . import system
from .runs import ROOT

# The rows of docs/rivals.png below the truth: shipped models and their titles.
RIVALS = {
    "spade_vae": "SPADE + VAE",
    "class_noise": "class-level noise",
    "inade_short": "INADE",
    "inade": "INADE, long",
    "inade_positions": "with positions",
}

# What draws the other pictures.
BEST = "inade_positions"


def samples(streets=6, draws=4):
    """A column for each of the first streets: its classes, ToyTown's picture, samples of the best model.

    >>> from experiments.pictures import samples
    >>> samples(streets=1, draws=1).get_size_inches().tolist()  # of 100 pixels each
    [3.36, 7.76]
    """
    town = il.ToyTown("val", 64)
    generator = il.load_pretrained(BEST).generator
    items = [town[i] for i in range(streets)]
    batch = il.collate(items)
    layout = il.Layout.of(batch, town)
    rows = {
        "classes": [figures.color_labels(item["label"], town.class_colors) for item in items],
        "real": batch["image"],
    }
    for k in range(draws):
        rows[f"sample {k + 1}"] = il.sample(generator, layout, seed=k).numpy()
    return _grid(rows, scale=4)


def rivals(draws=7):
    """A row for the truth and for each shipped method, all of one layout."""
    town = il.ToyTown("val", 64)
    number = _busy_street(town)
    layout = il.Layout.of(il.collate([town[number]]), town)
    seeds = range(draws)
    rows = {"truth": [town.redraw(number, seed)["image"] for seed in seeds]}
    for name, title in RIVALS.items():
        generator = il.load_pretrained(name).generator
        rows[title] = [il.sample(generator, layout, seed)[0] for seed in seeds]
    return _grid(rows, scale=2)


def _grid(rows, scale):
    """A Figure of {title: images}, one row for each title."""
    images = [image for row in rows.values() for image in row]
    columns = len(images) // len(rows)
    return figures.show_grid(images, row_titles=list(rows), columns=columns, scale=scale)


def _busy_street(town):
    """The number of the first scene with two cars, two houses and two people of the size that is measured."""
    wanted = [town.class_names.index(name) for name in ("car", "house", "person")]
    for i in range(len(town)):
        item = town[i]
        measured = things(item["label"], item["instance"], town.thing_classes)
        found = [class_id for class_id, _ in measured]
        if all(found.count(class_id) >= 2 for class_id in wanted):
            return i
    raise ValueError("no scene with two cars, two houses and two people")


# {name of a file in docs/: what draws it}
PICTURES = {
    "rivals": rivals,
    "samples": samples,
    "system": system.draw,
} | {f"system_{name}": partial(system.draw, lit) for name, lit in system.LIT.items()}


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(PICTURES))
    names = parser.parse_args().names or list(PICTURES)
    for name in names:
        if name not in PICTURES:
            parser.error(f"no picture {name!r}; there are {', '.join(PICTURES)}")
    for name in names:
        path = ROOT / f"docs/{name}.png"
        PICTURES[name]().savefig(path)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
