"""Training (built in notebook 5): the generator with its encoder, then the discriminator.

Part of every batch learns to rebuild its real pictures from the encoder's noise, the rest to please the discriminator
from plain N(0, 1) noise: training sees what sampling will bring, and the look of an instance stays tied to its noise.
"""

import contextlib
import csv
import functools
import math
import signal
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import paddle
from tqdm.auto import tqdm

from . import losses
from .config import MAY_CHANGE, TrainConfig
from .data.batches import augment, batches, collate
from .data.images import to_uint8
from .discriminator import MultiscaleDiscriminator
from .files import naming, png, write_file
from .generator import start
from .maps import Layout
from .methods import find_method
from .modules import initialize
from .noise import kl_divergence, sample_noise
from .weights.tensors import load_state, read_tensors, state_arrays, write_tensors

CHECKPOINT, MODEL = "checkpoint.safetensors", "model.safetensors"  # of a run, in its folder


LOSSES = "losses.csv"


NETWORKS = ("generator", "ema", "encoder", "discriminator")


OPTIMIZED = {"optimizer_g": ("generator", "encoder"), "optimizer_d": ("discriminator",)}


class Trainer:
    """Trains a generator, its encoder and a discriminator on a data set.

    dataset: anything with items, num_classes and class_names as in `inade_lite.data`; all items of one size.
    preview: the items shown in previews, by default the first eight of the data set.
    perceptual: (fake, real) -> scalar, with lambda_perceptual; both [N, 3, H, W] in [-1, 1].
    A data set of files is read once first: one ValueError lists all that is wrong with it.

    `generator` learns, `ema` is its running average and samples. The same config, data and steps give the same weights.
    """

    def __init__(self, config, dataset, preview=None, perceptual=None):
        self.config, self.dataset, self.perceptual = config, dataset, perceptual
        if config.lambda_perceptual and perceptual is None:
            raise ValueError(
                f"lambda_perceptual={config.lambda_perceptual} weighs a perceptual loss, and there is none: "
                "give Trainer(config, dataset, perceptual=...); the command line has none, leave the option at 0"
            )
        self.method = find_method(config.method)
        self.steps_done, self.seconds, self.history = 0, 0.0, []
        self._own_folders = set()
        if hasattr(dataset, "check"):
            dataset.check()
        if preview is None:
            preview = [dataset[i] for i in range(min(8, len(dataset)))]
        if config.crop:
            preview = [augment(item, np.random.default_rng(config.seed), config.crop) for item in preview]
        self.preview_items = preview
        self.image_size = tuple(self.preview_items[0]["image"].shape[1:])

        paddle.seed(config.seed)
        self.generator = initialize(self._new_generator(), config.init_gain, config.noise_gain)
        self.ema = self._new_generator()
        self.ema.set_state_dict(self.generator.state_dict())
        self.ema.eval()
        self.encoder = self.method.new_encoder(asdict(config), self.generator)
        if self.encoder is not None:
            initialize(self.encoder, config.init_gain)
        in_channels = dataset.num_classes + 1 + 3  # labels, edges, image
        self.discriminator = initialize(
            MultiscaleDiscriminator(
                in_channels, config.discriminator_channels, config.discriminator_scales, config.discriminator_layers
            ),
            config.init_gain,
        )
        self.optimizer_g = self._adam(config.learning_rate_g, self.generator, self.encoder)
        self.optimizer_d = self._adam(config.learning_rate_d, self.discriminator)

    def _new_generator(self):
        return self.method.new_generator(asdict(self.config), self.dataset.num_classes, self.image_size)

    def _adam(self, rate, *networks):
        parameters = [p for network in networks if network is not None for p in network.parameters()]
        return paddle.optimizer.Adam(rate, self.config.beta1, self.config.beta2, parameters=parameters)

    # ---- One step

    def step(self, batch):
        """Update generator and encoder, then the discriminator. Returns the loss terms, scalar Tensors."""
        paddle.seed(self.config.seed * 1_000_003 + self.steps_done)  # a resumed run draws what an unbroken one draws
        self._set_rates()
        real = paddle.to_tensor(batch["image"])
        layout = Layout.of(batch, self.dataset)
        scene = layout.scene()
        fake, terms = self._generator_step(layout, scene, real)
        if self.config.fresh_fakes:
            with paddle.no_grad():
                fake, _ = self._generate(layout, real)
        terms |= self._discriminator_step(scene, fake.detach(), real)
        self._average()
        self.steps_done += 1
        return terms

    def _set_rates(self):
        c = self.config
        if c.decay_steps:
            share = min(1, max(0, 1 - (self.steps_done - c.decay_from) / c.decay_steps))
            self.optimizer_g.set_lr(share * c.learning_rate_g)
            self.optimizer_d.set_lr(share * c.learning_rate_d)

    def _known(self, real):
        """How many pictures of a batch, from the front, have noise that knows them."""
        return round(len(real) * (1 - self.config.plain_share))

    def _generate(self, layout, real):
        """Pictures from fresh noise, and the NoiseParams that remapped the noise of the known ones."""
        noise, latent = start(self.generator, layout)
        known = self._known(real)
        if self.encoder is None or not known:
            return self.generator(layout, noise, latent), None
        params = self.encoder(real[:known], layout[:known])
        told = self.generator.remap(params, noise[:known], latent[:known])
        noise = paddle.concat([told[0], noise[known:]])
        latent = paddle.concat([told[1], latent[known:]])
        return self.generator(layout, noise, latent), params

    def _generator_step(self, layout, scene, real):
        c, known, terms = self.config, self._known(real), {}
        fake, params = self._generate(layout, real)
        with frozen(self.discriminator):
            judged = self.discriminator(paddle.concat([scene, fake], axis=1))
        terms["adversarial"] = losses.adversarial_loss(judged, c.gan_mode)
        if known:
            with constant(self.discriminator):
                wanted = self.discriminator(paddle.concat([scene[:known], real[:known]], axis=1))
            rebuilt = [[features[:known] for features in scale] for scale in judged]
            terms["feature"] = c.lambda_feature * losses.feature_matching_loss(rebuilt, wanted, c.feature_from)
        if params is not None:
            terms["kl"] = 0.5 * c.lambda_kl * kl_divergence(params)
        if known and c.lambda_pixel:
            pixel = losses.pixel_loss(fake[:known], real[:known], layout[:known], c.instance_share)
            terms["pixel"] = c.lambda_pixel * pixel
        if known and c.lambda_perceptual:
            terms["perceptual"] = c.lambda_perceptual * self.perceptual(fake[:known], real[:known])
        sum(terms.values()).backward()
        self.optimizer_g.step()
        self.optimizer_g.clear_grad()
        return fake, terms

    def _discriminator_step(self, scene, fake, real):
        """The pictures just made serve again: the original draws new ones, which costs a pass."""
        both = paddle.concat([paddle.concat([scene, image], axis=1) for image in (fake, real)])
        terms, scores = {}, losses.split_batch(self.discriminator(both))
        terms["fake"], terms["real"] = losses.discriminator_losses(*scores, self.config.gan_mode)
        sum(terms.values()).backward()
        self.optimizer_d.step()
        self.optimizer_d.clear_grad()
        return terms

    @paddle.no_grad()
    def _average(self):
        """ema <- decay * ema + (1 - decay) * generator, with a shorter memory during the first steps."""
        decay = min(self.config.ema_decay, (1 + self.steps_done) / (10 + self.steps_done))
        for average, value in zip(self.ema.parameters(), self.generator.parameters(), strict=True):
            average.add_((value - average) * (1 - decay))  # on CPU several times faster than lerp_
        for average, value in zip(self.ema.buffers(), self.generator.buffers(), strict=True):
            average.set_value(value)

    # ---- A run

    def fit(self, steps, folder=None, on_preview=None, progress=True):
        """Train for so many more steps.

        folder: where to keep losses.csv, the previews and the checkpoint; ValueError if it holds another run.
        on_preview(trainer) is called with every
        preview. Ctrl-C finishes the step, saves the checkpoint (with a folder) and raises KeyboardInterrupt.
        FloatingPointError where a loss is no longer finite; the last checkpoint is left as it was.
        """
        c, folder = self.config, folder and Path(folder)
        source = batches(self.dataset, c.batch_size, c.seed, self.steps_done, self._augment(), c.workers)
        sums, start, last = {}, time.perf_counter() - self.seconds, self.steps_done + steps
        if folder:
            self._open_folder(folder)
        with _deferred_interrupt() as interrupted, tqdm(total=steps, unit="step", disable=not progress) as bar:
            while self.steps_done < last and not interrupted:
                for name, value in self.step(next(source)).items():
                    sums.setdefault(name, []).append(value.detach())
                self.seconds = time.perf_counter() - start
                if self.steps_done % c.log_every == 0:
                    row = self._log(sums, folder)
                    bar.set_postfix({name: f"{row[name]:.2f}" for name in sums})
                    sums = {}
                bar.update()
                if self.steps_done % c.preview_every == 0:
                    self._show(folder, on_preview)
                if folder and self.steps_done % c.save_every == 0:
                    self._save_sound(folder, sums)
            if folder:
                self._save_sound(folder, sums)
        if interrupted:
            where = f"; Trainer.resume({str(folder)!r}, dataset) goes on" if folder else ""
            raise KeyboardInterrupt(f"stopped after step {self.steps_done}{where}")

    def _augment(self):
        crop, flip = self.config.crop or None, self.config.flip
        return functools.partial(augment, crop=crop, flip=flip) if crop or flip else None

    def _log(self, sums, folder):
        row = {"step": self.steps_done, "seconds": round(self.seconds, 1), **self._means(sums)}
        self.history.append(row)
        if folder:
            _write_rows(folder / LOSSES, [row], "a")
        return row

    def _means(self, sums):
        """The mean of each term since the last row; FloatingPointError if one is not finite."""
        means = {name: float(paddle.stack(values).mean()) for name, values in sums.items()}
        for name, mean in means.items():
            if not math.isfinite(mean):
                raise FloatingPointError(
                    f"the loss {name!r} is {mean} at step {self.steps_done}; start from the last checkpoint with "
                    f"a smaller learning rate (now {self.config.learning_rate_g} and {self.config.learning_rate_d})"
                )
        return means

    def _save_sound(self, folder, sums):
        """A broken run must not replace the last good checkpoint."""
        self._means(sums)
        self.save(folder)

    def _open_folder(self, folder):
        """Make the folder and start its loss log afresh from what is known, so that it never tells a step twice."""
        if folder.resolve() not in self._own_folders:
            refuse_a_run(folder)
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._own_folders.add(folder.resolve())
        _write_rows(folder / LOSSES, self.history, "w")

    def _show(self, folder, on_preview):
        if folder:
            rows = to_uint8(np.stack(list(self.preview().values())))  # [R, N, H, W, 3]
            image = np.concatenate([np.concatenate(list(row), axis=1) for row in rows])
            write_file(folder / f"preview_{self.steps_done:06d}.png", png(image))
        if on_preview is not None:
            on_preview(self)

    @paddle.no_grad()
    def preview(self):
        """The preview items as {"real", "rebuilt", "sample 1", "sample 2"}, each ndarray [8, 3, H, W] in [-1, 1].

        Noise and latent are the same in every preview, so that only the training moves. No encoder, no "rebuilt".
        """
        batch, c = collate(self.preview_items), self.config
        layout = Layout.of(batch, self.dataset)
        random = np.random.default_rng(c.seed)
        latents = random.standard_normal([3, len(layout), max(1, self.ema.latent_dim)], dtype=np.float32)
        inputs = [(sample_noise(layout, self.ema.noise_dim, k), paddle.to_tensor(latents[k])) for k in range(3)]
        rows = {"real": batch["image"]}
        if self.encoder is not None:
            with constant(self.encoder):
                params = self.encoder(paddle.to_tensor(batch["image"]), layout)
            rows["rebuilt"] = self.ema(layout, *self.ema.remap(params, *inputs[0])).numpy()
        for k in (1, 2):
            rows[f"sample {k}"] = self.ema(layout, *inputs[k]).numpy()
        return rows

    # ---- Checkpoints

    def describe(self):
        """Where the run stands, as a JSON-able dict."""
        return {
            "train_config": asdict(self.config),
            "image_size": list(self.image_size),
            "num_classes": self.dataset.num_classes,
            "steps": self.steps_done,
            "seconds": round(self.seconds, 1),
        }

    def save(self, folder):
        """Write <folder>/checkpoint.safetensors: networks, optimizers, step. An old one stays until this is whole."""
        tensors = {}
        for name, network in self._networks().items():
            tensors |= state_arrays(network, f"{name}.")
        for name in OPTIMIZED:
            tensors |= {f"{name}.{key}": value.numpy() for key, value in self._optimizer_names(name).items()}
        metadata = {**self.describe(), "history": self.history}
        write_tensors(Path(folder) / CHECKPOINT, tensors, metadata)

    @classmethod
    def resume(cls, folder, dataset, preview=None, perceptual=None, **changes):
        """A Trainer that goes on exactly where `save` stood.

        changes: fields of TrainConfig that are to be other than in the checkpoint; those in MAY_CHANGE are taken, any
        other that differs is a ValueError that names it.
        """
        path = Path(folder) / CHECKPOINT
        tensors, metadata = read_tensors(path)
        config = TrainConfig(**metadata["train_config"])
        fixed = [name for name, value in changes.items() if value != getattr(config, name) and name not in MAY_CHANGE]
        if fixed:
            differ = ", ".join(f"{name}={getattr(config, name)!r}, not {changes[name]!r}" for name in fixed)
            raise ValueError(
                f"{path} was trained with {differ}; leave that out to go on, or start a new run in another folder. "
                f"These may change: {', '.join(MAY_CHANGE)}"
            )
        trainer = cls(replace(config, **changes), dataset, preview, perceptual)
        for name, here in (("num_classes", dataset.num_classes), ("image_size", list(trainer.image_size))):
            if metadata[name] != here:
                raise ValueError(f"{path} was trained with {name} {metadata[name]}, this data set has {here}")
        for name, network in trainer._networks().items():
            load_state(network, tensors, path, f"{name}.")
        for name in OPTIMIZED:
            trainer._load_optimizer(name, tensors)
        trainer.steps_done, trainer.seconds = metadata["steps"], metadata["seconds"]
        trainer.history = metadata["history"]
        trainer._own_folders.add(Path(folder).resolve())
        return trainer

    def _networks(self):
        return {name: getattr(self, name) for name in NETWORKS if getattr(self, name) is not None}

    def _parameters_of(self, optimizer):
        """{parameter's name in the checkpoint: parameter}; Paddle's own names change from one process to the next."""
        return {
            f"{network}.{name}": parameter
            for network in OPTIMIZED[optimizer]
            if network in self._networks()
            for name, parameter in getattr(self, network).named_parameters()
        }

    def _optimizer_names(self, optimizer):
        """Adam's state under the checkpoint's names: {"<network>.<parameter>@moment1_0": Tensor, ...}."""
        state = getattr(self, optimizer).state_dict()
        named = {}
        for name, parameter in self._parameters_of(optimizer).items():
            for key in ("moment1_0", "moment2_0", "beta1_pow_acc_0", "beta2_pow_acc_0"):
                if f"{parameter.name}_{key}" in state:
                    named[f"{name}@{key}"] = state[f"{parameter.name}_{key}"]
        return named

    def _load_optimizer(self, optimizer, tensors):
        parameters, state = self._parameters_of(optimizer), {}
        for name, value in tensors.items():
            if name.startswith(f"{optimizer}."):
                parameter, key = name[len(optimizer) + 1 :].split("@")
                state[f"{parameters[parameter].name}_{key}"] = paddle.to_tensor(value)
        getattr(self, optimizer).set_state_dict(state)


