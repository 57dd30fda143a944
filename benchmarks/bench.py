"""`make bench`: the package's layers against their textbook forms, side by side.

Each piece of work runs textbook, ours, textbook, ours, ... in one process, and medians are taken. Ratios count,
milliseconds belong to the machine. The textbook has its one-hot maps ready, ours builds its Layout in every call. The
textbook under Paddle's own threads and allocator, which is what others get, runs in a process of its own.

results.json holds a record for each machine, by the name of its processor; this machine's is added or replaced. Tables
and goals go into docs/results.md, a short table into README.md, the curves of this machine into results.png.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from unittest import mock

if "--defaults" in sys.argv:
    import paddle  # first, so that the package leaves Paddle's threads as they are
import inade_lite as il  # isort: skip
import numpy as np
import paddle
from paddle.base import core
from tqdm import tqdm

from inade_lite import figures, textbook
from tools import markdown

HERE = Path(__file__).parent
ROOT = HERE.parent
RESULTS = HERE / "results.json"
README = ROOT / "README.md"
PAGE = ROOT / "docs/results.md"

MARK = "make bench"
SHORT_MARK = "make bench, short"

# glibc's default. The package sees that the user has set something, and leaves the allocator alone.
ALLOCATORS_OWN = {"MALLOC_TOP_PAD_": "131072"}


# ---- The work


def _squares(n, size, classes, instances, side=8):
    """Maps of squares of side x side pixels, each of a random class and instance."""
    random = np.random.default_rng(0)
    maps = []
    for count in (classes, instances):
        coarse = random.integers(0, count, [n, size // side, size // side])
        maps.append(coarse.repeat(side, 1).repeat(side, 2))
    return [*maps, classes, instances]


def _rectangles(n, size, classes, instances):
    """Maps of a ground and rectangles on it, instance i of class i modulo classes."""
    random = np.random.default_rng(0)
    instance = np.zeros([n, size, size], int)
    for image in instance:
        for i in range(1, instances):
            y, x = random.integers(0, size - 8, 2)
            h, w = random.integers(8, size // 2, 2)
            image[y : y + h, x : x + w] = i
    return [instance % classes, instance, classes, instances]


def _town(n, size):
    """ToyTown's maps."""
    town = il.ToyTown("train", size)
    batch = il.collate([town[i] for i in range(n)])
    return [batch["label"], batch["instance"], town.num_classes]


def _variable(*shape):
    """A tensor of random numbers that gradients are taken for."""
    random = np.random.default_rng(1)
    x = paddle.to_tensor(random.standard_normal(shape, np.float32))
    x.stop_gradient = False
    return x


def _both(layer, x, maps, noise=(), backward=True):
    """{"textbook": function, "ours": function}: the layer with its maps ready, and with a new Layout in every call."""
    ready = il.Layout(*maps)
    inputs = [x, *noise, *layer.parameters()]
    gradient = paddle.ones_like(layer(x, ready, *noise)) if backward else None

    def run(layout):
        with paddle.set_grad_enabled(backward):
            out = layer(x, layout, *noise)
            return paddle.grad(out, inputs, gradient) if backward else out

    def slow():
        with textbook.forms():
            return run(ready)

    return {"textbook": slow, "ours": lambda: run(il.Layout(*maps))}


def _inade(maps, n, channels, size):
    num_classes, num_instances = maps[2:]
    layer = il.INADE(channels, num_classes, noise_dim=108)
    x = _variable(n, channels, size, size)
    noise = _variable(n, num_instances, 2, 108)
    return _both(layer, x, maps, [noise])


def _convolution(n, size, backward):
    layer = il.InstanceConv2D(64, 128, 3, padding=1)
    x = _variable(n, 64, size, size)
    return _both(layer, x, _town(n, size), backward=backward)


def _encoder(size):
    layer = il.InstanceEncoder(noise_dim=108, base_channels=64)
    image = _variable(1, 3, size, size)
    return _both(layer, image, _squares(1, size, 46, 72), backward=False)


def _step():
    """A step as in the paper, at a quarter of its width."""
    config = il.TrainConfig(
        noise_dim=64,
        latent_dim=256,
        num_upsamplings=5,
        plain_share=0.0,
        lambda_pixel=0.0,
        base_channels=16,
        encoder_channels=16,
        discriminator_channels=16,
    )
    maps = _rectangles(8, 64, classes=8, instances=10)
    image = _variable(8, 3, 64, 64).tanh().numpy()
    batch = {"image": image, "label": maps[0], "instance": maps[1]}

    class Data:
        num_classes = 8
        class_names = list("abcdefgh")

        def __len__(self):
            return 8

        def __getitem__(self, i):
            item = {key: value[i] for key, value in batch.items()}
            return {"name": str(i), **item}

    trainer = il.Trainer(config, Data())
    ready = il.Layout(*maps)

    def slow():
        # The trainer builds a Layout in every step. For the textbook the one that is ready takes its place.
        with textbook.forms(), mock.patch.object(il.Layout, "of", lambda *_: ready):
            trainer.step(batch)

    return {"textbook": slow, "ours": lambda: trainer.step(batch)}


