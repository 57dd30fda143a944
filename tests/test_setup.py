"""The set-up files agree with one another; the Makefile does what it promises, with a Python that only takes notes."""

import base64
import io
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from helpers import ROOT
from PIL import Image

from tools import tidy_notebooks

MAKEFILE = (ROOT / "Makefile").read_text()
PADDLE_INDEX = "https://www.paddlepaddle.org.cn/packages/stable/"


def pins(name):
    """``{package: version}`` of a requirements file."""
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / name).read_text(), re.MULTILINE))


# ---- Files


@pytest.mark.parametrize("name", ["requirements.lock", "paddle-cpu.lock"])
def test_everything_locked_has_hashes_and_no_address(name):
    text = (ROOT / name).read_text()
    entries = re.findall(r"^[\w.-]+==.*(?:\n    .*)*", text, re.MULTILINE)
    assert len(entries) == len(re.findall(r"^\S+==", text, re.MULTILINE)) > 0
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert "://" not in text and "--index" not in text


def test_locks_hold_the_pins():
    locked = pins("requirements.lock")
    assert pins("requirements.txt").items() <= locked.items()
    assert pins("paddle-cpu.lock") == pins("paddle-cpu.txt")
    # Paddle has its own lock, and what it needs is in the common one, where both of its wheels find it.
    assert "paddlepaddle" not in locked
    assert {"protobuf", "httpx", "networkx", "opt-einsum", "setuptools"} <= set(locked)


def test_everything_is_pinned_in_one_place():
    for pinned in ("requirements.txt", "tools/own.txt"):
        lines = [line.partition("#")[0].strip() for line in (ROOT / pinned).read_text().splitlines()]
        assert all(re.fullmatch(r"[\w-]+(\[[\w-]+\])?==[\w.]+", line) for line in lines if line)
    for name in ("environment.yml", "environment-cpu.yml", "pyproject.toml", "Makefile", ".ci/run"):
        found = set(re.findall(r"([\w-]+)==\d", (ROOT / name).read_text()))
        assert found == ({"paddlepaddle-gpu"} if name == "environment.yml" else set()), name


def test_conda_environments_are_twins():
    gpu, cpu = ((ROOT / name).read_text().splitlines() for name in ("environment.yml", "environment-cpu.yml"))
    gpu, cpu = ([line.strip() for line in lines if not line.startswith("#")] for lines in (gpu, cpu))
    version = pins("paddle-cpu.txt")["paddlepaddle"]
    assert [line for line in gpu if line not in cpu] == [
        f"- --extra-index-url {PADDLE_INDEX}cu118/",
        f"- paddlepaddle-gpu=={version}",
    ]
    assert [line for line in cpu if line not in gpu] == ["- -r paddle-cpu.txt"]
    assert "- -r requirements.txt" in cpu


def test_every_folder_of_the_package_is_installed():
    told = re.findall(r'"(inade_lite[\w.]*)",', (ROOT / "pyproject.toml").read_text())
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "inade_lite").glob("**/__init__.py")}
    assert set(told) == there | {"inade_lite.shipped"}


def test_an_installed_package_finds_its_models_or_says_where_they_are(tmp_path):
    """pip copies the folder that pyproject.toml calls inade_lite.shipped into the package."""
    (folder,) = re.findall(r'package-dir = { "inade_lite.shipped" = "(\w+)" }', (ROOT / "pyproject.toml").read_text())
    shutil.copytree(ROOT / "inade_lite", tmp_path / "inade_lite")
    code = "import inade_lite as il; print(il.__file__, il.load_pretrained('inade').config['steps'])"
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    alone = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "no pretrained model 'inade'" in alone.stderr and "in data/pretrained; clone it" in alone.stderr
    (tmp_path / "inade_lite/shipped").symlink_to(ROOT / folder)
    whole = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert whole.stdout.split() == [str(tmp_path / "inade_lite/__init__.py"), "10000"], whole.stderr


def test_no_address_but_paddles():
    for name in ("Makefile", "environment.yml", "environment-cpu.yml", "pyproject.toml", "requirements.txt", ".ci/run"):
        for address in re.findall(r"https?://\S+", (ROOT / name).read_text()):
            assert address.startswith(PADDLE_INDEX) and name in ("Makefile", "environment.yml"), (name, address)


def test_ci_runs_make_test():
    assert os.access(ROOT / ".ci/run", os.X_OK)
    assert "make test" in (ROOT / ".ci/run").read_text()


