"""Diversity: how the colors of things vary from picture to picture, against ToyTown's truth."""

from collections import Counter
from itertools import combinations
from typing import NamedTuple

import numpy as np
from tqdm.auto import tqdm

from ..data.batches import scene_batches
from ..generator import sample
from .estimates import Estimate, bootstrap, ratio

# Smaller instances are not measured, because they are mostly border.
MIN_PIXELS = 20

# Classes with fewer instances share one row.
MIN_INSTANCES = 40


class Instance(NamedTuple):
    """The mean RGB of one thing instance in K generated and in K redrawn pictures, each [K, 3], 0..255.

    >>> import numpy as np
    >>> from inade_lite.metrics import Instance
    >>> Instance(scene=0, class_id=9, generated=np.zeros([8, 3]), redrawn=np.ones([8, 3])).class_id
    9
    """

    scene: int
    class_id: int
    generated: np.ndarray
    redrawn: np.ndarray


class Diversity(NamedTuple):
    """The measures of one class, or their mean over the classes: a row of the table.

    correlation is nan where no picture has a pair of the class, or where nothing varies.

    >>> from inade_lite.metrics import Diversity
    >>> Diversity._fields[3:]
    ('spread_ratio', 'correlation', 'color_distance')
    """

    name: str
    instances: int
    pairs: int
    spread_ratio: Estimate
    correlation: Estimate
    color_distance: Estimate


# ---- From pictures to colors


def mean_colors(images, mask):
    """Mean RGB, 0..255, inside of a mask [H, W] of images [K, 3, H, W] in [-1, 1]: float64 [K, 3].

    >>> import numpy as np
    >>> from inade_lite.metrics import mean_colors
    >>> mean_colors(np.zeros([1, 3, 4, 4]), np.eye(4, dtype=bool)).tolist()
    [[127.5, 127.5, 127.5]]
    """
    inside = images[:, :, mask]  # [K, 3, pixels]
    return (inside.mean(-1, dtype=np.float64) + 1) * 127.5


def things(label, instance, thing_classes):
    """Yields (class id, mask [H, W]) for each thing instance of 20 pixels or more in the maps [H, W] of a picture.

    >>> import numpy as np
    >>> from inade_lite.metrics import things
    >>> label = np.arange(64).reshape(8, 8) // 32  # half of the picture is class 0, half is class 1
    >>> [(class_id, int(mask.sum())) for class_id, mask in things(label, label, thing_classes=[1])]
    [(1, 32)]
    """
    for i in np.unique(instance[np.isin(label, thing_classes)]):
        mask = instance == i
        if mask.sum() >= MIN_PIXELS:
            yield int(label[mask][0]), mask


def things_of(numbers, batch, dataset):
    """Yields (n, scene, class id, mask [H, W]) for each thing of a batch: the n-th of it is the scene numbers[n].

    >>> import inade_lite as il
    >>> from inade_lite.metrics.diversity import things_of
    >>> town = il.ToyTown("val", 32)
    >>> sorted({(n, scene) for n, scene, class_id, mask in things_of([5, 6], il.collate([town[5], town[6]]), town)})
    [(0, 5), (1, 6)]
    """
    for n, scene in enumerate(numbers):
        for class_id, mask in things(batch["label"][n], batch["instance"][n], dataset.thing_classes):
            yield n, scene, class_id, mask


def from_generator(generator, seed=0):
    """A function draw(numbers, layout, k): the k-th picture of each scene, ndarray [N, 3, H, W].

    Every k has fresh noise and a fresh latent.

    >>> import inade_lite as il
    >>> town = il.ToyTown("val", 16)
    >>> draw = il.metrics.from_generator(il.Generator(town.num_classes, 16, 4, 4, 2, 2))
    >>> draw([0], il.Layout.of(il.collate([town[0]]), town), k=3).shape
    (1, 3, 16, 16)
    """

    def draw(numbers, layout, k):
        return sample(generator, layout, [seed, numbers[0], k]).numpy()

    return draw


