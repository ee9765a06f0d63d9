"""Processes that work for another one end with it, and leave its signals to it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.cli import beginning
from imgcls_jax import errors
from imgcls_jax.data import children

_PARENT = """
import multiprocessing, os, sys, time

def work(number):
    serve()
    print(os.getpid(), flush=True)
    time.sleep(120)

def serve():
    from imgcls_jax.data import children
    children.serve()

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=work, args=(number,)) for number in (1, 2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
"""


def start(folder: Path, script: str, *arguments: str) -> subprocess.Popen:
    (folder / "script.py").write_text(script)
    return subprocess.Popen(
        [sys.executable, str(folder / "script.py"), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def await_end(numbers: list[int], seconds: float) -> None:
    until = time.monotonic() + seconds
    while any(map(alive, numbers)):
        assert time.monotonic() < until, "a process outlives its parent"
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
def test_children_leave_signals_to_their_parent_and_end_with_it(tmp_path):
    parent = start(tmp_path, _PARENT)
    children = [int(parent.stdout.readline()) for _ in range(2)]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(children[0], number)
    time.sleep(0.3)
    assert all(map(alive, children))
    parent.kill()
    await_end(children, 10)
    parent.communicate()


_STREAM = """
import multiprocessing, os, sys
import numpy as np
from imgcls_jax.data.photos import streaming
from imgcls_jax.data.photos.sources import FolderPhotos

if __name__ == "__main__":
    paths = tuple(f"{index}.png" for index in range(8))
    source = FolderPhotos(sys.argv[1], paths, np.arange(8, dtype=np.int32) % 4)
    stream = streaming.stream(source, batch_size=4, size=64, workers=2)
    for number, batch in enumerate(stream):
        if number == 6:
            print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        if number > 6 and sys.argv[2] == "stays":
            multiprocessing.active_children()[0].join()
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/shm").exists(), reason="looks for memory in /dev/shm")
@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize("doing", ["streams", "stays"])
def test_a_killed_stream_leaves_no_process_and_no_memory(tmp_path, group, doing):
    """Killed alone, or all its processes at once, as a full memory or Slurm do."""
    import numpy as np
    from PIL import Image

    for index in range(8):
        Image.fromarray(np.full((64, 64, 3), index, np.uint8)).save(tmp_path / f"{index}.png")
    before = set(os.listdir("/dev/shm"))
    parent = start(tmp_path, _STREAM, str(tmp_path), doing)
    children = [int(number) for number in parent.stdout.readline().split()]
    assert len(children) == 2
    if group:
        os.killpg(parent.pid, signal.SIGKILL)
    else:
        parent.kill()
    await_end(children, 10)
    parent.communicate()
    left = set(os.listdir("/dev/shm")) - before
    assert not [name for name in left if name.startswith("psm_")]
    if not group:
        time.sleep(1)
        left = set(os.listdir("/dev/shm")) - before
        assert not [name for name in left if name.startswith(("psm_", "sem.mp-"))]


def test_programs_and_their_processes_are_asked_to_end_by_the_same_signals():
    assert beginning.ASKING is children.ASKING is errors.ASKING