def holds_a_run(folder):
    """Whether a folder holds what a run has left: its checkpoint or its model."""
    return any((Path(folder) / name).exists() for name in (CHECKPOINT, MODEL))


def refuse_a_run(folder):
    """ValueError if a folder holds a run, which a new one would overwrite."""
    if holds_a_run(folder):
        raise ValueError(
            f"{folder} holds a run already; go on with it (Trainer.resume, or train --resume), or name another folder"
        )


def start_or_resume(config, dataset, folder, steps, preview=None, perceptual=None):
    """(trainer, folder) of a run of so many steps that no second call overwrites.

    A run of this config in `folder` that has not come to its end goes on. A finished one stays as it is, and so does a
    run of another config: the new trainer gets the next free name, <folder>_2, <folder>_3, ...
    """
    folder, number = Path(folder), 1
    while True:
        place = folder if number == 1 else folder.with_name(f"{folder.name}_{number}")
        if not holds_a_run(place):
            return Trainer(config, dataset, preview, perceptual), place
        if (place / CHECKPOINT).exists():
            _, metadata = read_tensors(place / CHECKPOINT)
            if TrainConfig(**metadata["train_config"]) == config and metadata["steps"] < steps:
                return Trainer.resume(place, dataset, preview, perceptual), place
        number += 1


@contextlib.contextmanager
def frozen(network):
    """Gradients flow through the network but its parameters receive none: that spares a third of its backward pass."""
    for p in network.parameters():
        p.stop_gradient = True
    try:
        yield
    finally:
        for p in network.parameters():
            p.stop_gradient = False


@contextlib.contextmanager
def constant(network):
    """No gradients at all, and nothing that a training forward would change: the network stays as it is."""
    network.eval()
    try:
        with paddle.no_grad():
            yield
    finally:
        network.train()


@contextlib.contextmanager
def _deferred_interrupt():
    """A list that Ctrl-C fills, so that a step is never left half done. A second Ctrl-C stops at once."""
    interrupted = []
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def remember(number, frame):
        if interrupted:
            raise KeyboardInterrupt
        interrupted.append(number)

    previous = signal.signal(signal.SIGINT, remember)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, previous)


def _write_rows(path, rows, mode):
    with naming(path), open(path, mode, newline="") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]))
            if file.tell() == 0:
                writer.writeheader()
            writer.writerows(rows)
