"""The figures of a finished run, from its files."""

import numpy as np

from imgcls_jax import plots, sheets
from imgcls_jax.augmentation_sheet import augmentation_sheet
from imgcls_jax.data import Dataset
from imgcls_jax.workdir import Workdir


def draw(workdir: Workdir, dataset: Dataset) -> list[str]:
    """Draws a finished run's figures from its files; returns their paths."""
    summary = workdir.summary()
    predictions = workdir.read_arrays("predictions.npz")
    labels, probabilities = predictions["labels"], predictions["probabilities"]
    names, test, train = dataset.class_names, dataset.test, dataset.train
    history = workdir.history()
    folder = workdir.make_figures()
    paths = []
    if history:
        paths.append(plots.learning_curves(history, folder / "learning_curves.png"))
    accuracy = summary["test_accuracy"]
    paths += [
        plots.confusion_matrix(
            np.asarray(summary["confusion_matrix"]),
            names,
            folder / "confusion_matrix.png",
            title=f"{summary['run']}: test accuracy {accuracy:.4f}",
        ),
        sheets.prediction_grid(
            test.images, labels, probabilities, names, folder / "predictions.png"
        ),
        sheets.most_confident_mistakes(
            test.images, labels, probabilities, names, folder / "mistakes.png"
        ),
        plots.reliability_diagram(summary["calibration"], folder / "calibration.png"),
        sheets.sample_image(train.images[0], names[train.labels[0]], folder / "sample_image.png"),
        sheets.sample_row(train.images, train.labels, names, folder / "sample_row.png"),
    ]
    if specs := workdir.config().augment:
        paths.append(
            augmentation_sheet(
                train.images[: len(specs) + 8], folder / "augmentation.png", specs=specs
            )
        )
    return [str(path) for path in paths]
