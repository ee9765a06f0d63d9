"""The figures of a finished run on photos that may have several labels each, from its files."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.data.dataset import Dataset, class_counts
from imgcls_jax.report import charts, sheets
from imgcls_jax.report.augmentation_sheet import augmentation_sheet
from imgcls_jax.report.cells import joined
from imgcls_jax.report.sheets import overlay
from imgcls_jax.workdir import Workdir

_SHOWN, _LOOKED_INTO = 24, 12  # photos drawn with predictions, and with saliency


def draw(
    workdir: Workdir, dataset: Dataset, *, grad_cam: Callable[[Any, Any], Any] | None = None
) -> Iterator[str]:
    """Draws what several labels per photo leave a meaning; yields each path as it is drawn.

    There is no confusion matrix and no reliability diagram: those are of one class per photo.

    Args:
      grad_cam: as `run_figures.draw` has it.
    """
    predictions, history = workdir.read_arrays("predictions.npz"), workdir.history()
    labels, probabilities = predictions["labels"], predictions["probabilities"]
    names, train = dataset.class_names, dataset.train
    folder = workdir.make_figures()
    if history:
        yield str(charts.learning_curves(history, folder / "learning_curves.png"))
    counts = {name: class_counts(of.labels, len(names)) for name, of in dataset.splits.items()}
    of = (labels, probabilities, names)
    yield str(charts.precision_recall(*of, folder / "precision_recall.png"))
    yield str(charts.roc(*of, folder / "roc.png"))
    examples = {name: len(of) for name, of in dataset.splits.items()}
    yield str(charts.class_counts(counts, names, folder / "class_counts.png", photos=examples))
    found = [of["threshold"] for of in workdir.summary()["per_class"].values()]
    sheet = (dataset, labels, probabilities, np.array(found))
    yield str(_sheet(*sheet, folder / "predictions.png", most=_SHOWN))
    first = joined(train.labels[0], names)
    yield str(sheets.sample_image(train.images[0], first, folder / "sample_image.png"))
    if grad_cam is not None:
        path = folder / "saliency.png"
        yield str(_sheet(*sheet, path, most=_LOOKED_INTO, grad_cam=grad_cam))
    if specs := workdir.config().train.augment:
        some = train.images[: len(specs) + 8]
        yield str(augmentation_sheet(some, folder / "augmentation.png", specs=specs))


def _sheet(
    dataset: Dataset,
    labels: np.ndarray,
    probabilities: np.ndarray,
    thresholds: np.ndarray,
    path: Path,
    *,
    most: int,
    grad_cam: Callable[[Any, Any], Any] | None = None,
) -> Path:
    """Draws test photos, spread evenly, under the labels they are given, above their own."""
    shown = np.linspace(0, len(labels) - 1, min(most, len(labels))).astype(int)
    images, chosen, overlays = dataset.test.images[shown], probabilities[shown], None
    title = "Predictions, above the true labels"
    if grad_cam is not None:
        cams = np.asarray(grad_cam(images, chosen.argmax(axis=1)))
        overlays = np.stack([overlay(*pair) for pair in zip(images, cams, strict=True)])
        title = "Where the network looks for the likeliest label (Grad-CAM), above the true labels"
    of = (images, labels[shown], chosen, thresholds, dataset.class_names)
    return sheets.label_sheet(*of, path, overlays=overlays, title=title)
