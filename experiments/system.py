"""The picture of the whole system in its five parts, docs/system.png: a real run, with the shapes that it had.

At the head of a notebook stands the same picture, in which the notebook's own part is lit.
"""

import functools

import inade_lite as il  # isort: skip: before Paddle, which it prepares
import matplotlib.pyplot as plt
import paddle
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from inade_lite import figures

# In pixels; all places below are pixels from the upper left.
WIDTH = 960
HEIGHT = 400

# Of the val split: clean in the model's samples, with cars in all of its lanes.
SCENE = 23

# The color of each part, with a contrast of 3 on white and on near-black as those of `figures`.
LAYOUT, NOISE, ENCODER, GENERATOR, DISCRIMINATOR = range(1, 6)
PARTS = {
    LAYOUT: "#0072B2",
    NOISE: "#D55E00",
    ENCODER: "#009E73",
    GENERATOR: "#9A6CB4",
    DISCRIMINATOR: "#BF8300",
}
FAINT = 0.45  # how visible a part is that is not lit

# {what a notebook is about: the parts that are lit}
LIT = {
    "layout": (LAYOUT,),
    "noise": (NOISE,),
    "encoder": (ENCODER,),
    "generator": (GENERATOR,),
    "networks": (GENERATOR, DISCRIMINATOR),
    "stripes": (ENCODER, GENERATOR),
    "painted": (),
}


@functools.lru_cache(maxsize=1)
def run(scene=SCENE):
    """Every array of the picture: one pass through the best model and through a discriminator as training builds it.

    >>> from experiments.system import run
    >>> list(run()["fake"].shape)
    [1, 3, 64, 64]
    """
    town = il.ToyTown("val", 64)
    item = town[scene]
    model = il.load_pretrained("inade_positions")
    generator = model.generator
    layout = il.Layout.of(il.collate([item]), town)
    trainer = il.Trainer(il.TrainConfig(), il.ToyTown("train", 64, length=8))
    with paddle.no_grad():
        image = paddle.to_tensor(item["image"][None])
        params = model.encoder(image, layout)
        noise = il.sample_noise(layout, generator.noise_dim, seed=0)
        latent = paddle.zeros([1, generator.latent_dim])
        fake = generator(layout, noise, latent)
        seen = paddle.concat([layout.scene(), fake], axis=1)
        scores = [scale[-1] for scale in trainer.discriminator(seen)]
    inade_layers = [layer for layer in generator.sublayers() if isinstance(layer, il.INADE)]
    return {
        "item": item,
        "layout": layout,
        "params": params,
        "noise": noise,
        "fake": fake,
        "blocks": len(generator.blocks),
        "inade_layers": len(inade_layers),
        "scores": scores,
        "class_colors": town.class_colors,
    }


