"""What the networks are made of besides the paper's layers: spectral norm, up-sampling, initialisation."""

import paddle
import paddle.nn.functional as F
from paddle import nn


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
        return convolve(x, self.weight / sigma, self.bias, self.stride, self.padding)


def convolve(x, weight, bias=None, stride=1, padding=0):
    """F.conv2d, in the form that is faster where it runs.

    On a CPU, small maps and 1x1 kernels take half the time as one batched matmul over the unfolded map.
    """
    n, _, h, w = x.shape
    k = weight.shape[2]
    pointwise = (k, stride, padding) == (1, 1, 0)
    if not x.place.is_cpu_place() or (h * w > 24**2 and not pointwise):
        return F.conv2d(x, weight, bias, stride, padding)
    taps = x.flatten(2) if pointwise else F.unfold(x, k, stride, padding)  # [N, C*K*K, h'*w']
    out = paddle.matmul(weight.flatten(1), taps)
    out = out if bias is None else out + bias.unsqueeze(-1)
    return out.reshape([n, -1, (h + 2 * padding - k) // stride + 1, (w + 2 * padding - k) // stride + 1])


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
