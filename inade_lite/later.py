"""What came after INADE, small enough to train here: how OASIS's idea and a flow learn, and how they are stored.

    name      network                     learner
    "oasis"   oasis.NoiseGenerator        OasisLearner: a GAN whose discriminator segments
    "flow"    flow.FlowGenerator          FlowLearner: regression of velocities

Both are called as `Generator` is, so all that samples, measures or plays with one takes them as well.
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import paddle
from tqdm.auto import tqdm

from .data.batches import batches
from .files import SHIPPED
from .flow import FlowGenerator, flow_loss
from .maps import Layout
from .modules import initialize
from .noise import sample_noise
from .oasis import NoiseGenerator, SegmentingDiscriminator, balanced_cross_entropy, painted_cross_entropy
from .training import CHECKPOINT, frozen
from .weights.pretrained import Pretrained
from .weights.tensors import adam_arrays, load_adam, load_state, read_tensors, state_arrays, write_tensors

LATER = SHIPPED / "later"

# ---- Settings


@dataclass
class OasisConfig:
    """What a run of OASIS's idea depends on besides its data.

    >>> OasisConfig(steps=10).noise_dim
    8
    """

    noise_dim: int = 8
    base_channels: int = 10
    hidden: int = 16
    discriminator_channels: int = 24
    learning_rate_g: float = 3.2e-3
    learning_rate_d: float = 6.4e-3
    beta1: float = 0.0
    beta2: float = 0.9
    ema_decay: float = 0.998
    batch_size: int = 8
    steps: int = 2000
    decay_steps: int = 500
    seed: int = 0


@dataclass
class FlowConfig:
    """What a run of the flow depends on besides its data.

    >>> FlowConfig(steps=10).base_channels
    48
    """

    base_channels: int = 48
    sampling_steps: int = 10
    learning_rate: float = 2e-3
    beta1: float = 0.9
    beta2: float = 0.99
    ema_decay: float = 0.999
    batch_size: int = 8
    steps: int = 6000
    decay_steps: int = 2000
    seed: int = 0


# ---- Learning


class Learner:
    """Trains a generator on a data set for config.steps steps. The running average `ema` is the one that samples.

    What the two learners share. Each has a `config` class, a `new_generator`, what else it needs, and a `step`.
    The rates fall linearly to 0 within the last `decay_steps`.

    >>> import inade_lite as il
    >>> small = FlowConfig(base_channels=4, batch_size=1, steps=2, decay_steps=0)
    >>> learner = FlowLearner(small, il.ToyTown("train", 16, length=4))
    >>> learner.fit(progress=False)
    >>> learner.steps_done
    2
    """

    def __init__(self, config, dataset):
        self.config = config
        self.dataset = dataset
        self.image_size = tuple(dataset[0]["image"].shape[1:])
        self.steps_done = 0
        self.seconds = 0.0
        self.history = []
        self.rates = {}
        paddle.seed(config.seed)
        self.generator = self.new_generator(asdict(config), dataset.num_classes, self.image_size)
        self.ema = self.new_generator(asdict(config), dataset.num_classes, self.image_size)
        self.ema.set_state_dict(self.generator.state_dict())
        self.ema.eval()

    def networks(self):
        """{name: network}, all that a checkpoint holds."""
        return {"generator": self.generator, "ema": self.ema}

    def optimizers(self):
        """{name: (Adam, network)}."""
        raise NotImplementedError

    def step(self, layout, real):
        """Train on pictures [N, 3, H, W] and their Layout. Returns the loss terms, {name: scalar Tensor}."""
        raise NotImplementedError

    def adam(self, rate, network):
        """An Adam with this learning rate for a network; `rates` keeps the rate, which falls at the end."""
        beta1, beta2 = self.config.beta1, self.config.beta2
        optimizer = paddle.optimizer.Adam(rate, beta1, beta2, parameters=network.parameters())
        self.rates[optimizer] = rate
        return optimizer

    def fit(self, folder=None, steps=None, progress=True, log_every=20, save_every=200):
        """Train to the end, or for so many more steps. folder: keeps a checkpoint from which `resume` goes on."""
        config = self.config
        last = config.steps if steps is None else min(config.steps, self.steps_done + steps)
        source = batches(self.dataset, config.batch_size, config.seed, start_step=self.steps_done)
        start_time = time.perf_counter() - self.seconds
        unlogged = {}
        with tqdm(total=config.steps, initial=self.steps_done, unit="step", disable=not progress) as bar:
            while self.steps_done < last:
                # Every step has a seed of its own, so that a resumed run draws what an unbroken one draws.
                paddle.seed(config.seed * 1_000_003 + self.steps_done)
                self._set_rates()
                batch = next(source)
                terms = self.step(Layout.of(batch, self.dataset), paddle.to_tensor(batch["image"]))
                self._average()
                self.steps_done += 1
                self.seconds = time.perf_counter() - start_time
                for name, value in terms.items():
                    unlogged.setdefault(name, []).append(value.detach())
                if self.steps_done % log_every == 0:
                    self._log(unlogged)
                    bar.set_postfix({name: f"{self.history[-1][name]:.3f}" for name in unlogged})
                    unlogged = {}
                if folder and self.steps_done % save_every == 0:
                    self.save(folder)
                bar.update()
        if folder:
            self.save(folder)

    def _set_rates(self):
        """The share of each optimizer's rate that is left."""
        left = self.config.steps - self.steps_done
        share = min(1.0, left / max(1, self.config.decay_steps))
        for optimizer, _ in self.optimizers().values():
            optimizer.set_lr(share * self.rates[optimizer])

    @paddle.no_grad()
    def _average(self):
        """ema <- decay * ema + (1 - decay) * generator; the memory is shorter during the first steps."""
        decay = min(self.config.ema_decay, (1 + self.steps_done) / (10 + self.steps_done))
        for average, value in zip(self.ema.parameters(), self.generator.parameters(), strict=True):
            average.add_((value - average) * (1 - decay))
        for average, value in zip(self.ema.buffers(), self.generator.buffers(), strict=True):
            average.set_value(value)

    def _log(self, unlogged):
        """Add a row of mean losses to the history. FloatingPointError if one is not finite."""
        row = {"step": self.steps_done, "seconds": round(self.seconds, 1)}
        for name, values in unlogged.items():
            row[name] = float(paddle.stack(values).mean())
            if not np.isfinite(row[name]):
                raise FloatingPointError(f"the loss {name!r} is {row[name]} at step {self.steps_done}")
        self.history.append(row)

    def describe(self):
        """Where the run stands, as a JSON-able dict."""
        return {
            "model": self.name,
            "train_config": asdict(self.config),
            "image_size": list(self.image_size),
            "num_classes": self.dataset.num_classes,
            "steps": self.steps_done,
            "seconds": round(self.seconds, 1),
        }

    def save(self, folder):
        """Write <folder>/checkpoint.safetensors: networks, optimizers, step."""
        tensors = {}
        for name, network in self.networks().items():
            tensors |= state_arrays(network, f"{name}.")
        for name, (optimizer, network) in self.optimizers().items():
            tensors |= adam_arrays(optimizer, dict(network.named_parameters()), f"{name}.")
        write_tensors(Path(folder) / CHECKPOINT, tensors, {**self.describe(), "history": self.history})

    @classmethod
    def resume(cls, folder, dataset):
        """A Learner that goes on exactly where `save` stood."""
        path = Path(folder) / CHECKPOINT
        tensors, metadata = read_tensors(path)
        learner = cls(cls.config_class(**metadata["train_config"]), dataset)
        for name, network in learner.networks().items():
            load_state(network, tensors, path, f"{name}.")
        for name, (optimizer, network) in learner.optimizers().items():
            load_adam(optimizer, dict(network.named_parameters()), tensors, f"{name}.")
        learner.steps_done = metadata["steps"]
        learner.seconds = metadata["seconds"]
        learner.history = metadata["history"]
        return learner