def test_notebooks_are_tidied(tmp_path):
    Image.new("RGBA", (2, 1), (9, 8, 7, 255)).save(file := io.BytesIO(), "PNG")
    png = base64.b64encode(file.getvalue()).decode()
    view = "application/vnd.jupyter.widget-view+json"
    output = nbformat.v4.new_output
    cell = nbformat.v4.new_code_cell("x", metadata={"execution": {"iopub.execute_input": "now"}, "tags": ["kept"]})
    cell.outputs = [
        output("display_data", {view: {"model_id": "1"}, "text/plain": "Town()", "image/png": png}),
        output("display_data", {view: {"model_id": "2"}, "text/plain": "IntSlider()"}),
        output("stream", name="stdout", text="kept"),
        output("execute_result", {"text/plain": "kept"}, execution_count=1),
    ]
    metadata = {"widgets": {}, "language_info": {"name": "python", "version": "3.11.7"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=metadata), tmp_path / "a.ipynb")

    tidy_notebooks.main([tmp_path / "a.ipynb"])

    text = (tmp_path / "a.ipynb").read_text()
    assert view not in text and "widgets" not in text and "3.11.7" in text and "execute_input" not in text
    outputs = nbformat.read(tmp_path / "a.ipynb", as_version=4).cells[0].outputs
    assert [o.get("text") or sorted(o.data) for o in outputs] == [["image/png", "text/plain"], "kept", ["text/plain"]]
    picture = Image.open(io.BytesIO(base64.b64decode(outputs[0].data["image/png"])))
    assert (picture.mode, picture.getpixel((1, 0))) == ("RGB", (9, 8, 7))


# ---- The Makefile

NOTING_PYTHON = """#!/bin/sh
# A Python {version}: says whether the Makefile may take it, makes a .venv whose Python is this script, notes its calls.
case "$1 $2" in
    "-c "*ensurepip*) exec {python} -c "import sys; sys.version_info = {version_info}; exec(sys.argv[1])" "$2" ;;
    "-c "*) exit 0 ;;
    "-V "*) echo "Python {version}" ;;
    *) echo "{version}: $*" >>calls ;;
esac
case "$*" in
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    *"$FAIL_AT"*) [ -z "$FAIL_AT" ] ;;
esac
"""


class Project:
    """A copy of the set-up files in a folder where PATH holds only the given Pythons and the tools of every system."""

    def __init__(self, folder, *versions, broken=()):
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in ("Makefile", "requirements.lock", "paddle-cpu.lock", "paddle-cpu.txt"):
            shutil.copy(ROOT / name, folder)
        for tool in "cat cp echo expand false find getconf grep id make mkdir rm sed sh touch true uname".split():
            (self.bin / tool).symlink_to(shutil.which(tool))
        for version in versions:
            info = tuple(map(int, version.split(".")))
            self.tool(
                f"python{info[0]}.{info[1]}",
                NOTING_PYTHON.format(version=version, version_info=info, python=sys.executable),
            )
        for name in broken:
            self.tool(name, "#!/bin/sh\necho 'command not found' >&2; exit 127\n")

    def tool(self, name, script):
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)

    def make(self, *arguments, **environment):
        """What the Python was called with, one line each, and the finished process."""
        calls = self.folder / "calls"
        calls.unlink(missing_ok=True)
        environment = {"PATH": str(self.bin), **environment}
        done = subprocess.run(["make", *arguments], cwd=self.folder, env=environment, capture_output=True, text=True)
        return (calls.read_text().splitlines() if calls.exists() else []), done


def installs(calls):
    return [call for call in calls if "pip install" in call]


@pytest.mark.parametrize("versions", [(), ("3.9.18",), ("3.13.0",), ("3.9.18", "3.13.0")])
def test_no_suitable_python(tmp_path, versions):
    project = Project(tmp_path, *versions, broken=["python3.12", "python3"])
    for version in versions:
        (project.bin / "python3.12").unlink(missing_ok=True)
        (project.bin / "python3.12").symlink_to(project.bin / f"python{version.rpartition('.')[0]}")
    calls, done = project.make("lab")
    assert done.returncode != 0 and not calls
    assert done.stderr.startswith("No Python 3.10, 3.11 or 3.12 with its venv module found")
    assert "conda env create" in done.stderr and "command not found" not in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_first_suitable_python_is_taken(tmp_path):
    # A pyenv shim is on PATH and fails.
    project = Project(tmp_path, "3.10.13", "3.11.7", "3.13.0", broken=["python3.12"])
    calls, done = project.make("lab")
    assert done.returncode == 0, done.stderr
    assert calls[0] == "3.11.7: -m venv .venv"
    shutil.rmtree(tmp_path / ".venv")
    assert project.make("lab", "PYTHON=python3.10")[0][0] == "3.10.13: -m venv .venv"


