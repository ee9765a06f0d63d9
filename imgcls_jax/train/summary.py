"""The result of a run: the contents of `summary.json`, for one seed and over several."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from imgcls_jax import metrics, statistics, steps
from imgcls_jax.config import Config
from imgcls_jax.data.dataset import Dataset
from imgcls_jax.limits import thresholds
from imgcls_jax.workdir import environment


def summarise(
    config: Config,
    dataset: Dataset,
    *,
    sums: steps.Metrics,
    logits: np.ndarray,
    history: list[dict[str, Any]],
    facts: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Returns the contents of `summary.json` and `predictions.npz`.

    Args:
      dataset: its test set is the split that was evaluated.
      sums, logits: the results of evaluating it.
      history: one record per epoch, see `loop.fit`.
      facts: `parameters`, `step`, `watched`, `examples` and `validation`, the sizes of those
        splits, `devices`, how many shared a batch, the size of the evaluated checkpoint, the
        seconds of compiling, of fixed features, of fitting the head and of the evaluation, and the
        labels' thresholds where examples have several.

    Sizes are in megabytes of 10**6 bytes: `parameters_mb` is that of the parameters in float32,
    `checkpoint_mb` that of the files that hold them and what else the network keeps, None where
    there are none. `examples` has the sizes of the splits. `together` says how many seeds shared a
    program, where there were several: the seconds of training are then this one's share.
    """
    judge = _of_labels if dataset.several_labels else _of_classes
    figures, probabilities = judge(config, dataset, logits, facts)
    test = steps.means(sums)
    correct, count = int(sums["correct"]), int(sums["count"])
    summary = {
        **_data(dataset, facts),
        "model": config.model.model,
        "parameters": facts["parameters"],
        "parameters_mb": 4 * facts["parameters"] / 1e6,
        "checkpoint_mb": facts["checkpoint_bytes"] / 1e6 or None,
        "seed": config.train.seed,
        "epochs": len(history),
        "steps": history[-1]["step"] if history else facts["step"],
        "evaluated": config.evaluation.evaluate,
        "watched": facts["watched"],
        "test_accuracy": test["accuracy"],
        "test_accuracy_interval": list(metrics.wilson_interval(correct, count)),
        "test_loss": test["loss"],
        "train_accuracy": None,
        **figures,
    }
    summary |= _seconds(history, facts) | _of_epochs(config, history)
    if (together := max((record.get("together", 1) for record in history), default=1)) > 1:
        summary["together"] = together
    if config.data.of_photos:
        summary["ranking"] = metrics.scores(dataset.test.labels, probabilities, dataset.class_names)
    if dataset.several_labels:
        summary["test_mean_average_precision"] = summary["ranking"]["average_precision"]
    arrays = {"labels": dataset.test.labels, "probabilities": probabilities}
    return summary | environment(facts["devices"]), arrays


def _of_classes(
    config: Config, dataset: Dataset, logits: np.ndarray, facts: Mapping[str, Any]
) -> tuple[dict[str, Any], np.ndarray]:
    """Returns the figures of examples of one class each, and the probabilities (N, C)."""
    labels, probabilities = dataset.test.labels, np.asarray(jax.nn.softmax(logits))
    matrix = metrics.confusion_matrix(labels, logits, dataset.num_classes)
    return {
        "test_balanced_accuracy": metrics.balanced_accuracy(matrix),
        "test_balanced_accuracy_interval": list(metrics.balanced_accuracy_interval(matrix)),
        **_top_k(config, dataset, logits),
        "calibration": metrics.calibration(probabilities, labels),
        "confusion_matrix": matrix.tolist(),
        "per_class": metrics.per_class(matrix, list(dataset.class_names)),
    }, probabilities


def _of_labels(
    config: Config, dataset: Dataset, logits: np.ndarray, facts: Mapping[str, Any]
) -> tuple[dict[str, Any], np.ndarray]:
    """Returns the figures of examples of several labels each, and the probabilities (N, K)."""
    probabilities = np.asarray(jax.nn.sigmoid(logits))
    levels = thresholds.values(facts, dataset.num_classes)
    said = facts["thresholds"] or thresholds.plain(len(levels), why_not="none are kept of the run")
    of = (dataset.test.labels, probabilities, levels, dataset.class_names)
    found = thresholds.figures(*of)
    tested = {f"test_{name}": found[name] for name in ("subset_accuracy", "hamming_loss")}
    return tested | {"thresholds": said, "per_class": found["per_class"]}, probabilities


