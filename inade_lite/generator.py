"""The generator (built in notebook 5): a pure-noise start map, then blocks that learn the layout only through INADE.

Training and sampling see the same kind of start map, and it holds no structure to lean on. What the picture shows comes
from the maps; how each instance looks comes from its noise.
"""

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from .checks import expect, expect_count
from .kernels import upsample
from .layers import INADE
from .modules import Conv2D, SpectralConv2D, initialize
from .noise import remap_noise, sample_noise

# The seven blocks stand between eight widths, in multiples of base_channels.
WIDTHS = (16, 16, 16, 16, 8, 4, 2, 1)

# The blocks before which the features are doubled. A generator takes the first num_upsamplings of these numbers, so a
# small one leaves out the early doublings. Block 7 exists only where it is taken.
DOUBLED_BLOCKS = (6, 5, 4, 3, 1, 2, 7)


class ResidualBlock(nn.Layer):
    """shortcut(x) + conv_1(lrelu(norm_1(conv_0(lrelu(norm_0(x)))))), where every norm is modulated by the layout.

    The shortcut is x itself. A block that changes the number of channels learns it instead: conv_s(norm_s(x)), 1x1
    without bias. modulation: a function from channels to a layer that is called as layer(x, layout, noise).

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 4] * 4], [[[0] * 4] * 4], num_classes=1)
    >>> block = ResidualBlock(8, 4, lambda channels: INADE(channels, num_classes=1, noise_dim=5))
    >>> list(block(paddle.zeros([1, 8, 4, 4]), layout, il.sample_noise(layout, 5)).shape)
    [1, 4, 4, 4]
    """

    def __init__(self, in_channels, out_channels, modulation):
        super().__init__()
        middle = min(in_channels, out_channels)
        self.norm_0 = modulation(in_channels)
        self.norm_1 = modulation(middle)
        self.conv_0 = SpectralConv2D(in_channels, middle, 3, padding=1)
        self.conv_1 = SpectralConv2D(middle, out_channels, 3, padding=1)
        self.learned_shortcut = in_channels != out_channels
        if self.learned_shortcut:
            self.norm_s = modulation(in_channels)
            self.conv_s = SpectralConv2D(in_channels, out_channels, 1, bias=False)

    def forward(self, x, layout, noise):
        """x [N, C_in, h, w], noise [N, I, 2, Z] -> [N, C_out, h, w]."""
        shortcut = x
        if self.learned_shortcut:
            shortcut = self.norm_s(x, layout, noise)
            shortcut = self.conv_s(shortcut)
        y = self.norm_0(x, layout, noise)
        y = F.leaky_relu(y, 0.2)
        y = self.conv_0(y)  # [N, C_in, h, w] -> [N, middle, h, w]
        y = self.norm_1(y, layout, noise)
        y = F.leaky_relu(y, 0.2)
        y = self.conv_1(y)  # [N, middle, h, w] -> [N, C_out, h, w]
        return shortcut + y


