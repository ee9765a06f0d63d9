"""One folder, one process: who holds it, who is refused and told what, what is left behind."""

import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from imgcls_jax.config import Config
from imgcls_jax.errors import UserError
from imgcls_jax.files import held
from imgcls_jax.workdir import Workdir

_HOLD = """
import pathlib, sys, time
from imgcls_jax.files import held
with held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder():
    """Starts another process that holds a folder: (folder) -> the process."""
    started = []

    def hold(folder) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(folder)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def test_the_second_is_refused_at_once_and_told_who_is_there(tmp_path, holder):
    folder = tmp_path / "new"
    process = holder(folder)
    started = time.monotonic()
    with pytest.raises(UserError) as refused, held(folder):
        pass
    assert time.monotonic() - started < 0.5
    assert str(refused.value) == (
        f"{folder} is in use by process {process.pid}; wait until that has ended, or choose "
        "another `workdir`."
    )
    (folder / ".process").write_text(json.dumps({"process": 7, "machine": "another"}))
    with pytest.raises(UserError, match="in use by process 7 of the machine another"), held(folder):
        pass


def test_a_killed_process_holds_nothing_and_is_not_named(tmp_path, holder):
    dead = holder(tmp_path)
    dead.kill()
    dead.wait()
    assert str(dead.pid) in (tmp_path / ".process").read_text()
    with held(tmp_path):
        said = json.loads((tmp_path / ".process").read_text())
        assert said == {"process": os.getpid(), "machine": socket.gethostname()}
        # As in the moment before the new holder says who it is.
        (tmp_path / ".process").write_text(json.dumps(said | {"process": dead.pid}))
        assert _refusal_elsewhere(tmp_path).startswith(f"{tmp_path} is in use by another process;")


def _refusal_elsewhere(folder) -> str:
    """What another thread is told."""
    told = []

    def try_it() -> None:
        try:
            with held(folder):
                told.append("held")
        except UserError as error:
            told.append(str(error))

    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()
    return told[0]


def test_blocks_may_be_nested_but_threads_are_apart(tmp_path):
    with held(tmp_path):
        with held(tmp_path):
            pass
        assert f"in use by process {os.getpid()};" in _refusal_elsewhere(tmp_path)
    assert _refusal_elsewhere(tmp_path) == "held"


def test_a_holder_may_be_waited_for(tmp_path, holder):
    process = holder(tmp_path)
    threading.Timer(0.3, process.kill).start()
    with held(tmp_path, wait=20):
        assert process.wait(timeout=10)


def test_nothing_is_left_of_it(tmp_path):
    with held(tmp_path / "new" / "run"):
        assert (tmp_path / "new" / "run").is_dir()
    assert not (tmp_path / "new" / "run").exists()
    with held(tmp_path / "run"):
        (tmp_path / "run" / "thesis.tex").touch()
    with pytest.raises(UserError, match="is not empty"), held(tmp_path / "run"):
        Workdir(tmp_path / "run").claim(Config())
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.tex"]
    with held(tmp_path / "empty"), held(tmp_path / "empty"):
        pass
    assert not (tmp_path / "empty").exists()


def test_a_lock_is_no_content_of_a_folder(tmp_path):
    workdir = Workdir(tmp_path / "run")
    with held(workdir.path):
        assert workdir.config() is None
        workdir.claim(Config())
        workdir.claim(Config(), several=True)  # nothing was done yet


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        refused = pytest.raises(UserError, match=r"cannot use .* as `out` .*that can be written")
        with refused, held(path, setting="out"):
            pass


def test_who_holds_a_folder_finds_nothing_of_killed_writers(tmp_path):
    """A killed one may have been about to say that it holds the folder."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(timeout=60)
    (tmp_path / f"..process.{ended.pid}.140233").touch()
    with held(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {".lock", ".process"}
    assert not list(tmp_path.iterdir())
