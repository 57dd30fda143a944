"""What is right: for each exercise a function from an answer to whether it is.

Where an exercise asks for code, the answer is a function or a class. It is run on inputs that its author has not seen,
beside the package's or beside a loop.
"""

import numpy as np
import paddle
import paddle.nn.functional as F

from ..config import TrainConfig
from ..data.batches import collate
from ..data.sets import FolderDataset
from ..data.toy_town import ToyTown
from ..generator import ResidualBlock
from ..layers import INADE, InstanceConv2D
from ..maps import Layout
from ..noise import sample_noise
from ..training import Trainer
from ..waves import OCTAVES
from ..weights.pretrained import load_pretrained

# ---- Kinds of answers


def numbers(*wanted, within=0.0):
    """The answer is these numbers, in this order, each at most so far off.

    >>> numbers(34, 3)((34, 3)), numbers(0.5, within=0.1)(0.55), numbers(1, 2)([1])
    (True, True, False)
    """

    def is_right(answer):
        found = np.asarray(answer, float).reshape(-1)
        return len(found) == len(wanted) and bool((np.abs(found - wanted) <= within).all())

    return is_right


def between(low, high):
    """The answer is a number from low to high.

    >>> between(0, 1)(0.5), between(0, 1)(2)
    (True, False)
    """
    return lambda answer: low <= float(answer) <= high


def word(*wanted):
    """The answer is one of these words, in letters of any size.

    >>> word("kl")("KL"), word("kl")("pixel")
    (True, False)
    """
    return lambda answer: str(answer).strip().lower() in wanted


def like(reference, inputs):
    """The answer is a function that gives what the reference gives, for three draws of inputs(random), a tuple.

    >>> like(lambda x: 2 * x, lambda random: (random.random(3),))(lambda x: x + x)
    True
    """

    def is_right(answer):
        for seed in range(3):
            given = inputs(np.random.default_rng(seed))
            if not close(answer(*given), reference(*given)):
                return False
        return True

    return is_right


def close(ours, theirs):
    """Whether two arrays or Tensors, or two tuples of them, have the same shapes and nearly the same numbers.

    >>> close(paddle.ones([2]), np.ones(2)), close(np.ones(2), np.ones(3))
    (True, False)
    """
    if isinstance(theirs, tuple | list):
        return len(ours) == len(theirs) and all(close(*pair) for pair in zip(ours, theirs, strict=True))
    ours, theirs = _array(ours), _array(theirs)
    return ours.shape == theirs.shape and bool(np.allclose(ours, theirs, rtol=1e-3, atol=1e-4))


def _array(x):
    return x.numpy() if isinstance(x, paddle.Tensor) else np.asarray(x)


def _normal(random, *shape):
    return paddle.to_tensor(random.standard_normal(shape).astype("float32"))


def _ids(random, *shape, count=4):
    return paddle.to_tensor(random.integers(0, count, shape))


def _layout(random, size=(8, 8), classes=3, instances=5):
    return Layout(
        random.integers(0, classes, [2, *size]), random.integers(0, instances, [2, *size]), classes, instances
    )


# ---- Notebook 1: unfold, einsum, clip


def _means_by_loop(photo, one_hot):
    """photo [N, C, H, W], one_hot [N, I, H, W] -> [N, I, C], zeros for an absent instance."""
    n, i = one_hot.shape[:2]
    means = np.zeros([n, i, photo.shape[1]])
    for image in range(n):
        for instance in range(i):
            mask = one_hot.numpy()[image, instance] == 1
            if mask.any():
                means[image, instance] = photo.numpy()[image][:, mask].mean(axis=1)
    return means


def _photo_and_one_hot(random):
    one_hot = F.one_hot(_ids(random, 2, 6, 6), 5).transpose([0, 3, 1, 2])  # the last instance never occurs
    return _normal(random, 2, 3, 6, 6), one_hot


def _edges(instance):
    layout = Layout(paddle.zeros_like(instance[:, 0]), instance[:, 0], num_classes=1)
    return layout.edges()


def _image_and_kernel(random):
    """image, weight, bias, stride, padding: one of three kinds of windows."""
    k, stride, padding = ((3, 2, 1), (5, 1, 0), (1, 3, 2))[int(random.integers(99)) % 3]
    return _normal(random, 2, 3, 9, 11), _normal(random, 4, 3, k, k), _normal(random, 4), stride, padding


