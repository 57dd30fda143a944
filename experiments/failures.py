"""The picture of notebook 6's failures, docs/failures.png: the usual settings and five that break a training.

    python -m experiments.failures

Their models are not shipped. They are what `python -m experiments.runs <name>` leaves in runs/pretrain/<name>/, for the
names in `ROWS`.
"""

import csv
from pathlib import Path

import inade_lite as il  # isort: skip: before Paddle, which it prepares
import matplotlib.pyplot as plt
import paddle

from inade_lite import figures
from inade_lite.training import LOSSES, MODEL

from .runs import ROOT, WORK
from .tries import FAILURE_STEPS

# {the title of a row: its run}
ROWS = {
    "usual": "failures.usual",
    "no plain share": "failures.no_plain_share",
    "no KL": "failures.no_kl",
    "much KL": "failures.much_kl",
    "no feature": "failures.no_feature",
    "fast\ndiscriminator": "failures.fast_discriminator",
}
STREETS = (5, 21, 23)  # of the val split

# In pixels.
SIDE = 128  # of a street; two for each of its own pixels
LEFT = 120
ABOVE = 24
GAP = 4
BETWEEN = 16  # the rebuilt streets and the samples
CURVES = 130


def folders():
    """{title: the folder of its run}. FileNotFoundError if a model is missing, with the command that trains it.

    >>> from experiments.failures import ROWS
    >>> list(ROWS)[:2]
    ['usual', 'no plain share']
    """
    found = {title: WORK / run for title, run in ROWS.items()}
    missing = [run for run in ROWS.values() if not (WORK / run / MODEL).exists()]
    if missing:
        commands = "; ".join(f"python -m experiments.runs {run}" for run in missing)
        raise FileNotFoundError(f"these models are not shipped, train them first: {commands}")
    return found


@figures.style()
def draw(runs):
    """A row for each run: streets rebuilt through its encoder, samples of the same streets, its losses.

    runs: {title: a folder with the model and the losses of a run}.
    """
    panel = SIDE + GAP
    half = len(STREETS) * panel
    width = LEFT + 2 * half + 2 * BETWEEN + CURVES + 44
    height = ABOVE + len(runs) * panel + 24
    figure = plt.figure(figsize=(width / figures.DPI, height / figures.DPI))

    def axes_at(left, top, wide, high):
        place = (left / width, 1 - (top + high) / height, wide / width, high / height)
        return figure.add_axes(place)

    for row, (title, folder) in enumerate(runs.items()):
        top = ABOVE + row * panel
        middle = 1 - (top + SIDE / 2) / height
        figure.text((LEFT - 10) / width, middle, title, color=figures.INK, ha="right", va="center")
        for part, pictures in enumerate(paint(folder)):
            for k, picture in enumerate(pictures):
                axes = axes_at(LEFT + part * (half + BETWEEN) + k * panel, top, SIDE, SIDE)
                axes.imshow(picture, interpolation="nearest")
                axes.set_axis_off()
                if row == 0 and k == 0:
                    axes.set_title(("rebuilt", "samples")[part], loc="left", pad=4)
        axes = axes_at(LEFT + 2 * (half + BETWEEN) + 20, top + 6, CURVES, SIDE - 12)
        _draw_losses(axes, Path(folder) / LOSSES, row == 0, row == len(runs) - 1)
    plt.close(figure)
    return figure


@paddle.no_grad()
def paint(folder):
    """The streets as the model of a folder rebuilds them, and samples of them: uint8 [N, H, W, 3] each."""
    model = il.load_pretrained(Path(folder) / MODEL)
    town = il.ToyTown("val", 64)
    batch = il.collate([town[i] for i in STREETS])
    layout = il.Layout.of(batch, town)
    noise = il.sample_noise(layout, model.generator.noise_dim, seed=0)
    latent = paddle.zeros([len(layout), model.generator.latent_dim])
    params = model.encoder(paddle.to_tensor(batch["image"]), layout)
    rebuilt = model.generator(layout, *model.generator.remap(params, noise, latent))
    return figures.to_image(rebuilt), figures.to_image(model.generator(layout, noise, latent))


def _draw_losses(axes, path, with_names, with_steps):
    """The discriminator's two losses in a file, over the steps."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows]
    for name, color in (("real", figures.COLORS[0]), ("fake", figures.COLORS[1])):
        axes.plot(steps, [float(row[name]) for row in rows], color=color, linewidth=1, label=name)
    axes.set(xlim=(0, FAILURE_STEPS), ylim=(0, 4), xticks=[0, FAILURE_STEPS], yticks=[0, 1, 2, 3, 4])
    axes.tick_params(labelsize=8, labelbottom=with_steps)
    if with_names:
        axes.set_title("losses", loc="left", pad=8)
        axes.legend(loc="upper right", fontsize=8, ncols=2, borderaxespad=0, handlelength=1, columnspacing=1)


def main():
    """The command line."""
    path = ROOT / "docs/failures.png"
    draw(folders()).savefig(path)
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
