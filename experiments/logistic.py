"""Run 8: scikit-learn's SGDClassifier under 5-fold cross-validation, written in JAX."""

import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.cli import flags as cli
from experiments.cli.origins import spelled
from experiments.presets import choose
from imgcls_jax import data, metrics
from imgcls_jax.errors import UserError
from imgcls_jax.optim import sklearn_sgd
from imgcls_jax.report import charts, console, page, run_page
from imgcls_jax.workdir import Workdir, environment

_FIGURE = "cross_validation_accuracy"
_ADJUSTABLE = ("dataset", "epochs", "seed")
_LAST_SEED = 2**31 - 1


def validate(
    dataset: data.Dataset, settings: Mapping[str, Any], pixels: np.ndarray | None = None
) -> tuple[sklearn_sgd.CrossValidation, float]:
    """Cross-validates by run 8's rule and times it, compilation included.

    Args:
      dataset: its training split is divided into folds; the test set is not used.
      settings: epochs, alpha, folds and seed.
      pixels: an order (H*W*C,) to present the pixels in; as stored if None.

    Returns:
      The scores and confusion matrix of the folds, and the seconds.
    """
    images = dataset.train.images.reshape(len(dataset.train), -1)
    if pixels is not None:
        images = images[:, pixels]
    started = time.perf_counter()
    result = sklearn_sgd.cross_validate(
        images,
        dataset.train.labels,
        folds=data.k_fold(dataset.train.labels, folds=settings["folds"]),
        num_classes=dataset.num_classes,
        epochs=settings["epochs"],
        alpha=settings["alpha"],
        seed=settings["seed"],
        scale=1 / 255,
    )
    return result, time.perf_counter() - started


def main(
    preset: choose.Preset,
    given: Mapping[str, Any],
    *,
    workdir: Workdir,
    figures: bool,
) -> None:
    """Runs the cross-validation, writes its folder and prints its table.

    Raises:
      UserError: for settings that run 8 does not have, or a folder that is already used.
    """
    if odd := sorted(set(given) - set(_ADJUSTABLE)):
        raise UserError(
            f"run 8 has no setting {', '.join(odd)}; it takes {', '.join(_ADJUSTABLE)}."
        )
    settings = {**preset.settings, **given}
    if not 0 <= settings["seed"] <= _LAST_SEED:
        raise UserError(
            f"--seed={settings['seed']} cannot be used; it must be from 0 to {_LAST_SEED}."
        )
    workdir.make_empty()  # it takes seconds: there is nothing to resume
    console.heading("Documented run 8" if not given else "Run 8 with other settings")
    console.pairs(settings | {"workdir": workdir.path})
    dataset = cli.load_data(settings["dataset"])
    console.dataset(dataset)
    result, seconds = validate(dataset, settings)
    summary = _summary(dataset, settings, result, seconds)
    if not given:
        report = choose.report(preset.run, preset.run.readings[0])
        difference = {_FIGURE: summary[_FIGURE] - report["figures"][_FIGURE]}
        summary |= {"documented": report, "difference": difference}
    workdir.write_json("config.json", settings)
    workdir.write_json("summary.json", summary)
    _show(summary)
    drawn = [_draw(result, dataset, workdir, summary[_FIGURE])] if figures else []
    report = _report(summary, settings, dataset, workdir, figures=drawn, given=given)
    console.paths("Figures" if drawn else "Report", [*drawn, str(report)])
    print(f"\nEverything is in {workdir.path}")


def _summary(
    dataset: data.Dataset,
    settings: Mapping[str, Any],
    result: sklearn_sgd.CrossValidation,
    seconds: float,
) -> dict[str, Any]:
    """Returns the figures of the folds under the names that every run's summary has."""
    folds, epochs = settings["folds"], settings["epochs"]
    # The document's program has no test set and no clock.
    unknown = (
        "test_accuracy",
        "test_loss",
        "train_accuracy",
        "compile_seconds",
        "eval_seconds",
        "examples_per_second",
    )
    return {
        "run": "run 8",
        "dataset": dataset.name,
        "data": {"source": dataset.source, "verified": dataset.verified},
        "model": settings["model"],
        "parameters": dataset.num_classes * (dataset.train.images[0].size + 1),
        "seed": settings["seed"],
        "epochs": epochs,
        **dict.fromkeys(unknown),
        "steps": epochs * (len(dataset.train) * (folds - 1)) // folds,
        "train_seconds": seconds,
        _FIGURE: float(result.scores.mean()),
        "fold_accuracy": result.scores.tolist(),
        "confusion_matrix": result.confusion_matrix.tolist(),
        "per_class": metrics.per_class(result.confusion_matrix, list(dataset.class_names)),
    } | environment()


def _draw(
    result: sklearn_sgd.CrossValidation, dataset: data.Dataset, workdir: Workdir, accuracy: float
) -> str:
    """Draws the confusion matrix of all folds; returns the file's path."""
    figure = charts.confusion_matrix(
        result.confusion_matrix,
        dataset.class_names,
        workdir.make_figures() / "confusion_matrix.png",
        title=f"Run 8: cross-validation accuracy {accuracy:.4f}",
    )
    return str(figure)


def _report(
    summary: Mapping[str, Any],
    settings: Mapping[str, Any],
    dataset: data.Dataset,
    workdir: Workdir,
    *,
    figures: list[str],
    given: Mapping[str, Any],
) -> Path:
    """Writes `report.html`; returns its path."""
    seconds = f"{summary['train_seconds']:.1f} s"
    cards = [page.Card("cross-validation accuracy", f"{summary[_FIGURE]:.4f}", "mean of the folds")]
    if "difference" in summary:
        shown = console.documented_figure(summary, _FIGURE, summary["difference"][_FIGURE])
        cards.append(page.Card("documented", *shown))
    cards.append(page.Card("time", seconds, "compilation included"))
    flags = [f"--{name}={spelled(value)}" for name, value in given.items()]
    words = ["python", "-m", "experiments.fmnist", "--run=8", *flags, *cli.data_arguments()]
    sections = [
        page.cards(cards),
        page.section("Result", page.facts(_lines(summary))),
        page.section("Classes", run_page.classes(summary["per_class"])),
        page.section("Figures", run_page.pictures(figures, summary)),
        page.section("Settings", page.facts({n: spelled(v) for n, v in settings.items()})),
        page.section("Data", run_page.data(dataset, summary)),
        page.section("Environment", run_page.environment(summary)),
        page.section("Run it again", page.command(shlex.join(words))),
    ]
    return run_page.save(workdir, f"run 8 on {dataset.name}", sections)


def _lines(summary: Mapping[str, Any]) -> dict[str, str]:
    """Returns the accuracy of all folds, the document's beside it, and the time, in words."""
    folds = "  ".join(f"{score:.4f}" for score in summary["fold_accuracy"])
    lines = {"cross-validation accuracy": f"{summary[_FIGURE]:.4f}   folds {folds}"}
    if "difference" in summary:
        figure, difference = summary["documented"]["figures"][_FIGURE], summary["difference"]
        lines["documented"] = f"{figure:.4f}   ours {difference[_FIGURE]:+.4f}"
        lines["note"] = (
            "the iteration is chaotic, rounding alone moves the figure: see BUILD_NOTES.md"
        )
    lines["time"] = f"{summary['train_seconds']:.2f} s, compilation included"
    return lines


def _show(summary: Mapping[str, Any]) -> None:
    """Prints what `_lines` says, and a table of the classes."""
    console.heading("Result")
    console.pairs(_lines(summary))
    print()
    console.per_class(summary["per_class"])
