"""The losses: hinge, feature matching, KL, and an optional perceptual loss.

`outputs` is what MultiscaleDiscriminator returns: for each scale the list of its layers' outputs, the score last. Every
loss is a mean over a scale's patches, then over the scales.
"""

import paddle.nn.functional as F


def _over_scales(outputs, score_loss):
    return sum(score_loss(scale[-1]) for scale in outputs) / len(outputs)


def discriminator_losses(fake, real):
    """Hinge losses of the discriminator: (mean relu(1 + fake), mean relu(1 - real))."""
    return _over_scales(fake, lambda s: F.relu(1 + s).mean()), _over_scales(real, lambda s: F.relu(1 - s).mean())


def adversarial_loss(fake):
    """Hinge loss of the generator: -mean(fake score)."""
    return _over_scales(fake, lambda s: -s.mean())


def feature_matching_loss(fake, real, first_layer=3):
    """Mean absolute difference of the discriminator's features of fake and real images; the real ones are constants.

    Only layers from first_layer on (the score excluded): shallow features would demand one particular picture, and
    noise asks for many.
    """
    return sum(
        F.l1_loss(f, r.detach())
        for fakes, reals in zip(fake, real, strict=True)
        for f, r in zip(fakes[first_layer:-1], reals[first_layer:-1], strict=True)
    ) / len(fake)


def split_batch(outputs):
    """Separate the discriminator's outputs of one concatenated batch into those of its first and second half."""
    half = len(outputs[0][0]) // 2
    first = [[features[:half] for features in scale] for scale in outputs]
    return first, [[features[half:] for features in scale] for scale in outputs]
