"""Diversity: the colors of things, against ToyTown's truth."""

from collections import Counter
from itertools import combinations
from typing import NamedTuple

import numpy as np
from tqdm.auto import tqdm

from ..data.batches import collate
from ..generator import sample
from ..maps import Layout
from .estimates import Estimate, bootstrap, ratio

MIN_PIXELS = 20  # smaller instances are not measured


MIN_INSTANCES = 40  # classes with fewer instances are pooled


class Instance(NamedTuple):
    """The mean RGB of one thing instance in K generated and in K redrawn pictures, each [K, 3], 0..255."""

    scene: int
    class_id: int
    generated: np.ndarray
    redrawn: np.ndarray


class Diversity(NamedTuple):
    """The row of a class, or of the mean over the classes. correlation is nan without a pair."""

    name: str
    instances: int
    pairs: int
    spread_ratio: Estimate
    correlation: Estimate
    color_distance: Estimate


def mean_colors(images, mask):
    """Mean RGB (0..255) inside a mask [H, W] of images [K, 3, H, W] in [-1, 1] -> [K, 3]."""
    return (images[:, :, mask].mean(-1, dtype=np.float64) + 1) * 127.5


def things(label, instance, thing_classes):
    """(class id, mask [H, W]) of each thing instance of at least 20 pixels in the maps [H, W] of a picture."""
    for i in np.unique(instance[np.isin(label, thing_classes)]):
        mask = instance == i
        if mask.sum() >= MIN_PIXELS:
            yield int(label[mask][0]), mask


def from_generator(generator, seed=0):
    """draw(numbers, layout, k): the k-th picture of each scene, ndarray [N, 3, H, W], with fresh noise and latent."""
    return lambda numbers, layout, k: sample(generator, layout, [seed, numbers[0], k]).numpy()


def from_truth(dataset, seed):
    """draw(numbers, layout, k) with ToyTown's own looks: what a perfect generator would draw."""
    return lambda numbers, layout, k: np.stack([dataset.redraw(i, 10_000 * (seed + 1) + k)["image"] for i in numbers])


def drawn(draw, dataset, scenes, samples, seed=0, batch_size=8, progress=True):
    """Yields, batch by batch of the first `scenes` items: numbers, batch, generated and redrawn [K, N, 3, H, W]."""
    with tqdm(total=scenes * samples, unit="picture", disable=not progress) as bar:
        for first in range(0, scenes, batch_size):
            numbers = range(first, min(first + batch_size, scenes))
            batch = collate([dataset[i] for i in numbers])
            layout = Layout.of(batch, dataset)
            generated = np.stack([draw(numbers, layout, k) for k in range(samples)])
            redrawn = [[dataset.redraw(i, seed * samples + k)["image"] for i in numbers] for k in range(samples)]
            yield numbers, batch, generated, np.array(redrawn)
            bar.update(samples * len(numbers))


def colors_of(numbers, batch, generated, redrawn, dataset):
    """A list of Instance for what `drawn` yields."""
    return [
        Instance(scene, class_id, mean_colors(generated[:, n], mask), mean_colors(redrawn[:, n], mask))
        for n, scene in enumerate(numbers)
        for class_id, mask in things(batch["label"][n], batch["instance"][n], dataset.thing_classes)
    ]


def measure_diversity(generator, dataset, scenes=64, samples=8, seed=0, progress=True):
    """Spread ratio, correlation and colour distance of each thing class: a list of Diversity, see `diversity_rows`."""
    parts = drawn(from_generator(generator, seed), dataset, scenes, samples, seed, progress=progress)
    return diversity_rows([a for part in parts for a in colors_of(*part, dataset)], dataset)


