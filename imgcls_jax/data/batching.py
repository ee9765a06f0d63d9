"""Batches from host memory: for loops written by hand, and for evaluation."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from imgcls_jax.data.dataset import Split

# Most examples of an evaluation batch, and pixels. On a CPU a batch is to stay in its caches.
_EVAL_BATCH = {"cpu": (250, 32 * 224**2)}
_EVAL_BATCH_ELSEWHERE = (1000, 256 * 224**2)


def batches(split: Split, *, batch_size: int, seed: int) -> Iterator[dict[str, np.ndarray]]:
    """Yields one epoch of `split` in an order drawn from `seed`; the last batch may be smaller.

    Yields:
      image (B, H, W, C) uint8 and label (B,) int32.
    """
    order = np.random.default_rng(seed).permutation(len(split))
    for first in range(0, len(order), batch_size):
        chosen = order[first : first + batch_size]
        yield {"image": split.images[chosen], "label": split.labels[chosen]}


def eval_batch_size(image_shape: tuple[int, ...]) -> int:
    """Returns the examples per evaluation batch for images (H, W, ...) on the default backend."""
    import jax

    examples, pixels = _EVAL_BATCH.get(jax.default_backend(), _EVAL_BATCH_ELSEWHERE)
    return max(1, min(examples, pixels // (image_shape[0] * image_shape[1])))


def padded(batch: dict[str, Any], size: int) -> dict[str, Any]:
    """Fills a batch up to `size` with repeats of its last example, and marks them.

    Args:
      batch: image (B, H, W, C) and label (B,), B at most `size`.

    Returns:
      image (size, H, W, C), label (size,) and mask (size,) bool: False where an example was added.
    """
    given = len(batch["label"])
    rows = np.minimum(np.arange(size), given - 1)
    filled = {name: batch[name][rows] for name in ("image", "label")}
    return filled | {"mask": np.arange(size) < given}
