"""Sets of classes that hold the true one as often as was asked (split conformal prediction).

Vovk, Gammerman and Shafer 2005; the sets are the least ambiguous ones of Sadinle, Lei and Wasserman
2019: all classes that are at least as probable as a threshold, which held-out examples decide. A
set always has the most probable class too, so that none is empty.
"""

import math
from typing import Any

import numpy as np

from imgcls_jax.errors import UserError


def scores(probabilities: Any, labels: Any) -> np.ndarray:
    """Returns how little held-out examples conform, (N,): 1 less the probability of the label.

    Args:
      probabilities: (N, C).
      labels: (N,) integers.
    """
    probabilities = np.asarray(probabilities, np.float64)
    return 1 - probabilities[np.arange(len(probabilities)), labels]


def quantile(held_out: Any, coverage: float, *, name: str = "coverage") -> float:
    """Returns the score that a new example stays at or below with probability `coverage`, at least.

    It is the ceil((n + 1) coverage)-th smallest of n held-out scores, which holds for examples that
    are exchangeable with those. It covers the choice of both: for one choice of held-out examples
    the rate varies by sqrt(coverage (1 - coverage) / n), one standard deviation.

    Args:
      held_out: (n,) scores.
      coverage: within (0, 1).
      name: what the error calls the setting, `unknown` for its complement.

    Raises:
      UserError: if `coverage` is out of its range, or needs more held-out examples than there are.
    """
    asked = coverage if name == "coverage" else 1 - coverage
    if not 0 < coverage < 1:
        raise UserError(f"`{name}={asked:g}` cannot be used; it must lie between 0 and 1.")
    count = len(held_out)
    # Rounded, since (n + 1) 0.9 may be a whole number but for its last bit.
    place = math.ceil(round((count + 1) * coverage, 9))
    if place > count:
        least = math.ceil(round(1000 / (count + 1), 9)) / 1000
        possible = f"at most {1 - least:.3g}" if name == "coverage" else f"at least {least:g}"
        raise UserError(
            f"`{name}={asked:g}` needs more than the {count:,} held-out examples that the run has; "
            f"choose {possible}."
        )
    return float(np.partition(np.asarray(held_out, np.float64), place - 1)[place - 1])


def sets(probabilities: Any, level: float) -> np.ndarray:
    """Returns which classes are in each example's set, (N, C) bool, by a `quantile` of `scores`."""
    probabilities = np.asarray(probabilities, np.float64)
    inside = 1 - probabilities <= level
    inside[np.arange(len(probabilities)), probabilities.argmax(axis=1)] = True
    return inside