class OasisLearner(Learner):
    """The GAN of `oasis`: generator against a discriminator that segments, and no other loss.

    >>> import inade_lite as il
    >>> small = OasisConfig(base_channels=2, discriminator_channels=2, batch_size=1, steps=1)
    >>> learner = OasisLearner(small, il.ToyTown("train", 32, length=4))
    >>> learner.fit(progress=False)
    """

    name = "oasis"
    title = "OASIS's idea"
    config_class = OasisConfig

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.discriminator = SegmentingDiscriminator(dataset.num_classes, config.discriminator_channels)
        self.optimizer_g = self.adam(config.learning_rate_g, self.generator)
        self.optimizer_d = self.adam(config.learning_rate_d, self.discriminator)

    @staticmethod
    def new_generator(config, num_classes, image_size):
        """The generator that a config, given as a dict, describes."""
        generator = NoiseGenerator(
            num_classes, image_size, config["noise_dim"], config["base_channels"], hidden=config["hidden"]
        )
        return initialize(generator, gain=1.0)

    def networks(self):
        """{name: network}, all that a checkpoint holds."""
        return {**super().networks(), "discriminator": self.discriminator}

    def optimizers(self):
        """{name: (Adam, network)}."""
        return {
            "optimizer_g": (self.optimizer_g, self.generator),
            "optimizer_d": (self.optimizer_d, self.discriminator),
        }

    def step(self, layout, real):
        """Train on pictures [N, 3, H, W] and their Layout. Returns the loss terms, {name: scalar Tensor}."""
        semantics = layout.semantics()  # [N, L, H, W]
        fake = self.generator(layout, sample_noise(layout, self.config.noise_dim))
        with frozen(self.discriminator):
            adversarial = balanced_cross_entropy(self.discriminator(fake), semantics)
        adversarial.backward()
        self.optimizer_g.step()
        self.optimizer_g.clear_grad()

        logits = self.discriminator(paddle.concat([fake.detach(), real]))
        painted = painted_cross_entropy(logits[: len(real)])
        found = balanced_cross_entropy(logits[len(real) :], semantics)
        (painted + found).backward()
        self.optimizer_d.step()
        self.optimizer_d.clear_grad()
        return {"adversarial": adversarial, "painted": painted, "found": found}


