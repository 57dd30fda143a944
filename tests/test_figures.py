"""The figures, read back as pixels where pixels matter."""

import base64
import csv
import io

import matplotlib.pyplot as plt
import numpy as np
import paddle
import pytest
from IPython.core.pylabtools import print_figure
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb, to_rgba
from matplotlib.text import Text
from PIL import Image

import inade_lite as il
from experiments import system
from inade_lite import figures
from inade_lite.data.toy_town import ToyTown

TOWN = ToyTown("val", 32)


def rendered(fig):
    """The figure as uint8 RGB [H, W, 3]."""
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def texts(fig):
    return [text.get_text() for axes in fig.axes for text in [axes.title, *axes.texts] if text.get_text()]


def count(canvas, picture):
    """How often a picture occurs in a canvas, pixel for pixel."""
    windows = np.lib.stride_tricks.sliding_window_view(canvas, picture.shape[:2], axis=(0, 1))
    corners = np.argwhere((windows[..., 0, 0] == picture[0, 0]).all(-1))
    height, width = picture.shape[:2]
    return sum(np.array_equal(canvas[y : y + height, x : x + width], picture) for y, x in corners)


def enlarged(picture, scale):
    return picture.repeat(scale, 0).repeat(scale, 1)


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    before = dict(plt.rcParams)
    yield
    assert dict(plt.rcParams) == before
    assert not plt.get_fignums(), "an open figure is drawn twice in a notebook"


# ---- Both themes


PAGES = {"light": "#ffffff", "dark": "#111111"}  # JupyterLab's
ROWS = [{"step": k, "kl": 1.0 + k, "pixel": 2.0} for k in range(3)]
DRAWN = {
    "grid": lambda: figures.show_grid([TOWN[0]["image"]] * 2, titles=["a", "b"], row_titles=["row"]),
    "grid without titles": lambda: figures.show_grid([TOWN[0]["image"]]),
    "scene": lambda: figures.show_scene(TOWN[0], TOWN),
    "items": lambda: figures.show_items(TOWN, [0, 1]),
    "array": lambda: figures.show_array([[0, 1], [1, 2]], "title", mask=[[1, 0], [0, 0]]),
    "classes": lambda: figures.show_classes(TOWN, il.data.summarize(ToyTown("val", 32, length=2))),
    "losses": lambda: figures.plot_losses(ROWS),
    "times": lambda: figures.show_times({"slow": [30.0], "fast": [10.0]}),
    "system": lambda: system.draw(system.LIT["noise"]),
}
every_figure = pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)


def contrast(color, page):
    """WCAG's contrast of two opaque colors, 1 to 21."""
    light = []
    for shade in (color, page):
        share = np.array(to_rgb(shade))
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        light.append(linear @ [0.2126, 0.7152, 0.0722])
    return (max(light) + 0.05) / (min(light) + 0.05)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_ink_and_colors_can_be_seen_on_both_pages(page):
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast(figures.INK, page) > 4
    assert min(contrast(color, page) for color in [*figures.COLORS, *system.PARTS.values()]) > 3


@every_figure
def test_a_notebook_shows_it_without_a_page_of_its_own(draw):
    """As the inline backend prints it: with a margin, which is the page's."""
    printed = print_figure(draw(), fmt="png", base64=True)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(printed))))
    assert pixels.shape[2] == 4 and not pixels[[0, 0, -1, -1], [0, -1, 0, -1], 3].any()
    assert (pixels[..., 3] == 255).any()


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_written_on_the_page_can_be_read_on_both(name):
    fig = DRAWN[name]()
    rendered(fig)  # draws the labels of the ticks
    written = {to_hex(text.get_color()) for text in fig.findobj(Text) if text.get_text()}
    if name == "array":
        written.remove("#000000")  # the numbers in colored cells
    for color in written:
        assert min(contrast(color, page) for page in PAGES.values()) > 3, color


