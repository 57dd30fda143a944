"""The figures of the notebooks. Every function returns a closed matplotlib Figure, which a notebook draws once.

Images are float [3, H, W] or [N, 3, H, W] in -1..1, or uint8 [..., H, W, 3]; arrays and Paddle tensors alike.
No global setting of matplotlib is changed: `style()` is a context.
"""

import csv
import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.patches import Patch

from .data.images import to_uint8
from .files import write_file

# A figure of w × h inches has 100 w × 100 h pixels, so pixel art is scaled by whole numbers.
DPI = 100

# The color of texts, axes and lines: on JupyterLab's white and on its near-black its contrast is above 4.
INK = "#7a7a7a"

# Okabe and Ito's colors, which the color-blind can tell apart, too. Without yellow; orange and sky blue are darker than
# theirs, so that lines have a contrast of 3 on white and on near-black.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#BF8300", "#3B97CD", INK]

# The notebooks' settings of matplotlib. A figure is transparent: it lies on the page, be that light or dark.
STYLE = {
    "figure.dpi": DPI,
    "figure.facecolor": "none",
    "savefig.dpi": DPI,
    "savefig.bbox": None,
    "savefig.facecolor": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": plt.cycler(color=COLORS),
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.25,
    "xtick.color": INK,
    "xtick.labelcolor": INK,
    "ytick.color": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.labelcolor": INK,
}


def style():
    """A context with the notebooks' settings: `with style(): fig, ax = plt.subplots()`.

    >>> with style():
    ...     plt.rcParams["text.color"] == INK
    True
    """
    return plt.rc_context(STYLE)


# ---- Arrays and colors


def save(figure, path):
    """Write a figure to a file, whole or not at all; the ending of its name is the format, .png without any.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "figure.png"
    >>> save(plt.figure(), path)
    >>> path.read_bytes()[1:4]
    b'PNG'
    """
    path = Path(path)
    file = io.BytesIO()
    figure.savefig(file, format=path.suffix.removeprefix(".") or "png")
    write_file(path, file.getvalue())


