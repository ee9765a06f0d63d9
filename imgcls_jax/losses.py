"""Per-example losses, from logits."""

import jax
import jax.numpy as jnp

from imgcls_jax.errors import UserError


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
