"""The main command, whole: its seconds, and those from its start to its first training step."""

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imgcls_jax.errors import UserError
from imgcls_jax.report import console


def measure(arguments: Sequence[str], *, rounds: int) -> dict[str, Any]:
    """Runs `python -m experiments.fmnist` several times, each time in a process and a new folder.

    Args:
      arguments: flags that say where the data is.

    Returns:
      Seconds of each run and their medians: `whole`, and `to_first_step`, when the first epoch's
      line appears less that epoch's training time.

    Raises:
      UserError: if the command fails.
    """
    seconds = {"to_first_step": [], "whole": []}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            to_epoch, whole = _run([*arguments, f"--workdir={folder}/run"])
            history = Path(folder, "run", "metrics.jsonl").read_text().splitlines()
        seconds["to_first_step"].append(to_epoch - json.loads(history[0])["train_seconds"])
        seconds["whole"].append(whole)
    return {
        "benchmark": "the main command, data prepared: seconds",
        "seconds": seconds,
        "median": {name: statistics.median(values) for name, values in seconds.items()},
    }


def _run(arguments: Sequence[str]) -> tuple[float, float]:
    """Runs the command; returns the seconds to the line of its first epoch, and to its end."""
    started, to_epoch = time.perf_counter(), None
    command = [sys.executable, "-m", "experiments.fmnist", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if re.match(r" +epoch +1/", line):
                to_epoch = time.perf_counter() - started
    whole = time.perf_counter() - started
    if process.returncode or to_epoch is None:
        raise UserError("the main command failed; run it by itself to see why.")
    return to_epoch, whole


def show(result: dict[str, Any]) -> None:
    """Prints the medians."""
    console.heading("python -m experiments.fmnist: 15 epochs, checkpoints, figures")
    console.pairs({name: f"{value:.2f} s" for name, value in result["median"].items()})
