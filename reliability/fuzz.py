"""Files as a stranger may send them, by the hundred thousand: `make fuzz`.

    python -m reliability.fuzz                    all targets, a process each; writes reliability/fuzz.json
    python -m reliability.fuzz torch made 2000    2,000 inputs made by hypothesis; --seed 1 makes others
    python -m reliability.fuzz torch again FILE   one input again: what was found lies in runs/fuzz/

Every input either reads, and then is what it must be, or ends in one error that names the file. Anything else is a
finding: another exception, a crash, more than SECONDS or more than MEGABYTES. Where atheris is installed, it goes on
from good files and keeps those changes that reach new lines of the code.
"""

import argparse
import base64
import contextlib
import importlib.util
import io
import itertools
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import inade_lite as il  # isort: skip: before Paddle, which it prepares
import hypothesis
import numpy as np
from hypothesis import strategies as st
from PIL import Image

from inade_lite.data import folders, images, sources
from inade_lite.explorer.notebook import render
from inade_lite.files import png
from inade_lite.weights import tensors, torch_file

from . import inputs
from .record import machine, write_record

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "runs/fuzz"
RECORD = Path(__file__).with_suffix(".json")

SECONDS = 5  # for one input
MEGABYTES = 1000  # that a process may grow by

# ---- What is good: what the changes begin with

TINY = {"noise_dim": 2, "latent_dim": 2, "base_channels": 1, "encoder_channels": 1, "discriminator_channels": 1}
TINY |= {"num_upsamplings": 2, "discriminator_layers": 1, "discriminator_scales": 1, "batch_size": 1}


def _model():
    """({name: ndarray}, metadata) of a stored model as small as they come."""
    trainer = il.Trainer(il.TrainConfig(**TINY), il.ToyTown("train", 16, length=2))
    path = WORK / f"good.{os.getpid()}.safetensors"
    il.save_pretrained(path, trainer)
    good = tensors.read_tensors(path)
    path.unlink()
    return good


def _generator():
    return il.Generator(2, 8, 2, 2, base_channels=2, num_upsamplings=2)


def _street(generator):
    """A saved street for that generator."""
    random = np.random.default_rng(0)

    def coded(array):
        return base64.b64encode(array.tobytes()).decode()

    return {
        "model": "inade",
        "label": coded(random.integers(0, 2, [8, 8], np.uint8)),
        "instance": coded(random.integers(0, 3, [8, 8]).astype("<u2")),
        "noise": coded(random.standard_normal([len(generator.blocks), 3, 2, 2]).astype("<f4")),
        "latent": coded(random.standard_normal(2).astype("<f4")),
        "count": 3,
    }


# ---- The targets: how inputs are made, and what must be true of each


class Target:
    """A reader of files. `made`: a strategy of whole files. `good`: files to change, and `mutated` how.

    `read(path)` raises AssertionError, or what the reader raises. `told`: what the reader may raise; its text names the
    file.
    """

    suffix = ""
    told = (ValueError,)
    names_file = True

    def read(self, path, is_made=False):
        """is_made: whether the file was made whole, with nothing but FILLING in its storages."""
        raise NotImplementedError


class Torch(Target):
    """`read_torch_checkpoint`: the arrays hold nothing but what is in the file."""

    suffix = ".pth"
    mutated = staticmethod(inputs.mutated_torch)

    def __init__(self):
        self.made = inputs.torch_files()
        self.good = [path.read_bytes() for path in sorted((ROOT / "tests/torch_files").glob("tensors_*.pth"))]

    def read(self, path, is_made=False):
        arrays = torch_file.read_torch_checkpoint(path)
        size = path.stat().st_size
        for name, array in arrays.items():
            assert isinstance(name, str) and isinstance(array, np.ndarray)
            assert array.size * min(2, array.itemsize) <= size, "more numbers than the file has bytes"
            found = set(np.ascontiguousarray(array).view(np.uint8).ravel().tolist()) if array.size else set()
            assert not is_made or found <= {0, inputs.FILLING}, f"bytes from elsewhere: {found}"


class Model(Target):
    """`load_pretrained`: what loads has the shapes that it tells, and paints."""

    suffix = ".safetensors"
    told = (ValueError, FileNotFoundError)
    mutated = staticmethod(inputs.mutated_header)

    def __init__(self):
        self.made = inputs.model_files(*_model())
        self.good = [inputs.tensor_file(*_model())]

    def read(self, path, is_made=False):
        model = il.load_pretrained(path)
        height, width = model.generator.image_size
        assert height * width < 2**20 and len(model.class_names) == model.generator.num_classes


