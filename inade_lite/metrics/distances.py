"""Distances between two sets of pictures, from the features that a network sees in them: KID and Frechet distance."""

import numpy as np

from .estimates import _jackknife


def kid(a, b, groups=None, groups_of_b=None):
    """Kernel inception distance (Binkowski et al., ICLR 2018) of features [N, D] and [M, D]: (value, (low, high)).

        KID = mean k(a, a') + mean k(b, b') - 2 mean k(a, b),        k(x, y) = (x . y / D + 1)^3

    Are two pictures of one set more alike than two of different sets? If not, KID is 0 on average, hence also negative
    by chance. The means leave out pairs that are alike for another reason: a picture with itself, and two pictures of
    one group, for example two samples of one scene.

    groups, groups_of_b: a number for each picture of a and of b, by default the same. Without any, every picture is a
    group.

    low, high are a 95 % interval by the jackknife: KID is computed again without each group in turn. A bootstrap would
    draw some pictures twice, and k of a picture and its own copy is so large that it would push KID up. Leaving out
    puts no picture beside its copy. Where KID is near 0, this interval is too wide rather than too narrow (Efron &
    Stein, 1981).

    ValueError for other shapes, and for fewer than three groups.

    >>> from inade_lite import lite0
    >>> value, (low, high) = lite0.kid([[0], [1], [2]], [[1], [1], [1]])
    >>> round(value, 3)
    -6.333
    """
    a, b = _checked(a, b)
    of_a, of_b = _group_numbers(a, b, groups, groups_of_b)
    count = max(of_a.max(), of_b.max()) + 1
    within_a = _mean_kernels(a, a, of_a, of_a, count)
    within_b = _mean_kernels(b, b, of_b, of_b, count)
    between = _mean_kernels(a, b, of_a, of_b, count)
    value, *without = within_a + within_b - 2 * between
    return _jackknife(value, without)


def _group_numbers(a, b, groups, groups_of_b):
    """The groups of the pictures of a, [N], and of b, [M]; together they are numbered from 0 on."""
    if groups is None:
        of_a = np.arange(len(a))
        of_b = np.arange(len(b)) + len(a)
    else:
        groups_of_b = groups if groups_of_b is None else groups_of_b
        if len(a) != len(groups) or len(b) != len(groups_of_b):
            raise ValueError(
                f"groups number {len(groups)} and {len(groups_of_b)} pictures, a and b have {len(a)} and {len(b)}"
            )
        _, numbers = np.unique([*groups, *groups_of_b], return_inverse=True)
        of_a, of_b = np.split(numbers.reshape(-1), [len(a)])
    fewest = min(len(np.unique(of_a)), len(np.unique(of_b)))
    if fewest < 3:
        raise ValueError("a and b need pictures of three groups or more (without groups, three pictures or more)")
    return of_a, of_b


def _mean_kernels(x, y, of_x, of_y, count):
    """Mean k over the pairs of different groups: with all groups, then without each of them in turn, [1 + G]."""
    similarity = x @ y.T / x.shape[1]  # [N, D] @ [D, M]
    kernel = (similarity + 1) ** 3
    apart = of_x[:, None] != of_y
    total = _sums(kernel * apart, of_x, of_y, count)
    pairs = _sums(apart, of_x, of_y, count)
    return total / pairs


def _sums(values, of_x, of_y, count):
    """The sum of values [N, M]: with all groups, then without each of them in turn, [1 + G]."""
    rows = np.bincount(of_x, values.sum(1), count)
    columns = np.bincount(of_y, values.sum(0), count)
    # Nothing is taken away twice: where the rows and the columns of one group meet, the values are 0.
    own = np.append(0, rows + columns)
    return values.sum() - own


def frechet(a, b):
    """Frechet distance (Heusel et al., NeurIPS 2017) of Gaussians with the means and covariances of two feature sets.

        |mean a - mean b|^2 + tr(A + B - 2 (A B)^(1/2)),        A, B: covariances of a [N, D] and b [M, D]

    It is too large for few pictures, far too large for fewer than D. `kid` is not.

    >>> from inade_lite import lite0
    >>> round(lite0.frechet([[0.0], [2.0]], [[3.0], [5.0]]), 3)  # equal variances, the means are 3 apart
    9.0
    """
    a, b = _checked(a, b)
    x = _root_of_covariance(a)
    y = _root_of_covariance(b)
    # With A = X'X and B = Y'Y, the roots of the eigenvalues of A B are the singular values of X Y'.
    root = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    shift = a.mean(0) - b.mean(0)
    variance_a = (x**2).sum()
    variance_b = (y**2).sum()
    return float((shift**2).sum() + variance_a + variance_b - 2 * root)


def _root_of_covariance(features):
    """X of at most D rows with X'X the covariance of features [N, D]."""
    centered = features - features.mean(0)
    centered = centered / np.sqrt(len(features) - 1)
    # R of the QR decomposition has the same R'R as what was decomposed, in fewer rows.
    return np.linalg.qr(centered, "r")


def fid(a, b, groups, groups_of_b=None, blocks=10):
    """`frechet` with a 95 % interval by the jackknife: (value, (low, high)).

    groups, groups_of_b: a number for each picture of a and of b, by default the same. One computation takes seconds, so
    it is not the groups that are left out in turn: they are dealt into blocks. A group is never split, because its
    pictures are alike.

    ValueError for fewer groups than blocks.

    >>> from inade_lite import lite0
    >>> value, (low, high) = lite0.fid([[0.0], [2.0], [1.0]], [[3.0], [5.0], [4.0]], groups=[0, 1, 2], blocks=3)
    >>> round(value, 3)
    9.0
    """
    of_a, of_b = _group_numbers(a, b, groups, groups_of_b)
    fewest = min(len(np.unique(of_a)), len(np.unique(of_b)))
    if fewest < blocks:
        raise ValueError(f"{fewest} groups, expected {blocks} or more, blocks={blocks}")
    a, b = _checked(a, b)
    without = []
    for k in range(blocks):
        without.append(frechet(a[of_a % blocks != k], b[of_b % blocks != k]))
    return _jackknife(frechet(a, b), without)


def _checked(a, b):
    """Features as float64, or a ValueError."""
    a = np.asarray(a, np.float64)
    b = np.asarray(b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"the features are {list(a.shape)} and {list(b.shape)}; expected [N, D] and [M, D]")
    return a, b
