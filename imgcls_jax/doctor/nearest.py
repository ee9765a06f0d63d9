"""Nearest photos by the cosine of their features, a block of rows at a time."""

import numpy as np

_BLOCK = 1024  # rows per product, so that memory grows with N and not with its square


def unit(features: np.ndarray) -> np.ndarray:
    """Brings features (N, F) to length 1, float32; rows of zeros stay."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return (features / np.maximum(lengths, 1e-12)).astype(np.float32)


def nearest(
    features: np.ndarray, *, count: int, of: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the nearest photos of each, and their cosines: both (N, count), the nearest first.

    Args:
      features: (N, F).
      count: neighbours, at most N - 1.
      of: (N, F) features to compare in place of the photos' own, such as those of mirrored photos;
        a photo is never its own neighbour.
    """
    rows = unit(features)
    asked = rows if of is None else unit(of)
    indices = np.empty((len(rows), count), np.int64)
    cosines = np.empty((len(rows), count), np.float32)
    for start in range(0, len(rows), _BLOCK):
        products = asked[start : start + _BLOCK] @ rows.T
        here = np.arange(len(products))
        products[here, start + here] = -np.inf
        chosen = np.argpartition(-products, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(products, chosen, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        stop = start + len(products)
        indices[start:stop] = np.take_along_axis(chosen, order, axis=1)
        cosines[start:stop] = np.take_along_axis(values, order, axis=1)
    return indices, cosines
