"""What the networks are made of besides the paper's layers: convolutions, normalization, initialization."""

import paddle
import paddle.nn.functional as F
from paddle import nn

from .kernels import convolve, instance_norm

# ---- Convolutions


class Conv2D(nn.Conv2D):
    """nn.Conv2D, in the form that is faster where it runs.

    >>> list(Conv2D(3, 5, 3, padding=1)(paddle.zeros([1, 3, 8, 8])).shape)
    [1, 5, 8, 8]
    """

    def forward(self, x):
        """x [N, C, H, W] -> [N, O, H', W']."""
        return convolve(x, self.weight, self.bias, self._stride[0], self._padding)


class SpectralConv2D(nn.Layer):
    """Convolution whose weight is divided by its largest singular value sigma (Miyato et al., 2018).

        W as a matrix [O, C*K*K],        v <- W' u / |W' u|,        u <- W v / |W v|,        sigma = u' W v

    A training forward first updates v and u like this, one step of the power iteration; a forward in evaluation uses
    them as they are. `weight` is the weight before the division; u and v are buffers and are saved with it.

    >>> conv = SpectralConv2D(3, 5, 3, padding=1)
    >>> list(conv(paddle.zeros([1, 3, 8, 8])).shape), list(conv.u.shape), list(conv.v.shape)
    ([1, 5, 8, 8], [5], [27])
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, bias=True):
        super().__init__()
        self.stride = stride
        self.padding = padding
        self.weight = self.create_parameter([out_channels, in_channels, kernel_size, kernel_size])
        self.bias = None
        if bias:
            self.bias = self.create_parameter([out_channels], is_bias=True)
        u = paddle.randn([out_channels])
        v = paddle.randn([in_channels * kernel_size**2])
        self.register_buffer("u", F.normalize(u, axis=0))
        self.register_buffer("v", F.normalize(v, axis=0))

    def forward(self, x):
        """x [N, C, H, W] -> [N, O, H', W']."""
        matrix = self.weight.flatten(1)  # [O, C, K, K] -> [O, C*K*K]
        if self.training:
            with paddle.no_grad():
                self._iterate(matrix)
        # Copies, because the next forward changes u and v, maybe before this one's backward has run.
        u = self.u.clone()
        v = self.v.clone()
        sigma = paddle.dot(u, paddle.matmul(matrix, v))
        # A convolution is linear in its input and in its weight. Whichever is smaller is divided.
        weight = self.weight
        if x.size < weight.size:
            x = x / sigma
        else:
            weight = weight / sigma
        return convolve(x, weight, self.bias, self.stride, self.padding)

    def _iterate(self, matrix):
        """One step of the power iteration on the matrix [O, C*K*K]."""
        v = paddle.matmul(matrix, self.u, transpose_x=True)
        v = F.normalize(v, axis=0, epsilon=1e-12)
        self.v.set_value(v)
        u = paddle.matmul(matrix, self.v)
        u = F.normalize(u, axis=0, epsilon=1e-12)
        self.u.set_value(u)


# ---- Normalization without learned parameters: the layer behind it gives scale and shift


def normalization(name, channels):
    """The normalization "instance" or "batch", without learned parameters. ValueError for another name.

    >>> list(normalization("batch", 3)(paddle.zeros([2, 3, 4, 4])).shape)
    [2, 3, 4, 4]
    """
    if name == "instance":
        return InstanceNorm()
    if name == "batch":
        return BatchNorm(channels)
    raise ValueError(f'norm={name!r}: expected "instance" or "batch"')


class InstanceNorm(nn.Layer):
    """Instance normalization without learned parameters.

    >>> InstanceNorm()(paddle.to_tensor([[[[1.0, 3.0]]]])).round().tolist()
    [[[[-1.0, 1.0]]]]
    """

    def forward(self, x):
        """x [N, C, H, W] -> [N, C, H, W]."""
        return instance_norm(x)


class BatchNorm(nn.Layer):
    """Batch normalization without learned parameters.

    The running variance is the unbiased one, as in PyTorch and so in the authors' weights. Paddle's would be biased.

    >>> norm = BatchNorm(1)
    >>> y = norm(paddle.to_tensor([[[[1.0, 3.0]]]]))
    >>> y.round().tolist(), round(norm.running_var.tolist()[0], 2)  # 0.9 * 1 + 0.1 * 2
    ([[[[-1.0, 1.0]]]], 1.1)
    """

    def __init__(self, channels, momentum=0.9, epsilon=1e-5):
        super().__init__()
        self.momentum = momentum
        self.epsilon = epsilon
        self.register_buffer("running_mean", paddle.zeros([channels]))
        self.register_buffer("running_var", paddle.ones([channels]))

    def forward(self, x):
        """x [N, C, H, W] -> [N, C, H, W]."""
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, epsilon=self.epsilon)
        n, _, h, w = x.shape
        count = n * h * w
        if count < 2:
            raise ValueError("batch norm of one pixel has no deviation; give a larger batch, or take norm='instance'")
        kept = self.momentum * self.running_var
        y = F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            training=True,
            momentum=self.momentum,
            epsilon=self.epsilon,
        )
        # Paddle has just added a share of the biased variance, a sum divided by count. Divided by count - 1, the same
        # sum is larger by 1 / (count - 1) of that.
        added = self.running_var - kept
        unbiased = self.running_var + added / (count - 1)
        self.running_var.set_value(unbiased)
        return y


# ---- Initialization


def initialize(network, gain=0.02, noise_gain=None):
    """Give every convolution and Linear Xavier normal weights and zero biases. Returns the network.

    The deviation of a weight is gain * sqrt(2 / (fan_in + fan_out)). The default gain is the original's.
    noise_gain: the gain of INADE's fc_noise, by default the same. INADE's weight and bias tables stay as they are.

    >>> linear = initialize(nn.Linear(50, 50), gain=1.0)
    >>> round(float(linear.weight.std()), 1), float(linear.bias.abs().max())  # sqrt(2 / 100) is 0.14
    (0.1, 0.0)
    """
    for name, layer in network.named_sublayers(include_self=True):
        weight = getattr(layer, "weight", None)
        # A Linear's weight has 2 axes, a convolution's 4; INADE's table has 3.
        if weight is None or len(weight.shape) not in (2, 4):
            continue
        own_gain = gain
        if noise_gain is not None and name.endswith("fc_noise"):
            own_gain = noise_gain
        deviation = own_gain * (2.0 / _fans(weight)) ** 0.5
        weight.set_value(paddle.randn(weight.shape) * deviation)
        bias = getattr(layer, "bias", None)
        if bias is not None:
            bias.set_value(paddle.zeros(bias.shape))
    return network


def _fans(weight):
    """fan_in + fan_out of a weight [in, out] of a Linear or [out, in, K, K] of a convolution."""
    a, b, *kernel = weight.shape
    taps = kernel[0] * kernel[1] if kernel else 1
    return (a + b) * taps
