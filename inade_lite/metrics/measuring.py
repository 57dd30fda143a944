"""Every measure of a model, at once: on ToyTown, whose truth is known, and on photos, whose truth nobody knows."""

from itertools import combinations

import numpy as np
from tqdm.auto import tqdm

from ..data.batches import scene_batches
from ..data.sketches import suited
from . import distances, judge, lite0
from .control import changes, locality, rebuilding_errors
from .diversity import (
    Diversity,
    Instance,
    class_groups,
    color_variances,
    colors_of,
    correlation,
    diversity_rows,
    drawn,
    from_generator,
    mean_colors,
    pair_products,
    spread,
    things_of,
)
from .estimates import Estimate, bootstrap, ratio
from .patterns import kinds_kept, pattern_distances, rebuilt_kinds, textures_of


def measure(
    model,
    dataset,
    scenes=256,
    samples=8,
    seed=0,
    draw=None,
    inception=None,
    progress=True,
):
    """Every measure of a Pretrained model on a ToyTown: {name: Estimate, or {class: Estimate}}.

    What needs Lite0 is left out where its weights are not installed, and what needs an encoder where there is none.

    draw: measures these pictures instead of a model's, see `from_truth`; then control and the encoder are left out.
    inception: a file for `lite0.inception`; adds inception_fid.

    >>> import inade_lite as il
    >>> town = il.ToyTown("val", 32)
    >>> found = il.metrics.measure(None, town, 3, 2, draw=il.metrics.from_truth(town, seed=1), progress=False)
    >>> sorted(found)[:2]
    ['color_distance', 'correlation']
    """
    if draw is None:
        draw = from_generator(model.generator, seed)
        dataset = suited(dataset, model.generator)
    num_classes = dataset.num_classes
    segmenter = judge.load_judge()
    networks = _networks(inception)

    instances = []
    textures = []
    confusions = np.zeros([scenes, num_classes, num_classes])
    features = {name: [] for name in networks}
    scene_of_picture = []
    # Batch by batch, because all pictures together would take hundreds of megabytes. Their sums are small.
    for part in drawn(draw, dataset, scenes, samples, seed, progress=progress):
        numbers, batch, generated, redrawn = part
        instances += colors_of(*part, dataset)
        textures += textures_of(*part, dataset)
        for pictures in generated:
            seen = judge.predict(segmenter, pictures)
            for n, scene in enumerate(numbers):
                confusions[scene] += judge.confusion(seen[n], batch["label"][n], num_classes)
        scene_of_picture += list(numbers) * samples
        for name, (see, _) in networks.items():
            both = (see(_in_a_row(generated)), see(_in_a_row(redrawn)))
            features[name].append(both)

    result = {}
    rows = diversity_rows(instances, dataset)
    for name in Diversity._fields[3:]:
        result[name] = {row.name: getattr(row, name) for row in rows}
    result["pattern_distance"] = pattern_distances(textures, dataset)
    result["pixel_accuracy"] = bootstrap(confusions, judge.pixel_accuracy)
    result["mean_iou"] = bootstrap(confusions, judge.mean_iou)
    for name, (_, distance) in networks.items():
        ours, truth = map(np.concatenate, zip(*features[name], strict=True))
        # Two pictures of one scene are alike because of the scene. So a scene is a group: they are never compared.
        value, interval = distance(ours, truth, scene_of_picture, scene_of_picture)
        result[name] = Estimate(value, *interval)
    if model is not None:
        result |= _measure_control(model, dataset, scenes, seed, progress)
        if model.encoder is not None:
            counts = rebuilt_kinds(model, dataset, scenes, seed, progress=progress)
            result["kinds_kept"] = bootstrap(counts, kinds_kept)
            result |= _measure_encoder(model, dataset, scenes, seed, progress)
    return result


def _in_a_row(pictures):
    """[K, N, 3, H, W] -> [K*N, 3, H, W]."""
    return pictures.reshape([-1, *pictures.shape[2:]])


def _networks(inception):
    """{measure: (see, distance)} of the networks at hand.

    see: images -> features; distance: two sets of features and the groups of each -> (value, interval).
    """
    networks = {}
    if lite0.available():
        networks["lite0_kid"] = (lite0.features, distances.kid)
    if inception:
        networks["inception_fid"] = (lite0.inception(inception), distances.fid)
    return networks


def _measure_control(model, dataset, scenes, seed, progress):
    """The measures of `control.changes`."""
    distance_map = lite0.distance_map if lite0.available() else None
    changed = changes(
        model,
        dataset,
        scenes,
        seed=seed,
        distance_map=distance_map,
        progress=progress,
    )
    pixels = changed["instance"][:, 0]
    result = {"locality": bootstrap(pixels, locality)}
    if distance_map is None:
        return result
    names = {"instance": ("mISD", "mOISD"), "class": ("mCSD", "mOCD")}
    for what, (inside, outside) in names.items():
        perceived = changed[what][:, 1]  # [S, inside or outside, sum and number of pixels]
        result[inside] = bootstrap(perceived[:, 0], ratio)
        result[outside] = bootstrap(perceived[:, 1], ratio)
    return result


def _measure_encoder(model, dataset, scenes, seed, progress):
    """The measures of `control.rebuilding_errors`."""
    reconstruction, round_trip = rebuilding_errors(model, dataset, scenes, seed, progress=progress)
    return {
        "reconstruction": bootstrap(reconstruction, ratio),
        "round_trip": bootstrap(round_trip, ratio),
    }