def test_set_up_once_and_again_when_needed(tmp_path):
    project = Project(tmp_path, "3.12.1")
    calls, done = project.make("lab", "LAB_FLAGS=--no-browser", "PADDLE=cpu")
    assert done.returncode == 0, done.stderr
    assert [call.partition("--disable-pip-version-check ")[2] for call in installs(calls)] == [
        "--require-hashes -r requirements.lock",
        "--require-hashes --no-deps -r paddle-cpu.lock",
        "--no-deps --no-build-isolation -e .",
    ]
    assert re.search(r"-m jupyterlab .*=/lab/tree/notebooks/00_tour.ipynb .*--no-browser$", calls[-1])

    calls, _ = project.make("lab", "PADDLE=cpu")
    assert not installs(calls) and len(calls) == 1

    lock = tmp_path / "requirements.lock"
    later = (tmp_path / ".venv/.ready-cpu").stat().st_mtime + 1
    os.utime(lock, (later, later))
    os.utime(tmp_path / "paddle-cpu.lock", (0, 0))
    assert len(installs(project.make("lab", "PADDLE=cpu")[0])) == 3
    os.utime(lock, (0, 0))

    # Interrupted: the next one starts over, and only the last step made it ready.
    for step in ("requirements.lock", "paddle-cpu.lock", "-e .", "pip check"):
        shutil.rmtree(tmp_path / ".venv")
        calls, done = project.make("lab", "PADDLE=cpu", FAIL_AT=step)
        assert done.returncode != 0 and not any("jupyterlab" in call for call in calls)
        calls, done = project.make("lab", "PADDLE=cpu")
        assert done.returncode == 0 and len(installs(calls)) == 3

    # Moved: scripts in .venv hold absolute paths.
    (tmp_path / ".venv/.ready-cpu").write_text("/elsewhere\n")
    assert len(installs(project.make("lab", "PADDLE=cpu")[0])) == 3


def test_gpu_wheel(tmp_path):
    project = Project(tmp_path, "3.12.1")
    version = pins("paddle-cpu.txt")["paddlepaddle"]
    calls, _ = project.make("lab", "PADDLE=gpu")
    assert installs(calls)[1].endswith(f"paddlepaddle-gpu=={version} -i {PADDLE_INDEX}cu118/")
    assert not any("paddle-cpu.lock" in call for call in calls)
    assert not installs(project.make("lab", "PADDLE=gpu")[0])
    # Another wheel: a .venv holds only one, so it is made anew.
    for options, wheel in [(["PADDLE=gpu", "CUDA=cu126"], "/cu126/"), (["PADDLE=cpu"], "-r paddle-cpu.lock")]:
        calls, _ = project.make("lab", *options)
        assert calls[0] == "3.12.1: -m venv .venv" and installs(calls)[1].endswith(wheel)


@pytest.mark.parametrize(
    "system, works, gpu", [("Linux x86_64", 1, 1), ("Linux x86_64", 0, 0), ("Linux aarch64", 1, 0)]
)
def test_wheel_is_chosen_by_nvidia_smi(tmp_path, system, works, gpu):
    project = Project(tmp_path, "3.12.1")
    (project.bin / "uname").unlink()
    project.tool("uname", f"#!/bin/sh\necho {system}\n")
    project.tool("nvidia-smi", f"#!/bin/sh\nexit {1 - works}\n")
    assert ("paddlepaddle-gpu" in installs(project.make("lab")[0])[1]) == bool(gpu)


def test_unknown_wheel(tmp_path):
    _, done = Project(tmp_path, "3.12.1").make("lab", "PADDLE=cuda")
    assert done.returncode != 0 and "PADDLE is 'cuda'; it must be auto, cpu or gpu" in done.stderr


def test_test_checks_style_then_runs_tests_and_notebooks(tmp_path):
    project = Project(tmp_path, "3.12.1")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/1_a.ipynb").touch()
    calls, _ = project.make("test")
    modules = [call.partition(" -m ")[2] for call in calls]
    style = modules.index("ruff check .")
    assert modules[style + 1] == "ruff format --check ." and len(modules) > style + 2
    assert all(module.startswith("pytest ") for module in modules[style + 2 :])
    words = set(" ".join(modules[style + 2 :]).split())
    assert {"tests", "inade_lite", "--doctest-modules", "notebooks/1_a.ipynb", "--nbval-lax"} <= words


def test_help_lists_every_target(tmp_path):
    _, done = Project(tmp_path).make()
    targets = set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE).group(1).split()) - {"FORCE"}
    assert set(re.findall(r"^  make ([\w-]+) ", done.stdout, re.MULTILINE)) == targets