def _sample():
    generator = il.load_pretrained("inade").generator
    maps = _town(1, 64)
    return {"ours": lambda: il.sample(generator, il.Layout(*maps), seed=0)}


class Piece(NamedTuple):
    """A piece of work. forms() -> {"textbook": function, "ours": function}, or ours alone.

    goal: so many times as fast as the textbook. original_ms: what the authors' code took on PyTorch 2.13 with 2 threads
    of an AMD EPYC, from and to; given figures, not measured here.
    """

    title: str
    details: str
    forms: Callable
    goal: float | None = None
    original_ms: tuple = ()


WORK = {
    "inade": Piece(
        "INADE layer",
        "N 3, C 64, 64², 46 classes, 72 instances",
        lambda: _inade(_squares(3, 64, 46, 72), 3, 64, 64),
        goal=3.5,
        original_ms=(34, 40),
    ),
    "conv": Piece(
        "instance-aware convolution",
        "64 → 128, N 4, 64²",
        lambda: _convolution(4, 64, backward=True),
        goal=1.8,
        original_ms=(103, 118),
    ),
    "conv_256": Piece(
        "the same at 256²",
        "N 4, forward",
        lambda: _convolution(4, 256, backward=False),
        goal=2,
        original_ms=(1800, 2100),
    ),
    "encoder": Piece(
        "encoder",
        "256², 72 instances, width 64, forward",
        lambda: _encoder(256),
        goal=4,
        original_ms=(2560,),
    ),
    "step": Piece(
        "one training step",
        "batch 8, 64², width 16",
        _step,
        goal=2,
        original_ms=(1020, 1060),
    ),
    "sample": Piece(
        "one sample",
        "64², shipped generator",
        _sample,
    ),
}
GOALS = {name: piece.goal for name, piece in WORK.items() if piece.goal is not None}


# ---- Measuring


def peak(work):
    """Bytes of tensors that work() holds at most, above those before it, by the count of Paddle 3; 2.6 has none."""
    before = core.host_memory_stat_current_value("Allocated", 0)
    core.host_memory_stat_reset_peak_value("Allocated", 0)
    work()
    return core.host_memory_stat_peak_value("Allocated", 0) - before


def compare(forms, rounds):
    """Median time and peak memory of each form, and the median of the ratios of each round."""
    times = il.take_turns(forms, rounds)
    row = {f"{form}_ms": statistics.median(times[form]) for form in forms}
    row |= {f"{form}_mb": peak(work) / 1e6 for form, work in forms.items()}
    row["range_ms"] = [min(times["ours"]), max(times["ours"])]
    if "textbook" in forms:
        # Round by round, because a machine that slows down slows both forms of a round.
        pairs = zip(times["ours"], times["textbook"], strict=True)
        row["ratio"] = statistics.median(slow / fast for fast, slow in pairs)
    return row


# What grows in results.png, one at a time.
SWEEPS = {
    "instances": [1, 4, 16, 64, 128, 256],
    "classes": [2, 10, 46, 100, 200],
    "side": [32, 64, 128, 256, 512],
}


