"""Ensembles of finished runs: what averaging gains, and what one distilled network keeps of it."""

import statistics
from collections.abc import Iterator
from typing import Any

from experiments.tables.files import Files, table

NOTE = """\
Members are seeds of one run and weigh the same. *Kept* is the share of the ensemble's gain that one
network has, trained on what the ensemble says (mean ± deviation over its own seeds); its settings
were chosen on validation examples."""
# Result files by stem: a title, and the commands that make them.
ENSEMBLES = {
    "ensemble_run5": (
        "Fashion-MNIST, run 5",
        "python -m experiments.fmnist --run=5 --seeds=5 --workdir=runs/run5",
        "python -m experiments.ensemble --members=runs/run5 --workdir=runs/ensemble"
        " --distil --epochs=30 --seeds=3 --out=experiments/results/ensemble_run5.json",
    )
}


def ensembles(files: Files) -> list[str]:
    """Returns the table of the ensembles that have files, and the commands that made them."""
    rows, commands = [], []
    for stem, (title, *making) in ENSEMBLES.items():
        for name, result in files.take([stem]).items():
            rows += [(title, *row, *files.made({name: result})) for row in _rows(result)]
            commands += making
    if not rows:
        return []
    header = ("", "predicts", "accuracy", "loss", "calibration error", "kept", "machine", "file")
    return [*table(header, rows), "", "```", *commands, "```"]


def _rows(result: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    members = result["of_members"]
    count = len(result["members"])
    accuracy = f"{_percent(members['accuracy']['mean'])} ± {_percent(members['accuracy']['std'])}"
    yield (
        f"one member, mean of {count}",
        f"{accuracy} %",
        f"{members['loss']['mean']:.4f}",
        f"{members['ece']['mean']:.4f}",
        "-",
    )
    low, high = result["gain"]["interval"]
    yield (
        f"all {count}",
        f"{_percent(result['test_accuracy'])} % (gain {_percent(result['gain']['accuracy'])}, 95 %"
        f" interval {_percent(low)} to {_percent(high)} points)",
        f"{result['test_loss']:.4f}",
        f"{result['calibration']['ece']:.4f}",
        "-",
    )
    if (student := result.get("distilled")) is not None:
        values, kept = student["values"]["accuracy"], f"{100 * student['kept']:.0f}"
        if len(values) > 1:
            kept += f" ± {100 * statistics.stdev(values) / result['gain']['accuracy']:.0f}"
        yield (
            f"one distilled network, mean of {len(student['seeds'])}",
            f"{_percent(student['accuracy'])} %",
            f"{student['loss']:.4f}",
            f"{student['ece']:.4f}",
            f"{kept} %",
        )


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
