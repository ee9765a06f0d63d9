"""The predictions of a finished run, example by example, as a table that a person opens."""

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
) -> None:
    """Writes `predictions.csv`, a row for each example of the test set in its order.

    Its columns are `path`, relative to the folder of the photos, or `index` where the examples are
    no files; `split`; the names of the classes `true` and `predicted`; and `probability`, that of
    the predicted class.

    Args:
      probabilities: (N, C), as the network gives them.
      temperature: makes them what a prediction later says; None leaves them.

    Raises:
      UserError: the file cannot be written.
    """
    test, names = dataset.test, dataset.class_names
    files = range(len(test)) if test.paths is None else test.paths
    said = of_probabilities(probabilities, temperature)
    chosen = said.argmax(axis=1)
    header = ("index" if test.paths is None else "path", "split", "true", "predicted")
    rows = (
        (file, "test", names[label], names[c], f"{of[c]:.{_DIGITS}f}")
        for file, label, c, of in zip(files, test.labels, chosen, said, strict=True)
    )
    workdir.write_text(TABLE, csv_text([(*header, "probability"), *rows]))
