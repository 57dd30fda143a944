"""What a clone weighs: 75 MB at most."""

import hashlib
import subprocess
from fnmatch import fnmatch

from helpers import ROOT

LIMIT = 75e6


def tracked(root):
    """The files that git tracks. Where git cannot tell, as in a tarball, all that .gitignore does not name."""
    if (root / ".git").exists():
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True)
        if listed.returncode == 0:
            return [root / name for name in listed.stdout.split("\0") if (root / name).is_file()]
    lines = (root / ".gitignore").read_text("utf-8").splitlines()
    ignored = [line.rstrip("/") for line in lines if line and not line.startswith("#")]

    def is_ignored(path):
        """A pattern that begins with a slash is of the project's own folder, any other of every folder."""
        parts = path.relative_to(root).parts
        return any(fnmatch(f"/{parts[0]}", name) or any(fnmatch(part, name) for part in parts) for name in ignored)

    return [path for path in root.rglob("*") if path.is_file() and not is_ignored(path)]


def test_the_tracked_files_are_small():
    sizes = {path: path.stat().st_size for path in tracked(ROOT)}
    largest = [f"{size / 1e6:6.1f} MB {path}" for size, path in sorted((s, str(p)) for p, s in sizes.items())[-9:]]
    assert ROOT / "Makefile" in sizes
    assert sum(sizes.values()) <= LIMIT, "\n".join([f"{sum(sizes.values()) / 1e6:.1f} MB", *largest])


def test_a_tarball_is_weighed_without_what_was_made_in_it(tmp_path):
    (tmp_path / ".gitignore").write_bytes((ROOT / ".gitignore").read_bytes())
    kept = {".gitignore", "a.py", "data/runs/b.json", ".ci/run"}
    for name in (kept - {".gitignore"}) | {".venv/bin/python", "runs/c.png", "tests/__pycache__/d.pyc", "x.egg-info/e"}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert {str(path.relative_to(tmp_path)) for path in tracked(tmp_path)} == kept


def test_the_shipped_models_are_those_whose_digests_are_known():
    """data/digests.txt is what `sha256sum` writes and `sha256sum -c` reads."""
    told = {}
    for line in (ROOT / "data/digests.txt").read_text("utf-8").splitlines():
        digest, name = line.split()
        told[name] = digest
    there = {str(path.relative_to(ROOT / "data")): path for path in (ROOT / "data").glob("**/*.safetensors")}
    assert told == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items()}
