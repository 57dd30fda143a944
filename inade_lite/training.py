"""Training (built in notebook 6): one step of the GAN, then many of them, then what is kept of a run.

One step trains the generator with its encoder, then the discriminator, and then updates the running average of the
generator, which is the one that draws samples:

    generator      adversarial + lambda_feature * feature matching + lambda_kl / 2 * KL + lambda_pixel * pixel
                   (+ lambda_pattern * pattern + lambda_perceptual * perceptual, if these are wanted)
    discriminator  loss of the fake pictures + loss of the real ones
    average        ema <- decay * ema + (1 - decay) * generator

Each batch is split in two, by `plain_share`. The noise of its first pictures is remapped by the encoder, so that it
knows the real picture, and they are to be rebuilt. The others get plain N(0, 1) noise, as in sampling, and only have to
look real. The first ties the look of an instance to its noise; the second makes plain noise good enough to sample from.
"""

import contextlib
import functools
import itertools
import math
import os
import platform
import signal
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import paddle
from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from . import losses, signs
from .checks import expect_count
from .config import MAY_CHANGE, TrainConfig
from .data.batches import augment, batches, collate
from .data.images import to_uint8
from .data.sketches import suited
from .diff_augment import changed_pair, draw_changes
from .discriminator import MultiscaleDiscriminator
from .files import csv_text, make_folder, naming, png, write_file
from .generator import start
from .maps import Layout
from .methods import find_method
from .modules import initialize
from .noise import kl_divergence, sample_noise
from .weights.tensors import adam_arrays, load_adam, load_state, read_tensors, state_arrays, write_tensors

NETWORKS = ("generator", "ema", "encoder", "discriminator")  # of a Trainer

# The files in the folder of a run, besides its previews.
CHECKPOINT = "checkpoint.safetensors"  # all that training needs to go on
LOCK = "run.lock"  # held while somebody trains, and who that is
OWNER = "run.owner"
BEFORE = "checkpoint_before.safetensors"  # the one before that
MODEL = "model.safetensors"  # what sampling needs, see save_pretrained
LOSSES = "losses.csv"


