"""What must happen before ``import paddle``, and the choice of the device after it.

``import inade_lite`` calls :func:`set_up` first of all. It gives Paddle the threads and the memory allocation with
which it is fast on a CPU, and does not import it. Whoever imports Paddle then, this package or a notebook, gets it
without the warnings of every start, after a check of the installation, and on the device that was chosen. Whatever the
user has set in the environment stays, and what was done is kept for ``python -m inade_lite doctor``.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import io
import os
import platform
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

WHEELS = ("paddlepaddle", "paddlepaddle-gpu")


@dataclass
class SetUp:
    """What :func:`set_up` did: one line for each setting, with the reason."""

    notes: list[str] = field(default_factory=list)
    paddle_came_first: bool = False
    device: str = ""


_done: SetUp | None = None


def set_up() -> SetUp:
    """Prepare the process for Paddle, once; a second call only returns what the first one did."""
    global _done
    if _done is None:
        _done = SetUp(paddle_came_first="paddle" in sys.modules)
        set_threads(_done)
        set_allocator(_done)
        if _done.paddle_came_first:
            choose_device(_done)
        else:
            sys.meta_path.insert(0, PaddleFinder(_done))
    return _done


def device() -> str:
    """``"gpu"`` or ``"cpu"``: where Paddle computes. Imports Paddle.

    >>> device() in ("cpu", "gpu")
    True
    """
    import paddle  # noqa: F401  # its import chooses

    return set_up().device


def set_threads(done: SetUp) -> None:
    """Let Paddle's matrix products (MKL) use every core: ``import paddle`` sets OMP_NUM_THREADS=1 where it is unset."""
    if done.paddle_came_first:
        done.notes.append("threads: left alone; Paddle was imported before inade_lite and has read its settings")
        return
    if not has_mkl():
        # Paddle warns that several threads fail in its builds with OpenBLAS.
        done.notes.append("threads: left to Paddle; this build has no MKL")
        return
    if "OMP_NUM_THREADS" in os.environ:
        done.notes.append(f"threads: OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']} was in the environment; kept")
    else:
        os.environ["OMP_NUM_THREADS"] = str(usable_cores())
        done.notes.append(f"threads: set OMP_NUM_THREADS={usable_cores()}, the cores that this process may use")
    if "MKL_DEBUG_CPU_TYPE" in os.environ:
        value = os.environ["MKL_DEBUG_CPU_TYPE"]
        done.notes.append(f"MKL: MKL_DEBUG_CPU_TYPE={value} was in the environment; kept")
    elif cpu_vendor() == "AuthenticAMD":
        # Paddle's MKL takes its slowest path on AMD unless told that AVX2 is there. On Intel this makes it slower.
        os.environ["MKL_DEBUG_CPU_TYPE"] = "5"
        done.notes.append("MKL: set MKL_DEBUG_CPU_TYPE=5, because an AMD processor takes MKL's slow path otherwise")


def set_allocator(done: SetUp) -> None:
    """Let glibc keep freed buffers: it gives large ones back to the kernel, and every operation pays page faults."""
    own = [k for k in os.environ if k.startswith("MALLOC_") or k == "GLIBC_TUNABLES"]
    if "malloc" in os.environ.get("LD_PRELOAD", ""):
        own.append("LD_PRELOAD")
    if own:
        done.notes.append(f"allocator: left alone; {', '.join(sorted(own))} was in the environment")
        return
    if not _has_glibc():
        done.notes.append("allocator: left alone; it is not glibc's")
        return
    m_trim_threshold, m_mmap_max = -1, -4  # malloc.h
    mallopt = ctypes.CDLL(None).mallopt
    if mallopt(m_mmap_max, 0) and mallopt(m_trim_threshold, 2**31 - 1):
        done.notes.append("allocator: glibc keeps freed buffers (M_MMAP_MAX=0, M_TRIM_THRESHOLD=2**31-1)")
    else:
        done.notes.append("allocator: left alone; glibc refused the setting")


def has_mkl() -> bool:
    """Whether the installed Paddle carries MKL, as its wheels for x86_64 Linux and Windows do."""
    spec = PathFinder.find_spec("paddle")  # does not import it
    folders = spec.submodule_search_locations if spec else None
    return any(list(Path(folder, "libs").glob("*mklml*")) for folder in folders or ())


