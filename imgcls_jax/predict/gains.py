"""The gain of an ensemble over its members: figures for 1..K members, and where members differ.

Everything here is NumPy on probabilities (K, N, C) of K members for N examples of C classes.
"""

import itertools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from imgcls_jax import metrics
from imgcls_jax.predict.weighting import averaged, mean_loss

_MOST_SUBSETS = 255  # all subsets of eight members; of more, random orders are followed
_ORDERS = 30
_FIGURES = ("accuracy", "loss", "ece")


def figures(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Returns accuracy, mean negative log-likelihood and calibration error of (N, C)."""
    return {
        "accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
        "loss": mean_loss(probabilities, labels),
        "ece": metrics.calibration(probabilities, labels)["ece"],
    }


def combinations(members: int, *, seed: int = 0) -> dict[int, list[tuple[int, ...]]]:
    """Returns the combinations of members that figures are averaged over, by their size.

    They are all that there are for up to eight members; for more, the beginnings of 30 random
    orders.
    """
    sizes = range(1, members + 1)
    if 2**members - 1 <= _MOST_SUBSETS:
        return {k: list(itertools.combinations(range(members), k)) for k in sizes}
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(members).tolist() for _ in range(_ORDERS)]
    return {k: sorted({tuple(sorted(order[:k])) for order in orders}) for k in sizes}


def by_size(probabilities: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    """Returns the figures of equally weighted ensembles of 1, 2, ... K of the members.

    Returns:
      One record per size: `members`, `combinations` (their number), for `accuracy`, `loss` and
      `ece` the `mean`, `std` (n - 1; None for one), `min` and `max` over the combinations, and
      `bins`, the reliability of all combinations' predictions together.
    """
    records = []
    for size, chosen in combinations(len(probabilities)).items():
        mixed = [averaged(probabilities[list(subset)]) for subset in chosen]
        found = [figures(one, labels) for one in mixed]
        record: dict[str, Any] = {"members": size, "combinations": len(chosen)}
        for name in _FIGURES:
            values = np.array([one[name] for one in found])
            record[name] = {
                "mean": float(values.mean()),
                "std": float(values.std(ddof=1)) if len(values) > 1 else None,
                "min": float(values.min()),
                "max": float(values.max()),
            }
        whole = metrics.calibration(np.concatenate(mixed), np.tile(labels, len(mixed)))
        records.append(record | {"bins": whole["bins"]})
    return records


def disagreement(probabilities: np.ndarray) -> np.ndarray:
    """Returns the share of examples (K, K) on which two members predict different classes."""
    classes = np.asarray(probabilities).argmax(axis=2)
    return (classes[:, None] != classes[None]).mean(axis=2)


def gain(ensemble: np.ndarray, members: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Returns the accuracy that an ensemble gains over its members' mean, with a 95 % interval.

    The interval is that of a mean of differences, example by example: the members' accuracy and the
    ensemble's are of the same examples. It covers the choice of examples, not that of members.

    Args:
      ensemble: probabilities (N, C).
      members: probabilities (K, N, C).
    """
    right = (members.argmax(axis=2) == labels).mean(axis=0)
    differences = (ensemble.argmax(axis=1) == labels) - right
    mean = float(differences.mean())
    half = 1.96 * float(differences.std(ddof=1)) / math.sqrt(len(labels))
    return {"accuracy": mean, "interval": [mean - half, mean + half]}


def kept(accuracy: float, summary: Mapping[str, Any]) -> float | None:
    """Returns the share of an ensemble's gain that one network keeps; None where none was gained.

    Args:
      accuracy: of the network.
      summary: what `described` returns.
    """
    gained = summary["gain"]["accuracy"]
    return (accuracy - summary["of_members"]["accuracy"]["mean"]) / gained if gained > 0 else None


def described(
    weights: np.ndarray, probabilities: np.ndarray, labels: np.ndarray, class_names: list[str]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Returns what is said of an ensemble on examples that no member trained on, and the arrays.

    Args:
      weights: (K,) of the members, decided on other examples.
      probabilities: (K, N, C).
      labels: (N,).

    Returns:
      The entries of `summary.json` and the content of `predictions.npz`.
    """
    mixed = averaged(probabilities, weights)
    matrix = metrics.confusion_matrix(labels, mixed, len(class_names))
    correct, count = int(np.trace(matrix)), len(labels)
    members = [figures(one, labels) for one in probabilities]
    apart = disagreement(probabilities)
    pairs = apart[np.triu_indices(len(apart), 1)]
    pooled = metrics.calibration(
        np.concatenate(list(probabilities)), np.tile(labels, len(probabilities))
    )
    summary = {
        "test_accuracy": correct / count,
        "test_accuracy_interval": list(metrics.wilson_interval(correct, count)),
        "test_balanced_accuracy": metrics.balanced_accuracy(matrix),
        "test_balanced_accuracy_interval": list(metrics.balanced_accuracy_interval(matrix)),
        "test_loss": mean_loss(mixed, labels),
        "calibration": metrics.calibration(mixed, labels),
        "gain": gain(mixed, probabilities, labels),
        "of_members": {
            name: {
                "mean": float(np.mean([one[name] for one in members])),
                "std": float(np.std([one[name] for one in members], ddof=1)),
                "values": [one[name] for one in members],
            }
            for name in _FIGURES
        }
        | {"bins": pooled["bins"]},
        "by_size": by_size(probabilities, labels),
        "disagreement": {
            "mean": float(pairs.mean()),
            "min": float(pairs.min()),
            "max": float(pairs.max()),
            "pairs": apart.tolist(),
        },
        "confusion_matrix": matrix.tolist(),
        "per_class": metrics.per_class(matrix, class_names),
    }
    arrays = {
        "labels": np.asarray(labels),
        "probabilities": mixed.astype(np.float32),
        "members": np.asarray(probabilities, np.float32),
    }
    return summary, arrays
