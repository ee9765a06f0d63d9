"""The CIFAR-10 speed run beside the program it follows, airbench94_muon, on one GPU.

That program's file is its own log, as it printed it: the last line of each run gives the accuracy
with test-time augmentation and the seconds on its clock.
"""

import re
import statistics
from pathlib import Path

from experiments.evidence.computed import per_cent
from experiments.tables.files import Files, number, table

_OURS, _THEIRS = "speedrun", "airbench94_muon.log"
NOTE = """\
Twenty seeds each, one program after the other on the same GPU. Both clocks leave out compilation
and a warm-up. airbench's holds the whitening of the images, the training and the evaluation with
test-time augmentation; ours holds training and evaluation, and the whitening (NumPy, on the host)
stands beside it."""
_COMMANDS = (
    "python -m experiments.cifar10 --preset=speedrun --seeds=20",
    "sed 's/range(200)/range(20)/' airbench94_muon.py > airbench.py && python airbench.py"
    "  # github.com/KellerJordan/cifar10-airbench, with PyTorch 2.11.0",
)


def race(files: Files) -> list[str]:
    """Returns the table of the races that have files, and the commands that made them."""
    rows = []
    for name, result in files.take([_OURS]).items():
        seconds = result["total_seconds"]
        whitening = number(result["preparation_seconds"])
        rows.append(
            _row("ours", result["accuracies"], seconds, whitening, *files.made({name: result}))
        )
    log = files.folder / _THEIRS
    if rows and log.is_file():
        accuracies, seconds = runs_of(log)
        rows.append(_row("airbench94_muon", accuracies, seconds, "within", "", f"[log]({_THEIRS})"))
    if not rows:
        return []
    header = ("", "n", "accuracy", "seconds, median", "lowest", "highest", "whitening, s")
    return [*table((*header, "machine", "file"), rows), "", "```", *_COMMANDS, "```"]


def runs_of(log: Path) -> tuple[list[float], list[float]]:
    """Returns the accuracies and the seconds of the runs in airbench's log, less its warm-up."""
    found = re.findall(r"\|\s+eval\s+\|.*\|\s+([\d.]+)\s+\|\s+([\d.]+)\s+\|", log.read_text())
    accuracies, seconds = zip(*found[1:], strict=True)
    return [float(value) for value in accuracies], [float(value) for value in seconds]


def _row(
    name: str, accuracies: list[float], seconds: list[float], whitening: str, *made: str
) -> tuple[str, ...]:
    times = (statistics.median(seconds), min(seconds), max(seconds))
    figures = (str(len(seconds)), per_cent(accuracies), *(f"{time:.3f}" for time in times))
    return (name, *figures, whitening, *made)
