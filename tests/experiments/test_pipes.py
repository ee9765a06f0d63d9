"""A reader of standard output that leaves ends a program silently; other broken pipes do not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.cli.pipes import reader_may_leave

_ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("unbuffered", [pytest.param("", marks=pytest.mark.slow), "1"])
def test_a_list_that_nobody_reads(unbuffered):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "experiments.fmnist", "--list_runs"],
        stdout=writer,
        stderr=subprocess.PIPE,
        cwd=_ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        check=False,
    )
    os.close(writer)
    assert done.returncode == 141
    assert not done.stderr


def test_another_broken_pipe_is_an_error(capfd):
    with pytest.raises(BrokenPipeError), reader_may_leave():
        raise BrokenPipeError("a worker's")
    with reader_may_leave():
        print("read")
    assert capfd.readouterr().out == "read\n"
