"""Few seeds as evidence: is one reported figure a draw like ours, and which of two means is larger.

A reported accuracy and ours are of the same test images, so that the sampling error of those images
is shared. What is left to explain a difference is the seed.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

SKEWED = 0.05  # p of the Shapiro-Wilk test, below which seeds count as skewed
_WORDS = ((0.05, "fits"), (0.01, "unlikely"), (0.0, "does not fit"))


def prediction(values: Sequence[float], reported: float | Sequence[float]) -> dict[str, Any]:
    """Compares a reported figure with a further draw from the distribution of `values`.

    The rule: t = (reported - mean) / (sd sqrt(1 + 1/n)) with n - 1 degrees of freedom, two-sided
    (Geisser 1993, predictive inference for a normal sample). Where the Shapiro-Wilk test calls the
    values skewed (p < 0.05), ranks alone: one more draw of n + 1 exchangeable ones is as extreme
    as this with p = 2 (k + 1) / (n + 1), k of n values lying beyond it.

    Args:
      values: (n,) one figure per seed, n >= 2.
      reported: a figure, or (low, high) of a range: then the end that is nearer to the mean.

    Returns:
      `n`, `mean`, `std` (n - 1), `interval` (of 95 % for one more seed), `rule` ("t" or "ranks"),
      `t` (None where all values are one), `below` (how many values lie below), `p` and `verdict`:
      "fits" (p >= 0.05), "unlikely", "does not fit" (p < 0.01), or by ranks "within the seeds" or
      "outside all n seeds".
    """
    values = _series(values)
    n, mean, std = len(values), float(np.mean(values)), float(np.std(values, ddof=1))
    low, high = (reported, reported) if np.isscalar(reported) else reported
    figure = min(max(mean, low), high)
    scale = std * math.sqrt(1 + 1 / n)
    t = (figure - mean) / scale if scale else None
    below, above = int(np.sum(values < figure)), int(np.sum(values > figure))
    skewed = std > 0 and n >= 3 and _shapiro(values) < SKEWED
    if skewed or t is None:
        p = min(1.0, 2 * (min(below, above) + 1) / (n + 1))
        outside = low > values.max() or high < values.min()
        verdict = f"outside all {n} seeds" if outside else "within the seeds"
    else:
        p = 2 * _student(-abs(t), n - 1)
        verdict = next(word for least, word in _WORDS if p >= least)
    return {
        "n": n,
        "mean": mean,
        "std": std,
        "interval": list(prediction_interval(values)),
        "rule": "ranks" if skewed or t is None else "t",
        "t": t,
        "below": below,
        "p": p,
        "verdict": verdict,
    }


def prediction_interval(
    values: Sequence[float], *, confidence: float = 0.95
) -> tuple[float, float]:
    """Returns where one more seed falls with that probability, if seeds are normal."""
    values = _series(values)
    n = len(values)
    half = _quantile(confidence, n - 1) * float(values.std(ddof=1)) * math.sqrt(1 + 1 / n)
    return float(values.mean()) - half, float(values.mean()) + half


def mean_interval(values: Sequence[float], *, confidence: float = 0.95) -> tuple[float, float]:
    """Returns Student's interval for the mean over seeds."""
    values = _series(values)
    n = len(values)
    half = _quantile(confidence, n - 1) * float(values.std(ddof=1)) / math.sqrt(n)
    return float(values.mean()) - half, float(values.mean()) + half


def paired(a: Sequence[float], b: Sequence[float]) -> dict[str, Any]:
    """Compares two series seed by seed: mean of a - b, its interval (95 %), t and p.

    It is sharper than `unpaired` where the k-th values of both share something, such as the start
    and the orders of one seed; `correlation` says how much they do.
    """
    a, b = _series(a), _series(b)
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} values against {len(b)} cannot be paired")
    gains = a - b
    error = float(gains.std(ddof=1)) / math.sqrt(len(gains))
    correlation = float(np.corrcoef(a, b)[0, 1]) if a.std() and b.std() else None
    return _difference(float(gains.mean()), error, len(gains) - 1) | {"correlation": correlation}


def unpaired(a: Sequence[float], b: Sequence[float]) -> dict[str, Any]:
    """Compares the means of two independent series by Welch's (1947) t test, as `paired` does."""
    a, b = _series(a), _series(b)
    parts = [series.var(ddof=1) / len(series) for series in (a, b)]
    total = sum(parts)
    freedom = len(a) + len(b) - 2.0
    if total:
        freedom = total**2 / sum(
            part**2 / (len(series) - 1) for part, series in zip(parts, (a, b), strict=True)
        )
    return _difference(float(a.mean() - b.mean()), math.sqrt(total), float(freedom))


def holm(values: Sequence[float]) -> list[float]:
    """Returns p values corrected for being several (Holm 1979), in their order."""
    values = _series(values).tolist()
    order = sorted(range(len(values)), key=values.__getitem__)
    corrected, least = [0.0] * len(values), 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = least
    return corrected


def _series(values: Sequence[float]) -> np.ndarray:
    """Returns the values (n,) float64; raises ValueError where one is no number: it has no rank."""
    found = np.asarray(values, np.float64)
    if not np.isfinite(found).all():
        raise ValueError(
            f"{int((~np.isfinite(found)).sum())} of {len(found)} values are not finite"
        )
    return found


def _difference(mean: float, error: float, freedom: float) -> dict[str, Any]:
    half = _quantile(0.95, freedom) * error
    t = mean / error if error else None
    return {
        "difference": mean,
        "interval": [mean - half, mean + half],
        "t": t,
        "degrees_of_freedom": freedom,
        "p": 2 * _student(-abs(t), freedom) if t is not None else float(mean == 0),
    }


def _student(t: float, freedom: float) -> float:
    """Returns P(T <= t) of Student's distribution."""
    from scipy.special import stdtr

    return float(stdtr(freedom, t))


def _quantile(confidence: float, freedom: float) -> float:
    """Returns the t that |T| stays below with that probability."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + confidence) / 2))


def _shapiro(values: np.ndarray) -> float:
    from scipy.stats import shapiro

    return float(shapiro(values).pvalue)
