"""The judge: does a picture show the classes that its map asked for? (as in SPADE, and INADE's section 4)

A small segmentation network, trained on real ToyTown pictures, says which class it sees at every pixel of a generated
one. Its answers are counted against the label map that the generator was given:

    M[a, b]        = pixels for which the map asks for class a and where the judge sees class b
    pixel accuracy = 100 * sum over a of M[a, a] / sum over a, b of M[a, b]
    IoU(a)         = 100 * M[a, a] / (sum over b of M[a, b] + sum over b of M[b, a] - M[a, a])
    mIoU           = mean of IoU(a) over the classes a that the maps have

The judge errs too: its score on real pictures is the ceiling that stands beside every score. And shapes are enough for
it: a label map painted in flat colours scores almost as high. So the score tells whether the classes are where they
belong, not whether they look real; that is what Lite0-KID and the colours of `metrics` are for.

`python -m inade_lite make-judge` trains it anew.
"""

import time

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn
from tqdm.auto import tqdm

from ..data.batches import augment, batches, collate
from ..data.toy_town import ToyTown
from ..files import SHIPPED
from ..kernels import upsample
from ..modules import BatchNorm, Conv2D, initialize
from ..weights.tensors import load_state, read_tensors, state_arrays, write_tensors

JUDGE = SHIPPED / "judge.safetensors"


# How far `soften` goes at most.
BLUR = 0.5  # share of the 3x3 mean


GAIN = 0.05  # each colour channel times 1 ± this


SHIFT = 0.05  # each colour channel ± this, in [-1, 1]: 6 of 255


NOISE = 0.04  # standard deviation, in [-1, 1]: 5 of 255


class UNet(nn.Layer):
    """A U-Net (Ronneberger et al., 2015): image [N, 3, H, W] in [-1, 1] -> logits [N, L, H, W].

    Down 3 -> f -> 2f -> 4f -> 4f, up with skips 4f -> 4f -> 2f -> f, two convolutions at every level. H and W are
    multiples of 8, else ValueError.
    """

    def __init__(self, num_classes, base_channels=16):
        super().__init__()
        self.num_classes, self.base_channels, f = num_classes, base_channels, base_channels
        self.start = level(3, f)
        self.down = nn.LayerList(
            [level(f, 2 * f, stride=2), level(2 * f, 4 * f, stride=2), level(4 * f, 4 * f, stride=2)]
        )
        self.up = nn.LayerList([level(8 * f, 4 * f), level(6 * f, 2 * f), level(3 * f, f)])
        self.head = Conv2D(f, num_classes, 1)
        initialize(self, 1.0)

    def forward(self, image):
        h, w = image.shape[2:]
        if h % 8 or w % 8:
            raise ValueError(f"image {h}x{w}: the judge halves three times, so both sides must be multiples of 8")
        x, skips = self.start(image), []
        for down in self.down:
            skips.append(x)
            x = down(x)
        for up in self.up:
            x = up(paddle.concat([upsample(x), skips.pop()], axis=1))
        return self.head(x)


def level(in_channels, out_channels, stride=1):
    """Twice convolution, batch norm and ReLU; the first convolution has the stride."""
    layers = []
    for channels, step in ((in_channels, stride), (out_channels, 1)):
        convolution = Conv2D(channels, out_channels, 3, stride=step, padding=1, bias_attr=False)
        layers += [convolution, BatchNorm(out_channels), nn.ReLU()]
    return nn.Sequential(*layers)


def soften(item, random):
    """An item as a generator might have painted it; its labels stay true.

    Mirrored in one of two cases, then mixed with its 3x3 mean, each colour channel scaled and shifted, noise on every
    value: how strongly, chance decides for each picture, between nothing and the constants above. At most, that is half
    of a 3x3 blur and 13 of 255 in colour: enough for a judge that does not stumble over soft edges, too little for one
    that takes any smear for a window.
    """
    item = augment(item, random, flip=True)
    image = item["image"]
    image = image + random.uniform(0, BLUR) * (blur(image) - image)
    image = image * random.uniform(1 - GAIN, 1 + GAIN, [3, 1, 1]) + random.uniform(-SHIFT, SHIFT, [3, 1, 1])
    image = image + random.normal(0, random.uniform(0, NOISE), image.shape)
    return {**item, "image": image.clip(-1, 1).astype(np.float32)}


def blur(image):
    """The mean of every pixel's 3x3 window, [..., H, W]; the border is repeated."""
    *outer, h, w = image.shape
    padded = np.pad(image, [(0, 0)] * len(outer) + [(1, 1), (1, 1)], "edge")
    return sum(padded[..., i : i + h, j : j + w] for i in range(3) for j in range(3)) / 9


