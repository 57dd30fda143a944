"""The shipped networks as ONNX graphs: what a browser needs to paint without Python.

A graph is written down operation by operation, in the order of `generator.py`, `layers.py`, `positions.py` and
`encoder.py`, so that the two can be read side by side. It takes

    label, instance   int32 [H, W], any ids that a Layout takes
    noise             float32 [B, I, 2, Z], the noise for each of the generator's B blocks
    latent            float32 [1, D]
    picture           float32 [1, 3, H, W], for an encoder

and gives `image`, float32 [1, 3, H, W], or, for an encoder, `mu` and `logvar`. What a network does not use is no input
of its graph. A graph has one size and takes one picture at a time.

Shipped weights are float16, and so a graph stores them. Whoever runs it makes them float32 once, while it is loaded.
"""

import numpy as np
import paddle

from ..encoder import InstanceEncoder
from ..layers import INADE
from ..maps import nearest_indices
from ..methods import SPADE, ClassEncoder, ClassNoise, ImageEncoder
from ..modules import InstanceNorm
from ..noise import NoiseParams
from ..positions import HALF, PatternEncoder, PositionINADE
from ..prior import LEAST
from ..waves import DARKEST, LUMINANCE, OCTAVES, PLAIN_PIXELS, WAVES, held

OPSET = 18  # the first whose ScatterElements knows min


