"""What a run will take, before it begins: parameters, memory, time. This is what `train --dry-run` tells.

Nothing is computed from a formula that could be measured. Fresh processes take real steps with 2 and with 4 pictures,
and what they took goes on in a straight line:

    memory(N) = memory(2) + (N - 2) * (memory(4) - memory(2)) / 2,        seconds likewise

Large pictures are measured at a smaller size; there, what a picture adds is in proportion to its pixels, and the start
map's weights are added. Of a GPU that is not here, only what does not depend on it is measured: the peak of Paddle's
tensors and the multiplications. The rest is assumed, see `CARDS`.
"""

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import paddle
from paddle.base import core
from tqdm.auto import tqdm

from . import kernels
from .config import TrainConfig
from .data.batches import augment, collate
from .data.sets import open_dataset
from .maps import compact_instances
from .methods import find_method
from .metrics import lite0
from .setup import runtime
from .timing import take_turns
from .training import Trainer, new_discriminator
from .vgg import VGGLoss

GB = 2**30

# Pictures of more pixels are measured at a half, a quarter, ... of their sides.
MOST_PIXELS = 160**2

# Pictures of a probe: in both, the share that the encoder sees is the same.
FEWER = 2
MORE = 4

# Steps of a probe after a first one. Only they have Adam's moments beside all else, so that they reach the peak.
STEPS = 2


class Card(NamedTuple):
    """A GPU as its data sheet has it. memory: in GB. teraflops: in float32, without TF32.

    >>> print(CARDS[0])
    V100, 16 or 32 GB
    """

    name: str
    memory: tuple
    teraflops: float

    def __str__(self):
        return f"{self.name}, {' or '.join(map(str, self.memory))} GB"


CARDS = (Card("V100", (16, 32), 15.7), Card("A100", (40, 80), 19.5))

# What a well-filled network reaches of a card's rate, what a convolution takes at least with all that stands around it,
# in seconds (25 launches of 10 microseconds, forward and backward), and what CUDA takes of the memory, in GB.
REACHED = 0.4
LAUNCHES = 2.5e-4
LIBRARIES = 0.6

ASSUMED = f"""\
this machine        steps with {FEWER} and {MORE} pictures were measured, and what each further picture adds
V100, A100          assumed: {REACHED:.0%} of {CARDS[0].teraflops} and {CARDS[1].teraflops} TFLOP/s (float32),
                    {1000 * LAUNCHES} ms or more for each layer, {LIBRARIES} GB for CUDA"""


class Probe(NamedTuple):
    """What a process took. memory: its peak, in GB. tensors: the peak of Paddle's alone. seconds: of a step.

    parameters: {network: weights}. operations: multiplications and additions of convolutions and linear layers in a
    step, forward and backward. calls: how often such a layer was called in a step.

    >>> Probe(1.0, 0.8, 0.5, {"generator": 10}, 2e9, 40).memory
    1.0
    """

    memory: float
    tensors: float
    seconds: float
    parameters: dict
    operations: float
    calls: float


class Cost(NamedTuple):
    """What a run takes somewhere. memory: in GB. seconds: of a step.

    >>> Cost("here", 1.0, 0.5).hours(7200)
    1.0
    """

    where: str
    memory: float
    seconds: float

    def hours(self, steps):
        """Hours of so many steps."""
        return self.seconds * steps / 3600


