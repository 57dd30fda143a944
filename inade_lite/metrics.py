"""Does it work? Measures of diversity, control and quality (built by hand in notebook 8).

Each is a function of sums over scenes, so one bootstrap serves all: it draws the scenes anew, with replacement.

Against ToyTown's truth. For every thing instance of at least 20 pixels, a is its mean RGB (0..255) in each of K
pictures, [K, 3]: generated ones, with fresh noise and latent, and K redrawn ones, where every look is drawn anew.

    spread ratio(class)           = sqrt(mean of var(generated a) / mean of var(redrawn a)),        ddof 1
                                    means over the class's instances and RGB; 1: as varied as the truth, 0: no variety
    same-class correlation(class) = sum (a - mean a)(b - mean b) / sqrt(sum (a - mean a)^2 * sum (b - mean b)^2)
                                    over pairs a, b of the class in one picture, K samples and RGB; 0 for independent
                                    instances, 1 for one look for all
    color distance(class)         = sum over c of |F_generated(c) - F_redrawn(c)|, mean over RGB, in units of 0..255
                                    F: share of the a that are at most c; the 1-Wasserstein distance; 0: same colours

Control. One instance's noise is drawn again (or, where a method cannot do that, the least that it can draw again):

    locality      = mean |change| of a pixel outside the instance / mean |change| of a pixel inside; 0: nothing else
    mISD, mOISD   = mean Lite0-LPIPS of a pixel inside, outside (the paper, section 4)
    mCSD, mOCD    = the same where the noise of all instances of one class is drawn again (GroupDNet, CVPR 2020)

The encoder. Mean |difference| of a thing's mean RGB, in units of 0..255:

    reconstruction = between a real picture and what the generator makes of the encoder's means
    round trip     = between a generated picture and what becomes of it

Quality. pixel accuracy and mIoU are those of `judge`, a segmentation network, and Lite0-KID that of `lite0`.
"""

from collections import Counter
from itertools import combinations
from typing import NamedTuple

import numpy as np
import paddle
from tqdm.auto import tqdm

from . import judge, lite0
from .data import collate
from .generator import sample
from .maps import Layout
from .methods import remap
from .noise import sample_noise

MIN_PIXELS = 20  # smaller instances are not measured
MIN_INSTANCES = 40  # classes with fewer instances are pooled


class Estimate(NamedTuple):
    """A value and its 95 % interval. What is not defined, a correlation without pairs for one, is nan."""

    value: float
    low: float
    high: float

    def __str__(self):
        digits = 3 if abs(self.value) < 1 else 2 if abs(self.value) < 10 else 1
        return "{:.{d}f} [{:.{d}f}, {:.{d}f}]".format(*self, d=digits)


def bootstrap(per_scene, statistic, resamples=1000, seed=0):
    """An Estimate of statistic(sum over scenes), by the bootstrap (Efron, 1979).

    per_scene [S, ...]; statistic: [...] -> float. A drawn set of scenes is how often each scene is in it. The interval
    is the middle 95 % of what such sets give, moved so that their mean is the value: a distance, which cannot be
    negative, comes out larger on resampled scenes.
    """
    per_scene = np.asarray(per_scene, np.float64)
    scenes, flat = len(per_scene), per_scene.reshape(len(per_scene), -1)
    counts = np.random.default_rng(seed).multinomial(scenes, np.full(scenes, 1 / scenes), size=resamples)  # [B, S]
    found = np.array([statistic(s) for s in (counts @ flat).reshape([resamples, *per_scene.shape[1:]])])
    value, found = statistic(per_scene.sum(0)), found[np.isfinite(found)]
    if not len(found):
        return Estimate(float(value), np.nan, np.nan)
    low, high = np.percentile(found, [2.5, 97.5]) + value - found.mean()
    return Estimate(float(value), float(low), float(high))


def ratio(sums):
    """(a, b) -> a / b, nan for b = 0: the mean, from a sum and a count."""
    a, b = sums
    return a / b if b else np.nan


# ---- Colours of things, against the truth


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
            layout = Layout(batch["label"], batch["instance"], dataset.num_classes)
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
    """Spread ratio, correlation and colour distance of each thing class: a list of Diversity, see `diversity`."""
    parts = drawn(from_generator(generator, seed), dataset, scenes, samples, seed, progress=progress)
    return diversity([a for part in parts for a in colors_of(*part, dataset)], dataset)


def diversity(instances, dataset):
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


# ---- Control: what changes where noise is drawn again


