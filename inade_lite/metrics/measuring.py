"""Every measure of a model, at once."""

import numpy as np

from . import distances, judge, lite0
from .control import changes, locality, rebuilding_errors
from .diversity import Diversity, colors_of, diversity_rows, drawn, from_generator
from .estimates import Estimate, bootstrap, ratio


def measure(model, dataset, scenes=256, samples=8, seed=0, draw=None, inception=None, progress=True):
    """Every measure of a Pretrained model on a ToyTown: {name: Estimate, or {class: Estimate}}.

    Where the extra for Lite0 is not installed, what needs it is left out. draw: measure these pictures instead of a
    model, see `from_truth`; then control and encoder are left out. inception: a file for `lite0.inception`; adds
    inception_fid.
    """
    segmenter, draw = judge.load_judge(), draw or from_generator(model.generator, seed)
    found, confusions = [], np.zeros([scenes, dataset.num_classes, dataset.num_classes])
    networks = {"lite0_kid": (lite0.features, distances.kid)} if lite0.available() else {}
    networks |= {"inception_fid": (lite0.inception(inception), distances.fid)} if inception else {}
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
    rows = diversity_rows(found, dataset)
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
