"""Run 8: scikit-learn's SGDClassifier under 5-fold cross-validation, written in JAX."""

import statistics
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.cli import flags as cli
from experiments.documented import DocumentedRun
from experiments.presets import choose
from imgcls_jax import data, metrics
from imgcls_jax.errors import UserError
from imgcls_jax.optim import sklearn_sgd
from imgcls_jax.report import charts, console
from imgcls_jax.workdir import Workdir, environment

_FIGURE = "cross_validation_accuracy"
_ADJUSTABLE = ("dataset", "epochs", "seed")


def validate(
    dataset: data.Dataset, settings: Mapping[str, Any], pixels: np.ndarray | None = None
) -> tuple[sklearn_sgd.CrossValidation, float]:
    """The cross-validation and its seconds, compilation included.

    Args:
      dataset: its training split is divided into folds; the test set is not used.
      settings: epochs, alpha, folds and seed.
      pixels: an order of the H*W*C pixels to present them in; as stored if None.
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
    if not 0 <= settings["seed"] < 2**31:
        raise UserError(f"--seed={settings['seed']} cannot be used; it must be at least 0.")
    workdir.make_empty()  # it takes seconds: there is nothing to resume
    console.heading("Documented run 8" if not given else "Run 8 with other settings")
    console.pairs(settings | {"workdir": workdir.path})
    dataset = cli.load_data(settings["dataset"])
    console.dataset(dataset)
    result, seconds = validate(dataset, settings)
    summary = {
        "run": "run 8",
        "dataset": dataset.name,
        "data": {"source": dataset.source, "verified": dataset.verified},
        "model": settings["model"],
        "parameters": dataset.num_classes * (dataset.train.images[0].size + 1),
        "seed": settings["seed"],
        "epochs": settings["epochs"],
        # Of no test set and no clock of its own: the document's program has neither.
        **dict.fromkeys(
            (
                "test_accuracy",
                "test_loss",
                "train_accuracy",
                "compile_seconds",
                "eval_seconds",
                "examples_per_second",
            )
        ),
        "steps": settings["epochs"]
        * (len(dataset.train) * (settings["folds"] - 1))
        // settings["folds"],
        "train_seconds": seconds,
        _FIGURE: float(result.scores.mean()),
        "fold_accuracy": result.scores.tolist(),
        "confusion_matrix": result.confusion_matrix.tolist(),
        "per_class": metrics.per_class(result.confusion_matrix, list(dataset.class_names)),
    } | environment()
    if not given:
        report = choose.report(preset.run, preset.run.readings[0])
        difference = {_FIGURE: summary[_FIGURE] - report["figures"][_FIGURE]}
        summary |= {"documented": report, "difference": difference}
    workdir.write_json("config.json", settings)
    workdir.write_json("summary.json", summary)
    _show(summary)
    if figures:
        console.paths("Figures", [_draw(result, dataset, workdir, summary[_FIGURE])])
    print(f"\nEverything is in {workdir.path}")


def _draw(result, dataset: data.Dataset, workdir: Workdir, accuracy: float) -> str:
    figure = charts.confusion_matrix(
        result.confusion_matrix,
        dataset.class_names,
        workdir.make_figures() / "confusion_matrix.png",
        title=f"Run 8: cross-validation accuracy {accuracy:.4f}",
    )
    return str(figure)


def _show(summary: Mapping[str, Any]) -> None:
    folds = "  ".join(f"{score:.4f}" for score in summary["fold_accuracy"])
    lines = {"cross-validation accuracy": f"{summary[_FIGURE]:.4f}   folds {folds}"}
    if "difference" in summary:
        figure, difference = summary["documented"]["figures"][_FIGURE], summary["difference"]
        lines["documented"] = f"{figure:.4f}   ours {difference[_FIGURE]:+.4f}"
        lines["note"] = (
            "the iteration is chaotic, rounding alone moves the figure: see BUILD_NOTES.md"
        )
    lines["time"] = f"{summary['train_seconds']:.2f} s, compilation included"
    console.heading("Result")
    console.pairs(lines)
    print()
    console.per_class(summary["per_class"])


def measure(found: DocumentedRun, dataset: data.Dataset, *, orders: int) -> dict[str, Any]:
    """Run 8 over orders of the pixels, the stored one first: its seed is part of the document.

    The order of the pixels means nothing to logistic regression, so what it changes in the
    score is rounding, grown by the iteration.
    """
    settings = found.settings
    size = dataset.train.images[0].size
    folds, seconds = [], []
    for number in range(orders):
        pixels = np.random.default_rng(number).permutation(size) if number else None
        result, spent = validate(dataset, settings, pixels)
        folds.append(result.scores.tolist())
        seconds.append(round(spent, 3))
        print(f"order of pixels {number + 1} of {orders}: {result.scores.mean():.4f}")
    values = [float(np.mean(scores)) for scores in folds]
    mean, std = float(np.mean(values)), float(np.std(values, ddof=1))
    figure = found.figures[_FIGURE]
    return {
        "run": "run 8",
        "config": settings,
        "seeds": "orders of the pixels, the stored one first",
        "spread": {
            _FIGURE: {
                "mean": mean,
                "std": std,
                "values": values,
                "documented": figure,
                "below": sum(value < figure for value in values),
                "z": (figure - mean) / std,
            }
        },
        "fold_accuracy": folds,
        "seconds_with_compilation": seconds,
        "data_verified": dataset.verified,
        "documented": choose.report(found, found.readings[0]),
    } | environment()


def benchmark(dataset: data.Dataset, settings: Mapping[str, Any], *, rounds: int) -> dict[str, Any]:
    """Seconds of run 8 here and in scikit-learn with every core, in turns.

    Ours is timed from the second round on too, but compiles only in the first; that first time is
    `cold`.
    """
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import cross_validate

    scaled = dataset.train.images.reshape(len(dataset.train), -1) / 255.0
    seconds = {"ours": [], "scikit-learn, n_jobs=-1": []}
    for _ in range(rounds):
        result, spent = validate(dataset, settings)
        seconds["ours"].append(spent)
        classifier = SGDClassifier(
            loss="log_loss", max_iter=settings["epochs"], random_state=settings["seed"]
        )
        started = time.perf_counter()
        scores = cross_validate(classifier, scaled, dataset.train.labels, n_jobs=-1)
        seconds["scikit-learn, n_jobs=-1"].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    theirs = medians["scikit-learn, n_jobs=-1"]
    ratios = {"median": theirs / medians["ours"], "cold": theirs / seconds["ours"][0]}
    console.heading("Run 8: 5-fold cross-validation of SGD logistic regression")
    console.pairs(
        {
            "ours": f"{medians['ours']:.2f} s, {seconds['ours'][0]:.2f} s with compilation, "
            f"accuracy {result.scores.mean():.4f}",
            "scikit-learn": f"{theirs:.2f} s, accuracy {scores['test_score'].mean():.4f}",
            "ratio": f"{ratios['median']:.1f}, {ratios['cold']:.1f} with compilation",
        }
    )
    return {
        "benchmark": "run 8: seconds of the whole cross-validation",
        "seconds": seconds,
        "median": medians,
        "scikit_learn_over_ours": ratios,
        "accuracy": {
            "ours": float(result.scores.mean()),
            "scikit-learn": float(scores["test_score"].mean()),
        },
    }