def growth(rounds):
    """Time and memory of the INADE layer along each of SWEEPS: a list of points."""
    points = []
    for axis, values in SWEEPS.items():
        for value in tqdm(values, axis, leave=False):
            at = {"instances": 72, "classes": 46, "side": 64, axis: value}
            side = at["side"]
            # Always 16 x 16 squares, so that only one thing grows.
            block = max(2, side // 16)
            maps = _squares(1, side, at["classes"], at["instances"], block)
            forms = _inade(maps, 1, 64, side)
            point = {"axis": axis, **at}
            for form, times in il.take_turns(forms, rounds).items():
                point[f"{form}_ms"] = statistics.median(times)
                point[f"{form}_mb"] = peak(forms[form]) / 1e6
            points.append(point)
    return points


def count_flops(work):
    """Floating-point operations of the matrix products in one call of work(), with those of their gradients.

    >>> import paddle
    >>> from benchmarks.bench import count_flops
    >>> x = paddle.ones([10, 10])
    >>> count_flops(lambda: paddle.matmul(x, x))
    2000
    """
    matmul = paddle.matmul
    eye = paddle.eye
    flops = 0
    identities = []

    def remembering(*args, **kwargs):
        identities.append(eye(*args, **kwargs))
        return identities[-1]

    def counting(x, y, *args, **kwargs):
        nonlocal flops
        out = matmul(x, y, *args, **kwargs)
        # A product with the identity only copies, see `kernels.swap`.
        if any(identity is x or identity is y for identity in identities):
            return out
        inner = x.shape[-2] if kwargs.get("transpose_x") else x.shape[-1]
        gradients = 0
        if paddle.is_grad_enabled():
            gradients = sum(not t.stop_gradient for t in (x, y))
        # A multiplication and an addition; each gradient costs as much as the product itself.
        flops += 2 * out.size * inner * (1 + gradients)
        return out

    with mock.patch.multiple(paddle, matmul=counting, eye=remembering):
        work()
    return flops


def limit(step_ms):
    """How far a training step is from the machine's rate, that of a 1024³ matrix product."""
    flops = count_flops(_step()["ours"])
    # Small products reach less of the machine's rate, larger ones no more.
    matrix = paddle.randn([1024, 1024])
    times = il.take_turns({"matmul": lambda: paddle.matmul(matrix, matrix)}, 30)
    seconds = statistics.median(times["matmul"]) / 1e3
    rate = 2 * 1024**3 / seconds
    limit_ms = flops / rate * 1e3
    return {
        "matmul_gflops": rate / 1e9,
        "step_gflop": flops / 1e9,
        "limit_ms": limit_ms,
        "times_the_limit": step_ms / limit_ms,
    }


def defaults(rounds):
    """{piece: {form: ms}}; called in a process with Paddle's own threads and allocator."""
    found = {}
    for name, piece in tqdm(WORK.items(), "Paddle's defaults", leave=False):
        times = il.take_turns(piece.forms(), rounds)
        found[name] = {form: statistics.median(values) for form, values in times.items()}
    return found


def _defaults_elsewhere(rounds):
    """`defaults` in a process of its own, because Paddle reads its threads and its allocator once."""
    clean = dict(os.environ)
    for name in ("OMP_NUM_THREADS", "MKL_DEBUG_CPU_TYPE"):
        clean.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench", "--defaults", "--rounds", str(rounds)],
        cwd=ROOT,
        env=clean | ALLOCATORS_OWN,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    # Above the last line the libraries may have printed something.
    return json.loads(done.stdout.splitlines()[-1])


def set_up():
    """The machine and what the package has set on it."""
    return {
        "processor": il.setup.runtime.cpu_model(),
        "cores": il.setup.runtime.usable_cores(),
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
        "paddle": paddle.__version__,
        "python": platform.python_version(),
        "set_up": il.setup.runtime.set_up().notes,
    }


def measure(rounds):
    """The record of this machine."""
    record = {"set_up": set_up(), "rows": {}}
    print(json.dumps(record["set_up"], indent=2))
    for name, piece in tqdm(WORK.items(), "side by side", leave=False):
        record["rows"][name] = compare(piece.forms(), rounds)
    for name, times in _defaults_elsewhere(rounds=3).items():
        record["rows"][name] |= {f"defaults_{form}_ms": ms for form, ms in times.items()}
    record["limit"] = limit(record["rows"]["step"]["ours_ms"])
    record["growth"] = growth(rounds=3)
    return rounded(record)


def rounded(value):
    """A record with four digits of every number.

    >>> from benchmarks.bench import rounded
    >>> rounded({"ms": [12.34567, 1234567.0], "cores": 2})
    {'ms': [12.35, 1235000.0], 'cores': 2}
    """
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.4g}")
    return value


# ---- What comes out


HEAD = (
    "forward and backward unless said",
    "ours",
    "textbook",
    "ratio",
    "memory: ours / textbook",
    "textbook with Paddle's defaults",
    "ratio",
    "authors' code, given",
)


def report(results):
    """What docs/results.md shows, in Markdown: a table for each machine, then the goals."""
    parts = []
    for record in results.values():
        parts += [_where(record), _all_numbers(record), _limit_sentence(record)]
    return "\n\n".join([*parts, goals(results)])


def _where(record):
    at = record["set_up"]
    return f"On {at['processor']}, {at['cores']} cores, Paddle {at['paddle']}:"


