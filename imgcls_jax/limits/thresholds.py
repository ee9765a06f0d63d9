"""Thresholds of labels, of which an example may have several, chosen on held-out examples."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from imgcls_jax.limits import kept
from imgcls_jax.metrics import require_numbers

PLAIN = 0.5
NO_TEMPERATURE = "a network of several labels per photo has a threshold for each instead"


def probabilities(logits: Any) -> np.ndarray:
    """Returns the sigmoid of logits, whatever their size, rounded to float32 as predictions are."""
    return np.exp(-np.logaddexp(0.0, -np.asarray(logits, np.float64))).astype(np.float32)


def best_threshold(positive: np.ndarray, scores: np.ndarray) -> float:
    """Returns the threshold of the highest F1, from which on an example has the label.

    It lies midway between two neighbouring scores; of several equally good ones it is the nearest
    to 1/2. Without an example that has the label, or without one that has it not, it is 1/2.

    Args:
      positive: (N,) bool, which examples have the label.
      scores: (N,) probabilities.
    """
    if not 0 < positive.sum() < len(positive):
        return PLAIN
    order = np.argsort(-scores, kind="stable")
    ranked = np.asarray(scores, np.float64)[order]
    chosen = np.arange(1, len(scores) + 1)  # examples that have the label by a cut behind each
    f1 = 2 * np.cumsum(positive[order]) / (chosen + positive.sum())
    after = np.append(ranked[1:], 0.0)
    cuts = (ranked + after) / 2
    possible = ranked > after
    if not possible.any():
        return PLAIN
    best = possible & (f1 >= f1[possible].max() - 1e-12)
    return float(min(cuts[best], key=lambda cut: abs(cut - PLAIN)))


def choose(labels: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Returns the best threshold of each label (K,), from labels and logits (N, K).

    Raises:
      UserError: if an example has NaN among its logits.
    """
    require_numbers(np.asarray(logits))
    found = probabilities(logits)
    pairs = zip(np.asarray(labels).T == 1, found.T, strict=True)
    return np.array([best_threshold(*pair) for pair in pairs])


def learn(
    workdir: Any, labels: np.ndarray, logits: np.ndarray, *, of: str, identity: str
) -> dict[str, Any]:
    """Chooses thresholds on held-out examples and keeps them in a run's folder; returns the facts.

    `undecided` are the numbers of the labels that none of the examples have, or all.

    Args:
      workdir: the folder, a `Workdir`.
      labels, logits: (N, K), of a network that was not trained on these.
      of: what the examples are, in words.
      identity: tells these examples from any others.
    """
    undecided = [k for k in range(labels.shape[1]) if not 0 < labels[:, k].sum() < len(labels)]
    found = {
        "values": choose(labels, logits).tolist(),
        "chosen_on": {"of": of, "examples": len(labels), "identity": identity},
        "undecided": undecided,
    }
    return _written(workdir, found)


def keep_plain(workdir: Any, labels: int, *, why_not: str) -> dict[str, Any]:
    """Keeps 1/2 for each of some labels in a run's folder, and why; returns the facts."""
    return _written(workdir, plain(labels, why_not=why_not))


def plain(labels: int, *, why_not: str) -> dict[str, Any]:
    """Returns what is said of thresholds that nothing was there to choose by."""
    return {"values": [PLAIN] * labels, "chosen_on": None, "why_not": why_not}


def _written(workdir: Any, found: Mapping[str, Any]) -> dict[str, Any]:
    facts = {"temperature": None, "why_not": NO_TEMPERATURE, "thresholds": dict(found)}
    workdir.write_json(kept.FACTS, facts)
    return facts


def values(facts: Mapping[str, Any] | None, labels: int) -> np.ndarray:
    """Returns the thresholds (K,) of what is kept, see `kept.facts`; 1/2 where nothing is."""
    found = ((facts or {}).get("thresholds") or {}).get("values", [])
    return np.array(found, np.float64) if len(found) == labels else np.full(labels, PLAIN)


def figures(
    labels: np.ndarray, found: np.ndarray, thresholds: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
    """Returns how good the labels from thresholds on are, over all examples and for each label.

    Args:
      labels: (N, K) of 0 and 1.
      found: (N, K) probabilities.
      thresholds: (K,).
      names: K names of the labels.

    Returns:
      `subset_accuracy`, the share of examples of which every label is right; `hamming_loss`, the
      share of wrong ones among all N K labels; and `per_class`, by name: precision, recall, F1, the
      support (the examples that have it) and the threshold. A ratio whose denominator is 0 is 0.
    """
    true, said = np.asarray(labels) == 1, found >= thresholds
    hits, support, chosen = (true & said).sum(axis=0), true.sum(axis=0), said.sum(axis=0)

    def ratio(part: int, whole: int) -> float:
        return float(part / whole) if whole else 0.0

    return {
        "subset_accuracy": float((true == said).all(axis=1).mean()),
        "hamming_loss": float((true != said).mean()),
        "per_class": {
            name: {
                "precision": ratio(hits[k], chosen[k]),
                "recall": ratio(hits[k], support[k]),
                "f1": ratio(2 * hits[k], support[k] + chosen[k]),
                "support": int(support[k]),
                "threshold": float(thresholds[k]),
            }
            for k, name in enumerate(names)
        },
    }