def generator_graph(generator):
    """A generator in eval mode as an onnx.ModelProto.

    ValueError for a layer that has no graph: there are INADE, PositionINADE, ClassNoise and SPADE, with instance norm.

    >>> import inade_lite as il
    >>> generator = il.Generator(2, image_size=8, noise_dim=5, latent_dim=6, base_channels=2, num_upsamplings=2)
    >>> _ = generator.eval()
    >>> sorted(node.name for node in generator_graph(generator).graph.input)
    ['instance', 'label', 'latent', 'noise']
    """
    g = Graph()
    maps = Maps(g, generator.image_size, generator.num_classes)
    noise = None
    if generator.level != "image":
        noise = g.input("noise", np.float32, [len(generator.blocks), "I", 2, generator.noise_dim])
    latent = g.input("latent", np.float32, [1, generator.latent_dim])

    x = g.Gemm(latent, g.weight(generator.fc.weight), g.weight(generator.fc.bias))
    size = generator.start_size
    x = g.Reshape(x, [1, -1, *size])
    for i, block in enumerate(generator.blocks):
        if i in generator.upsample_before:
            x = _double(g, x, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
            size = (2 * size[0], 2 * size[1])
        own = noise and g.Gather(noise, i, axis=0)  # [B, I, 2, Z] -> [I, 2, Z]
        x = _residual_block(g, block, x, maps, size, own)
    x = g.LeakyRelu(x, alpha=0.2)
    x = _convolution(g, generator.to_image, x)
    return g.model({g.Tanh(x): ("image", [1, 3, *size])})


def encoder_graph(encoder, image_size, num_classes):
    """An encoder in eval mode as an onnx.ModelProto; image_size: (H, W).

    Its outputs are mu and logvar, float32 [I, 2, Z] where I is the largest instance id + 1. Those of an ImageEncoder
    are one row, [1, 2, D / 2], the halves of the latent. ValueError for an encoder that has no graph.

    >>> import inade_lite as il
    >>> model = encoder_graph(il.InstanceEncoder(noise_dim=5, base_channels=4), (16, 16), num_classes=2)
    >>> [node.name for node in model.graph.output]
    ['mu', 'logvar']
    """
    if type(encoder) not in ENCODERS:
        raise ValueError(f"{type(encoder).__name__} has no graph; expected one of {_names(ENCODERS)}")
    g = Graph()
    maps = Maps(g, image_size, num_classes)
    picture = g.input("picture", np.float32, [1, 3, *image_size])
    mu, logvar, shape = ENCODERS[type(encoder)](g, encoder, picture, maps)
    return g.model({mu: ("mu", shape), logvar: ("logvar", shape)})


# ---- Writing a graph down


class Graph:
    """The nodes of a graph in the making: `g.Conv(x, weight, pads=...)` adds one and returns its output's name.

    Every operation of ONNX is a method. An input is the name of what another node returned, or an array, a number or a
    list of integers, which becomes a constant; None leaves an input out. A Python float is float32, an int is int64.

    >>> g = Graph()
    >>> y = g.Add(g.input("x", np.float32, [2]), 1.0)
    >>> model = g.model({y: ("y", [2])})
    >>> [node.op_type for node in model.graph.node]
    ['Add', 'Identity']
    """

    def __init__(self):
        import onnx  # not before it is needed: only who builds the page has it

        self._onnx = onnx
        self._nodes = []
        self._inputs = []
        self._constants = {}
        self._kept = {}

    def input(self, name, dtype, shape):
        """An input of the whole graph; a length that is not known beforehand is a name."""
        kind = self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self._inputs.append(self._onnx.helper.make_tensor_value_info(name, kind, shape))
        return name

    def __getattr__(self, operation):
        if not operation[0].isupper():
            raise AttributeError(operation)
        return lambda *inputs, **attributes: self.add(operation, inputs, attributes)[0]

    def add(self, operation, inputs, attributes, outputs=1):
        """A node; returns the names of its outputs."""
        names = [self._name(value) for value in inputs]
        made = [f"{operation}_{len(self._nodes)}_{k}" for k in range(outputs)]
        self._nodes.append(self._onnx.helper.make_node(operation, names, made, **attributes))
        return made

    def split(self, x, count, axis):
        """The names of `count` equal parts of x."""
        return self.add("Split", [x], {"axis": axis, "num_outputs": count}, count)

    def weight(self, value):
        """A trained tensor, as float16 where that is exact, else as float32."""
        value = np.asarray(value.numpy() if isinstance(value, paddle.Tensor) else value, np.float32)
        half = value.astype(np.float16)
        if np.array_equal(half.astype(np.float32), value):
            return self.Cast(half, to=self._onnx.TensorProto.FLOAT)
        return self._name(value)

    def once(self, key, make):
        """What make() returns, called when `key` is first asked for."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def integers(self, x):
        return self.Cast(x, to=self._onnx.TensorProto.INT64)

    def floats(self, x):
        return self.Cast(x, to=self._onnx.TensorProto.FLOAT)

    def _name(self, value):
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        if isinstance(value, float):
            value = np.float32(value)
        value = np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = self._onnx.numpy_helper.from_array(value, name)
        return self._constants[key].name

    def model(self, outputs):
        """The onnx.ModelProto. outputs: {a node's output: (the graph's name for it, its shape)}, all float32."""
        helper = self._onnx.helper
        infos = []
        for made, (name, shape) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [made], [name]))
            infos.append(helper.make_tensor_value_info(name, self._onnx.TensorProto.FLOAT, shape))
        graph = helper.make_graph(self._nodes, "inade_lite", self._inputs, infos, list(self._constants.values()))
        # The oldest format that knows the opset, so that old readers read it, too.
        opset = helper.make_opsetid("", OPSET)
        version = helper.find_min_ir_version_for([opset])
        model = helper.make_model(graph, opset_imports=[opset], ir_version=version, producer_name="inade_lite")
        self._onnx.checker.check_model(model)
        return model


class Maps:
    """What all layers need of the label map and the instance map, see `maps.py`.

    The regions are found in the graph, so that it takes any maps. As in a Layout, resized maps are kept.

    >>> g = Graph()
    >>> isinstance(Maps(g, (4, 4), num_classes=2).regions((2, 2)), str)
    True
    """

    def __init__(self, g, size, num_classes):
        self.g = g
        self.size = tuple(size)
        self.num_classes = num_classes

    # A map becomes an input of the graph when it is first asked for.

    @property
    def label(self):
        """[H, W]."""
        return self._map("label")

    @property
    def instance(self):
        """[H, W]."""
        return self._map("instance")

    def _map(self, name):
        return self.g.once(name, lambda: self.g.integers(self.g.input(name, np.int32, self.size)))

    def resize(self, x, size):
        """A map [H, W] at feature size (h, w), the nearest pixels."""
        if tuple(size) == self.size:
            return x

        def make():
            rows = nearest_indices(self.size[0], size[0])
            columns = nearest_indices(self.size[1], size[1])
            return self.g.Gather(self.g.Gather(x, rows, axis=0), columns, axis=1)

        return self.g.once((x, tuple(size)), make)

    # ---- Regions

    def _numbered(self):
        """The number of each pixel's region [H, W], the class and the instance of each region, both [R]."""

        def make():
            g = self.g
            key = g.Add(g.Mul(self.instance, self.num_classes), self.label)
            keys, _, index = g.add("Unique", [g.Reshape(key, [-1])], {"sorted": 1}, 3)
            return g.Reshape(index, self.size), g.Mod(keys, self.num_classes), g.Div(keys, self.num_classes)

        return self.g.once("regions", make)

    def regions(self, size):
        """The region of each pixel, [h, w]."""
        return self.resize(self._numbered()[0], size)

    @property
    def region_label(self):
        return self._numbered()[1]

    @property
    def region_instance(self):
        return self._numbered()[2]

    def noise(self, noise):
        """The noise of each region: [I, 2, Z] -> [R, 2, Z]."""
        return self.g.once((self, noise), lambda: self.g.Gather(noise, self.region_instance, axis=0))

    def paint(self, table, size):
        """Give every pixel the row of its region: [R, C] -> [1, C, h, w]."""
        g = self.g
        # Rows first, because to gather single numbers takes several times as long.
        rows = g.Gather(table, self.regions(size), axis=0)  # [h, w, C]
        return g.Unsqueeze(g.Transpose(rows, perm=[2, 0, 1]), [0])

    def by_class(self):
        """These maps with one instance for each class, the lowest id of the class's instances."""
        return self.g.once("by_class", lambda: ClassMaps(self))

    # ---- Instances

    def least(self, values, beyond):
        """The least of the values [H*W] in each instance, [I]; `beyond` for an absent one."""
        g = self.g
        start = g.Expand(np.int64(beyond), self.count)
        return g.ScatterElements(start, self.flat_instance, values, reduction="min")

    @property
    def flat_instance(self):
        return self.g.once(("flat", self.instance), lambda: self.g.Reshape(self.instance, [-1]))

    @property
    def count(self):
        """The number of instances I, the largest id + 1, as a shape [1]."""

        def make():
            largest = self.g.ReduceMax(self.flat_instance, keepdims=1)
            return self.g.Add(largest, [1])

        return self.g.once(("count", self.instance), make)

    def corners(self):
        """The first row and the first column of each instance, both [I]."""

        def make():
            found = []
            for axis, side in enumerate(self.size):
                line = np.arange(side).reshape(-1, 1) if axis == 0 else np.arange(side)
                place = self.g.Expand(line, self.size)  # is computed while the graph is loaded
                found.append(self.least(self.g.Reshape(place, [-1]), side))
            return found

        return self.g.once("corners", make)

    def pixels(self):
        """The number of pixels of each instance, float32 [I, 1]."""
        ones = self.g.Expand(1.0, [self.size[0] * self.size[1], 1])
        return self.g.once(("pixels", self.instance), lambda: self.pool(ones, 1))

    def pool(self, rows, channels):
        """The sum of rows [H*W, C] over the pixels of each instance: [I, C]."""
        g = self.g
        start = g.Expand(np.float32(0), g.Concat(self.count, [channels], axis=0))
        return g.ScatterND(start, g.Unsqueeze(self.flat_instance, [1]), rows, reduction="add")

    def mean(self, rows, channels):
        """The mean of rows [H*W, C] over the pixels of each instance, zeros for an absent one: [I, C]."""
        return self.g.Div(self.pool(rows, channels), self.g.Max(self.pixels(), 1.0))

    # ---- Maps that layers see

    def scene(self, size):
        """One-hot labels and edges, float32 [1, L + 1, h, w]."""

        def make():
            g = self.g
            label = self.resize(self.label, size)
            one_hot = g.Equal(label, np.arange(self.num_classes).reshape(-1, 1, 1))
            edges = g.Unsqueeze(self.resize(self._edges(), size), [0])
            return g.Unsqueeze(g.floats(g.Concat(one_hot, edges, axis=0)), [0])

        return self.g.once(("scene", tuple(size)), make)

    def _edges(self):
        """Where one of the 4 neighbors belongs to another instance, bool [H, W]."""

        def make():
            g = self.g
            inner = None
            # Beyond the picture lies what is at its border.
            for same in shifts(g, self.instance, self.size, "edge", [(0, 1), (1, 0), (1, 2), (2, 1)]):
                same = g.Equal(same, self.instance)
                inner = same if inner is None else g.And(inner, same)
            return g.Not(inner)

        return self.g.once("edges", make)

    def waves(self, size, octaves=OCTAVES):
        """The waves of `waves.waves`, float32 [1, K, h, w]."""

        def make():
            g = self.g
            sin_b, cos_b = self._stripes(0, size, octaves)
            sin_a, cos_a = self._stripes(1, size, octaves)
            dots = [g.Mul(a, b) for a in (sin_a, cos_a) for b in (sin_b, cos_b)]
            x = g.Concat(sin_a, sin_b, cos_a, cos_b, *dots, axis=1)  # [octaves, 8, h, w]
            return g.Reshape(x, [1, -1, *size])

        return self.g.once(("waves", tuple(size), tuple(octaves)), make)

    def _stripes(self, axis, size, octaves):
        """Sin and cos of each pixel's place along an axis, both [octaves, 1, h, w].

        Pixels lie a whole number of pixels behind the corner of their instance, so all values stand in a short table.
        """
        g = self.g
        pixel = nearest_indices(self.size[axis], size[axis])  # of the map, for each of the features
        if axis == 0:
            pixel = pixel[:, None]
        ids = self.resize(self.instance, size)
        behind = g.Sub(pixel, g.Gather(self.corners()[axis], ids, axis=0))  # [h, w]

        step = self.size[axis] / size[axis]
        centers = np.arange(self.size[axis]) + step / 2
        angles = 2 * np.pi * np.multiply.outer(held(octaves, size[0]), centers / self.size[0])
        tables = [wave(angles).astype(np.float32) for wave in (np.sin, np.cos)]  # [octaves, H or W]
        return [g.Gather(table[:, None], behind, axis=2) for table in tables]


