"""All settings of a training run, in plain Python: the command line reads its options and their help from here."""

from dataclasses import dataclass, field, fields


def setting(default, text, may_change=False):
    """A field of TrainConfig. may_change: a run that is resumed may have another value than it began with."""
    return field(default=default, metadata={"text": text, "may_change": may_change})


@dataclass
class TrainConfig:
    """All that a run depends on besides its data. The defaults suit 64x64 pictures and two CPU cores.

    >>> TrainConfig(noise_dim=16).noise_dim
    16
    """

    # The networks
    method: str = setting("inade", "inade, a rival or an ablation; methods.METHODS has them all")
    noise_dim: int = setting(8, "Z, the dimensions of the noise of one instance")
    latent_dim: int = setting(64, "dimensions of the latent of the start map")
    base_channels: int = setting(12, "f, the width of the generator")
    encoder_channels: int = setting(16, "f, the width of the encoder")
    discriminator_channels: int = setting(24, "f, the width of the discriminator")
    discriminator_scales: int = setting(2, "discriminators, each at half the size of the one before")
    discriminator_layers: int = setting(4, "layers of each discriminator, the score not counted")
    num_upsamplings: int = setting(4, "up-samplings of the generator; 5 is the original's 'normal'")
    norm: str = setting("instance", "normalization in the generator, instance or batch")
    init_gain: float = setting(1.0, "gain of the Xavier normal start; the original's 0.02 takes far more steps")
    noise_gain: float = setting(0.1, "the same for fc_noise, so that noise starts quiet and grows where it is of use")

    # The losses
    gan_mode: str = setting("hinge", "adversarial loss: hinge, ls, original or w")
    lambda_feature: float = setting(10.0, "weight of feature matching")
    feature_from: int = setting(3, "first layer of the discriminator, from 0, whose features are matched")
    lambda_kl: float = setting(
        0.005, "twice the weight of KL, a sum over batch, instances, dimensions; the paper: 0.05"
    )
    lambda_pixel: float = setting(10.0, "weight of mean |fake - real|, at 64x64 in place of a perceptual loss")
    instance_share: float = setting(0.0, "share of that mean which counts instances instead of pixels, 0 to 1")
    lambda_perceptual: float = setting(0.0, "weight of Trainer's perceptual(fake, real); there must be one")
    plain_share: float = setting(0.5, "share of a batch with plain noise and the adversarial loss only; original: 0")
    fresh_fakes: bool = setting(False, "show the discriminator new pictures, not those just made, as the original does")

    # The optimizers
    batch_size: int = setting(8, "pictures in a step")
    crop: int = setting(
        0, "side of the square cut out of each item at a random place, 0 for none; the paper: 256 of 286"
    )
    flip: bool = setting(False, "show half of the items mirrored, as the paper does")
    workers: int = setting(0, "threads that read the next batches during a step: 4 for large photos", may_change=True)
    learning_rate_g: float = setting(3.2e-3, "of generator and encoder; the original, at full width: 1e-4", True)
    learning_rate_d: float = setting(6.4e-3, "of the discriminator; the original, at full width: 4e-4", True)
    decay_from: int = setting(0, "the step from which both rates fall linearly", may_change=True)
    decay_steps: int = setting(0, "steps in which they fall to 0; with 0 they stay as they are", may_change=True)
    beta1: float = setting(0.0, "Adam's average of gradients")
    beta2: float = setting(0.9, "Adam's average of squared gradients")
    ema_decay: float = setting(0.999, "of the averaged generator, which is the one that samples")

    # The run
    seed: int = setting(0, "of weights, noise and the order of the items")
    log_every: int = setting(20, "steps from one row of the loss log to the next", may_change=True)
    preview_every: int = setting(250, "steps from one preview to the next", may_change=True)
    save_every: int = setting(500, "steps from one checkpoint to the next", may_change=True)


# What a run that is resumed may change: how fast it learns and how often it speaks, not what it is.
MAY_CHANGE = tuple(f.name for f in fields(TrainConfig) if f.metadata["may_change"])
