"""`make bench`: the package's layers against their textbook forms, side by side; writes results.json, results.png
and README's table.

Each row runs textbook, ours, textbook, ours, ... in one process and takes medians; ratios count, milliseconds belong to
the machine. The textbook has its one-hot maps ready, ours builds its Layout in every call. The textbook under Paddle's
own threads and allocator, which is what others get, runs in a process of its own.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from unittest import mock

if "--defaults" in sys.argv:
    import paddle  # first, so that the package leaves Paddle's threads as they are
import inade_lite as il  # isort: skip
import numpy as np
import paddle
from paddle.base import core
from tqdm import tqdm

from inade_lite import figures, textbook, training

HERE = Path(__file__).parent
README, MARKS = HERE.parent / "README.md", ("<!-- make bench -->", "<!-- end of make bench -->")
# What the authors' code took on PyTorch 2.13, 2 threads of an AMD EPYC, in ms: given figures, not measured here.
ORIGINAL = {"inade": [34, 40], "conv": [103, 118], "conv_256": [1800, 2100], "encoder": [2560], "step": [1020, 1060]}
NAMES = {
    "inade": "INADE layer, N 3, C 64, 64², 46 classes, 72 instances",
    "conv": "instance-aware convolution 64 → 128, N 4, 64²",
    "conv_256": "the same, N 4, 256², forward",
    "encoder": "encoder, 256², 72 instances, width 64, forward",
    "step": "one training step, batch 8, 64², width 16",
    "sample": "one sample at 64², shipped generator",
}
GOALS = {"inade": 3.5, "conv": 1.8, "conv_256": 2, "encoder": 4, "step": 2}
ALLOCATORS_OWN = {"MALLOC_TOP_PAD_": "131072"}  # glibc's default: the package sees that the user has set something


# ---- The work


def blocks(n, size, classes, instances, block=8):
    """Maps of 8x8-pixel blocks, each of a random class and instance."""
    random, side = np.random.default_rng(0), size // block
    maps = (random.integers(0, k, [n, side, side]).repeat(block, 1).repeat(block, 2) for k in (classes, instances))
    return [*maps, classes, instances]


def boxes(n, size, classes, instances):
    """Maps of a ground and rectangles on it, instance i of class i modulo classes."""
    random, maps = np.random.default_rng(0), np.zeros([n, size, size], int)
    for image in maps:
        for i in range(1, instances):
            (y, x), (h, w) = random.integers(0, size - 8, 2), random.integers(8, size // 2, 2)
            image[y : y + h, x : x + w] = i
    return maps % classes, maps, classes, instances


def town(n, size):
    """ToyTown's maps."""
    data = il.ToyTown("train", size)
    batch = il.collate([data[i] for i in range(n)])
    return batch["label"], batch["instance"], data.num_classes


def inade(maps, n=3, c=64, size=64):
    layer, x = il.INADE(c, maps[2], 108), variable(n, c, size, size)
    return both(layer, x, maps, [variable(n, maps[3], 2, 108)])


def convolution(maps, n, size, backward):
    return both(il.InstanceConv2D(64, 128, 3, padding=1), variable(n, 64, size, size), maps, [], backward)


def encoder(maps, size):
    return both(il.InstanceEncoder(108, 64), variable(1, 3, size, size), maps, [], backward=False)


def step():
    widths = dict.fromkeys(("base_channels", "encoder_channels", "discriminator_channels"), 16)
    config = il.TrainConfig(
        noise_dim=64, latent_dim=256, num_upsamplings=5, plain_share=0.0, lambda_pixel=0.0, **widths
    )
    maps = boxes(8, 64, 8, 10)
    batch = {"image": variable(8, 3, 64, 64).tanh().numpy(), "label": maps[0], "instance": maps[1]}

    class Data:
        num_classes, class_names = 8, list("abcdefgh")

        def __len__(self):
            return 8

        def __getitem__(self, i):
            return {"name": str(i), **{key: value[i] for key, value in batch.items()}}

    trainer, ready = il.Trainer(config, Data()), il.Layout(*maps)

    def slow():
        with textbook.forms(), mock.patch.object(training, "Layout", lambda *_: ready):
            trainer.step(batch)

    return {"textbook": slow, "ours": lambda: trainer.step(batch)}


def sample():
    generator = il.load_pretrained("inade").generator
    maps = town(1, 64)
    return {"ours": lambda: il.sample(generator, il.Layout(*maps), seed=0)}


