"""The judge: does a picture show the classes that its map asked for? (as in SPADE, and INADE's section 4)

A small segmentation network, trained on real ToyTown pictures, says which class it sees at every pixel of a generated
one. Its answers are counted against the label map that the generator was given:

    M[a, b]        = number of pixels for which the map asks for class a and where the judge sees class b
    pixel accuracy = 100 * sum over a of M[a, a] / sum over a, b of M[a, b]
    IoU(a)         = 100 * M[a, a] / (sum over b of M[a, b] + sum over b of M[b, a] - M[a, a])
    mIoU           = mean of IoU(a) over the classes a that the maps have

The judge errs too. Its score on real pictures is the ceiling that stands beside every score. And shapes are enough for
it: a label map painted in flat colors scores almost as high. So the score tells whether the classes are where they
belong, not whether they look real. Lite0-KID and the colors of `metrics` tell that.

`python -m inade_lite make-judge` trains it anew.
"""

import time

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn
from tqdm.auto import tqdm

from ..data.batches import augment, batches, scene_batches
from ..data.toy_town import ToyTown
from ..files import SHIPPED
from ..kernels import upsample
from ..modules import BatchNorm, Conv2D, initialize
from ..weights.tensors import load_state, read_tensors, state_arrays, write_tensors

JUDGE = SHIPPED / "judge.safetensors"

# How far `soften` goes at most.
BLUR = 0.5  # share of the 3x3 mean
GAIN = 0.05  # each color channel times 1 +- this
SHIFT = 0.05  # each color channel +- this, in [-1, 1]: 6 of 255
NOISE = 0.04  # standard deviation, in [-1, 1]: 5 of 255


# ---- The network


class UNet(nn.Layer):
    """A U-Net (Ronneberger et al., 2015): image [N, 3, H, W] in [-1, 1] -> logits [N, L, H, W].

    Down 3 -> f -> 2f -> 4f -> 4f, then up with skips 4f -> 4f -> 2f -> f; f is base_channels. Every level has two
    convolutions. ValueError where H or W is no multiple of 8.

    >>> import paddle
    >>> from inade_lite import judge
    >>> list(judge.UNet(num_classes=5, base_channels=2)(paddle.zeros([1, 3, 16, 24])).shape)
    [1, 5, 16, 24]
    """

    def __init__(self, num_classes, base_channels=16):
        super().__init__()
        f = base_channels
        self.num_classes = num_classes
        self.base_channels = base_channels
        self.start = _level(3, f)
        down = [
            _level(f, 2 * f, stride=2),
            _level(2 * f, 4 * f, stride=2),
            _level(4 * f, 4 * f, stride=2),
        ]
        # Each sees what comes from below, and a skip beside it.
        up = [
            _level(4 * f + 4 * f, 4 * f),
            _level(4 * f + 2 * f, 2 * f),
            _level(2 * f + f, f),
        ]
        self.down = nn.LayerList(down)
        self.up = nn.LayerList(up)
        self.head = Conv2D(f, num_classes, 1)
        initialize(self, 1.0)

    def forward(self, image):
        h, w = image.shape[2:]
        if h % 8 or w % 8:
            raise ValueError(f"image {h}x{w}: the judge halves three times, so both sides must be multiples of 8")
        x = self.start(image)
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(x)
        for up in self.up:
            below = upsample(x)
            x = up(paddle.concat([below, skips.pop()], axis=1))
        return self.head(x)


