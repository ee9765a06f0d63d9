"""The figures of a finished run on photos that may have several labels each, from its files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.data.dataset import Dataset, class_counts
from imgcls_jax.report import charts, sheets
from imgcls_jax.report.augmentation_sheet import augmentation_sheet
from imgcls_jax.report.sheets import overlay, prediction_sheet
from imgcls_jax.workdir import Workdir

_SHOWN, _LOOKED_INTO = 24, 12  # photos drawn with predictions, and with saliency


def draw(
    workdir: Workdir, dataset: Dataset, *, grad_cam: Callable[[Any, Any], Any] | None = None
) -> list[str]:
    """Draws what several labels per photo leave a meaning; returns the figures' paths.

    There is no confusion matrix and no reliability diagram: those are of one class per photo.

    Args:
      grad_cam: as `run_figures.draw` has it.
    """
    predictions, history = workdir.read_arrays("predictions.npz"), workdir.history()
    labels, probabilities = predictions["labels"], predictions["probabilities"]
    names, train = dataset.class_names, dataset.train
    folder, paths = workdir.make_figures(), []
    if history:
        paths.append(charts.learning_curves(history, folder / "learning_curves.png"))
    counts = {name: class_counts(of.labels, len(names)) for name, of in dataset.splits.items()}
    first = words(train.labels[0], names)
    paths += [
        charts.precision_recall(labels, probabilities, names, folder / "precision_recall.png"),
        charts.roc(labels, probabilities, names, folder / "roc.png"),
        charts.class_counts(counts, names, folder / "class_counts.png"),
        _sheet(dataset, labels, probabilities, folder / "predictions.png", most=_SHOWN),
        sheets.sample_image(train.images[0], first, folder / "sample_image.png"),
    ]
    if grad_cam is not None:
        of = {"most": _LOOKED_INTO, "grad_cam": grad_cam}
        paths.append(_sheet(dataset, labels, probabilities, folder / "saliency.png", **of))
    if specs := workdir.config().train.augment:
        some = train.images[: len(specs) + 8]
        paths.append(augmentation_sheet(some, folder / "augmentation.png", specs=specs))
    return [str(path) for path in paths]


def words(labels: np.ndarray, names: tuple[str, ...]) -> str:
    """Returns the names of an example's labels (K,) of 0 and 1, with bars between them."""
    return " | ".join(names[label] for label in np.flatnonzero(labels)) or "no label"


def _sheet(
    dataset: Dataset,
    labels: np.ndarray,
    probabilities: np.ndarray,
    path: Path,
    *,
    most: int,
    grad_cam: Callable[[Any, Any], Any] | None = None,
) -> Path:
    """Draws test photos, spread evenly, above their true labels and beside the likeliest ones."""
    shown = np.linspace(0, len(labels) - 1, min(most, len(labels))).astype(int)
    images, chosen, overlays = dataset.test.images[shown], probabilities[shown], None
    if grad_cam is not None:
        cams = np.asarray(grad_cam(images, chosen.argmax(axis=1)))
        overlays = np.stack([overlay(*pair) for pair in zip(images, cams, strict=True)])
    title = "Predictions, above the true labels"
    looks = "Where the network looks for the likeliest label (Grad-CAM), above the true labels"
    return prediction_sheet(
        images,
        chosen,
        dataset.class_names,
        [words(row, dataset.class_names) for row in labels[shown]],
        path,
        overlays=overlays,
        title=title if overlays is None else looks,
        columns=4 if overlays is None else 2,
    )
