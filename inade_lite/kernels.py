"""Everything that knows on what it runs: the same numbers, in the form that is faster there.

On a GPU, and in a graph that `to_static` traces for others to read, `swap`, `instance_norm` and `convolve` are Paddle's
own operations. On a CPU, Paddle's kernels for transposes, instance norm and convolutions are slow, and matrix products
are fast. So there, these functions rearrange their work into matrix products. The others have one form for all.
"""

import functools

import numpy as np
import paddle
import paddle.nn.functional as F
from numpy.lib.stride_tricks import sliding_window_view

# A convolution copies the pixels of all its windows only up to so many numbers, 134 MB. Beyond that the memory is worth
# more than the time, and Paddle's kernel runs instead.
COPIES = 2**25

# Without gradients, `lookup` takes so many windows at a time. More of them take more memory and no less time.
WINDOWS = 2**13


def eager_on_cpu(x):
    """Whether operations on x run on a CPU, one by one as they are called. The only place that asks for the device.

    >>> eager_on_cpu(paddle.zeros([1], dtype="float32").cpu())
    True
    """
    return paddle.in_dynamic_mode() and x.place.is_cpu_place()


def swap(x):
    """The transposes of a batch of matrices: [N, A, B] -> [N, B, A].

    >>> swap(paddle.to_tensor([[[1.0, 2.0, 3.0]]])).tolist()
    [[[1.0], [2.0], [3.0]]]
    """
    if not eager_on_cpu(x):
        return x.transpose([0, 2, 1])
    # The product x' I has the numbers of x', and on a CPU it takes a fraction of the time of a transposed copy. Of the
    # two identity matrices that fit, the smaller one means less work.
    _, a, b = x.shape
    if a <= b:
        identity = paddle.eye(a, dtype=x.dtype)
        return paddle.matmul(x, identity, transpose_x=True)
    identity = paddle.eye(b, dtype=x.dtype)
    return paddle.matmul(identity, x, transpose_y=True)


def upsample(x):
    """Nearest-neighbor up-sampling by 2: [N, C, H, W] -> [N, C, 2H, 2W].

    >>> upsample(paddle.to_tensor([[[[1.0, 2.0]]]])).tolist()
    [[[[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]]]
    """
    # F.interpolate(x, scale_factor=2) gives the same, but slowly on a CPU.
    n, c, h, w = x.shape
    x = x.reshape([n, c, h, 1, w, 1])
    x = x.expand([n, c, h, 2, w, 2])
    return x.reshape([n, c, 2 * h, 2 * w])


def instance_norm(x, epsilon=1e-5):
    """(x - mean) / sqrt(variance + epsilon), both over the pixels of each image and channel; x [N, C, H, W].

    >>> instance_norm(paddle.to_tensor([[[[1.0, 3.0]]]])).round().tolist()
    [[[[-1.0, 1.0]]]]
    """
    n, c, h, w = x.shape
    if not eager_on_cpu(x) or h * w == 1:
        return F.instance_norm(x, eps=epsilon)
    # Batch norm of one image with N*C channels computes the same, faster. (But it would leave a single pixel as it is.)
    x = x.reshape([1, n * c, h, w])
    mean = paddle.zeros([n * c])  # the running statistics, which it asks for and which nobody reads
    variance = paddle.ones([n * c])
    x = F.batch_norm(x, mean, variance, training=True, epsilon=epsilon)
    return x.reshape([n, c, h, w])


# ---- Convolutions


def windows(maps, kernel_size, stride, padding, outside=-1):
    """Copy what the windows of a convolution see, `outside` beyond the map: ndarray [N, H, W] -> [N, windows, K*K].

    >>> windows(np.array([[[5, 6, 7]]]), kernel_size=3, stride=2, padding=1).tolist()
    [[[-1, -1, -1, -1, 5, 6, -1, -1, -1], [-1, -1, -1, 6, 7, -1, -1, -1, -1]]]
    """
    border = (padding, padding)
    window = (kernel_size, kernel_size)
    maps = np.pad(maps, [(0, 0), border, border], constant_values=outside)
    seen = sliding_window_view(maps, window, axis=(1, 2))
    seen = seen[:, ::stride, ::stride]  # [N, H', W', K, K]
    copied = np.array(seen)
    return copied.reshape(len(maps), -1, kernel_size**2)


