"""Batches from host memory, for loops written by hand; the experiments feed by `resident`."""

from collections.abc import Iterator

import numpy as np

from imgcls_jax.data.dataset import Split


def batches(split: Split, *, batch_size: int, seed: int) -> Iterator[dict[str, np.ndarray]]:
    """One epoch of `split` in an order drawn from `seed`; the last batch may be smaller.

    Yields:
      image (B, H, W, C) uint8 and label (B,) int32.
    """
    order = np.random.default_rng(seed).permutation(len(split))
    for first in range(0, len(order), batch_size):
        chosen = order[first : first + batch_size]
        yield {"image": split.images[chosen], "label": split.labels[chosen]}