class FlowLearner(Learner):
    """The regression of `flow`: one network, one loss.

    >>> import inade_lite as il
    >>> small = FlowConfig(base_channels=4, batch_size=1, steps=1)
    >>> learner = FlowLearner(small, il.ToyTown("train", 16, length=4))
    >>> learner.fit(progress=False)
    """

    name = "flow"
    title = "flow matching"
    config_class = FlowConfig

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.optimizer = self.adam(config.learning_rate, self.generator)

    @staticmethod
    def new_generator(config, num_classes, image_size):
        """The generator that a config, given as a dict, describes."""
        return FlowGenerator(num_classes, image_size, config["base_channels"], config["sampling_steps"])

    def optimizers(self):
        """{name: (Adam, network)}."""
        return {"optimizer": (self.optimizer, self.generator)}

    def step(self, layout, real):
        """Train on pictures [N, 3, H, W] and their Layout. Returns the loss terms, {name: scalar Tensor}."""
        loss = flow_loss(self.generator.network, real, layout)
        loss.backward()
        self.optimizer.step()
        self.optimizer.clear_grad()
        return {"velocity": loss}


LEARNERS = {learner.name: learner for learner in (OasisLearner, FlowLearner)}


# ---- Trained models


def save_later(path, learner, **provenance):
    """Store a learner's averaged generator in half precision, with what load_later needs.

    provenance: JSON-able values to keep in the model's config as well.

    >>> import tempfile, inade_lite as il
    >>> learner = FlowLearner(FlowConfig(base_channels=4), il.ToyTown("train", 16, length=4))
    >>> save_later(f"{tempfile.mkdtemp()}/my.safetensors", learner)
    """
    tensors = {name: value.astype(np.float16) for name, value in state_arrays(learner.ema).items()}
    metadata = {**learner.describe(), **provenance, "class_names": list(learner.dataset.class_names)}
    write_tensors(path, tensors, metadata)


def load_later(name):
    """A Pretrained model of data/later, "oasis" or "flow", or of any file that save_later wrote. It has no encoder.

    >>> import tempfile, inade_lite as il
    >>> learner = FlowLearner(FlowConfig(base_channels=4), il.ToyTown("train", 16, length=4))
    >>> path = f"{tempfile.mkdtemp()}/my.safetensors"
    >>> save_later(path, learner)
    >>> load_later(path).generator.image_size
    (16, 16)
    """
    path = LATER / f"{name}.safetensors"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(f"no model {name!r}; data/later has those of {', '.join(LEARNERS)}")
    tensors, config = read_tensors(path)
    new_generator = LEARNERS[config["model"]].new_generator
    generator = new_generator(config["train_config"], len(config["class_names"]), tuple(config["image_size"]))
    load_state(generator, tensors, path)
    generator.eval()
    return Pretrained(generator, None, config["class_names"], config)