class Trainer:
    """Trains a generator, its encoder and a discriminator on a data set.

    config: a TrainConfig. The same config, data and number of steps give the same weights on one machine.
    dataset: anything with items, num_classes and class_names as in `inade_lite.data`, all items of one size. A data set
    of files is read once first: one ValueError lists all that is wrong with it.
    preview: the items shown in previews, by default the first eight of the data set.
    perceptual: (fake, real) -> scalar, for lambda_perceptual; both [N, 3, H, W] in [-1, 1].

    `generator` learns, `ema` is its running average. `encoder` is None if the method has none. `steps_done` counts the
    steps, `seconds` the time they took, and `history` has a row of mean losses for every `log_every` steps.

    >>> import inade_lite as il
    >>> small = il.TrainConfig(base_channels=2, encoder_channels=2, discriminator_channels=2, num_upsamplings=3)
    >>> trainer = il.Trainer(small, il.ToyTown("train", 32, length=8))
    >>> trainer.fit(steps=1, progress=False)
    """

    def __init__(self, config, dataset, preview=None, perceptual=None):
        if config.lambda_perceptual and perceptual is None:
            raise ValueError(
                f"lambda_perceptual={config.lambda_perceptual} weighs a perceptual loss, and there is none: "
                "give Trainer(config, dataset, perceptual=...), or --perceptual on the command line"
            )
        self.config = config
        self.method = find_method(config.method)
        self.dataset = suited(dataset, self.method)
        self.perceptual = perceptual
        expect_count("num_classes of the data set", dataset.num_classes)
        if hasattr(dataset, "check"):
            dataset.check()
        self.preview_items = self._preview_items(preview)
        self.image_size = tuple(self.preview_items[0]["image"].shape[1:])
        self.steps_done = 0
        self.seconds = 0.0
        self.history = []
        self._unlogged = {}  # the loss terms since the last row of the history, {name: [scalar, ...]}
        self._told = set()  # the signs of trouble that were told, see `signs`
        self._own_folders = set()  # those that hold this run, and no other

        # The order in which the networks are made and initialized decides what each draws from the seed.
        paddle.seed(config.seed)
        self.generator = initialize(self._new_generator(), config.init_gain, config.noise_gain)
        self.ema = self._new_generator()
        self.ema.set_state_dict(self.generator.state_dict())
        self.ema.eval()
        self.encoder = self.method.new_encoder(asdict(config), self.generator)
        if self.encoder is not None:
            initialize(self.encoder, config.init_gain)
        self.discriminator = initialize(new_discriminator(config, dataset.num_classes), config.init_gain)
        self.optimizer_g = self._adam(config.learning_rate_g, self._parameters("generator", "encoder"))
        self.optimizer_d = self._adam(config.learning_rate_d, self._parameters("discriminator"))

    def _preview_items(self, items):
        """These items, or the first of the data set, all cropped at the same place if the config crops."""
        if items is None:
            count = min(8, len(self.dataset))
            items = [self.dataset[i] for i in range(count)]
        elif self.method.sketch:
            items = [self.dataset.complete(item) for item in items]
        if not self.config.crop:
            return items
        cropped = []
        for item in items:
            rng = np.random.default_rng(self.config.seed)
            cropped.append(augment(item, rng, self.config.crop))
        return cropped

    def _new_generator(self):
        """An untrained generator as the config describes it."""
        return self.method.new_generator(asdict(self.config), self.dataset.num_classes, self.image_size)

    def _adam(self, rate, parameters):
        """An Adam with this learning rate for {name: parameter}."""
        beta1, beta2 = self.config.beta1, self.config.beta2
        return paddle.optimizer.Adam(rate, beta1, beta2, parameters=list(parameters.values()))

    # ---- One step: generator, discriminator, average

    def step(self, batch):
        """Train on one collated batch. Returns the loss terms, {name: scalar Tensor}.

        >>> import inade_lite as il
        >>> town = il.ToyTown("train", 32, length=2)
        >>> small = il.TrainConfig(base_channels=2, encoder_channels=2, discriminator_channels=2, num_upsamplings=3)
        >>> sorted(il.Trainer(small, town).step(il.collate([town[0], town[1]])))
        ['adversarial', 'fake', 'feature', 'kl', 'pixel', 'real']
        """
        # Every step has a seed of its own, so that a resumed run draws what an unbroken one draws.
        paddle.seed(self.config.seed * 1_000_003 + self.steps_done)
        self._set_rates()
        real = paddle.to_tensor(batch["image"])  # [N, 3, H, W]
        layout = Layout.of(batch, self.dataset)
        scene = layout.scene()  # [N, S, H, W]: one-hot classes and edges, what the discriminator sees of the maps
        if self.method.sketch:
            scene = paddle.concat([scene, layout.sketch()], axis=1)

        fake, terms = self._generator_step(layout, scene, real)
        if self.config.fresh_fakes:
            with paddle.no_grad():
                fake, _ = self._generate(layout, real)
        terms |= self._discriminator_step(scene, fake.detach(), real)
        self._average_step()
        self.steps_done += 1
        return terms

    def _generator_step(self, layout, scene, real):
        """Train generator and encoder. Returns the pictures [N, 3, H, W] and the loss terms."""
        config = self.config
        known = self._known(len(real))
        fake, params = self._generate(layout, real)
        changes = draw_changes(len(real), config.diff_augment)
        fake_pair = changed_pair(scene, fake, changes)  # [N, S + 3, H, W]
        # The generator learns through the discriminator, which does not learn here.
        with frozen(self.discriminator):
            judged = self.discriminator(fake_pair)

        terms = {"adversarial": losses.adversarial_loss(judged, config.gan_mode)}
        if known:
            # The pictures whose noise knows the real ones are to have their features, too: under the same changes.
            real_pair = changed_pair(scene[:known], real[:known], changes.first(known))
            with constant(self.discriminator):
                wanted = self.discriminator(real_pair)
            rebuilt = [[features[:known] for features in scale] for scale in judged]
            feature = losses.feature_matching_loss(rebuilt, wanted, config.feature_from)
            terms["feature"] = config.lambda_feature * feature
        if params is not None:
            terms["kl"] = 0.5 * config.lambda_kl * kl_divergence(params)
        if known and config.lambda_pixel:
            pixel = losses.pixel_loss(fake[:known], real[:known], layout[:known], config.instance_share)
            terms["pixel"] = config.lambda_pixel * pixel
        if known and config.lambda_pattern:
            pattern = losses.pattern_loss(fake[:known], real[:known], layout[:known])
            terms["pattern"] = config.lambda_pattern * pattern
        if known and config.lambda_perceptual:
            terms["perceptual"] = config.lambda_perceptual * self.perceptual(fake[:known], real[:known])

        sum(terms.values()).backward()
        self.optimizer_g.step()
        self.optimizer_g.clear_grad()
        return fake, terms

    def _generate(self, layout, real):
        """Pictures [N, 3, H, W] from fresh noise, and the NoiseParams that remapped the noise of the known ones."""
        noise, latent = start(self.generator, layout)  # [N, I, 2, Z], [N, latent_dim]
        known = self._known(len(real))
        if self.encoder is None or not known:
            return self.generator(layout, noise, latent), None
        params = self.encoder(real[:known], layout[:known])
        if latent is None:
            latent = paddle.zeros([len(real), 1])  # latent_dim is 0, so that the generator does not look at it
        known_noise, known_latent = self.generator.remap(params, noise[:known], latent[:known])
        noise = paddle.concat([known_noise, noise[known:]])
        latent = paddle.concat([known_latent, latent[known:]])
        return self.generator(layout, noise, latent), params

    def _known(self, count):
        """How many of so many pictures, counted from the front, are to be rebuilt: the encoder remaps their noise."""
        share = 1 - self.config.plain_share
        # Of a single picture, half would be none: encoder and features would never learn.
        return max(1, round(count * share)) if share else 0

    def _discriminator_step(self, scene, fake, real):
        """Train the discriminator. Returns the loss terms.

        fake: [N, 3, H, W] without gradients. They are the pictures of the generator's step, unless `fresh_fakes` is
        set. The original always draws new ones, which costs another pass through encoder and generator.
        """
        fake_pair = changed_pair(scene, fake, draw_changes(len(fake), self.config.diff_augment))
        real_pair = changed_pair(scene, real, draw_changes(len(real), self.config.diff_augment))
        # One pass for both: no layer of the discriminator mixes the pictures of a batch.
        outputs = self.discriminator(paddle.concat([fake_pair, real_pair]))
        fake_scores, real_scores = losses.split_batch(outputs)
        fake_loss, real_loss = losses.discriminator_losses(fake_scores, real_scores, self.config.gan_mode)
        (fake_loss + real_loss).backward()
        self.optimizer_d.step()
        self.optimizer_d.clear_grad()
        return {"fake": fake_loss, "real": real_loss}

    @paddle.no_grad()
    def _average_step(self):
        """ema <- decay * ema + (1 - decay) * generator."""
        # The memory is shorter during the first steps. Otherwise the average would hold on to the untrained weights.
        decay = min(self.config.ema_decay, (1 + self.steps_done) / (10 + self.steps_done))
        for average, value in zip(self.ema.parameters(), self.generator.parameters(), strict=True):
            average.add_((value - average) * (1 - decay))  # on a CPU several times faster than lerp_
        for average, value in zip(self.ema.buffers(), self.generator.buffers(), strict=True):
            average.set_value(value)

    def _set_rates(self):
        """Both learning rates stay as they are up to decay_from, then fall linearly to 0 within decay_steps."""
        config = self.config
        if config.decay_steps:
            share = 1 - (self.steps_done - config.decay_from) / config.decay_steps
            share = min(1, max(0, share))
            self.optimizer_g.set_lr(share * config.learning_rate_g)
            self.optimizer_d.set_lr(share * config.learning_rate_d)

    # ---- Many steps

    def fit(self, steps, folder=None, on_preview=None, progress=True, preview_at=()):
        """Train for so many more steps.

        folder: where to keep losses.csv, the previews and the checkpoint; ValueError if it holds another run, or if
        another process trains in it.
        on_preview: called as on_preview(trainer) with every preview. progress: whether to show a bar.
        preview_at: steps that have a preview besides those of every `preview_every`; 0 is before the first one.

        Ctrl-C finishes the step, saves the checkpoint (with a folder) and raises KeyboardInterrupt. So do SIGTERM, by
        which clusters and containers stop a job, and SIGHUP, which comes when a terminal is closed.
        FloatingPointError if a loss or a weight is no longer finite; the last checkpoint is left as it was. ValueError
        if an item can no longer be read; the checkpoint is saved before.
        """
        if folder is None:
            self._fit(steps, None, on_preview, progress, preview_at)
            return
        with _alone(Path(folder)):
            self._open_folder(Path(folder))
            self._fit(steps, Path(folder), on_preview, progress, preview_at)

    def _fit(self, steps, folder, on_preview, progress, preview_at):
        """`fit`, in a folder that is open."""
        config = self.config
        source = batches(
            self.dataset,
            config.batch_size,
            config.seed,
            start_step=self.steps_done,
            augment=self._augment(),
            workers=config.workers,
        )
        self._tell(signs.of_settings(config, self._known(config.batch_size), self.method.level))
        start_time = time.perf_counter() - self.seconds
        last = self.steps_done + steps
        if self.steps_done == 0 and 0 in preview_at:
            self._show(folder, on_preview)
        with _deferred_stop() as interrupted, tqdm(total=steps, unit="step", disable=not progress) as bar:
            while self.steps_done < last and not interrupted:
                for name, value in self.step(self._next_batch(source, folder)).items():
                    self._unlogged.setdefault(name, []).append(value.detach())
                self.seconds = time.perf_counter() - start_time
                if self.steps_done % config.log_every == 0:
                    row = self._log(folder)
                    self._tell(signs.of_losses(self.history, config, self._known(config.batch_size)))
                    bar.set_postfix({name: f"{row[name]:.2f}" for name in self._unlogged})
                    self._unlogged = {}
                bar.update()
                if self.steps_done % config.preview_every == 0 or self.steps_done in preview_at:
                    self._show(folder, on_preview)
                if folder and self.steps_done % config.save_every == 0:
                    self._save_sound(folder)
            if folder:
                self._save_sound(folder)
        if interrupted:
            where = f"; Trainer.resume({str(folder)!r}, dataset) goes on" if folder else ""
            raise KeyboardInterrupt(f"stopped after step {self.steps_done}{where}")

    def _next_batch(self, source, folder):
        """The next batch. If a file is gone or damaged by now, what was learned is saved before that is told."""
        try:
            return next(source)
        except (ValueError, OSError) as error:
            if folder is None or not self.steps_done:
                raise
            self._save_sound(folder)
            raise ValueError(
                f"{error}; stopped after step {self.steps_done} and saved: mend it, then go on with --resume "
                f"(Trainer.resume({str(folder)!r}, dataset))"
            ) from error

    def _augment(self):
        """What `batches` does with an item, or None."""
        config = self.config
        if not config.crop and not config.flip:
            return None
        return functools.partial(augment, crop=config.crop or None, flip=config.flip)

    def _log(self, folder):
        """Add a row to the history and to losses.csv, and return it."""
        row = {"step": self.steps_done, "seconds": round(self.seconds, 1), **self._means()}
        self.history.append(row)
        if folder:
            with naming(folder / LOSSES), open(folder / LOSSES, "a", newline="") as file:
                file.write(csv_text([row], header=len(self.history) == 1))
        return row

    def _means(self):
        """The mean of each term since the last row, {name: float}. FloatingPointError if one is not finite."""
        means = {}
        for name, values in self._unlogged.items():
            # Reading a number waits for the device. So it is done here, once for many steps.
            mean = float(paddle.stack(values).mean())
            if not math.isfinite(mean):
                raise FloatingPointError(
                    f"the loss {name!r} is {mean} at step {self.steps_done}; start from the last checkpoint with "
                    f"a smaller learning rate (now {self.config.learning_rate_g} and {self.config.learning_rate_d})"
                )
            means[name] = mean
        return means

    def _tell(self, found):
        """Write signs of trouble above the bar, each once in a run."""
        for name, sentence in found.items():
            if name not in self._told:
                self._told.add(name)
                tqdm.write(f"step {self.steps_done}: {sentence}")

    # ---- Previews

    @paddle.no_grad()
    def preview(self):
        """The preview items as {"real", "rebuilt", "sample 1", "sample 2"}, each ndarray [N, 3, H, W] in [-1, 1].

        Noise and latent are the same in every preview, so that what changes is due to training alone. A method
        without an encoder has no "rebuilt".

        >>> import inade_lite as il
        >>> small = il.TrainConfig(base_channels=2, num_upsamplings=3)
        >>> rows = il.Trainer(small, il.ToyTown("train", 32, length=8)).preview()
        >>> {name: images.shape for name, images in rows.items()}["rebuilt"]
        (8, 3, 32, 32)
        """
        batch = collate(self.preview_items)
        layout = Layout.of(batch, self.dataset)
        random = np.random.default_rng(self.config.seed)
        latent_dim = max(1, self.ema.latent_dim)  # a generator without a latent does not look at it
        latents = random.standard_normal([3, len(layout), latent_dim], dtype=np.float32)
        draws = []  # of noise and latent: one to rebuild from, two to sample from
        for k in range(3):
            noise = sample_noise(layout, self.ema.noise_dim, k)
            draws.append((noise, paddle.to_tensor(latents[k])))

        rows = {"real": batch["image"]}
        if self.encoder is not None:
            real = paddle.to_tensor(batch["image"])
            with constant(self.encoder):
                params = self.encoder(real, layout)
            noise, latent = self.ema.remap(params, *draws[0])
            rows["rebuilt"] = self.ema(layout, noise, latent).numpy()
        for k in (1, 2):
            noise, latent = draws[k]
            rows[f"sample {k}"] = self.ema(layout, noise, latent).numpy()
        return rows

    def _show(self, folder, on_preview):
        """Write a preview into the folder and hand it on, if there are such."""
        if folder:
            rows = self.preview()
            if self.steps_done >= signs.FIRST_STEP:
                self._tell(signs.of_samples(rows, self.method.level))
            pixels = to_uint8(np.stack(list(rows.values())))  # [R, N, 3, H, W] -> [R, N, H, W, 3]
            count, images, height, width, _ = pixels.shape
            # [R, N, H, W, 3] -> [R, H, N, W, 3] -> [R*H, N*W, 3]
            grid = pixels.transpose(0, 2, 1, 3, 4).reshape(count * height, images * width, 3)
            write_file(folder / f"preview_{self.steps_done:06d}.png", png(grid))
        if on_preview is not None:
            on_preview(self)

    # ---- The checkpoint

    def describe(self):
        """Where the run stands, as a JSON-able dict.

        >>> import inade_lite as il
        >>> small = il.TrainConfig(base_channels=2, num_upsamplings=3)
        >>> il.Trainer(small, il.ToyTown("train", 32, length=8)).describe()["image_size"]
        [32, 32]
        """
        return {
            "train_config": asdict(self.config),
            "image_size": list(self.image_size),
            "num_classes": self.dataset.num_classes,
            "items": len(self.dataset),
            "steps": self.steps_done,
            "seconds": round(self.seconds, 1),
        }

    def save(self, folder):
        """Write <folder>/checkpoint.safetensors: networks, optimizers, step. An old one stays until this is whole.

        It stays afterwards, too, as <folder>/checkpoint_before.safetensors. FloatingPointError names a number that is
        not finite; then nothing is written.
        """
        tensors = {}
        for name, network in self._networks().items():
            tensors |= state_arrays(network, f"{name}.")
        tensors |= adam_arrays(self.optimizer_g, self._parameters("generator", "encoder"), "optimizer_g.")
        tensors |= adam_arrays(self.optimizer_d, self._parameters("discriminator"), "optimizer_d.")
        for name, values in tensors.items():
            if not np.isfinite(values).all():
                raise FloatingPointError(
                    f"{name} is no longer finite at step {self.steps_done}; go on from the last checkpoint in {folder} "
                    f"with smaller learning rates (now {self.config.learning_rate_g} and {self.config.learning_rate_d})"
                )
        metadata = {**self.describe(), "class_names": list(self.dataset.class_names), "history": self.history}
        # A row of the log that is half full goes on, too.
        metadata["unlogged"] = {name: [float(value) for value in values] for name, values in self._unlogged.items()}
        write_tensors(Path(folder) / CHECKPOINT, tensors, metadata, Path(folder) / BEFORE)

    @classmethod
    def resume(cls, folder, dataset, preview=None, perceptual=None, **changes):
        """A Trainer that goes on exactly where `save` stood.

        changes: fields of TrainConfig that are to be other than in the checkpoint. Those in MAY_CHANGE are taken; any
        other that differs is a ValueError that names it, and so is a data set of other classes or another size.

        >>> import tempfile, inade_lite as il
        >>> folder, town = tempfile.mkdtemp(), il.ToyTown("train", 32, length=8)
        >>> il.Trainer(il.TrainConfig(base_channels=2, num_upsamplings=3), town).save(folder)
        >>> il.Trainer.resume(folder, town, log_every=5).config.log_every
        5
        """
        path = Path(folder) / CHECKPOINT
        tensors, metadata, config = _read_checkpoint(path)
        refused = []
        for name, value in changes.items():
            trained_with = getattr(config, name)
            if value != trained_with and name not in MAY_CHANGE:
                refused.append(f"{name}={trained_with!r}, not {value!r}")
        if refused:
            raise ValueError(
                f"{path} was trained with {', '.join(refused)}; leave that out to go on, or start a new run in another "
                f"folder. These may change: {', '.join(MAY_CHANGE)}"
            )
        trainer = cls(replace(config, **changes), dataset, preview, perceptual)
        here = {"num_classes": dataset.num_classes, "image_size": list(trainer.image_size)}
        for name, value in here.items():
            if metadata[name] != value:
                raise ValueError(f"{path} was trained with {name} {metadata[name]}, this data set has {value}")
        # A checkpoint of an earlier version does not tell the names.
        for before, now in zip(metadata.get("class_names", dataset.class_names), dataset.class_names, strict=True):
            if before != now:
                raise ValueError(
                    f"{path} was trained with a class {before!r} where this data set has {now!r}; "
                    "go on with the data set of that run, or start a new run in another folder"
                )
        if metadata.get("items", len(dataset)) != len(dataset):
            raise ValueError(
                f"{path} was trained with {metadata['items']} items, this data set has {len(dataset)}; "
                "go on with the data set of that run, or start a new run in another folder"
            )

        for name, network in trainer._networks().items():
            load_state(network, tensors, path, f"{name}.")
        load_adam(trainer.optimizer_g, trainer._parameters("generator", "encoder"), tensors, "optimizer_g.")
        load_adam(trainer.optimizer_d, trainer._parameters("discriminator"), tensors, "optimizer_d.")
        trainer.steps_done = metadata["steps"]
        trainer.seconds = metadata["seconds"]
        trainer.history = metadata["history"]
        for name, values in metadata.get("unlogged", {}).items():
            trainer._unlogged[name] = [paddle.to_tensor(value, "float32") for value in values]
        trainer._own_folders.add(Path(folder).resolve())
        return trainer

    def _save_sound(self, folder):
        """Save unless a loss is not finite: a broken run must not replace the last good checkpoint."""
        self._means()
        self.save(folder)

    def _networks(self):
        """{name: network} of those that there are: a method may have no encoder."""
        networks = {name: getattr(self, name) for name in NETWORKS}
        return {name: network for name, network in networks.items() if network is not None}

    def _parameters(self, *names):
        """{"<network>.<parameter>": parameter} of these networks, where there are such."""
        parameters = {}
        for name in names:
            network = getattr(self, name)
            if network is not None:
                parameters |= {f"{name}.{key}": parameter for key, parameter in network.named_parameters()}
        return parameters

    # ---- The folder of a run

    def _open_folder(self, folder):
        """Cut the folder's loss log to what is known, so that no step gets two rows."""
        if folder.resolve() not in self._own_folders:
            refuse_a_run(folder)
        self._own_folders.add(folder.resolve())
        # Whole or not at all: a kill must not lose the log.
        write_file(folder / LOSSES, csv_text(self.history).encode())


