"""The figures of a finished run, from its files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax import metrics
from imgcls_jax.data.dataset import Dataset, Split
from imgcls_jax.limits import temperature
from imgcls_jax.report import charts, label_figures, sheets
from imgcls_jax.report.augmentation_sheet import augmentation_sheet
from imgcls_jax.report.reliability import reliability_diagram
from imgcls_jax.report.sheets import overlay, prediction_sheet
from imgcls_jax.workdir import Workdir

_LOOKED_INTO = 12  # photos that saliency is drawn for
_IN_A_ROW = 10


def draw(
    workdir: Workdir, dataset: Dataset, *, grad_cam: Callable[[Any, Any], Any] | None = None
) -> Iterator[str]:
    """Draws a finished run's figures from its files; yields the path of each as it is drawn.

    Args:
      grad_cam: (images uint8 (B, H, W, C), classes (B,)) -> maps (B, h, w) in [0, 1], to draw where
        the network looks; None leaves that out.
    """
    if dataset.several_labels:
        yield from label_figures.draw(workdir, dataset, grad_cam=grad_cam)
        return
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
    of_photos = config.data.of_photos  # in folders they are sorted by class
    count = min(25, len(labels))
    drawn = np.linspace(0, len(labels) - 1, count).astype(int) if of_photos else np.arange(count)
    if history:
        yield str(charts.learning_curves(history, folder / "learning_curves.png"))
    matrix, accuracy = np.asarray(summary["confusion_matrix"]), summary["test_accuracy"]
    title = f"{summary['run']}: test accuracy {accuracy:.4f}"
    yield str(charts.confusion_matrix(matrix, names, folder / "confusion_matrix.png", title=title))
    of = (test.images[drawn], labels[drawn], calibrated[drawn], names)
    yield str(sheets.prediction_grid(*of, folder / "predictions.png"))
    of = (test.images, labels, calibrated, names)
    yield str(sheets.most_confident_mistakes(*of, folder / "mistakes.png", captions=test.paths))
    curves = _calibrations(summary, calibrated, labels)
    yield str(reliability_diagram(curves, folder / "calibration.png"))
    yield from map(str, _samples(train, names, folder, of_photos=of_photos))
    if of_photos:
        yield from map(str, _of_photos(workdir, dataset, labels, probabilities))
        if grad_cam is not None:
            yield str(_saliency(workdir, dataset, labels, calibrated, grad_cam))
    if specs := config.train.augment:
        some = train.images[: len(specs) + 8]
        yield str(augmentation_sheet(some, folder / "augmentation.png", specs=specs))


def _calibrations(
    summary: Mapping[str, Any], calibrated: np.ndarray, labels: np.ndarray
) -> dict[str, Mapping[str, Any]]:
    """Returns the calibration of the predictions, also by the temperature where there is one."""
    if not (known := summary.get("temperature", {}).get("value")):
        return {"the network": summary["calibration"]}
    return {
        f"with temperature {known:.2f}": metrics.calibration(calibrated, labels),
        "without it": summary["calibration"],
    }


def _samples(
    train: Split, names: Sequence[str], folder: Path, *, of_photos: bool
) -> Iterator[Path]:
    """Draws the first training image, and a row: the first ones, or of photos different ones."""
    row = np.arange(min(_IN_A_ROW, len(train)))
    if of_photos:
        row = of_different_classes(train.labels, _IN_A_ROW)
    yield sheets.sample_image(train.images[0], names[train.labels[0]], folder / "sample_image.png")
    yield sheets.sample_row(train.images[row], train.labels[row], names, folder / "sample_row.png")


def of_different_classes(labels: np.ndarray, count: int) -> np.ndarray:
    """Returns up to `count` indices, of as many classes as there are, in the order of the classes.

    Of more classes some are chosen that are spread evenly over them.
    """
    _, first, numbers = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    starts = np.cumsum(np.bincount(numbers)) - np.bincount(numbers)
    place = np.empty(len(labels), int)
    place[order] = np.arange(len(labels)) - starts[numbers[order]]  # among those of its class
    if len(first) >= count:
        return first[np.linspace(0, len(first) - 1, count).astype(int)]
    chosen = np.lexsort((numbers, place))[:count]
    return chosen[np.argsort(numbers[chosen], kind="stable")]


def _of_photos(workdir: Workdir, dataset: Dataset, labels, probabilities) -> Iterator[Path]:
    """Draws the figures that unbalanced classes ask for."""
    names, folder = dataset.class_names, workdir.figures
    counts = {
        name: np.bincount(split.labels, minlength=len(names))
        for name, split in dataset.splits.items()
    }
    yield charts.class_counts(counts, names, folder / "class_counts.png")
    of = (labels, probabilities, names)
    yield charts.precision_recall(*of, folder / "precision_recall.png")
    yield charts.roc(*of, folder / "roc.png")


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
    )
