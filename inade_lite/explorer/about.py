"""What the front end must know of a model, in the page and in a notebook."""

import numpy as np

DIRECTIONS = 4  # of an instance's noise, see `directions`


def about(generator):
    """What is asked of a generator, as JSON; its pictures are squares.

    >>> import inade_lite as il
    >>> about(il.load_pretrained("inade").generator)
    {'size': 64, 'noiseDim': 8, 'latentDim': 64, 'blocks': 7, 'level': 'instance'}
    """
    return {
        "size": generator.image_size[0],
        "noiseDim": generator.noise_dim,
        "latentDim": generator.latent_dim,
        "blocks": len(generator.blocks),
        "level": generator.level,
    }


def directions(generator, count=DIRECTIONS):
    """In which directions an instance's noise moves the layers most: unit vectors, float [K, 2, Z].

    The layers hear the noise through fc_noise, so these are the eigenvectors of the sum of W' W over all layers, the
    largest first. Those for scales and those for shifts take turns. None, [0, 2, Z], where no layer hears the noise.

    >>> import inade_lite as il
    >>> directions(il.load_pretrained("inade").generator).shape
    (4, 2, 8)
    """
    z = generator.noise_dim
    total = np.zeros([2, z, z])
    for layer in generator.sublayers():
        if hasattr(layer, "fc_noise"):
            w = layer.fc_noise.weight.numpy()  # [Z, C]
            spread = np.abs(layer.weight.numpy()).mean(0)  # [C, 2]: how loud the classes hear it
            for half in (0, 1):
                heard = w * spread[:, half]
                total[half] += heard @ heard.T
    if not total.any():
        return np.zeros([0, 2, z])
    found = np.zeros([count, 2, z])
    for k in range(count):
        half = k % 2
        _, vectors = np.linalg.eigh(total[half])  # the largest comes last
        vector = vectors[:, -1 - k // 2]
        found[k, half] = vector * np.sign(vector[np.abs(vector).argmax()])
    return found