class Generator(nn.Layer):
    """(layout, noise [N, I, 2, Z], latent [N, latent_dim]) -> images [N, 3, H, W] in (-1, 1).

    num_classes: L. noise_dim: Z. base_channels: f, the width before the image; the start map is 16 times as wide.
    image_size: int or (H, W), divisible by 2^num_upsamplings, with at least 2 pixels left for the start map, else a
    ValueError.
    latent_dim: the numbers that the start map is made of. With 0 there is no latent, and the start map is a 3x3
    convolution of the layout, as in SPADE.
    num_upsamplings: 0 to 7. 5, 6, 7 are the original's normal, more, most; smaller values leave out those in front.
    norm: "instance" or "batch". modulation: a function from channels to a layer that is called as
    layer(x, layout, noise), by default INADE.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 8] * 8], [[[0] * 8] * 8], num_classes=1)
    >>> generator = il.Generator(1, image_size=8, noise_dim=5, latent_dim=6, base_channels=2, num_upsamplings=2)
    >>> list(generator(layout, il.sample_noise(layout, 5)).shape)
    [1, 3, 8, 8]
    """

    level = "instance"  # what one draw of noise decides; the generators of `methods` have other levels
    sketch = False  # whether its layouts must have a sketch

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
        if isinstance(image_size, int):
            image_size = (image_size, image_size)
        height, width = image_size
        expect_count("num_classes", num_classes)
        expect_count("noise_dim", noise_dim)
        expect_count("latent_dim", latent_dim, low=0)
        expect_count("base_channels", base_channels)
        expect_count("num_upsamplings", num_upsamplings, low=0)
        self.num_classes = num_classes
        self.noise_dim = noise_dim
        self.latent_dim = latent_dim
        self.image_size = (height, width)

        step = 2**num_upsamplings
        divisible = height % step == 0 and width % step == 0
        if not (0 <= num_upsamplings <= 7 and divisible and height * width >= 2 * step**2):
            raise ValueError(
                f"image_size={height}x{width} with num_upsamplings={num_upsamplings}: both sides must be multiples of "
                f"{step} and the start map needs 2 pixels or more; choose 0..7 up-samplings to suit the size"
            )
        self.start_size = (height // step, width // step)
        self.upsample_before = sorted(DOUBLED_BLOCKS[:num_upsamplings])

        if modulation is None:

            def modulation(channels):
                return INADE(channels, num_classes, noise_dim, norm)

        widths = [multiple * base_channels for multiple in WIDTHS]
        if 7 in self.upsample_before:
            widths.append(base_channels // 2)
        if latent_dim:
            pixels = self.start_size[0] * self.start_size[1]
            self.fc = nn.Linear(latent_dim, widths[0] * pixels)
        else:
            self.fc = Conv2D(num_classes + 1, widths[0], 3, padding=1)
        self.blocks = nn.LayerList()
        for inputs, outputs in zip(widths[:-1], widths[1:], strict=True):
            self.blocks.append(ResidualBlock(inputs, outputs, modulation))
        self.to_image = Conv2D(widths[-1], 3, 3, padding=1)
        initialize(self)

    def forward(self, layout, noise, latent=None):
        """Images [N, 3, H, W] from noise [N, I, 2, Z] and latent [N, latent_dim]; None draws one from N(0, 1).

        The same noise goes to every layer, so that all of them see the same look of an instance.
        """
        x = self._start(layout, latent)
        for i, block in enumerate(self.blocks):
            if i in self.upsample_before:
                x = upsample(x)
            x = block(x, layout, noise)
        x = F.leaky_relu(x, 0.2)
        x = self.to_image(x)  # [N, f, H, W] -> [N, 3, H, W]
        return F.tanh(x)

    def _start(self, layout, latent):
        """The start map [N, 16 f, h, w]."""
        if not self.latent_dim:
            scene = layout.scene(self.start_size)
            return self.fc(scene)
        n = len(layout)
        if latent is None:
            latent = paddle.randn([n, self.latent_dim])
        expect("latent", latent, n, self.latent_dim)
        x = self.fc(latent)  # [N, latent_dim] -> [N, 16 f h w]
        return x.reshape([n, -1, *self.start_size])

    # ---- What one draw decides: here an instance's noise decides that instance, and the encoder knows no latent

    def remap(self, params, noise, latent=None):
        """Move noise [N, I, 2, Z] and latent [N, latent_dim] to the look of the images that gave the NoiseParams."""
        return remap_noise(noise, params), latent

    def reach(self, layout, chosen):
        """The instances, bool [N, I], that change when the noise of the chosen ones, bool [N, I], is drawn again."""
        return chosen

    def redraw_latent(self, latent, seed):
        """The latent [N, latent_dim] after the noise was drawn again with this seed."""
        return latent


def start(generator, layout, seed=None):
    """What a generator starts from: noise [N, I, 2, Z] and latent [N, latent_dim], which is None if it has none.

    seed: an integer or a list of integers gives the same numbers every time; None draws from Paddle's random state.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 8] * 8], [[[0] * 8] * 8], num_classes=1)
    >>> generator = il.Generator(1, image_size=8, noise_dim=5, latent_dim=6, base_channels=2, num_upsamplings=2)
    >>> [list(x.shape) for x in start(generator, layout, seed=0)]
    [[1, 1, 2, 5], [1, 6]]
    """
    shape = [len(layout), generator.latent_dim]
    latent = None
    if seed is None:
        noise = sample_noise(layout, generator.noise_dim)
        if generator.latent_dim:
            latent = paddle.randn(shape)
        return noise, latent
    seeds = np.random.SeedSequence(seed).generate_state(2)
    noise_seed, latent_seed = seeds.tolist()
    noise = sample_noise(layout, generator.noise_dim, noise_seed)
    if generator.latent_dim:
        random = np.random.default_rng(latent_seed)
        latent = random.standard_normal(shape, np.float32)
        latent = paddle.to_tensor(latent)
    return noise, latent


@paddle.no_grad()
def sample(generator, layout, seed=None):
    """Pictures [N, 3, H, W] of a layout from fresh noise and latent, in eval mode. seed: as in `start`.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 8] * 8], [[[0] * 8] * 8], num_classes=1)
    >>> generator = il.Generator(1, image_size=8, noise_dim=5, latent_dim=6, base_channels=2, num_upsamplings=2)
    >>> list(il.sample(generator, layout, seed=0).shape)
    [1, 3, 8, 8]
    """
    noise, latent = start(generator, layout, seed)
    was_training = generator.training
    generator.eval()  # a training forward would change the spectral norms and the running statistics
    images = generator(layout, noise, latent)
    if was_training:
        generator.train()
    return images
