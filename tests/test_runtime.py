"""Set-up before ``import paddle``, and the doctor, in processes with various environments and installations."""

import os
import re
import subprocess
import sys

import nbformat
import pytest
from helpers import ROOT
from nbclient import NotebookClient

from inade_lite.setup import runtime

OWN = ("OMP_NUM_THREADS", "MKL_DEBUG_CPU_TYPE", "MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "INADE_LITE_", "PYTHONPATH")
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}


def run(*arguments, **environment):
    """Run this Python in the project's folder, with nothing set that set-up looks at but `environment`."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env={**CLEAN, **environment}, capture_output=True, text=True)


def printed(code, **environment):
    result = run("-c", code, **environment)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


@pytest.fixture
def bare(monkeypatch):
    for name in set(os.environ) - set(CLEAN):
        monkeypatch.delenv(name)
    return monkeypatch


# ---- Threads


@pytest.mark.parametrize("vendor, expected", [("AuthenticAMD", "5"), ("GenuineIntel", None), ("", None)])
def test_mkl_is_told_of_amd_only(bare, vendor, expected):
    bare.setattr(runtime, "has_mkl", lambda: True)
    bare.setattr(runtime, "cpu_vendor", lambda: vendor)
    bare.setattr(runtime, "usable_cores", lambda: 6)
    done = runtime.SetUp()
    runtime.set_threads(done)
    assert os.environ.pop("OMP_NUM_THREADS") == "6"
    assert os.environ.pop("MKL_DEBUG_CPU_TYPE", None) == expected
    assert any("MKL_DEBUG_CPU_TYPE=5" in note for note in done.notes) == bool(expected)


def test_thread_settings_of_the_user_stay(bare):
    bare.setattr(runtime, "has_mkl", lambda: True)
    bare.setattr(runtime, "cpu_vendor", lambda: "AuthenticAMD")
    bare.setenv("OMP_NUM_THREADS", "3")
    bare.setenv("MKL_DEBUG_CPU_TYPE", "4")
    done = runtime.SetUp()
    runtime.set_threads(done)
    assert (os.environ["OMP_NUM_THREADS"], os.environ["MKL_DEBUG_CPU_TYPE"]) == ("3", "4")
    assert all("kept" in note for note in done.notes) and len(done.notes) == 2


@pytest.mark.parametrize("mkl, late", [(False, False), (True, True)])
def test_threads_are_left_alone(bare, mkl, late):
    bare.setattr(runtime, "has_mkl", lambda: mkl)
    runtime.set_threads(runtime.SetUp(paddle_came_first=late))
    assert not {"OMP_NUM_THREADS", "MKL_DEBUG_CPU_TYPE"} & set(os.environ)


@pytest.mark.parametrize(
    "files, cores",
    [
        ({}, 4),
        ({"/sys/fs/cgroup/cpu.max": "max 100000"}, 4),
        ({"/sys/fs/cgroup/cpu.max": "250000 100000"}, 2),
        ({"/sys/fs/cgroup/cpu.max": "50000 100000"}, 1),
        ({f"/sys/fs/cgroup/cpu/cpu.cfs_{k}_us": v for k, v in [("quota", "-1"), ("period", "100000")]}, 4),
        ({f"/sys/fs/cgroup/cpu/cpu.cfs_{k}_us": v for k, v in [("quota", "300000"), ("period", "100000")]}, 3),
        # Two hardware threads on each core: 0 and 2, 1 and 3.
        (
            {f"/sys/devices/system/cpu/cpu{c}/topology/thread_siblings_list": f"{c % 2},{c % 2 + 2}" for c in range(4)},
            2,
        ),
    ],
)
def test_usable_cores(monkeypatch, files, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(runtime, "_read", lambda path: files.get(path, ""))
    assert runtime.usable_cores() == cores


# ---- The whole set-up, with the installed Paddle

SHOW = "print(os.environ.get('OMP_NUM_THREADS'), done.device, done.paddle_came_first)"


def test_set_up_silently_does_what_it_says():
    code = f"""
