"""What must happen before `import paddle`, and the choice of the device after it.

`import inade_lite` calls `set_up` first of all. It gives Paddle the threads and the memory allocation with which it is
fast on a CPU, but does not import it. Paddle is imported later, by this package or by a notebook. `PaddleFinder` then
checks the installation, holds back the warnings that Paddle prints at every start, and chooses the device.

Whatever the user has set in the environment stays. What was done is kept for `python -m inade_lite doctor`.
"""

import contextlib
import ctypes
import importlib.util
import os
import platform
import re
import sys
import warnings
from dataclasses import dataclass, field
from importlib import metadata
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from pathlib import Path

WHEELS = ("paddlepaddle", "paddlepaddle-gpu")


@dataclass
class SetUp:
    """What `set_up` did. notes: one line for each setting, with the reason. device: empty until Paddle is imported.

    >>> SetUp(notes=["threads: left to Paddle"]).paddle_came_first
    False
    """

    notes: list = field(default_factory=list)
    paddle_came_first: bool = False
    device: str = ""


_done = None  # the SetUp of this process


def set_up():
    """Prepare the process for Paddle, once. A second call only returns the SetUp of the first one.

    >>> set_up() is set_up()
    True
    """
    global _done
    if _done is not None:
        return _done
    _done = SetUp(paddle_came_first=sys.modules.get("paddle") is not None)
    set_threads(_done)
    set_allocator(_done)
    if _done.paddle_came_first:
        choose_device(_done)
    else:
        sys.meta_path.insert(0, PaddleFinder(_done))
    return _done


def device():
    """Where Paddle computes, "gpu" or "cpu". Imports Paddle.

    >>> device() in ("cpu", "gpu")
    True
    """
    import paddle  # noqa: F401  # its import chooses

    done = set_up()
    if not done.device:
        # Another import hook found Paddle before ours was asked.
        choose_device(done)
    return done.device


# ---- Before the import


def set_threads(done):
    """Let Paddle's matrix products (MKL) use every core. `import paddle` sets OMP_NUM_THREADS=1 where it is unset.

    >>> late = SetUp(paddle_came_first=True)
    >>> set_threads(late)
    >>> late.notes[0].startswith("threads: left alone")
    True
    """
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
        cores = usable_cores()
        os.environ["OMP_NUM_THREADS"] = str(cores)
        done.notes.append(f"threads: set OMP_NUM_THREADS={cores}, the cores that this process may use")
    if "MKL_DEBUG_CPU_TYPE" in os.environ:
        value = os.environ["MKL_DEBUG_CPU_TYPE"]
        done.notes.append(f"MKL: MKL_DEBUG_CPU_TYPE={value} was in the environment; kept")
    elif cpu_vendor() == "AuthenticAMD":
        # Paddle's MKL takes its slowest path on AMD unless told that AVX2 is there. On Intel this makes it slower.
        os.environ["MKL_DEBUG_CPU_TYPE"] = "5"
        done.notes.append("MKL: set MKL_DEBUG_CPU_TYPE=5, because an AMD processor takes MKL's slow path otherwise")


def set_allocator(done):
    """Let glibc keep freed buffers. By default it gives large ones back to the kernel, and every operation that needs
    a new one pays for page faults.

    >>> done = SetUp()
    >>> set_allocator(done)
    >>> done.notes[0].partition(":")[0]
    'allocator'
    """
    own = [name for name in os.environ if name.startswith("MALLOC_") or name == "GLIBC_TUNABLES"]
    if "malloc" in os.environ.get("LD_PRELOAD", ""):
        own.append("LD_PRELOAD")
    if own:
        done.notes.append(f"allocator: left alone; {', '.join(sorted(own))} was in the environment")
        return
    if not _has_glibc():
        done.notes.append("allocator: left alone; it is not glibc's")
        return
    # The numbers of two options in malloc.h.
    m_trim_threshold = -1
    m_mmap_max = -4
    mallopt = ctypes.CDLL(None).mallopt
    if mallopt(m_mmap_max, 0) and mallopt(m_trim_threshold, 2**31 - 1):
        done.notes.append("allocator: glibc keeps freed buffers (M_MMAP_MAX=0, M_TRIM_THRESHOLD=2**31-1)")
    else:
        done.notes.append("allocator: left alone; glibc refused the setting")


def _has_glibc():
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") is not None
    except (AttributeError, ValueError):  # another system, another libc
        return False


# ---- The machine