@paddle.no_grad()
def draw_again(generator, layout, noise, latent, chosen, seed):
    """(noise, latent) with the noise of the `chosen` instances, bool [N, I], drawn again.

    Methods with coarser noise draw the least that covers these instances: all of their classes, or the whole picture.
    """
    fresh = sample_noise(layout, generator.noise_dim, seed)
    if generator.level == "image":
        return fresh, paddle.to_tensor(np.random.default_rng(seed).standard_normal(latent.shape, np.float32))
    if generator.level == "class":
        chosen = _with_their_classes(layout, chosen)
    chosen = paddle.to_tensor(chosen[..., None, None].astype("float32"))
    return noise * (1 - chosen) + fresh * chosen, latent


def _with_their_classes(layout, chosen):
    label, instance = layout.label.numpy(), layout.instance.numpy()
    wider = np.zeros_like(chosen)
    for n in range(len(layout)):
        classes = np.unique(label[n][chosen[n][instance[n]]])
        wider[n, np.unique(instance[n][np.isin(label[n], classes)])] = True
    return wider


def changes(model, dataset, scenes, draws=4, seed=0, distance_map=None, batch_size=8, progress=True):
    """Where pictures change if the noise of one thing instance, or of one class, is drawn again in every scene.

    {"instance": ..., "class": ...}, each [S, 2, 2, 2]: scenes; |change| of RGB in 0..255, and Lite0-LPIPS with its
    `distance_map` (else 0); inside and outside; sum and number of pixels.
    """
    result = {what: np.zeros([scenes, 2, 2, 2]) for what in ("instance", "class")}
    with tqdm(total=2 * scenes * draws, unit="picture", disable=not progress) as bar:
        for first in range(0, scenes, batch_size):
            numbers = range(first, min(first + batch_size, scenes))
            batch = collate([dataset[i] for i in numbers])
            layout = Layout(batch["label"], batch["instance"], dataset.num_classes)
            noise, latent = start(model.generator, layout, [seed, first])
            before = paint(model.generator, layout, noise, latent)
            for k, (what, sums) in enumerate(result.items()):
                area = np.stack([_pick(what, batch, n, dataset, [seed, scene]) for n, scene in enumerate(numbers)])
                chosen = _instances_in(area, batch["instance"], layout.num_instances)
                for draw in range(draws):
                    again = draw_again(model.generator, layout, noise, latent, chosen, [seed, first, k, draw])
                    after = paint(model.generator, layout, *again)
                    maps = [(after - before).abs().mean(1).numpy() * 127.5]
                    maps.append(distance_map(after, before) if distance_map else np.zeros_like(maps[0]))
                    for m, change in enumerate(maps):
                        for side, mask in enumerate((area, ~area)):
                            sums[numbers, m, side] += np.stack([(change * mask).sum((1, 2)), mask.sum((1, 2))], axis=1)
                    bar.update(len(numbers))
    return result


def start(generator, layout, seed):
    """(noise, latent) for a layout, the same for the same seed; latent is None for a generator without one."""
    seeds = np.random.SeedSequence(seed).generate_state(2).tolist()
    shape = [len(layout), generator.latent_dim]
    latent = np.random.default_rng(seeds[1]).standard_normal(shape, np.float32) if generator.latent_dim else None
    return sample_noise(layout, generator.noise_dim, seeds[0]), None if latent is None else paddle.to_tensor(latent)


@paddle.no_grad()
def paint(generator, layout, noise, latent):
    """The generator's pictures, without gradients."""
    return generator(layout, noise, latent)


def _pick(what, batch, n, dataset, seed):
    """A random thing instance, or class, of the n-th picture: its mask [H, W]."""
    label, instance, random = batch["label"][n], batch["instance"][n], np.random.default_rng(seed)
    if what == "instance":
        masks = [mask for _, mask in things(label, instance, dataset.thing_classes)]
        return masks[random.integers(len(masks))]
    return label == random.choice(np.unique(label))


def _instances_in(area, instance, count):
    chosen = np.zeros([len(area), count], bool)
    for n in range(len(area)):
        chosen[n, np.unique(instance[n][area[n]])] = True
    return chosen


def locality(sums):
    """Outside over inside, of the summed pixel half of `changes`, [2, 2]."""
    return ratio([ratio(sums[1]), ratio(sums[0])])


# ---- The encoder