class ClassMaps(Maps):
    """Maps.by_class(): the regions are the classes, all L of them.

    >>> isinstance(ClassMaps(Maps(Graph(), (4, 4), num_classes=2)), Maps)
    True
    """

    def __init__(self, maps):
        g = maps.g
        self.g = g
        self.size = maps.size
        self.num_classes = maps.num_classes
        self.all = maps
        # An absent class gets the largest id. It has no pixels, so nobody sees what it owns.
        largest = g.Expand(g.Sub(maps.count, [1]), [self.num_classes])
        labels = g.Reshape(self.label, [-1])
        self.lowest = g.ScatterElements(largest, labels, maps.flat_instance, reduction="min")  # [L]
        self.merged = g.Gather(self.lowest, self.label, axis=0)

    @property
    def instance(self):
        return self.merged

    @property
    def count(self):
        return self.all.count  # those that are merged into others keep their rows

    def _numbered(self):
        return self.label, np.arange(self.num_classes), self.lowest


def shifts(g, x, size, outside, taps, stride=1):
    """A map [H, W], moved: for each tap (row, column), 0 to 2, what lies there in the 3x3 window of each pixel.

    outside: the number beyond the map, or "edge" for what is at its border.

    >>> g = Graph()
    >>> len(shifts(g, g.input("x", np.int64, [4, 4]), (4, 4), -1, [(0, 0), (1, 1)]))
    2
    """
    if outside == "edge":
        x = g.Pad(x, [1, 1, 1, 1], mode="edge")
    else:
        x = g.Pad(x, [1, 1, 1, 1], outside)
    steps = [stride, stride]
    return [g.Slice(x, [row, col], [row + size[0], col + size[1]], [0, 1], steps) for row, col in taps]


