"""Control: what changes where noise is drawn again, and what the encoder makes of a picture."""

import numpy as np
import paddle
from tqdm.auto import tqdm

from ..data.batches import scene_batches
from ..generator import start
from ..looks import looks
from ..noise import sample_noise
from .diversity import mean_colors, things, things_of
from .estimates import ratio


@paddle.no_grad()
def draw_again(generator, layout, noise, latent, chosen, seed):
    """(noise [N, I, 2, Z], latent [N, D]) with the noise of the `chosen` instances, bool [N, I], drawn again.

    A method whose noise is coarser draws the least that covers these instances: that of all of their classes, or the
    latent of the whole picture.

    >>> import numpy as np
    >>> import inade_lite as il
    >>> layout = il.Layout(np.zeros([1, 16, 16], int), np.eye(16, dtype=int)[None], num_classes=1)  # two instances
    >>> generator = il.Generator(1, 16, noise_dim=4, latent_dim=4, base_channels=2, num_upsamplings=2)
    >>> noise, latent = il.metrics.start(generator, layout, seed=0)
    >>> again, _ = il.metrics.draw_again(generator, layout, noise, latent, np.array([[False, True]]), seed=1)
    >>> (again == noise).all([2, 3]).tolist()
    [[True, False]]
    """
    fresh = sample_noise(layout, generator.noise_dim, seed)
    reached = generator.reach(layout, chosen)
    mask = reached[..., None, None].astype("float32")  # [N, I] -> [N, I, 1, 1]
    mask = paddle.to_tensor(mask)
    noise = noise * (1 - mask) + fresh * mask
    latent = generator.redraw_latent(latent, seed)
    return noise, latent


@paddle.no_grad()
def paint(generator, layout, noise, latent):
    """The generator's pictures [N, 3, H, W], without gradients.

    >>> import inade_lite as il
    >>> town = il.ToyTown("val", 16)
    >>> layout = il.Layout.of(il.collate([town[0]]), town)
    >>> generator = il.Generator(town.num_classes, 16, noise_dim=4, latent_dim=4, base_channels=2, num_upsamplings=2)
    >>> list(il.metrics.paint(generator, layout, *il.metrics.start(generator, layout, seed=0)).shape)
    [1, 3, 16, 16]
    """
    return generator(layout, noise, latent)


def changes(
    model,
    dataset,
    scenes,
    draws=4,
    seed=0,
    distance_map=None,
    batch_size=8,
    progress=True,
):
    """How pictures change if in every scene the noise of one thing instance, or of one class, is drawn again.

    Chance chooses the instance and the class, once for each scene; their noise is drawn again `draws` times. Returns
    {"instance": sums, "class": sums}, each [S, 2, 2, 2] with these axes:

        0  scenes
        1  what is summed: |change| of RGB in 0..255, then Lite0-LPIPS (0 where no `distance_map` is given)
        2  where: inside of the instance or class, then outside
        3  the sum over these pixels, then the number of these pixels

    >>> from collections import namedtuple
    >>> import inade_lite as il
    >>> town = il.ToyTown("val", 32)
    >>> model = namedtuple("Model", "generator")(il.Generator(town.num_classes, 32, 4, 4, 2, 3))
    >>> il.metrics.changes(model, town, scenes=2, draws=1, progress=False)["class"].shape
    (2, 2, 2, 2)
    """
    generator = model.generator
    result = {}
    for what in AREAS:
        result[what] = np.zeros([scenes, 2, 2, 2])
    with tqdm(total=2 * scenes * draws, unit="picture", disable=not progress) as bar:
        for numbers, batch, layout in scene_batches(dataset, scenes, batch_size):
            first = numbers[0]
            noise, latent = start(generator, layout, [seed, first])
            before = paint(generator, layout, noise, latent)
            for k, (what, choose) in enumerate(AREAS.items()):
                area = _areas(choose, numbers, batch, dataset.thing_classes, seed)
                chosen = _instances_in(area, batch["instance"], layout.num_instances)
                for draw in range(draws):
                    draw_seed = [seed, first, k, draw]
                    again = draw_again(generator, layout, noise, latent, chosen, draw_seed)
                    after = paint(generator, layout, *again)
                    result[what][numbers] += _change_sums(before, after, area, distance_map)
                    bar.update(len(numbers))
    return result


def _areas(choose, numbers, batch, thing_classes, seed):
    """What one of AREAS chooses in each scene, bool [N, H, W]."""
    masks = []
    for n, scene in enumerate(numbers):
        label = batch["label"][n]
        instance = batch["instance"][n]
        random = np.random.default_rng([seed, scene])
        masks.append(choose(label, instance, thing_classes, random))
    return np.stack(masks)


