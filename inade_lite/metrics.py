"""Two measures of instance diversity against ToyTown's known truth.

For every thing instance of at least 20 pixels, a is its mean RGB (0..255) in each of K pictures, [K, 3]: generated
ones, with fresh noise and latent, and for the truth K redrawn ones, where every instance's look is drawn anew.

    spread ratio(class)           = sqrt(mean of var(generated a) / mean of var(redrawn a)),        ddof 1
                                    means over the class's instances and RGB; 1: as varied as the truth, 0: no variety
    same-class correlation(class) = sum (a - mean a)(b - mean b) / sqrt(sum (a - mean a)^2 * sum (b - mean b)^2)
                                    over pairs a, b of the class in one picture, K samples and RGB; 0 for independent
                                    instances, 1 for one look for all
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np
from tqdm.auto import tqdm

from .data import collate
from .generator import sample
from .maps import Layout

MIN_PIXELS = 20  # smaller instances are not measured
MIN_INSTANCES = 40  # classes with fewer instances are pooled


class Instance(NamedTuple):
    """The mean RGB of one thing instance in K generated and in K redrawn pictures, each [K, 3], 0..255."""

    scene: int
    class_id: int
    generated: np.ndarray
    redrawn: np.ndarray


class Diversity(NamedTuple):
    """A row of the result. Intervals are 95 % bootstrap intervals over scenes; correlation is nan without a pair."""

    name: str
    instances: int
    pairs: int
    spread_ratio: float
    spread_interval: tuple
    correlation: float
    correlation_interval: tuple


def mean_colors(images, mask):
    """Mean RGB (0..255) inside a mask [H, W] of images [K, 3, H, W] in [-1, 1] -> [K, 3]."""
    return (images[:, :, mask].mean(-1, dtype=np.float64) + 1) * 127.5


def instance_colors(generator, dataset, scenes=64, samples=8, seed=0, batch_size=8, progress=True):
    """Draw `samples` pictures of each of the first `scenes` items; returns a list of Instance."""
    found = []
    with tqdm(total=scenes * samples, unit="picture", disable=not progress) as bar:
        for first in range(0, scenes, batch_size):
            numbers = range(first, min(first + batch_size, scenes))
            batch = collate([dataset[i] for i in numbers])
            layout = Layout(batch["label"], batch["instance"], dataset.num_classes)
            generated = np.stack([sample(generator, layout, [seed, first, k]).numpy() for k in range(samples)])
            for n, scene in enumerate(numbers):
                redrawn = np.stack([dataset.redraw(scene, seed * samples + k)["image"] for k in range(samples)])
                label, instance = batch["label"][n], batch["instance"][n]
                for i in np.unique(instance[np.isin(label, dataset.thing_classes)]):
                    mask = instance == i
                    if mask.sum() >= MIN_PIXELS:
                        colors = mean_colors(generated[:, n], mask), mean_colors(redrawn, mask)
                        found.append(Instance(scene, int(label[mask][0]), *colors))
                bar.update(samples)
    return found


def spread_ratio(instances):
    """Of a list of Instance: how varied the generated colours are beside the redrawn ones."""
    generated, redrawn = (
        np.mean([getattr(a, kind).var(axis=0, ddof=1) for a in instances]) for kind in ("generated", "redrawn")
    )
    return float(np.sqrt(generated / redrawn))


def same_class_correlation(pairs):
    """Of a list of pairs of colours ([K, 3], [K, 3]), each pair from one picture; nan for no pair or no variety."""
    products = _pair_products(pairs)
    return _correlation(products.sum(axis=0)) if len(products) else float("nan")


def measure_diversity(generator, dataset, scenes=64, samples=8, seed=0, progress=True):
    """Both measures for each thing class: a list of Diversity. Classes with fewer than 40 instances share one row."""
    return diversity(instance_colors(generator, dataset, scenes, samples, seed, progress=progress), dataset)


def diversity(instances, dataset, resamples=1000, seed=0):
    """A list of Diversity from a list of Instance."""
    groups, pooled = [], []
    for class_id in dataset.thing_classes:
        members = [a for a in instances if a.class_id == class_id]
        if len(members) >= MIN_INSTANCES:
            groups.append((dataset.class_names[class_id], members))
        elif members:
            pooled.append((dataset.class_names[class_id], members))
    if pooled:
        groups.append((" + ".join(name for name, _ in pooled), [a for _, members in pooled for a in members]))
    return [_row(name, members, resamples, seed) for name, members in groups]


def mean_spread(rows):
    """The average spread ratio over the rows."""
    return float(np.mean([row.spread_ratio for row in rows]))


def table(rows):
    """The rows as text."""
    lines = [f"{'':<12}{'n':>5}{'spread ratio':>22}{'pairs':>8}{'correlation':>25}"]
    for r in rows:
        spread = "{:.2f} [{:.2f}, {:.2f}]".format(r.spread_ratio, *r.spread_interval)
        correlation = "{:.3f} [{:.3f}, {:.3f}]".format(r.correlation, *r.correlation_interval)
        lines.append(f"{r.name:<12}{r.instances:>5}{spread:>22}{r.pairs:>8}{correlation:>25}")
    lines.append(f"{'mean':<12}{'':>5}{mean_spread(rows):>9.2f}")
    return "\n".join(lines)


def _row(name, members, resamples, seed):
    scenes = sorted({a.scene for a in members})
    pairs = {s: [] for s in scenes}
    for a, b in combinations(members, 2):
        if (a.scene, a.class_id) == (b.scene, b.class_id):
            pairs[a.scene].append((a.generated, b.generated))
    # Both measures are quotients of sums over scenes, so a resampled set of scenes needs only their sums.
    variances = np.zeros([len(scenes), 2])
    products = np.stack([_pair_products(pairs[s]).sum(axis=0) for s in scenes])
    for a in members:
        variances[scenes.index(a.scene)] += [c.var(axis=0, ddof=1).mean() for c in (a.generated, a.redrawn)]
    drawn = np.random.default_rng(seed).integers(len(scenes), size=[resamples, len(scenes)])
    spreads = np.sqrt(np.divide(*variances[drawn].sum(axis=1).T))
    correlations = [_correlation(p) for p in products[drawn].sum(axis=1)]
    return Diversity(
        name,
        len(members),
        sum(map(len, pairs.values())),
        spread_ratio(members),
        tuple(np.percentile(spreads, [2.5, 97.5]).tolist()),
        _correlation(products.sum(axis=0)),
        tuple(np.nanpercentile(correlations, [2.5, 97.5]).tolist()) if products.any() else (float("nan"),) * 2,
    )


def _pair_products(pairs):
    """(sum ab, sum aa, sum bb) of each pair's centred colours, [pairs, 3]."""
    centred = [[c - c.mean(axis=0) for c in pair] for pair in pairs]
    return np.array([[(a * b).sum(), (a * a).sum(), (b * b).sum()] for a, b in centred]).reshape(-1, 3)


def _correlation(products):
    ab, aa, bb = products
    return float(ab / np.sqrt(aa * bb)) if aa * bb > 0 else float("nan")