def from_truth(dataset, seed):
    """The same with ToyTown's own looks: what a perfect generator would draw.

    >>> import inade_lite as il
    >>> draw = il.metrics.from_truth(il.ToyTown("val", 16), seed=0)
    >>> draw([0, 1], None, k=3).shape
    (2, 3, 16, 16)
    """

    def draw(numbers, layout, k):
        return np.stack(_redrawn(dataset, numbers, 10_000 * (seed + 1) + k))

    return draw


def _redrawn(dataset, numbers, seed):
    """The scenes of these numbers with new looks: a list of [3, H, W]."""
    return [dataset.redraw(i, seed)["image"] for i in numbers]


def drawn(draw, dataset, scenes, samples, seed=0, batch_size=8, progress=True):
    """Yields (numbers, batch, generated, redrawn) batch by batch; both are [K, N, 3, H, W] with K = samples.

    draw: see `from_generator`. dataset: a ToyTown, whose first `scenes` items are taken.

    >>> import inade_lite as il
    >>> town = il.ToyTown("val", 16)
    >>> draw = il.metrics.from_truth(town, seed=0)
    >>> [part[2].shape for part in il.metrics.drawn(draw, town, scenes=2, samples=4, progress=False)]
    [(4, 2, 3, 16, 16)]
    """
    with tqdm(total=scenes * samples, unit="picture", disable=not progress) as bar:
        for numbers, batch, layout in scene_batches(dataset, scenes, batch_size):
            generated = []
            redrawn = []
            for k in range(samples):
                generated.append(draw(numbers, layout, k))
                redrawn.append(_redrawn(dataset, numbers, seed * samples + k))
            yield numbers, batch, np.stack(generated), np.array(redrawn)
            bar.update(samples * len(numbers))


def colors_of(numbers, batch, generated, redrawn, dataset):
    """A list of Instance, one for each thing, from what `drawn` yields.

    >>> import inade_lite as il
    >>> town = il.ToyTown("val", 32)
    >>> (part,) = il.metrics.drawn(il.metrics.from_truth(town, seed=0), town, scenes=1, samples=4, progress=False)
    >>> il.metrics.colors_of(*part, town)[0].generated.shape
    (4, 3)
    """
    found = []
    for n, scene, class_id, mask in things_of(numbers, batch, dataset):
        ours = mean_colors(generated[:, n], mask)
        truth = mean_colors(redrawn[:, n], mask)
        found.append(Instance(scene, class_id, ours, truth))
    return found


# ---- From colors to measures


def measure_diversity(generator, dataset, scenes=64, samples=8, seed=0, progress=True):
    """Spread ratio, same-class correlation and color distance: a list of Diversity, see `diversity_rows`.

    >>> import inade_lite as il
    >>> town = il.ToyTown("val", 32)
    >>> generator = il.Generator(town.num_classes, 32, 4, 4, 2, 3)
    >>> il.metrics.measure_diversity(generator, town, scenes=1, samples=2, progress=False)[-1].name
    'mean'
    """
    draw = from_generator(generator, seed)
    found = []
    for part in drawn(draw, dataset, scenes, samples, seed, progress=progress):
        found += colors_of(*part, dataset)
    return diversity_rows(found, dataset)