def output_size(size, kernel_size, stride, padding):
    """The size [H', W'] of a convolution's output, where its input has the size (H, W).

    >>> output_size((64, 32), kernel_size=3, stride=2, padding=1)
    [32, 16]
    """
    return [(side + 2 * padding - kernel_size) // stride + 1 for side in size]


def lookup(x, taps, weight):
    """A convolution without bias, as a look-up and a matrix product.

    x [N, C, H, W], taps int32 [N, windows, K*K] as `Layout.taps` explains them, weight [O, C, K, K] -> [N, O, windows].

    1. Lay the C features of every pixel side by side: a table with a row per pixel, and a row of zeros behind the last.
    2. Look up the rows that each window reads: K*K*C numbers per window.
    3. Multiply with the weights, in the same order.

    >>> x = paddle.to_tensor([[[[1.0, 2.0, 3.0]]]])
    >>> taps = paddle.to_tensor([[[1], [0], [3]]], dtype="int32")  # three windows of one tap; row 3 holds zeros
    >>> lookup(x, taps, paddle.full([1, 1, 1, 1], 10.0)).tolist()
    [[[20.0, 10.0, 0.0]]]
    """
    n, c = x.shape[:2]
    count = taps.shape[1]
    table = swap(x.flatten(2))  # [N, C, H*W] -> [N, H*W, C]
    table = table.reshape([-1, c])
    zeros = paddle.zeros([1, c], x.dtype)
    table = paddle.concat([table, zeros])
    weight = swap(weight.flatten(2))  # [O, C, K*K] -> [O, K*K, C]
    weight = weight.flatten(1)

    # The looked-up rows are the largest temporary. Backward keeps all of them, so slicing saves memory only without
    # gradients.
    step = count
    if not paddle.is_grad_enabled():
        step = max(1, WINDOWS // n)
    parts = []
    for start in range(0, count, step):
        rows = F.embedding(taps[:, start : start + step], table)  # [N, step, K*K, C]
        rows = rows.flatten(2)  # [N, step, K*K*C]
        part = paddle.matmul(weight, rows, transpose_y=True)  # [N, O, step]
        parts.append(part)
    if len(parts) == 1:
        return parts[0]
    del table, rows  # so that their memory is free for the result
    return paddle.concat(parts, axis=2)


def convolve(x, weight, bias=None, stride=1, padding=0):
    """F.conv2d, in the form that is faster where it runs: x [N, C, H, W], weight [O, C, K, K] -> [N, O, H', W'].

    >>> x, weight = paddle.ones([1, 2, 4, 4]), paddle.ones([3, 2, 3, 3])
    >>> convolve(x, weight, padding=1)[0, 0, :2, :2].tolist()
    [[8.0, 12.0], [12.0, 18.0]]
    """
    n, c, h, w = x.shape
    o, _, k, _ = weight.shape
    size = output_size((h, w), k, stride, padding)
    count = n * size[0] * size[1]  # windows
    copies = count * k * k * c
    if not eager_on_cpu(x) or copies > COPIES:
        return F.conv2d(x, weight, bias, stride, padding)

    if k == 1 and stride == 1 and padding == 0:
        # Every window is a pixel.
        out = paddle.matmul(weight.flatten(1), x.flatten(2))
    elif 4 * o < c and stride == 1 and padding < k and min(size) > 1:
        # Far fewer channels leave than enter, so the products are fewer numbers than copied windows would be.
        # min(size) > 1, because Paddle 2.6 cannot fold an output of a single row.
        out = _add_products(x, weight, size, padding)
    elif count < o:
        # With so few windows, `lookup` would spend its time on arranging the weights.
        out = F.unfold(x, k, stride, padding)  # [N, C*K*K, windows]
        out = paddle.matmul(weight.flatten(1), out)
    else:
        taps = _all_taps(n, h, w, k, stride, padding)
        out = lookup(x, taps, weight)

    if bias is not None:
        out = out + bias.unsqueeze(-1)
    return out.reshape([n, o, *size])  # [N, O, windows] -> [N, O, H', W']


def _add_products(x, weight, size, padding):
    """A convolution with stride 1 and no bias: multiply each pixel with all taps, then add up. size: the output's.

    x [N, C, H, W], weight [O, C, K, K] -> [N, O, H'*W']. The window at p is

        out[p] = sum over t of  W[t] x[p + t - padding]

    so the product W[t] x[q] belongs to the window q - t + padding. `F.fold` adds the product number s of pixel q to
    q + s - (its own padding). So tap t is stored as number s = K - 1 - t, and the padding is K - 1 - padding:

        q + s - (K - 1 - padding)  =  q - t + padding
    """
    _, c, k, _ = weight.shape
    taps = weight.flip([2, 3])
    taps = taps.transpose([0, 2, 3, 1])  # [O, C, K, K] -> [O, K, K, C]
    taps = taps.reshape([-1, c])
    products = paddle.matmul(taps, x.flatten(2))  # [N, O*K*K, H*W]
    out = F.fold(products, size, k, 1, k - 1 - padding)  # [N, O, H', W']
    return out.flatten(2)


@functools.lru_cache(maxsize=64)
def _all_taps(n, h, w, kernel_size, stride, padding):
    """Taps for `lookup`, int32 [N, windows, K*K]. All count but those outside the picture, which read the zeros."""
    rows = np.arange(n * h * w, dtype="int32")
    rows = rows.reshape(n, h, w)
    rows = windows(rows, kernel_size, stride, padding, outside=rows.size)
    return paddle.to_tensor(rows)
