"""A value and its 95 % interval: by the bootstrap, or by the jackknife where a part must not stand beside its copy."""

from typing import NamedTuple

import numpy as np


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


def _jackknife(value, without):
    """(value, (low, high)) of a value and what it is without each part in turn: value -+ 1.96 jackknife errors."""
    error = np.sqrt((len(without) - 1) * np.var(without))
    return float(value), (float(value - 1.96 * error), float(value + 1.96 * error))
