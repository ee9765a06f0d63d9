"""The Fashion-MNIST entry point as a process of its own: signals, terminal, imports, help."""

import contextlib
import json
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import QUICK

ROOT = Path(__file__).parents[2]


def command(*arguments: str, experiment: str = "fmnist", **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", f"experiments.{experiment}", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=240, check=False, **options,
    )  # fmt: skip


@pytest.mark.slow
def test_a_terminated_process_says_how_to_go_on_and_does(tmp_path):
    """SIGTERM in the middle of training; the same folder then gives the uninterrupted result."""
    settings = ("--dataset=digits", "--hidden=16", "--epochs=400", "--nofigures")
    whole = command(*settings, f"--workdir={tmp_path / 'whole'}")
    assert whole.returncode == 0, whole.stderr
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.fmnist", *settings, f"--workdir={tmp_path / 'cut'}"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stdout:
        if "epoch  20/" in line:
            process.send_signal(signal.SIGTERM)
            break
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "to continue" in err
    assert "error" not in err
    assert "Traceback" not in err
    assert not (tmp_path / "cut" / "summary.json").exists()
    again = command(f"--workdir={tmp_path / 'cut'}", "--nofigures")
    assert again.returncode == 0, again.stderr
    assert "resuming from step" in again.stdout

    def result(folder):
        summary = json.loads((tmp_path / folder / "summary.json").read_text())
        return summary["test_loss"], summary["confusion_matrix"], summary["steps"]

    assert result("whole") == result("cut")


@pytest.mark.slow
def test_help_shows_what_means_something_here_by_section():
    done = command("--help")
    assert done.returncode == 0
    for title in ("The run", "Data", "Network", "Optimiser", "Training", "Evaluation"):
        assert f"\n{title}\n---" in done.stdout
    for name in ("--image_size", "--folds", "--weights", "--layer_decay", "--checkpoint", "--out"):
        assert f"{name}:" not in done.stdout
    photos = command("--help", experiment="transfer")
    for name in ("--image_size", "--folds", "--weights", "--layer_decay", "--workers", "--lr"):
        assert f"{name}:" in photos.stdout
    for name in ("--lr", "--hold_out", "--raw_dir", "--run", "--seeds", "--[no]nesterov"):
        assert f"{name}:" in done.stdout


def test_an_unknown_flag_stops_the_program():
    done = command("--learning_rate=0.1")
    assert done.returncode == 1
    assert done.stderr == "error: unknown flag --learning_rate. See --help.\n"


@pytest.mark.slow
def test_a_progress_bar_appears_on_a_terminal_only(tmp_path):
    import fcntl
    import pty
    import termios

    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "experiments.fmnist", *QUICK, f"--workdir={tmp_path}",
         "--nofigures", "--epochs=40"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=terminal, text=True,
        env={**os.environ, "TERM": "xterm"},
    )  # fmt: skip
    os.close(terminal)
    shown = ""
    with contextlib.suppress(OSError):  # the terminal is gone when the process is
        while chunk := os.read(main, 1 << 16):
            shown += chunk.decode()
    os.close(main)
    out = process.communicate(timeout=120)[0]
    assert process.returncode == 0
    assert "examples/s" in shown
    assert "loss" in shown
    assert "\r" in shown
    assert "\r" not in out


@pytest.mark.slow
def test_nothing_imports_tensorflow_or_pytorch(tmp_path):
    """A whole run with figures leaves them out of `sys.modules`."""
    code = (
        "import sys; from experiments import fmnist; from experiments.cli import flags as cli\n"
        "try: cli.run(fmnist.main)\n"
        "finally: print('heavy:', {'tensorflow', 'torch', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *QUICK, f"--workdir={tmp_path}"],
        cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "heavy: set()" in done.stdout