def draw(lit=tuple(PARTS), scene=SCENE):
    """The Figure. lit: the numbers of the parts that are not faint.

    >>> from experiments.system import draw
    >>> (draw().get_size_inches() * 100).tolist()
    [960.0, 400.0]
    """
    found = run(scene)
    size = (WIDTH / figures.DPI, HEIGHT / figures.DPI)
    with figures.style():
        figure = plt.figure(figsize=size, dpi=figures.DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    axes.set_axis_off()
    _draw_pictures(axes, found)
    for part, draw_part in DRAWN.items():
        before = set(axes.get_children())
        draw_part(axes, found)
        if part not in lit:
            for artist in set(axes.get_children()) - before:
                _fade(artist)
    _draw_arrows(axes)
    plt.close(figure)
    return figure


def _fade(artist):
    if isinstance(artist, FancyBboxPatch):
        artist.set_facecolor("none")
    artist.set_alpha(FAINT)


def _draw_pictures(axes, found):
    real = figures.to_image(found["item"]["image"])
    _picture(axes, real, 20, 44, 128)
    _caption(axes, 84, 184, "real picture", _shape(found["item"]["image"][None]))
    painted = figures.to_image(found["fake"])[0]
    _picture(axes, painted, 600, 232, 128)
    _caption(axes, 664, 372, "painted picture", _shape(found["fake"]))


def _draw_layout(axes, found):
    item = found["item"]
    classes = figures.color_labels(item["label"], found["class_colors"])
    instances = figures.color_instances(item["instance"])
    _picture(axes, classes, 20, 232, 64)
    _picture(axes, instances, 84, 232, 64)
    _heading(axes, LAYOUT, 84, 222, "layout")
    _caption(axes, 84, 308, "classes, instances", "2 × " + _shape(item["label"][None]))


def _draw_noise(axes, found):
    noise = found["noise"].numpy()[0]
    rows = noise.reshape(len(noise), -1)  # [I, 2, Z] -> [I, 2*Z]
    _heading(axes, NOISE, 470, 34, "noise")
    _picture(axes, rows, 406, 44, 128, cmap="PuOr", vmin=-3, vmax=3)
    _caption(axes, 470, 184, "a row for each instance", _shape(found["noise"]))


def _draw_encoder(axes, found):
    told = "4 × " + _shape(found["params"][0])
    _box(axes, ENCODER, 200, 44, 150, 128, "encoder", "reads the look of\neach instance", told)


def _draw_generator(axes, found):
    told = f"{found['inade_layers']} INADE layers\nin {found['blocks']} blocks"
    _box(axes, GENERATOR, 395, 232, 150, 128, "generator", "paints the layout\nwith these looks", told)


def _draw_discriminator(axes, found):
    text = "sees layout and picture:\nreal or painted?"
    _box(axes, DISCRIMINATOR, 785, 120, 155, 150, "discriminator", text, "")
    for left, score in zip((805, 880), found["scores"], strict=True):
        _picture(axes, score.numpy()[0, 0], left, 210, 44, cmap="gray")
    shapes = [_shape(score[:, 0]) for score in found["scores"]]
    _caption(axes, 862, 282, "scores", " and ".join(shapes))


DRAWN = {
    LAYOUT: _draw_layout,
    NOISE: _draw_noise,
    ENCODER: _draw_encoder,
    GENERATOR: _draw_generator,
    DISCRIMINATOR: _draw_discriminator,
}


def _draw_arrows(axes):
    _arrow(axes, (148, 108), (200, 108))
    _arrow(axes, (350, 108), (404, 108), linestyle="--")
    _arrow(axes, (470, 206), (470, 232))
    _arrow(axes, (148, 264), (395, 264))
    _arrow(axes, (275, 264), (275, 174))
    _arrow(axes, (545, 296), (600, 296))
    _arrow(axes, (728, 280), (785, 240))
    # From the real picture over the top to the discriminator.
    axes.plot([84, 84, 862], [44, 22, 22], color=figures.INK, linewidth=1.3)
    _arrow(axes, (862, 22), (862, 120))
    _text(axes, 377, 96, "KL")
    _text(axes, 377, 130, "training\nonly", fontsize=7)
    _text(axes, 664, 200, "losses: pixels and features\nlike the real picture's")


# ---- What they are drawn with


def _shape(array):
    return "×".join(map(str, array.shape))


def _picture(axes, image, left, top, side, **options):
    extent = (left, left + side, top + side, top)
    axes.imshow(image, extent=extent, interpolation="nearest", aspect="auto", **options)


def _text(axes, x, y, text, color=figures.INK, fontsize=8, **options):
    axes.text(x, y, text, ha="center", va="center", color=color, fontsize=fontsize, **options)


def _caption(axes, x, y, *lines):
    for k, line in enumerate(lines):
        _text(axes, x, y + 12 * k, line)


def _heading(axes, part, x, y, name):
    _text(axes, x, y, f"{part}  {name}", PARTS[part], fontsize=10, weight="bold")


def _box(axes, part, left, top, width, height, name, text, below):
    color = PARTS[part]
    box = FancyBboxPatch(
        (left, top),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=8",
        facecolor=color + "14",  # nearly transparent
        edgecolor=color,
        linewidth=1.5,
    )
    axes.add_patch(box)
    middle = left + width / 2
    _heading(axes, part, middle, top + 24, name)
    _text(axes, middle, top + 58, text)
    if below:
        _text(axes, middle, top + height - 26, below)


def _arrow(axes, start, end, linestyle="-"):
    arrow = FancyArrowPatch(
        start,
        end,
        arrowstyle="-|>",
        mutation_scale=11,
        color=figures.INK,
        linewidth=1.3,
        linestyle=linestyle,
        shrinkA=0,
        shrinkB=0,
    )
    axes.add_patch(arrow)