def to_array(value):
    """A numpy array of an array, a list or a Paddle tensor.

    >>> to_array([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def to_image(image):
    """float [3, H, W] or [N, 3, H, W] in -1..1 -> uint8 [H, W, 3] or [N, H, W, 3]; values beyond are clipped.

    ValueError for any other shape.

    >>> to_image(np.zeros([2, 3, 4, 5])).shape
    (2, 4, 5, 3)
    """
    image = to_array(image)
    if image.ndim not in (3, 4) or image.shape[-3] != 3:
        raise ValueError(f"an image has the shape [3, H, W] or [N, 3, H, W], got {list(image.shape)}")
    return to_uint8(image)


def color_labels(label, class_colors):
    """Class ids [..., H, W] and colors [L, 3] -> uint8 [..., H, W, 3].

    >>> color_labels([[1, 0]], class_colors=[[0, 0, 255], [255, 0, 0]]).tolist()
    [[[255, 0, 0], [0, 0, 255]]]
    """
    return np.asarray(class_colors, np.uint8)[to_array(label)]


def color_instances(instance):
    """Instance ids [..., H, W] -> uint8 [..., H, W, 3]. A color depends on the id alone.

    Hues go round by the golden ratio, so that consecutive ids, often neighbors, lie far apart. Lightness and
    saturation alternate with other periods: up to 40 ids can be told apart, consecutive ones in gray, too.

    >>> color_instances([[0, 1, 1]]).shape
    (1, 3, 3)
    """
    instance = to_array(instance)
    ids = np.arange(instance.max() + 1)
    hue = (0.58 + 0.618034 * ids) % 1
    lightness = np.array([0.98, 0.5, 0.72])[ids % 3]
    saturation = np.array([0.5, 0.85])[ids % 2]
    sector = (6 * hue[:, None] + [0, 4, 2]) % 6  # [I, 3], a column for red, green, blue
    wheel = np.clip(abs(sector - 3) - 1, 0, 1)  # pure hues
    colors = lightness[:, None] * (1 - saturation[:, None] * (1 - wheel))
    table = np.rint(255 * colors).astype(np.uint8)
    return table[instance]


# ---- Pictures, drawn pixel by pixel


class _Canvas:
    """A figure of width × height pixels without margins."""

    def __init__(self, width, height):
        self.width = width
        self.height = height
        self.figure = plt.figure(figsize=(width / DPI, height / DPI), dpi=DPI)

    def add_axes(self, left, top, width, height):
        """Axes at these pixels, counted from the upper left corner of the figure."""
        # A hair smaller: matplotlib rounds sizes up, and up again where a quotient is a little too large.
        hair = 1e-3
        left = left + hair / 2
        bottom = self.height - top - height + hair / 2
        width = width - hair
        height = height - hair
        place = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(place)
        axes.set_axis_off()
        return axes

    def add_picture(self, picture, left, top, width, height, **options):
        """Axes that are filled by a picture [h, w, 3 or 4], whose pixels stay squares with sharp edges."""
        axes = self.add_axes(left, top, width, height)
        axes.imshow(picture, interpolation="nearest", aspect="auto", **options)
        return axes


def _pixels(image):
    """What `show_grid` accepts, as uint8 [H, W, 3]."""
    image = to_array(image)
    return image if image.dtype == np.uint8 and image.shape[-1] == 3 else to_image(image)


@style()
def show_grid(images, titles=None, row_titles=None, columns=None, scale=4, gap=4):
    """Images of one size in rows of `columns` (default: up to 8), each pixel drawn as `scale`² pixels.

    titles: one for each image, or for each column (then they stand above the first row). row_titles: one for each row.

    >>> figure = show_grid(np.zeros([6, 3, 8, 8]), columns=3, scale=2, gap=4)
    >>> (figure.get_size_inches() * figure.dpi).round().tolist()
    [56.0, 36.0]
    """
    images = [_pixels(image) for image in images]
    titles = list(titles or [])
    columns = min(columns or 8, len(images))
    rows = -(-len(images) // columns)  # rounded up
    height = scale * images[0].shape[0]
    width = scale * images[0].shape[1]

    # Room for titles, in pixels: a line takes 20, a letter about 8.
    left = 0
    if row_titles:
        left = 16 + 8 * max(map(len, row_titles))
    above = 20 if titles else 0
    step = height + gap
    if len(titles) > columns:  # each row has titles
        step += above

    canvas = _Canvas(
        width=left + columns * (width + gap) - gap,
        height=above + (rows - 1) * step + height,
    )
    for k, image in enumerate(images):
        row, column = divmod(k, columns)
        axes = canvas.add_picture(image, left + column * (width + gap), above + row * step, width, height)
        if k < len(titles):
            axes.set_title(titles[k], fontsize=10, pad=4)
        if row_titles and column == 0:
            axes.text(
                x=-8 / width,
                y=0.5,
                s=row_titles[row],
                transform=axes.transAxes,
                ha="right",
                va="center",
                fontsize=10,
            )
    plt.close(canvas.figure)
    return canvas.figure


@style()
def show_scene(item, dataset, scale=4):
    """Image, label map and instance map of an item of `dataset` side by side, and a legend of its classes.

    >>> import inade_lite as il
    >>> town = il.ToyTown("val", 16)
    >>> [axes.get_title() for axes in show_scene(town[0], town).axes][:2]
    ['image', 'label']
    """
    label = to_array(item["label"])
    instance = to_array(item["instance"])
    pictures = {
        "image": to_image(item["image"]),
        "label": color_labels(label, dataset.class_colors),
        f"instance (0 to {instance.max()})": color_instances(instance),
    }
    height = scale * label.shape[0]
    width = scale * label.shape[1]
    gap = 8
    above = 20
    legend = 110
    canvas = _Canvas(3 * width + 2 * gap + legend, above + height)
    for k, (title, picture) in enumerate(pictures.items()):
        axes = canvas.add_picture(picture, k * (width + gap), above, width, height)
        axes.set_title(title, fontsize=10, pad=4)

    handles = []
    for k in np.unique(label):
        color = dataset.class_colors[k] / 255
        name = dataset.class_names[k]
        handles.append(Patch(facecolor=color, edgecolor=INK, linewidth=0.5, label=name))
    canvas.figure.legend(
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
    plt.close(canvas.figure)
    return canvas.figure


def show_items(dataset, indices, scale=4):
    """Items of one size in columns: images, label maps, instance maps.

    >>> import inade_lite as il
    >>> len(show_items(il.ToyTown("val", 16), indices=[0, 5]).axes)
    6
    """
    items = [dataset[i] for i in indices]
    images = [item["image"] for item in items]
    classes = [color_labels(item["label"], dataset.class_colors) for item in items]
    instances = [color_instances(item["instance"]) for item in items]
    return show_grid(
        images + classes + instances,
        row_titles=["picture", "classes", "instances"],
        columns=len(items),
        scale=scale,
    )


@style()
def show_array(array, title=None, mask=None, cell=34):
    """A small 2-D array as a grid of colored cells with its numbers; where `mask` is 0, a cell is faded.

    Equal numbers have equal colors in all figures: integers those of `color_instances`, others shades of gray.
    ValueError for other shapes and for more than 400 numbers.

    >>> figure = show_array([[0, 1], [1, 2]], title="instance")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['0', '1', '1', '2']
    """
    array = to_array(array)
    if array.ndim != 2 or array.size > 400:
        raise ValueError(f"show_array draws up to 400 numbers [H, W], got the shape {list(array.shape)}")
    colors, texts = _cells(array)
    shown = np.ones(array.shape, bool)
    if mask is not None:
        shown = to_array(mask).astype(bool)
        colors[~shown] = to_rgba(INK, 0.1)

    rows, columns = array.shape
    longest = max(map(len, texts.flat))
    cell_width = max(cell, 10 + 9 * longest)
    width = columns * cell_width
    height = rows * cell
    above = 24 if title else 2
    title_width = 7 * len(title or "")
    canvas = _Canvas(max(width, title_width) + 4, above + height + 2)
    # Between the cells the page shines through.
    picture = colors.repeat(cell, 0).repeat(cell_width, 1)
    y, x = np.indices(picture.shape[:2], sparse=True)
    between = (y % cell == 0) | (y % cell == cell - 1) | (x % cell_width == 0) | (x % cell_width == cell_width - 1)
    picture[between] = 0
    left = (canvas.width - width) // 2
    extent = (-0.5, columns - 0.5, rows - 0.5, -0.5)
    axes = canvas.add_picture(picture, left, above, width, height, extent=extent)

    for row, column in np.ndindex(rows, columns):
        color = "black" if shown[row, column] else to_rgba(INK, 0.6)
        axes.text(column, row, texts[row, column], ha="center", va="center", color=color, fontsize=11)
    if title:
        axes.set_title(title, fontsize=10, pad=5)
    plt.close(canvas.figure)
    return canvas.figure


def _cells(array):
    """The colors [H, W, 4] in 0..1 and the texts [H, W] of the numbers [H, W]."""
    if np.issubdtype(array.dtype, np.integer) and array.min() >= 0:
        colors = color_instances(array) / 255
        texts = array.astype(str)
    else:
        low = array.min()
        span = array.max() - low or 1
        gray = 0.95 - 0.6 * (array - low) / span
        colors = np.repeat(gray[..., None], 3, -1)
        texts = np.vectorize("{:.3g}".format)(array)
    pale = 0.45 + 0.55 * colors  # so that black numbers can be read
    opaque = np.dstack([pale, np.ones(array.shape)])
    return opaque, texts


# ---- Charts


def show_classes(dataset, summary, count=20):
    """The `count` most common classes of a data set: their share of all pixels, and their instances in a picture.

    >>> import inade_lite as il
    >>> town = il.ToyTown("val", 16, length=2)
    >>> len(show_classes(town, il.data.summarize(town)).axes)
    2
    """
    count = min(count, (summary.pixels > 0).sum())
    order = np.argsort(-summary.pixels, kind="stable")[:count]
    order = order[::-1]  # bars are drawn upwards
    names = [dataset.class_names[k] for k in order]
    colors = np.asarray(dataset.class_colors)[order] / 255
    panels = {
        "share of all pixels, %": 100 * summary.pixels[order] / summary.pixels.sum(),
        "instances in a picture that has the class": summary.instances[order] / summary.items[order],
    }
    with style():
        size = (9, 0.6 + 0.22 * len(order))
        figure, axes = plt.subplots(1, 2, figsize=size, sharey=True, layout="constrained")
        for panel, (title, values) in zip(axes, panels.items(), strict=True):
            panel.barh(names, values, color=colors, edgecolor=INK, linewidth=0.5)
            panel.set_title(title)
            panel.grid(axis="y", visible=False)
    plt.close(figure)
    return figure


def plot_losses(rows, columns=None, smooth=50):
    """Loss curves over the steps: faint as measured, strong smoothed, each with its name at its end.

    rows: the path of a CSV file with a header, or a list of dicts; the key "step" is the horizontal axis (without it,
    the row's number). columns: which to draw, default all but "seconds". smooth: rows of the running mean.
    ValueError if there are no rows.

    >>> figure = plot_losses([{"step": 0, "kl": 2.0}, {"step": 20, "kl": 1.0}], smooth=2)
    >>> figure.axes[0].lines[1].get_ydata().tolist()
    [2.0, 1.5]
    """
    if isinstance(rows, (str, Path)):
        with open(rows, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    if not rows:
        raise ValueError("there are no rows to plot yet")
    columns = columns or [key for key in rows[0] if key not in ("step", "seconds")]
    steps = np.array([float(row.get("step", k)) for k, row in enumerate(rows)])
    with style():
        figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
        ends = []
        for k, name in enumerate(columns):
            values = np.array([float(row[name]) for row in rows])
            smoothed = _running_mean(values, smooth)
            color = COLORS[k % len(COLORS)]
            axes.plot(steps, values, color=color, alpha=0.2, linewidth=0.8)
            axes.plot(steps, smoothed, color=color, linewidth=1.8)
            ends.append((smoothed[-1], name, color))
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.margins(x=0)
        _label_ends(axes, sorted(ends), steps[-1])
    plt.close(figure)
    return figure


def _running_mean(values, window):
    """The mean of each value [S] and those before it, `window` of them or as many as there are."""
    # The sum of a window is the difference of two sums from the start: no loop over windows.
    sums = np.cumsum(np.concatenate([[0], values]))
    stop = np.arange(len(values)) + 1
    first = np.maximum(stop - window, 0)
    return (sums[stop] - sums[first]) / (stop - first)


def _label_ends(axes, ends, x):
    """Writes names beside the curves' ends (sorted upwards), pushed apart to at least a line's height."""
    low, high = axes.get_ylim()
    line = (high - low) / 15
    y = -np.inf
    for end, name, color in ends:
        y = max(end, y + line)
        axes.annotate(
            name,
            xy=(x, y),
            xytext=(6, 0),
            textcoords="offset points",
            color=color,
            va="center",
            annotation_clip=False,  # the names stand outside of the axes
        )


def show_times(times):
    """{name: times in ms} as bars of their medians; the title tells how often the last goes into the first.

    >>> show_times({"loop": [30, 32, 31], "convolution": [10, 11, 10]}).axes[0].get_title("right")
    '× 3.1'
    """
    medians = {name: float(np.median(to_array(values))) for name, values in times.items()}
    values = list(medians.values())
    with style():
        figure, axes = plt.subplots(figsize=(6, 0.5 + 0.4 * len(values)), layout="constrained")
        bars = axes.barh(list(medians), values, height=0.6, color=COLORS[: len(values)])
        axes.bar_label(bars, [f"{value:.0f} ms" for value in values], padding=4)
        axes.set_title(f"× {values[0] / values[-1]:.1f}", loc="right")
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.grid(False)
        axes.tick_params(left=False, bottom=False, labelbottom=False)
        axes.spines["bottom"].set_visible(False)
    plt.close(figure)
    return figure
