"""`python -m inade_lite doctor`: what is installed, what set-up did, and each problem with its remedy.

It looks at versions without importing anything, and imports Paddle in a process of its own. So it also reports where
Paddle is missing, is broken, or takes the process down.
"""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys

from . import runtime

NEEDED = ("filelock", "numpy", "pillow", "safetensors", "tqdm", "matplotlib")  # by the package, besides Paddle
PACKAGES = (*NEEDED, "setuptools", "jupyterlab", "ipywidgets", "anywidget")

TESTED = ("2.6.2", "3.2.2", "3.3.1")  # versions of Paddle

# A program that prints what Paddle says about itself.
PROBE = """
import json, paddle
cuda = paddle.device.is_compiled_with_cuda()
print(json.dumps([paddle.__version__, cuda, paddle.device.cuda.device_count() if cuda else 0]))
"""


def main():
    """Print the report on this process. Returns 1 if there is a problem, else 0. It takes a few seconds.

    >>> main()  # doctest: +SKIP
    """
    facts, notes, problems = _diagnose(runtime.set_up())
    for name, value in facts.items():
        print(f"{name:<12}" + value.replace("\n", "\n" + " " * 12))
    for note in notes:
        print(f"\nNote: {note}.")
    for problem, remedy in problems:
        print(f"\nProblem: {problem}.\nRemedy:  {remedy}.")
    if not problems:
        print("\nNo problem found.")
    return 1 if problems else 0


def _diagnose(done):
    """What there is ({name: value}), a list of notes, and a list of problems, each (problem, remedy).

    done: the SetUp that tells what set-up did in this process.
    """
    wheels = {wheel: runtime.version(wheel) for wheel in runtime.WHEELS if runtime.version(wheel)}
    problems = _installation_problems(wheels)
    probed = None
    if not runtime.import_problem():
        probed, why = _probe_paddle()
        if not probed:
            problems.append((f"import paddle fails: {why}", "reinstall Paddle (make clean, make lab)"))
    paddle = probed[0] if probed else next(iter(wheels.values()), "")
    numpy = runtime.version("numpy")
    if runtime.numbers(paddle)[:1] == (3,) and runtime.numbers(numpy) >= (2, 4):
        problems.append((f"numpy {numpy} breaks float(tensor of shape [1]) in Paddle 3", 'pip install "numpy<2.4"'))
    problems += _device_problems(probed)
    problems += _thread_problems(done)

    notes = []
    if paddle and paddle not in TESTED:
        notes.append(f"Paddle {paddle} is not among the versions that are tested: {', '.join(TESTED)}")
    return _facts(done, wheels, probed), notes, problems


def _facts(done, wheels, probed):
    """{name: value}, both strings, in the order of the report."""
    facts = {}
    facts["python"] = f"{platform.python_version()} ({sys.executable}), {platform.system()} {platform.machine()}"
    facts["paddle"] = ", ".join(f"{version} ({wheel})" for wheel, version in wheels.items()) or "not installed"
    for package in PACKAGES:
        facts[package] = runtime.version(package) or "not installed"
    if probed:
        _, for_cuda, gpus = probed
        facts["GPUs"] = f"{gpus} usable by Paddle, which is built for {'CUDA' if for_cuda else 'the CPU only'}"
    threads = os.environ.get("OMP_NUM_THREADS", "(unset)")
    facts["threads"] = f"OMP_NUM_THREADS={threads}, {runtime.usable_cores()} usable cores"
    if probed:
        # This process has not imported Paddle, so it tells what an import would choose.
        wants_gpu = os.environ.get("INADE_LITE_DEVICE") != "cpu"
        facts["device"] = done.device or ("gpu" if gpus and wants_gpu else "cpu")
    facts["set-up"] = "\n".join(done.notes)
    return facts


def _installation_problems(wheels):
    """What the versions alone tell."""
    problems = []
    if len(wheels) > 1:
        problems.append(
            (
                "Both paddlepaddle and paddlepaddle-gpu are installed, and both own the folder paddle/",
                "pip uninstall -y paddlepaddle paddlepaddle-gpu, then install one of them (make clean, make lab)",
            )
        )
    problems += filter(None, [runtime.import_problem(), runtime.crash_problem()])
    missing = [package for package in NEEDED if not runtime.version(package)]
    if missing:
        problems.append((f"not installed: {', '.join(missing)}", "pip install -r requirements.txt"))
    return problems


def _device_problems(probed):
    """The problem, if there is one, between the device that is wished for and what Paddle can use."""
    wish = os.environ.get("INADE_LITE_DEVICE", "")
    if wish not in ("", "cpu", "gpu"):
        return [(f"INADE_LITE_DEVICE is {wish!r}", "set it to cpu or gpu, or unset it")]
    if not probed or wish == "cpu":
        return []
    _, for_cuda, gpus = probed
    if for_cuda and not gpus:
        problem = "Paddle is built for CUDA but sees no GPU"
        remedy = (
            "check nvidia-smi and CUDA_VISIBLE_DEVICES, or stay on the CPU: make lab PADDLE=cpu, "
            "or set INADE_LITE_DEVICE=cpu"
        )
        return [(problem, remedy)]
    if not for_cuda and _nvidia_gpus():
        remedy = "make lab PADDLE=gpu, or set INADE_LITE_DEVICE=cpu if that is meant"
        return [("There is a GPU, but Paddle is built for the CPU only", remedy)]
    if wish == "gpu" and not gpus:
        return [("INADE_LITE_DEVICE=gpu, but Paddle sees no GPU", "unset it")]
    return []


def _thread_problems(done):
    """The problem, if there is one, that leaves cores idle."""
    if done.paddle_came_first:
        remedy = "import inade_lite before paddle, in a fresh kernel"
        return [("Paddle was imported before inade_lite, so it runs with its own thread settings", remedy)]
    cores = runtime.usable_cores()
    # Without MKL one thread is right, see runtime.set_threads.
    if os.environ.get("OMP_NUM_THREADS") == "1" and cores > 1 and runtime.has_mkl():
        remedy = "unset it; inade_lite then sets the number of cores"
        return [(f"OMP_NUM_THREADS=1 leaves {cores - 1} of {cores} cores idle", remedy)]
    return []


def _probe_paddle():
    """([version, built for CUDA, visible GPUs], "") of Paddle in a process of its own, or (None, why that failed)."""
    try:
        run = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return None, "no answer within five minutes"
    if run.returncode < 0:
        return None, f"the process died of {signal.Signals(-run.returncode).name}"
    try:
        # The last line: Paddle may print others before it.
        return json.loads(run.stdout.splitlines()[-1]), ""
    except (IndexError, ValueError):
        errors = run.stderr.strip().splitlines()
        return None, errors[-1] if errors else "no output"


def _nvidia_gpus():
    """How many GPUs the driver sees, whatever Paddle can do.

    >>> _nvidia_gpus() >= 0
    True
    """
    if not shutil.which("nvidia-smi"):
        return 0
    try:
        run = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return run.stdout.count("GPU ") if run.returncode == 0 else 0
