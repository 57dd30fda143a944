"""``python -m inade_lite doctor``: what is installed, what set-up did, and each problem with its remedy.

It looks at versions without importing anything, and imports Paddle in a process of its own, so that it also reports
where Paddle is missing, broken, or takes the process down.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys

from . import runtime

PACKAGES = (
    "numpy",
    "pillow",
    "safetensors",
    "setuptools",
    "matplotlib",
    "jupyterlab",
    "ipywidgets",
    "anywidget",
)


TESTED = ("2.6.2", "3.2.2", "3.3.1")


PROBE = """
import json, paddle
cuda = paddle.device.is_compiled_with_cuda()
print(json.dumps([paddle.__version__, cuda, paddle.device.cuda.device_count() if cuda else 0]))
"""


def probe_paddle() -> tuple[list | None, str]:
    """``[version, built for CUDA, visible GPUs]`` of Paddle in a process of its own, or None and why that failed."""
    try:
        run = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return None, "no answer within five minutes"
    if run.returncode < 0:
        return None, f"the process died of {signal.Signals(-run.returncode).name}"
    try:
        return json.loads(run.stdout.splitlines()[-1]), ""
    except (IndexError, ValueError):
        return None, (run.stderr.strip().splitlines() or ["no output"])[-1]


def nvidia_gpus() -> int:
    """The GPUs that the driver sees, whatever Paddle can do."""
    if not shutil.which("nvidia-smi"):
        return 0
    try:
        run = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return run.stdout.count("GPU ") if run.returncode == 0 else 0


def diagnose(done: runtime.SetUp) -> tuple[dict[str, str], list[str], list[tuple[str, str]]]:
    """What there is (name → value), notes, and problems as (problem, remedy); `done` is what set-up did."""
    facts, notes, problems = {}, [], []
    wheels = {wheel: runtime.version(wheel) for wheel in runtime.WHEELS if runtime.version(wheel)}
    numpy = runtime.version("numpy")

    facts["python"] = f"{platform.python_version()} ({sys.executable}), {platform.system()} {platform.machine()}"
    facts["paddle"] = ", ".join(f"{version} ({wheel})" for wheel, version in wheels.items()) or "not installed"
    for package in PACKAGES:
        facts[package] = runtime.version(package) or "not installed"

    if len(wheels) > 1:
        remedy = "pip uninstall -y paddlepaddle paddlepaddle-gpu, then install one of them (make clean, make lab)"
        problems.append(
            ("Both paddlepaddle and paddlepaddle-gpu are installed, and both own the folder paddle/", remedy)
        )
    problems += filter(None, [runtime.import_problem(), runtime.crash_problem()])
    probed = None
    if not runtime.import_problem():
        probed, why = probe_paddle()
        if not probed:
            problems.append((f"import paddle fails: {why}", "reinstall Paddle (make clean, make lab)"))
    paddle = probed[0] if probed else next(iter(wheels.values()), "")
    if paddle and paddle not in TESTED:
        notes.append(f"Paddle {paddle} is not among the versions that are tested: {', '.join(TESTED)}")
    if runtime.numbers(paddle)[:1] == (3,) and runtime.numbers(numpy) >= (2, 4):
        problems.append((f"numpy {numpy} breaks float(tensor of shape [1]) in Paddle 3", 'pip install "numpy<2.4"'))

    if probed:
        facts["GPUs"] = f"{probed[2]} usable by Paddle, which is built for {'CUDA' if probed[1] else 'the CPU only'}"
    wish = os.environ.get("INADE_LITE_DEVICE", "")
    if wish not in ("", "cpu", "gpu"):
        problems.append((f"INADE_LITE_DEVICE is {wish!r}", "set it to cpu or gpu, or unset it"))
    elif probed and wish != "cpu":
        if probed[1] and not probed[2]:
            problems.append(
                (
                    "Paddle is built for CUDA but sees no GPU",
                    "check nvidia-smi and CUDA_VISIBLE_DEVICES, or stay on the CPU: make lab PADDLE=cpu, "
                    "or set INADE_LITE_DEVICE=cpu",
                )
            )
        elif not probed[1] and nvidia_gpus():
            remedy = "make lab PADDLE=gpu, or set INADE_LITE_DEVICE=cpu if that is meant"
            problems.append(("There is a GPU, but Paddle is built for the CPU only", remedy))
        elif wish == "gpu" and not probed[2]:
            problems.append(("INADE_LITE_DEVICE=gpu, but Paddle sees no GPU", "unset it"))

    cores = runtime.usable_cores()
    threads = os.environ.get("OMP_NUM_THREADS", "")
    facts["threads"] = f"OMP_NUM_THREADS={threads or '(unset)'}, {cores} usable cores"
    if probed:
        facts["device"] = done.device or ("gpu" if probed[2] and wish != "cpu" else "cpu")
    facts["set-up"] = "\n".join(done.notes)
    if done.paddle_came_first:
        remedy = "import inade_lite before paddle, in a fresh kernel"
        problems.append(("Paddle was imported before inade_lite, so it runs with its own thread settings", remedy))
    elif threads == "1" and cores > 1 and runtime.has_mkl():
        remedy = "unset it; inade_lite then sets the number of cores"
        problems.append((f"OMP_NUM_THREADS=1 leaves {cores - 1} of {cores} cores idle", remedy))
    return facts, notes, problems


def report(done: runtime.SetUp) -> int:
    """Print what :func:`diagnose` finds; 1 if there is a problem, else 0."""
    facts, notes, problems = diagnose(done)
    for name, value in facts.items():
        print(f"{name:<12}" + value.replace("\n", "\n" + " " * 12))
    for note in notes:
        print(f"\nNote: {note}.")
    for problem, remedy in problems:
        print(f"\nProblem: {problem}.\nRemedy:  {remedy}.")
    if not problems:
        print("\nNo problem found.")
    return 1 if problems else 0


def main() -> int:
    """The report on this process."""
    return report(runtime.set_up())