def _level(in_channels, out_channels, stride=1):
    """Twice convolution, batch norm and ReLU; the first convolution has the stride."""
    layers = []
    for inputs, step in ((in_channels, stride), (out_channels, 1)):
        layers += [
            # The norm adds a bias of its own.
            Conv2D(inputs, out_channels, 3, stride=step, padding=1, bias_attr=False),
            BatchNorm(out_channels),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


# ---- Its training


def soften(item, random):
    """An item as a generator might have painted it; its labels stay true.

    Half of the items are mirrored. Then the picture is mixed with its 3x3 mean, each color channel is scaled and
    shifted, and every value gets some noise. How much, chance decides for each picture: between nothing and the
    constants above, which are half of a 3x3 blur and 13 of 255 in color. That is enough for a judge that does not
    stumble over soft edges, and too little for one that takes any smear for a window.

    item: as data sets give it. random: a numpy Generator.

    >>> import numpy as np
    >>> import inade_lite as il
    >>> il.judge.soften(il.ToyTown("train", 16)[0], np.random.default_rng(0))["image"].shape
    (3, 16, 16)
    """
    item = augment(item, random, flip=True)
    image = item["image"]
    image = image + random.uniform(0, BLUR) * (blur(image) - image)
    gain = random.uniform(1 - GAIN, 1 + GAIN, [3, 1, 1])
    shift = random.uniform(-SHIFT, SHIFT, [3, 1, 1])
    image = image * gain + shift
    deviation = random.uniform(0, NOISE)
    noise = random.normal(0, deviation, image.shape)
    image = (image + noise).clip(-1, 1)
    return {**item, "image": image.astype(np.float32)}


def blur(image):
    """The mean of every pixel's 3x3 window, [..., H, W]; at the border the outermost pixels are repeated.

    >>> import numpy as np
    >>> from inade_lite import judge
    >>> judge.blur(np.array([[9.0, 0, 0, 0]])).tolist()
    [[6.0, 3.0, 0.0, 0.0]]
    """
    *outer, h, w = image.shape
    around = [(0, 0) for _ in outer] + [(1, 1), (1, 1)]
    padded = np.pad(image, around, "edge")
    total = 0
    for i in range(3):
        for j in range(3):
            total = total + padded[..., i : i + h, j : j + w]
    return total / 9


def train_judge(
    dataset,
    steps,
    batch_size=16,
    learning_rate=4e-3,
    seed=0,
    base_channels=16,
    progress=True,
):
    """A UNet trained for so many steps on pictures that `soften` has changed, in eval mode.

    The loss is cross entropy, every pixel alike. Adam's rate falls to 0 along a cosine. dataset: anything with items
    and num_classes as in `inade_lite.data`. The same arguments give the same weights; Paddle's random state is set.

    >>> import inade_lite as il
    >>> town = il.ToyTown("train", 16)
    >>> il.judge.train_judge(town, steps=2, batch_size=1, base_channels=2, progress=False).num_classes
    14
    """
    paddle.seed(seed)
    net = UNet(dataset.num_classes, base_channels)
    rate = paddle.optimizer.lr.CosineAnnealingDecay(learning_rate, steps)
    optimizer = paddle.optimizer.Adam(rate, parameters=net.parameters())
    source = batches(dataset, batch_size, seed, augment=soften)
    with tqdm(total=steps, unit="step", disable=not progress) as bar:
        for step in range(steps):
            batch = next(source)
            image = paddle.to_tensor(batch["image"])
            label = paddle.to_tensor(batch["label"])
            loss = F.cross_entropy(net(image), label, axis=1)
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
            rate.step()
            if step % 20 == 0:
                bar.set_postfix(loss=f"{loss.item():.3f}")
            bar.update()
    net.eval()
    return net


def save_judge(path, net, **provenance):
    """Store a UNet in half precision. provenance: how it was made, as far as JSON can hold it.

    >>> import tempfile
    >>> from inade_lite import judge
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     judge.save_judge(f"{folder}/judge.safetensors", judge.UNet(5, 2), steps=0)
    ...     judge.load_judge(f"{folder}/judge.safetensors").base_channels
    2
    """
    tensors = {}
    for name, value in state_arrays(net).items():
        tensors[name] = value.astype(np.float16)
    metadata = {
        "num_classes": net.num_classes,
        "base_channels": net.base_channels,
        **provenance,
    }
    write_tensors(path, tensors, metadata)


def load_judge(path=JUDGE):
    """The UNet of a file that `save_judge` wrote, in eval mode; by default the one that the repository carries.

    Its `class_names` are those that it was stored with, or None. ValueError for a file that holds something else.

    >>> from inade_lite import judge
    >>> judge.load_judge().num_classes
    14
    """
    tensors, metadata = read_tensors(path)
    if "base_channels" not in metadata:
        raise ValueError(f"{path} holds no judge; `python -m inade_lite make-judge` makes one")
    net = UNet(metadata["num_classes"], metadata["base_channels"])
    load_state(net, tensors, path)
    net.eval()
    net.class_names = metadata.get("class_names")
    return net


# ---- Its verdict


@paddle.no_grad()
def predict(net, images, batch_size=32):
    """The class that a UNet sees at each pixel of images [N, 3, H, W] in [-1, 1]: ndarray int64 [N, H, W].

    >>> import inade_lite as il
    >>> item = il.ToyTown("val", 64)[0]
    >>> seen = il.judge.predict(il.judge.load_judge(), item["image"][None])
    >>> bool((seen == item["label"]).mean() > 0.95)
    True
    """
    was_training = net.training
    net.eval()
    if not paddle.is_tensor(images):
        images = paddle.to_tensor(images)
    parts = []
    for i in range(0, len(images), batch_size):
        logits = net(images[i : i + batch_size]).numpy()
        parts.append(logits)
    if was_training:
        net.train()
    return np.concatenate([logits.argmax(1) for logits in parts])


def confusion(predicted, label, num_classes):
    """M, int64 [L, L]: row what the map asks for, column what the judge sees.

    predicted, label: class ids of any one shape. ValueError for two shapes, and for ids out of range.

    >>> from inade_lite import judge
    >>> judge.confusion([0, 1, 1, 1], [0, 0, 1, 1], num_classes=2).tolist()
    [[1, 1], [0, 2]]
    """
    predicted = np.asarray(predicted)
    label = np.asarray(label)
    if predicted.shape != label.shape:
        raise ValueError(f"predicted has the shape {list(predicted.shape)}, label {list(label.shape)}; give both alike")
    for name, ids in (("predicted", predicted), ("label", label)):
        if ids.size and not 0 <= ids.min() <= ids.max() < num_classes:
            raise ValueError(f"{name} holds the ids {ids.min()} to {ids.max()}; expected 0 to {num_classes - 1}")
    pairs = label * num_classes + predicted  # one number for each pair (a, b)
    counts = np.bincount(pairs.ravel(), minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)  # [L*L] -> [L, L]


def pixel_accuracy(confusion):
    """Percent of the pixels that show what was asked for; nan without pixels. confusion: M, or a sum of several.

    >>> from inade_lite import judge
    >>> judge.pixel_accuracy(judge.confusion([0, 1, 1, 1], [0, 0, 1, 1], num_classes=2))
    75.0
    """
    return _percent(np.trace(confusion), confusion.sum()).item()


def class_iou(confusion):
    """IoU of each class in percent, [L]; nan for a class that the maps do not have.

    >>> from inade_lite import judge
    >>> judge.class_iou(judge.confusion([0, 1, 1, 1], [0, 0, 1, 1], num_classes=2)).round(1).tolist()
    [50.0, 66.7]
    """
    hits = np.diag(confusion)
    asked = confusion.sum(1)
    seen = confusion.sum(0)
    iou = _percent(hits, asked + seen - hits)
    return np.where(asked > 0, iou, np.nan)


def mean_iou(confusion):
    """Mean of IoU over the classes that the maps have, in percent; nan without pixels.

    >>> from inade_lite import judge
    >>> round(judge.mean_iou(judge.confusion([0, 1, 1, 1], [0, 0, 1, 1], num_classes=2)), 1)
    58.3
    """
    if not confusion.any():
        return np.nan
    asked = confusion.sum(1)
    iou = class_iou(confusion)
    return float(iou[asked > 0].mean())


def _percent(part, whole):
    """100 * part / whole; nan where whole is 0."""
    return 100 * part / np.where(whole, whole, np.nan)


# ---- The one that ships


def make(path, steps, seed, train=None, val=None, side=64):
    """Train a judge, print its ceiling on the first 256 items of `val` at most, and store it.

    This is what `python -m inade_lite make-judge` runs. train, val: data sets of one kind, by default ToyTown's at this
    side; of each scene the judge then sees one picture.

    >>> make("runs/judge.safetensors", steps=1200, seed=0)  # doctest: +SKIP
    ... # it takes eight minutes
    """
    data = "its own"
    if train is None:
        train = ToyTown("train", side, length=16 * steps)
        val = ToyTown("val", side)
        data = f"ToyTown train {side}x{side}, {len(train)} scenes, each once"
    start = time.process_time()
    net = train_judge(train, steps, seed=seed)
    seconds = round(time.process_time() - start)

    found = np.zeros([val.num_classes, val.num_classes])
    count = min(256, len(val))
    for _, batch, _ in scene_batches(val, count):
        seen = predict(net, batch["image"])
        found += confusion(seen, batch["label"], val.num_classes)
    accuracy = round(pixel_accuracy(found), 2)
    iou = round(mean_iou(found), 2)
    save_judge(
        path,
        net,
        data=data,
        steps=steps,
        seconds=seconds,
        seed=seed,
        command=f"python -m inade_lite make-judge --steps {steps} --seed {seed}",
        paddle=paddle.__version__,
        class_names=list(val.class_names),
        ceiling={"pixel_accuracy": accuracy, "mean_iou": iou},
    )
    for name, value in zip(val.class_names, class_iou(found), strict=True):
        print(f"{name:<16}{value:7.2f}")
    print(f"{'mIoU':<16}{iou:7.2f}")
    print(f"{'pixel accuracy':<16}{accuracy:7.2f}")
    print(f"{count} real pictures; {path}, {seconds} CPU seconds")
