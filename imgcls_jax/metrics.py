"""Evaluation as sums and counts over examples, never means of means, and figures made of them.

`batch_metrics` runs inside jit; the rest is NumPy on the host, once per evaluation.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax.errors import UserError


def batch_metrics(
    losses: jax.Array, logits: jax.Array, labels: jax.Array, mask: jax.Array | None = None
) -> dict[str, jax.Array]:
    """Computes sums over a batch; those of any batches, added and divided once, give exact means.

    Args:
      losses: (B,) per-example losses.
      logits: (B, C); an example with a NaN among them is counted, but never as correct.
      labels: (B,) integers or (B, C) one-hot or soft labels, whose largest entry is the class.
      mask: (B,) bool; where False the example contributes nothing, whatever its logits, NaN
        included.

    Returns:
      `loss` () float32, `correct` () int32 and `count` () int32.
    """
    if labels.ndim == logits.ndim:
        labels = labels.argmax(axis=-1)
    # argmax takes the first NaN for the largest.
    correct = (logits.argmax(axis=-1) == labels) & ~jnp.isnan(logits).any(axis=-1)
    return _sums(losses, correct, mask)


def label_metrics(
    losses: jax.Array, logits: jax.Array, labels: jax.Array, mask: jax.Array | None = None
) -> dict[str, jax.Array]:
    """Computes the sums of `batch_metrics` for examples of any number of labels (B, K).

    An example is correct if all of its labels are, each predicted where its probability is at least
    1/2; soft labels count as the nearer of 0 and 1.
    """
    right = ((logits >= 0) == (labels >= 0.5)).all(axis=-1) & ~jnp.isnan(logits).any(axis=-1)
    return _sums(losses, right, mask)


def _sums(losses: jax.Array, correct: jax.Array, mask: jax.Array | None) -> dict[str, jax.Array]:
    if mask is None:
        mask = jnp.ones(correct.shape, bool)
    return {
        "loss": jnp.sum(losses, where=mask, dtype=jnp.float32),
        "correct": jnp.sum(correct, where=mask, dtype=jnp.int32),
        "count": jnp.sum(mask, dtype=jnp.int32),
    }


def confusion_matrix(labels: Any, predictions: Any, num_classes: int) -> np.ndarray:
    """Counts examples (num_classes, num_classes) int64: true classes in rows, predicted in columns.

    Args:
      labels, predictions: (N,) integers, or (N, num_classes) one-hot labels, probabilities or
        logits, whose largest entry is the class.
      num_classes: C.

    Raises:
      UserError: if a class is outside [0, num_classes), or an example's logits or probabilities
        hold a NaN and so name no class.
      ValueError: if the lengths differ.
    """
    true, predicted = _classes(labels), _classes(predictions)
    if true.shape != predicted.shape:
        raise ValueError(f"{len(true)} labels for {len(predicted)} predictions")
    for what, classes in (("label", true), ("prediction", predicted)):
        bad = classes[(classes < 0) | (classes >= num_classes)]
        if bad.size:
            raise UserError(
                f"{what} {bad[0]} is outside 0..{num_classes - 1}; check the number of classes."
            )
    counts = np.bincount(true * num_classes + predicted, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def top_k_correct(logits: Any, labels: Any, k: int) -> int:
    """Counts the examples whose class is among the `k` classes of the highest logits.

    Of equal logits the class of the lower number comes first, as in `argmax`, so that one of k = 1
    is the number of correct examples. (scikit-learn's `top_k_accuracy_score` lets the higher number
    come first; without ties both count the same.)

    Args:
      logits: (N, C), or probabilities; an example with a NaN among them is never counted.
      labels: (N,) integers, or (N, C) one-hot.
      k: at least 1.

    Raises:
      ValueError: if the lengths differ, or k is below 1.
    """
    logits, labels = np.asarray(logits), _classes(labels)
    if logits.shape[:1] != labels.shape or k < 1:
        raise ValueError(f"{len(labels)} labels for logits {logits.shape}, k={k}")
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    before = np.arange(logits.shape[1]) < labels[:, None]
    rank = ((logits > own) | ((logits == own) & before)).sum(axis=1)
    return int(((rank < k) & ~np.isnan(logits).any(axis=1)).sum())


def per_class(matrix: np.ndarray, class_names: list[str]) -> dict[str, dict[str, float]]:
    """Computes precision, recall, F1 and support of each class, by its name.

    Args:
      matrix: a confusion matrix (C, C), true classes in rows.
      class_names: C names.

    Returns:
      {name: {"precision", "recall", "f1", "support"}}, plain numbers. A ratio whose denominator is
      0 is 0, as scikit-learn has it with zero_division=0.
    """
    matrix = np.asarray(matrix)
    if matrix.shape != (len(class_names),) * 2:
        raise ValueError(f"{len(class_names)} class names for a confusion matrix {matrix.shape}")
    hits, support, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    return {
        name: {
            "precision": _ratio(hits[c], predicted[c]),
            "recall": _ratio(hits[c], support[c]),
            "f1": _ratio(2 * hits[c], support[c] + predicted[c]),
            "support": int(support[c]),
        }
        for c, name in enumerate(class_names)
    }


def balanced_accuracy(matrix: np.ndarray) -> float:
    """Returns the mean recall of the classes that have examples, from a confusion matrix (C, C)."""
    support = np.asarray(matrix).sum(axis=1)
    return float((np.diag(matrix)[support > 0] / support[support > 0]).mean())


def wilson_interval(correct: int, count: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Returns an interval for the true accuracy after `correct` of `count` independent examples.

    The score interval of Wilson (1927): unlike the normal approximation it stays within [0, 1]
    and has width at 0 and 1. It covers the choice of test examples, not that of the seed.
    """
    if not 0 <= correct <= count or count == 0:
        raise ValueError(f"{correct} correct of {count} is no proportion")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = correct / count
    centre = p + z**2 / (2 * count)
    half = z * math.sqrt(p * (1 - p) / count + z**2 / (4 * count**2))
    scale = 1 + z**2 / count
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def accuracy_interval(matrix: np.ndarray) -> tuple[float, float]:
    """Returns `wilson_interval` for the true accuracy, from a confusion matrix (C, C)."""
    return wilson_interval(int(np.trace(matrix)), int(np.sum(matrix)))