def new_discriminator(config, num_classes):
    """The discriminator that a TrainConfig describes, for so many classes.

    >>> len(new_discriminator(TrainConfig(discriminator_channels=2), num_classes=3).scales)
    2
    """
    has_sketch = find_method(config.method).sketch
    return MultiscaleDiscriminator(
        num_classes + 1 + has_sketch + 3,  # one-hot classes, edges, perhaps a sketch, colors
        config.discriminator_channels,
        config.discriminator_scales,
        config.discriminator_layers,
    )


@contextlib.contextmanager
def _alone(folder):
    """Make the folder and hold its lock. ValueError, with the owner's name, if another trainer holds it.

    The system lets go of the lock of a process that has died, however it died.
    """
    make_folder(folder)
    owner = folder / OWNER
    lock = FileLock(folder / LOCK, timeout=0)
    with naming(folder / LOCK):
        try:
            lock.acquire()
        except Timeout:  # an OSError, too
            name = owner.read_text("utf-8") if owner.exists() else "another process"
            raise ValueError(f"{name} trains in {folder} already; wait for it, or name another folder") from None
    try:
        write_file(owner, f"process {os.getpid()} on {platform.node()}".encode())
        yield
    finally:
        with contextlib.suppress(OSError):  # what went wrong before is to be told
            owner.unlink(missing_ok=True)
        lock.release()