# ---- The generator


def _residual_block(g, block, x, maps, size, noise):
    """`generator.ResidualBlock`: x [1, C_in, h, w] -> [1, C_out, h, w]."""
    inputs = block.conv_0.weight.shape[1]
    middle = block.conv_1.weight.shape[1]
    normal = _layer_norm(g, block.norm_0, x, inputs)  # norm_0 and norm_s begin alike
    shortcut = x
    if block.learned_shortcut:
        shortcut = _modulate(g, block.norm_s, normal, maps, size, noise)
        shortcut = _spectral_convolution(g, block.conv_s, shortcut)
    y = _modulate(g, block.norm_0, normal, maps, size, noise)
    y = g.LeakyRelu(y, alpha=0.2)
    y = _spectral_convolution(g, block.conv_0, y)
    y = _layer_norm(g, block.norm_1, y, middle)
    y = _modulate(g, block.norm_1, y, maps, size, noise)
    y = g.LeakyRelu(y, alpha=0.2)
    y = _spectral_convolution(g, block.conv_1, y)
    return g.Add(shortcut, y)


def _layer_norm(g, layer, x, channels):
    """The norm of a layer that modulates, before scale and shift: [1, C, h, w]."""
    if not isinstance(layer.norm, InstanceNorm):
        raise ValueError(f"{type(layer.norm).__name__} has no graph; expected InstanceNorm")
    return _instance_norm(g, x, channels)


