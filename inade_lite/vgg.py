"""The paper's perceptual loss: how far apart a network that knows photographs sees two pictures (Johnson et al., 2016).

    loss = sum over taps of  weight * mean |t(fake) - t(real)|,      t = relu1_1, relu2_1, relu3_1, relu4_1, relu5_1

of VGG19 (Simonyan and Zisserman, 2015), trained on ImageNet. The authors weigh the taps with 0, 0, 0, 1/4 and 1, and
give it the pictures in -1..1 as they are, not as ImageNet's are normalized. So it is here.
"""

from pathlib import Path

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from .weights.tensors import read_tensors
from .weights.torch_file import read_torch_checkpoint

# The layer of `features` that ends each tap, and its weight.
TAPS = {1: 0.0, 6: 0.0, 11: 0.0, 20: 0.25, 29: 1.0}


class VGGLoss(nn.Layer):
    """(fake, real), both [N, 3, H, W] in -1..1 -> scalar, for Trainer's `perceptual`; the gradient goes to fake alone.

    path: VGG19's weights, torchvision's .pth or a .safetensors with the same names (features.0.weight, ...). Without it
    Paddle downloads its own, 550 MB, once. ValueError names a file that lacks a weight. trained=False: random weights,
    to tell what the loss takes.

    Pictures need sides of 16 pixels or more: the last tap sees one number for each 16x16 of them.

    >>> loss = VGGLoss("vgg19.pth")  # doctest: +SKIP
    """

    def __init__(self, path=None, trained=True):
        super().__init__()
        # Without classes, the network ends behind its convolutions; the classifier would be 85 % of it.
        self.features = paddle.vision.models.vgg19(pretrained=trained and path is None, num_classes=0).features
        if path is not None:
            _fill(self.features, Path(path))
        self.eval()
        for parameter in self.parameters():
            parameter.stop_gradient = True

    def forward(self, fake, real):
        """The loss, a scalar."""
        with paddle.no_grad():
            wanted = self.taps(real)
        total = 0
        for (seen, weight), (target, _) in zip(self.taps(fake), wanted, strict=True):
            total = total + weight * F.l1_loss(seen, target)
        return total

    def taps(self, x):
        """[(features, weight)] of the taps that count."""
        found = []
        for k, layer in enumerate(self.features):
            x = layer(x)
            if TAPS.get(k):
                found.append((x, TAPS[k]))
            if k == max(TAPS):
                return found


def _fill(features, path):
    """Give the convolutions their weights from a file."""
    if path.suffix == ".safetensors":
        state = read_tensors(path)[0]
    else:
        state = read_torch_checkpoint(path)
    filled = {}
    for name, value in features.state_dict().items():
        wanted = list(value.shape)
        found = state.get(f"features.{name}")
        if found is None or list(found.shape) != wanted:
            has = "missing" if found is None else list(found.shape)
            raise ValueError(f"{path}: features.{name} is {has}, expected {wanted}; give torchvision's .pth of VGG19")
        filled[name] = np.asarray(found, np.float32)
    features.set_state_dict(filled)
