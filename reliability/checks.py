"""What the checks of shapes cost, as a share of a training step: `make checks`. Writes reliability/checks.json."""

import time
from pathlib import Path

import inade_lite as il  # isort: skip: before Paddle, which it prepares

from inade_lite import checks, discriminator, encoder, generator, layers, losses, maps, noise
from inade_lite.data import batches

from .record import machine, write_record

RECORD = Path(__file__).with_suffix(".json")

STEPS = 40
WARM_UP = 5
USERS = (batches, checks, discriminator, encoder, generator, layers, losses, maps, noise)


class Clock:
    """Adds up the time that goes by inside of functions; what one calls of the others is counted once."""

    def __init__(self):
        self.seconds = 0.0
        self.calls = 0
        self.depth = 0

    def timed(self, function):
        """The function, watched."""

        def watched(*inputs, **named):
            start = time.perf_counter()
            self.depth += 1
            try:
                return function(*inputs, **named)
            finally:
                self.depth -= 1
                if self.depth == 0:
                    self.seconds += time.perf_counter() - start
                    self.calls += 1

        return watched


def watch(clock):
    """Let a clock watch every check, wherever it was imported."""
    for name, check in vars(checks).copy().items():
        if not name.startswith("expect"):
            continue
        for user in USERS:
            if getattr(user, name, None) is check:
                setattr(user, name, clock.timed(check))


def main():
    """Train with the defaults, and tell the share."""
    town = il.ToyTown("train", 64)
    trainer = il.Trainer(il.TrainConfig(), town)
    source = il.batches(town, trainer.config.batch_size, seed=0)
    clock = Clock()
    watch(clock)
    for step in range(WARM_UP + STEPS):
        if step == WARM_UP:
            clock.seconds, clock.calls = 0.0, 0
            start = time.perf_counter()
        trainer.step(next(source))
    seconds = time.perf_counter() - start
    found = {"steps": STEPS, "calls_a_step": clock.calls / STEPS, "share": round(clock.seconds / seconds, 5)}
    print(found)
    write_record(RECORD, {"command": "make checks", "machine": machine(), **found})


if __name__ == "__main__":
    main()