# ---- Photos


class Everything:
    """A data set all of whose classes are things, if it tells none: then each class of a picture is an instance.

    >>> import inade_lite as il
    >>> town = il.ToyTown("val", 32)
    >>> Everything(town).thing_classes == town.thing_classes
    True
    """

    def __init__(self, dataset):
        self.dataset = dataset
        self.thing_classes = list(dataset.thing_classes) or list(range(dataset.num_classes))

    def __getattr__(self, name):
        return getattr(self.dataset, name)

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, i):
        return self.dataset[i]


def measure_photos(model, dataset, scenes=64, samples=8, seed=0, inception=None, segmenter=None, progress=True):
    """Every measure of a Pretrained model that needs no truth: {name: Estimate, or {class: Estimate}}.

    dataset: one whose items have the model's size and classes. inception: a file for `lite0.inception`; adds
    inception_fid, for ten items or more. segmenter: a judge of these classes; adds mean_iou and pixel_accuracy, and the
    same of the photos themselves. ValueError if it knows other classes.

    >>> import inade_lite as il
    >>> town, model = il.ToyTown("val", 64), il.load_pretrained("inade")
    >>> sorted(il.metrics.measure_photos(model, town, 3, 2, progress=False))[-2:]
    ['round_trip', 'spread']
    """
    dataset = Everything(suited(dataset, model.generator))
    scenes = min(scenes, len(dataset))
    if segmenter is not None and segmenter.num_classes != dataset.num_classes:
        raise ValueError(f"the judge knows {segmenter.num_classes} classes, the data set has {dataset.num_classes}")
    names = getattr(segmenter, "class_names", None)
    if names is not None and list(names) != list(dataset.class_names):
        raise ValueError(f"the judge knows other classes: {names[0]!r} and so on, not {dataset.class_names[0]!r}")
    draw = from_generator(model.generator, seed)
    networks = _networks(inception)
    features = {name: ([], []) for name in networks}
    instances = []
    of_samples, of_photos = [], []  # the scene of each picture
    confusions = np.zeros([2, scenes, dataset.num_classes, dataset.num_classes])  # of samples, of photos
    with tqdm(total=scenes * samples, unit="picture", disable=not progress) as bar:
        for numbers, batch, layout in scene_batches(dataset, scenes):
            pictures = np.stack([draw(numbers, layout, k) for k in range(samples)])  # [K, N, 3, H, W]
            for n, scene, class_id, mask in things_of(numbers, batch, dataset):
                colors = mean_colors(pictures[:, n], mask)
                instances.append(Instance(scene, class_id, colors, colors))  # there is no truth beside them
            of_samples += list(numbers) * samples
            of_photos += list(numbers)
            for name, (see, _) in networks.items():
                features[name][0].append(see(_in_a_row(pictures)))
                features[name][1].append(see(batch["image"]))
            if segmenter is not None:
                for kind, judged in enumerate((pictures, batch["image"][None])):
                    for each in judged:
                        seen = judge.predict(segmenter, each)
                        for n, scene in enumerate(numbers):
                            confusions[kind, scene] += judge.confusion(seen[n], batch["label"][n], dataset.num_classes)
            bar.update(samples * len(numbers))

    result = diversity_of(instances, dataset)
    for name, (_, distance) in networks.items():
        ours, photos = map(np.concatenate, features[name])
        value, interval = distance(ours, photos, of_samples, of_photos)
        result[name] = Estimate(value, *interval)
    if segmenter is not None:
        for kind, prefix in enumerate(("", "real_")):
            result[f"{prefix}mean_iou"] = bootstrap(confusions[kind], judge.mean_iou)
            result[f"{prefix}pixel_accuracy"] = bootstrap(confusions[kind], judge.pixel_accuracy)
    result |= _measure_control(model, dataset, scenes, seed, progress)
    if model.encoder is not None:
        result |= _measure_encoder(model, dataset, scenes, seed, progress)
    return result


def diversity_of(instances, dataset):
    """{"spread": {class: Estimate}, "correlation": {class: Estimate}} of a list of Instance, whose truth is not used.

    Classes with fewer than 40 instances share one row, as in `diversity_rows`.

    >>> import inade_lite as il
    >>> town, colors = il.ToyTown("val", 32), np.array([[0.0, 0, 0], [2, 2, 2]])
    >>> house = town.class_names.index("house")
    >>> found = diversity_of([Instance(scene, house, colors, colors) for scene in range(3)], town)
    >>> round(found["spread"]["house"].value, 3)
    1.414
    """
    result = {"spread": {}, "correlation": {}}
    scenes = sorted({a.scene for a in instances})
    place_of = {scene: s for s, scene in enumerate(scenes)}
    for classes in class_groups(instances, dataset.thing_classes):
        name = " + ".join(dataset.class_names[c] for c in classes)
        if len(classes) > 3:
            name = f"{len(classes)} rare classes"
        members = [a for a in instances if a.class_id in classes]
        variances = np.zeros([len(scenes), 2])  # the sum of variances, and how many there are
        products = np.zeros([len(scenes), 3])
        for a in members:
            variance, _ = color_variances(a)
            variances[place_of[a.scene]] += (variance, 1)
        for a, b in combinations(members, 2):
            if a.scene == b.scene and a.class_id == b.class_id:
                products[place_of[a.scene]] += pair_products(a.generated, b.generated)
        result["spread"][name] = bootstrap(variances, spread)
        if products.any():
            result["correlation"][name] = bootstrap(products, correlation)
    return result