def _instance_norm(g, x, channels):
    """`kernels.instance_norm`: x [1, C, h, w] -> [1, C, h, w]."""
    ones = np.ones(channels, np.float32)
    return g.InstanceNormalization(x, ones, 0 * ones, epsilon=1e-5)


def _modulate(g, layer, normal, maps, size, noise):
    """A layer that modulates, behind its norm: [1, C, h, w] -> [1, C, h, w]."""
    if type(layer) not in MODULATIONS:
        raise ValueError(f"{type(layer).__name__} has no graph; expected one of {_names(MODULATIONS)}")
    return MODULATIONS[type(layer)](g, layer, normal, maps, size, noise)


def _inade(g, layer, normal, maps, size, noise):
    """`layers.INADE`."""
    n = g.MatMul(maps.noise(noise), g.weight(layer.fc_noise.weight))  # [R, 2, Z] -> [R, 2, C]
    n = g.Add(n, g.weight(layer.fc_noise.bias))
    w = g.Gather(g.weight(layer.weight.transpose([0, 2, 1])), maps.region_label, axis=0)  # [L, 2, C] -> [R, 2, C]
    b = g.Gather(g.weight(layer.bias.transpose([0, 2, 1])), maps.region_label, axis=0)
    table = g.Add(g.Mul(w, n), b)
    painted = maps.paint(g.Flatten(table, axis=1), size)  # [R, 2 C] -> [1, 2 C, h, w]
    scale, shift = g.split(painted, 2, axis=1)
    return g.Add(g.Mul(normal, scale), shift)


def _class_noise(g, layer, normal, maps, size, noise):
    """`methods.ClassNoise`."""
    return _inade(g, layer, normal, maps.by_class(), size, noise)


def _position_inade(g, layer, normal, maps, size, noise):
    """`positions.PositionINADE`, in use."""
    out = _inade(g, layer, normal, maps, size, noise)
    octaves = held(layer.octaves, size[0])
    if not octaves:
        return out
    wave = maps.waves(size, layer.octaves)  # [1, K, h, w]
    count = WAVES * len(octaves)
    n = g.MatMul(g.Flatten(maps.noise(noise), axis=1), g.weight(layer.fc_wave.weight[:, :count]))  # [R, 2 Z] -> [R, K]
    n = g.Add(n, g.weight(layer.fc_wave.bias[:count]))
    w = g.Gather(g.weight(layer.wave_weight[:, :count]), maps.region_label, axis=0)  # [L, K] -> [R, K]
    b = g.Gather(g.weight(layer.wave_bias[:, :count]), maps.region_label, axis=0)
    s = g.Div(g.Add(g.Mul(w, n), b), HALF ** (1 / 3))
    square = g.Mul(s, s)
    loudness = g.Tanh(g.Mul(g.Mul(g.Mul(square, square), s), HALF))
    heard = g.Mul(maps.paint(loudness, size), wave)
    mix = g.weight(layer.mix[:count].t().unsqueeze([2, 3]))  # [C, K, 1, 1]
    return g.Add(out, g.Conv(heard, mix))


def _spade(g, layer, normal, maps, size, noise):
    """`methods.SPADE`."""
    m = _convolution(g, layer.shared, maps.scene(size))
    m = g.Relu(m)
    scale = g.Add(_convolution(g, layer.gamma, m), 1.0)
    return g.Add(g.Mul(normal, scale), _convolution(g, layer.beta, m))


MODULATIONS = {INADE: _inade, PositionINADE: _position_inade, ClassNoise: _class_noise, SPADE: _spade}


def _names(table):
    return ", ".join(key.__name__ for key in table)


# ---- What networks are made of


def _convolution(g, conv, x):
    """`modules.Conv2D`: x [1, C, h, w] -> [1, O, h', w']."""
    return _conv(g, x, g.weight(conv.weight), conv.bias, conv._stride[0], conv._padding)


