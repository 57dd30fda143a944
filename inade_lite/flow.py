"""A flow from noise to pictures, conditioned on the layout (built in notebook 11).

Lipman and others, "Flow Matching for Generative Modeling", and Liu and others, "Flow Straight and Fast", both ICLR
2023. There is no discriminator. Take noise x_0 and a picture x_1, and go from one to the other on a straight line:

    x_t = (1 - t) x_0 + t x_1,        its velocity is x_1 - x_0

A network is shown x_t, t and the maps, and is to tell the velocity. Many lines cross at x_t, and what it learns is the
mean of their velocities. From fresh noise, follow what it tells: that ends in a fresh picture.
"""

import math

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from .kernels import instance_norm, upsample
from .modules import Conv2D, initialize
from .oasis import pack, unpack

# ---- The network that tells velocities


def waves_of_time(t, count=8):
    """Times [N] in 0..1 as sines and cosines of `count` frequencies, each twice the last: [N, 2 * count].

    >>> list(waves_of_time(paddle.to_tensor([0.0, 0.5])).shape)
    [2, 16]
    """
    frequencies = paddle.to_tensor(2.0 ** np.arange(-1, count - 1), dtype="float32")
    angles = math.pi * t.unsqueeze(1) * frequencies  # [N, count]
    return paddle.concat([angles.sin(), angles.cos()], axis=1)


class TimedBlock(nn.Layer):
    """shortcut(x) + conv(silu(norm(conv(silu(norm(x)))))), where the first norm's scale and shift know the time.

    >>> block = TimedBlock(4, 6, time_channels=8)
    >>> list(block(paddle.zeros([1, 4, 8, 8]), paddle.zeros([1, 8])).shape)
    [1, 6, 8, 8]
    """

    def __init__(self, in_channels, out_channels, time_channels):
        super().__init__()
        self.of_time = nn.Linear(time_channels, 2 * in_channels)
        self.conv_0 = Conv2D(in_channels, out_channels, 3, padding=1)
        self.conv_1 = Conv2D(out_channels, out_channels, 3, padding=1)
        self.learned_shortcut = in_channels != out_channels
        if self.learned_shortcut:
            self.conv_s = Conv2D(in_channels, out_channels, 1)

    def forward(self, x, time):
        """x [N, C_in, h, w], time [N, T] -> [N, C_out, h, w]."""
        shortcut = self.conv_s(x) if self.learned_shortcut else x
        scale, shift = self.of_time(time).reshape([len(x), 2, -1, 1, 1]).unbind(1)  # [N, C_in, 1, 1] each
        y = (1 + scale) * instance_norm(x) + shift
        y = self.conv_0(F.silu(y))
        y = self.conv_1(F.silu(instance_norm(y)))
        return shortcut + y


class FlowUNet(nn.Layer):
    """The velocity of x_t [N, 3, H, W] at the times t [N], given a Layout: [N, 3, H, W].

    It works on packed pixels: pictures and maps of half the size with four times the channels, which is four times
    faster. Two halvings more on the way down, as many doublings on the way up.

    num_classes: L. base_channels: f, the width at half the picture's size; the smaller sizes have 2f.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 16] * 16], [[[0] * 16] * 16], num_classes=1)
    >>> list(FlowUNet(1, base_channels=4)(paddle.zeros([1, 3, 16, 16]), paddle.zeros([1]), layout).shape)
    [1, 3, 16, 16]
    """

    def __init__(self, num_classes, base_channels=48, time_channels=64):
        super().__init__()
        f = base_channels
        self.time = nn.Sequential(nn.Linear(16, time_channels), nn.Silu())
        self.first = Conv2D(4 * (3 + num_classes + 1), f, 3, padding=1)
        self.down = nn.LayerList([TimedBlock(f, f, time_channels), TimedBlock(f, 2 * f, time_channels)])
        self.middle = nn.LayerList([TimedBlock(2 * f, 2 * f, time_channels) for _ in range(2)])
        self.up = nn.LayerList([TimedBlock(4 * f, f, time_channels), TimedBlock(2 * f, f, time_channels)])
        self.last = Conv2D(f, 4 * 3, 3, padding=1)
        initialize(self, gain=1.0)
        self.last.weight.set_value(paddle.zeros_like(self.last.weight))  # so that it begins by saying nothing

    def forward(self, x, t, layout):
        """x [N, 3, H, W], t [N] -> [N, 3, H, W]."""
        time = self.time(waves_of_time(t))
        scene = layout.once("packed scene", lambda: pack(layout.scene()))  # [N, 4 (L + 1), H/2, W/2]
        x = self.first(paddle.concat([pack(x), scene], axis=1))
        passed = []
        for block in self.down:
            x = block(x, time)
            passed.append(x)
            x = F.avg_pool2d(x, 2)
        for block in self.middle:
            x = block(x, time)
        for block in self.up:
            x = paddle.concat([upsample(x), passed.pop()], axis=1)
            x = block(x, time)
        return unpack(self.last(F.silu(x)))


