"""Near copies: the same photo encoded, resized, cropped or mirrored, and frames of one moment.

Features find whom to compare with, since those of a copy are among the nearest; details decide, as
`imgcls_jax.doctor.alignment` compares them. Cosines alone do not: photos of one subject are as near
as a copy that was made small.
"""

from typing import NamedTuple

import numpy as np

from imgcls_jax.doctor import alignment
from imgcls_jax.doctor.nearest import nearest

COPY = 0.8  # least agreement of near copies; chosen on pictures, reported on other photos
_NEIGHBOURS = 4  # photos that each is compared with
_COSINE = 0.5  # least cosine of the features of photos that are compared
_CHUNK = 2000  # pairs per call, so that few thumbnails' parts are in memory


class Pairs(NamedTuple):
    """Pairs of photos that were compared, those that agree most first.

    Attributes:
      first, second: (P,) indices, first < second.
      cosines: (P,) of their features.
      agreements: (P,) at most 1, see `alignment.agreements`.
      mirrored: (P,) whether one is the mirror image of the other.
    """

    first: np.ndarray
    second: np.ndarray
    cosines: np.ndarray
    agreements: np.ndarray
    mirrored: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def take(self, chosen: np.ndarray) -> "Pairs":
        return Pairs(*(values[chosen] for values in self))

    def copies(self) -> "Pairs":
        """Returns the pairs that are near copies."""
        return self.take(self.agreements >= COPY)


def compare(features: np.ndarray, images: np.ndarray) -> Pairs:
    """Compares every photo with those nearest to it.

    Args:
      features: (N, F).
      images: (N, S, S, 3) uint8.
    """
    count = len(features)
    neighbours, cosines = nearest(features, count=min(_NEIGHBOURS, count - 1))
    near = cosines >= _COSINE
    rows = np.repeat(np.arange(count), near.sum(axis=1))
    pairs = np.sort(np.stack([rows, neighbours[near]], axis=1), axis=1)
    pairs, where = np.unique(pairs, axis=0, return_index=True)
    small = alignment.thumbnails(images)
    compared = [
        alignment.agreements(small, pairs[start : start + _CHUNK].tolist())
        for start in range(0, len(pairs), _CHUNK)
    ]
    found = [np.concatenate(parts) for parts in zip(*compared, strict=True)] or [[], []]
    agreements, mirrored = np.array(found[0]), np.array(found[1], bool)
    order = np.argsort(-agreements, kind="stable")
    every = Pairs(pairs[:, 0], pairs[:, 1], cosines[near][where], agreements, mirrored)
    return every.take(order)


def groups(count: int, copies: Pairs) -> np.ndarray:
    """Numbers `count` photos so that near copies, and copies of copies, have one number: (N,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(copies)), (copies.first, copies.second)), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(int)