def estimate(config, source, progress=True):
    """({network: weights}, [Cost]): of this machine, and of the cards of `CARDS`.

    config: a TrainConfig. source: which data and which perceptual loss, a dict like DATA_DEFAULTS.

    >>> from inade_lite.config import DATA_DEFAULTS
    >>> config = TrainConfig(base_channels=2, encoder_channels=2, discriminator_channels=2, num_upsamplings=3)
    >>> parameters, costs = estimate(config, DATA_DEFAULTS | {"size": 32}, progress=False)
    >>> list(parameters), [cost.where for cost in costs]
    (['generator', 'encoder', 'discriminator'], ['this machine', 'V100, 16 or 32 GB', 'A100, 40 or 80 GB'])
    """
    shrink = shrinking(config, source)
    # As on this machine, and as on a GPU, where no convolution copies.
    kinds = [False] if runtime.device() == "gpu" else [False, True]
    probes = {}
    with tqdm(total=2 * len(kinds), desc="measuring", unit="probe", disable=not progress, leave=False) as bar:
        for as_on_gpu in kinds:
            for batch in (FEWER, MORE):
                probes[as_on_gpu, batch] = probe(config, source, batch, shrink, as_on_gpu)
                bar.update()
    parameters = weights(config, source)
    # A weight has a gradient and two moments of Adam, the generator's are there once more, as the average.
    added = {name: count - probes[False, FEWER].parameters[name] for name, count in parameters.items()}
    weight_memory = 4 * (4 * sum(added.values()) + added["generator"]) / GB

    def at_full_size(as_on_gpu, field):
        """What a Probe's field is with the batch and the size of the run."""
        fewer = getattr(probes[as_on_gpu, FEWER], field)
        more = getattr(probes[as_on_gpu, MORE], field)
        each = max(0, more - fewer) / (MORE - FEWER)
        without_pictures = fewer - FEWER * each
        return without_pictures + config.batch_size * each * shrink**2

    costs = [Cost("this machine", at_full_size(False, "memory") + weight_memory, at_full_size(False, "seconds"))]
    tensors = at_full_size(kinds[-1], "tensors") + weight_memory
    operations = at_full_size(kinds[-1], "operations")
    for card in CARDS:
        seconds = max(operations / (1e12 * REACHED * card.teraflops), LAUNCHES * probes[False, FEWER].calls)
        costs.append(Cost(str(card), tensors + LIBRARIES, seconds))
    return parameters, costs