def test_numbers_are_black_in_colored_cells_and_ink_in_faded_ones():
    fig = figures.show_array([[0, 1], [1, 2]], mask=[[1, 0], [0, 1]])
    black, *faded, last = (text.get_color() for text in fig.axes[0].texts)
    assert black == last == "black" and faded == [to_rgba(figures.INK, 0.6)] * 2
    # A colored cell is opaque, a faded one nearly transparent, and between them is the page.
    picture = fig.axes[0].images[0].get_array()
    height, width = (length // 2 for length in picture.shape[:2])
    alpha = picture[height // 4 :: height, width // 4 :: width, 3]
    assert alpha[[0, 1], [0, 1]].tolist() == [1, 1] and alpha[[0, 1], [1, 0]].round(6).tolist() == [0.1, 0.1]
    assert not picture[height - 1 : height + 1, ..., 3].any() and not picture[:, width - 1 : width + 1, 3].any()


# ---- Pictures


def test_to_image_for_one_and_many_arrays_and_tensors(random):
    pixels = random.integers(0, 256, (2, 5, 4, 3)).astype(np.uint8)
    image = pixels.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
    assert np.array_equal(figures.to_image(image), pixels)
    assert np.array_equal(figures.to_image(image[0]), pixels[0])
    assert np.array_equal(figures.to_image(paddle.to_tensor(image)), pixels)
    assert np.array_equal(figures.to_image(np.full((3, 1, 1), 1.7)), [[[255, 255, 255]]])
    with pytest.raises(ValueError, match=r"\[3, H, W\].*\[2, 5, 4, 3\]"):
        figures.to_image(pixels)


def test_labels_take_the_colors_of_their_classes():
    label = TOWN[0]["label"]
    colored = figures.color_labels(label, TOWN.class_colors)
    assert colored.dtype == np.uint8 and tuple(colored[3, 7]) == tuple(TOWN.class_colors[label[3, 7]])
    assert np.array_equal(figures.color_labels(paddle.to_tensor(label), TOWN.class_colors), colored)


def test_instances_take_distinct_colors_that_do_not_depend_on_the_scene():
    colors = figures.color_instances(np.arange(40)[None])[0].astype(int)
    distance = np.sqrt(((colors[:, None] - colors) ** 2).sum(-1)) + 999 * np.eye(40)
    assert distance.min() > 30 and np.diag(distance, 1).min() > 80
    assert np.array_equal(figures.color_instances(np.array([[7, 3]]))[0], colors[[7, 3]])
    assert figures.color_instances(paddle.to_tensor(TOWN[0]["instance"])).shape == (32, 32, 3)


@pytest.mark.parametrize("scale", [1, 4])
@pytest.mark.parametrize("titles, row_titles", [(None, None), (["a", "b"], ["one", "two"]), (["a", "b", "c"], None)])
def test_a_grid_shows_every_pixel_as_a_square(scale, titles, row_titles):
    images = np.stack([TOWN[i]["image"] for i in range(3)])
    fig = figures.show_grid(paddle.to_tensor(images), titles, row_titles, columns=2, scale=scale)
    canvas = rendered(fig)
    for picture in figures.to_image(images):
        assert count(canvas, enlarged(picture, scale)) == 1
    assert sorted(texts(fig)) == sorted((titles or []) + (row_titles or []))


def test_a_grid_without_titles_has_no_margins_and_takes_uint8():
    pictures = figures.to_image(np.stack([TOWN[i]["image"] for i in range(3)]))
    canvas = rendered(figures.show_grid(list(pictures), columns=3, scale=2, gap=4))
    assert canvas.shape == (64, 3 * 64 + 2 * 4, 3)
    assert np.array_equal(canvas[:, 68:132], enlarged(pictures[1], 2))


def test_a_scene_is_an_image_two_maps_and_the_classes_that_occur():
    item = TOWN[1]
    fig = figures.show_scene(item, TOWN, scale=3)
    canvas = rendered(fig)
    label = figures.color_labels(item["label"], TOWN.class_colors)
    for picture in (figures.to_image(item["image"]), label, figures.color_instances(item["instance"])):
        assert count(canvas, enlarged(picture, 3)) == 1
    legend = [text.get_text() for text in fig.legends[0].get_texts()]
    assert legend == [TOWN.class_names[k] for k in np.unique(item["label"])]


def test_a_small_array_shows_its_numbers_and_fades_what_is_masked():
    array = np.array([[0, 0, 1], [2, 1, 1]])
    fig = figures.show_array(array, "instance", mask=array == 1)
    assert texts(fig) == ["instance", "0", "0", "1", "2", "1", "1"]
    faded = [text.get_color() != "black" for text in fig.axes[0].texts]
    assert faded == [True, True, False, True, False, False]
    assert texts(figures.show_array(paddle.to_tensor([[0.5, -1 / 3]]))) == ["0.5", "-0.333"]
    with pytest.raises(ValueError, match=r"up to 400 numbers \[H, W\].*\[32, 32\]"):
        figures.show_array(TOWN[0]["label"])


# ---- Charts


def curve(fig, k):
    """The k-th loss as measured and smoothed."""
    return fig.axes[0].lines[2 * k].get_ydata(), fig.axes[0].lines[2 * k + 1].get_ydata()


def test_losses_of_a_csv_file_and_of_rows(tmp_path):
    rows = [{"step": 10 * k, "seconds": 3.0 * k, "generator": 5.0 - k, "kl": 1.0} for k in range(4)]
    path = tmp_path / "losses.csv"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    for source in (rows, path, str(path)):
        fig = figures.plot_losses(source, smooth=2)
        measured, smoothed = curve(fig, 0)
        assert measured.tolist() == [5, 4, 3, 2] and smoothed.tolist() == [5, 4.5, 3.5, 2.5]
        assert fig.axes[0].lines[0].get_xdata().tolist() == [0, 10, 20, 30]
        assert sorted(texts(fig)) == ["generator", "kl"]
        rendered(fig)
    assert texts(figures.plot_losses(rows, columns=["kl"])) == ["kl"]
    with pytest.raises(ValueError, match="no rows"):
        figures.plot_losses([])


def test_labels_at_the_ends_of_equal_curves_do_not_overlap():
    fig = figures.plot_losses([{"a": 1.0, "b": 1.0, "c": 1.0, "d": 2.0}] * 3)
    rendered(fig)
    boxes = sorted((text.get_window_extent() for text in fig.axes[0].texts), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 for below, above in zip(boxes, boxes[1:], strict=False))


def test_times_are_bars_of_medians():
    figure = figures.show_times({"slow": [30.0, 90.0, 31.0], "fast": [10.0, 12.0, 2.0]})
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == [31, 10]
    assert [text.get_text() for text in axes.texts] == ["31 ms", "10 ms"]
    assert axes.get_title("right") == "× 3.1" and axes.get_yaxis().get_inverted()


def test_forms_take_turns_and_the_first_round_is_not_counted(monkeypatch):
    now, calls = [0.0], []

    def form(name, *seconds):
        durations = iter(seconds)

        def run():
            calls.append(name)
            now[0] += next(durations)

        return run

    monkeypatch.setattr(il.timing.time, "perf_counter", lambda: now[0])
    times = il.take_turns({"a": form("a", 9, 1, 2), "b": form("b", 9, 3, 4)}, rounds=2)
    assert calls == list("ababab") and times == {"a": [1000, 2000], "b": [3000, 4000]}
