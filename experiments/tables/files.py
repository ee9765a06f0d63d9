"""The result files of a folder, and the parts that every table of them needs."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

_VERSIONS = ("jax", "flax", "optax", "numpy", "python")


class Files:
    """The result files of a folder, with the machines they name and those that were shown."""

    def __init__(self, folder: Path):
        self.every = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
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
        for result in results.values():
            versions = [result["versions"].get(name, "-") for name in _VERSIONS]
            machine = (result["device"], *versions)
            letters.append(self.machines.setdefault(machine, chr(ord("A") + len(self.machines))))
        links = ", ".join(f"[{stem}]({stem}.json)" for stem in results)
        mark = " †" if any(_unverified(result) for result in results.values()) else ""
        return ", ".join(dict.fromkeys(letters)), links + mark


def _unverified(result: dict) -> bool:
    data = result.get("data", {}).get("verified", result.get("data_verified"))
    return data is False


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Returns a Markdown table's lines, without the columns that hold nothing in any row."""
    rows = list(rows)
    kept = [i for i in range(len(header)) if any(row[i] not in ("", "-") for row in rows)]
    lines = [f"| {' | '.join(row[i] for i in kept)} |" for row in (header, *rows)]
    return [lines[0], "|" + "---|" * len(kept), *lines[1:]]


def number(value: float) -> str:
    """Returns three digits, or all those before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"
