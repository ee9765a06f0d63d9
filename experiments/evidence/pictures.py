"""The figures of measured files: documented beside measured, matrices, curves over seeds."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.evidence.claims import SHORT
from imgcls_jax.report import seeds as charts
from imgcls_jax.report.seeds import Row
from imgcls_jax.statistics import prediction_interval


def draw(found: Mapping[str, dict[str, Any]], folder: Path) -> list[Path]:
    """Draws the figures of result files, by name, into a folder; returns their paths."""
    claims = {stem: result for stem, result in found.items() if "variants" in result}
    drawn = [_of_claim(stem, result, folder) for stem, result in claims.items()]
    found = {stem: result for stem, result in found.items() if stem not in claims}
    for figure, unit in (("accuracy", "accuracy, %"), ("loss", "loss, nats")):
        rows = [row for stem, result in found.items() for row in _rows(stem, result, figure)]
        if rows:
            title = f"Documented and measured: {figure}"
            path = folder / f"documented_{figure}.png"
            drawn.append(charts.intervals(rows, path, title=title, unit=unit))
    for stem, result in found.items():
        drawn += _of_file(stem, result, folder)
    return drawn


def _of_claim(stem: str, result: dict[str, Any], folder: Path) -> Path:
    """Draws the accuracy of a claim's variants, on the training set too where it is known."""
    path, variants = folder / f"{stem}.png", result["variants"]
    configs = [result["config"][name] for name in variants]
    varied = [name for name, value in configs[0].items() if any(c[name] != value for c in configs)]
    x = [config[varied[0]] for config in configs]
    figure = result.get("figure", "test_accuracy")
    shown = {"train": "train_accuracy", SHORT[figure]: figure}
    shown = {name: of for name, of in shown.items() if of in result["spread"][variants[0]]}
    if len(varied) > 1 or not isinstance(x[0], int | float):
        rows = [
            _row(f"{name}, {split}", 100 * np.array(entry["values"]), None)
            for name in variants
            for split, of in shown.items()
            for entry in [result["spread"][name][of]]
        ]
        return charts.intervals(rows, path, title=result["says"], unit="accuracy, %")
    seeds = min(len(result["spread"][name][figure]["values"]) for name in variants)
    series = {
        split: 100 * np.array([result["spread"][name][of]["values"][:seeds] for name in variants]).T
        for split, of in shown.items()
    }
    labels = ("learning rate" if varied == ["lr"] else varied[0], "accuracy, %")
    return charts.against(x, series, path, labels=labels, title=result["says"], log=True)


def _rows(stem: str, result: dict[str, Any], kind: str) -> Iterable[Row]:
    """Yields a row for each documented figure of a kind, and for the accuracy in any case."""
    scale = 100 if kind == "accuracy" else 1
    for name, entry in result["spread"].items():
        if kind in name and ("documented" in entry or name == "test_accuracy"):
            label = f"{stem}  {name.replace('_', ' ')}"
            reported = entry.get("documented")
            reported = None if reported is None else scale * np.asarray(reported)
            yield _row(label, scale * np.asarray(entry["values"]), reported)


def _row(label: str, values: np.ndarray, reported: np.ndarray | None) -> Row:
    expected = prediction_interval(values) if len(values) > 1 else None
    return Row(label, values, reported, expected)


def _of_file(stem: str, result: dict[str, Any], folder: Path) -> Iterable[Path]:
    """Yields the figures of one file."""
    documented = result["documented"].get("confusion_matrix")
    if documented is not None:
        names = result["class_names"]
        title = f"{stem}: {len(result['seeds'])} seeds"
        path = folder / f"{stem}_matrices.png"
        yield charts.matrices(documented, result["mean_confusion_matrix"], names, path, title=title)
    by_epoch = [seed["by_epoch"] for seed in result["seeds"] if "by_epoch" in seed]
    if by_epoch and len(by_epoch[0]["train_loss"]) > 1:
        yield charts.curves(by_epoch, folder / f"{stem}_curves.png", title=stem)
