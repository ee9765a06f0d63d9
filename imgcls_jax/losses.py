"""Per-example losses, from logits."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax.errors import UserError


def balanced_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Loss weights float32 (K,) that give all classes the same say: N / (K * count).

    scikit-learn's class_weight="balanced"; their mean over the examples is 1.
    """
    counts = np.bincount(labels, minlength=num_classes)
    return (len(labels) / (num_classes * np.maximum(counts, 1))).astype(np.float32)


def cross_entropy(
    logits: jax.Array, labels: jax.Array, *, label_smoothing: float = 0.0
) -> jax.Array:
    """Softmax cross-entropy in nats, one value an example: -sum_c target_c log softmax(logits)_c.

    Args:
      logits: (B, C), any float type; computed in float32 at least.
      labels: (B,) integers in [0, C), or (B, C) class probabilities (one-hot or soft).
      label_smoothing: e in [0, 1): targets become (1 - e) target + e / C, as in PyTorch's
        `CrossEntropyLoss` and Keras' `CategoricalCrossentropy` (Szegedy et al. 2016).

    Returns:
      Losses (B,). An integer label outside [0, C), which cannot be an error inside jit, gives NaN
      rather than an example that silently teaches nothing.

    Raises:
      UserError: if `label_smoothing` is out of its range.
      ValueError: if the shapes or the labels' type do not fit.
    """
    if not 0 <= label_smoothing < 1:
        raise UserError(f"label_smoothing is {label_smoothing}; it must be in [0, 1).")
    classes = logits.shape[-1]
    if jnp.issubdtype(labels.dtype, jnp.integer) and labels.shape == logits.shape[:-1]:
        targets = jax.nn.one_hot(labels, classes, dtype=jnp.float32)
        known = (labels >= 0) & (labels < classes)
    elif labels.shape == logits.shape:
        targets, known = labels, True
    else:
        raise ValueError(
            f"labels {labels.dtype}{labels.shape} do not fit logits {logits.shape}: expected "
            f"integers {logits.shape[:-1]} or probabilities {logits.shape}"
        )
    if label_smoothing:
        targets = (1 - label_smoothing) * targets + label_smoothing / classes
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    losses = -jnp.sum(targets * jax.nn.log_softmax(logits), axis=-1)
    return jnp.where(known, losses, jnp.nan)


def is_absurd(loss: float, num_classes: int) -> bool:
    """Whether a mean loss is NaN, infinite or so far above guessing's that nothing is learned."""
    return not loss < _DIVERGED * math.log(num_classes)


_DIVERGED = 1e4  # times the loss of guessing: no training comes back from there
