"""Locks between processes: who waits, what is said meanwhile, and who was killed."""

import errno
import os
import subprocess
import sys
import time

import pytest

from imgcls_jax.errors import UserError
from imgcls_jax.files import csv_text, guarded, lock, records, replacing, sweep, unguarded, whole

_HOLD = """
import pathlib, sys, time
from imgcls_jax.files import lock, whole
with lock(pathlib.Path(sys.argv[1]), "tests"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(folder, *, seconds: float) -> subprocess.Popen:
    """Another process, once it holds the lock of a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(folder), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_waits_and_says_for_what(tmp_path, caplog):
    with lock(tmp_path, "tests"):
        assert not caplog.messages
    process = holder(tmp_path, seconds=1.5)  # a second is waited without a word
    with lock(tmp_path, "tests the tests"):
        assert process.wait(timeout=10) == 0
    assert caplog.messages == ["Waiting for another process that tests the tests."]


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "free some space or give another"), (errno.EACCES, "give another")],
)
def test_space_is_advised_where_it_is_what_lacks(tmp_path, number, advice):
    with pytest.raises(UserError) as met, replacing(tmp_path / "a.csv", advice="give another"):
        raise OSError(number, os.strerror(number))
    assert str(met.value) == f"cannot write {tmp_path}/a.csv ({os.strerror(number)}); {advice}."


def test_a_killed_process_holds_nothing(tmp_path, caplog):
    process = holder(tmp_path, seconds=60)
    process.kill()
    process.wait(timeout=10)
    started = time.monotonic()
    with lock(tmp_path, "tests"):
        assert time.monotonic() - started < 5
    assert not caplog.messages


def test_the_library_imports_where_fcntl_does_not_exist():
    """As on Windows, where Python has no such module."""
    code = "import sys; sys.modules['fcntl'] = None; import imgcls_jax.data.photos.cache"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_home_and_missing_folders_of_a_file_to_write(tmp_path, monkeypatch):
    """A shell leaves the ~ of --out=~/new/file as it is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with whole("~/new/deeper/file") as partial:
        partial.write_text("all")
    assert (tmp_path / "new/deeper/file").read_text() == "all"


def test_what_killed_writers_left_is_swept_and_nothing_else(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(timeout=10)
    names = ("metrics.jsonl", "model.stablehlo.zip", "LICENSE", ".process")
    gone = [f".imgcls-{name}.{ended.pid}.140233" for name in names]
    gone += [f".imgcls-curves.png.{os.getpid()}.1"]  # numbers come again
    stay = [f".imgcls-curves.png.{os.getppid()}.1", ".lock", "a.png.1.2"]
    # Of people, who name theirs by dates and versions.
    stay += [".notes.txt.20240101", ".bashrc.bak.99999999", f".photo.jpg.{ended.pid}.1"]
    for name in (*gone, *stay):
        (tmp_path / name).touch()
    with whole(tmp_path / "now.json") as partial:
        partial.touch()
        sweep(tmp_path)
        assert partial.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*stay, "now.json"])
    sweep(tmp_path / "missing")


def test_the_next_writer_sweeps_a_locked_folder(tmp_path):
    left = tmp_path / ".imgcls-decoded.npz.99999999.1"
    left.touch()
    with lock(tmp_path, "tests", sweeps=False):
        assert left.exists()
    with lock(tmp_path, "tests"):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_cell_that_is_guarded_comes_back_and_numbers_stay_numbers():
    for cell in ("=1+1", "'quoted", "''", "-", "plain", "", "\uff1d1", "a=b"):
        assert unguarded(guarded(cell)) == cell
    assert guarded("=1") == "'=1"
    assert csv_text([[-0.5, 7, "-0.5"]]) == "-0.5,7,'-0.5\n"


def test_lines_that_cannot_be_read_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "metrics.jsonl")
    with pytest.raises(UserError, match=r"metrics.jsonl cannot be read \(it is a named pipe"):
        records(tmp_path / "metrics.jsonl", by="epoch", aside="second", fits=lambda line: True)
