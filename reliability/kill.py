"""Trainings that are killed again and again, half of the time while a checkpoint is written: `make kill`.

Each run trains through the command line. It is killed (SIGKILL, which no program can notice), goes on with the command
that README prints, is killed again, and so on to its end. After every kill its checkpoints are read, and no row of the
log may be missing that they know. At the end the run must equal one that was never killed, bit for bit: all weights,
Adam's moments, and the log. Writes reliability/kill.json.
"""

import argparse
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from inade_lite.training import BEFORE, CHECKPOINT, LOSSES
from inade_lite.weights.tensors import digest, read_tensors

from .record import machine, write_record

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "runs/kill"
RECORD = Path(__file__).with_suffix(".json")

KILLS = 200  # in all
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}  # two runs at once
STEPS = 30  # of a run
SMALL = {"base_channels": 6, "encoder_channels": 8, "discriminator_channels": 12, "num_upsamplings": 3, "batch_size": 2}
OFTEN = {"log_every": 2, "preview_every": 5, "save_every": 1}

RUNS = {
    "inade": {},
    "rows of the log that a save cuts": {"log_every": 7, "save_every": 3},
    "batch norm": {"norm": "batch"},
    "class-level noise": {"method": "class_noise"},
    "SPADE + VAE": {"method": "spade_vae"},
    "no encoder": {"method": "spade"},
    "positions": {"method": "inade_positions", "lambda_pattern": 500},
    "falling rates": {"decay_from": 5, "decay_steps": 30},
    "mirrored, cropped, read ahead": {"flip": True, "crop": 16, "workers": 2, "num_upsamplings": 2},
    "no plain share, another loss": {"plain_share": 0, "gan_mode": "ls"},
}

# When a run is killed.
MOMENTS = ("while a checkpoint is written", "at any time", "while it starts")
SHARES = (0.6, 0.3, 0.1)


def command(folder, steps, settings=None):
    """The command line that begins a run with these settings, or goes on with it, for so many steps.

    >>> command("runs/x", 3)[-3:]
    ['--steps', '3', '--resume']
    """
    words = [sys.executable, "-m", "inade_lite", "train", "--out", str(folder), "--steps", str(steps)]
    if settings is None:
        return [*words, "--resume"]
    words += ["--size", "32"]
    for name, value in settings.items():
        words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return words


def steps_done(folder):
    """How many steps the checkpoint has behind it; 0 without one. ValueError if it is damaged."""
    if not (folder / CHECKPOINT).exists():
        return 0
    return read_tensors(folder / CHECKPOINT)[1]["steps"]


def next_command(folder, settings):
    """The command line that brings a run to its end, from wherever it stands."""
    done = steps_done(folder)
    if not (folder / CHECKPOINT).exists():
        return command(folder, STEPS, settings)
    return command(folder, STEPS - done)


def logged(folder):
    """The steps of the rows of the log; the last row may be half written."""
    if not (folder / LOSSES).exists():
        return []
    with open(folder / LOSSES, newline="") as file:
        rows = list(csv.DictReader(file))
    return [int(row["step"]) for row in rows if row["step"] and row.get("real")]


def killed(folder, settings, moment, source):
    """Start or go on with a run and kill it. Returns (how it ended, whether a checkpoint was half written)."""
    start = time.time()
    words = next_command(folder, settings)
    with open(folder / "output.txt", "ab") as output:
        process = subprocess.Popen(words, cwd=ROOT, env=ONE_THREAD, stdout=output, stderr=output)
    if moment == "while it starts":
        time.sleep(source.uniform(0, 4))
    else:
        # It trains from the moment on in which it has written its log anew.
        while process.poll() is None and _age(folder / LOSSES, start) < 0:
            time.sleep(0.002)
        time.sleep(source.uniform(0, 1.5))
    if moment == "while a checkpoint is written":
        while process.poll() is None and not any(folder.glob(f"{CHECKPOINT}.*.part")):
            time.sleep(0.0005)
        time.sleep(source.uniform(0, 0.02))
    process.send_signal(signal.SIGKILL)
    return process.wait(), any(folder.glob(f"{CHECKPOINT}.*.part"))


def _age(path, since):
    """Seconds from a time to the last change of a file; -1 if there is none."""
    try:
        return path.stat().st_mtime - since
    except OSError:
        return -1


