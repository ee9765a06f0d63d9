"""The figures of a finished run, from its files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.data.dataset import Dataset
from imgcls_jax.limits import temperature
from imgcls_jax.report import charts, label_figures, sheets
from imgcls_jax.report.augmentation_sheet import augmentation_sheet
from imgcls_jax.report.sheets import overlay, prediction_sheet
from imgcls_jax.workdir import Workdir

_LOOKED_INTO = 12  # photos that saliency is drawn for


def draw(
    workdir: Workdir, dataset: Dataset, *, grad_cam: Callable[[Any, Any], Any] | None = None
) -> list[str]:
    """Draws a finished run's figures from its files; returns their paths.

    Args:
      grad_cam: (images uint8 (B, H, W, C), classes (B,)) -> maps (B, h, w) in [0, 1], to draw where
        the network looks; None leaves that out.
    """
    if dataset.several_labels:
        return label_figures.draw(workdir, dataset, grad_cam=grad_cam)
    summary = workdir.summary()
    predictions = workdir.read_arrays("predictions.npz")
    labels, probabilities = predictions["labels"], predictions["probabilities"]
    names, test, train = dataset.class_names, dataset.test, dataset.train
    calibrated = temperature.of_probabilities(
        probabilities, summary.get("temperature", {}).get("value")
    )
    history = workdir.history()
    folder = workdir.make_figures()
    config = workdir.config()
    drawn = np.arange(min(25, len(labels)))
    if config.data.dataset == "folder":  # sorted by class
        drawn = np.linspace(0, len(labels) - 1, len(drawn)).astype(int)
    paths = []
    if history:
        paths.append(charts.learning_curves(history, folder / "learning_curves.png"))
    accuracy = summary["test_accuracy"]
    paths += [
        charts.confusion_matrix(
            np.asarray(summary["confusion_matrix"]),
            names,
            folder / "confusion_matrix.png",
            title=f"{summary['run']}: test accuracy {accuracy:.4f}",
        ),
        sheets.prediction_grid(
            test.images[drawn],
            labels[drawn],
            calibrated[drawn],
            names,
            folder / "predictions.png",
        ),
        sheets.most_confident_mistakes(
            test.images, labels, calibrated, names, folder / "mistakes.png"
        ),
        charts.reliability_diagram(summary["calibration"], folder / "calibration.png"),
        sheets.sample_image(train.images[0], names[train.labels[0]], folder / "sample_image.png"),
        sheets.sample_row(train.images, train.labels, names, folder / "sample_row.png"),
    ]
    if config.data.dataset == "folder":
        paths += _of_photos(workdir, dataset, labels, probabilities)
        if grad_cam is not None:
            paths.append(_saliency(workdir, dataset, labels, calibrated, grad_cam))
    if specs := config.train.augment:
        paths.append(
            augmentation_sheet(
                train.images[: len(specs) + 8], folder / "augmentation.png", specs=specs
            )
        )
    return [str(path) for path in paths]


def _of_photos(workdir: Workdir, dataset: Dataset, labels, probabilities) -> list[Path]:
    """Draws the figures that unbalanced classes ask for."""
    names, folder = dataset.class_names, workdir.figures
    counts = {
        name: np.bincount(split.labels, minlength=len(names))
        for name, split in dataset.splits.items()
    }
    return [
        charts.class_counts(counts, names, folder / "class_counts.png"),
        charts.precision_recall(labels, probabilities, names, folder / "precision_recall.png"),
        charts.roc(labels, probabilities, names, folder / "roc.png"),
    ]


def _saliency(workdir: Workdir, dataset: Dataset, labels, probabilities, grad_cam) -> Path:
    """Draws where the network looks."""
    shown = np.linspace(0, len(labels) - 1, min(_LOOKED_INTO, len(labels))).astype(int)
    images, chosen, names = dataset.test.images[shown], probabilities[shown], dataset.class_names
    cams = np.asarray(grad_cam(images, chosen.argmax(axis=1)))
    return prediction_sheet(
        images,
        chosen,
        names,
        [names[label] for label in labels[shown]],
        workdir.figures / "saliency.png",
        overlays=np.stack([overlay(*pair) for pair in zip(images, cams, strict=True)]),
        title="Where the network looks (Grad-CAM), above the true class",
        columns=2,
    )
