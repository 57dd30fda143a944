"""The two layers of the paper (built in notebooks 2 and 3)."""

import paddle
import paddle.nn.functional as F
from paddle import nn

from .maps import eager_on_cpu, swap

# So many windows are looked up at a time: more would take memory, fewer time.
WINDOWS = 2**13


class INADE(nn.Layer):
    """Instance-adaptive denormalization (paper, sections 3.2 and 3.3).

        out = (w0[l] * n0[i] + b0[l]) * norm(x) + (w1[l] * n1[i] + b1[l]),        n = fc_noise(noise)

    for a pixel of class l and instance i. Class l owns a distribution of scales and shifts, with deviation w[l] and
    mean b[l]; instance i draws from it through its noise. There is no "1 +" as SPADE has.

    channels: C; num_classes: L; noise_dim: Z; norm: "instance" or "batch", without learned parameters.
    sketch: also merge a sketch map, through a 3x3 convolution and a 1x1 convolution over both.
    Parameters: weight, bias [L, C, 2] (last axis: scale, shift), fc_noise Linear(Z -> C) for both halves.
    """

    def __init__(self, channels, num_classes, noise_dim, norm="instance", sketch=False):
        super().__init__()
        # Paddle's Uniform() is U(-1, 1).
        shape, uniform = [num_classes, channels, 2], nn.initializer.Uniform(0, 1)
        self.weight = self.create_parameter(shape, default_initializer=uniform)
        self.bias = self.create_parameter(shape, is_bias=True)
        self.fc_noise = nn.Linear(noise_dim, channels)
        self.norm = normalization(norm, channels)
        if sketch:
            self.sketch_conv = nn.Conv2D(1, channels, 3, padding=1)
            self.merge_conv = nn.Conv2D(2 * channels, channels, 1, bias_attr=False)

    def forward(self, x, layout, noise, sketch=None):
        """x [N, C, h, w], a Layout of any size, noise [N, I, 2, Z], sketch [N, 1, H, W] -> [N, C, h, w]."""
        scale, shift = self.modulation(layout, noise)
        regions = layout.regions(x.shape[2:])
        out = self.norm(x) * regions.paint(scale) + regions.paint(shift)
        if sketch is not None:
            sketch = F.interpolate(sketch, x.shape[2:], mode="nearest")
            out = self.merge_conv(paddle.concat([out, self.sketch_conv(sketch)], axis=1))
        return out

    def modulation(self, layout, noise):
        """Scale and shift of every region, each [N, R, C]: the formula, once per region instead of once per pixel."""
        n = self.fc_noise(noise).flatten(2).flatten(0, 1)  # [N, I, 2, C] -> [N*I, 2C]
        n = F.embedding(layout.region_instance, n)  # [N, R, 2C]
        w, b = (
            F.embedding(layout.region_label, p.transpose([0, 2, 1]).flatten(1))  # [L, C, 2] -> [N, R, 2C]
            for p in (self.weight, self.bias)
        )
        return (w * n + b).reshape([*n.shape[:2], 2, -1]).unbind(2)


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


def instance_norm(x, epsilon=1e-5):
    """(x - mean) / sqrt(variance + epsilon), over the pixels of each image and channel; x [N, C, h, w]."""
    n, c, h, w = x.shape
    if not eager_on_cpu(x) or h * w == 1:
        return F.instance_norm(x, eps=epsilon)
    # The same as batch normalization of a single image with N*C channels, whose CPU kernel is twice as fast.
    unused = paddle.zeros([n * c]), paddle.ones([n * c])  # running statistics
    return F.batch_norm(x.reshape([1, n * c, h, w]), *unused, training=True, epsilon=epsilon).reshape(x.shape)


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


class InstanceConv2D(nn.Layer):
    """Instance-aware convolution (paper, section 3.4): a tap counts only where it lies in the centre's instance.

        out[p] = bias + sum over taps t of  W[t] x[p + t] * (1 if instance[p + t] == instance[p] else 0)

    There is no renormalization by the number of taps that count. With a single instance it equals nn.Conv2D.
    kernel_size is odd, so that a window has a centre.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size}: a window needs a centre, so the size must be odd")
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.weight = self.create_parameter([out_channels, in_channels, kernel_size, kernel_size])
        self.bias = self.create_parameter([out_channels], is_bias=True)

    def forward(self, x, layout):
        """x [N, C, H, W] and a Layout of any size -> [N, O, H', W'], sizes as in nn.Conv2D."""
        n, _, *size = x.shape
        k, (h, w) = self.kernel_size, ((s + 2 * self.padding - self.kernel_size) // self.stride + 1 for s in size)
        out = lookup(x, layout.taps(size, k, self.stride, self.padding), self.weight) + self.bias.unsqueeze(-1)
        return out.reshape([n, -1, h, w])


def lookup(x, taps, weight):
    """A convolution without bias, as a lookup and one matrix product.

    x [N, C, H, W], taps int32 [N, windows, K*K] as Layout.taps gives them, weight [O, C, K, K] -> [N, O, windows].
    """
    n, c = x.shape[:2]
    # A pixel's features side by side, so that a tap is one row; and a row of zeros for the taps that do not count.
    pixels = paddle.concat([swap(x.flatten(2)).reshape([-1, c]), paddle.zeros([1, c], x.dtype)])
    weight = swap(weight.flatten(2)).flatten(1)  # [O, K*K*C]
    # Without gradients the rows are not needed again; with them, parts would save nothing.
    step, parts = taps.shape[1] if paddle.is_grad_enabled() else max(1, WINDOWS // n), []
    for i in range(0, taps.shape[1], step):
        rows = F.embedding(taps[:, i : i + step], pixels).flatten(2)  # [N, step, K*K*C]
        parts.append(paddle.matmul(weight, rows, transpose_y=True))  # [N, O, step]
    del pixels, rows  # without gradients nothing else holds their memory
    return parts[0] if len(parts) == 1 else paddle.concat(parts, axis=2)