def diversity_rows(instances, dataset):
    """A list of Instance -> a list of Diversity: a row for each class, and their mean as the last one.

    Classes with fewer than 40 instances share one row, because their intervals would be too wide to tell anything.

    >>> import inade_lite as il
    >>> town = il.ToyTown("val", 32)
    >>> (part,) = il.metrics.drawn(il.metrics.from_truth(town, seed=0), town, scenes=1, samples=4, progress=False)
    >>> rows = il.metrics.diversity_rows(il.metrics.colors_of(*part, town), town)
    >>> rows[-1].instances == sum(row.instances for row in rows[:-1])
    True
    """
    groups = class_groups(instances, dataset.thing_classes)
    group_of = {class_id: g for g, classes in enumerate(groups) for class_id in classes}
    scenes = sorted({a.scene for a in instances})
    place_of = {scene: s for s, scene in enumerate(scenes)}

    # What the bootstrap draws are scenes, so the sums are kept scene by scene.
    shape = [len(scenes), len(groups)]
    variances = np.zeros([*shape, 2])
    products = np.zeros([*shape, 3])
    histograms = np.zeros([*shape, 2, 3, 256])
    members = Counter()
    pairs = Counter()
    for a in instances:
        s = place_of[a.scene]
        g = group_of[a.class_id]
        members[g] += 1
        variances[s, g] += color_variances(a)
        histograms[s, g] += color_histograms(a)
    for a, b in combinations(instances, 2):
        if a.scene == b.scene and a.class_id == b.class_id:
            s = place_of[a.scene]
            g = group_of[a.class_id]
            pairs[g] += 1
            products[s, g] += pair_products(a.generated, b.generated)

    rows = []
    for g, classes in enumerate(groups):
        row = Diversity(
            name=" + ".join(dataset.class_names[c] for c in classes),
            instances=members[g],
            pairs=pairs[g],
            spread_ratio=bootstrap(variances[:, g], spread),
            correlation=bootstrap(products[:, g], correlation),
            color_distance=bootstrap(histograms[:, g], wasserstein),
        )
        rows.append(row)
    mean = Diversity(
        name="mean",
        instances=members.total(),
        pairs=pairs.total(),
        spread_ratio=bootstrap(variances, mean_of(spread)),
        correlation=bootstrap(products, mean_of(correlation)),
        color_distance=bootstrap(histograms, mean_of(wasserstein)),
    )
    return [*rows, mean]


def class_groups(instances, thing_classes):
    """Lists of class ids: each class by itself, then all those with fewer than 40 instances.

    >>> from inade_lite.metrics.diversity import class_groups
    >>> things = [Instance(scene, class_id=9, generated=None, redrawn=None) for scene in range(40)]
    >>> class_groups([*things, things[0]._replace(class_id=7), things[0]._replace(class_id=5)], thing_classes=[5, 7, 9])
    [[9], [5, 7]]
    """
    count = Counter(a.class_id for a in instances)
    groups = []
    few = []
    for class_id in thing_classes:
        if count[class_id] >= MIN_INSTANCES:
            groups.append([class_id])
        elif count[class_id] > 0:
            few.append(class_id)
    return [*groups, few] if few else groups


def mean_of(statistic):
    """The mean of a statistic over the groups for which it is defined, as a function of the sums of all groups.

    >>> from inade_lite.metrics.diversity import mean_of
    >>> float(mean_of(ratio)([[6, 2], [1, 1], [0, 0]]))
    2.0
    """

    def mean(sums):
        values = np.array([statistic(s) for s in sums])
        defined = values[np.isfinite(values)]
        return defined.mean() if len(defined) else np.nan

    return mean


def color_variances(instance):
    """How far an Instance's colors scatter over the K pictures: [generated, redrawn], mean over RGB.

    ddof 1: the sum of squares is divided by K - 1, because K colors lie nearer to their own mean than to the true one.

    >>> import numpy as np
    >>> from inade_lite import metrics
    >>> colors = np.array([[0, 50, 90], [10, 50, 90]])
    >>> [round(float(v), 1) for v in metrics.color_variances(metrics.Instance(0, 0, colors, 2 * colors))]
    [16.7, 66.7]
    """
    variances = []
    for colors in (instance.generated, instance.redrawn):
        over_pictures = _centered(colors).var(axis=0, ddof=1)
        variances.append(over_pictures.mean())
    return variances


def _centered(colors):
    """Colors [K, 3] less their mean over K; exactly 0 where all K are equal."""
    # The rounded mean of equal numbers need not be that number. So the first color is subtracted before.
    moved = colors - colors[0]
    return moved - moved.mean(axis=0)


def spread(variances):
    """Spread ratio: does it vary as much as the truth? variances [2]: summed `color_variances`.

    The root makes a ratio of variances one of standard deviations: half of the spread is a quarter of the variance.

    >>> from inade_lite import metrics
    >>> round(float(metrics.spread([16.7, 66.7])), 1)
    0.5
    """
    return np.sqrt(ratio(variances))


