"""A training is measured while it runs, and the model that was best is kept, not only the last one.

    python -m inade_lite train --evaluate_every 500 ...

writes evaluations.csv and best.safetensors into the folder of the run. The measure is Lite0-KID: samples of val scenes
beside their real pictures. 0 is right, less is better (`metrics`).
"""

import csv
from pathlib import Path

import numpy as np

from .data.batches import scene_batches
from .files import csv_text, write_file
from .generator import sample
from .metrics import Estimate, lite0
from .weights.pretrained import save_pretrained

EVALUATIONS = "evaluations.csv"
BEST = "best.safetensors"
SCENES = 64  # of val, at most


class Best:
    """What `Trainer.fit` calls as on_preview. It measures every so many steps, and keeps the best model.

    val: a data set of the trainer's classes and size, of three items or more. folder: where the run is kept.
    every: steps from one measurement to the next; other previews are passed over. provenance: for `save_pretrained`.
    ImportError if Lite0's weights are not installed, ValueError if val is too small.

    `rows` has a dict for each measurement: step, value, low, high. Those of a run that goes on come from its folder.

    >>> import tempfile, inade_lite as il
    >>> best = Best(il.ToyTown("val", 32, length=4), tempfile.mkdtemp(), every=500)
    >>> best.rows
    []
    """

    def __init__(self, val, folder, every, scenes=SCENES, seed=0, **provenance):
        lite0.load()
        if len(val) < 3:
            raise ValueError(f"val has {len(val)} items, a measurement takes 3 or more; leave out --evaluate_every")
        self.val = val
        self.folder = Path(folder)
        self.every = every
        self.scenes = min(scenes, len(val))
        self.seed = seed
        self.provenance = provenance
        self.rows = self._known()

    def _known(self):
        """The rows of a run that goes on."""
        path = self.folder / EVALUATIONS
        if not path.exists():
            return []
        with open(path, newline="") as file:
            rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
        return [{**row, "step": int(row["step"])} for row in rows]

    def __call__(self, trainer):
        if trainer.steps_done == 0 or trainer.steps_done % self.every:
            return
        # A run that was killed repeats the steps since its checkpoint.
        self.rows = [row for row in self.rows if row["step"] < trainer.steps_done]
        found = self.measure(trainer.ema)
        is_best = all(found.value < row["value"] for row in self.rows)
        self.rows.append({"step": trainer.steps_done, **found._asdict()})
        if is_best:
            save_pretrained(self.folder / BEST, trainer, lite0_kid=list(found), **self.provenance)
        write_file(self.folder / EVALUATIONS, csv_text(self.rows).encode())

    def measure(self, generator):
        """The Lite0-KID of one sample of each val scene beside their real pictures: an Estimate."""
        ours, real = [], []
        for numbers, batch, layout in scene_batches(self.val, self.scenes):
            ours.append(lite0.features(sample(generator, layout, [self.seed, numbers[0]]).numpy()))
            real.append(lite0.features(batch["image"]))
        value, interval = lite0.kid(np.concatenate(ours), np.concatenate(real), range(self.scenes))
        return Estimate(value, *interval)

    def best(self):
        """The row of the best measurement, or None."""
        return min(self.rows, key=lambda row: row["value"], default=None)