WORK = {
    "inade": lambda: inade(blocks(3, 64, 46, 72)),
    "conv": lambda: convolution(town(4, 64), 4, 64, backward=True),
    "conv_256": lambda: convolution(town(4, 256), 4, 256, backward=False),
    "encoder": lambda: encoder(blocks(1, 256, 46, 72), 256),
    "step": step,
    "sample": sample,
}


def variable(*shape):
    x = paddle.to_tensor(np.random.default_rng(1).standard_normal(shape, np.float32))
    x.stop_gradient = False
    return x


def both(layer, x, maps, more, backward=True):
    """The layer as it is, with a new Layout, and as in the textbook, with its maps ready."""
    ready, inputs = il.Layout(*maps), [x, *more, *layer.parameters()]
    gradient = paddle.ones_like(layer(x, ready, *more)) if backward else None

    def run(layout):
        with paddle.set_grad_enabled(backward):
            out = layer(x, layout, *more)
            return paddle.grad(out, inputs, gradient) if backward else out

    def slow():
        with textbook.forms():
            return run(ready)

    return {"textbook": slow, "ours": lambda: run(il.Layout(*maps))}


# ---- Measuring


def peak(work):
    """Bytes of tensors that the work holds at most, above those before it, by Paddle's own count."""
    before = core.host_memory_stat_current_value("Allocated", 0)
    core.host_memory_stat_reset_peak_value("Allocated", 0)
    work()
    return core.host_memory_stat_peak_value("Allocated", 0) - before


def compare(name, rounds):
    forms = WORK[name]()
    times = il.take_turns(forms, rounds)
    row = {f"{form}_ms": statistics.median(times[form]) for form in forms}
    row |= {f"{form}_mb": peak(work) / 1e6 for form, work in forms.items()}
    row["range_ms"] = [min(times["ours"]), max(times["ours"])]
    if "textbook" in forms:
        row["ratio"] = statistics.median(b / a for a, b in zip(times["ours"], times["textbook"], strict=True))
    return row