import os, warnings
before = list(warnings.filters)
import inade_lite.setup.runtime as runtime
done = runtime.set_up()
assert runtime.set_up() is done and not done.device
assert warnings.filters == before
import paddle
assert runtime.device() == paddle.get_device().partition(":")[0]
{SHOW}
"""
    result = run("-c", code)
    assert (result.returncode, result.stderr) == (0, "")
    threads, _, came_first = result.stdout.split()
    assert threads == (str(runtime.usable_cores()) if runtime.has_mkl() else "1")
    assert came_first == "False"


@pytest.mark.parametrize(
    "line",
    [
        "import paddle",
        "import paddle.nn",
        "from paddle.nn import functional",
        "import importlib.util; importlib.util.find_spec('paddle'); assert 'paddle' not in sys.modules; import paddle",
    ],
)
def test_however_paddle_is_imported_it_is_as_python_made_it(line):
    code = f"""
import importlib, logging, pickle, sys
import inade_lite as il
{line}
import paddle
assert not any(type(finder).__name__ == "PaddleFinder" for finder in sys.meta_path)
assert "exec_module" not in vars(paddle.__loader__) and pickle.loads(pickle.dumps(paddle.__spec__)).name == "paddle"
print(il.setup.runtime.device())
logging.getLogger("paddle.base.io").warning("Paddle's loggers still speak")
"""
    result = run("-W", "error", "-X", "importtime", "-c", code)
    errors = [line for line in result.stderr.splitlines() if not line.startswith("import time:")]
    assert result.returncode == 0 and result.stdout in ("cpu\n", "gpu\n"), result.stderr
    assert len(errors) == 1 and errors[0].endswith("Paddle's loggers still speak")


def test_paddle_can_be_reloaded():
    code = """
import importlib, sys
import inade_lite as il
importlib.reload(il.setup.runtime).set_up()  # leaves a second finder behind
import paddle
assert importlib.reload(paddle) is paddle and paddle.ones([3]).sum().item() == 3
print(il.setup.runtime.device())
"""
    assert printed(code) in (["cpu"], ["gpu"])


def test_processes_that_are_spawned_are_set_up_too(tmp_path):
    (tmp_path / "work.py").write_text("""
import multiprocessing, sys
import inade_lite as il

def work(queue):
    assert "paddle" not in sys.modules
    import paddle
    queue.put((float(paddle.ones([3]).sum()), il.setup.runtime.device()))

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=work, args=[queue])
    process.start()
    print(*queue.get())
    process.join()
""")
    result = run(tmp_path / "work.py", PYTHONPATH=str(ROOT))
    assert result.stdout in ("3.0 cpu\n", "3.0 gpu\n") and not result.stderr


TRY = """
import os, sys
import inade_lite
def attempt():
    try:
        import paddle
        print("imported")
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_an_import_that_failed_half_way_tells_that_it_cannot_be_repeated():
    code = f"""{TRY}
class Broken:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "paddle.vision":
            raise ImportError("libfoo.so is missing")
sys.meta_path.insert(0, Broken)
attempt()
sys.meta_path.remove(Broken)
attempt()
"""
    result = run("-c", code)
    first, second = result.stdout.splitlines()
    assert first == "ImportError libfoo.so is missing" and not result.stderr
    assert re.match("ImportError an earlier import of Paddle has failed.*Remedy: .*restart Python", second)


def test_a_wrong_device_is_told_before_the_import_and_can_be_mended():
    code = TRY + "attempt(); attempt(); os.environ['INADE_LITE_DEVICE'] = 'cpu'; attempt()"
    result = run("-c", code, INADE_LITE_DEVICE="tpu")
    first, second, third = result.stdout.splitlines()
    assert first == second == "ValueError INADE_LITE_DEVICE is 'tpu'; it must be cpu or gpu, or unset"
    assert third == "imported" and not result.stderr