def _class_times_instance(equation):
    random = np.random.default_rng(0)
    weight, noise = _normal(random, 3, 4), _normal(random, 2, 5, 4)
    classes = F.one_hot(_ids(random, 2, 6, 7, count=3), 3).transpose([0, 3, 1, 2])
    instances = F.one_hot(_ids(random, 2, 6, 7, count=5), 5).transpose([0, 3, 1, 2])
    by_class = paddle.einsum("lc,nlhw->nchw", weight, classes)
    by_instance = paddle.einsum("nic,nihw->nchw", noise, instances)
    return close(paddle.einsum(equation, weight, classes, noise, instances), by_class * by_instance)


# ---- Notebook 2: the INADE layer


def _is_clade(parameters):
    """Whether weight and bias, made of gamma and beta [L, C], make INADE a table look-up, whatever the noise."""
    random = np.random.default_rng(0)
    layout, x = _layout(random), _normal(random, 2, 4, 8, 8)
    gamma, beta = _normal(random, 3, 4), _normal(random, 3, 4)
    layer = INADE(4, 3, 5)
    weight, bias = parameters(gamma, beta)
    layer.weight.set_value(_array(weight).astype("float32"))
    layer.bias.set_value(_array(bias).astype("float32"))
    scale, shift = (paddle.einsum("lc,nlhw->nchw", table, layout.semantics()) for table in (gamma, beta))
    return close(layer(x, layout, 3 * sample_noise(layout, 5, 0)), scale * layer.norm(x) + shift)


def _layer_and_class(random):
    paddle.seed(int(random.integers(99)))
    layer = INADE(4, 3, 5)
    layer.bias.set_value(_normal(random, 3, 4, 2))
    layer.fc_noise.bias.set_value(_normal(random, 4))
    return layer, int(random.integers(3))


def _without_noise(layer, label):
    """Scale and shift [C] of a class where the noise is 0: w * a + b, with a the bias of fc_noise."""
    centers = layer.weight[label] * layer.fc_noise.bias.unsqueeze(-1) + layer.bias[label]  # [C, 2]
    return centers[:, 0], centers[:, 1]


def _is_inade(layer):
    """Whether a class computes what INADE computes with the same parameters, for maps larger than the features."""
    random = np.random.default_rng(0)
    ours, theirs = layer(4, 3, 5), INADE(4, 3, 5)
    _share_parameters(random, ours, theirs)
    layout, x, noise = _layout(random), _normal(random, 2, 4, 4, 4), _normal(random, 2, 5, 2, 5)
    return close(ours(x, layout, noise), theirs(x, layout, noise))


def _share_parameters(random, ours, theirs):
    """Gives both layers the same random parameters. ValueError where the names or shapes differ."""
    state = {name: _normal(random, *p.shape) for name, p in theirs.named_parameters()}
    found = {name: list(p.shape) for name, p in ours.named_parameters()}
    wanted = {name: list(p.shape) for name, p in state.items()}
    if found != wanted:
        raise ValueError(f"the parameters should be {wanted}, got {found}")
    for layer in ours, theirs:
        layer.set_state_dict(state)


# ---- Notebook 3: the encoder


def _is_instance_conv(layer):
    """Whether a class computes what InstanceConv2D computes, for several windows, and maps larger than the features."""
    random = np.random.default_rng(0)
    for window in ((3, 1, 1), (3, 2, 1), (5, 1, 2)):
        ours, theirs = layer(3, 4, *window), InstanceConv2D(3, 4, *window)
        _share_parameters(random, ours, theirs)
        for x in _normal(random, 2, 3, 8, 8), _normal(random, 2, 3, 4, 4):
            layout = _layout(random)
            if not close(ours(x, layout), theirs(x, layout)):
                return False
    return True