@paddle.no_grad()
def rebuild(model, image, layout, latent):
    """What the generator makes of the encoder's means, without chance: [N, 3, H, W] -> [N, 3, H, W]."""
    generator, params = model.generator, model.encoder(image, layout)
    silent = paddle.zeros([len(layout), layout.num_instances, 2, generator.noise_dim])
    latent = paddle.zeros_like(latent) if generator.level == "image" else latent
    return generator(layout, *remap(generator, params, silent, latent))


def rebuilding_errors(model, dataset, scenes, seed=0, batch_size=8, progress=True):
    """(reconstruction, round trip), each [S, 2]: sum of |difference| of mean RGB over the things, number of things."""
    errors = np.zeros([2, scenes, 2])
    with tqdm(total=scenes, unit="scene", disable=not progress) as bar:
        for first in range(0, scenes, batch_size):
            numbers = range(first, min(first + batch_size, scenes))
            batch = collate([dataset[i] for i in numbers])
            layout = Layout(batch["label"], batch["instance"], dataset.num_classes)
            noise, latent = start(model.generator, layout, [seed, first])
            for kind, image in enumerate(
                (paddle.to_tensor(batch["image"]), paint(model.generator, layout, noise, latent))
            ):
                both = np.stack([image.numpy(), rebuild(model, image, layout, latent).numpy()])
                for n, scene in enumerate(numbers):
                    for _, mask in things(batch["label"][n], batch["instance"][n], dataset.thing_classes):
                        errors[kind, scene] += np.abs(np.subtract(*mean_colors(both[:, n], mask))).mean(), 1
            bar.update(len(numbers))
    return errors


# ---- All of them


def measure(model, dataset, scenes=256, samples=8, seed=0, draw=None, inception=None, progress=True):
    """Every measure of a Pretrained model on a ToyTown: {name: Estimate, or {class: Estimate}}.

    Where the extra for Lite0 is not installed, what needs it is left out. draw: measure these pictures instead of a
    model, see `from_truth`; then control and encoder are left out. inception: a file for `lite0.inception`; adds
    inception_fid.
    """
    segmenter, draw = judge.load_judge(), draw or from_generator(model.generator, seed)
    found, confusions = [], np.zeros([scenes, dataset.num_classes, dataset.num_classes])
    networks = {"lite0_kid": (lite0.features, lite0.kid)} if lite0.available() else {}
    networks |= {"inception_fid": (lite0.inception(inception), lite0.fid)} if inception else {}
    features, groups = {name: ([], []) for name in networks}, []
    for part in drawn(draw, dataset, scenes, samples, seed, progress=progress):
        numbers, batch, generated, redrawn = part
        found += colors_of(*part, dataset)
        for pictures in generated:
            for n, seen in zip(numbers, judge.predict(segmenter, pictures), strict=True):
                confusions[n] += judge.confusion(seen, batch["label"][n - numbers[0]], dataset.num_classes)
        groups += list(numbers) * samples
        for name, (see, _) in networks.items():
            for kept, pictures in zip(features[name], (generated, redrawn), strict=True):
                kept.append(see(pictures.reshape([-1, *pictures.shape[2:]])))
    rows = diversity(found, dataset)
    result = {name: {row.name: getattr(row, name) for row in rows} for name in Diversity._fields[3:]}
    result["pixel_accuracy"] = bootstrap(confusions, judge.pixel_accuracy)
    result["mean_iou"] = bootstrap(confusions, judge.mean_iou)
    for name, (_, apart) in networks.items():
        value, interval = apart(*map(np.concatenate, features[name]), groups)
        result[name] = Estimate(value, *interval)
    if model is not None:
        result |= _measure_control(model, dataset, scenes, seed, progress)
        if model.encoder is not None:
            errors = rebuilding_errors(model, dataset, scenes, seed, progress=progress)
            result |= {
                name: bootstrap(e, ratio) for name, e in zip(("reconstruction", "round_trip"), errors, strict=True)
            }
    return result


def _measure_control(model, dataset, scenes, seed, progress):
    distance_map = lite0.distance_map if lite0.available() else None
    changed = changes(model, dataset, scenes, seed=seed, distance_map=distance_map, progress=progress)
    result = {"locality": bootstrap(changed["instance"][:, 0], locality)}
    if distance_map:
        for names, what in ((("mISD", "mOISD"), "instance"), (("mCSD", "mOCD"), "class")):
            sides = changed[what][:, 1].swapaxes(0, 1)  # inside, outside
            result |= {name: bootstrap(side, ratio) for name, side in zip(names, sides, strict=True)}
    return result
