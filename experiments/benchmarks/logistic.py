"""Run 8, logistic regression under cross-validation: seconds, ours against scikit-learn's."""

import time
from typing import Any

import numpy as np

from experiments import logistic
from experiments.benchmarks import timing
from experiments.documented import RUNS
from imgcls_jax.data import Dataset
from imgcls_jax.report import console

THEIRS = "scikit-learn, n_jobs=-1"


def measure(dataset: Dataset, *, rounds: int) -> dict[str, Any]:
    """Times the whole cross-validation here and in scikit-learn with every core, in turns.

    Ours compiles in its first turn only, which counts too: `cold` is the ratio of that turn.

    Args:
      dataset: the images and labels of its training split are used.

    Returns:
      Seconds of each turn, their medians, and scikit-learn's median over ours.
    """
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import cross_validate

    settings = RUNS[8].settings
    scaled = dataset.train.images.reshape(len(dataset.train), -1) / 255.0
    seconds = {"ours": [], THEIRS: []}
    for _ in range(rounds):
        result, spent = logistic.validate(dataset, settings)
        seconds["ours"].append(spent)
        classifier = SGDClassifier(
            loss="log_loss", max_iter=settings["epochs"], random_state=settings["seed"]
        )
        started = time.perf_counter()
        scores = cross_validate(classifier, scaled, dataset.train.labels, n_jobs=-1)
        seconds[THEIRS].append(time.perf_counter() - started)
    medians = timing.medians(seconds)
    return {
        "benchmark": "run 8: seconds of the whole cross-validation",
        "seconds": seconds,
        "median": medians,
        "scikit_learn_over_ours": {
            "median": medians[THEIRS] / medians["ours"],
            "cold": medians[THEIRS] / seconds["ours"][0],
        },
        "accuracy": {
            "ours": float(result.scores.mean()),
            "scikit-learn": float(np.mean(scores["test_score"])),
        },
    }


def show(result: dict[str, Any]) -> None:
    """Prints seconds, accuracies and ratios."""
    medians, accuracy = result["median"], result["accuracy"]
    ratios = result["scikit_learn_over_ours"]
    console.heading("Run 8: 5-fold cross-validation of SGD logistic regression")
    console.pairs(
        {
            "ours": f"{medians['ours']:.2f} s, {result['seconds']['ours'][0]:.2f} s with "
            f"compilation, accuracy {accuracy['ours']:.4f}",
            "scikit-learn": f"{medians[THEIRS]:.2f} s, accuracy {accuracy['scikit-learn']:.4f}",
            "ratio": f"{ratios['median']:.1f}, {ratios['cold']:.1f} with compilation",
        }
    )