def start_or_resume(config, dataset, folder, steps, preview=None, perceptual=None):
    """(trainer, folder) of a run of so many steps that no second call overwrites.

    A run of this config in `folder` that has not come to its end goes on. A finished one stays as it is, and so does a
    run of another config: the new trainer gets the next free name, <folder>_2, <folder>_3, ...

    >>> import tempfile, inade_lite as il
    >>> small = il.TrainConfig(base_channels=2, num_upsamplings=3)
    >>> trainer, folder = il.start_or_resume(small, il.ToyTown("train", 32), tempfile.mkdtemp(), steps=100)
    >>> trainer.steps_done
    0
    """
    folder = Path(folder)
    place = folder
    for number in itertools.count(2):
        if not holds_a_run(place):
            return Trainer(config, dataset, preview, perceptual), place
        if (place / CHECKPOINT).exists():
            _, metadata, its_config = _read_checkpoint(place / CHECKPOINT)
            if its_config == config and metadata["steps"] < steps:
                return Trainer.resume(place, dataset, preview, perceptual), place
        place = folder.with_name(f"{folder.name}_{number}")


def _read_checkpoint(path):
    """(tensors, metadata, TrainConfig) of a checkpoint. A ValueError tells of damage, and of the one before, if any."""
    try:
        tensors, metadata = read_tensors(path)
        for key in ("train_config", "image_size", "num_classes", "steps", "seconds", "history"):
            if key not in metadata:
                raise ValueError(f"{path} does not tell its {key}; it is no checkpoint of a training")
        try:
            config = TrainConfig(**metadata["train_config"])
        except TypeError as error:
            raise ValueError(f"{path} has settings that this version does not know ({error})") from None
    except ValueError as error:
        before = path.with_name(BEFORE)
        if not before.exists():
            raise
        raise ValueError(f"{error}; to go on from the checkpoint before it, rename {before} to {path.name}") from error
    return tensors, metadata, config


