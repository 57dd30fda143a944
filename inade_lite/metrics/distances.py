"""Distances between two sets of features: KID and the Frechet distance."""

import numpy as np

from .estimates import _jackknife


def kid(a, b, groups=None):
    """Kernel inception distance (Binkowski et al., 2018): features [N, D], [M, D] -> (value, (low, high)).

        KID = mean k(a, a') + mean k(b, b') - 2 mean k(a, b),     k(x, y) = (x . y / D + 1)^3

    It is 0 on average for two sets from one distribution, hence also negative. Means run over pairs of pictures that
    were drawn independently of each other: never one with itself and, with groups, never two of one group.

    groups: where pictures come in groups, 8 samples of one scene for one: a group's number for each picture of a, and
    b has the same ones; or a pair of such lists, for a and b. A number that both have is one group.

    low, high: value -+ 1.96 jackknife errors, about 95 %, over groups (without them, over pictures): KID is computed
    again without each group in turn. A bootstrap would put a picture beside its own copy, and k(x, x) would push KID
    up; the subsets of the paper tell how much KID of a subset varies. Near 0 the jackknife's interval is too wide, as
    it may be, rather than too narrow (Efron & Stein, 1981). ValueError for fewer than three groups.
    """
    a, b = _checked(a, b)
    if groups is None:
        groups = np.split(np.arange(len(a) + len(b)), [len(a)])
    of_a, of_b = groups if isinstance(groups, tuple | list) and np.ndim(groups[0]) else (groups, groups)
    if (len(of_a), len(of_b)) != (len(a), len(b)):
        raise ValueError(f"groups number {len(of_a)} and {len(of_b)} pictures, a and b have {len(a)} and {len(b)}")
    if min(len(np.unique(of_a)), len(np.unique(of_b))) < 3:
        raise ValueError("a and b need pictures of three groups or more (without groups, three pictures or more)")
    ids, numbers = np.unique(np.concatenate([of_a, of_b]), return_inverse=True)
    of_a, of_b = np.split(numbers.reshape(-1), [len(a)])

    def mean_kernel(x, y, of_x, of_y):
        """Over the pairs of all groups [1], and of all but one [G]."""
        apart = of_x[:, None] != of_y
        means = []
        for pairs in ((x @ y.T / x.shape[1] + 1) ** 3 * apart, apart):
            rows, columns = np.bincount(of_x, pairs.sum(1), len(ids)), np.bincount(of_y, pairs.sum(0), len(ids))
            means.append(pairs.sum() - np.append(0, rows + columns))
        return means[0] / means[1]

    value, *without = mean_kernel(a, a, of_a, of_a) + mean_kernel(b, b, of_b, of_b) - 2 * mean_kernel(a, b, of_a, of_b)
    return _jackknife(value, without)


def frechet(a, b):
    """Frechet distance (Heusel et al., 2017) of Gaussians with the means and covariances of features [N, D], [M, D].

        |mean a - mean b|^2 + tr(A + B - 2 (A B)^(1/2))

    With A = X'X and B = Y'Y, the roots of the eigenvalues of A B are the singular values of X Y'. The distance is too
    large for few pictures, far too large for fewer than D; `kid` is not.
    """
    a, b = _checked(a, b)
    # R of the QR decomposition has the same R'R as the centred features themselves, and at most D rows.
    x, y = (np.linalg.qr((f - f.mean(0)) / np.sqrt(len(f) - 1), "r") for f in (a, b))
    root = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + (x**2).sum() + (y**2).sum() - 2 * root)


def fid(a, b, groups, blocks=10):
    """`frechet` as (value, (low, high)): value -+ 1.96 jackknife errors over blocks of groups, see `kid`.

    groups: a group's number for each picture of a, and b has the same ones. Whole groups fall into one of the blocks,
    each of which is left out in turn. ValueError for fewer groups than blocks.
    """
    ids, numbers = np.unique(groups, return_inverse=True)
    if len(ids) < blocks or not len(a) == len(b) == len(numbers):
        raise ValueError(f"{len(ids)} groups of {len(numbers)} pictures; a has {len(a)}, b {len(b)}, blocks={blocks}")
    block = numbers.reshape(-1) % blocks
    return _jackknife(frechet(a, b), [frechet(a[block != k], b[block != k]) for k in range(blocks)])


def _checked(a, b):
    """Features as float64."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"the features are {list(a.shape)} and {list(b.shape)}; expected [N, D] and [M, D]")
    return a, b
