"""Train, save, resume and sample for twenty minutes in one process, and see whether it grows: `make soak`.

Paddle 3.2.2 itself leaves a list behind whenever `paddle.to_tensor` makes a tensor and whenever a parameter is made: no
Python object knows these lists any more, and nothing frees them. So a second process does the same number of both, in
plain Paddle and without a line of this project. What the first one grows by beyond that is ours. Writes
reliability/soak.json.
"""

import argparse
import gc
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import inade_lite as il  # isort: skip: before Paddle, which it prepares
import numpy as np
import paddle
from paddle import nn

from .record import machine, write_record

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "runs/soak"
RECORD = Path(__file__).with_suffix(".json")

MINUTES = {"project": 14, "paddle": 6}
EVERY = 10  # seconds from one reading to the next
WARM_UP = 0.2  # of the readings, while buffers and caches fill

TINY = {"noise_dim": 4, "latent_dim": 6, "base_channels": 2, "encoder_channels": 2, "discriminator_channels": 2}
TINY |= {"num_upsamplings": 3, "batch_size": 2, "log_every": 5, "preview_every": 10, "save_every": 10}
STEPS = 10  # of a round


# ---- A round of each


class Project:
    """Train, save, go on from the checkpoint, sample."""

    def __init__(self):
        self.folder = WORK / "run"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.town = il.ToyTown("train", 32, length=12)
        self.trainer = il.Trainer(il.TrainConfig(**TINY), self.town)
        self.layout = il.Layout.of(il.collate([self.town[0], self.town[1]]), self.town)

    def round(self):
        self.trainer.fit(STEPS, self.folder, progress=False)
        self.trainer = il.Trainer.resume(self.folder, self.town)
        self.trainer.history.clear()  # a row of the log for every few steps is meant to stay
        il.sample(self.trainer.ema, self.layout, seed=1)


class Plain:
    """The tensors and parameters of such a round, in Paddle alone."""

    def __init__(self, tensors, parameters):
        self.tensors = tensors
        self.parameters = parameters
        self.array = np.ones(4, np.float32)

    def round(self):
        for _ in range(self.tensors):
            paddle.to_tensor(self.array)
        layer = nn.Layer()
        made = [layer.create_parameter([4]) for _ in range(self.parameters)]
        adam = paddle.optimizer.Adam(1e-3, parameters=made)
        sum(parameter.sum() for parameter in made).backward()
        adam.step()


def counted(rounds):
    """(tensors, parameters) that a round makes: calls of `paddle.to_tensor` and of `create_parameter`."""
    counts = {"tensors": 0, "parameters": 0}
    to_tensor, create = paddle.to_tensor, nn.Layer.create_parameter

    def counting_tensor(*inputs, **named):
        counts["tensors"] += 1
        return to_tensor(*inputs, **named)

    def counting_create(*inputs, **named):
        counts["parameters"] += 1
        return create(*inputs, **named)

    paddle.to_tensor, nn.Layer.create_parameter = counting_tensor, counting_create
    try:
        rounds.round()
    finally:
        paddle.to_tensor, nn.Layer.create_parameter = to_tensor, create
    return counts["tensors"], counts["parameters"]


# ---- Reading a process


def resident():
    """The memory that this process has, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def watch(rounds, seconds):
    """Rounds for so long: a list of readings (seconds, rounds done, bytes, objects, lists)."""
    readings = []
    start = time.perf_counter()
    done = 0
    due = 0
    while (passed := time.perf_counter() - start) < seconds:
        if passed >= due:
            gc.collect()
            objects = gc.get_objects()
            lists = sum(type(each) is list for each in objects)
            readings.append((round(passed, 1), done, resident(), len(objects), lists))
            del objects
            due += EVERY
        rounds.round()
        done += 1
    return readings


def slopes(readings):
    """What a process grows by, by least squares, without the warm-up: KB and MB, objects and lists.

    >>> slopes([(10 * k, k, 4_000_000 + 2000 * k, 100 + 3 * k, 3 * k) for k in range(10)])["objects_a_round"]
    3.0
    """
    late = np.array(readings[round(WARM_UP * len(readings)) :], float)
    seconds, done, size, objects, lists = late.T
    a_round = np.polyfit(done, np.stack([size / 1000, objects, lists], 1), 1)[0]
    a_minute = 60 * np.polyfit(seconds, size / 1e6, 1)[0]
    return {
        "rounds": int(done[-1]),
        "kb_a_round": round(float(a_round[0]), 1),
        "objects_a_round": round(float(a_round[1]), 1),
        "lists_a_round": round(float(a_round[2]), 1),
        "mb_a_minute": round(float(a_minute), 2),
    }


def main():
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m reliability.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=sum(MINUTES.values()))
    parser.add_argument("--plain", nargs=2, type=int, help=argparse.SUPPRESS)  # the process of plain Paddle
    options = parser.parse_args()
    share = options.minutes / sum(MINUTES.values())
    if options.plain:
        print(json.dumps(slopes(watch(Plain(*options.plain), share * MINUTES["paddle"] * 60))))
        return
    WORK.mkdir(parents=True, exist_ok=True)
    project = Project()
    tensors, parameters = counted(project)
    readings = watch(project, share * MINUTES["project"] * 60)
    ours = slopes(readings)
    print("this project", ours, flush=True)
    command = [sys.executable, "-m", "reliability.soak", "--minutes", str(options.minutes)]
    done = subprocess.run(
        [*command, "--plain", str(tensors), str(parameters)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    plain = json.loads(done.stdout.splitlines()[-1])
    print("plain Paddle", plain)
    content = {"command": "make soak", "machine": machine(), "minutes": options.minutes, "steps_a_round": STEPS}
    content |= {"tensors_a_round": tensors, "parameters_a_round": parameters, "project": ours, "paddle": plain}
    write_record(RECORD, content)


if __name__ == "__main__":
    main()
