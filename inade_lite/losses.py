"""The losses: adversarial, feature matching, KL, and an optional perceptual loss.

`outputs` is what MultiscaleDiscriminator returns: for each scale the list of its layers' outputs, the score last. Every
loss is a mean over a scale's patches, then over the scales.
"""

import paddle.nn.functional as F

# What the discriminator wants of a real score s, what of a fake one, and what the generator wants of a fake one.
MODES = {
    "hinge": (lambda s: F.relu(1 - s), lambda s: F.relu(1 + s), lambda s: -s),
    "ls": (lambda s: (s - 1) ** 2, lambda s: s**2, lambda s: (s - 1) ** 2),  # least squares
    "original": (lambda s: F.softplus(-s), F.softplus, lambda s: F.softplus(-s)),  # -log sigmoid(s), -log(1 - ...)
    "w": (lambda s: -s, lambda s: s, lambda s: -s),  # Wasserstein
}


def discriminator_losses(fake, real, mode="hinge"):
    """The discriminator's two losses, for hinge (mean relu(1 + fake), mean relu(1 - real))."""
    of_real, of_fake, _ = _wishes(mode)
    return _over_scales(fake, of_fake), _over_scales(real, of_real)


def adversarial_loss(fake, mode="hinge"):
    """The generator's loss, for hinge -mean(fake score)."""
    return _over_scales(fake, _wishes(mode)[2])


def _wishes(mode):
    if mode not in MODES:
        raise ValueError(f"mode={mode!r}: expected one of {', '.join(map(repr, MODES))}")
    return MODES[mode]


def _over_scales(outputs, wish):
    return sum(wish(scale[-1]).mean() for scale in outputs) / len(outputs)


def feature_matching_loss(fake, real, first_layer=3):
    """Mean absolute difference of the discriminator's features of fake and real images; the real ones are constants.

    Only layers from first_layer on, or the last of fewer (the score excluded): shallow features would demand one
    particular picture, and noise asks for many.
    """
    return sum(
        F.l1_loss(f, r.detach())
        for fakes, reals in zip(fake, real, strict=True)
        for f, r in list(zip(fakes, reals, strict=True))[min(first_layer, len(fakes) - 2) : -1]
    ) / len(fake)


def pixel_loss(fake, real, layout, instance_share=0.0):
    """Mean |fake - real|, of which instance_share is a mean over the instances of each one's mean.

    fake, real: [N, 3, H, W]. A mean over pixels alone leaves the colors of small things
    to KL, which costs every instance the same: they fade towards the color of their class.
    """
    difference = (fake - real).abs()
    if not instance_share:
        return difference.mean()
    instances = layout.instances()
    of_each = instances.mean(difference.mean(1, keepdim=True)).sum() / (instances.pixels > 0).astype("float32").sum()
    return (1 - instance_share) * difference.mean() + instance_share * of_each


def split_batch(outputs):
    """Separate the discriminator's outputs of one concatenated batch into those of its first and second half."""
    half = len(outputs[0][0]) // 2
    first = [[features[:half] for features in scale] for scale in outputs]
    return first, [[features[half:] for features in scale] for scale in outputs]
