"""The passes of scikit-learn's SGDClassifier over the examples, many problems in one scan.

See `imgcls_jax.optim.sklearn_sgd` for the arithmetic.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# scikit-learn stops a class once five passes in a row fail to improve on its best objective by
# `tol`. The first pass always improves on infinity, so the rule cannot shorten six passes or fewer.
_TOLERANCE, _PATIENCE = 1e-3, 5

# Width of the slices in which a score's products are added up: the fastest of those tried.
_LANES = 56


def _row_sums(products):
    """Sums over axis 1, by slices first: XLA's CPU backend fuses and vectorises that far better."""
    lanes = jnp.pad(products, ((0, 0), (0, -products.shape[1] % _LANES)))
    partial_sums = sum(jnp.split(lanes, lanes.shape[1] // _LANES, axis=1))
    return jnp.sum(jax.lax.optimization_barrier(partial_sums), axis=1)


class Shared(NamedTuple):
    """The inputs that all problems of a scan share.

    x (N, D) of any number type, labels (N,), train (F, n) examples of each fold, `step` of v.
    """

    x: Any
    labels: Any
    train: Any
    step: Any


class _Problems(NamedTuple):
    """P problems after some updates: weights v (P, D), intercepts (P,), squared norms of v (P,)."""

    v: Any
    b: Any
    norm: Any


@partial(jax.jit, static_argnames="judged")
def _one_pass(shared, problems, visits, fold, cls, *, judged: bool):
    """Returns P problems after one visit of every example, and their objectives (P,).

    Args:
      visits: orders (n, C) positions in `train`; of each update, (n,): decay, which times v.x is
        the score w.x, the step eta of b, and the penalty per squared norm of v.
      fold, cls: (P,), the fold and the class of each problem.
      judged: whether squared norms and objectives are needed; zeros without.
    """
    x, labels, train, step = shared
    dtype = problems.v.dtype

    def update(carry, inputs):
        v, b, norm = carry
        order, decay, eta, penalty = inputs
        example = train[fold, order[cls]]
        row = x[example].astype(dtype)
        product = _row_sums(v * row)
        score = decay * product + b
        is_class = labels[example] == cls
        gradient = jax.nn.sigmoid(score) - is_class
        length = step * gradient
        after = _Problems(v - length[:, None] * row, b - eta * gradient, norm)
        if not judged:
            return after, None
        objective = jax.nn.softplus(jnp.where(is_class, -score, score)) + penalty * norm
        norm += length * (length * _row_sums(row * row) - 2 * product)
        return after._replace(norm=norm), objective

    problems, objectives = jax.lax.scan(update, problems, visits)
    return problems, jnp.mean(objectives, axis=0) if judged else jnp.zeros(len(cls), dtype)


class _Stopping:
    """scikit-learn's rule: which of P problems still go on, and after how many passes they ended.

    `sklearn/linear_model/_sgd_fast.pyx.tp`, `_plain_sgd` without `early_stopping`.
    """

    def __init__(self, problems: int):
        self.active = np.ones(problems, bool)
        self.passes = np.zeros(problems, int)
        self._best = np.full(problems, np.inf)
        self._idle = np.zeros(problems, int)

    def keep(self, before: _Problems, after: _Problems) -> _Problems:
        """Returns the problems after a pass; those that have stopped stay as they were."""
        if self.active.all():
            return after

        def choose(new, old):
            active = self.active.reshape(-1, *[1] * (new.ndim - 1))
            return jnp.where(active, new, old)

        return jax.tree.map(choose, after, before)

    def after_pass(self, objectives: np.ndarray | None) -> None:
        """Counts a pass of the active problems; None where it is not yet time to judge."""
        self.passes += self.active
        if objectives is not None:
            idle = objectives > self._best - _TOLERANCE
            self._idle = np.where(idle, self._idle + 1, 0)
            self._best = np.minimum(self._best, objectives)
            # A new array: JAX may still be reading the one before, in `keep`.
            self.active = self.active & (self._idle < _PATIENCE)


def solve(
    shared: Shared,
    permutation: np.ndarray,
    fold: np.ndarray,
    cls: np.ndarray,
    *,
    epochs: int,
    alpha: float,
    scale: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fits P problems, each until it stops.

    Args:
      permutation: (n, C) from `sklearn_orders.permutations`.
      fold, cls: (P,), the fold and the class of each problem.
      epochs: most passes.
      alpha, scale: of `sklearn_sgd.Settings`.

    Returns:
      Weights (P, D) for x * scale, intercepts (P,) and passes made (P,).
    """
    dtype, t0, n = shared.step.dtype, alpha**-0.75, len(permutation)
    judged = epochs > _PATIENCE + 1
    zeros = np.zeros(len(cls), dtype)
    problems = _Problems(np.zeros((len(cls), shared.x.shape[1]), dtype), zeros, zeros)
    stopping, order = _Stopping(len(cls)), permutation
    while stopping.active.any() and stopping.passes.max() < epochs:
        t = np.arange(1, n + 1) + stopping.passes.max() * n
        shrunk = (t0 - 1) / (t0 + t - 2)
        of_updates = (scale * shrunk, 1 / (alpha * (t0 + t - 1)), alpha / 2 * shrunk**2)
        visits = (order, *(array.astype(dtype) for array in of_updates))
        after, objectives = _one_pass(shared, problems, visits, fold, cls, judged=judged)
        problems = stopping.keep(problems, after)
        stopping.after_pass(np.asarray(objectives, np.float64) if judged else None)
        order = np.take_along_axis(order, permutation, axis=0)
    v, b, _ = jax.device_get(problems)
    shrunk = (t0 - 1) / (t0 + stopping.passes * n - 1)
    return v * shrunk[:, None].astype(dtype), b, stopping.passes