def _an_instance(label, instance, thing_classes, random):
    """The mask [H, W] of one of the things that are measured; of anything, where a picture has none of them."""
    masks = [mask for _, mask in things(label, instance, thing_classes)]
    if not masks:
        masks = [instance == i for i in np.unique(instance)]
    return masks[random.integers(len(masks))]


def _a_class(label, instance, thing_classes, random):
    """The mask [H, W] of one of the classes in the picture."""
    return label == random.choice(np.unique(label))


# Whose noise `changes` draws again.
AREAS = {"instance": _an_instance, "class": _a_class}


def _instances_in(area, instance, count):
    """The instances that have a pixel in the area: maps [N, H, W] -> bool [N, I]."""
    chosen = np.zeros([len(area), count], bool)
    for n, mask in enumerate(area):
        ids = np.unique(instance[n][mask])
        chosen[n, ids] = True
    return chosen


def _change_sums(before, after, area, distance_map):
    """Pictures [N, 3, H, W] and area [N, H, W] -> the sums of `changes`, [N, 2, 2, 2]."""
    difference = (after - before).abs()
    pixels = difference.mean(1).numpy() * 127.5  # [N, H, W]
    perceived = np.zeros_like(pixels)
    if distance_map:
        perceived = distance_map(after, before)
    sums = np.zeros([len(area), 2, 2, 2])
    for m, change in enumerate([pixels, perceived]):
        for side, mask in enumerate([area, ~area]):
            masked = change * mask
            sums[:, m, side, 0] = masked.sum((1, 2))
            sums[:, m, side, 1] = mask.sum((1, 2))
    return sums


def locality(sums):
    """How much a pixel outside changes, as a share of a pixel inside: 0 if only the instance changes.

    sums [2, 2]: inside and outside; sum and number of pixels, as in `changes`.

    >>> from inade_lite import metrics
    >>> round(metrics.locality([[120, 3], [20, 10]]), 3)  # 40 a pixel inside, 2 outside
    0.05
    """
    inside, outside = sums
    return ratio([ratio(outside), ratio(inside)])


# ---- The encoder


@paddle.no_grad()
def rebuild(model, image, layout, latent):
    """What the generator makes of the encoder's means, without chance: [N, 3, H, W] -> [N, 3, H, W].

    >>> from collections import namedtuple
    >>> import paddle
    >>> import inade_lite as il
    >>> generator = il.Generator(1, 16, noise_dim=4, latent_dim=4, base_channels=2, num_upsamplings=2)
    >>> model = namedtuple("Model", "generator encoder")(generator, il.InstanceEncoder(4, 2))
    >>> layout = il.Layout(*paddle.zeros([2, 1, 16, 16], "int64"), num_classes=1)
    >>> list(il.metrics.rebuild(model, paddle.zeros([1, 3, 16, 16]), layout, paddle.zeros([1, 4])).shape)
    [1, 3, 16, 16]
    """
    generator = model.generator
    any_noise = sample_noise(layout, generator.noise_dim, 0)
    noise, latent = generator.remap(looks(model, image, layout), any_noise, latent)
    return generator(layout, noise, latent)


def rebuilding_errors(model, dataset, scenes, seed=0, batch_size=8, progress=True):
    """How far colors move on the way through encoder and generator: float64 [2, S, 2].

    Axis 0: reconstruction, which begins with real pictures; round trip, which begins with generated ones. Axis 2: the
    sum over the things of |difference| of their mean RGB in 0..255, and the number of things.

    >>> from collections import namedtuple
    >>> import inade_lite as il
    >>> town = il.ToyTown("val", 32)
    >>> generator = il.Generator(town.num_classes, 32, noise_dim=4, latent_dim=4, base_channels=2, num_upsamplings=3)
    >>> model = namedtuple("Model", "generator encoder")(generator, il.InstanceEncoder(4, 2))
    >>> il.metrics.rebuilding_errors(model, town, scenes=1, progress=False).shape
    (2, 1, 2)
    """
    generator = model.generator
    errors = np.zeros([2, scenes, 2])
    with tqdm(total=scenes, unit="scene", disable=not progress) as bar:
        for numbers, batch, layout in scene_batches(dataset, scenes, batch_size):
            noise, latent = start(generator, layout, [seed, numbers[0]])
            real = paddle.to_tensor(batch["image"])
            generated = paint(generator, layout, noise, latent)
            for kind, image in enumerate([real, generated]):
                rebuilt = rebuild(model, image, layout, latent)
                both = np.stack([image.numpy(), rebuilt.numpy()])  # [2, N, 3, H, W]
                for n, scene, _, mask in things_of(numbers, batch, dataset):
                    before, after = mean_colors(both[:, n], mask)
                    errors[kind, scene, 0] += np.abs(before - after).mean()
                    errors[kind, scene, 1] += 1
            bar.update(len(numbers))
    return errors