class Description(Target):
    """`read_description`: what is read is of the kinds that it says."""

    suffix = ".json"
    mutated = staticmethod(inputs.flipped)

    def __init__(self):
        self.made = inputs.descriptions
        self.good = [json.dumps(inputs.DESCRIPTION).encode()]

    def read(self, path, is_made=False):
        told = folders.read_description(path)
        count = len(told["class_names"])
        assert 1 <= count <= 255 and len(set(told["class_names"])) == count
        assert np.array(told["class_colors"], np.uint8).shape == (count, 3)
        assert all(type(k) is int and 0 <= k < count for k in told["thing_classes"])
        ignored = told["ignore_index"]
        assert ignored is None or (type(ignored) is int and count <= ignored <= 255)


class Picture(Target):
    """`read_image` and `read_map`: arrays of the kinds that they say."""

    suffix = ".png"
    told = (ValueError, OSError)
    mutated = staticmethod(inputs.mutated_picture)

    def __init__(self):
        ids = np.arange(48).reshape(6, 8)
        self.good = [
            png(ids.astype(np.uint8)),
            png(ids.astype(np.uint16)),
            png(np.stack([ids] * 3, -1).astype(np.uint8)),
        ]
        for kind in ("JPEG", "TIFF", "GIF", "BMP", "WEBP"):
            self.good.append(_picture(kind))
        self.made = st.builds(
            lambda file, seed: self.mutated(file, random.Random(seed)),
            st.sampled_from(self.good),
            st.integers(0, 2**32),
        )

    def read(self, path, is_made=False):
        for read in (images.read_image, lambda path: images.read_map(path, ("L", "I;16", "I"))):
            try:
                array = read(path)
            except self.told as error:
                assert_told(error, path)
                continue
            assert array.size <= images.MOST_PIXELS * 3
            assert array.dtype == np.uint8 and array.ndim == 3 or array.ndim == 2 and array.min() >= 0


def _picture(kind):
    """A small picture in another format."""
    file = io.BytesIO()
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8)).save(file, kind)
    return file.getvalue()


class Street(Target):
    """`render` of a state or of a street that the explorer has saved: a picture of the generator's size."""

    suffix = ".json"
    names_file = False

    def __init__(self):
        self.generator = _generator()
        street = _street(self.generator)
        state = {"model": "inade", "scene": "17", "seed": 3, "latent": 4, "edits": []}
        state["looks"] = {"1": {"a": 5, "b": "AAECAw==", "t": 0.5, "k": 2, "d": [1, -1]}, "2": {"a": "AAECAwQF"}}
        self.maps = np.arange(64).reshape(8, 8) % 2, np.arange(64).reshape(8, 8) % 3
        made = st.one_of(inputs.saved_streets(street), inputs.changed_json(state, tuple(state)))
        self.made = made.map(lambda street: json.dumps(street).encode())
        self.good = [json.dumps(street).encode(), json.dumps(state).encode()]
        self.mutated = inputs.flipped

    def read(self, path, is_made=False):
        try:
            street = json.loads(path.read_text("utf-8", "surrogateescape"))
        except (ValueError, RecursionError):
            return  # the browser reads the file, and it is no JSON
        picture = render(street, self.generator, self.maps)
        assert picture.shape == (8, 8, 3) and picture.dtype == np.uint8


class Outlines(Target):
    """`from_coco`, `from_labelme` and `from_cityscapes`, all three for each file: maps of the photo's size."""

    suffix = ".json"
    told = (ValueError, OSError)
    mutated = staticmethod(inputs.flipped)

    def __init__(self):
        kinds = []
        for good in inputs.OUTLINES.values():
            kinds.append(inputs.changed_json(good, tuple(good)))
        self.made = st.one_of(kinds).map(lambda told: json.dumps(told).encode())
        self.good = [json.dumps(good).encode() for good in inputs.OUTLINES.values()]
        folder = WORK / f"outlines.{os.getpid()}"
        # Where each tool has its file, and what reads it.
        self.readers = {
            folder / "coco/instances.json": sources.from_coco,
            folder / "labelme/a.json": lambda photos, path: sources.from_labelme(photos, path.parent),
            folder / "cityscapes/a_polygons.json": lambda photos, path: sources.from_cityscapes(photos, path.parent),
        }
        for path in self.readers:
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / "a.png").write_bytes(png(np.zeros([6, 8, 3], np.uint8)))

    def read(self, path, is_made=False):
        for copy, open_source in self.readers.items():
            shutil.copyfile(path, copy)
            try:
                source = open_source(copy.parent, copy)
                for scene in source.scenes:
                    label, instance = scene.draw(6, 8)
                    assert label.shape == instance.shape == (6, 8)
                    assert label.max() < len(source.class_names) and instance.min() >= 0
            except self.told as error:
                assert_told(error, copy.parent)