def balanced_accuracy_interval(
    matrix: np.ndarray, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Returns an interval for the true mean recall of the classes, from a confusion matrix (C, C).

    The classes' numbers of examples are taken as given. The interval for a sum of binomial
    proportions of Price and Bonett (2004, "An improved confidence interval for a linear function of
    binomial proportions"): the normal approximation after 4 examples, half of them right, were
    added and shared out evenly. It has width where every class is right, and for one class it is
    Agresti and Coull's (1998). Each variance is made unbiased by n / (n - 1) here, without which it
    is too narrow for many classes of few examples. Like `wilson_interval` it covers the choice of
    test examples, not that of the seed.
    """
    matrix = np.asarray(matrix)
    support = matrix.sum(axis=1)
    right, count = np.diag(matrix)[support > 0], support[support > 0]
    classes = len(count)
    more = count + 4 / classes
    recall = (right + 2 / classes) / more
    variance = recall * (1 - recall) / more * count / np.maximum(count - 1, 1)
    half = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(variance.sum()) / classes
    centre = float(recall.mean())
    return max(0.0, centre - half), min(1.0, centre + half)


def calibration(probabilities: Any, labels: Any, *, bins: int = 15) -> dict[str, Any]:
    """Computes the expected calibration error and its reliability diagram (Guo et al. 2017).

    Args:
      probabilities: (N, C), rows summing to 1; the confidence of a row is its largest entry.
      labels: (N,) integers or (N, C) one-hot.
      bins: how many equal bins (low, high] divide the confidences in [0, 1].

    Returns:
      `ece`, the mean over examples of |accuracy - confidence| of their bin, and `bins`, a list of
      {"low", "high", "count", "confidence", "accuracy"}, the means None in an empty bin.

    Raises:
      UserError: if an example's probabilities hold a NaN.
    """
    probabilities = np.asarray(probabilities, np.float64)
    confidence = probabilities.max(axis=1)
    correct = _classes(probabilities) == _classes(labels)
    edges = np.linspace(0.0, 1.0, bins + 1)
    which = np.searchsorted(edges[1:-1], confidence, side="left")
    table, error = [], 0.0
    for b in range(bins):
        inside = which == b
        count = int(inside.sum())
        row = {"low": float(edges[b]), "high": float(edges[b + 1]), "count": count}
        row["confidence"] = float(confidence[inside].mean()) if count else None
        row["accuracy"] = float(correct[inside].mean()) if count else None
        if count:
            error += count / len(correct) * abs(row["accuracy"] - row["confidence"])
        table.append(row)
    return {"ece": error, "bins": table}


def scores(
    labels: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str]
) -> dict[str, Any]:
    """Computes average precision and the area under the ROC curve, which need no threshold.

    Args:
      labels: (N,) true classes, or (N, C) of 0 and 1.
      probabilities: (N, C).
      class_names: C names.

    Returns:
      `average_precision` and `roc_auc`, means over the classes that are drawn; `classes`, these two
      by class name, without classes of which none or all examples are. None where no class is left.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    classes = {
        class_names[c]: {
            "average_precision": float(
                average_precision_score(members(labels, c), probabilities[:, c])
            ),
            "roc_auc": float(roc_auc_score(members(labels, c), probabilities[:, c])),
        }
        for c in drawn_classes(labels, len(class_names))
    }
    means = {
        key: float(np.mean([entry[key] for entry in classes.values()])) if classes else None
        for key in ("average_precision", "roc_auc")
    }
    return {**means, "classes": classes}


def members(labels: np.ndarray, label: int) -> np.ndarray:
    """Returns which examples (N,) bool are of a class, from labels (N,) or (N, C) of 0 and 1."""
    return labels == label if labels.ndim == 1 else labels[:, label] == 1


def drawn_classes(labels: np.ndarray, classes: int) -> list[int]:
    """Returns the classes that have a curve: some but not all examples are of them.

    Of two classes, whose curves say the same, it is the rarer one, or the first if even. Labels
    (N, C) of 0 and 1 have a curve each.
    """
    if labels.ndim == 2:
        return [c for c in range(classes) if 0 < labels[:, c].sum() < len(labels)]
    counts = np.bincount(labels, minlength=classes)
    held = [c for c in range(classes) if 0 < counts[c] < len(labels)]
    return [min(held, key=lambda c: counts[c])] if classes == 2 and held else held


def require_numbers(values: np.ndarray) -> None:
    """Raises UserError for an example (C,) among several (N, C) that has NaN, and so no class."""
    if (bad := np.flatnonzero(np.isnan(values).any(axis=1))).size:
        raise UserError(
            f"example {bad[0]} has NaN among its values and so no class, as after a training that "
            "diverged; train anew with a smaller lr."
        )


def _classes(labels: Any) -> np.ndarray:
    """Returns class numbers (N,) int64 from integers (N,) or one value per class (N, C)."""
    labels = np.asarray(labels)
    if labels.ndim == 2:
        require_numbers(labels)
    return (labels.argmax(axis=1) if labels.ndim == 2 else labels).astype(np.int64)


def _ratio(numerator: int, denominator: int) -> float:
    return float(numerator / denominator) if denominator else 0.0
