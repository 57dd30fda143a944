"""Patterns: how strongly things are striped, against ToyTown's truth. No mean color can see that (notebook 10)."""

from typing import NamedTuple

import numpy as np
import paddle
from tqdm.auto import tqdm

from ..data.batches import scene_batches
from ..generator import start
from ..waves import LUMINANCE
from .control import rebuild
from .diversity import class_groups, things_of
from .estimates import bootstrap

# Smaller things are not measured, because nine numbers are fitted to their pixels.
MIN_PATTERN_PIXELS = 60

# A class whose true amplitudes deviate less has no pattern in this direction.
MIN_DEVIATION = 0.012

DIRECTIONS = ("across", "down")

# What an amplitude across and one down make together. Below this amplitude there is none: less than half of what the
# faintest of ToyTown's patterns has, its dots.
KINDS = ("plain", "across", "down", "both")
PLAIN_BELOW = 0.03


class Texture(NamedTuple):
    """The amplitudes of one thing in K generated and in K redrawn pictures, each [K, 2]: across and down.

    >>> import numpy as np
    >>> from inade_lite.metrics import Texture
    >>> Texture(scene=0, class_id=6, generated=np.zeros([8, 2]), redrawn=np.ones([8, 2])).class_id
    6
    """

    scene: int
    class_id: int
    generated: np.ndarray
    redrawn: np.ndarray


# ---- From pictures to amplitudes


def amplitudes(images, mask, period):
    """How strong a pattern of this period is inside of a mask [H, W]: float64 [K, 2], across and down.

    images: [K, 3, H, W] in [-1, 1]. period: P, in pixels. With x and y a pixel's column and row, its luminance is
    fitted by least squares:

        c0 + c1 x + c2 y + c3 x^2 + c4 y^2 + a cos(2 pi x / P) + b sin(2 pi x / P)
                                           + c cos(2 pi y / P) + d sin(2 pi y / P)

    The amplitude across is hypot(a, b) / mean luminance, the one down hypot(c, d) / mean luminance. The first line
    takes up the light that falls on the thing, and hypot does not ask where the bands begin.

    >>> import numpy as np
    >>> from inade_lite.metrics import amplitudes
    >>> row = np.tile([1.0, 1.0, 0.0, 0.0], 4)  # twice light, twice darker, and so on
    >>> amplitudes(np.broadcast_to(row, [1, 3, 16, 16]), np.ones([16, 16], bool), period=4).round(3).tolist()
    [[0.471, 0.0]]
    """
    y, x = np.nonzero(mask)
    angle_x = 2 * np.pi * x / period
    angle_y = 2 * np.pi * y / period
    # The squares are taken from the middle: far from it, they would hardly differ from a straight line.
    x = x - x.mean()
    y = y - y.mean()
    columns = [
        np.ones(len(x)),
        x,
        y,
        x**2,
        y**2,
        np.cos(angle_x),
        np.sin(angle_x),
        np.cos(angle_y),
        np.sin(angle_y),
    ]
    terms = np.stack(columns, axis=1)  # [pixels, 9]
    rgb = (images[:, :, mask].astype(np.float64) + 1) * 127.5  # [K, 3, pixels]
    luminance = np.array(LUMINANCE) @ rgb  # [K, pixels]
    weights, *_ = np.linalg.lstsq(terms, luminance.T, rcond=None)  # [9, K]
    across = np.hypot(weights[5], weights[6])
    down = np.hypot(weights[7], weights[8])
    mean = luminance.mean(axis=1).clip(min=1e-9)  # a thing may be black
    return np.stack([across, down], axis=1) / mean[:, None]


def textures_of(numbers, batch, generated, redrawn, dataset):
    """A list of Texture, one for each thing of 60 pixels or more, from what `drawn` yields.

    >>> import inade_lite as il
    >>> town = il.ToyTown("val", 64)
    >>> (part,) = il.metrics.drawn(il.metrics.from_truth(town, seed=0), town, scenes=1, samples=4, progress=False)
    >>> il.metrics.textures_of(*part, town)[0].generated.shape
    (4, 2)
    """
    period = dataset.pattern_period
    found = []
    for n, scene, class_id, mask in things_of(numbers, batch, dataset):
        if mask.sum() >= MIN_PATTERN_PIXELS:
            ours = amplitudes(generated[:, n], mask, period)
            truth = amplitudes(redrawn[:, n], mask, period)
            found.append(Texture(scene, class_id, ours, truth))
    return found


# ---- From amplitudes to the measure


def pattern_distances(textures, dataset):
    """The pattern distance of each class and direction that has a pattern: {"roof across": Estimate, ...}.

    Two more entries, "mean" and "worst", are over all of these. Classes with fewer than 40 things are pooled.

    >>> import inade_lite as il
    >>> town = il.ToyTown("val", 64)
    >>> draw = il.metrics.from_truth(town, seed=0)
    >>> found = []
    >>> for part in il.metrics.drawn(draw, town, scenes=24, samples=4, progress=False):
    ...     found += il.metrics.textures_of(*part, town)
    >>> bool(il.metrics.pattern_distances(found, town)["worst"].value < 0.35)
    True
    """
    scenes = sorted({texture.scene for texture in textures})
    heaps = {}
    for classes in class_groups(textures, dataset.thing_classes):
        members = [texture for texture in textures if texture.class_id in classes]
        name = " + ".join(dataset.class_names[c] for c in classes)
        for direction, word in enumerate(DIRECTIONS):
            heap = _Heaps.of(members, direction, scenes)
            if heap.deviation() >= MIN_DEVIATION:
                heaps[f"{name} {word}"] = heap

    # What the bootstrap draws are scenes. A row of this matrix says that scene s has been drawn once, so that sums of
    # rows count how often each was drawn.
    once = np.eye(len(scenes))
    found = {name: bootstrap(once, heap.distance) for name, heap in heaps.items()}
    if heaps:
        everyone = heaps.values()
        found["mean"] = bootstrap(once, lambda drawn: np.mean([heap.distance(drawn) for heap in everyone]))
        found["worst"] = bootstrap(once, lambda drawn: max(heap.distance(drawn) for heap in everyone))
    return found


