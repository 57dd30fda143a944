"""Where in its instance a pixel lies, told in waves (our own, built in notebook 10).

The place of a pixel is counted from the left and the top of its instance's box, in units of the picture's height. So it
depends neither on where the instance stands nor on the size. A wave is sin or cos of it, or a product of two:

    sin a, sin b, cos a, cos b,  and  sin a sin b, sin a cos b, cos a sin b, cos a cos b
    where a = 2 pi * octave * x,  b = 2 pi * octave * y

The first four are stripes and rows, the products are dots. With sin and cos of each, a pattern can begin anywhere. Two
neighboring octaves hold most of a period between them on things as small as these. On larger things, octaves would have
to lie closer.

The generator adds waves (`positions.PositionINADE`), the encoder asks how much of each is there (`strengths`), and the
loss compares just that (`losses.pattern_loss`).
"""

import numpy as np
import paddle
import paddle.nn.functional as F

# Waves to the height of the picture, each time √2 times as many. Slower ones are longer than most things.
OCTAVES = (8, 8 * 2**0.5, 16)
WAVES = 8  # of each octave

# How bright red, green and blue are to the eye (ITU-R BT.601).
LUMINANCE = (0.299, 0.587, 0.114)

# Strengths are shares of a mean luminance, which is from 0 to 2. A darker one counts as this.
DARKEST = 0.05

# Few pixels tell nothing of a wave. As in ridge regression, each instance counts as if so many plain ones were added.
PLAIN_PIXELS = 1 / 8**2  # in units of the picture's height, squared: a period of the slowest wave each way


def places(layout, size):
    """Where in its instance each pixel lies: float64 ndarray [N, 2, h, w], x and y at feature size (h, w).

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0, 1, 1, 1]]], [[[0, 1, 1, 1]]], num_classes=2)
    >>> places(layout, (1, 4))[0, 0].tolist()  # from the left of instance 0, then from that of instance 1
    [[0.5, 0.5, 1.5, 2.5]]
    """
    height, width = layout.size
    h, w = size
    left, top = layout.once("corners", lambda: _corners(layout.instances()))
    # Centers of the feature pixels, in pixels of the map.
    x = (np.arange(w) + 0.5) * width / w
    y = (np.arange(h) + 0.5) * height / h
    index = layout.instances(size).index  # [N, h, w]
    image = np.arange(len(layout))[:, None, None]
    x = x - left[image, index]
    y = y[:, None] - top[image, index]
    return np.stack([x, y], axis=1) / height


def _corners(segments):
    """The first column and the first row of each segment, both int64 [N, S]."""
    n, height, width = segments.index.shape
    left = np.full([n, segments.count], width)
    top = np.full([n, segments.count], height)
    image, row, column = np.indices(segments.index.shape, sparse=True)
    np.minimum.at(left, (image, segments.index), column)
    np.minimum.at(top, (image, segments.index), row)
    return left, top


def held(octaves, height):
    """Those octaves that a map of so many rows can hold: a wave needs two of them.

    >>> held((1, 2, 4), height=5)
    [1, 2]
    """
    return [octave for octave in octaves if 2 * octave <= height]


def waves(layout, size, octaves=OCTAVES):
    """The waves that a map of size (h, w) can hold, slow ones first: float32 Tensor [N, K, h, w].

    They are computed once for each Layout and size. ValueError if the map can hold none, see `held`.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 32] * 32], [[[0] * 32] * 32], num_classes=1)
    >>> [list(waves(layout, size).shape) for size in ((16, 16), (32, 32))]
    [[1, 8, 16, 16], [1, 24, 32, 32]]
    """
    size = tuple(size)
    octaves = tuple(octaves)

    def make():
        x, y = np.moveaxis(places(layout, size), 1, 0)  # each [N, h, w]
        found = []
        for octave in held(octaves, size[0]):
            a = 2 * np.pi * octave * x
            b = 2 * np.pi * octave * y
            sin_a, cos_a, sin_b, cos_b = np.sin(a), np.cos(a), np.sin(b), np.cos(b)
            found += [sin_a, sin_b, cos_a, cos_b]
            found += [sin_a * sin_b, sin_a * cos_b, cos_a * sin_b, cos_a * cos_b]
        return paddle.to_tensor(np.stack(found, axis=1).astype("float32"))

    return layout.once(("waves", size, octaves), make)


def strengths(image, layout, octaves=OCTAVES):
    """How much of each wave is in each present instance: image [N, 3, H, W] in [-1, 1] -> [N, P, K].

        strength[i, k] = 2 * sum over the pixels p of i of (Y(p) - Y_i) * wave[k](p) / Y_i / (n_i + n_0)

    where Y is the luminance and Y_i its mean over the n_i pixels of the instance: a Fourier analysis of every instance
    by itself. n_0 is PLAIN_PIXELS. Zeros for waves that the image cannot hold, and where it has fewer than P instances.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 8] * 8], [[[0] * 8] * 8], num_classes=1)
    >>> stripes = paddle.to_tensor([0.5, -0.5, -0.5, 0.5] * 2).expand([1, 3, 8, 8])  # two periods across
    >>> [abs(round(strength, 2)) for strength in strengths(stripes, layout, octaves=[2])[0, 0].tolist()[:4]]
    [0.0, 0.0, 0.7, 0.0]
    """
    instances = layout.instances()
    height = image.shape[2]
    total = WAVES * len(octaves)
    if not held(octaves, height):
        return paddle.zeros([len(layout), instances.count, total], image.dtype)
    weights = paddle.to_tensor(LUMINANCE, dtype=image.dtype).reshape([1, 3, 1, 1])
    luminance = ((image + 1) * weights).sum(1, keepdim=True)  # [N, 1, H, W], from 0 to 2
    mean = instances.mean(luminance)  # [N, P, 1]
    deviation = luminance - instances.paint(mean)
    wave = waves(layout, image.shape[2:], octaves)  # [N, K, H, W]
    found = 2 * instances.mean(deviation * wave) / mean.clip(min=DARKEST)
    found = found * instances.pixels / (instances.pixels + PLAIN_PIXELS * height**2)
    # The waves that are missing are the fastest, so they come last.
    missing = total - found.shape[2]
    return F.pad(found, [0, missing], data_format="NCL")