def _all_numbers(record):
    """The table of one machine."""
    lines = []
    for name, row in record["rows"].items():
        piece = WORK[name]
        cells = ["–"] * len(HEAD)
        cells[0] = f"{piece.title}, {piece.details}"
        cells[1] = f"{row['ours_ms']:.0f} ms"
        if "ratio" in row:
            others = row["defaults_textbook_ms"]
            cells[2] = f"{row['textbook_ms']:.0f} ms"
            cells[3] = f"**{row['ratio']:.1f}**"
            cells[4] = f"{row['ours_mb']:.0f} / {row['textbook_mb']:.0f} MB"
            cells[5] = f"{others:.0f} ms"
            cells[6] = f"{others / row['ours_ms']:.1f}"
        if piece.original_ms:
            cells[7] = "–".join(map(str, piece.original_ms)) + " ms"
        lines.append(cells)
    return markdown.table(HEAD, lines)


def _limit_sentence(record):
    found = record["limit"]
    return (
        f"The training step computes {found['step_gflop']:.0f} GFLOP in matrix products. At the "
        f"{found['matmul_gflops']:.0f} GFLOP/s that a 1024³ product reaches here they would take "
        f"{found['limit_ms']:.0f} ms; the step takes {found['times_the_limit']:.1f} times as long."
    )


def goals(results):
    """The goals, and on which processor each was reached, in Markdown."""
    lines = []
    for name, goal in GOALS.items():
        cells = [WORK[name].title, str(goal)]
        for record in results.values():
            ratio = record["rows"][name]["ratio"]
            reached = "reached" if ratio >= goal else "missed"
            cells.append(f"{reached}: {ratio:.1f}")
        lines.append(cells)
    return markdown.table(["times as fast as the textbook", "goal", *results], lines)


def short(results):
    """What README shows, in Markdown: the times of the first machine, and what became of the goals on each."""
    first = next(iter(results.values()))
    lines = []
    for name, row in first["rows"].items():
        cells = [WORK[name].title, f"{row['ours_ms']:.0f} ms", "–", "–"]
        if "ratio" in row:
            cells[2] = f"{row['textbook_ms']:.0f} ms"
            cells[3] = f"{row['ratio']:.1f}"
        lines.append(cells)
    table = markdown.table(["", "ours", "textbook", "ratio"], lines)
    verdicts = [_verdict(processor, record) for processor, record in results.items()]
    return "\n\n".join([_where(first), table, " ".join(verdicts)])


def _verdict(processor, record):
    """A sentence about the goals on one machine."""
    missed = []
    for name, goal in GOALS.items():
        ratio = record["rows"][name]["ratio"]
        if ratio < goal:
            missed.append(f"{WORK[name].title} ({ratio:.1f} instead of {goal})")
    reached = len(GOALS) - len(missed)
    sentence = f"{reached} of {len(GOALS)} goals are reached on {processor}."
    if missed:
        sentence += f" Missed: {', '.join(missed)}."
    return sentence


def draw(record):
    """The Figure of `growth` on one machine."""
    from matplotlib import pyplot as plt

    labels = {"textbook": "textbook", "ours": "inade_lite"}
    with figures.style():
        figure, axes = plt.subplots(2, len(SWEEPS), figsize=(9, 5), layout="constrained", sharey="row")
        for column, axis in zip(axes.T, SWEEPS, strict=True):
            points = [point for point in record["growth"] if point["axis"] == axis]
            values = [point[axis] for point in points]
            for panel, unit in zip(column, ("ms", "mb"), strict=True):
                for form, label in labels.items():
                    measured = [point[f"{form}_{unit}"] for point in points]
                    panel.plot(values, measured, marker="o", markersize=4, label=label)
                panel.set(xscale="log", yscale="log")
            # After the scales, which would set ticks of their own.
            for panel in column:
                panel.set_xticks(values, values)
                panel.set_xticks([], minor=True)
                panel.yaxis.set_major_formatter("{x:g}")
            column[1].set_xlabel("side of the map, pixels" if axis == "side" else axis)
        axes[0, 0].set_ylabel("forward + backward, ms")
        axes[1, 0].set_ylabel("memory, MB")
        axes[0, 0].legend()
        figure.suptitle(record["set_up"]["processor"], fontsize=10)
    plt.close(figure)
    return figure


def write(results):
    """The tables of all records into the pages."""
    markdown.write_into(PAGE, report(results), MARK)
    markdown.write_into(README, short(results), SHORT_MARK)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--defaults", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.defaults:
        print(json.dumps(defaults(arguments.rounds)))
        return
    record = measure(arguments.rounds)
    results = json.loads(RESULTS.read_text("utf-8"))
    results[record["set_up"]["processor"]] = record
    text = json.dumps(results, indent=2) + "\n"
    RESULTS.write_text(text, "utf-8")
    draw(record).savefig(HERE / "results.png", dpi=100)
    write(results)
    print(report(results))


if __name__ == "__main__":
    main()
