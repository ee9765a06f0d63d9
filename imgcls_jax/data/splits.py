"""Hold-out split and k-fold with the very indices scikit-learn would draw."""

import math

import numpy as np

from imgcls_jax.data.dataset import Split
from imgcls_jax.errors import UserError


def hold_out(split: Split, *, fraction: float, seed: int) -> tuple[Split, Split]:
    """Splits at random into (train, held out), `ceil(fraction * N)` examples held out.

    The same examples in the same order as scikit-learn's
    `train_test_split(images, labels, test_size=fraction, random_state=seed)`.

    Raises:
      UserError: fraction is not inside (0, 1), or one side would be empty.
    """
    if not 0 < fraction < 1:
        raise UserError(f"The held-out fraction must lie between 0 and 1, not {fraction}.")
    if math.ceil(fraction * len(split)) >= len(split):
        raise UserError(
            f"Holding out {fraction} of {len(split)} examples leaves none to train on: "
            "hold out less or use more data."
        )
    # Its ShuffleSplit in two lines: importing scikit-learn would add 0.9 s to every training run.
    # RandomState's streams are frozen (NEP 19), so the draw cannot drift.
    permutation = np.random.RandomState(seed).permutation(len(split))
    held_out, train = np.split(permutation, [math.ceil(fraction * len(split))])
    return (
        Split(split.images[train], split.labels[train]),
        Split(split.images[held_out], split.labels[held_out]),
    )


def k_fold(
    labels: np.ndarray, *, folds: int = 5, seed: int | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Stratified folds as index pairs (train, test), shuffled where there is a seed.

    scikit-learn's `StratifiedKFold`; without a seed those of its `cross_validate(..., cv=folds)`.

    Raises:
      UserError: folds is below 2 or above the number of examples of the rarest class.
    """
    rarest = int(np.unique(labels, return_counts=True)[1].min())
    if rarest < 2:
        raise UserError("Folds need at least two examples of every class, and one class has one.")
    if not 2 <= folds <= rarest:
        raise UserError(
            f"{folds} folds are not possible: choose between 2 and {rarest}, the number of "
            "examples of the rarest class."
        )
    from sklearn.model_selection import StratifiedKFold

    splitter = StratifiedKFold(n_splits=folds, shuffle=seed is not None, random_state=seed)
    return list(splitter.split(np.zeros(len(labels)), labels))
