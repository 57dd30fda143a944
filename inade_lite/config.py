"""All settings of a training run, in plain Python: the command line reads its options and their help from here."""

from dataclasses import dataclass, field, fields


def setting(default, text, may_change=False):
    """A field of TrainConfig with the text that explains it.

    may_change: whether a run that is resumed may have another value than it began with.

    >>> setting(8, "pictures in one step").metadata["text"]
    'pictures in one step'
    """
    return field(default=default, metadata={"text": text, "may_change": may_change})


@dataclass
class TrainConfig:
    """All that a run depends on besides its data. The defaults suit 64x64 pictures and two CPU cores.

    >>> TrainConfig(noise_dim=16).noise_dim
    16
    """

    # The networks
    method: str = setting("inade", "inade, a rival such as spade, or an ablation; inade_lite.METHODS has them all")
    noise_dim: int = setting(8, "Z, the length of the noise of one instance")
    latent_dim: int = setting(64, "length of the latent vector that becomes the generator's start map")
    base_channels: int = setting(12, "f, the width of the generator: from 16 f channels at its start down to f")
    encoder_channels: int = setting(16, "f, the width of the encoder: its first layer has f channels")
    discriminator_channels: int = setting(24, "f, the width of the discriminator: its first layer has f channels")
    discriminator_scales: int = setting(2, "discriminators, each at half the size of the one before")
    discriminator_layers: int = setting(4, "layers of each discriminator, the score not counted")
    num_upsamplings: int = setting(
        4, "doublings from the start map to the picture, whose sides are multiples of 2 to this power; the original: 5"
    )
    norm: str = setting("instance", "normalization in the generator: instance or batch")
    init_gain: float = setting(1.0, "gain of the Xavier normal start; with the original's 0.02 training takes longer")
    noise_gain: float = setting(0.1, "the same for fc_noise alone: noise starts weak and grows where it is of use")

    # The losses
    gan_mode: str = setting("hinge", "adversarial loss: hinge, ls (least squares), original or w (Wasserstein)")
    lambda_feature: float = setting(10.0, "weight of feature matching")
    feature_from: int = setting(3, "first layer of the discriminator, counted from 0, whose features are matched")
    lambda_kl: float = setting(
        0.005, "twice the weight of KL, a sum over batch, instances and dimensions; the paper: 0.05"
    )
    lambda_pixel: float = setting(
        10.0, "weight of the pixel loss, mean |fake - real|, which at 64x64 replaces a perceptual loss"
    )
    instance_share: float = setting(
        0.0, "share of the pixel loss, 0 to 1, that is a mean over instances instead of pixels"
    )
    lambda_pattern: float = setting(
        0.0, "weight of the pattern loss, which compares the strengths of waves in each instance; 0 for none"
    )
    lambda_perceptual: float = setting(
        0.0, "weight of the loss that is given as Trainer(perceptual=...); 0 on the command line, which has none"
    )
    plain_share: float = setting(
        0.5, "share of a batch, 0 to 1, with plain noise and the adversarial loss only; the original: 0"
    )
    fresh_fakes: bool = setting(
        False, "show the discriminator newly drawn pictures, as the original does, not those of the generator's step"
    )

    # The optimizers
    batch_size: int = setting(8, "pictures in one step")
    crop: int = setting(
        0, "side of the square cut out of each picture at a random place, 0 for none; the paper: 256 of 286"
    )
    flip: bool = setting(False, "mirror half of the pictures, as the paper does")
    workers: int = setting(0, "threads that read the next batches during a step; 4 for large photos", may_change=True)
    learning_rate_g: float = setting(
        3.2e-3, "learning rate of generator and encoder; the original, at full width: 1e-4", may_change=True
    )
    learning_rate_d: float = setting(
        6.4e-3, "learning rate of the discriminator; the original, at full width: 4e-4", may_change=True
    )
    decay_from: int = setting(0, "the step from which both learning rates fall linearly", may_change=True)
    decay_steps: int = setting(0, "steps in which they fall to 0; with 0 they stay as they are", may_change=True)
    beta1: float = setting(0.0, "decay rate of Adam's average of gradients")
    beta2: float = setting(0.9, "decay rate of Adam's average of squared gradients")
    ema_decay: float = setting(0.999, "decay rate of the averaged generator, which is the one that draws samples")

    # The run
    seed: int = setting(0, "seed of the weights, the noise and the order of the pictures")
    log_every: int = setting(20, "steps from one row of losses.csv to the next", may_change=True)
    preview_every: int = setting(250, "steps from one preview to the next", may_change=True)
    save_every: int = setting(500, "steps from one checkpoint to the next", may_change=True)


# What a run that is resumed may change: how fast it learns and how often it reports, but not what it is.
MAY_CHANGE = tuple(f.name for f in fields(TrainConfig) if f.metadata["may_change"])