TARGETS = {
    "torch": Torch,
    "model": Model,
    "description": Description,
    "picture": Picture,
    "street": Street,
    "outlines": Outlines,
}


# ---- One input


def assert_told(error, path, names_file=True):
    """AssertionError unless an error is of one readable text that names the file."""
    text = str(error)
    assert not names_file or str(path) in text, f"does not name the file: {text[:200]}"
    assert len(text) < 2000, f"a text of {len(text)} characters: {text[:200]}"


def judge(target, content, path, is_made=False):
    """What is wrong with how a target reads these bytes, a text, or "".

    >>> import tempfile
    >>> judge(Description(), b"[", Path(tempfile.mkdtemp()) / "dataset.json")
    ''
    """
    path.write_bytes(content)
    start = time.perf_counter()
    try:
        with _alarm():
            target.read(path, is_made)
    except target.told as error:
        try:
            assert_told(error, path, target.names_file)
        except AssertionError as wrong:
            return str(wrong)
    except AssertionError as wrong:
        return str(wrong) or "a check of reliability/fuzz.py failed"
    except BaseException as error:  # whatever it is, it is a finding
        return f"{type(error).__name__}: {str(error)[:300]}"
    seconds = time.perf_counter() - start
    return f"took {seconds:.1f} s" if seconds > SECONDS else ""


@contextlib.contextmanager
def _alarm():
    """TimeoutError after four times the seconds that an input may take: a loop without end must not stop the rest."""

    def ring(number, frame):
        raise TimeoutError("did not come to an end")

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 4 * SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


# ---- Many inputs, in a process of their own

# Settings of hypothesis: what it remembers of earlier runs, and what it finds slow, does not matter here.
FREE = {"database": None, "deadline": None, "suppress_health_check": list(hypothesis.HealthCheck)}


class Run:
    """Inputs for one target, counted; each finding is kept as a file."""

    def __init__(self, name):
        self.name = name
        self.target = TARGETS[name]()
        self.path = WORK / f"{name}.{os.getpid()}{self.target.suffix}"
        self.count = 0
        self.slowest = 0.0
        self.findings = {}
        self.before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def take(self, content, is_made=False):
        """Judge one input. The file is there while it is read, so that a crash leaves it behind."""
        self.count += 1
        start = time.perf_counter()
        wrong = judge(self.target, content, self.path, is_made)
        self.slowest = max(self.slowest, time.perf_counter() - start)
        if wrong:
            kind = wrong.replace(str(self.path), "FILE")[:80]
            if kind not in self.findings:
                kept = WORK / f"{self.name}.finding{len(self.findings)}{self.target.suffix}"
                kept.write_bytes(content)
                self.findings[kind] = f"{kept.relative_to(ROOT)}: {wrong}"

    def report(self):
        """One line of JSON for the process that started this one."""
        self.path.unlink(missing_ok=True)
        megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self.before) // 1024
        if megabytes > MEGABYTES:
            self.findings["memory"] = f"grew by {megabytes} MB"
        told = {"inputs": self.count, "slowest_s": round(self.slowest, 2), "megabytes": megabytes}
        print(json.dumps({**told, "findings": list(self.findings.values())}), flush=True)


def made(name, count, seed):
    """So many files, made whole by hypothesis."""
    run = Run(name)

    @hypothesis.seed(seed)
    @hypothesis.settings(max_examples=count, phases=[hypothesis.Phase.generate], **FREE)
    @hypothesis.given(run.target.made)
    def every(content):
        run.take(content, is_made=True)

    every()
    run.report()


def changes(target, count, seed):
    """Yields so many good files of a target with one to four changes of their structure."""
    source = random.Random(seed)
    for _ in range(count):
        content = source.choice(target.good)
        for _ in range(source.randint(1, 4)):
            content = target.mutated(content, source)
        yield content


def changed(name, count, seed):
    """Such files, judged."""
    run = Run(name)
    for content in changes(run.target, count, seed):
        run.take(content)
    run.report()


