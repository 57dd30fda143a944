"""What the networks are made of besides the paper's layers: spectral norm, up-sampling, initialisation."""

import functools

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from .layers import lookup
from .maps import eager_on_cpu, windows

# Beyond so many numbers a copy of each window's pixels is not worth its memory: 134 MB.
COPIES = 2**25


class SpectralConv2D(nn.Layer):
    """Convolution whose weight is divided by its largest singular value (Miyato et al., 2018).

    sigma = u' W v with W as [O, C*K*K]; a training forward improves v and then u by one power iteration, evaluation
    uses them as they are. The weight itself is `weight`; u and v are buffers and travel with the state.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.stride, self.padding = stride, padding
        self.weight = self.create_parameter([out_channels, in_channels, kernel_size, kernel_size])
        self.bias = self.create_parameter([out_channels], is_bias=True) if bias else None
        self.register_buffer("u", F.normalize(paddle.randn([out_channels]), axis=0))
        self.register_buffer("v", F.normalize(paddle.randn([in_channels * kernel_size**2]), axis=0))

    def forward(self, x):
        w = self.weight.flatten(1)  # [O, C*K*K]
        if self.training:
            with paddle.no_grad():
                self.v.set_value(F.normalize(paddle.matmul(w, self.u, transpose_x=True), axis=0, epsilon=1e-12))
                self.u.set_value(F.normalize(paddle.matmul(w, self.v), axis=0, epsilon=1e-12))
        # Copies, because the next forward changes u and v before this one's backward may have run.
        sigma = paddle.dot(self.u.clone(), paddle.matmul(w, self.v.clone()))
        # A convolution is linear in both, so the smaller one is divided.
        x, weight = (x / sigma, self.weight) if x.size < self.weight.size else (x, self.weight / sigma)
        return convolve(x, weight, self.bias, self.stride, self.padding)


class Conv2D(nn.Conv2D):
    """nn.Conv2D in the form that is faster where it runs."""

    def forward(self, x):
        return convolve(x, self.weight, self.bias, self._stride[0], self._padding)


def convolve(x, weight, bias=None, stride=1, padding=0):
    """F.conv2d, in the form that is faster where it runs.

    On a CPU that is a lookup of each window's pixels and one matrix product, or where far fewer channels leave than
    enter, one product of each pixel with all taps, then their sum. Both take half the time of Paddle's kernel.
    """
    n, c, h, w = x.shape
    o, k = weight.shape[0], weight.shape[2]
    size = [(s + 2 * padding - k) // stride + 1 for s in (h, w)]
    if not eager_on_cpu(x) or n * size[0] * size[1] * k * k * c > COPIES:
        return F.conv2d(x, weight, bias, stride, padding)
    if (k, stride, padding) == (1, 1, 0):
        out = paddle.matmul(weight.flatten(1), x.flatten(2))  # [N, O, H*W]
    elif 4 * o < c and stride == 1 and padding < k:
        # A pixel adds to the window k - 1 - t before it through tap t.
        sent = paddle.matmul(weight.flip([2, 3]).transpose([0, 2, 3, 1]).reshape([-1, c]), x.flatten(2))
        out = F.fold(sent, size, k, 1, k - 1 - padding).flatten(2)  # [N, O*K*K, H*W] -> [N, O, h'*w']
    elif n * size[0] * size[1] < o:
        # So few windows that arranging the weight for a lookup would cost more.
        out = paddle.matmul(weight.flatten(1), F.unfold(x, k, stride, padding))
    else:
        out = lookup(x, _taps(n, h, w, k, stride, padding), weight)
    out = out if bias is None else out + bias.unsqueeze(-1)
    return out.reshape([n, o, *size])


@functools.lru_cache(maxsize=64)
def _taps(n, h, w, *window):
    rows = np.arange(n * h * w, dtype="int32").reshape(n, h, w)
    return paddle.to_tensor(windows(rows, *window, beyond=rows.size))


def upsample(x):
    """Nearest-neighbour up-sampling by 2: [N, C, H, W] -> [N, C, 2H, 2W]."""
    n, c, h, w = x.shape
    # The same as F.interpolate(x, scale_factor=2), whose CPU kernel is several times slower.
    return x.reshape([n, c, h, 1, w, 1]).expand([n, c, h, 2, w, 2]).reshape([n, c, 2 * h, 2 * w])


def initialize(network, gain=0.02, noise_gain=None):
    """Xavier normal with this gain for every convolution and Linear, zero biases; 0.02 is the original's start.

    noise_gain: the gain of INADE's fc_noise, by default the same. INADE keeps its weight and bias. Returns the network.
    """
    for name, layer in network.named_sublayers(include_self=True):
        weight = getattr(layer, "weight", None)
        if weight is None or len(weight.shape) not in (2, 4):
            continue
        # Linear stores [in, out], a convolution [out, in, K, K]; the sum is all that Xavier needs.
        fans = (weight.shape[0] + weight.shape[1]) * (weight[0, 0].size if len(weight.shape) == 4 else 1)
        scale = noise_gain if noise_gain is not None and name.endswith("fc_noise") else gain
        weight.set_value(paddle.randn(weight.shape) * (scale * (2.0 / fans) ** 0.5))
        if getattr(layer, "bias", None) is not None:
            layer.bias.set_value(paddle.zeros(layer.bias.shape))
    return network
