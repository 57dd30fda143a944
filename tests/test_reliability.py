"""The fast part of `make kill`, `make soak` and `make disks`, and whether docs/reliability.md tells their records."""

import collections
import gc
import signal
import subprocess
import sys
import weakref

import pytest
from helpers import ROOT, TINY

import inade_lite as il
from inade_lite import files
from reliability import disks, kill, report, soak

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="of Linux")


def test_the_page_tells_what_was_recorded():
    page = report.PAGE.read_text("utf-8")
    assert report.assembled(page) == page


def test_enough_was_tried():
    """100,000 files in 20 minutes, 200 kills, half of them while a checkpoint was written, and nothing was wrong."""
    fuzz, killed, disk, soak = (report.record(name) for name in ("fuzz", "kill", "disks", "soak"))
    assert sum(line["inputs"] for line in fuzz["lines"]) >= 100_000
    assert sum(line["seconds"] for line in fuzz["lines"]) <= 20 * 60
    assert sum(line["kills"] for line in killed["lines"]) >= 200
    assert 2 * sum(line["half_written"] for line in killed["lines"]) >= sum(line["kills"] for line in killed["lines"])
    assert soak["minutes"] >= 20 and soak["project"]["kb_a_round"] <= soak["paddle"]["kb_a_round"]
    assert not any(line.get("wrong") or line.get("findings") for told in (fuzz, killed, disk) for line in told["lines"])
    assert report.record("checks")["share"] < 0.01


# ---- Disks


@pytest.fixture(scope="module")
def refusal():
    return disks.Refusal()


@pytest.mark.parametrize("name", ["make-data", "train", "sample"])
@pytest.mark.parametrize("share", [0, 0.2, 0.4, 0.6, 0.8, 0.95])
def test_a_disk_that_is_read_only_from_some_write_on(name, share, refusal, tmp_path, monkeypatch):
    monkeypatch.setattr(disks, "DISK", tmp_path)
    writes = {"make-data": 56, "train": 55, "sample": 4}[name]
    refusal.left = int(share * writes)
    ended = disks.run(name)
    assert refusal.left < 0  # it was refused something
    refusal.left = None
    assert [text for text in disks.wrong_of(ended, {}) if not text.endswith("left behind")] == []


def test_the_judge_of_disks_sees_what_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(disks, "DISK", tmp_path)
    fine = f"error: could not write; free some space: '{tmp_path}/x'"
    (tmp_path / "kept.txt").write_text("new")
    assert disks.wrong_of(fine, {tmp_path / "kept.txt": b"new"}) == []
    assert disks.wrong_of(fine, {tmp_path / "kept.txt": b"old"}) == ["kept.txt is not what it was"]
    assert disks.wrong_of(fine, {tmp_path / "gone.txt": b""}) == ["gone.txt is not what it was"]
    assert "told: error: disk" in disks.wrong_of("error: disk", {})[0]
    assert "ended with OSError" in disks.wrong_of(OSError(28, "full"), {})[0]
    (tmp_path / "half.png").write_bytes(b"\x89PNG")
    with pytest.raises(OSError, match="cannot identify"):
        disks.wrong_of(fine, {})


# ---- Kills

# What a write consists of, in its order.
POINTS = ("tempfile.NamedTemporaryFile", "os.fsync", "os.chmod", "os.link", "os.replace")

DYING = """
import os, signal, sys
from pathlib import Path
from inade_lite import files
path, old = Path(sys.argv[1]), Path(sys.argv[2])
for point in sys.argv[3:]:
    for when in ("before", "after"):
        folder = path / f"{point} {when}"
        folder.mkdir()
        files.write_file(folder / "file", b"old")
        if os.fork() == 0:
            module, name = point.split(".")
            real = getattr(sys.modules[module], name)
            def dying(*inputs, **named):
                if when == "before":
                    os.kill(os.getpid(), signal.SIGKILL)
                real(*inputs, **named)
                os.kill(os.getpid(), signal.SIGKILL)
            setattr(sys.modules[module], name, dying)
            files.write_file(folder / "file", b"new", before=folder / "before")
            os._exit(0)
        print(os.wait()[1], flush=True)
"""