def guided(name, count, seed):
    """So many changes, of which atheris keeps those that reach new lines of the code."""
    import atheris

    corpus = WORK / f"{name}.corpus"
    shutil.rmtree(corpus, ignore_errors=True)  # so that a seed tries the same inputs again
    corpus.mkdir()
    run = Run(name)
    for k, content in enumerate(run.target.good):
        (corpus / str(k)).write_bytes(content)
    for module in (torch_file, tensors, folders, images):
        for value in vars(module).values():
            if getattr(value, "__module__", None) == module.__name__ and hasattr(value, "__code__"):
                atheris.instrument_func(value)

    def change(data, most, seed):
        source = random.Random(seed)
        if source.random() < 0.3:
            return atheris.Mutate(data, most)
        return run.target.mutated(data, source)[:most]

    options = ["fuzz", f"-atheris_runs={count}", f"-seed={seed + 1}", "-max_len=20000", "-verbosity=0", str(corpus)]
    # Atheris ends the process by itself.
    import atexit

    atexit.register(run.report)
    atheris.Setup(options, run.take, custom_mutator=change, enable_python_coverage=True)
    atheris.Fuzz()


def large(name, count, seed):
    """The files of 50 MB, so many of them. What they ask for is read, but not looked through."""
    run = Run(name)
    run.target.read = lambda path, is_made: torch_file.read_torch_checkpoint(path)
    for _, content in itertools.islice(inputs.large_torch_files(), count):
        run.take(content)
        del content
    run.report()


WAYS = {"large": large, "made": made, "changed": changed, "guided": guided}

# How many inputs of each kind `make fuzz` tries: in all above 100,000, in less than 20 minutes on one core.
PLAN = {
    "torch": {"large": 8, "made": 20_000, "changed": 40_000, "guided": 40_000},
    "model": {"made": 3_000, "changed": 5_000},
    "description": {"made": 10_000, "changed": 10_000},
    "picture": {"made": 5_000, "changed": 15_000, "guided": 10_000},
    "street": {"made": 4_000},
    "outlines": {"made": 6_000, "changed": 4_000},
}
CODES = 20_000  # of the explorer's states


def main():
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m reliability.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="?", choices=TARGETS)
    parser.add_argument("way", nargs="?", help=f"{', '.join(WAYS)}, or again")
    parser.add_argument("what", nargs="?", help="how many inputs; the file of one that was found")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    if options.target is None:
        everything(options.seed)
    elif options.way == "again":
        target = TARGETS[options.target]()
        print(judge(target, Path(options.what).read_bytes(), WORK / f"again{target.suffix}") or "nothing is wrong")
    else:
        WAYS[options.way](options.target, int(options.what), options.seed)


def codes(seed):
    """The line of the explorer's state codes, which are read in the browser: tests/browser/fuzz.js."""
    start = time.perf_counter()
    command = ["node", "fuzz.js", str(CODES), str(seed)]
    done = subprocess.run(command, cwd=ROOT / "tests/browser", capture_output=True, text=True)
    line = {"inputs": CODES, "findings": [] if done.returncode == 0 else [done.stderr[-500:]]}
    return {"target": "code", "way": "made", "seconds": round(time.perf_counter() - start), **line}


def everything(seed):
    """All of PLAN, a process for each line; the record is written, and what was found is printed."""
    lines = []
    has_atheris = importlib.util.find_spec("atheris") is not None
    for name, ways in PLAN.items():
        for way, count in ways.items():
            if way == "guided" and not has_atheris:
                print(f"{name}: atheris is not there, so the guided part is left out")
                continue
            start = time.perf_counter()
            command = [sys.executable, "-m", "reliability.fuzz", name, way, str(count), "--seed", str(seed)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            told = [line for line in done.stdout.splitlines() if line.startswith("{")]
            if told:
                line = json.loads(told[-1])
            else:
                line = {"inputs": 0, "findings": [f"the process ended with {done.returncode}: {done.stderr[-500:]}"]}
            seconds = round(time.perf_counter() - start)
            lines.append({"target": name, "way": way, "seconds": seconds, **line})
            print(lines[-1], flush=True)
    lines.append(codes(seed))
    print(lines[-1], flush=True)
    write_record(RECORD, {"command": "make fuzz", "seed": seed, "machine": machine(), "lines": lines})
    found = [finding for line in lines for finding in line["findings"]]
    sys.exit(f"{len(found)} findings" if found else None)


if __name__ == "__main__":
    main()
