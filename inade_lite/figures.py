"""The figures of the notebooks. Every function returns a closed matplotlib Figure, which a notebook draws once.

Images are float [3, H, W] or [N, 3, H, W] in -1..1, or uint8 [..., H, W, 3]; arrays and Paddle tensors alike.
No global setting of matplotlib is changed: `style()` is a context.
"""

import csv
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch

from .data.images import to_uint8

DPI = 100  # so that a figure of w × h inches has 100 w × 100 h pixels, and pixel art is scaled by whole numbers


# Okabe and Ito's colours, told apart by the colour-blind too; without yellow, which is too pale for lines.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]


def style():
    """A context with the notebooks' settings: `with style(): fig, ax = plt.subplots()`."""
    return plt.rc_context(
        {
            "figure.dpi": DPI,
            "savefig.dpi": DPI,
            "savefig.bbox": None,
            "font.size": 10,
            "axes.titlesize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": plt.cycler(color=COLORS),
            "axes.grid": True,
            "grid.color": "0.92",
            "axes.axisbelow": True,
        }
    )


def to_array(value):
    """A numpy array of an array, a list or a Paddle tensor."""
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def to_image(image):
    """float [3, H, W] or [N, 3, H, W] in -1..1 → uint8 [H, W, 3] or [N, H, W, 3]; values beyond are clipped."""
    image = to_array(image)
    if image.ndim not in (3, 4) or image.shape[-3] != 3:
        raise ValueError(f"an image has the shape [3, H, W] or [N, 3, H, W], got {list(image.shape)}")
    return to_uint8(image)


def color_labels(label, class_colors):
    """Class ids [..., H, W] and colours [L, 3] → uint8 [..., H, W, 3]."""
    return np.asarray(class_colors, np.uint8)[to_array(label)]


def color_instances(instance):
    """Instance ids [..., H, W] → uint8 [..., H, W, 3]. A colour depends on the id alone.

    Hues go round by the golden ratio, so that consecutive ids, often neighbours, lie far apart. Lightness and
    saturation alternate with other periods: up to 40 ids can be told apart, consecutive ones in grey, too.
    """
    instance = to_array(instance)
    ids = np.arange(instance.max() + 1)
    hue = (0.58 + 0.618034 * ids) % 1
    lightness, saturation = np.array([0.98, 0.5, 0.72])[ids % 3], np.array([0.5, 0.85])[ids % 2]
    wheel = np.clip(abs((6 * hue[:, None] + [0, 4, 2]) % 6 - 3) - 1, 0, 1)  # pure hues
    colors = lightness[:, None] * (1 - saturation[:, None] * (1 - wheel))
    return np.rint(255 * colors).astype(np.uint8)[instance]


def _pixels(image):
    """What `show_grid` accepts, as uint8 [H, W, 3]."""
    image = to_array(image)
    return image if image.dtype == np.uint8 and image.shape[-1] == 3 else to_image(image)


def _blank(width, height):
    """A figure of that many pixels without margins, and a function that adds axes at pixels (from the upper left)."""
    fig = plt.figure(figsize=(width / DPI, height / DPI), dpi=DPI)

    def add(left, top, w, h):
        # A hair smaller, since matplotlib rounds sizes up, and up again where a quotient is a little too large.
        hair = 1e-3
        left, bottom, w, h = left + hair / 2, height - top - h + hair / 2, w - hair, h - hair
        axes = fig.add_axes((left / width, bottom / height, w / width, h / height))
        axes.set_axis_off()
        return axes

    return fig, add


