"""The losses: adversarial, feature matching, pixels and patterns. KL is in `noise`.

In most of them, `fake` and `real` are what MultiscaleDiscriminator returns for fake and for real pictures: for each
scale the list of its layers' outputs, the score last. A loss is a mean over the patches of a scale, then over scales.
"""

from collections.abc import Callable
from typing import NamedTuple

import paddle.nn.functional as F

from .checks import expect
from .waves import strengths


class Mode(NamedTuple):
    """What a score s costs, for each of the three uses; all are functions Tensor -> Tensor of the same shape.

    real, fake: the discriminator's loss for a real and for a fake picture. generator: the generator's loss for a fake.

    >>> import paddle
    >>> MODES["hinge"].real(paddle.to_tensor([-1.0, 3.0])).tolist()
    [2.0, 0.0]
    """

    real: Callable
    fake: Callable
    generator: Callable


MODES = {
    "hinge": Mode(
        real=lambda s: F.relu(1 - s),
        fake=lambda s: F.relu(1 + s),
        generator=lambda s: -s,
    ),
    # Least squares
    "ls": Mode(
        real=lambda s: (s - 1) ** 2,
        fake=lambda s: s**2,
        generator=lambda s: (s - 1) ** 2,
    ),
    # The first GAN's: softplus(-s) is -log(sigmoid(s)), softplus(s) is -log(1 - sigmoid(s))
    "original": Mode(
        real=lambda s: F.softplus(-s),
        fake=lambda s: F.softplus(s),
        generator=lambda s: F.softplus(-s),
    ),
    # Wasserstein
    "w": Mode(
        real=lambda s: -s,
        fake=lambda s: s,
        generator=lambda s: -s,
    ),
}


def discriminator_losses(fake, real, mode="hinge"):
    """The discriminator's two losses, scalars. For hinge: mean relu(1 + fake score), mean relu(1 - real score).

    mode: a name in MODES, else a ValueError.

    >>> import paddle
    >>> fake, real = [[paddle.to_tensor([0.5, -3.0])]], [[paddle.to_tensor([0.25, 2.0])]]
    >>> [float(loss) for loss in discriminator_losses(fake, real)]
    [0.75, 0.375]
    """
    costs = _find_mode(mode)
    return _mean_over_scales(fake, costs.fake), _mean_over_scales(real, costs.real)


def adversarial_loss(fake, mode="hinge"):
    """The generator's loss, a scalar. For hinge: the mean of -fake score.

    mode: a name in MODES, else a ValueError.

    >>> import paddle
    >>> float(adversarial_loss([[paddle.to_tensor([0.5, -3.0])]]))
    1.25
    """
    return _mean_over_scales(fake, _find_mode(mode).generator)


def _find_mode(mode):
    """MODES[mode], or a ValueError that names those that exist."""
    if mode not in MODES:
        raise ValueError(f"mode={mode!r}: expected one of {', '.join(map(repr, MODES))}")
    return MODES[mode]


def _mean_over_scales(outputs, cost):
    """The mean of cost(score) over the patches of each scale, then over the scales."""
    total = 0
    for scale in outputs:
        score = scale[-1]
        total = total + cost(score).mean()
    return total / len(outputs)


def feature_matching_loss(fake, real, first_layer=3):
    """Mean absolute difference of the discriminator's features of fake and real images, a scalar.

    first_layer: only layers from this one on are compared, from 0, or the last one if there are fewer; the score is not
    a feature. Shallow features would demand one particular picture, and noise asks for many. The real features are
    constants: no gradient flows into them.

    >>> import paddle
    >>> fake, real = [[paddle.zeros([4])] * 5], [[paddle.ones([4])] * 5]
    >>> float(feature_matching_loss(fake, real))
    1.0
    """
    total = 0
    for fakes, reals in zip(fake, real, strict=True):
        last = len(fakes) - 2  # behind it comes the score
        for layer in range(min(first_layer, last), last + 1):
            total = total + F.l1_loss(fakes[layer], reals[layer].detach())
    return total / len(fake)


def pixel_loss(fake, real, layout, instance_share=0.0):
    """Mean |fake - real| of images [N, 3, H, W], a scalar.

    instance_share: the share of it that is a mean over the instances of each one's mean, 0 to 1. In a mean over pixels
    alone, small things hardly count, while KL costs every instance the same. So the colors of small things are left to
    KL, and fade towards the color of their class.

    >>> import inade_lite as il, paddle
    >>> layout = il.Layout([[[0, 0, 0, 0]]], [[[0, 0, 0, 1]]], num_classes=1)
    >>> off = paddle.to_tensor([[[[0.0, 0.0, 0.0, 1.0]]]]).expand([1, 3, 1, 4])
    >>> [float(pixel_loss(off, 0 * off, layout, share)) for share in (0.0, 1.0)]
    [0.25, 0.5]
    """
    _expect_pictures(fake, real, layout)
    difference = (fake - real).abs()
    if not instance_share:
        return difference.mean()
    instances = layout.instances()
    means = instances.mean(difference.mean(1, keepdim=True))  # [N, P, 1], 0 where an image has fewer than P
    present = (instances.pixels > 0).astype("float32")
    of_instances = means.sum() / present.sum()
    return (1 - instance_share) * difference.mean() + instance_share * of_instances


def pattern_loss(fake, real, layout):
    """How far the strengths of the waves in each instance are off, a scalar: squared, their sum, mean over instances.

    See `waves.strengths`. In `pixel_loss` a pattern hardly counts: stripes are a few percent darker than what is
    between them, and colors are all over the range. Here neither the color counts nor the grain, which no wave holds.
    What is off is squared, so a faint pattern is better than none as soon as the noise hints at one.

    >>> import inade_lite as il, paddle
    >>> layout = il.Layout([[[0] * 32] * 32], [[[0] * 32] * 32], num_classes=1)
    >>> stripes = paddle.to_tensor([0.5, -0.5, -0.5, 0.5] * 8).expand([1, 3, 32, 32])
    >>> round(float(pattern_loss(stripes, 0 * stripes, layout)), 2)
    0.49
    """
    _expect_pictures(fake, real, layout)
    off = strengths(fake, layout) - strengths(real, layout)  # [N, P, K]
    of_instances = (off**2).sum(-1, keepdim=True)
    present = (layout.instances().pixels > 0).astype("float32")  # [N, P, 1]
    return (of_instances * present).sum() / present.sum()


def _expect_pictures(fake, real, layout):
    """ValueError unless both are pictures [N, 3, H, W] of the layout: one would be repeated for all of a batch."""
    expect("fake", fake, len(layout), 3, *layout.size)
    expect("real", real, len(layout), 3, *layout.size)


def split_batch(outputs):
    """Separate the discriminator's outputs of one concatenated batch into those of its first and second half.

    >>> import paddle
    >>> first, second = split_batch([[paddle.to_tensor([1.0, 2.0])]])
    >>> first[0][0].tolist(), second[0][0].tolist()
    ([1.0], [2.0])
    """
    half = len(outputs[0][0]) // 2
    first = [[features[:half] for features in scale] for scale in outputs]
    second = [[features[half:] for features in scale] for scale in outputs]
    return first, second
