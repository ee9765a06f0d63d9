"""Members of different folds of a cross-validation: what can be said of them, and what cannot."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from imgcls_jax import metrics
from imgcls_jax.config import Config
from imgcls_jax.errors import UserError
from imgcls_jax.predict.members import Member
from imgcls_jax.predict.weighting import averaged
from imgcls_jax.workdir import Workdir

WHY = (
    "equal weights, since members of different folds share no validation split; every example was "
    "trained on by some of them, so that nothing is left to measure the ensemble on"
)


def are_folds(configs: Sequence[Config]) -> bool:
    """Tells if runs were evaluated on different folds of one cross-validation."""
    return len({of.data.fold for of in configs if of.data.folds}) > 1


def described(members: Sequence[Member]) -> dict[str, Any]:
    """Returns what is known of members of several folds: each fold by those that had not seen it.

    Returns:
      `out_of_fold`: accuracy and balanced accuracy with their intervals, confusion matrix, figures
      per class and calibration over the folds' examples, each counted once. It says what a member
      is like, not what the ensemble is like.

    Raises:
      UserError: if the members are not of one cross-validation.
    """
    first, by_fold = members[0], {}
    for member in members:
        if (
            dataclasses.replace(member.config.data, fold=first.config.data.fold)
            != first.config.data
        ):
            raise UserError(
                f"{member.path} and {first.path} are not of one cross-validation; give `members` "
                "whose settings of the data are the same but for `fold`."
            )
        by_fold.setdefault(member.config.data.fold, []).append(member)
    labels, probabilities = [], []
    for of_fold in by_fold.values():
        kept = [Workdir(member.path).read_arrays("predictions.npz") for member in of_fold]
        labels.append(kept[0]["labels"])
        probabilities.append(averaged(np.stack([arrays["probabilities"] for arrays in kept])))
    true, mixed = np.concatenate(labels), np.concatenate(probabilities)
    names = first.restored.record["class_names"]
    matrix = metrics.confusion_matrix(true, mixed, len(names))
    correct = int(np.trace(matrix))
    return {
        "out_of_fold": {
            "folds": sorted(by_fold),
            "accuracy": correct / len(true),
            "interval": list(metrics.wilson_interval(correct, len(true))),
            "balanced_accuracy": metrics.balanced_accuracy(matrix),
            "balanced_accuracy_interval": list(metrics.balanced_accuracy_interval(matrix)),
            "calibration": metrics.calibration(mixed, true),
            "confusion_matrix": matrix.tolist(),
            "per_class": metrics.per_class(matrix, list(names)),
        }
    }
