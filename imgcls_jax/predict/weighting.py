"""Weights of an ensemble's members, fitted on examples that no member trained on.

Everything here is NumPy on probabilities (K, N, C) of K members for N examples of C classes.
"""

from typing import NamedTuple

import numpy as np

_LEAST = np.finfo(np.float32).tiny  # a probability of 0 has no logarithm
_GAP = 1e-7  # nats per example between the fitted weights and the best ones, at most
_MOST_ROUNDS = 20_000


class Greedy(NamedTuple):
    """The result of a greedy selection.

    Attributes:
      weights: (K,), how often each member was chosen, divided by all choices.
      chosen: the numbers of the members in the order of choice, as far as `weights` counts them.
      losses: the mean negative log-likelihood after each choice, also after the last one counted.
    """

    weights: np.ndarray
    chosen: list[int]
    losses: list[float]


def averaged(probabilities: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Returns the members' averaged probabilities (N, C), with equal weights where none are given.

    Args:
      probabilities: (K, N, C).
      weights: (K,), at least 0, of sum 1.
    """
    probabilities = np.asarray(probabilities, np.float64)
    return probabilities.mean(0) if weights is None else np.tensordot(weights, probabilities, 1)


def mean_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean negative log-likelihood, in nats, of the labels (N,) under (N, C)."""
    return float(-np.log(_of_labels(probabilities[None], labels)).mean())


def fit(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the convex weights (K,) that minimise the averaged probabilities' mean_loss.

    The problem is concave in the weights. Each round multiplies a member's weight by the mean of
    its probability of the label over the ensemble's: expectation maximisation for the shares of a
    mixture (Dempster et al. 1977). The largest of these factors bounds how far the loss is from the
    least one (Cover 1984, "An algorithm for maximizing expected log investment return"), and the
    rounds end where that is below 1e-7 nats.

    Args:
      probabilities: (K, N, C).
      labels: (N,) integers.
    """
    likelihoods = _of_labels(probabilities, labels)
    weights = np.full(len(likelihoods), 1 / len(likelihoods))
    for _ in range(_MOST_ROUNDS):
        factors = (likelihoods / (weights @ likelihoods)).mean(axis=1)
        if np.log(factors.max()) < _GAP:
            break
        weights = weights * factors
    return weights / weights.sum()


def select(probabilities: np.ndarray, labels: np.ndarray, *, choices: int = 50) -> Greedy:
    """Selects members one by one, with replacement (Caruana et al. 2004, "Ensemble selection").

    Each choice is the member that makes the average of all chosen so far best; members may come
    again, which gives them weight. Counted are the choices up to the least loss.

    Args:
      probabilities: (K, N, C).
      labels: (N,) integers.
      choices: how many members to choose, before the best beginning of these is kept.
    """
    likelihoods = _of_labels(probabilities, labels)
    total, chosen, losses = np.zeros(likelihoods.shape[1]), [], []
    for count in range(1, choices + 1):
        after = -np.log((total + likelihoods) / count).mean(axis=1)
        chosen.append(int(after.argmin()))
        losses.append(float(after.min()))
        total = total + likelihoods[chosen[-1]]
    kept = chosen[: int(np.argmin(losses)) + 1]
    weights = np.bincount(kept, minlength=len(likelihoods)) / len(kept)
    return Greedy(weights, kept, losses)


def _of_labels(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the probabilities (K, N) of the labels."""
    found = np.asarray(probabilities, np.float64)[:, np.arange(len(labels)), labels]
    return np.maximum(found, _LEAST)