def shrinking(config, source):
    """By how much the sides of the pictures are divided in a probe: 1, 2, 4, ...

    >>> shrinking(TrainConfig(num_upsamplings=5), {"size": 256})
    2
    """
    height, width = picture_size(config, source)
    step = 2**config.num_upsamplings
    shrink = 1
    while height * width / shrink**2 > MOST_PIXELS:
        smaller = (height // (2 * shrink), width // (2 * shrink))
        # The generator needs multiples of `step`, and two pixels of its start map.
        if height % (2 * shrink * step) or width % (2 * shrink * step) or smaller[0] * smaller[1] < 2 * step**2:
            break
        shrink *= 2
    return shrink


def picture_size(config, source):
    """(H, W) of the pictures that the networks see.

    >>> picture_size(TrainConfig(crop=256), {"size": 286})
    (256, 256)
    """
    size = config.crop or source["size"]
    return (size, size) if isinstance(size, int) else tuple(size)


def weights(config, source):
    """{network: number of its weights}, of the size of the run.

    >>> from inade_lite.config import DATA_DEFAULTS
    >>> config = TrainConfig(base_channels=2, encoder_channels=2, discriminator_channels=2, num_upsamplings=3)
    >>> list(weights(config, DATA_DEFAULTS | {"size": 32}))
    ['generator', 'encoder', 'discriminator']
    """
    items = few_items(config, source, 1)
    method = find_method(config.method)
    generator = method.new_generator(asdict(config), items.num_classes, picture_size(config, source))
    networks = {"generator": generator, "encoder": method.new_encoder(asdict(config), generator)}
    networks["discriminator"] = new_discriminator(config, items.num_classes)
    return {name: count_weights(network) for name, network in networks.items()}


def count_weights(network):
    """The number of a network's weights; of None there are none.

    >>> count_weights(paddle.nn.Linear(3, 5))
    20
    """
    return 0 if network is None else sum(int(parameter.size) for parameter in network.parameters())


def probe(config, source, batch, shrink, as_on_gpu):
    """A Probe of a fresh process with batches of so many pictures. ValueError tells what it said if it fails.

    >>> from inade_lite.config import DATA_DEFAULTS
    >>> probe(TrainConfig(), DATA_DEFAULTS | {"data": "no_such_folder"}, 2, 1, False)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: a step with 2 pictures failed: ...
    """
    told = {
        "config": asdict(replace(config, batch_size=batch, workers=0)),
        "source": source,
        "shrink": shrink,
        "copies": 0,
    }
    if not as_on_gpu:
        # Large convolutions do not copy. So that the same ones do not here, the limit shrinks with the work.
        told["copies"] = round(kernels.COPIES * batch / config.batch_size / shrink**2)
    command = [sys.executable, "-m", "inade_lite.estimate", json.dumps(told)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it was stopped from outside, maybe for want of memory"]
        raise ValueError(f"a step with {batch} pictures failed: {said[-1]}")
    return Probe(**json.loads(done.stdout.splitlines()[-1]))


# ---- Inside of such a process


class Items(list):
    """A list of items with the attributes of the data set that they come from.

    >>> import inade_lite as il
    >>> town = il.ToyTown("train", 32)
    >>> Items([town[0]], town).num_classes
    14
    """

    def __init__(self, items, dataset):
        super().__init__(items)
        self.num_classes = dataset.num_classes
        self.class_names = dataset.class_names
        self.thing_classes = dataset.thing_classes


def few_items(config, source, count, shrink=1):
    """So many items of the data set, cut as in training, then every `shrink`-th row and column of them.

    >>> from inade_lite.config import DATA_DEFAULTS
    >>> few_items(TrainConfig(), DATA_DEFAULTS | {"size": 32}, count=1, shrink=2)[0]["image"].shape
    (3, 16, 16)
    """
    dataset = open_dataset(source["data"], source["set"], "train", source["size"], source["fit"])
    items = Items([], dataset)
    for k in range(count):
        item = dataset[k % len(dataset)]
        if config.crop:
            item = augment(item, np.random.default_rng(k), config.crop)
        label = item["label"][::shrink, ::shrink]
        instance = compact_instances(label, item["instance"][::shrink, ::shrink])
        image = np.ascontiguousarray(item["image"][:, ::shrink, ::shrink])
        items.append({"image": image, "label": label, "instance": instance, "name": item["name"]})
    return items


def take(told):
    """What a Probe has, as a dict: a few steps as `probe` tells them.

    >>> from inade_lite.config import DATA_DEFAULTS
    >>> config = TrainConfig(base_channels=2, encoder_channels=2, num_upsamplings=3, batch_size=2)
    >>> source = DATA_DEFAULTS | {"size": 32}
    >>> sorted(take({"config": asdict(config), "source": source, "shrink": 1, "copies": kernels.COPIES}))[:2]
    ['calls', 'memory']
    """
    config = TrainConfig(**told["config"])
    kernels.COPIES = told["copies"]
    items = few_items(config, told["source"], config.batch_size, told["shrink"])
    perceptual = None
    if config.lambda_perceptual:
        is_lite0 = told["source"]["perceptual"] == "lite0"
        perceptual = lite0.perceptual_loss if is_lite0 else VGGLoss(trained=False)
    trainer = Trainer(replace(config, crop=0), items, perceptual=perceptual)
    operations = []
    for network in (trainer.generator, trainer.encoder, trainer.discriminator, perceptual):
        if isinstance(network, paddle.nn.Layer):
            count_operations(network, operations)
    batch = collate([trainer.dataset[k] for k in range(len(items))])
    times = take_turns({"step": lambda: trainer.step(batch)}, STEPS)["step"]
    memory, tensors = peaks()
    parameters = {name: count_weights(getattr(trainer, name)) for name in ("generator", "encoder", "discriminator")}
    steps = STEPS + 1
    return Probe(
        memory, tensors, min(times) / 1000, parameters, sum(operations) / steps, len(operations) / steps
    )._asdict()


def count_operations(network, operations):
    """From now on, what each convolution and each linear layer of a network does is appended to a list.

    Going back takes a product for the inputs and one for the weights, if they learn.

    >>> layer, operations = paddle.nn.Linear(3, 5), []
    >>> count_operations(layer, operations)
    >>> _ = layer(paddle.ones([2, 3]))
    >>> operations == [2 * 2 * 3 * 5 * 3]
    True
    """

    def count(layer, inputs, output):
        weight = layer.weight
        taps = weight.shape[0] if len(weight.shape) == 2 else np.prod(weight.shape[1:])
        passes = 1
        if paddle.is_grad_enabled():
            passes = 2 if weight.stop_gradient else 3
        operations.append(2 * int(output.size) * int(taps) * passes)

    for layer in [network, *network.sublayers()]:
        weight = getattr(layer, "weight", None)
        if isinstance(weight, paddle.Tensor) and len(weight.shape) in (2, 4):
            layer.register_forward_post_hook(count)


def peaks():
    """The peak of this process's memory, and that of Paddle's tensors, in GB. On a GPU both are the card's.

    >>> memory, tensors = peaks()
    >>> memory > 0
    True
    """
    if runtime.device() == "gpu":
        return paddle.device.cuda.max_memory_reserved() / GB, paddle.device.cuda.max_memory_allocated() / GB
    tensors = core.host_memory_stat_peak_value("Allocated", 0) / GB
    status = Path("/proc/self/status")
    if not status.exists():
        import resource  # not every system has it

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GB, tensors
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / GB, tensors


if __name__ == "__main__":
    print(json.dumps(take(json.loads(sys.argv[1]))))