@LINUX
def test_a_write_that_is_killed_at_any_point_leaves_the_old_file_or_the_new_one(tmp_path):
    command = [sys.executable, "-c", DYING, tmp_path, tmp_path, *POINTS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == [str(int(signal.SIGKILL))] * 2 * len(POINTS), done.stderr
    for point in POINTS:
        for when in ("before", "after"):
            folder = tmp_path / f"{point} {when}"
            assert (folder / "file").read_bytes() in (b"old", b"new")
            if (folder / "before").exists():
                assert (folder / "before").read_bytes() == b"old"
    # Only the last call of all puts the new file in its place.
    new = [folder.name for folder in sorted(tmp_path.iterdir()) if (folder / "file").read_bytes() == b"new"]
    assert new == []  # its first call, of two, gives the old file its other name
    assert (tmp_path / "os.replace after" / "before").exists()


def test_two_names_of_one_file_are_never_written_into(tmp_path):
    """`make kill` found it: a kill between the two renames of a save leaves both names on one file. The next save left
    a third one, and that after it wrote into it, so that a kill could cut the checkpoint before the last short."""
    path, before = tmp_path / "checkpoint", tmp_path / "checkpoint_before"
    files.write_file(path, b"1" * 1000)
    files.keep_as(path, before)
    held = open(before, "rb")  # the file that both are names of
    for content in (b"2", b"3", b"4"):
        files.write_file(path, content, before)
        assert sorted(tmp_path.iterdir()) == [path, before]
    assert (path.read_bytes(), before.read_bytes()) == (b"4", b"3")
    assert held.read() == b"1" * 1000
    held.close()


@LINUX
def test_a_training_that_is_killed_while_it_saves_goes_on(tmp_path, monkeypatch):
    """Twice, by the functions of `make kill`; it fails where a kill is survived otherwise than bit for bit."""
    monkeypatch.setattr(kill, "WORK", tmp_path)
    monkeypatch.setattr(kill, "SHARES", (1, 0, 0))
    monkeypatch.setattr(kill, "STEPS", 14)
    line = kill.train_and_kill("rows of the log that a save cuts", kills=2, seed=0)
    assert line["wrong"] == [] and line["kills"] >= 2 and line["half_written"] >= 1


def test_a_run_that_lost_something_is_seen(tmp_path):
    trainer = il.Trainer(il.TrainConfig(**TINY, log_every=1, save_every=1), il.ToyTown("train", 32, length=4))
    trainer.fit(2, tmp_path, progress=False)
    assert kill.look(tmp_path, before=2, every=1) == []
    assert kill.look(tmp_path, before=3, every=1) == ["the checkpoint went back from step 3 to 2"]
    log = tmp_path / "losses.csv"
    rows = log.read_text().splitlines()
    log.write_text("\n".join([*rows, rows[-1].replace("2,", "9,", 1)]) + "\n")
    assert kill.look(tmp_path, before=2, every=1) == ["step 9 was logged, step 2 saved"]
    log.write_text("\n".join([rows[0], rows[2]]) + "\n")
    assert kill.look(tmp_path, before=2, every=1) == ["the log has the steps [2], the checkpoint knows [1, 2]"]
    checkpoint = tmp_path / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    assert "cut short" in kill.look(tmp_path, before=2, every=1)[0]


# ---- Memory

OWN = ("inade_lite", "paddle", "numpy")


def test_nothing_of_this_project_stays_behind(tmp_path, monkeypatch):
    """Lists do: Paddle leaves one for each tensor and parameter that it makes (docs/reliability.md)."""
    monkeypatch.setattr(soak, "WORK", tmp_path)
    project = soak.Project()

    def kinds():
        gc.collect()
        kinds = [type(each) for each in gc.get_objects()]
        return collections.Counter(kind.__name__ for kind in kinds if str(kind.__module__).split(".")[0] in OWN)

    for _ in range(2):
        project.round()
    trainer = weakref.ref(project.trainer)
    before = kinds()
    for _ in range(3):
        project.round()
    assert trainer() is None
    assert before["Trainer"] == 1 and before["INADE"] > 10
    assert kinds() == before


def test_a_slope_is_told_without_the_warm_up():
    readings = [(10 * k, 2 * k, 10**6 * min(k, 20) + 3000 * k, 50 + 4 * k, 4 * k) for k in range(100)]
    found = soak.slopes(readings)
    assert found == pytest.approx(
        {"rounds": 198, "kb_a_round": 1.5, "objects_a_round": 2, "lists_a_round": 2, "mb_a_minute": 0.02}
    )
