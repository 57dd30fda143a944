"""Differentiable augmentation: a discriminator that has few pictures sees each of them changed at random every time.

With few pictures a discriminator learns them by heart. Then it tells real from fake by memory, and the generator learns
nothing from it. Changing the real pictures alone would teach the generator to draw changed ones. So both are changed,
the fake ones on their way to the discriminator, by functions that have gradients. (Zhao et al., "Differentiable
Augmentation for Data-Efficient GAN Training", NeurIPS 2020, equations 4 and 5; the ranges are theirs.)

Here the discriminator looks at maps and picture together. What moves a picture moves its maps in the same way:

    color         of the picture alone: brightness + U(-1/2, 1/2), saturation * U(0, 2), contrast * U(1/2, 3/2)
    translation   of picture and maps, by up to 1/8 of the height and of the width; what comes in from outside is 0
    cutout        a square of half the size becomes 0 in picture and maps
"""

from typing import NamedTuple

import paddle
import paddle.nn.functional as F

POLICIES = {
    "none": (),
    "color": ("color",),
    "translation": ("translation",),
    "cutout": ("cutout",),
    "geometry": ("translation", "cutout"),
    "all": ("color", "translation", "cutout"),
}

LARGEST_SHIFT = 1 / 8  # of the height and of the width
HOLE = 1 / 2  # side of the cut-out, in units of the height and of the width


class Changes(NamedTuple):
    """What happens to each picture of a batch. None where a kind of change is not wanted.

    brightness, saturation, contrast: [N, 1, 1, 1]. shift: down and right [N, 2], in units of height and width.
    hole: the middle of the cut-out [N, 2], from 0 at the top left to 1 at the bottom right.

    >>> Changes._fields
    ('brightness', 'saturation', 'contrast', 'shift', 'hole')
    """

    brightness: paddle.Tensor | None = None
    saturation: paddle.Tensor | None = None
    contrast: paddle.Tensor | None = None
    shift: paddle.Tensor | None = None
    hole: paddle.Tensor | None = None

    def first(self, count):
        """The changes of the first `count` pictures."""
        return Changes(*(None if value is None else value[:count] for value in self))


def draw_changes(count, policy="all"):
    """Changes for so many pictures, each drawn independently from Paddle's random state. policy: a key of POLICIES.

    >>> changes = draw_changes(4, "translation")
    >>> changes.brightness is None, list(changes.shift.shape)
    (True, [4, 2])
    """
    drawn = {}
    if "color" in POLICIES[policy]:
        drawn["brightness"] = paddle.uniform([count, 1, 1, 1], min=-0.5, max=0.5)
        drawn["saturation"] = paddle.uniform([count, 1, 1, 1], min=0.0, max=2.0)
        drawn["contrast"] = paddle.uniform([count, 1, 1, 1], min=0.5, max=1.5)
    if "translation" in POLICIES[policy]:
        drawn["shift"] = paddle.uniform([count, 2], min=-LARGEST_SHIFT, max=LARGEST_SHIFT)
    if "cutout" in POLICIES[policy]:
        drawn["hole"] = paddle.uniform([count, 2], min=0.0, max=1.0)
    return Changes(**drawn)


def changed_pair(scene, image, changes):
    """What the discriminator looks at: maps [N, S, H, W] and pictures [N, 3, H, W], changed -> [N, S + 3, H, W].

    Gradients pass to the pictures.

    >>> pair = changed_pair(paddle.ones([2, 1, 8, 8]), paddle.zeros([2, 3, 8, 8]), draw_changes(2, "cutout"))
    >>> list(pair.shape)
    [2, 4, 8, 8]
    """
    if changes.brightness is not None:
        image = change_color(image, changes.brightness, changes.saturation, changes.contrast)
    pair = paddle.concat([scene, image], axis=1)
    if changes.shift is not None:
        pair = translate(pair, changes.shift)
    if changes.hole is not None:
        pair = pair * mask_out(changes.hole, pair.shape[2:])
    return pair


def change_color(image, brightness, saturation, contrast):
    """Pictures [N, 3, H, W] with other brightness, saturation and contrast, each [N, 1, 1, 1].

    >>> gray = paddle.zeros([1, 3, 2, 2])
    >>> float(change_color(gray, *paddle.full([3, 1, 1, 1, 1], 0.25)).mean())
    0.25
    """
    image = image + brightness
    gray = image.mean(axis=1, keepdim=True)  # [N, 1, H, W]
    image = gray + saturation * (image - gray)
    mean = image.mean(axis=[1, 2, 3], keepdim=True)  # [N, 1, 1, 1]
    return mean + contrast * (image - mean)


def translate(x, shift):
    """x [N, C, H, W] moved by shift [N, 2], down and right in units of height and width, rounded to whole pixels.

    >>> translate(paddle.to_tensor([[[[1.0, 2.0, 3.0, 4.0]]]]), paddle.to_tensor([[0.0, 0.25]])).tolist()
    [[[[0.0, 1.0, 2.0, 3.0]]]]
    """
    height, width = x.shape[2:]
    # The place where each row and each column comes from, as `grid_sample` counts: -1 and 1 are the outer edges.
    down = paddle.round(shift[:, :1] * height)  # [N, 1]
    right = paddle.round(shift[:, 1:] * width)
    rows = (2 * (paddle.arange(height, dtype="float32") - down) + 1) / height - 1  # [N, H]
    columns = (2 * (paddle.arange(width, dtype="float32") - right) + 1) / width - 1  # [N, W]
    shape = [len(x), height, width]
    grid = paddle.stack([columns.unsqueeze(1).expand(shape), rows.unsqueeze(2).expand(shape)], axis=-1)
    return F.grid_sample(x, grid, mode="nearest", padding_mode="zeros", align_corners=False)


def mask_out(hole, size):
    """0 in a rectangle of half the height and half the width around hole [N, 2], 1 elsewhere: [N, 1, H, W].

    >>> mask_out(paddle.to_tensor([[0.25, 0.5]]), (2, 4)).tolist()
    [[[[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]]]]
    """
    height, width = size
    rows = (paddle.arange(height, dtype="float32") + 0.5) / height  # [H], the middles of the pixels
    columns = (paddle.arange(width, dtype="float32") + 0.5) / width
    in_rows = (rows - hole[:, :1]).abs() < HOLE / 2  # [N, H]
    in_columns = (columns - hole[:, 1:]).abs() < HOLE / 2  # [N, W]
    inside = paddle.logical_and(in_rows.unsqueeze(2), in_columns.unsqueeze(1))  # [N, H, W]
    return 1 - inside.unsqueeze(1).astype("float32")
