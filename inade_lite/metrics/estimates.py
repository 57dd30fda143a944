"""A measured value and how sure it is: a 95 % interval, by the bootstrap or by the jackknife."""

from typing import NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """A value and its 95 % interval. What is not defined is nan, for example a correlation without pairs.

    >>> from inade_lite.metrics import Estimate
    >>> str(Estimate(0.9624, 0.9561, 0.9687))
    '0.962 [0.956, 0.969]'
    """

    value: float
    low: float
    high: float

    def __str__(self):
        if abs(self.value) < 1:
            digits = 3
        elif abs(self.value) < 10:
            digits = 2
        else:
            digits = 1
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def bootstrap(per_scene, statistic, resamples=1000, seed=0):
    """The Estimate of statistic(sum over scenes), by the bootstrap (Efron, 1979).

    per_scene [S, ...] holds what each scene adds to the sums; statistic: sums [...] -> float.

    With other scenes the value would have been another one. How different? There are no other scenes to measure, but
    the S scenes show what scenes are like. So S scenes are drawn out of them with replacement: some come twice, some
    not at all. Such a resample has a value of its own, and the middle 95 % of many of them are the interval.

    Scenes are drawn and not pictures, because only scenes are independent of each other. Eight samples of a street
    with a large house are eight pictures of a large house. Drawing pictures would count this scene eight times, and
    the interval would be too narrow.

    The interval is moved until the mean of the resamples is the value itself, because resampling alone moves some
    statistics. For example, a distance cannot be negative, so two sets that were drawn by chance are farther apart
    than those that were measured. Without the move the interval would lie too high, even above the value.

    >>> from inade_lite.metrics import bootstrap, ratio
    >>> found = bootstrap([[3, 1], [5, 1], [4, 1]], ratio)  # a sum and a count for each of three scenes
    >>> found.value, found.low < 4 < found.high
    (4.0, True)
    """
    per_scene = np.asarray(per_scene, np.float64)
    scenes, *shape = per_scene.shape
    value = statistic(per_scene.sum(0))
    # A sum does not ask in which order scenes were drawn, only how often each was. So the counts are drawn at once,
    # and one product gives the sums of all resamples.
    random = np.random.default_rng(seed)
    counts = random.multinomial(scenes, np.full(scenes, 1 / scenes), size=resamples)  # [B, S]
    sums = counts @ per_scene.reshape([scenes, -1])
    sums = sums.reshape([resamples, *shape])
    values = np.array([statistic(s) for s in sums])
    # A resample can miss all scenes that have something to measure.
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return Estimate(float(value), np.nan, np.nan)
    low, high = np.percentile(values, [2.5, 97.5]) + value - values.mean()
    return Estimate(float(value), float(low), float(high))


def ratio(sums):
    """(a, b) -> a / b, or nan for b = 0. Of a sum and a count it is the mean.

    >>> from inade_lite.metrics import ratio
    >>> ratio([12, 3])
    4.0
    """
    a, b = sums
    return a / b if b else np.nan


def _jackknife(value, without):
    """(value, (low, high)), where `without` holds what the value becomes without each of G parts in turn.

    The interval is value -+ 1.96 standard errors; the error is sqrt((G - 1) / G * sum of (without - mean)^2). Two sets
    that lack one part each are almost the same data, so their values scatter less than those of new data would. The
    factor G - 1 makes up for that: for a mean the result is the textbook's standard error, exactly.
    """
    error = np.sqrt((len(without) - 1) * np.var(without))
    low = value - 1.96 * error
    high = value + 1.96 * error
    return float(value), (float(low), float(high))
