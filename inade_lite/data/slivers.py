"""Slivers: instances without an inside.

Where classes and instances were drawn apart, their outlines differ, and along a border pixels of one class get the id
of a neighbor: an "instance" one or two pixels wide. A network that has to give it a look of its own learns nothing.
"""

import numpy as np


def slivers(instance):
    """The ids, int64 [S], of the instances of a map [H, W] none of whose pixels has all of its 8 neighbors with it.

    >>> slivers(np.array([[1, 1, 1, 2, 0, 0], [1, 1, 1, 2, 0, 0], [1, 1, 1, 2, 0, 0]])).tolist()
    [2]
    """
    inside = np.ones(instance.shape, bool)
    padded = np.pad(instance, 1, mode="edge")  # the edge of the picture is no border
    height, width = instance.shape
    for row in range(3):
        for column in range(3):
            inside &= padded[row : row + height, column : column + width] == instance
    return np.setdiff1d(instance, instance[inside])


def merge_slivers(label, instance):
    """Label and instance maps [H, W] whose slivers have joined the neighbor with which they share the longest border.

    A sliver between slivers joins what they have joined. One that fills the whole map stays.

    >>> label = np.array([[1, 1, 1, 2, 5, 5, 5]] * 3)
    >>> instance = np.array([[1, 1, 1, 2, 3, 3, 3]] * 3)
    >>> instance[0, 3:5] = 1, 1
    >>> [ids.tolist()[2] for ids in merge_slivers(label, instance)]
    [[1, 1, 1, 1, 5, 5, 5], [1, 1, 1, 1, 3, 3, 3]]
    """
    label = label.copy()
    instance = instance.copy()
    thin = np.isin(instance, slivers(instance))
    # From the wide instances inwards, one ring of pixels after the other.
    while thin.any():
        neighbors = _neighbors(instance, thin)
        reached = thin & (neighbors >= 0).any(0)
        if not reached.any():
            break
        for sliver in np.unique(instance[reached]):
            pixels = reached & (instance == sliver)
            around = neighbors[:, pixels]
            ids, counts = np.unique(around[around >= 0], return_counts=True)
            winner = ids[counts.argmax()]
            whole = thin & (instance == sliver)
            row, column = np.argwhere((instance == winner) & ~thin)[0]
            label[whole] = label[row, column]
            instance[whole] = winner
            thin[whole] = False
    return label, instance


def _neighbors(instance, thin):
    """The instance above, below, left and right of each pixel, [4, H, W]; -1 for slivers and outside of the map."""
    wide = np.pad(np.where(thin, -1, instance), 1, constant_values=-1)
    return np.stack([wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:]])