# ---- Training and sampling


def flow_loss(network, image, layout):
    """Mean squared error of the velocities at random times, a scalar; image: x_1 [N, 3, H, W].

    Times are the squares of uniform numbers. Early times count more so: there the colors are decided.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 16] * 16], [[[0] * 16] * 16], num_classes=1)
    >>> loss = flow_loss(FlowUNet(1, base_channels=4), paddle.zeros([1, 3, 16, 16]), layout)
    >>> 0.5 < float(loss) < 1.5
    True
    """
    n = len(image)
    noise = paddle.randn(image.shape)
    # One time in each n-th part of 0..1, so that no batch has only late ones.
    t = ((paddle.arange(n, dtype="float32") + paddle.rand([n])) / n) ** 2
    along = t.reshape([n, 1, 1, 1])
    x_t = (1 - along) * noise + along * image
    velocity = network(x_t, t, layout)
    return ((velocity - (image - noise)) ** 2).mean()


def follow(network, x, layout, steps=10):
    """The pictures x_1 at the end of the flow that begins in x [N, 3, H, W], by Euler's method: a list of all x_t.

    The times are squares as well, (k / steps)^2: small steps first, where the flow bends most.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 16] * 16], [[[0] * 16] * 16], num_classes=1)
    >>> len(follow(FlowUNet(1, base_channels=4), paddle.zeros([1, 3, 16, 16]), layout, steps=2))
    3
    """
    times = (np.arange(steps + 1) / steps) ** 2
    path = [x]
    for t, after in zip(times[:-1], times[1:], strict=True):
        now = paddle.full([len(x)], float(t))
        x = x + float(after - t) * network(x, now, layout)
        path.append(x)
    return path


class FlowGenerator(nn.Layer):
    """The flow in the form of a `Generator`: (layout, noise [N, I, 2, Z]) -> images [N, 3, H, W].

    The noise of an instance is a whole canvas of 3 H W = 2 Z random numbers, of which only those at the instance's own
    pixels are used. So x_0 is independent noise at every pixel, and drawing one instance again replaces its pixels.

    num_classes: L. image_size: int or (H, W), multiples of 8. steps: network calls for a picture.

    >>> import inade_lite as il
    >>> layout = il.Layout([[[0] * 16] * 16], [[[0] * 16] * 16], num_classes=1)
    >>> generator = FlowGenerator(1, image_size=16, base_channels=4)
    >>> list(generator(layout, il.sample_noise(layout, generator.noise_dim)).shape)
    [1, 3, 16, 16]
    """

    level = "instance"  # what one draw of noise decides
    sketch = False
    latent_dim = 0

    def __init__(self, num_classes, image_size, base_channels=48, steps=10):
        super().__init__()
        if isinstance(image_size, int):
            image_size = (image_size, image_size)
        self.num_classes = num_classes
        self.image_size = tuple(image_size)
        height, width = self.image_size
        if height % 8 or width % 8:
            raise ValueError(f"image_size={height}x{width}: both sides must be multiples of 8")
        self.noise_dim = 3 * height * width // 2
        self.steps = steps
        self.network = FlowUNet(num_classes, base_channels)

    def forward(self, layout, noise, latent=None):
        """Images [N, 3, H, W] from noise [N, I, 2, Z]. There is no latent."""
        x = self.cut_out(layout, noise)
        return follow(self.network, x, layout, self.steps)[-1].clip(-1, 1)

    def cut_out(self, layout, noise):
        """x_0 [N, 3, H, W]: every pixel from the canvas of its instance, noise [N, I, 2, Z]."""
        n, i = noise.shape[:2]
        height, width = self.image_size
        canvases = noise.reshape([n, i, 3, height * width])
        owner = layout.instance.reshape([n, 1, 1, height * width])
        owner = owner.expand([n, 1, 3, height * width])
        x = paddle.take_along_axis(canvases, owner, axis=1)  # [N, 1, 3, H*W]
        return x.reshape([n, 3, height, width])

    def reach(self, layout, chosen):
        """The instances, bool [N, I], that change when the noise of the chosen ones, bool [N, I], is drawn again."""
        return chosen

    def redraw_latent(self, latent, seed):
        """There is none."""
        return latent