def _spectral_convolution(g, conv, x):
    """`modules.SpectralConv2D` in eval mode. The weight is divided in the graph, while it is loaded."""
    matrix = conv.weight.flatten(1)
    sigma = paddle.dot(conv.u, paddle.matmul(matrix, conv.v))
    weight = g.Div(g.weight(conv.weight), float(sigma))
    return _conv(g, x, weight, conv.bias, conv.stride, conv.padding)


def _conv(g, x, weight, bias, stride, padding):
    bias = None if bias is None else g.weight(bias)
    return g.Conv(x, weight, bias, strides=[stride, stride], pads=[padding] * 4)


def _double(g, x, **how):
    """Twice the size, [1, C, h, w] -> [1, C, 2h, 2w]. how: attributes of Resize."""
    return g.Resize(x, None, np.float32([1, 1, 2, 2]), **how)


# ---- The encoders


def _instance_encoder(g, encoder, picture, maps):
    """`encoder.InstanceEncoder`: mu and logvar, [I, 2, Z], and that shape."""
    params, z = _heads(g, encoder, picture, maps)  # [I, 4, Z]
    return g.Gather(params, [0, 2], axis=1), g.Gather(params, [1, 3], axis=1), ["I", 2, z]


def _heads(g, encoder, picture, maps):
    """The four means of each instance, [I, 4, Z] in the order of NoiseParams, and Z."""
    size = maps.size
    x = picture
    skips = []
    for conv in encoder.down:
        x, size = _instance_convolution(g, conv, x, maps, size)
        skips.append(x)
    x = skips.pop()
    x, size = _instance_convolution(g, encoder.middle, x, maps, size)
    for conv in encoder.up:
        x = _double_smoothly(g, x)
        size = (2 * size[0], 2 * size[1])
        x, size = _instance_convolution(g, conv, g.Concat(x, skips.pop(), axis=1), maps, size)
    x = _double_smoothly(g, x)

    # All heads at once, as one convolution of 4 Z channels.
    weight = np.concatenate([head.weight.numpy() for head in encoder.heads])
    bias = np.concatenate([head.bias.numpy() for head in encoder.heads])
    x = _lookup(g, x, weight, bias, maps, maps.size, stride=1)  # [H*W, 4 Z]
    z = len(weight) // len(NoiseParams._fields)
    means = maps.mean(x, 4 * z)  # [I, 4 Z]
    return g.Reshape(means, [-1, 4, z]), z