def usable_cores():
    """The cores that this process may use. Two hardware threads of one core count once; a container's quota counts.

    >>> usable_cores() >= 1
    True
    """
    try:
        threads = os.sched_getaffinity(0)
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1
    siblings = [_read(f"/sys/devices/system/cpu/cpu{t}/topology/thread_siblings_list") or t for t in threads]
    cores = len(set(siblings))
    # cgroup 2 says "200000 100000" or "max 100000": microseconds of computing time in every so many microseconds.
    quota = _read("/sys/fs/cgroup/cpu.max").split()
    if not quota:
        # cgroup 1 has a file for each of the two numbers; a quota of -1 is none.
        quota = [_read(f"/sys/fs/cgroup/cpu/cpu.cfs_{name}_us") for name in ("quota", "period")]
    if all(number.isdigit() for number in quota):
        cores = min(cores, int(quota[0]) // int(quota[1]))
    return max(cores, 1)


def cpu_vendor():
    """The processor's vendor as it names itself, for example "AuthenticAMD". Empty if the system does not tell.

    >>> isinstance(cpu_vendor(), str)
    True
    """
    vendor = re.search(r"^vendor_id\s*:\s*(\S+)", _read("/proc/cpuinfo"), re.MULTILINE)
    if vendor:
        return vendor.group(1)
    if platform.system() == "Windows":
        return platform.processor().rpartition(" ")[2]
    return ""


def cpu_model():
    """The processor's name as the system tells it.

    >>> isinstance(cpu_model(), str)
    True
    """
    model = re.search(r"^model name\s*:\s*(.+)", _read("/proc/cpuinfo"), re.MULTILINE)
    return model.group(1) if model else platform.processor()


def _read(path):
    """The text of a small file, empty if it cannot be read."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


# ---- The installation


def find_paddle():
    """Where Paddle is installed, as a ModuleSpec, or None. Does not import it.

    >>> find_paddle().name
    'paddle'
    """
    spec = PathFinder.find_spec("paddle")
    # A mere folder of that name, such as a clone of Paddle's repository, is a namespace package without a loader.
    if spec is None or spec.loader is None:
        return None
    return spec


def has_mkl():
    """Whether the installed Paddle carries MKL, as its wheels for x86_64 Linux and Windows do.

    >>> has_mkl() in (True, False)
    True
    """
    spec = find_paddle()
    folders = spec.submodule_search_locations if spec else None
    return any(list(Path(folder, "libs").glob("*mklml*")) for folder in folders or ())


def version(package):
    """The installed version of a package, empty if there is none.

    >>> version("no-such-package")
    ''
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def numbers(version):
    """A version as a tuple of integers, to compare it with another.

    >>> numbers("3.2.2") < numbers("3.10")
    True
    """
    return tuple(int(number) for number in re.findall(r"\d+", version))


def import_problem():
    """Why `import paddle` would fail, and the remedy; None if nothing is in its way.

    >>> import_problem() is None
    True
    """
    if not find_paddle():
        return "Paddle is not installed", "make lab, or: pip install -r paddle-cpu.txt"
    if not importlib.util.find_spec("setuptools"):
        return "setuptools is not installed, and import paddle needs it", "pip install setuptools"
    return None


def crash_problem():
    """Why this Paddle can take the process down without a word, and the remedy; None if it cannot.

    >>> crash_problem() is None
    True
    """
    paddle = next(filter(None, map(version, WHEELS)), "")
    if numbers(paddle)[:1] == (2,) and numbers(version("numpy")) >= (2,):
        return (
            f"Paddle {paddle} is built for numpy 1 and can crash with numpy {version('numpy')}",
            'pip install "numpy<2"',
        )
    return None


def check_installation():
    """Say what is wrong, with the remedy, before `import paddle` fails (ImportError) or crashes (RuntimeWarning).

    >>> check_installation()
    """
    problem = import_problem()
    if problem:
        raise ImportError("{}. Remedy: {}".format(*problem))
    problem = crash_problem()
    if problem:
        # The fourth level is the line that imports Paddle. Above it are this function and two of PaddleFinder; Python's
        # own frames do not count.
        warnings.warn("{}. Remedy: {}".format(*problem), RuntimeWarning, stacklevel=4)


# ---- The import


class PaddleFinder(MetaPathFinder):
    """Finds Paddle as Python would, and lets its import run between what must come before it and after it.

    It stands in sys.meta_path until Paddle has been imported, and then removes itself.

    >>> PaddleFinder(SetUp()).find_spec("numpy") is None
    True
    """

    def __init__(self, done):
        self.done = done

    def find_spec(self, name, path=None, target=None):
        """Paddle's ModuleSpec with the loader prepared, None for any other module."""
        spec = find_paddle() if name == "paddle" else None
        if spec is not None:
            self._prepare(spec.loader)
        return spec

    def _prepare(self, loader):
        """Give a loader, this object alone, another exec_module. Whoever only asks for the spec imports nothing."""
        load = loader.exec_module

        def load_between(module):
            # From here on the loader is as Python made it: it can be pickled, and reloads like any other.
            vars(loader).pop("exec_module", None)
            self._check(module)
            with quietly():
                load(module)
            choose_device(self.done)
            if self in sys.meta_path:
                sys.meta_path.remove(self)

        loader.exec_module = load_between

    def _check(self, module):
        """Raise what can be known before Paddle's own code runs."""
        if "paddle.base" in sys.modules and not hasattr(module, "base"):
            # Python has forgotten the package but not its modules. Paddle would fail with an error that misleads.
            raise ImportError(
                "an earlier import of Paddle has failed, and one process cannot import it twice. "
                "Remedy: mend what the first error told, then restart Python (in a notebook: the kernel)"
            )
        check_installation()
        wished_device()


@contextlib.contextmanager
def quietly():
    """Without what Paddle says at every start: that ccache is missing, and that OMP_NUM_THREADS is not 1.

    >>> with quietly():
    ...     import paddle
    """
    with warnings.catch_warnings(), _stderr_without("WARNING: OMP_NUM_THREADS set to", "PLEASE USE OMP_NUM_THREADS"):
        warnings.filterwarnings("ignore", message="No ccache found")
        yield


@contextlib.contextmanager
def _stderr_without(*beginnings):
    """sys.stderr without the lines that begin so."""
    if sys.stderr is None:  # a process without a terminal, such as pythonw
        yield
        return
    filtered = _FilteredStream(sys.stderr, beginnings)
    try:
        with contextlib.redirect_stderr(filtered):
            yield
    finally:
        filtered.pass_everything()


class _FilteredStream:
    """A text stream without the lines that begin in certain ways.

    Paddle's loggers take hold of sys.stderr during the import and keep it. So this object outlives the import, and
    from then on passes everything to the stream behind it.
    """

    def __init__(self, stream, beginnings):
        self.stream = stream
        self.beginnings = beginnings
        self.unfinished = ""  # the last line, as long as its end is missing

    def write(self, text):
        *lines, self.unfinished = (self.unfinished + text).split("\n")
        for line in lines:
            if not line.startswith(self.beginnings):
                self.stream.write(line + "\n")
        return len(text)

    def pass_everything(self):
        self.stream.write(self.unfinished)
        self.write = self.stream.write

    def __getattr__(self, name):
        return getattr(self.stream, name)


# ---- After the import


def wished_device():
    """The value of INADE_LITE_DEVICE, "cpu" or "gpu"; empty if it is unset. Anything else is a ValueError.

    >>> wished_device() in ("", "cpu", "gpu")
    True
    """
    wish = os.environ.get("INADE_LITE_DEVICE", "")
    if wish not in ("", "cpu", "gpu"):
        raise ValueError(f"INADE_LITE_DEVICE is {wish!r}; it must be cpu or gpu, or unset")
    return wish


def choose_device(done):
    """A GPU if this Paddle can use one, else the CPU; INADE_LITE_DEVICE=cpu or gpu decides otherwise.

    RuntimeError if a GPU is wished for and there is none.

    >>> done = SetUp(paddle_came_first=True)
    >>> choose_device(done)
    >>> done.device in ("cpu", "gpu")
    True
    """
    import paddle

    wish = wished_device()
    if done.paddle_came_first and not wish:
        done.device = paddle.get_device().partition(":")[0]
        done.notes.append(f"device: {done.device}, as Paddle had it when inade_lite was imported")
        return
    usable = paddle.device.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0
    if wish == "gpu" and not usable:
        raise RuntimeError(
            "INADE_LITE_DEVICE=gpu, but Paddle sees no GPU; `python -m inade_lite doctor` says why. "
            "To compute on the CPU, unset it and restart Python"
        )
    if wish:
        device = wish
        reason = f"INADE_LITE_DEVICE={wish}"
    elif usable:
        device = "gpu"
        reason = "Paddle sees a GPU"
    else:
        device = "cpu"
        reason = "Paddle sees no GPU"
    # "gpu" without a number is this process' own GPU in distributed training.
    paddle.set_device(device)
    done.device = device
    done.notes.append(f"device: {device}; {reason}")
