"""Every measure of a model, at once."""

import numpy as np

from . import distances, judge, lite0
from .control import changes, locality, rebuilding_errors
from .diversity import Diversity, colors_of, diversity_rows, drawn, from_generator
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
        value, interval = distance(ours, truth, scene_of_picture)
        result[name] = Estimate(value, *interval)
    if model is not None:
        result |= _measure_control(model, dataset, scenes, seed, progress)
        if model.encoder is not None:
            result |= _measure_encoder(model, dataset, scenes, seed, progress)
    return result


def _in_a_row(pictures):
    """[K, N, 3, H, W] -> [K*N, 3, H, W]."""
    return pictures.reshape([-1, *pictures.shape[2:]])


def _networks(inception):
    """{measure: (see, distance)} of the networks at hand.

    see: images -> features; distance: two sets of features and the groups of both -> (value, interval).
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
    """The measures of `control.rebuilding_errors` and `patterns.rebuilt_kinds`."""
    reconstruction, round_trip = rebuilding_errors(model, dataset, scenes, seed, progress=progress)
    counts = rebuilt_kinds(model, dataset, scenes, seed, progress=progress)
    return {
        "kinds_kept": bootstrap(counts, kinds_kept),
        "reconstruction": bootstrap(reconstruction, ratio),
        "round_trip": bootstrap(round_trip, ratio),
    }