def _instance_convolution(g, conv, x, maps, size):
    """An `layers.InstanceConv2D` 3x3, its norm and its leaky ReLU: [1, O, h', w'] and (h', w')."""
    x = _lookup(g, x, conv.weight.numpy(), conv.bias.numpy(), maps, size, conv.stride)  # [windows, O]
    size = tuple(-(-side // conv.stride) for side in size)
    channels = conv.weight.shape[0]
    x = g.Reshape(g.Transpose(x, perm=[1, 0]), [1, channels, *size])
    x = _instance_norm(g, x, channels)
    return g.LeakyRelu(x, alpha=0.2), size


def _lookup(g, x, weight, bias, maps, size, stride):
    """`kernels.lookup`, with a bias: x [1, C, h, w], weight [O, C, 3, 3], bias [O] -> [windows, O]."""
    outputs, channels = weight.shape[:2]
    rows = g.Transpose(g.Reshape(x, [channels, -1]), perm=[1, 0])
    table = g.Concat(rows, np.zeros([1, channels], np.float32), axis=0)  # [h*w + 1, C]
    read = g.Gather(table, _taps(g, maps, size, stride), axis=0)  # [windows, 9, C]
    read = g.Reshape(read, [-1, 9 * channels])
    matrix = weight.reshape(outputs, channels, 9).transpose(2, 1, 0).reshape(9 * channels, outputs)
    return g.Add(g.MatMul(read, g.weight(matrix)), g.weight(bias))


def _taps(g, maps, size, stride):
    """`Layout.taps` for 3x3 windows with padding 1: the row that each tap reads, [windows, 9]."""

    def make():
        ids = maps.resize(maps.instance, size)
        windows = [(row, col) for row in range(3) for col in range(3)]
        owners = shifts(g, ids, size, -1, windows, stride)
        zeros = size[0] * size[1]  # the row behind those of all pixels
        rows = shifts(g, g.Reshape(g.Range(0, zeros, 1), size), size, zeros, windows, stride)
        read = []
        for owner, row in zip(owners, rows, strict=True):
            row = g.Where(g.Equal(owner, owners[4]), row, zeros)
            read.append(g.Reshape(row, [-1, 1]))
        return g.Concat(*read, axis=1)

    return g.once(("taps", maps, tuple(size), stride), make)


def _double_smoothly(g, x):
    return _double(g, x, mode="linear", coordinate_transformation_mode="half_pixel")


def _class_encoder(g, encoder, picture, maps):
    """`methods.ClassEncoder`."""
    return _instance_encoder(g, encoder, picture, maps.by_class())


def _pattern_encoder(g, encoder, picture, maps):
    """`positions.PatternEncoder`."""
    mu, logvar, (_, _, z) = _instance_encoder(g, encoder, picture, maps)
    first, _, last = encoder.pattern
    x = g.Mul(_strengths(g, picture, maps), float(encoder.GAIN))
    x = g.Gemm(x, g.weight(first.weight), g.weight(first.bias))
    x = g.LeakyRelu(x, alpha=0.2)
    x = g.Gemm(x, g.weight(last.weight), g.weight(last.bias))  # [I, 2 Z]
    mu = g.Add(g.Reshape(mu, [-1, 2 * z]), x)
    logvar = g.Reshape(logvar, [-1, 2 * z])

    # Standardized by class. An absent instance keeps its zeros.
    labels = g.Reshape(maps.label, [-1])
    label = maps.least(labels, maps.num_classes - 1)  # [I]
    mean = g.Gather(g.weight(encoder.standardize.mean), label, axis=0)
    variance = g.Max(g.Gather(g.weight(encoder.standardize.variance), label, axis=0), LEAST)
    mu = g.Div(g.Sub(mu, mean), g.Sqrt(variance))
    logvar = g.Sub(logvar, g.Log(variance))
    present = g.Min(maps.pixels(), 1.0)
    shape = [-1, 2, z]
    return g.Reshape(g.Mul(mu, present), shape), g.Reshape(g.Mul(logvar, present), shape), ["I", 2, z]


def _strengths(g, picture, maps):
    """`waves.strengths`, [I, K], at the octaves of `waves.OCTAVES`."""
    count = WAVES * len(held(OCTAVES, maps.size[0]))
    weights = np.float32(LUMINANCE).reshape(1, 3, 1, 1)
    luminance = g.ReduceSum(g.Mul(g.Add(picture, 1.0), weights), [1], keepdims=1)
    luminance = g.Reshape(luminance, [-1, 1])  # [H*W, 1]
    mean = maps.mean(luminance, 1)  # [I, 1]
    deviation = g.Sub(luminance, g.Gather(mean, maps.flat_instance, axis=0))
    wave = g.Transpose(g.Reshape(maps.waves(maps.size), [count, -1]), perm=[1, 0])  # [H*W, K]
    found = g.Mul(maps.mean(g.Mul(deviation, wave), count), 2.0)
    found = g.Div(found, g.Max(mean, DARKEST))
    pixels = maps.pixels()
    return g.Mul(found, g.Div(pixels, g.Add(pixels, PLAIN_PIXELS * maps.size[0] ** 2)))


def _image_encoder(g, encoder, picture, maps):
    """`methods.ImageEncoder`: mu and logvar, [1, 2, D / 2], and that shape."""
    x = picture
    for conv in encoder.down:
        x = _instance_norm(g, _convolution(g, conv, x), conv.weight.shape[0])
        x = g.LeakyRelu(x, alpha=0.2)
    height, width = maps.size
    for _ in encoder.down:
        height, width = (height + 1) // 2, (width + 1) // 2
    x = g.Div(g.Flatten(x, axis=1), float(height * width))
    x = g.Gemm(x, g.weight(encoder.head.weight), g.weight(encoder.head.bias))
    m, logvar = g.split(x, 2, axis=1)
    batch = encoder.standardize
    deviation = np.sqrt(batch._variance.numpy() + batch._epsilon)
    mu = g.Mul(g.Div(g.Sub(m, batch._mean.numpy()), deviation), encoder.MEAN_STD)
    half = batch._mean.shape[0] // 2
    return g.Reshape(mu, [1, 2, half]), g.Reshape(logvar, [1, 2, half]), [1, 2, half]


ENCODERS = {
    InstanceEncoder: _instance_encoder,
    PatternEncoder: _pattern_encoder,
    ClassEncoder: _class_encoder,
    ImageEncoder: _image_encoder,
}
