"""What the networks are made of besides the paper's layers: convolutions, normalization, initialization."""

import paddle
import paddle.nn.functional as F
from paddle import nn

from .kernels import convolve, instance_norm


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


def normalization(name, channels):
    """Normalization without learned parameters: "instance" or "batch"."""
    if name == "instance":
        return InstanceNorm()
    if name == "batch":
        return BatchNorm(channels)
    raise ValueError(f'norm={name!r}: expected "instance" or "batch"')


class InstanceNorm(nn.Layer):
    """Instance normalization without learned parameters."""

    def forward(self, x):
        return instance_norm(x)


class BatchNorm(nn.Layer):
    """Batch normalization without learned parameters. The running variance is PyTorch's: unbiased, Paddle's is not."""

    def __init__(self, channels, momentum=0.9, epsilon=1e-5):
        super().__init__()
        self.momentum, self.epsilon = momentum, epsilon
        self.register_buffer("running_mean", paddle.zeros([channels]))
        self.register_buffer("running_var", paddle.ones([channels]))

    def forward(self, x):
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, epsilon=self.epsilon)
        before = self.momentum * self.running_var
        y = F.batch_norm(x, self.running_mean, self.running_var, None, None, True, self.momentum, self.epsilon)
        count = x.shape[0] * x.shape[2] * x.shape[3]
        self.running_var.set_value(self.running_var + (self.running_var - before) / (count - 1))
        return y


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