def look(folder, before, every):
    """What is wrong with a run that was killed, a list of texts.

    before: the steps that its checkpoint had. every: the steps from one checkpoint to the next.
    """
    wrong = []
    done, known = 0, []
    try:
        if (folder / CHECKPOINT).exists():
            metadata = read_tensors(folder / CHECKPOINT)[1]
            done, known = metadata["steps"], [row["step"] for row in metadata["history"]]
    except (ValueError, OSError) as error:
        return [f"the checkpoint: {error}"]
    if (folder / BEFORE).exists():
        try:
            read_tensors(folder / BEFORE)
        except (ValueError, OSError) as error:
            wrong.append(f"the checkpoint before: {error}")
    if done < before:
        wrong.append(f"the checkpoint went back from step {before} to {done}")
    rows = logged(folder)
    if rows and rows[-1] - done > every:
        wrong.append(f"step {rows[-1]} was logged, step {done} saved")
    if rows[: len(known)] != known:
        wrong.append(f"the log has the steps {rows}, the checkpoint knows {known}")
    return wrong


def result(folder):
    """The digest of all that a run has learned, and its log without the seconds."""
    tensors, metadata = read_tensors(folder / CHECKPOINT)
    history = [{key: value for key, value in row.items() if key != "seconds"} for row in metadata["history"]]
    return digest(tensors), history, metadata["steps"], logged(folder)


def train_and_kill(name, kills, seed):
    """A run that is killed so often, and then brought to its end; a line of the record."""
    settings = {**SMALL, **OFTEN, **RUNS[name]}
    source = random.Random(f"{name} {seed}")
    folder = WORK / name.replace(" ", "_").replace(",", "")
    whole = folder / "whole"
    shutil.rmtree(folder, ignore_errors=True)
    whole.mkdir(parents=True)
    subprocess.run(command(whole, STEPS, settings), cwd=ROOT, env=ONE_THREAD, check=True, capture_output=True)
    expected = result(whole)

    line = {"run": name, "kills": 0, "half_written": 0, "runs_finished": 0, "most_steps_lost": 0, "wrong": []}
    part = folder / "0"
    part.mkdir()
    while line["kills"] < kills or line["half_written"] < kills / 2:
        before = steps_done(part)
        if before >= STEPS:  # it came to its end in spite of all
            _compare(part, expected, line)
            part = folder / str(line["kills"])
            part.mkdir(exist_ok=True)
            before = 0
        (moment,) = source.choices(MOMENTS, SHARES)
        for left in part.glob("*.part"):
            left.unlink()  # of the kill before; the trainer itself sweeps them after an hour
        ended, half = killed(part, settings, moment, source)
        line["kills"] += ended == -signal.SIGKILL
        line["half_written"] += ended == -signal.SIGKILL and half
        wrong = look(part, before, settings["save_every"])
        if ended not in (0, -signal.SIGKILL):
            wrong.append(f"it ended with {ended}, see {part / 'output.txt'}")
        line["wrong"] += wrong
        if wrong:
            return line
        rows = logged(part)
        if rows:
            line["most_steps_lost"] = max(line["most_steps_lost"], rows[-1] - steps_done(part))
    if steps_done(part) < STEPS:
        words = next_command(part, settings)
        done = subprocess.run(words, cwd=ROOT, env=ONE_THREAD, capture_output=True, text=True)
        if done.returncode:
            line["wrong"].append(f"it does not go on: {done.stderr[-300:]}")
            return line
    _compare(part, expected, line)
    return line


def _compare(folder, expected, line):
    """Add to a line whether a run that came to its end equals the one that was never killed."""
    line["runs_finished"] += 1
    for what, found, wanted in zip(("weights", "history", "steps", "log"), result(folder), expected, strict=True):
        if found != wanted:
            line["wrong"].append(f"{folder.name}: its {what} are not those of the run that was never killed")


def main():
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m reliability.kill", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    each = -(-options.kills // len(RUNS))
    with ThreadPoolExecutor(2) as pool:
        pending = [pool.submit(train_and_kill, name, each, options.seed) for name in RUNS]
        lines = []
        for future in pending:
            lines.append(future.result())
            print(lines[-1], flush=True)
    seconds = round(time.perf_counter() - start)
    content = {"command": "make kill", "seed": options.seed, "machine": machine(), "seconds": seconds, "lines": lines}
    write_record(RECORD, content)
    wrong = [text for line in lines for text in line["wrong"]]
    sys.exit("; ".join(wrong) or None)


if __name__ == "__main__":
    main()