def _data(dataset: Dataset, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the data is, and how many examples there are of which split."""
    sizes = {name: facts[key] for name, key in (("train", "examples"), ("validation",) * 2)}
    return {
        "dataset": dataset.name,
        "data": {"source": dataset.source, "verified": dataset.verified},
        "examples": {n: size for n, size in sizes.items() if size} | {"test": len(dataset.test)},
    }


def _top_k(config: Config, dataset: Dataset, logits: np.ndarray) -> dict[str, Any]:
    """Returns the accuracy of the k most probable classes, where it is asked for."""
    k = config.evaluation.top_k_of(dataset.num_classes)
    if k is None:
        return {}
    labels = dataset.test.labels
    return of_top_k(k, metrics.top_k_correct(logits, labels, k), len(labels))


def of_top_k(k: int, correct: int, count: int) -> dict[str, Any]:
    """Returns the entries of a summary that say how often the true class was among the first k."""
    return {
        "top_k": k,
        f"test_top{k}_accuracy": correct / count,
        f"test_top{k}_accuracy_interval": list(metrics.wilson_interval(correct, count)),
    }


def _seconds(history: list[dict[str, Any]], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what took how long, and the examples per second of training alone."""
    train_seconds = sum(record["train_seconds"] for record in history)
    return {
        "train_seconds": train_seconds,
        "compile_seconds": facts["compile_seconds"],
        "feature_seconds": facts["feature_seconds"],
        "head_seconds": facts["head_seconds"],
        "eval_seconds": facts["test_seconds"] + sum(record["eval_seconds"] for record in history),
        "examples_per_second": (
            facts["examples"] * len(history) / train_seconds if train_seconds else None
        ),
    }


def _of_epochs(config: Config, history: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the figures of the epoch that was evaluated, and those of training by epoch."""
    if not history:
        return {}
    kept = evaluated_record(history, config)
    figures = ("train_accuracy", "train_loss", "validation_accuracy", "validation_loss")
    training = ("train_loss", "train_accuracy")
    return {
        "evaluated_epoch": kept["epoch"],
        **{key: kept[key] for key in figures if key in kept},
        "by_epoch": {key: [record[key] for record in history] for key in training},
    }


def evaluated_record(history: list[dict[str, Any]], config: Config) -> dict[str, Any]:
    """Returns the record of the epoch whose parameters met the test set."""
    if config.evaluation.evaluate == "best":
        return max(history, key=lambda record: record["validation_accuracy"])
    return history[-1]


def difference(summary: Mapping[str, Any], documented: Mapping[str, Any]) -> dict[str, float]:
    """Returns our figure minus the documented one, for every figure we have a value of.

    Of a documented range (low, high) it is the nearer end that counts; within it the difference is
    0.
    The split that a document calls validation is the test set where a run watches that, as the
    document's program did.
    """
    values = _values(summary)
    return {
        key: values[key] - _nearest(figure, values[key])
        for key, figure in documented["figures"].items()
        if values.get(key) is not None
    }


def _nearest(figure: float | Sequence[float], value: float) -> float:
    low, high = (figure, figure) if np.isscalar(figure) else figure
    return min(max(value, low), high)


def _values(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a summary's entries and, as `train_loss_epoch_2`, its training figures by epoch."""
    values = dict(summary)
    if summary.get("watched") == "test":
        for figure in ("accuracy", "loss"):
            values[f"validation_{figure}"] = summary[f"test_{figure}"]
    for key, series in summary.get("by_epoch", {}).items():
        values |= {f"{key}_epoch_{number}": value for number, value in enumerate(series, start=1)}
    return values


FIGURES = (
    "test_accuracy",
    "test_balanced_accuracy",
    "test_mean_average_precision",
    "test_subset_accuracy",
    "test_hamming_loss",
    "test_loss",
    "validation_accuracy",
    "validation_loss",
    "train_accuracy",
    "train_loss",
    "cross_validation_accuracy",
)


def spread(
    runs: list[Mapping[str, Any]], documented: Mapping[str, Any] | None
) -> dict[str, dict[str, Any]]:
    """Returns mean, standard deviation (n - 1) and values over seeds of every figure of the runs.

    Where the document has a figure, and there are two runs: `documented` and how it compares with
    one more run, see `imgcls_jax.statistics.prediction`.
    """
    figures = dict(documented["figures"]) if documented else {}
    with_documented = [_values(run) for run in runs]
    top_k = [f"test_top{run['top_k']}_accuracy" for run in runs if "top_k" in run]
    result = {}
    for key in dict.fromkeys((*FIGURES, *top_k, *figures)):
        found = with_documented if key in figures else runs
        values = [run[key] for run in found if run.get(key) is not None]
        if not values:
            continue
        mean, std = float(np.mean(values)), None
        if len(values) > 1:
            std = float(np.std(values, ddof=1))
        result[key] = {"mean": mean, "std": std, "values": values}
        if key in figures:
            result[key]["documented"] = figures[key]
            if len(values) > 1:
                result[key] |= statistics.prediction(values, figures[key])
    return result