def train_judge(dataset, steps, batch_size=16, learning_rate=4e-3, seed=0, base_channels=16, progress=True):
    """A UNet trained for so many steps on pictures that `soften` has changed, in eval mode.

    Cross entropy, every pixel alike; Adam, its rate falling to 0 along a cosine. dataset: anything with items and
    num_classes as in `inade_lite.data`. The same arguments give the same weights; Paddle's random state is set.
    """
    paddle.seed(seed)
    net = UNet(dataset.num_classes, base_channels)
    rate = paddle.optimizer.lr.CosineAnnealingDecay(learning_rate, steps)
    optimizer = paddle.optimizer.Adam(rate, parameters=net.parameters())
    source = batches(dataset, batch_size, seed, augment=soften)
    with tqdm(total=steps, unit="step", disable=not progress) as bar:
        for step in range(steps):
            batch = next(source)
            logits = net(paddle.to_tensor(batch["image"]))
            loss = F.cross_entropy(logits, paddle.to_tensor(batch["label"]), axis=1)
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
    """Store a UNet in half precision; provenance: JSON-able, how it was made."""
    tensors = {name: value.astype(np.float16) for name, value in state_arrays(net).items()}
    shape = {"num_classes": net.num_classes, "base_channels": net.base_channels}
    write_tensors(path, tensors, {**shape, **provenance})


def load_judge(path=JUDGE):
    """The UNet of a file that save_judge wrote, by default the one that the repository carries, in eval mode."""
    tensors, metadata = read_tensors(path)
    if "base_channels" not in metadata:
        raise ValueError(f"{path} holds no judge; `python -m inade_lite make-judge` makes one")
    net = UNet(metadata["num_classes"], metadata["base_channels"])
    load_state(net, tensors, path)
    net.eval()
    return net


@paddle.no_grad()
def predict(net, images, batch_size=32):
    """The class that a UNet sees at each pixel of images [N, 3, H, W] in [-1, 1]: ndarray int64 [N, H, W]."""
    was_training = net.training
    net.eval()
    images = images if paddle.is_tensor(images) else paddle.to_tensor(images)
    parts = [net(images[i : i + batch_size]).numpy() for i in range(0, len(images), batch_size)]
    if was_training:
        net.train()
    return np.concatenate([logits.argmax(1) for logits in parts])


def confusion(predicted, label, num_classes):
    """M, int64 [L, L]: row what the map asks for, column what the judge sees. Class ids of one shape, any."""
    predicted, label = np.asarray(predicted), np.asarray(label)
    if predicted.shape != label.shape:
        raise ValueError(f"predicted has the shape {list(predicted.shape)}, label {list(label.shape)}; give both alike")
    for name, ids in (("predicted", predicted), ("label", label)):
        if ids.size and not 0 <= ids.min() <= ids.max() < num_classes:
            raise ValueError(f"{name} holds the ids {ids.min()} to {ids.max()}; expected 0 to {num_classes - 1}")
    pairs = np.bincount((label * num_classes + predicted).ravel(), minlength=num_classes**2)
    return pairs.reshape(num_classes, num_classes)


def pixel_accuracy(confusion):
    """Percent of the pixels that show what was asked for; nan without pixels. confusion: M, or a sum of several."""
    return _percent(np.trace(confusion), confusion.sum()).item()


def class_iou(confusion):
    """IoU of each class in percent, [L]; nan for a class that the maps do not have."""
    hits, asked, seen = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    return np.where(asked > 0, _percent(hits, asked + seen - hits), np.nan)


def mean_iou(confusion):
    """Mean of IoU over the classes that the maps have, in percent; nan without pixels."""
    iou = class_iou(confusion)
    return float(iou[confusion.sum(1) > 0].mean()) if confusion.any() else np.nan


def _percent(part, whole):
    return 100 * part / np.where(whole, whole, np.nan)


def make(path, steps, seed):
    """Train the judge on ToyTown, print its ceiling on the 256 validation scenes, and store it."""
    town, val = ToyTown("train", 64, length=16 * steps), ToyTown("val", 64)
    start = time.process_time()
    net = train_judge(town, steps, seed=seed)
    seconds = round(time.process_time() - start)

    batch = collate([val[i] for i in range(len(val))])
    found = confusion(predict(net, batch["image"]), batch["label"], val.num_classes)
    ceiling = {"pixel_accuracy": round(pixel_accuracy(found), 2), "mean_iou": round(mean_iou(found), 2)}
    save_judge(
        path,
        net,
        data=f"ToyTown train 64x64, {len(town)} scenes, each once",
        steps=steps,
        seconds=seconds,
        seed=seed,
        command=f"python -m inade_lite make-judge --steps {steps} --seed {seed}",
        paddle=paddle.__version__,
        class_names=list(val.class_names),
        ceiling=ceiling,
    )
    for name, iou in zip(val.class_names, class_iou(found), strict=True):
        print(f"{name:<16}{iou:7.2f}")
    print(f"{'mIoU':<16}{ceiling['mean_iou']:7.2f}\n{'pixel accuracy':<16}{ceiling['pixel_accuracy']:7.2f}")
    print(f"{len(val)} real pictures; {path}, {seconds} CPU seconds")