@pytest.mark.skipif(runtime.device() == "gpu", reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told():
    result = run("-c", f"{TRY}attempt()", INADE_LITE_DEVICE="gpu")
    assert re.match("RuntimeError INADE_LITE_DEVICE=gpu, but Paddle sees no GPU; .*unset it", result.stdout)
    result = run("-m", "inade_lite", "sample", INADE_LITE_DEVICE="gpu")
    assert re.fullmatch("error: INADE_LITE_DEVICE=gpu, but Paddle sees no GPU; .*\n", result.stderr)


def test_a_warning_points_at_the_line_that_imports_paddle(tmp_path):
    (tmp_path / "mine.py").write_text("""
from inade_lite.setup import runtime
runtime.crash_problem = lambda: ("it can crash", "another version")
import inade_lite
import paddle  # line 5
""")
    result = run(tmp_path / "mine.py", PYTHONPATH=str(ROOT))
    assert "mine.py:5: RuntimeWarning: it can crash. Remedy: another version" in result.stderr


def test_where_paddle_is_blocked_the_package_can_be_imported():
    code = f"import sys; sys.modules['paddle'] = None{TRY}attempt()"
    assert run("-c", code).stdout == "ModuleNotFoundError import of paddle halted; None in sys.modules\n"


def test_a_folder_named_paddle_is_not_paddle(tmp_path):
    """A clone of Paddle's repository, for one, in the folder where Python was started."""
    (tmp_path / "paddle").mkdir()
    code = "from inade_lite.setup import runtime; print(runtime.import_problem()[0])"
    assert run("-S", "-c", code, PYTHONPATH=str(tmp_path)).stdout == "Paddle is not installed\n"


def test_a_notebook_that_imports_paddle_shows_nothing():
    cells = ["import inade_lite as il\nimport paddle\nimport paddle.nn.functional as F", "paddle.ones([2]).sum()\nNone"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook).execute(env=CLEAN, cwd=ROOT)
    assert [cell.outputs for cell in notebook.cells] == [[], []]


def test_set_up_obeys_the_user():
    code = "import os; import inade_lite.setup.runtime as runtime; done = runtime.set_up(); import paddle; "
    code += SHOW
    assert printed(code, OMP_NUM_THREADS="3", INADE_LITE_DEVICE="cpu") == ["3", "cpu", "False"]


def test_set_up_after_paddle_says_so():
    code = "import os, paddle; paddle.set_device('cpu'); from inade_lite.setup import runtime; done = runtime.set_up();"
    code += SHOW
    assert printed(code) == ["1", "cpu", "True"]


def test_unknown_device():
    result = run("-c", "import inade_lite, paddle", INADE_LITE_DEVICE="tpu")
    assert result.returncode == 1
    assert "INADE_LITE_DEVICE is 'tpu'; it must be cpu or gpu" in result.stderr


def test_stderr_keeps_what_is_not_filtered(capsys):
    with pytest.raises(KeyError), runtime._stderr_without("NOISE"):
        kept = sys.stderr  # as a logger keeps it
        print("NOISE at every import\nsomething else", file=sys.stderr)
        print("no end", end="", file=sys.stderr)
        raise KeyError
    print(", NOISE\nNOISE", file=kept)
    assert capsys.readouterr().err == "something else\nno end, NOISE\nNOISE\n"


def test_a_process_without_stderr(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with runtime._stderr_without("NOISE"):
        assert sys.stderr is None


@pytest.mark.skipif(not runtime._has_glibc(), reason="set for glibc only")
@pytest.mark.parametrize("own, kept", [({}, True), ({"MALLOC_TOP_PAD_": "0"}, False)])
def test_allocator_keeps_freed_buffers(own, kept):
    code = """
import ctypes, sys
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("runtime", "inade_lite/setup/runtime.py")  # without Paddle
sys.modules["runtime"] = runtime = module_from_spec(spec)
spec.loader.exec_module(runtime)
runtime.set_allocator(runtime.SetUp())
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096
before, size = resident(), 1 << 26
buffer = libc.malloc(ctypes.c_size_t(size))
ctypes.memset(buffer, 1, size)
libc.free(ctypes.c_void_p(buffer))
print(resident() - before > size // 2)
"""
    assert printed(code, **own) == [str(kept)]


def test_the_package_brings_paddle_when_it_is_needed():
    code = """
import sys
import inade_lite as il
assert "paddle" not in sys.modules
assert il.Layout.__name__ == "Layout" and "paddle" in sys.modules
assert set(il.__all__) <= set(dir(il))
for name in il.__all__:
    getattr(il, name)
assert not hasattr(il, "nothing_of_this_name")
"""
    result = run("-c", code)
    assert (result.returncode, result.stderr) == (0, "")


def test_without_paddle_the_remedy_is_told(tmp_path):
    """-S leaves out what is installed; the folder holds what stands before Paddle."""
    (tmp_path / "numpy.py").touch()
    result = run("-S", "-c", "import inade_lite as il; il.Layout", PYTHONPATH=str(tmp_path))
    assert "ImportError: Paddle is not installed. Remedy: make lab" in result.stderr
    result = run("-S", "-c", "import inade_lite as il; print(il.__version__)", PYTHONPATH=str(tmp_path))
    assert (result.stdout, result.stderr) == ("0.1.0\n", "")


@pytest.mark.parametrize("command", [[], ["train"], ["convert"]])
def test_help_needs_nothing(command):
    result = run("-S", "-m", "inade_lite", *command, "--help")
    assert result.returncode == 0 and "usage: python -m inade_lite" in result.stdout and not result.stderr


# ---- The doctor, which must survive everything: on installations made of nothing but names and versions

FAKE_PADDLE = """
__version__ = {version!r}
class device:
    is_compiled_with_cuda = staticmethod(lambda: {cuda})
    class cuda:
        device_count = staticmethod(lambda: {gpus})
"""


def doctor(folder, *packages, paddle=None, gpus=0, nvidia_smi=False, **environment):
    """Run the doctor where only `packages` ("name==version") and a Paddle made of `paddle` are installed."""
    (folder / "bin").mkdir()
    if nvidia_smi:
        (folder / "bin/nvidia-smi").write_text("#!/bin/sh\necho 'GPU 0: a GPU (UUID: GPU-0)'\n")
        (folder / "bin/nvidia-smi").chmod(0o755)
    for package in packages:
        name, version = package.split("==")
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        if name == "setuptools":
            (folder / "setuptools.py").touch()
        if name.startswith("paddlepaddle"):
            (folder / "paddle").mkdir(exist_ok=True)
            code = paddle or FAKE_PADDLE.format(version=version, cuda=name.endswith("gpu"), gpus=gpus)
            (folder / "paddle/__init__.py").write_text(code)
    # -S leaves out what is really installed.
    result = run("-S", "-m", "inade_lite", "doctor", PYTHONPATH=str(folder), **{"PATH": f"{folder}/bin", **environment})
    assert result.stderr == ""
    problems = re.findall(r"^Problem: (.*)\.\nRemedy:  (.*)\.$", result.stdout, re.MULTILINE)
    assert result.returncode == bool(problems)
    return [problem for problem, _ in problems], result.stdout


NEEDED = ("filelock==3.29.7", "pillow==12.0.0", "safetensors==0.8.0", "tqdm==4.70.0", "matplotlib==3.10.0")
GOOD = ("numpy==2.2.6", "setuptools==80.0.0", *NEEDED)


@pytest.mark.parametrize(
    "packages, options, expected",
    [
        ([*GOOD, "paddlepaddle==3.2.2"], {}, []),
        ([*GOOD, "paddlepaddle-gpu==3.2.2"], {"gpus": 1, "nvidia_smi": True}, []),
        (NEEDED, {}, ["Paddle is not installed", "not installed: numpy"]),
        (
            [*GOOD[:2], "tqdm==4.70.0", "paddlepaddle==3.2.2"],
            {},
            ["not installed: filelock, pillow, safetensors, matplotlib"],
        ),
        (["numpy==2.2.6", *NEEDED, "paddlepaddle==3.2.2"], {}, ["setuptools is not installed"]),
        ([*GOOD, "paddlepaddle==2.6.2"], {}, ["Paddle 2.6.2 is built for numpy 1 and can crash with numpy 2.2.6"]),
        (["numpy==2.4.0", *GOOD[1:], "paddlepaddle==3.2.2"], {}, ["numpy 2.4.0 breaks float("]),
        (
            [*GOOD, "paddlepaddle==3.2.2", "paddlepaddle-gpu==3.2.2"],
            {"gpus": 1},
            ["Both paddlepaddle and paddlepaddle-gpu"],
        ),
        ([*GOOD, "paddlepaddle-gpu==3.2.2"], {}, ["Paddle is built for CUDA but sees no GPU"]),
        ([*GOOD, "paddlepaddle-gpu==3.2.2"], {"INADE_LITE_DEVICE": "cpu"}, []),
        (
            [*GOOD, "paddlepaddle==3.2.2"],
            {"nvidia_smi": True},
            ["There is a GPU, but Paddle is built for the CPU only"],
        ),
        ([*GOOD, "paddlepaddle==3.2.2"], {"nvidia_smi": True, "INADE_LITE_DEVICE": "cpu"}, []),
        (
            [*GOOD, "paddlepaddle==3.2.2"],
            {"INADE_LITE_DEVICE": "gpu"},
            ["INADE_LITE_DEVICE=gpu, but Paddle sees no GPU"],
        ),
        ([*GOOD, "paddlepaddle==3.2.2"], {"INADE_LITE_DEVICE": "tpu"}, ["INADE_LITE_DEVICE is 'tpu'"]),
        (
            [*GOOD, "paddlepaddle==3.2.2"],
            {"paddle": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"},
            ["import paddle fails: the process died of SIGSEGV"],
        ),
        (
            [*GOOD, "paddlepaddle==3.2.2"],
            {"paddle": "raise ImportError('libcudart.so is missing')"},
            ["import paddle fails: ImportError: libcudart.so is missing"],
        ),
    ],
)
def test_doctor_names_each_problem(tmp_path, packages, options, expected):
    problems, report = doctor(tmp_path, *packages, **options)
    assert len(problems) == len(expected), report
    assert all(problem.startswith(start) for problem, start in zip(problems, expected, strict=True)), report


def test_doctor_notes_an_untested_version(tmp_path):
    problems, report = doctor(tmp_path, *GOOD, "paddlepaddle==3.1.0")
    assert (
        not problems and "Note: Paddle 3.1.0 is not among the versions that are tested: 2.6.2, 3.2.2, 3.3.1." in report
    )


@pytest.mark.parametrize("done, cores, expected", [((), 4, 1), ((), 1, 0), (("late",), 4, 1)])
def test_doctor_on_threads(bare, done, cores, expected):
    from inade_lite.setup import doctor as module

    bare.setenv("OMP_NUM_THREADS", "1")
    bare.setattr(runtime, "has_mkl", lambda: True)
    bare.setattr(runtime, "usable_cores", lambda: cores)
    bare.setattr(module, "_probe_paddle", lambda: (["3.2.2", False, 0], ""))
    bare.setattr(module, "_nvidia_gpus", lambda: 0)
    versions = {"paddlepaddle": "3.2.2", "paddlepaddle-gpu": ""}
    bare.setattr(runtime, "version", lambda package: versions.get(package, "2.2.6"))
    _, _, problems = module._diagnose(runtime.SetUp(paddle_came_first=bool(done)))
    starts = (
        "Paddle was imported before inade_lite"
        if done
        else f"OMP_NUM_THREADS=1 leaves {cores - 1} of {cores} cores idle"
    )
    assert [problem.startswith(starts) for problem, _ in problems] == [True] * expected


def test_doctor_here():
    """Whatever this machine is: the true versions, and a return code that tells whether there is a problem."""
    import paddle

    result = run("-m", "inade_lite", "doctor")
    assert result.stderr == ""
    assert re.search(rf"^paddle +{re.escape(paddle.__version__)} \(paddlepaddle", result.stdout, re.MULTILINE)
    assert result.returncode == ("Problem:" in result.stdout) != ("No problem found." in result.stdout)