def diversity_rows(instances, dataset):
    """A list of Diversity from a list of Instance: a row for each class, and their mean as the last.

    Classes with fewer than 40 instances share one row.
    """
    count = Counter(a.class_id for a in instances)
    groups = [[c] for c in dataset.thing_classes if count[c] >= MIN_INSTANCES]
    few = [c for c in dataset.thing_classes if 0 < count[c] < MIN_INSTANCES]
    groups += [few] if few else []
    group = {c: g for g, classes in enumerate(groups) for c in classes}
    scene = {name: k for k, name in enumerate(sorted({a.scene for a in instances}))}
    pairs = [(a, b) for a, b in combinations(instances, 2) if (a.scene, a.class_id) == (b.scene, b.class_id)]
    sums = [np.zeros([len(scene), len(groups), *shape]) for shape in ((2,), (3,), (2, 3, 256))]
    for a in instances:
        sums[0][scene[a.scene], group[a.class_id]] += color_variances(a)
        sums[2][scene[a.scene], group[a.class_id]] += color_histograms(a)
    for a, b in pairs:
        sums[1][scene[a.scene], group[a.class_id]] += pair_products(a.generated, b.generated)

    def row(name, classes, which, average):
        numbers = (sum(a.class_id in classes for a in members) for members in (instances, [a for a, _ in pairs]))
        measures = zip(sums, (spread, correlation, wasserstein), strict=True)
        return Diversity(name, *numbers, *[bootstrap(s[:, which], average(statistic)) for s, statistic in measures])

    rows = []
    for g, classes in enumerate(groups):
        rows.append(row(" + ".join(dataset.class_names[c] for c in classes), classes, g, lambda statistic: statistic))
    return [*rows, row("mean", list(group), slice(None), _mean_of)]


def _mean_of(statistic):
    """The mean of a statistic over the groups for which it is defined."""

    def mean(sums):
        values = np.array([statistic(s) for s in sums])
        return values[np.isfinite(values)].mean() if np.isfinite(values).any() else np.nan

    return mean


def color_variances(instance):
    """Variance over the K pictures, mean over RGB: (generated, redrawn)."""
    return [centred(c).var(axis=0, ddof=1).mean() for c in (instance.generated, instance.redrawn)]


def centred(colors):
    """Colours [K, 3] less their mean; equal ones give exactly 0, since the first is taken away before the rounding."""
    moved = colors - colors[0]
    return moved - moved.mean(axis=0)


def spread(variances):
    """The spread ratio of summed `color_variances`."""
    return np.sqrt(ratio(variances))


def pair_products(a, b):
    """(sum ab, sum aa, sum bb) of the centred colours [K, 3] of two instances."""
    a, b = centred(a), centred(b)
    return np.array([(a * b).sum(), (a * a).sum(), (b * b).sum()])


def correlation(products):
    """The same-class correlation of summed `pair_products`; nan where nothing varies."""
    ab, aa, bb = products
    return ab / np.sqrt(aa * bb) if aa * bb > 0 else np.nan


def same_class_correlation(pairs):
    """Of a list of pairs of colours ([K, 3], [K, 3]), each pair from one picture; nan for no pair or no variety."""
    return float(correlation(sum((pair_products(a, b) for a, b in pairs), np.zeros(3))))


def color_histograms(instance):
    """How often each value 0..255 stands in R, G and B, to whole units: (generated, redrawn), [2, 3, 256]."""
    values = np.rint(np.stack([instance.generated, instance.redrawn]).clip(0, 255)).astype(int)  # [2, K, 3]
    return (values[..., None] == np.arange(256)).sum(1)


def wasserstein(histograms):
    """The colour distance of summed `color_histograms`."""
    shares = histograms.cumsum(-1) / histograms.sum(-1, keepdims=True)
    return np.abs(shares[0] - shares[1]).sum(-1).mean()


def table(rows):
    """The rows as text."""
    lines = [f"{'':<10}{'n':>5}{'spread ratio':>24}{'pairs':>7}{'correlation':>26}{'color distance':>22}"]
    for r in rows:
        lines.append(
            f"{r.name:<10}{r.instances:>5}{r.spread_ratio!s:>24}{r.pairs:>7}{r.correlation!s:>26}{r.color_distance!s:>22}"
        )
    return "\n".join(lines)