def show_grid(images, titles=None, row_titles=None, columns=None, scale=4, gap=4):
    """Images of one size in rows of `columns` (default: up to 8), each pixel drawn as `scale`² pixels.

    titles: one for each image, or for each column (then they stand above the first row). row_titles: one for each row.
    """
    images, titles = [_pixels(image) for image in images], list(titles or [])
    columns = min(columns or 8, len(images))
    rows = -(-len(images) // columns)
    height, width = (scale * side for side in images[0].shape[:2])
    left = 16 + 8 * max(map(len, row_titles)) if row_titles else 0
    top = 20 if titles else 0
    step = height + gap + (top if len(titles) > columns else 0)
    fig, add = _blank(left + columns * (width + gap) - gap, top + (rows - 1) * step + height)
    for k, image in enumerate(images):
        row, column = divmod(k, columns)
        axes = add(left + column * (width + gap), top + row * step, width, height)
        axes.imshow(image, interpolation="nearest", aspect="auto")
        if k < len(titles):
            axes.set_title(titles[k], fontsize=10, pad=4)
        if row_titles and column == 0:
            axes.text(-8 / width, 0.5, row_titles[row], transform=axes.transAxes, ha="right", va="center", fontsize=10)
    plt.close(fig)
    return fig


def show_scene(item, dataset, scale=4):
    """Image, label map and instance map of an item of `dataset` side by side, and a legend of its classes."""
    label, instance = to_array(item["label"]), to_array(item["instance"])
    height, width = (scale * side for side in label.shape)
    gap, above, legend = 8, 20, 110
    fig, add = _blank(3 * width + 2 * gap + legend, above + height)
    panels = {
        "image": to_image(item["image"]),
        "label": color_labels(label, dataset.class_colors),
        f"instance (0 to {instance.max()})": color_instances(instance),
    }
    for k, (title, picture) in enumerate(panels.items()):
        axes = add(k * (width + gap), above, width, height)
        axes.imshow(picture, interpolation="nearest", aspect="auto")
        axes.set_title(title, fontsize=10, pad=4)
    handles = [
        Patch(facecolor=dataset.class_colors[k] / 255, edgecolor="0.6", linewidth=0.5, label=dataset.class_names[k])
        for k in np.unique(label)
    ]
    fig.legend(
        handles=handles,
        loc="upper right",
        bbox_to_anchor=(1, 1 - above / (above + height)),
        borderaxespad=0,
        frameon=False,
        fontsize=9,
        labelspacing=0.25,
        handlelength=1,
        handleheight=1,
    )
    plt.close(fig)
    return fig


def show_items(dataset, indices, scale=4):
    """Items of one size in columns: images, label maps, instance maps."""
    items = [dataset[i] for i in indices]
    rows = {
        "picture": [item["image"] for item in items],
        "classes": [color_labels(item["label"], dataset.class_colors) for item in items],
        "instances": [color_instances(item["instance"]) for item in items],
    }
    return show_grid([image for row in rows.values() for image in row], None, list(rows), len(items), scale)


def show_classes(dataset, summary, count=20):
    """The `count` most common classes of a data set: their share of all pixels, and their instances in a picture."""
    order = np.argsort(-summary.pixels, kind="stable")[: min(count, (summary.pixels > 0).sum())][::-1]
    names = [dataset.class_names[k] for k in order]
    panels = {
        "share of all pixels, %": 100 * summary.pixels[order] / summary.pixels.sum(),
        "instances in a picture that has the class": summary.instances[order] / summary.items[order],
    }
    with style():
        fig, axes = plt.subplots(1, 2, figsize=(9, 0.6 + 0.22 * len(order)), sharey=True, layout="constrained")
        for panel, (title, values) in zip(axes, panels.items(), strict=True):
            panel.barh(
                names, values, color=np.asarray(dataset.class_colors)[order] / 255, edgecolor="0.6", linewidth=0.5
            )
            panel.set_title(title)
            panel.grid(axis="y", visible=False)
    plt.close(fig)
    return fig


def show_array(array, title=None, mask=None, cell=34):
    """A small 2-D array as a grid of coloured cells with its numbers; where `mask` is 0, a cell is faded.

    Equal numbers have equal colours in all figures: integers those of `color_instances`, others shades of grey.
    """
    array = to_array(array)
    if array.ndim != 2 or array.size > 400:
        raise ValueError(f"show_array draws up to 400 numbers [H, W], got the shape {list(array.shape)}")
    if np.issubdtype(array.dtype, np.integer) and array.min() >= 0:
        colors, texts = color_instances(array) / 255, array.astype(str)
    else:
        low, high = array.min(), array.max()
        colors = np.repeat((0.95 - 0.6 * (array - low) / (high - low or 1))[..., None], 3, -1)
        texts = np.vectorize("{:.3g}".format)(array)
    colors = 0.45 + 0.55 * colors  # pale, for black numbers
    shown = np.ones(array.shape, bool) if mask is None else to_array(mask).astype(bool)
    rows, columns = array.shape
    wide, above = max(cell, 10 + 8 * max(map(len, texts.flat))), 24 if title else 2
    width = max(columns * wide, 7 * len(title or "")) + 4
    fig, add = _blank(width, above + rows * cell + 2)
    axes = add((width - columns * wide) / 2, above, columns * wide, rows * cell)
    axes.imshow(np.where(shown[..., None], colors, 0.97), interpolation="nearest", aspect="auto")
    for row, column in np.ndindex(rows, columns):
        color = "black" if shown[row, column] else "0.75"
        axes.text(column, row, texts[row, column], ha="center", va="center", color=color, fontsize=11)
    axes.hlines(np.arange(rows + 1) - 0.5, -0.5, columns - 0.5, color="white", linewidth=1.5)
    axes.vlines(np.arange(columns + 1) - 0.5, -0.5, rows - 0.5, color="white", linewidth=1.5)
    if title:
        axes.set_title(title, fontsize=10, pad=5)
    plt.close(fig)
    return fig


def plot_losses(rows, columns=None, smooth=50):
    """Loss curves over the steps: faint as measured, strong smoothed, each with its name at its end.

    rows: the path of a CSV file with a header, or a list of dicts; the key "step" is the horizontal axis (without it,
    the row's number). columns: which to draw, default all but "seconds". smooth: rows of the running mean.
    """
    if isinstance(rows, (str, Path)):
        with open(rows, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    if not rows:
        raise ValueError("there are no rows to plot yet")
    steps = np.array([float(row.get("step", k)) for k, row in enumerate(rows)])
    with style():
        fig, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
        ends = []
        for k, name in enumerate(columns or [key for key in rows[0] if key not in ("step", "seconds")]):
            values = np.array([float(row[name]) for row in rows])
            window = min(smooth, len(values))
            sums = np.cumsum(np.concatenate([[0], values]))
            first = np.maximum(np.arange(len(values)) + 1 - window, 0)
            mean = (sums[1:] - sums[first]) / (np.arange(len(values)) + 1 - first)
            color = COLORS[k % len(COLORS)]
            axes.plot(steps, values, color=color, alpha=0.2, linewidth=0.8)
            axes.plot(steps, mean, color=color, linewidth=1.8)
            ends.append((mean[-1], name, color))
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.margins(x=0)
        _label_ends(axes, sorted(ends), steps[-1])
    plt.close(fig)
    return fig


def show_times(times):
    """{name: times in ms} as bars of their medians; the title tells how often the last goes into the first."""
    medians = {name: float(np.median(to_array(values))) for name, values in times.items()}
    with style():
        figure, axes = plt.subplots(figsize=(6, 0.5 + 0.4 * len(medians)), layout="constrained")
        bars = axes.barh(list(medians), list(medians.values()), height=0.6, color=COLORS[: len(medians)])
        axes.bar_label(bars, [f"{value:.0f} ms" for value in medians.values()], padding=4)
        first, *_, last = medians.values()
        axes.set_title(f"× {first / last:.1f}", loc="right")
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.grid(False)
        axes.tick_params(left=False, bottom=False, labelbottom=False)
        axes.spines["bottom"].set_visible(False)
    plt.close(figure)
    return figure


def _label_ends(axes, ends, x):
    """Writes names beside the curves' ends (sorted upwards), pushed apart to at least a line's height."""
    low, high = axes.get_ylim()
    line, y = (high - low) / 15, -np.inf
    for end, name, color in ends:
        y = max(end, y + line)
        axes.annotate(name, (x, y), (6, 0), textcoords="offset points", color=color, va="center", annotation_clip=False)
