"""Programs that are asked to stop: by a signal at any time, by a second one, by a closed pipe."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import QUICK

from imgcls_jax import data
from imgcls_jax.workdir import Workdir

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _heard():
    """A shell has what runs in the background ignore SIGINT, and these tests may run there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def program(code: str) -> subprocess.Popen:
    """A program of its own, once it has printed a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "begun\n"
    return process


_IMPORTING = """
import time
from experiments.cli.beginning import begin
begin()
print("begun", flush=True)
time.sleep(60)  # as libraries take to import
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_libraries_are_imported_gets_a_line(number):
    process = program(_IMPORTING)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == f"stopped by {number.name}; run the same command again.\n"


def test_nohup_is_respected():
    process = program("import signal; signal.signal(1, signal.SIG_IGN)\n" + _IMPORTING)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert "stopped by SIGTERM" in process.communicate(timeout=30)[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_data_is_loaded_gets_a_line(fmnist_main, tmp_path, monkeypatch, number):
    """`timeout` sends it twice; the second one must not break into what the first one ends."""

    def load(*_, **__):
        try:
            os.kill(os.getpid(), number)
            time.sleep(30)
        finally:
            os.kill(os.getpid(), number)
            time.sleep(0.05)
            (tmp_path / "tidied").touch()

    monkeypatch.setattr("imgcls_jax.data.load", load)
    monkeypatch.setattr("experiments.cli.signals._BOTH_SECONDS", 20)  # the machine may be busy
    before = [signal.getsignal(number) for number in signal.Signals]
    status, _, err = fmnist_main(*QUICK, f"--workdir={tmp_path / 'run'}")
    assert (status, err) == (130, "")  # said past Python's buffers
    assert (tmp_path / "tidied").exists()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]
    assert [signal.getsignal(number) for number in signal.Signals] == before


def test_a_hung_up_terminal_stops_a_training_as_sigterm_does(fmnist_main, tmp_path, monkeypatch):
    loaded = data.load("digits")

    def load(*_, **__):
        monkeypatch.setattr("imgcls_jax.train.loop._Pace.saw", hang_up)
        return loaded

    def hang_up(*_):
        for number in (signal.SIGHUP, signal.SIGTERM):  # systemd sends both
            os.kill(os.getpid(), number)

    monkeypatch.setattr("imgcls_jax.data.load", load)
    status, _, err = fmnist_main(*QUICK, "--nofigures", f"--workdir={tmp_path}")
    assert (status, err.count("\n")) == (130, 1)
    assert f"stopped at step 1, saved; run the same command with --workdir={tmp_path}" in err


_COMPILING = """
import hashlib
from experiments.cli.signals import answered
from imgcls_jax.train.progress import collect_signals
with answered(), collect_signals():
    print("begun", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)  # no Python code runs meanwhile
"""


def test_a_second_ctrl_c_leaves_at_once_even_out_of_a_compilation():
    process = program(_COMPILING)
    for _ in range(2):  # one Ctrl-C that comes by two ways
        process.send_signal(signal.SIGINT)
    time.sleep(0.6)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (130, "stopped by SIGINT; run the same command again.\n")


def test_the_first_signal_is_answered_even_within_a_compilation():
    process = program(_COMPILING)
    process.send_signal(signal.SIGTERM)
    assert process.stderr.readline() == ("stopping; Ctrl-C once more leaves at once.\n")
    process.send_signal(signal.SIGTERM)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (130, "stopped by SIGINT; run the same command again.\n")


class _Unread:
    """Standard output whose reader leaves after so many lines of epochs."""

    def __init__(self, epochs: int):
        self._left = epochs

    def write(self, text):
        self._left -= "  epoch " in text
        if self._left < 0:
            raise BrokenPipeError(32, "Broken pipe")
        return len(text)

    def flush(self):
        pass


@pytest.mark.parametrize(
    "seeds",
    [(), pytest.param(("--seeds=2", "--vectorize=on"), marks=pytest.mark.slow)],
    ids=["one", "together"],
)
def test_a_training_that_nobody_reads_saves_first(fmnist_main, tmp_path, monkeypatch, seeds):
    settings = ("--dataset=digits", "--hidden=16", "--epochs=5", "--nofigures", *seeds)
    with contextlib.redirect_stdout(_Unread(2)):
        status, _, _ = fmnist_main(*settings, f"--workdir={tmp_path}")
    assert status == 130  # and 141 where standard output itself is such a pipe
    folder = tmp_path / "seed-1" if seeds else tmp_path
    assert [record["epoch"] for record in Workdir(folder).history()] == [1, 2, 3]
    status, out, err = fmnist_main(*settings, f"--workdir={tmp_path}")
    assert (status, err) == (0, "")
    assert "resuming from step" in out
    assert len(Workdir(folder).history()) == 5


@pytest.mark.slow
def test_a_closed_pipe_ends_a_training_quietly_and_saved(tmp_path):
    command = [sys.executable, "-m", "experiments.fmnist", "--dataset=digits", "--hidden=16"]
    command += ["--epochs=2000", "--nofigures", f"--workdir={tmp_path}"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert any("epoch    3/2000" in line for line in process.stdout)
    process.stdout.close()
    assert (process.stderr.read(), process.wait(timeout=60)) == ("", 141)
    assert list((tmp_path / "checkpoints" / "last").glob("[0-9]*"))


_PRINTING = """
from experiments.cli.pipes import reader_may_leave
with reader_may_leave():
    print(1)
"""


def test_output_that_cannot_be_written_is_a_line():
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    for device, status in (("/dev/full", 1), (os.devnull, 0)):
        with open(device, "w") as out:
            done = subprocess.run(
                [sys.executable, "-c", _PRINTING],
                cwd=ROOT, env=buffered, stdout=out, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        assert (done.returncode, done.stderr.count("\n")) == (status, status)
    closed = f"exec {sys.executable} -c '{_PRINTING}' >&-"
    assert subprocess.run(["sh", "-c", closed], cwd=ROOT).returncode == 0
