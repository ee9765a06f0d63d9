"""The predictions of a finished run, example by example, as a table that a person opens."""

from collections.abc import Sequence

import numpy as np

from imgcls_jax.data.dataset import Dataset
from imgcls_jax.files import csv_text
from imgcls_jax.limits.temperature import of_probabilities
from imgcls_jax.workdir import Workdir

TABLE = "predictions.csv"
_DIGITS = 6  # of a probability


def write(
    workdir: Workdir,
    dataset: Dataset,
    probabilities: np.ndarray,
    *,
    temperature: float | None = None,
    thresholds: np.ndarray | None = None,
) -> None:
    """Writes `predictions.csv`, a row for each example of the test set in its order.

    Its columns are `path`, relative to the folder of the photos, or `index` where the examples are
    no files; `split`; the names of the classes `true` and `predicted`; and `probability`, that of
    the predicted class. Several labels have bars between them, and a column of probabilities each.

    Args:
      probabilities: (N, C), as the network gives them.
      temperature: makes them what a prediction later says; None leaves them.
      thresholds: (C,) from which on an example has a label, where it may have several.

    Raises:
      UserError: the file cannot be written.
    """
    test, names = dataset.test, dataset.class_names
    files = range(len(test)) if test.paths is None else test.paths
    header = ("index" if test.paths is None else "path", "split", "true", "predicted")
    if dataset.several_labels:
        header = (*header, *names)
        rows = (
            (file, "test", _bars(true, names), _bars(of >= thresholds, names), *map(_digits, of))
            for file, true, of in zip(files, test.labels, probabilities, strict=True)
        )
    else:
        header, said = (*header, "probability"), of_probabilities(probabilities, temperature)
        rows = (
            (file, "test", names[label], names[c], _digits(of[c]))
            for file, label, c, of in zip(
                files, test.labels, said.argmax(axis=1), said, strict=True
            )
        )
    workdir.write_text(TABLE, csv_text([header, *rows]))


def _digits(probability: float) -> str:
    return f"{probability:.{_DIGITS}f}"


def _bars(labels: np.ndarray, names: Sequence[str]) -> str:
    """Returns the names of an example's labels (K,), with bars between them."""
    return "|".join(names[k] for k in np.flatnonzero(labels))
