"""Locks between processes and files written whole: who waits, and what the killed leave."""

import os
import subprocess
import sys
import time

from imgcls_jax.files import lock, sweep, whole

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


_KILLED = """
import os, pathlib, sys
from imgcls_jax.files import whole
with whole(sys.argv[1]) as partial:
    partial.write_text("half")
    print(os.getpid(), flush=True)
    sys.stdin.read() if sys.argv[2] == "lives" else os.kill(os.getpid(), 9)
"""


def _writer(path, *, lives: bool) -> subprocess.Popen:
    """A process in the middle of writing a file, which it is killed in or still does."""
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(path), "lives" if lives else "dies"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.readline()
    if not lives:
        process.wait(timeout=60)
    return process


def test_what_killed_writers_left_goes_with_the_next_writing(tmp_path):
    """That of a live writer stays, and so does that of another file, or of another machine."""
    file = tmp_path / "a[1].json"
    elsewhere = tmp_path / ".a[1].json.another-machine.1.1"
    elsewhere.write_text("half")
    for path in (file, tmp_path / "b.json"):
        _writer(path, lives=False)
    own = tmp_path / next(tmp_path.glob(".b.json.*")).name.replace(".b.json", ".a[1].json")
    own = own.with_name(".".join([*own.name.split(".")[:-2], str(os.getpid()), "1"]))
    own.write_text("half")  # of a process with our number before us
    assert len(list(tmp_path.iterdir())) == 4
    live = _writer(file, lives=True)
    assert len(list(tmp_path.iterdir())) == 4  # its own in place of the killed one's
    with whole(file) as partial:
        partial.write_text("all")
    others = {path.name for path in tmp_path.iterdir()} - {file.name, elsewhere.name}
    assert sorted(name.startswith(".b.json.") for name in others) == [False, True]
    live.communicate()
    assert live.returncode == 0
    assert file.read_text() == "half"


def test_a_folder_is_swept_unless_somebody_holds_it(tmp_path):
    for name in (".left-1", ".left-2", "kept"):
        (tmp_path / name / "inside").mkdir(parents=True)
    process = holder(tmp_path, seconds=60)
    sweep(tmp_path, ".left-*")
    assert len(list(tmp_path.glob(".left-*"))) == 2
    process.kill()
    process.wait(timeout=60)
    sweep(tmp_path, ".left-*")
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "kept"}
