"""A layer that can paint stripes, and an encoder that hears of them (our own, built in notebook 10).

INADE's scale and shift are the same for all pixels of a region, and a convolution of what is the same everywhere is the
same everywhere. So far from borders nothing tells a pixel from the next. CLADE's authors gave their layer a pixel's
place in its object for this (Tan et al., TPAMI 2022, intra-class positional encoding). Here the place comes in waves
(`waves`), and the noise of an instance decides how loud each of them is:

    out = INADE(x) + sum over k of  M[k] * loudness[k] * wave[k]

    wave[k]      depends on the pixel's place in its instance
    M[k]         what wave k adds to each of the C channels
    loudness[k]  tanh(h (s / h^(1/3))^p) with h = arctanh(1/2); p = 3 in training, which is tanh(s^3), and 5 in use
    s            w[l, k] * n[i, k] + b[l, k] with n = fc_wave(noise): INADE's own formula, depends on the region

Plain or striped is a choice, and s comes from a bell curve that knows no choices. An odd power is flat around 0 and
tanh is flat far from it, so that most waves are off or on. But where a curve is flat no gradient comes through. So it
is gentle in training, and sharper in use, where nothing has to be learned. What was half as loud stays half as loud.

That alone gives everything the average pattern. An instance's own pattern must be in its noise, and so the encoder must
hear of it, and something must be lost where it does not: see `PatternEncoder` and `losses.pattern_loss`.
"""

import math

import paddle
import paddle.nn.functional as F
from paddle import nn

from .layers import INADE
from .modules import initialize
from .prior import PriorEncoder
from .waves import OCTAVES, WAVES, held, strengths, waves

HALF = math.atanh(0.5)


class PositionINADE(INADE):
    """INADE that also knows where in its instance a pixel lies, see above.

    The arguments are INADE's; octaves: waves to the height of the picture. A layer takes those that its map can hold.
    Where that is none, it is INADE to the last bit.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 16] * 16], [[[0] * 16] * 16], num_classes=1)
    >>> layer = PositionINADE(channels=3, num_classes=1, noise_dim=5)
    >>> out = layer(paddle.ones([1, 3, 16, 16]), layout, il.sample_noise(layout, 5))
    >>> bool((out[..., 0] == out[..., 1]).all())
    False
    """

    def __init__(self, channels, num_classes, noise_dim, norm="instance", octaves=OCTAVES):
        super().__init__(channels, num_classes, noise_dim, norm)
        self.octaves = tuple(octaves)
        count = WAVES * len(self.octaves)
        if count == 0:
            return
        uniform = nn.initializer.Uniform(0, 1)  # as INADE's weight
        faint = nn.initializer.Normal(0, 0.3)
        quiet = nn.initializer.Normal(0, 0.2 * count**-0.5)
        self.fc_wave = nn.Linear(2 * noise_dim, count)
        self.wave_weight = self.create_parameter([num_classes, count], default_initializer=uniform)
        self.wave_bias = self.create_parameter([num_classes, count], default_initializer=faint)
        self.mix = self.create_parameter([count, channels], default_initializer=quiet)

    def forward(self, x, layout, noise):
        """x [N, C, h, w], a Layout of any size, noise [N, I, 2, Z] -> [N, C, h, w]."""
        out = super().forward(x, layout, noise)
        size = x.shape[2:]
        if not held(self.octaves, size[0]):
            return out
        wave = waves(layout, size, self.octaves)  # [N, K, h, w]
        count = wave.shape[1]
        loudness = self.loudness(layout, noise)[..., :count]
        loudness = layout.regions(size).paint(loudness)  # [N, R, K] -> [N, K, h, w]
        heard = (loudness * wave).flatten(2)  # [N, K, h*w]
        added = paddle.matmul(self.mix[:count], heard, transpose_x=True)  # [N, C, h*w]
        return out + added.reshape(out.shape)

    def loudness(self, layout, noise):
        """How loud each wave is in every region, [N, R, K], from -1 to 1: from s = w[l] n[i] + b[l]."""
        n = self.fc_wave(noise.flatten(2))  # [N, I, 2, Z] -> [N, I, K]
        n = F.embedding(layout.region_instance, n.flatten(0, 1))  # [N, R, K]
        w = F.embedding(layout.region_label, self.wave_weight)
        b = F.embedding(layout.region_label, self.wave_bias)
        s = w * n + b
        if self.training:
            return F.tanh(s**3)
        return F.tanh(HALF * (s / HALF ** (1 / 3)) ** 5)


class PatternEncoder(PriorEncoder):
    """The instance-aware encoder, which is also told how much of each wave is in each instance.

    These strengths go through two small layers and move the means of the noise. Without them the encoder tells colors
    and no patterns: at the border of an instance some taps of a window do not count. To a convolution that looks as if
    the color fell to zero there, an edge ten times as strong as a stripe.

    The arguments are PriorEncoder's.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 16] * 16], [[[0] * 8 + [1] * 8] * 16], num_classes=1)
    >>> params = PatternEncoder(5, base_channels=4, num_classes=1)(paddle.zeros([1, 3, 16, 16]), layout)
    >>> list(params.scale_mu.shape)
    [1, 2, 5]
    """

    GAIN = 10  # a strength is about a tenth, and a layer expects about one
    HIDDEN = 24

    def __init__(self, noise_dim, base_channels, num_classes):
        super().__init__(noise_dim, base_channels, num_classes)
        self.pattern = nn.Sequential(
            nn.Linear(WAVES * len(OCTAVES), self.HIDDEN),
            nn.LeakyReLU(0.2),
            nn.Linear(self.HIDDEN, 2 * noise_dim),
        )
        initialize(self)

    def raw(self, image, layout):
        """The NoiseParams before they are standardized, each [N, I, Z]."""
        params = super().raw(image, layout)
        moved = self.pattern(self.GAIN * strengths(image, layout))  # [N, P, 2Z]
        moved = layout.by_instance(moved)  # [N, P, 2Z] -> [N, I, 2Z]
        halves = moved.reshape([*moved.shape[:2], 2, -1])  # [N, I, 2Z] -> [N, I, 2, Z]
        scale, bias = halves.unbind(2)
        return params._replace(scale_mu=params.scale_mu + scale, bias_mu=params.bias_mu + bias)
