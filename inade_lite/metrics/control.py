"""Control: what changes where noise is drawn again, and what the encoder makes of a picture."""

import numpy as np
import paddle
from tqdm.auto import tqdm

from ..data.batches import collate
from ..generator import start
from ..maps import Layout
from ..noise import sample_noise
from .diversity import mean_colors, things
from .estimates import ratio


@paddle.no_grad()
def draw_again(generator, layout, noise, latent, chosen, seed):
    """(noise, latent) with the noise of the `chosen` instances, bool [N, I], drawn again.

    Methods with coarser noise draw the least that covers these instances: all of their classes, or the whole picture.
    """
    fresh = sample_noise(layout, generator.noise_dim, seed)
    reached = paddle.to_tensor(generator.reach(layout, chosen)[..., None, None].astype("float32"))
    return noise * (1 - reached) + fresh * reached, generator.redraw_latent(latent, seed)


def changes(model, dataset, scenes, draws=4, seed=0, distance_map=None, batch_size=8, progress=True):
    """Where pictures change if the noise of one thing instance, or of one class, is drawn again in every scene.

    {"instance": ..., "class": ...}, each [S, 2, 2, 2]: scenes; |change| of RGB in 0..255, and Lite0-LPIPS with its
    `distance_map` (else 0); inside and outside; sum and number of pixels.
    """
    result = {what: np.zeros([scenes, 2, 2, 2]) for what in ("instance", "class")}
    with tqdm(total=2 * scenes * draws, unit="picture", disable=not progress) as bar:
        for first in range(0, scenes, batch_size):
            numbers = range(first, min(first + batch_size, scenes))
            batch = collate([dataset[i] for i in numbers])
            layout = Layout.of(batch, dataset)
            noise, latent = start(model.generator, layout, [seed, first])
            before = paint(model.generator, layout, noise, latent)
            for k, (what, sums) in enumerate(result.items()):
                area = np.stack([_pick(what, batch, n, dataset, [seed, scene]) for n, scene in enumerate(numbers)])
                chosen = _instances_in(area, batch["instance"], layout.num_instances)
                for draw in range(draws):
                    again = draw_again(model.generator, layout, noise, latent, chosen, [seed, first, k, draw])
                    after = paint(model.generator, layout, *again)
                    maps = [(after - before).abs().mean(1).numpy() * 127.5]
                    maps.append(distance_map(after, before) if distance_map else np.zeros_like(maps[0]))
                    for m, change in enumerate(maps):
                        for side, mask in enumerate((area, ~area)):
                            sums[numbers, m, side] += np.stack([(change * mask).sum((1, 2)), mask.sum((1, 2))], axis=1)
                    bar.update(len(numbers))
    return result


@paddle.no_grad()
def paint(generator, layout, noise, latent):
    """The generator's pictures, without gradients."""
    return generator(layout, noise, latent)


def _pick(what, batch, n, dataset, seed):
    """A random thing instance, or class, of the n-th picture: its mask [H, W]."""
    label, instance, random = batch["label"][n], batch["instance"][n], np.random.default_rng(seed)
    if what == "instance":
        masks = [mask for _, mask in things(label, instance, dataset.thing_classes)]
        return masks[random.integers(len(masks))]
    return label == random.choice(np.unique(label))


def _instances_in(area, instance, count):
    chosen = np.zeros([len(area), count], bool)
    for n in range(len(area)):
        chosen[n, np.unique(instance[n][area[n]])] = True
    return chosen


def locality(sums):
    """Outside over inside, of the summed pixel half of `changes`, [2, 2]."""
    return ratio([ratio(sums[1]), ratio(sums[0])])


@paddle.no_grad()
def rebuild(model, image, layout, latent):
    """What the generator makes of the encoder's means, without chance: [N, 3, H, W] -> [N, 3, H, W]."""
    params = model.encoder(image, layout)
    # Without variance, whatever noise there was is moved to the mean.
    surely = paddle.full_like(params.scale_logvar, -np.inf)
    params = params._replace(scale_logvar=surely, bias_logvar=surely)
    noise = sample_noise(layout, model.generator.noise_dim, 0)
    return model.generator(layout, *model.generator.remap(params, noise, latent))


def rebuilding_errors(model, dataset, scenes, seed=0, batch_size=8, progress=True):
    """(reconstruction, round trip), each [S, 2]: sum of |difference| of mean RGB over the things, number of things."""
    errors = np.zeros([2, scenes, 2])
    with tqdm(total=scenes, unit="scene", disable=not progress) as bar:
        for first in range(0, scenes, batch_size):
            numbers = range(first, min(first + batch_size, scenes))
            batch = collate([dataset[i] for i in numbers])
            layout = Layout.of(batch, dataset)
            noise, latent = start(model.generator, layout, [seed, first])
            for kind, image in enumerate(
                (paddle.to_tensor(batch["image"]), paint(model.generator, layout, noise, latent))
            ):
                both = np.stack([image.numpy(), rebuild(model, image, layout, latent).numpy()])
                for n, scene in enumerate(numbers):
                    for _, mask in things(batch["label"][n], batch["instance"][n], dataset.thing_classes):
                        errors[kind, scene] += np.abs(np.subtract(*mean_colors(both[:, n], mask))).mean(), 1
            bar.update(len(numbers))
    return errors
