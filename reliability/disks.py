"""Disks that fill up and disks that nobody may write on, at every write of every command: `make disks`.

A full disk: each command works on a file system in memory of so few bytes that it ends at one write or another; the
size grows from one page to what the command needs. A disk that is read-only from the k-th write on, as Linux makes it
after an error: every later write of Python's is refused, for each k. After each trial the command must have told in one
line which file it could not write and what helps, every file that is there must be whole, and what was there before
must be as it was. Writes reliability/disks.json.

Mounting needs rights that `unshare -rm` gives without root.
"""

import contextlib
import errno
import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image

from inade_lite.__main__ import main as command_line
from inade_lite.weights.tensors import read_tensors

from .record import machine, write_record

ROOT = Path(__file__).resolve().parents[1]
RECORD = Path(__file__).with_suffix(".json")
WORK = ROOT / "runs/disks"
DISK = WORK / "disk"

SIZES = 40  # of a full disk, for each command
PAGE = 4096

SMALL = "--size 16 --base_channels 1 --encoder_channels 1 --discriminator_channels 1 --num_upsamplings 2"
SMALL += " --batch_size 1 --log_every 1 --preview_every 1 --save_every 1"
TORCH = ROOT / "tests/torch_files"

# What is tried: a command line, on {disk}, and the one that must have run on a good disk before it.
COMMANDS = {
    "make-data": ("make-data --out {disk}/town --train 2 --val 1 --size 16", None),
    "report": ("report --data {disk}/town --size 16 --out {disk}/report", "make-data"),
    "train": (f"train --steps 2 --out {{disk}}/run {SMALL}", None),
    "train --resume": ("train --steps 2 --out {disk}/run --resume", "train"),
    "sample": ("sample --scenes 1 --samples 1 --out {disk}/samples.png", None),
    "sample, into a folder": ("sample --scenes 2 --samples 2 --out {disk}/pictures", None),
    "edit": ("edit --item 5 --instance 3 --out {disk}/edit.png", None),
    "reconstruct": ("reconstruct --scenes 2 --out {disk}/rebuilt", None),
    "evaluate": ("evaluate --scenes 3 --samples 2 --json {disk}/measures.json", None),
    "make-judge": ("make-judge --steps 1 --out {disk}/judge.safetensors", None),
    "convert": (f"convert {TORCH}/generator.pth {TORCH}/encoder.pth --out {{disk}}/model.safetensors", None),
}


# ---- One command


def run(name):
    """What a command ended with: 0, or the text that ends it."""
    line, _ = COMMANDS[name]
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            command_line(line.format(disk=DISK).split())
        except SystemExit as end:
            return end.code or 0
        except BaseException as error:  # a traceback for the user
            return error
    return 0


def contents():
    """{path: bytes} of all files on the disk."""
    return {path: path.read_bytes() for path in sorted(DISK.rglob("*")) if path.is_file()}


def wrong_of(ended, before):
    """What is wrong after a trial that failed, a list of texts. before: the files that were there, {path: bytes}."""
    wrong = []
    if not isinstance(ended, str):
        wrong.append(f"ended with {type(ended).__name__}: {ended}"[:300])
    elif "could not write" not in ended or str(DISK) not in ended or "\n" in ended:
        wrong.append(f"told: {ended[:300]}")
    after = contents()
    for path, content in after.items():
        if path.suffix == ".png":
            with Image.open(io.BytesIO(content)) as image:
                image.load()
        elif path.suffix == ".safetensors":
            read_tensors(path)
        elif path.suffix == ".json":
            json.loads(content)
        elif path.suffix == ".part":
            wrong.append(f"{path.name} was left behind")
    for path, content in before.items():
        # A run that goes on writes its own files anew, each of them whole.
        if path not in after or (path.parent.name != "run" and after[path] != content):
            wrong.append(f"{path.name} is not what it was")
    return wrong


# ---- A disk in memory


@contextlib.contextmanager
def mounted(size):
    """A file system of so many bytes at DISK."""
    DISK.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", DISK], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", DISK], check=True)


def prepare(name):
    """Run on a good disk what must have run before; its files."""
    _, first = COMMANDS[name]
    if first is None:
        return {}
    with mounted(2**28):
        prepare(first)
        ended = run(first)
        assert ended == 0, ended
        kept = WORK / first
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(DISK, kept)
    return kept


def place(kept):
    """Put the files that were kept on the disk, and return all that is there."""
    if kept:
        shutil.copytree(kept, DISK, dirs_exist_ok=True)
    return contents()


# ---- Full


def full(name):
    """A line of the record: a command on disks of SIZES sizes."""
    kept = prepare(name)
    with mounted(2**28):
        place(kept)
        used = os.statvfs(DISK)
        start = used.f_blocks - used.f_bfree
        ended = run(name)
        assert ended == 0, (name, ended)
        used = os.statvfs(DISK)
        need = used.f_blocks - used.f_bfree
    # A file is written beside the old one, and while it is, both take room.
    most = need + max(need - start, start)
    steps = sorted({start + (most - start) * k // SIZES for k in range(SIZES)})
    line = {"command": name, "disk": "full", "trials": 0, "failed": 0, "wrong": []}
    for pages in steps:
        with mounted((pages + 1) * PAGE):
            (DISK / "filler").write_bytes(bytes(PAGE))
            before = place(kept)
            ended = run(name)
            line["trials"] += 1
            if ended != 0:
                line["failed"] += 1
                line["wrong"] += [f"{pages} pages: {text}" for text in wrong_of(ended, before)]
    return line


# ---- Read-only from the k-th write on


class Refusal:
    """An audit hook, which Python asks before each of these: it refuses all on DISK from the k-th on."""

    def __init__(self):
        self.left = None
        sys.addaudithook(self.hear)

    def hear(self, event, arguments):
        if self.left is None or not self._writes(event, arguments):
            return
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.EROFS, "Read-only file system", str(arguments[0]))

    def _writes(self, event, arguments):
        """Whether an event writes on DISK."""
        if event == "open":
            path, _, flags = arguments
            paths = [path] if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) else []
        elif event in ("os.mkdir", "os.rename", "os.remove", "os.link", "os.chmod", "os.rmdir", "os.truncate"):
            paths = arguments
        else:
            return False
        return any(str(DISK) in os.fsdecode(path) for path in paths if isinstance(path, str | bytes | os.PathLike))


def read_only(name, refusal):
    """A line of the record: a command on a disk that is read-only from its first, second, ... write on."""
    kept = prepare(name)
    line = {"command": name, "disk": "read-only", "trials": 0, "failed": 0, "wrong": []}
    while True:
        with mounted(2**28):
            before = place(kept)
            refusal.left = line["trials"]
            ended = run(name)
            refused = refusal.left < 0
            refusal.left = None
            line["trials"] += 1
            if ended != 0:
                line["failed"] += 1
                texts = [text for text in wrong_of(ended, before) if not text.endswith("left behind")]
                line["wrong"] += [f"write {line['trials']}: {text}" for text in texts]
            if not refused:
                return line


def main():
    """The command line."""
    start = time.perf_counter()
    shutil.rmtree(WORK, ignore_errors=True)
    refusal = Refusal()
    lines = []
    for name in COMMANDS:
        for line in (full(name), read_only(name, refusal)):
            lines.append(line)
            print({**line, "wrong": line["wrong"][:6]}, flush=True)
    seconds = round(time.perf_counter() - start)
    write_record(RECORD, {"command": "make disks", "machine": machine(), "seconds": seconds, "lines": lines})
    sys.exit(1 if any(line["wrong"] for line in lines) else None)


if __name__ == "__main__":
    main()