def _is_partial(partial):
    random = np.random.default_rng(0)
    layout = Layout(np.zeros([1, 12, 12], int), random.integers(0, 2, [1, 12, 12]), 1)
    half = np.zeros([1, 12, 12], int)
    half[:, :, 6:] = 1
    halves = Layout(half, half, 2)
    constant = paddle.full([1, 1, 12, 12], 0.7)
    image = _normal(random, 1, 1, 12, 12)
    middle = image.numpy()[0, 0, 3:6, 2:5].mean()  # a window that lies in one half
    stays = close(partial(constant, layout), constant)
    return stays and close(partial(image, halves)[0, 0, 4, 3], np.float32(middle))


def _deviation_by_loop(image, layout):
    """image [N, C, H, W] -> the standard deviation of each instance and channel, [N, I, C]; 0 for an absent one."""
    instance = layout.instance.numpy()
    found = np.zeros([len(layout), layout.num_instances, image.shape[1]])
    for n in range(len(layout)):
        for i in np.unique(instance[n]):
            found[n, i] = image.numpy()[n][:, instance[n] == i].std(axis=1)
    return found


def _image_with_an_even_instance(random):
    """An image and its Layout: one instance has a single color, and one does not occur."""
    instance = random.integers(0, 5, [2, 8, 8])
    image = random.standard_normal([2, 3, 8, 8]).astype("float32")
    image[np.broadcast_to(instance[:, None] == 0, image.shape)] = 0.1
    return paddle.to_tensor(image), Layout(0 * instance, instance, 1, 6)