def holds_a_run(folder):
    """Whether a folder holds what a run has left: its checkpoint or its model.

    >>> import tempfile
    >>> holds_a_run(tempfile.mkdtemp())
    False
    """
    folder = Path(folder)
    return (folder / CHECKPOINT).exists() or (folder / MODEL).exists()


def refuse_a_run(folder):
    """ValueError if a folder holds a run, which a new one would overwrite.

    >>> import tempfile
    >>> refuse_a_run(tempfile.mkdtemp())
    """
    if holds_a_run(folder):
        raise ValueError(
            f"{folder} holds a run already; go on with it (Trainer.resume, or train --resume), or name another folder"
        )


# ---- What a step does to a network for a moment


@contextlib.contextmanager
def frozen(network):
    """Gradients pass through the network to its input; its parameters get none. Afterwards all of them learn again.

    >>> fc = paddle.nn.Linear(2, 3)
    >>> with frozen(fc):
    ...     fc(paddle.ones([1, 2])).stop_gradient
    True
    """
    for parameter in network.parameters():
        parameter.stop_gradient = True
    try:
        yield
    finally:
        for parameter in network.parameters():
            parameter.stop_gradient = False


@contextlib.contextmanager
def constant(network):
    """No gradients at all, and no change by a training forward, such as that of running means: a constant function.

    >>> fc = paddle.nn.Linear(2, 3)
    >>> with constant(fc):
    ...     fc.training
    False
    """
    network.eval()
    try:
        with paddle.no_grad():
            yield
    finally:
        network.train()


# ---- Ctrl-C, and other ways to be stopped

STOPS = ("SIGINT", "SIGTERM", "SIGHUP")


@contextlib.contextmanager
def _deferred_stop():
    """A list that a stopping signal fills, so that a step is never left half done. A second one stops at once."""
    stopped = []
    if threading.current_thread() is not threading.main_thread():
        # Python delivers signals to the main thread alone.
        yield stopped
        return

    def remember(number, frame):
        if stopped:
            raise KeyboardInterrupt
        stopped.append(number)

    previous = {}
    for name in STOPS:
        number = getattr(signal, name, None)  # not every system has all of them
        # Under nohup a closed terminal is no reason to stop.
        is_nohup = name == "SIGHUP" and number is not None and signal.getsignal(number) is signal.SIG_IGN
        if number is not None and not is_nohup:
            previous[number] = signal.signal(number, remember)
    try:
        yield stopped
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
