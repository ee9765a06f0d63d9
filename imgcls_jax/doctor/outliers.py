"""Photos like no other: far from their nearest neighbours in the features of a network."""

import numpy as np

from imgcls_jax.doctor.nearest import nearest

NEIGHBOURS = 10
UNUSUAL = 3.0  # deviations above the median distance


def distances(features: np.ndarray) -> np.ndarray:
    """Returns how far each photo is from its nearest ones: (N,), the mean of 1 - cosine to ten.

    Args:
      features: (N, F).
    """
    _, cosines = nearest(features, count=min(NEIGHBOURS, len(features) - 1))
    return 1 - cosines.mean(axis=1)


def unusual(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices of distances far above the others, the farthest first, and all scores.

    A score is the distance above the median in robust deviations, 1.4826 times the median of the
    absolute differences from it (Iglewicz and Hoaglin 1993); `UNUSUAL` of them are far.

    Args:
      found: (N,) from `distances`.
    """
    middle = np.median(found)
    deviation = 1.4826 * np.median(np.abs(found - middle))
    scores = (found - middle) / max(float(deviation), 1e-6)
    order = np.argsort(-scores, kind="stable")
    return order[scores[order] > UNUSUAL], scores
