"""All that knows the machine: the same numbers, in the form that is faster where they are computed."""

import functools

import numpy as np
import paddle
import paddle.nn.functional as F


def eager_on_cpu(x):
    """Whether x is computed on a CPU, operation by operation: where Paddle's own kernels are not the fastest form.

    A GPU, and a graph that to_static traces and others read, take the plain operations.
    """
    return paddle.in_dynamic_mode() and x.place.is_cpu_place()


def swap(x):
    """[N, A, B] -> [N, B, A]. On a CPU by the identity matrix: Paddle copies transposed tensors ten times slower."""
    if not eager_on_cpu(x):
        return x.transpose([0, 2, 1])
    _, a, b = x.shape
    if a <= b:
        return paddle.matmul(x, paddle.eye(a, dtype=x.dtype), transpose_x=True)
    return paddle.matmul(paddle.eye(b, dtype=x.dtype), x, transpose_y=True)


def windows(maps, kernel_size, stride, padding, beyond=-1):
    """What a convolution's windows see: [N, h, w] -> [N, windows, K*K], copied; `beyond` outside the map."""
    maps = np.pad(maps, [(0, 0), (padding, padding), (padding, padding)], constant_values=beyond)
    seen = np.lib.stride_tricks.sliding_window_view(maps, (kernel_size, kernel_size), axis=(1, 2))
    return np.array(seen[:, ::stride, ::stride]).reshape(len(maps), -1, kernel_size**2)


# So many windows are looked up at a time: more would take memory, fewer time.
WINDOWS = 2**13


def instance_norm(x, epsilon=1e-5):
    """(x - mean) / sqrt(variance + epsilon), over the pixels of each image and channel; x [N, C, h, w]."""
    n, c, h, w = x.shape
    if not eager_on_cpu(x) or h * w == 1:
        return F.instance_norm(x, eps=epsilon)
    # The same as batch normalization of a single image with N*C channels, whose CPU kernel is twice as fast.
    unused = paddle.zeros([n * c]), paddle.ones([n * c])  # running statistics
    return F.batch_norm(x.reshape([1, n * c, h, w]), *unused, training=True, epsilon=epsilon).reshape(x.shape)


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


# Beyond so many numbers a copy of each window's pixels is not worth its memory: 134 MB.
COPIES = 2**25


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