def _crossing(size):
    """The share of windows of a street that cross a border of an instance, for windows of this size."""
    item = ToyTown("val", 64)[73]
    ids = item["instance"][None, None].astype("float32") + 1
    windows = F.unfold(paddle.to_tensor(ids), size, paddings=size // 2)  # [1, k*k, L]
    middle = windows[:, size * size // 2].unsqueeze(1)
    crosses = (windows != middle) & (windows > 0)  # 0 is padding
    return float(crosses.any(1).astype("float32").mean())


# ---- Notebook 4: noise remapping


@paddle.no_grad()
def _turns_redder(direction):
    """Whether one car turns redder along a direction [Z] of its shifts, nearly as much as along the best one."""
    direction = np.asarray(direction, "float32").reshape(-1)
    direction = direction / np.linalg.norm(direction)
    town = ToyTown("val", 64)
    street = town[21]
    ids = street["instance"]
    car = ids[street["label"] == town.class_names.index("car")].max()
    generator = load_pretrained("inade").generator
    layout = Layout(*(street[name][None].repeat(2, 0) for name in ("label", "instance")), town.num_classes)
    noise = sample_noise(layout[:1], generator.noise_dim, 0).numpy().repeat(2, 0)
    noise[:, car, 0] = 0
    noise[:, car, 1] = -direction, direction
    painted = generator(layout, paddle.to_tensor(noise), paddle.zeros([2, generator.latent_dim])).numpy()
    less, more = painted[:, :, ids == car].mean(axis=2)  # RGB each
    red, green, blue = more - less
    return red > 0 and green + blue < 0 and red - (green + blue) / 2 > 1.4


# ---- Notebook 5: generator and discriminator


def _is_residual_block(block_class):
    random = np.random.default_rng(0)
    layout = _layout(random)

    def modulation(channels):
        return INADE(channels, 3, 5)

    for channels in ((6, 6), (6, 3)):
        package = ResidualBlock(*channels, modulation)
        ours = block_class(*channels, modulation)
        missing, unexpected = ours.set_state_dict(package.state_dict())
        x, noise = _normal(random, 2, 6, 8, 8), sample_noise(layout, 5, 0)
        if missing or unexpected or not close(ours(x, layout, noise), package(x, layout, noise)):
            return False
    return True


def _held_duel():
    """The path [401, 2] of theta and psi, at a rate of 0.2, with psi cut to -0.5 to 0.5."""
    theta, psi = 0.0, 0.0
    path = [(theta, psi)]
    for _ in range(400):
        slope = -1.0 * (1 - psi > 0) + theta * (1 + psi * theta > 0)
        psi = float(np.clip(psi - 0.2 * slope, -0.5, 0.5))
        theta = theta + 0.2 * psi
        path.append((theta, psi))
    return np.array(path)


# ---- Notebook 6: training


def _is_training_step(step):
    """Whether two steps leave four networks that answer as after two of the package's."""
    town = ToyTown("train", 32, length=4)
    batch = collate([town[i] for i in range(4)])
    tiny = {"base_channels": 2, "encoder_channels": 2, "discriminator_channels": 2, "num_upsamplings": 3}
    config = TrainConfig(**tiny)
    ours, theirs = Trainer(config, town), Trainer(config, town)
    for k in range(2):
        for trainer, take in ((ours, step), (theirs, Trainer.step)):
            trainer.steps_done = k
            paddle.seed(k)  # as the package's step does, whose seed is 0
            take(trainer, batch)
    # Adam's first steps have the length of the rate, however small a gradient is. So rounding may move an answer.
    pairs = zip(_answers(ours, batch), _answers(theirs, batch), strict=True)
    return all(float((a - b).abs().amax()) < 0.005 for a, b in pairs)


@paddle.no_grad()
def _answers(trainer, batch):
    """What generator, average, encoder and discriminator say to a batch."""
    layout, real = Layout.of(batch, trainer.dataset), paddle.to_tensor(batch["image"])
    noise, latent = sample_noise(layout, trainer.config.noise_dim, 0), paddle.zeros([4, trainer.config.latent_dim])
    scores = trainer.discriminator(paddle.concat([layout.scene(), real], axis=1))
    return (
        trainer.generator(layout, noise, latent),
        trainer.ema(layout, noise, latent),
        *trainer.encoder(real, layout),
        *(scale[-1] for scale in scores),
    )


# ---- Notebook 8: your own pictures


def _is_own_folder(dataset):
    item = dataset[0]
    persons = np.unique(item["instance"][item["label"] == 2])
    names = list(dataset.class_names) == ["background", "sky", "person"]
    return isinstance(dataset, FolderDataset) and names and len(np.unique(item["instance"])) == 4 and len(persons) == 2


# ---- Notebook 9: measuring diversity


def _red_and_green(colors):
    """The correlation of red and green of colors [K, I, 3], each instance centered by itself."""
    total = {"rg": 0.0, "rr": 0.0, "gg": 0.0}
    for instance in range(colors.shape[1]):
        red, green = (colors[:, instance, c] - colors[:, instance, c].mean() for c in (0, 1))
        total["rg"] += (red * green).sum()
        total["rr"] += (red * red).sum()
        total["gg"] += (green * green).sum()
    return total["rg"] / np.sqrt(total["rr"] * total["gg"])


def _some_colors(random):
    """Colors [K, I, 3] whose red and green share a part, and whose instances have means far apart."""
    shared = random.normal(0, 20, [6, 4, 1])
    return (random.uniform(0, 255, [1, 4, 3]) + random.normal(0, 20, [6, 4, 3]) + shared,)


# ---- Notebook 10: stripes


def _left_over(width):
    """The share of the variance of a period of 6 pixels that sines and cosines of the octaves do not hold."""
    x = np.arange(width)
    known = np.stack([f(2 * np.pi * x * octave / 64) for octave in OCTAVES for f in (np.cos, np.sin)], axis=1)
    wanted = np.cos(2 * np.pi * x / 6)
    rest = wanted - known @ np.linalg.lstsq(known, wanted, rcond=None)[0]
    return rest.var() / wanted.var()


def _sees_moved_stripes(losses):
    """Whether of two losses, of strengths and of amplitudes, the first sees stripes that moved, and the second not."""
    strengths, amplitudes = (float(loss) for loss in losses)
    return strengths > 0.005 and abs(amplitudes) < 0.001


# ---- Notebook 11: what came after


def _mean_velocity(x, t):
    """The mean of x_1 - x_0 over the lines that are at x [K] at time t; x_1 is -1 or 1, x_0 is N(0, 1)."""
    x_1 = np.tanh(t * x / (1 - t) ** 2)
    return (x_1 - x) / (1 - t)


def _share_reached(times, noise=0.07, data=0.4):
    """How far Euler's steps get from one deviation to the other, as a share of the other."""
    x = noise
    for t, after in zip(times[:-1], times[1:], strict=True):
        slope = (t * data**2 - (1 - t) * noise**2) / (t**2 * data**2 + (1 - t) ** 2 * noise**2)
        x += (after - t) * slope * x
    return x / data


def _label_mix(discriminator, real, fake, layout, chosen):
    """OASIS's LabelMix of pictures [N, 3, H, W] and the chosen classes, 0 or 1 [N, L]: a scalar."""
    mask = paddle.einsum("nl,nlhw->nhw", chosen, layout.semantics()).unsqueeze(1)
    parts = mask * discriminator(real) + (1 - mask) * discriminator(fake)
    return ((discriminator(mask * real + (1 - mask) * fake) - parts) ** 2).mean()


def _pictures_to_mix(random):
    """A discriminator that looks at neighbors, and what is mixed."""
    pictures = [_normal(random, 2, 3, 8, 8) for _ in range(2)]
    chosen = paddle.to_tensor(random.integers(0, 2, [2, 3]).astype("float32"))
    return lambda x: F.avg_pool2d(x, 3, 1, 1), *pictures, _layout(random), chosen


# ---- All of them


def _cars(answer):
    item = ToyTown("val", 64)[23]
    wanted = np.unique(item["instance"][item["label"] == ToyTown.class_names.index("car")])
    return numbers(*wanted)(np.sort(np.asarray(answer).reshape(-1)))


ANSWERS = {
    "0.1": _cars,
    "0.2": numbers(352),
    "0.3": lambda answer: 0 < float(answer) <= 2,
    "1.1": like(lambda image: F.max_pool2d(image, 2), lambda random: (_normal(random, 2, 3, 8, 8),)),
    "1.2": like(_means_by_loop, _photo_and_one_hot),
    "1.3": like(_edges, lambda random: (_ids(random, 2, 1, 6, 7),)),
    "1.4": like(F.conv2d, _image_and_kernel),
    "1.5": _class_times_instance,
    "2.1": lambda answer: sorted(set(np.round(_array(list(answer)), 2).ravel())) == [-1, 1],
    "2.2": _is_clade,
    "2.3": like(_without_noise, _layer_and_class),
    "2.4": numbers(1),
    "2.5": _is_inade,
    "3.1": _is_partial,
    "3.2": like(_deviation_by_loop, _image_with_an_even_instance),
    "3.3": lambda answer: numbers(*map(_crossing, (5, 7, 9)), within=0.01)(answer),
    "3.4": between(0.5, 0.9),
    "3.5": _is_instance_conv,
    "4.1": between(0.001, 0.6),
    "4.2": numbers(1, within=0.02),
    "4.3": numbers(0.57, 1.51, within=0.05),
    "4.4": word("no"),
    "4.5": _turns_redder,
    "5.1": _is_residual_block,
    "5.2": numbers(34, 3),
    "5.3": lambda answer: close(answer, _held_duel()),
    "5.4": lambda answer: numbers(4, 5, 6)(sorted(answer)),
    "6.1": between(5, 30),
    "6.2": lambda answer: 0 < float(answer) <= 5,
    "6.3": word("kl", "kl divergence"),
    "6.4": _is_training_step,
    "7.1": lambda answer: numbers(15, 17)(sorted(answer)),
    "7.2": numbers(1),
    "7.3": numbers(1),
    "7.4": word("car"),
    "7.5": numbers(-0.43, within=0.1),
    "8.1": _is_own_folder,
    "8.2": numbers(272, 38),
    "8.3": numbers(7),
    "9.1": word("color_distance", "color distance"),
    "9.2": numbers(0.8, 0.1, within=0.06),
    "9.3": lambda answer: numbers(0.5, within=0.1)(answer[0]) and numbers(7.1, within=0.5)(answer[1]),
    "9.4": numbers(1024, within=100),
    "9.5": like(_red_and_green, _some_colors),
    "10.1": lambda answer: numbers(*map(_left_over, (10, 20, 40)), within=0.01)(answer),
    "10.2": lambda answer: numbers(4, 5, 6, 7)(sorted(answer)),
    "10.3": _sees_moved_stripes,
    "11.1": like(_mean_velocity, lambda random: (random.normal(size=9), float(random.uniform(0.1, 0.8)))),
    "11.2": lambda answer: numbers(
        _share_reached(np.arange(11) / 10), _share_reached((np.arange(11) / 10) ** 2), within=0.01
    )(answer),
    "11.3": word("near"),
    "11.4": like(_label_mix, _pictures_to_mix),
}
