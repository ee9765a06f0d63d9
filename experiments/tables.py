"""The result files as tables: what the README shows, and a test compares it with."""

import json
from pathlib import Path

from experiments.documented import RUNS, DocumentedRun, Reading


def slug(found: DocumentedRun, reading: Reading) -> str:
    """A file name for a reading: run5_lr0.0008, run4_5epochs; run2 where there is only one."""
    if len(found.readings) == 1:
        return f"run{found.number}"
    return f"run{found.number}_{reading.label.replace(' ', '')}"


def table(folder: Path) -> str:
    """The measured readings in `folder` as a Markdown table."""
    lines = [
        "| run | reading | documented | measured mean | std | seeds | documented, in std |",
        "|---|---|---|---|---|---|---|",
    ]
    for found in RUNS.values():
        for reading in found.readings:
            path = folder / f"{slug(found, reading)}.json"
            if not path.exists():
                continue
            result = json.loads(path.read_text())
            figure, value = found.headline
            entry = result["spread"][figure]
            std = "-" if entry["std"] is None else f"{100 * entry['std']:.2f}"
            documented = "-" if value is None else f"{100 * value:.2f} %"
            z = "-" if entry.get("z") is None else f"{entry['z']:+.1f}"
            lines.append(
                f"| {found.number} | {reading.label} | {documented} "
                f"| {100 * entry['mean']:.2f} % | {std} | {len(entry['values'])} | {z} |"
            )
    return "\n".join(lines)
