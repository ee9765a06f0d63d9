"""The ways to draw an epoch's examples, and the balanced one on the host.

"uniform" visits every example once, in another order each epoch. "balanced" draws as many examples
as there are, one after the other: first a class, all that have examples being equally likely, then
one of its examples, as PyTorch's `WeightedRandomSampler` with weights of 1 / count does. Of a rare
class an example comes several times in an epoch, and of a frequent one not every example comes.
"""

import functools

import numpy as np

SAMPLERS = ("uniform", "balanced")


@functools.lru_cache(maxsize=2)
def order(count: int, seed: int, epoch: int, *, shuffle: bool = True) -> np.ndarray:
    """Returns the indices 0..count-1 in the order in which that epoch visits them."""
    return np.random.default_rng((seed, epoch)).permutation(count) if shuffle else np.arange(count)


class Balanced:
    """Draws the examples of an epoch so that all classes among their labels (N,) are as likely."""

    def __init__(self, labels: np.ndarray):
        counts = np.bincount(labels)
        self._by_class = np.argsort(labels, kind="stable")
        self._first = (np.cumsum(counts) - counts)[counts > 0]
        self._counts = counts[counts > 0]

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Returns the indices (N,) that epoch number `epoch` visits, some of them repeatedly."""
        return _drawn(self, seed, epoch)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draws indices (N,)."""
        drawn = rng.integers(len(self._counts), size=len(self._by_class))
        return self._by_class[self._first[drawn] + rng.integers(self._counts[drawn])]


@functools.lru_cache(maxsize=2)
def _drawn(balanced: Balanced, seed: int, epoch: int) -> np.ndarray:
    return balanced.draw(np.random.default_rng((seed, epoch)))
