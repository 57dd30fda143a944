"""Looks: the noise that the encoder finds in a real picture, given to the instances of another one.

    look of instance i      the encoder's means: what it knows of i, without chance
    borrow                  one instance gets the look of another instance, of the same picture or of another one
    transfer                every instance gets a look from one picture, class by class

A model whose noise is coarser takes the least that covers what was asked for: the look of a class, or of a picture.
"""

import numpy as np
import paddle

from .checks import expect_count
from .generator import start
from .noise import NoiseParams

SURE = -np.inf  # a log-variance: exp(-inf / 2) = 0 moves whatever noise there is to the mean


@paddle.no_grad()
def looks(model, image, layout):
    """The looks of all instances of pictures [N, 3, H, W]: NoiseParams of means without variance, each [N, I, Z].

    ValueError if the model has no encoder.

    >>> import inade_lite as il
    >>> town, model = il.ToyTown("val", 64), il.load_pretrained("inade")
    >>> batch = il.collate([town[0]])
    >>> params = looks(model, paddle.to_tensor(batch["image"]), il.Layout.of(batch, town))
    >>> params.scale_mu.shape[-1]
    8
    """
    if model.encoder is None:
        raise ValueError("this model has no encoder, so it cannot tell the look of a picture; give another model")
    params = model.encoder(image, layout)
    surely = paddle.full_like(params.scale_logvar, SURE)
    return params._replace(scale_logvar=surely, bias_logvar=surely)


def borrow(params, instance, source, source_instance):
    """The params with the look of one instance from others: NoiseParams of one picture each, [1, I, Z] and [1, J, Z].

    instance: the id whose look changes; source_instance: the id in `source` that it takes.

    >>> rows = paddle.arange(6, dtype="float32").reshape([1, 3, 2])
    >>> params = NoiseParams(rows, rows, rows, rows)
    >>> borrow(params, 0, params, 2).scale_mu[0, :, 0].tolist()
    [4.0, 2.0, 4.0]
    """
    rows = list(range(params.scale_mu.shape[1]))
    _expect_id("instance", instance, len(rows))
    _expect_id("source_instance", source_instance, source.scale_mu.shape[1])
    both = [paddle.concat(pair, axis=1) for pair in zip(params, source, strict=True)]
    first = len(rows)  # of the source's rows
    rows[instance] = first + source_instance
    index = paddle.to_tensor(rows)
    return NoiseParams(*[part.index_select(index, axis=1) for part in both])


def _expect_id(name, value, count):
    """ValueError unless it is one of 0..count-1."""
    expect_count(name, value, low=0)
    if value >= count:
        raise ValueError(f"{name}={value}: this picture has the instances 0 to {count - 1}")


@paddle.no_grad()
def transfer(model, image, source_layout, layout, seed=None):
    """A whole picture in the looks of another one: (noise, latent) for the model's generator on `layout`.

    image: the picture [1, 3, H, W] that lends its looks, with its Layout. Of each class, the largest instance of
    `layout` takes the look of the largest one there, the second that of the second, and so on from the beginning where
    there are more. Classes that the picture lacks are drawn. seed: of what is drawn.

    >>> import inade_lite as il
    >>> town, model = il.ToyTown("val", 64), il.load_pretrained("inade")
    >>> one, other = il.collate([town[0]]), il.collate([town[1]])
    >>> lends, takes = il.Layout.of(one, town), il.Layout.of(other, town)
    >>> noise, latent = transfer(model, paddle.to_tensor(one["image"]), lends, takes, seed=0)
    >>> list(model.generator(takes, noise, latent).shape)
    [1, 3, 64, 64]
    """
    params = looks(model, image, source_layout)
    noise, latent = start(model.generator, layout, seed)
    if model.generator.level == "class":  # of a class, the instance with the lowest id speaks for all
        params = _by_class(params, source_layout.by_class(), layout.by_class())
    elif model.generator.level != "image":
        params = _by_class(params, source_layout, layout)
    return model.generator.remap(params, noise, latent)


def _by_class(params, source_layout, layout):
    """NoiseParams [1, J, Z] of a picture -> those of another layout, [1, I, Z]: N(0, 1) where a class is missing."""
    lenders = instances_of_classes(source_layout)
    z = params.scale_mu.shape[-1]
    plain = [paddle.zeros([1, 1, z])] * 4  # a last row for what nobody lends: mean 0, log-variance 0
    with_plain = [paddle.concat([part, row], axis=1) for part, row in zip(params, plain, strict=True)]
    rows = np.full(layout.num_instances, params.scale_mu.shape[1])
    for class_id, borrowers in instances_of_classes(layout).items():
        for k, instance in enumerate(borrowers):
            if class_id in lenders:
                rows[instance] = lenders[class_id][k % len(lenders[class_id])]
    index = paddle.to_tensor(rows)
    return NoiseParams(*[part.index_select(index, axis=1) for part in with_plain])


def instances_of_classes(layout):
    """{class id: the instance ids of that class, the largest first} of a Layout of one picture.

    >>> import inade_lite as il
    >>> instances_of_classes(il.Layout([[[0, 0, 0, 1, 1, 1]]], [[[0, 2, 2, 1, 1, 1]]], num_classes=2))
    {0: [2, 0], 1: [1]}
    """
    label = layout.label.numpy()[0]
    instance = layout.instance.numpy()[0]
    found = {}
    for class_id in np.unique(label):
        ids, pixels = np.unique(instance[label == class_id], return_counts=True)
        found[int(class_id)] = ids[np.argsort(-pixels, kind="stable")].tolist()
    return found