def pair_products(a, b):
    """[sum ab, sum aa, sum bb] of two instances' colors [K, 3], each less its mean.

    >>> import numpy as np
    >>> from inade_lite import metrics
    >>> metrics.pair_products(np.array([[0, 0, 0], [2, 0, 0]]), np.array([[9, 0, 1], [7, 0, 3]])).tolist()
    [-2.0, 2.0, 4.0]
    """
    a = _centered(a)
    b = _centered(b)
    ab = (a * b).sum()
    aa = (a * a).sum()
    bb = (b * b).sum()
    return np.array([ab, aa, bb])


def correlation(products):
    """Same-class correlation: does each vary on its own? products [3]: summed `pair_products`.

    If b is brighter than its mean whenever a is, the products of their deviations are positive and add up. If a and b
    have nothing to do with each other, the products cancel. nan where nothing varies: then nobody can tell.

    >>> from inade_lite import metrics
    >>> round(float(metrics.correlation([-2, 2, 4])), 3)
    -0.707
    """
    ab, aa, bb = products
    return ab / np.sqrt(aa * bb) if aa * bb > 0 else np.nan


def same_class_correlation(pairs):
    """The same of a list of pairs ([K, 3], [K, 3]), two instances of one picture each; nan for an empty list.

    >>> import numpy as np
    >>> from inade_lite import metrics
    >>> a = np.array([[0, 0, 0], [2, 0, 0]])
    >>> round(metrics.same_class_correlation([(a, a + 100)]), 3)  # darker and brighter together
    1.0
    """
    products = np.zeros(3)
    for a, b in pairs:
        products = products + pair_products(a, b)
    return float(correlation(products))


def color_histograms(instance):
    """How often each whole value 0..255 stands in R, G and B: [generated, redrawn], int [2, 3, 256].

    >>> import numpy as np
    >>> from inade_lite import metrics
    >>> a = metrics.Instance(0, 0, generated=np.array([[7, 0, 0], [7, 0, 1]]), redrawn=np.zeros([2, 3]))
    >>> int(metrics.color_histograms(a)[0, 0, 7])
    2
    """
    colors = np.stack([instance.generated, instance.redrawn])  # [2, K, 3]
    values = np.rint(colors.clip(0, 255)).astype(int)
    hits = values[..., None] == np.arange(256)  # [2, K, 3, 256]
    return hits.sum(1)


def wasserstein(histograms):
    """Color distance: are these the right looks? histograms [2, 3, 256]: summed `color_histograms`.

    Take the values as two heaps of sand on the line 0..255. How far must a grain travel on average to turn one heap
    into the other? That is the 1-Wasserstein distance. A grain that goes from 1 to 2 makes the shares of the values up
    to 1 differ by one grain, so the area between the two curves of shares is the way of all grains together.

    >>> import numpy as np
    >>> from inade_lite import metrics
    >>> a = metrics.Instance(0, 0, generated=np.zeros([2, 3]), redrawn=np.array([[10, 0, 0], [20, 0, 0]]))
    >>> round(float(metrics.wasserstein(metrics.color_histograms(a))), 3)  # 15 in red, 0 in green and in blue
    5.0
    """
    counts = histograms.sum(-1, keepdims=True)
    shares = histograms.cumsum(-1) / counts  # [2, 3, 256]
    gap = np.abs(shares[0] - shares[1])
    return gap.sum(-1).mean()


def table(rows):
    """A list of Diversity as text.

    >>> from inade_lite.metrics import Diversity, Estimate, table
    >>> nothing = Estimate(0.0, 0.0, 0.0)
    >>> print(table([Diversity("car", 40, 3, nothing, nothing, nothing)]).splitlines()[1][:39])
    car          40    0.000 [0.000, 0.000]
    """
    lines = [f"{'':<10}{'n':>5}{'spread ratio':>24}{'pairs':>7}{'correlation':>26}{'color distance':>22}"]
    for row in rows:
        cells = [
            f"{row.name:<10}{row.instances:>5}",
            f"{row.spread_ratio!s:>24}",
            f"{row.pairs:>7}",
            f"{row.correlation!s:>26}",
            f"{row.color_distance!s:>22}",
        ]
        lines.append("".join(cells))
    return "\n".join(lines)
