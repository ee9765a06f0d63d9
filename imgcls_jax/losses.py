"""Per-example losses from logits, of one class or several labels; weights, and divergence."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax.errors import UserError

_DIVERGED = 1e4  # times the loss of guessing: no training comes back from there


def cross_entropy(
    logits: jax.Array, labels: jax.Array, *, label_smoothing: float = 0.0
) -> jax.Array:
    """Computes -sum_c target_c log softmax(logits)_c in nats, one value per example.

    A class of target 0 contributes nothing, even where its logit is -inf and its probability 0.

    Args:
      logits: (B, C), any float type; computed in float32 at least.
      labels: (B,) integers in [0, C), or (B, C) class probabilities (one-hot or soft).
      label_smoothing: e in [0, 1): targets become (1 - e) target + e / C, as in PyTorch's
        `CrossEntropyLoss` and Keras' `CategoricalCrossentropy` (Szegedy et al. 2016). No target is
        0 then: a logit of -inf makes the loss infinite.

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
        whole = not jnp.issubdtype(labels.dtype, jnp.floating)
        targets, known = labels.astype(jnp.float32) if whole else labels, True
    else:
        raise ValueError(
            f"labels {labels.dtype}{labels.shape} do not fit logits {logits.shape}: expected "
            f"integers {logits.shape[:-1]} or probabilities {logits.shape}"
        )
    if label_smoothing:
        targets = (1 - label_smoothing) * targets + label_smoothing / classes
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    losses = -jnp.sum(_weighed(targets, jax.nn.log_softmax(logits)), axis=-1)
    return jnp.where(known, losses, jnp.nan)


@jax.custom_jvp
def _weighed(targets: jax.Array, log_probabilities: jax.Array) -> jax.Array:
    """Multiplies the two, elementwise, where 0 x -inf is 0, whatever sign the 0 has."""
    excluded = (targets == 0) & (log_probabilities == -jnp.inf)
    return targets * jnp.where(excluded, 0.0, log_probabilities)


# The plain product's derivatives: with a selection in them XLA would round the gradient otherwise.
_weighed.defjvps(
    lambda tangent, product, targets, log_probabilities: tangent * log_probabilities,
    lambda tangent, product, targets, log_probabilities: targets * tangent,
)


def binary_cross_entropy(
    logits: jax.Array, labels: jax.Array, *, label_smoothing: float = 0.0
) -> jax.Array:
    """Computes the mean over labels of -t log p - (1 - t) log(1 - p) in nats, p = sigmoid(logit).

    Args:
      logits: (B, K), any float type; computed in float32 at least.
      labels: (B, K), each in [0, 1]; an example may have any number of labels.
      label_smoothing: e in [0, 1): targets become (1 - e) target + e / 2, as in Keras'
        `BinaryCrossentropy`.

    Returns:
      Losses (B,). They are finite for every finite logit, however large it is, and for an infinite
      one on the side of its label, whose loss is 0.

    Raises:
      UserError: if `label_smoothing` is out of its range.
      ValueError: if the shapes do not fit.
    """
    if not 0 <= label_smoothing < 1:
        raise UserError(f"label_smoothing is {label_smoothing}; it must be in [0, 1).")
    if labels.shape != logits.shape:
        raise ValueError(f"labels {labels.shape} do not fit logits {logits.shape}")
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    targets = (1 - label_smoothing) * labels.astype(logits.dtype) + label_smoothing / 2
    of_label = _weighed(-targets, jax.nn.log_sigmoid(logits))
    losses = of_label - _weighed(1 - targets, jax.nn.log_sigmoid(-logits))
    return losses.mean(axis=-1)


def balanced_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns loss weights float32 (K,) that give all classes the same say: N / (K * count).

    This is scikit-learn's class_weight="balanced"; the weights' mean over the examples is 1.
    """
    counts = np.bincount(labels, minlength=num_classes)
    return (len(labels) / (num_classes * np.maximum(counts, 1))).astype(np.float32)


def is_absurd(loss: float, num_classes: int) -> bool:
    """Tells if a mean loss is NaN, infinite or so far above guessing's that nothing is learned."""
    return not loss < _DIVERGED * math.log(num_classes)