class _Heaps(NamedTuple):
    """All generated and all redrawn amplitudes of a class in one direction, sorted as one list of V values.

    value: [V]. redrawn: whether it is one of the redrawn, [V]. scene: its number in the list of scenes, [V].
    """

    value: np.ndarray
    redrawn: np.ndarray
    scene: np.ndarray

    @classmethod
    def of(cls, textures, direction, scenes):
        """From a list of Texture."""
        samples = len(textures[0].generated)
        values = []
        for texture in textures:
            values += [texture.generated[:, direction], texture.redrawn[:, direction]]
        values = np.concatenate(values)
        redrawn = np.tile(np.repeat([False, True], samples), len(textures))
        scene = np.repeat([scenes.index(texture.scene) for texture in textures], 2 * samples)
        order = values.argsort(kind="stable")
        return cls(values[order], redrawn[order], scene[order])

    def deviation(self):
        """The standard deviation of the redrawn amplitudes."""
        return self.value[self.redrawn].std()

    def distance(self, drawn):
        """1-Wasserstein distance / standard deviation of the redrawn, where scene s was drawn drawn[s] times.

        As for colors (`wasserstein`), it is the area between the two curves of shares.
        """
        weight = drawn[self.scene]
        ours = weight * ~self.redrawn
        truth = weight * self.redrawn
        if not ours.any():
            return np.nan
        ours = ours / ours.sum()
        truth = truth / truth.sum()
        gap = np.abs(np.cumsum(ours - truth))
        area = (gap[:-1] * np.diff(self.value)).sum()
        mean = (truth * self.value).sum()
        variance = (truth * (self.value - mean) ** 2).sum()
        return area / np.sqrt(variance)


# ---- Does a pattern survive the encoder?


def kinds(amplitudes):
    """The kind of pattern of amplitudes [..., 2]: 0 plain, 1 across, 2 down, 3 both, as in `KINDS`.

    >>> import numpy as np
    >>> from inade_lite.metrics import kinds
    >>> kinds(np.array([[0.01, 0.02], [0.1, 0.0], [0.0, 0.1], [0.05, 0.05]])).tolist()
    [0, 1, 2, 3]
    """
    across, down = np.moveaxis(amplitudes >= PLAIN_BELOW, -1, 0)
    return across + 2 * down


def rebuilt_kinds(model, dataset, scenes, seed=0, batch_size=8, progress=True):
    """How often a thing of each kind is rebuilt as which: int [S, 4, 4], real kind by row, rebuilt kind by column.

    >>> from collections import namedtuple
    >>> import inade_lite as il
    >>> town = il.ToyTown("val", 32)
    >>> generator = il.Generator(town.num_classes, 32, noise_dim=4, latent_dim=4, base_channels=2, num_upsamplings=3)
    >>> model = namedtuple("Model", "generator encoder")(generator, il.InstanceEncoder(4, 2))
    >>> il.metrics.rebuilt_kinds(model, town, scenes=2, progress=False).shape
    (2, 4, 4)
    """
    found = np.zeros([scenes, len(KINDS), len(KINDS)], int)
    with tqdm(total=scenes, unit="scene", disable=not progress) as bar:
        for numbers, batch, layout in scene_batches(dataset, scenes, batch_size):
            _, latent = start(model.generator, layout, [seed, numbers[0]])
            real = batch["image"]
            rebuilt = rebuild(model, paddle.to_tensor(real), layout, latent).numpy()
            # As one "generated" and one "redrawn" picture of each scene.
            for texture in textures_of(numbers, batch, rebuilt[None], real[None], dataset):
                (before,) = kinds(texture.redrawn)
                (after,) = kinds(texture.generated)
                found[texture.scene, before, after] += 1
            bar.update(len(numbers))
    return found


def kinds_kept(counts):
    """In percent, the share of things whose kind is kept: the mean over the kinds that there are; nan without things.

    counts: `rebuilt_kinds`, summed over scenes. If the rebuilt kind had nothing to do with the real one, each kind
    would be kept as often as it is rebuilt at all, so of four kinds a quarter.

    >>> import numpy as np
    >>> from inade_lite.metrics import kinds_kept
    >>> float(kinds_kept(np.diag([90, 1, 1, 1])))
    100.0
    >>> float(kinds_kept(np.outer([90, 1, 1, 1], [1, 1, 1, 1])))
    25.0
    """
    real = counts.sum(1)
    if not real.any():
        return np.nan
    kept = np.diag(counts)[real > 0] / real[real > 0]
    return 100 * kept.mean()
