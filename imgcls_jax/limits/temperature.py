"""One temperature that makes probabilities as confident as they are right (Guo et al. 2017)."""

from typing import Any

import numpy as np

from imgcls_jax.metrics import require_numbers

_SHARPEST, _FLATTEST = 1e-3, 1e3  # temperatures looked for
_ROUNDS = 200  # halvings of an interval of logarithms: to the last bit


def fit(logits: Any, labels: Any) -> float:
    """Returns the temperature T that makes softmax(logits / T) likeliest on held-out examples.

    Guo et al. 2017, "On Calibration of Modern Neural Networks". The loss is convex in 1 / T, so
    its derivative has one zero, which is found by halving. The targets are Platt's (1999,
    "Probabilistic outputs for support vector machines"): (N + 1) / (N + 2) for the label, the rest
    shared by the other classes. So N examples that are all right do not make T 0.

    Args:
      logits: (N, C) of examples that the network was not trained on; log-probabilities serve too.
      labels: (N,) integers.

    Raises:
      UserError: if an example has NaN among its logits.
    """
    logits = np.asarray(logits, np.float64)
    require_numbers(logits)
    logits = logits - logits.max(axis=1, keepdims=True)
    count, classes = logits.shape
    rest = 1 / (count + 2) / (classes - 1)
    of_label = logits[np.arange(count), labels]
    wanted = ((1 - classes * rest) * of_label + rest * logits.sum(axis=1)).mean()

    def slope(log_temperature: float) -> float:
        """Returns the derivative of the mean loss by 1 / T."""
        weights = np.exp(logits / np.exp(log_temperature))
        return float(((weights * logits).sum(1) / weights.sum(1)).mean() - wanted)

    low, high = np.log(_SHARPEST), np.log(_FLATTEST)
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return float(np.exp((low + high) / 2))


def probabilities(logits: Any, temperature: float | None = None) -> np.ndarray:
    """Returns softmax(logits / temperature), (N, C) float64; the order of classes never changes.

    Args:
      logits: (N, C), or the logarithms of probabilities.
      temperature: 1 if None.
    """
    scaled = np.asarray(logits, np.float64) / (temperature or 1.0)
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def of_probabilities(found: np.ndarray, temperature: float | None) -> np.ndarray:
    """Returns probabilities (N, C) by a temperature, from those without; the same where None."""
    if temperature is None:
        return found
    return probabilities(logarithms(found), temperature)


def logarithms(found: Any) -> np.ndarray:
    """Returns the logarithms (N, C) of probabilities, finite ones."""
    return np.log(np.maximum(np.asarray(found, np.float64), np.finfo(np.float32).tiny))


def mean_loss(logits: Any, labels: Any, temperature: float | None = None) -> float:
    """Returns the mean negative log-likelihood of the labels (N,), in nats."""
    scaled = np.asarray(logits, np.float64) / (temperature or 1.0)
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    return float((np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(scaled)), labels]).mean())