def usable_cores() -> int:
    """The cores that this process may use: two hardware threads of one core count once, a container's quota counts."""
    try:
        threads = os.sched_getaffinity(0)
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1
    cores = len({_read(f"/sys/devices/system/cpu/cpu{t}/topology/thread_siblings_list") or t for t in threads})
    quota = _read("/sys/fs/cgroup/cpu.max").split()  # cgroup 2: "200000 100000" or "max 100000"
    if not quota:
        quota = [_read(f"/sys/fs/cgroup/cpu/cpu.cfs_{name}_us") for name in ("quota", "period")]  # cgroup 1, -1: none
    if all(value.isdigit() for value in quota):
        cores = min(cores, int(quota[0]) // int(quota[1]))
    return max(cores, 1)


def cpu_vendor() -> str:
    """The processor's vendor as it names itself, ``"AuthenticAMD"`` for one; empty if the system does not tell."""
    vendor = re.search(r"^vendor_id\s*:\s*(\S+)", _read("/proc/cpuinfo"), re.MULTILINE)
    if vendor:
        return vendor.group(1)
    return platform.processor().rpartition(" ")[2] if platform.system() == "Windows" else ""


def cpu_model() -> str:
    """The processor's name as the system tells it."""
    model = re.search(r"^model name\s*:\s*(.+)", _read("/proc/cpuinfo"), re.MULTILINE)
    return model.group(1) if model else platform.processor()


def _has_glibc() -> bool:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") is not None
    except (AttributeError, ValueError):  # another system, another libc
        return False


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def version(package: str) -> str:
    """The installed version, empty if there is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def numbers(version: str) -> tuple[int, ...]:
    """``"3.2.2"`` → ``(3, 2, 2)``, to compare versions."""
    return tuple(int(n) for n in re.findall(r"\d+", version))


def import_problem() -> tuple[str, str] | None:
    """Why ``import paddle`` would fail, and the remedy."""
    if not PathFinder.find_spec("paddle"):
        return "Paddle is not installed", "make lab, or: pip install -r paddle-cpu.txt"
    if not importlib.util.find_spec("setuptools"):
        return "setuptools is not installed, and import paddle needs it", "pip install setuptools"
    return None


def crash_problem() -> tuple[str, str] | None:
    """Why this Paddle can take the process down without a word, and the remedy."""
    paddle = next(filter(None, map(version, WHEELS)), "")
    if numbers(paddle)[:1] == (2,) and numbers(version("numpy")) >= (2,):
        return (
            f"Paddle {paddle} is built for numpy 1 and can crash with numpy {version('numpy')}",
            'pip install "numpy<2"',
        )
    return None


def check_installation() -> None:
    """Say what is wrong, with the remedy, before ``import paddle`` fails or crashes."""
    if problem := import_problem():
        raise ImportError("{}. Remedy: {}".format(*problem))
    if problem := crash_problem():
        warnings.warn("{}. Remedy: {}".format(*problem), RuntimeWarning, stacklevel=4)


class PaddleFinder(MetaPathFinder):
    """Finds Paddle as Python would, and lets its import run between what must come before and after it."""

    def __init__(self, done: SetUp) -> None:
        self.done = done

    def find_spec(self, name, path=None, target=None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name) if name == "paddle" else None
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_between(module: ModuleType) -> None:
            check_installation()
            with quietly():
                load(module)
            sys.meta_path.remove(self)
            choose_device(self.done)

        spec.loader.exec_module = load_between
        return spec


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without what Paddle says at every import: that ccache is missing, and that OMP_NUM_THREADS is not 1."""
    with warnings.catch_warnings(), _stderr_without("WARNING: OMP_NUM_THREADS set to", "PLEASE USE OMP_NUM_THREADS"):
        warnings.filterwarnings("ignore", message="No ccache found")
        yield


@contextlib.contextmanager
def _stderr_without(*beginnings: str) -> Iterator[None]:
    heard = io.StringIO()
    try:
        with contextlib.redirect_stderr(heard):
            yield
    finally:
        lines = heard.getvalue().splitlines(keepends=True)
        sys.stderr.write("".join(line for line in lines if not line.startswith(beginnings)))


def choose_device(done: SetUp) -> None:
    """A GPU if this Paddle can use one, else the CPU; INADE_LITE_DEVICE=cpu or gpu decides otherwise."""

    import paddle

    wish = os.environ.get("INADE_LITE_DEVICE", "")
    if wish not in ("", "cpu", "gpu"):
        raise ValueError(f"INADE_LITE_DEVICE is {wish!r}; it must be cpu or gpu, or unset")
    if done.paddle_came_first and not wish:
        done.device = paddle.get_device().partition(":")[0]
        done.notes.append(f"device: {done.device}, as Paddle had it when inade_lite was imported")
        return
    usable = paddle.device.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0
    if wish == "gpu" and not usable:
        raise RuntimeError("INADE_LITE_DEVICE=gpu, but Paddle sees no GPU; `python -m inade_lite doctor` says why")
    done.device = wish or ("gpu" if usable else "cpu")
    # "gpu" without a number is this process' own GPU in distributed training.
    paddle.set_device(done.device)
    reason = f"INADE_LITE_DEVICE={wish}" if wish else ("Paddle sees a GPU" if usable else "Paddle sees no GPU")
    done.notes.append(f"device: {done.device}; {reason}")
