"""The generator: a pure-noise start map, then residual blocks that learn the layout only through INADE.

Training and sampling see the same kind of start map, and it holds no structure to lean on: what the picture shows comes
from the maps, how each instance looks comes from its noise.
"""

import numpy as np
import paddle.nn.functional as F
from paddle import nn, no_grad, randn, to_tensor

from .kernels import upsample
from .layers import INADE
from .modules import Conv2D, SpectralConv2D, initialize
from .noise import remap_noise, sample_noise


class ResidualBlock(nn.Layer):
    """shortcut(x) + conv_1(lrelu(norm_1(conv_0(lrelu(norm_0(x)))))), where every norm is modulated by the layout.

    A block that changes the number of channels learns its shortcut, conv_s(norm_s(x)), 1x1 without bias.
    modulation: channels -> a layer called as layer(x, layout, noise).
    """

    def __init__(self, in_channels, out_channels, modulation):
        super().__init__()
        middle = min(in_channels, out_channels)
        self.norm_0, self.norm_1 = modulation(in_channels), modulation(middle)
        self.conv_0 = SpectralConv2D(in_channels, middle, 3, padding=1)
        self.conv_1 = SpectralConv2D(middle, out_channels, 3, padding=1)
        self.learned_shortcut = in_channels != out_channels
        if self.learned_shortcut:
            self.norm_s = modulation(in_channels)
            self.conv_s = SpectralConv2D(in_channels, out_channels, 1, bias=False)

    def forward(self, x, layout, noise):
        """x [N, C_in, h, w] -> [N, C_out, h, w]."""
        shortcut = self.conv_s(self.norm_s(x, layout, noise)) if self.learned_shortcut else x
        y = self.conv_0(F.leaky_relu(self.norm_0(x, layout, noise), 0.2))
        y = self.conv_1(F.leaky_relu(self.norm_1(y, layout, noise), 0.2))
        return shortcut + y


class Generator(nn.Layer):
    """(layout, noise [N, I, 2, Z], latent [N, latent_dim]) -> images [N, 3, H, W] in (-1, 1).

    image_size: int or (H, W), divisible by 2^num_upsamplings, with at least 2 pixels left for the start map.
    num_upsamplings: 5, 6, 7 are the original's normal, more, most; smaller values leave out those in front.
    norm: "instance" or "batch". modulation: channels -> layer(x, layout, noise), by default INADE.
    latent_dim=0: no latent; the start map is a 3x3 convolution of the layout, as in SPADE.
    """

    level = "instance"  # what one draw of noise decides; the generators of `methods` have others

    def __init__(
        self,
        num_classes,
        image_size,
        noise_dim=64,
        latent_dim=256,
        base_channels=64,
        num_upsamplings=5,
        norm="instance",
        modulation=None,
    ):
        super().__init__()
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.num_classes, self.noise_dim, self.latent_dim = num_classes, noise_dim, latent_dim
        self.image_size = (height, width)
        step = 2**num_upsamplings
        if not 0 <= num_upsamplings <= 7 or height % step or width % step or height * width < 2 * step**2:
            raise ValueError(
                f"image_size={height}x{width} with num_upsamplings={num_upsamplings}: both sides must be multiples of "
                f"{step} and the start map needs 2 pixels or more; choose 0..7 up-samplings to suit the size"
            )
        self.start_size = (height // step, width // step)
        if modulation is None:

            def modulation(channels):
                return INADE(channels, num_classes, noise_dim, norm)

        f = base_channels
        widths = [16 * f, 16 * f, 16 * f, 16 * f, 8 * f, 4 * f, 2 * f, f]  # head, middle 0, middle 1, up 0..3
        # Up-sample before these blocks; "more" adds the one before block 2, "most" a last block with its own.
        before = [1, 3, 4, 5, 6][max(0, 5 - num_upsamplings) :]
        if num_upsamplings >= 6:
            before.append(2)
        if num_upsamplings == 7:
            widths.append(f // 2)
            before.append(7)
        self.upsample_before = sorted(before)
        if latent_dim:
            self.fc = nn.Linear(latent_dim, widths[0] * self.start_size[0] * self.start_size[1])
        else:
            self.fc = Conv2D(num_classes + 1, widths[0], 3, padding=1)
        pairs = zip(widths[:-1], widths[1:], strict=True)
        self.blocks = nn.LayerList([ResidualBlock(a, b, modulation) for a, b in pairs])
        self.to_image = Conv2D(widths[-1], 3, 3, padding=1)
        initialize(self)

    def forward(self, layout, noise, latent=None):
        """latent=None draws a fresh N(0, 1). One noise serves every layer: all see the same look of an instance."""
        x = self._start(layout, latent)
        for i, block in enumerate(self.blocks):
            x = block(upsample(x) if i in self.upsample_before else x, layout, noise)
        return F.tanh(self.to_image(F.leaky_relu(x, 0.2)))

    # What a draw decides. Here an instance's noise decides the instance; the latent is not told by the encoder.

    def remap(self, params, noise, latent=None):
        """Noise [N, I, 2, Z] and latent [N, D] moved to where the encoder's NoiseParams put the look of its images."""
        return remap_noise(noise, params), latent

    def reach(self, layout, chosen):
        """The instances, bool [N, I], that change when the noise of the chosen ones, bool [N, I], is drawn again."""
        return chosen

    def redraw_latent(self, latent, seed):
        """The latent [N, D] after the noise was drawn again with this seed."""
        return latent

    def _start(self, layout, latent):
        if not self.latent_dim:
            return self.fc(layout.scene(self.start_size))
        if latent is None:
            latent = randn([len(layout), self.latent_dim])
        return self.fc(latent).reshape([len(layout), -1, *self.start_size])


def start(generator, layout, seed=None):
    """(noise [N, I, 2, Z], latent [N, latent_dim]), the same for the same seed; latent is None without one.

    seed: an integer or a list of integers; None draws from Paddle's random state.
    """
    if seed is None:
        noise = sample_noise(layout, generator.noise_dim)
        return noise, randn([len(layout), generator.latent_dim]) if generator.latent_dim else None
    noise_seed, latent_seed = np.random.SeedSequence(seed).generate_state(2).tolist()
    noise = sample_noise(layout, generator.noise_dim, noise_seed)
    if not generator.latent_dim:
        return noise, None
    latent = np.random.default_rng(latent_seed).standard_normal([len(layout), generator.latent_dim], np.float32)
    return noise, to_tensor(latent)


@no_grad()
def sample(generator, layout, seed=None):
    """Pictures [N, 3, H, W] of a layout from fresh noise and latent, the same for the same seed; in eval mode."""
    noise, latent = start(generator, layout, seed)
    was_training = generator.training
    generator.eval()
    images = generator(layout, noise, latent)
    if was_training:
        generator.train()
    return images