def growth(rounds):
    """Time and memory of the INADE layer as instances, classes and side grow, one at a time."""
    sweeps = {
        "instances": [1, 4, 16, 64, 128, 256],
        "classes": [2, 10, 46, 100, 200],
        "side": [32, 64, 128, 256, 512],
    }
    results = []
    for axis, values in sweeps.items():
        for value in tqdm(values, axis, leave=False):
            at = {"instances": 72, "classes": 46, "side": 64, axis: value}
            maps = blocks(1, at["side"], at["classes"], at["instances"], block=max(2, at["side"] // 16))
            forms = inade(maps, 1, 64, at["side"])
            results.append({"axis": axis, **at})
            for form, times in il.take_turns(forms, rounds).items():
                results[-1] |= {f"{form}_ms": statistics.median(times), f"{form}_mb": peak(forms[form]) / 1e6}
    return results


def limit(step_ms):
    """The step's floating-point operations over the machine's rate for a 1024³ matrix product."""
    flops, one = 0, paddle.matmul
    ours = step()["ours"]

    def counting(x, y, *args, **kwargs):
        nonlocal flops
        out = one(x, y, *args, **kwargs)
        if sys._getframe(1).f_code.co_name != "swap":  # which only copies
            inner = x.shape[-2] if kwargs.get("transpose_x") else x.shape[-1]
            gradients = sum(not t.stop_gradient for t in (x, y)) if paddle.is_grad_enabled() else 0
            flops += 2 * out.size * inner * (1 + gradients)  # each costs as much as the product itself
        return out

    with mock.patch.object(paddle, "matmul", counting):
        ours()
    matrix = paddle.randn([1024, 1024])
    times = il.take_turns({"matmul": lambda: one(matrix, matrix)}, 30)["matmul"]
    rate = 2 * 1024**3 / statistics.median(times) * 1e3
    return {
        "matmul_gflops": rate / 1e9,
        "step_gflop": flops / 1e9,
        "limit_ms": flops / rate * 1e3,
        "times_the_limit": step_ms / (flops / rate * 1e3),
    }


def defaults(rounds):
    """{row: {form: ms}} under Paddle's own threads and allocator."""
    turns = {name: il.take_turns(work(), rounds) for name, work in tqdm(WORK.items(), "Paddle's defaults", leave=False)}
    return {name: {form: statistics.median(t) for form, t in times.items()} for name, times in turns.items()}


def set_up():
    return {
        "processor": il.setup.runtime.cpu_model(),
        "cores": il.setup.runtime.usable_cores(),
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
        "paddle": paddle.__version__,
        "python": platform.python_version(),
        "set_up": il.setup.runtime.set_up().notes,
    }


# ---- What comes out


def report(results):
    """The results in Markdown, as README shows them."""
    head = ["forward and backward unless said", "ours", "textbook", "ratio (goal)", "memory: ours / textbook"]
    head += ["textbook with Paddle's defaults", "ratio", "authors' code, given"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for name, row in results["rows"].items():
        cells = [NAMES[name], f"{row['ours_ms']:.0f} ms"] + ["–"] * 5
        if name in GOALS:
            cells[2:4] = [f"{row['textbook_ms']:.0f} ms", f"**{row['ratio']:.1f}** ({GOALS[name]})"]
            cells[4:5] = [f"{row['ours_mb']:.0f} / {row['textbook_mb']:.0f} MB"]
            ratio = row["defaults_textbook_ms"] / row["ours_ms"]
            cells[5:7] = [f"{row['defaults_textbook_ms']:.0f} ms", f"{ratio:.1f}"]
        cells.append("–".join(map(str, ORIGINAL[name])) + " ms" if name in ORIGINAL else "–")
        lines.append(f"| {' | '.join(cells)} |")
    at, limit = results["set_up"], results["limit"]
    lines += [
        "",
        f"Measured on {at['processor']}, {at['cores']} cores, Paddle {at['paddle']}. The training step computes "
        f"{limit['step_gflop']:.0f} GFLOP in matrix products. At the {limit['matmul_gflops']:.0f} GFLOP/s that a "
        f"1024³ product reaches here they would take {limit['limit_ms']:.0f} ms; the step takes "
        f"{limit['times_the_limit']:.1f} times as long.",
    ]
    return "\n".join(lines)


def into(text, report):
    """README's text with the report between its two marks."""
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n{report}\n{MARKS[1]}{after}"


def draw(results):
    from matplotlib import pyplot as plt

    with figures.style():
        figure, axes = plt.subplots(2, 3, figsize=(9, 5), layout="constrained", sharey="row")
        for column, axis in enumerate(("instances", "classes", "side")):
            points = [p for p in results["growth"] if p["axis"] == axis]
            for row, unit in enumerate(("ms", "mb")):
                for form, label in (("textbook", "textbook"), ("ours", "inade_lite")):
                    values = [p[f"{form}_{unit}"] for p in points]
                    axes[row, column].plot([p[axis] for p in points], values, marker="o", markersize=4, label=label)
                axes[row, column].set(xscale="log", yscale="log")
            for row in axes[:, column]:
                row.set_xticks([p[axis] for p in points], [p[axis] for p in points])
                row.set_xticks([], minor=True)
                row.yaxis.set_major_formatter("{x:g}")
            axes[1, column].set_xlabel({"side": "side of the map, pixels"}.get(axis, axis))
        axes[0, 0].set_ylabel("forward + backward, ms")
        axes[1, 0].set_ylabel("memory, MB")
        axes[0, 0].legend(frameon=False)
    figure.savefig(HERE / "results.png", dpi=100)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--defaults", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.defaults:
        print(json.dumps(defaults(arguments.rounds)))
        return
    results = {"set_up": set_up(), "rows": {}}
    print(json.dumps(results["set_up"], indent=2))
    for name in tqdm(WORK, "side by side", leave=False):
        results["rows"][name] = compare(name, arguments.rounds)
    clean = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "MKL_DEBUG_CPU_TYPE")}
    command = [sys.executable, __file__, "--defaults", "--rounds", "3"]
    output = subprocess.run(command, env=clean | ALLOCATORS_OWN, stdout=subprocess.PIPE, check=True, text=True).stdout
    for name, times in json.loads(output.splitlines()[-1]).items():
        results["rows"][name] |= {f"defaults_{form}_ms": ms for form, ms in times.items()}
    results["limit"] = limit(results["rows"]["step"]["ours_ms"])
    results["growth"] = growth(3)
    results = rounded(results)
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    draw(results)
    README.write_text(into(README.read_text(), report(results)))
    print(report(results))


def rounded(value):
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
