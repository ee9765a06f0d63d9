"""The result files of a folder, and the parts that every table of them needs."""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from experiments.evidence.computed import environments, per_cent
from experiments.evidence.store import Store
from imgcls_jax.errors import UserError

BEST_EPOCH = "validation_accuracy_best_epoch"  # the figure of run 11's best epoch
_VERSIONS = ("jax", "flax", "optax", "numpy", "python")


class Files:
    """The result files of a folder, with the machines they name and those that were shown."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.every = {path.stem: _read(path) for path in folder.glob("*.json")}
        self.shown: set[str] = set()
        self.machines: dict[tuple[str, ...], str] = {}

    def take(self, stems: Iterable[str]) -> dict[str, dict]:
        """Returns the files of these stems that exist, and counts them as shown."""
        found = {stem: self.every[stem] for stem in stems if stem in self.every}
        self.shown |= set(found)
        return found

    def made(self, results: dict[str, dict]) -> tuple[str, str]:
        """Returns the letters of the machines that the files name, and links to the files."""
        letters = []
        for place in environments(results.values()):
            versions = [place["versions"].get(name, "-") for name in _VERSIONS]
            machine = (place["device"], *versions)
            letter = chr(ord("A") + len(self.machines))
            letters.append(self.machines.setdefault(machine, letter))
        links = ", ".join(f"[{stem}]({stem}.json)" for stem in results)
        mark = " †" if any(_unverified(result) for result in results.values()) else ""
        return ", ".join(dict.fromkeys(letters)), links + mark


def _read(path: Path) -> dict:
    """Returns the content of a result file, whoever wrote it.

    Raises:
      UserError: for a file that holds no result, or one of the evidence that was changed by hand.
    """
    store = Store(path.parent)
    found = store.parsed(path.stem)
    if not isinstance(found, dict) or not found:
        raise UserError(f"{path} holds no result; move it away.")
    return store.checked(path.stem, found) if "digest" in found else found


def _unverified(result: dict) -> bool:
    data = result.get("data")
    of_one_run = data.get("verified") if isinstance(data, dict) else None
    return result.get("data_verified", of_one_run) is False


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Returns a Markdown table's lines, without the columns that hold nothing in any row."""
    rows = list(rows)
    kept = [i for i in range(len(header)) if any(row[i] not in ("", "-") for row in rows)]
    lines = [f"| {' | '.join(row[i] for i in kept)} |" for row in (header, *rows)]
    return [lines[0], "|" + "---|" * len(kept), *lines[1:]]


def number(value: float) -> str:
    """Returns three digits, or all those before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def values_of(result: dict, figure: str) -> list[float]:
    """Returns a figure's values by seed; none where the file does not have it."""
    if "pooled" in result:
        return [result["pooled"][figure]]
    if figure == BEST_EPOCH:
        return [max(seed["by_epoch"]["test_accuracy"]) for seed in result["seeds"]]
    if "spread" in result:
        return result["spread"].get(figure, {}).get("values", [])
    return [result[figure]] if figure in result else []


def measured(values: Sequence[float], figure: str) -> str:
    """Returns mean and deviation of a figure's values, an accuracy in per cent."""
    if "accuracy" in figure:
        return per_cent(values)
    deviation = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{deviation}"
