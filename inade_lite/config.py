"""All settings of a training run, in plain Python: the command line reads its options and their help from here."""

from dataclasses import dataclass, field, fields
from math import isfinite
from numbers import Integral, Real


def setting(default, text, low=None, high=None, words=(), may_change=False):
    """A field of TrainConfig with the text that explains it.

    low, high: the least and the largest value of a number. words: what it may be, if it is one of a few.
    may_change: whether a run that is resumed may have another value than it began with.

    >>> setting(8, "pictures in one step", low=1).metadata["low"]
    1
    """
    told = {"text": text, "low": low, "high": high, "words": words, "may_change": may_change}
    return field(default=default, metadata=told)


def check(name, value, told, default):
    """ValueError with name, value and what is expected, if a setting cannot have this value.

    >>> check("batch_size", 0, {"low": 1, "high": None, "words": ()}, 8)
    Traceback (most recent call last):
    ValueError: batch_size=0: expected an integer of 1 or more
    """
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{name}={value!r}: expected True or False")
        return
    if isinstance(default, str):
        if not isinstance(value, str) or (told["words"] and value not in told["words"]):
            raise ValueError(f"{name}={value!r}: expected one of {', '.join(told['words']) or 'the names'}")
        return
    low, high = told["low"], told["high"]
    kind = "an integer" if isinstance(default, int) else "a number"
    expected = f"{kind} of {low} or more" if high is None else f"{kind} from {low} to {high}"
    is_kind = isinstance(value, Integral if isinstance(default, int) else Real) and not isinstance(value, bool)
    is_finite = isinstance(value, Integral) or (is_kind and isfinite(value))  # isfinite takes no integer beyond floats
    if not is_kind or not is_finite or value < low or (high is not None and value > high):
        raise ValueError(f"{name}={value!r}: expected {expected}")


@dataclass
class TrainConfig:
    """All that a run depends on besides its data. The defaults suit 64x64 pictures and two CPU cores.

    ValueError names a setting that cannot be, its value and what is expected.

    >>> TrainConfig(noise_dim=16).noise_dim
    16
    """

    # The networks
    method: str = setting("inade", "inade, a rival such as spade, or an ablation; inade_lite.METHODS has them all")
    noise_dim: int = setting(8, "Z, the length of the noise of one instance", low=1)
    latent_dim: int = setting(64, "length of the latent vector that becomes the generator's start map", low=0)
    base_channels: int = setting(12, "f, the width of the generator: from 16 f channels at its start down to f", low=1)
    encoder_channels: int = setting(16, "f, the width of the encoder: its first layer has f channels", low=1)
    discriminator_channels: int = setting(
        24, "f, the width of the discriminator: its first layer has f channels", low=1
    )
    discriminator_scales: int = setting(2, "discriminators, each at half the size of the one before", low=1, high=8)
    discriminator_layers: int = setting(4, "layers of each discriminator, the score not counted", low=1, high=8)
    num_upsamplings: int = setting(
        4,
        "doublings from the start map to the picture, whose sides are multiples of 2 to this power; the original: 5",
        low=1,
        high=8,
    )
    norm: str = setting("instance", "normalization in the generator: instance or batch", words=("instance", "batch"))
    init_gain: float = setting(
        1.0, "gain of the Xavier normal start; with the original's 0.02 training takes longer", low=1e-6, high=100
    )
    noise_gain: float = setting(
        0.1, "the same for fc_noise alone: noise starts weak and grows where it is of use", low=0, high=100
    )

    # The losses
    gan_mode: str = setting(
        "hinge",
        "adversarial loss: hinge, ls (least squares), original or w (Wasserstein)",
        words=("hinge", "ls", "original", "w"),
    )
    lambda_feature: float = setting(10.0, "weight of feature matching", low=0, high=1e6)
    feature_from: int = setting(
        3, "first layer of the discriminator, counted from 0, whose features are matched", low=0
    )
    lambda_kl: float = setting(
        0.005, "twice the weight of KL, a sum over batch, instances and dimensions; the paper: 0.05", low=0, high=1e6
    )
    lambda_pixel: float = setting(
        10.0, "weight of the pixel loss, mean |fake - real|, which at 64x64 replaces a perceptual loss", low=0, high=1e6
    )
    instance_share: float = setting(
        0.0, "share of the pixel loss, 0 to 1, that is a mean over instances instead of pixels", low=0, high=1
    )
    lambda_pattern: float = setting(
        0.0,
        "weight of the pattern loss, which compares the strengths of waves in each instance; 0 for none",
        low=0,
        high=1e6,
    )
    lambda_perceptual: float = setting(
        0.0,
        "weight of the perceptual loss, --perceptual or Trainer(perceptual=...); the paper: 10",
        low=0,
        high=1e6,
    )
    plain_share: float = setting(
        0.5, "share of a batch, 0 to 1, with plain noise and the adversarial loss only; the original: 0", low=0, high=1
    )
    fresh_fakes: bool = setting(
        False, "show the discriminator newly drawn pictures, as the original does, not those of the generator's step"
    )

    # The optimizers
    batch_size: int = setting(8, "pictures in one step; 4 or more, so that both shares of it have some", low=1)
    crop: int = setting(
        0, "side of the square cut out of each picture at a random place, 0 for none; the paper: 256 of 286", low=0
    )
    diff_augment: str = setting(
        "none",
        "change what the discriminator sees, for sets of few pictures: none, color, translation, cutout, geometry (the "
        "two before it), all",
        words=("none", "color", "translation", "cutout", "geometry", "all"),
    )
    flip: bool = setting(False, "mirror half of the pictures, as the paper does")
    workers: int = setting(
        0, "threads that read the next batches during a step; 4 for large photos", low=0, high=256, may_change=True
    )
    learning_rate_g: float = setting(
        3.2e-3,
        "learning rate of generator and encoder; the original, at full width: 1e-4",
        low=0,
        high=1,
        may_change=True,
    )
    learning_rate_d: float = setting(
        6.4e-3, "learning rate of the discriminator; the original, at full width: 4e-4", low=0, high=1, may_change=True
    )
    decay_from: int = setting(0, "the step from which both learning rates fall linearly", low=0, may_change=True)
    decay_steps: int = setting(0, "steps in which they fall to 0; with 0 they stay as they are", low=0, may_change=True)
    beta1: float = setting(0.0, "decay rate of Adam's average of gradients", low=0, high=0.9999)
    beta2: float = setting(0.9, "decay rate of Adam's average of squared gradients", low=0, high=0.999999)
    ema_decay: float = setting(
        0.999, "decay rate of the averaged generator, which is the one that draws samples", low=0, high=1
    )

    # The run
    seed: int = setting(0, "seed of the weights, the noise and the order of the pictures", low=0, high=2**31 - 1)
    log_every: int = setting(20, "steps from one row of losses.csv to the next", low=1, may_change=True)
    preview_every: int = setting(250, "steps from one preview to the next", low=1, may_change=True)
    save_every: int = setting(500, "steps from one checkpoint to the next", low=1, may_change=True)

    def __post_init__(self):
        for each in fields(self):
            check(each.name, getattr(self, each.name), each.metadata, each.default)


# What a run that is resumed may change: how fast it learns and how often it reports, but not what it is.
MAY_CHANGE = tuple(f.name for f in fields(TrainConfig) if f.metadata["may_change"])

# What stands on the command line for the options beside the settings that are not given.
DATA_DEFAULTS = {
    "data": "toy_town",
    "set": "folder",
    "size": 64,
    "fit": "stretch",
    "perceptual": None,
    "vgg": None,
}
