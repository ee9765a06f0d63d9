"""Charts: that each is a whole PNG of its size, and that what is drawn is what was given."""

import subprocess
import sys

import numpy as np
import pytest
from figure_helpers import NAMES, count, examples, pixels

from imgcls_jax import metrics
from imgcls_jax.report import charts
from imgcls_jax.report.reliability import reliability_diagram

HISTORY = [
    {
        "epoch": epoch,
        "train_loss": 1 / epoch,
        "train_accuracy": 1 - 0.25 / epoch,
        "validation_loss": 1.1 / epoch,
        "validation_accuracy": [0.7, 0.85, 0.85, 0.8][epoch - 1],
        "learning_rate": 0.001,
    }
    for epoch in range(1, 5)
]
DARKEST = (8, 48, 107)  # the end of the Blues colour map


# --- learning curves


def test_best_epoch_is_the_earliest_of_the_highest_validation_accuracies():
    assert charts.best_epoch(HISTORY) == (2, 0.85)
    assert charts.best_epoch(HISTORY[3:]) == (4, 0.8)
    assert charts.best_epoch([{"epoch": 1, "train_loss": 1.0, "train_accuracy": 0.5}]) is None


def test_best_epoch_ignores_epochs_without_a_number():
    gaps = [{"epoch": 1, "validation_accuracy": float("nan")}, {"epoch": 2}, HISTORY[2]]
    assert charts.best_epoch(gaps) == (3, 0.85)


@pytest.mark.parametrize("epochs", [1, 4])
def test_learning_curves(tmp_path, epochs):
    path = charts.learning_curves(HISTORY[:epochs], tmp_path / "figures" / "curves.png")
    assert path == tmp_path / "figures" / "curves.png"
    picture = pixels(path)
    assert picture.shape == (546, 1352, 3)
    for side in (picture[:, :676], picture[80:, 676:]):  # below the legend on the right
        assert count(side, (31, 90, 148)) > 20  # train
        assert count(side, (217, 102, 31)) > 20  # validation


def test_a_watched_test_set_has_a_line_of_its_own(tmp_path):
    history = [{k.replace("validation", "test"): v for k, v in row.items()} for row in HISTORY]
    image = pixels(charts.learning_curves(history, tmp_path / "a.png"))
    assert count(image, (46, 125, 79)) > 20  # test
    assert count(image, (217, 102, 31)) == 0  # validation


def test_learning_curves_without_validation_and_with_a_schedule(tmp_path):
    history = [
        {"epoch": e, "train_loss": 1 / e, "train_accuracy": 0.5, "learning_rate": 0.1 / e}
        for e in (1, 2, 3)
    ]
    picture = pixels(charts.learning_curves(history, tmp_path / "curves.png"))
    assert picture.shape == (546, 2028, 3)  # a third panel
    assert count(picture, (217, 102, 31)) == 0


# --- confusion matrix


def test_confusion_matrix_has_true_classes_in_rows_and_normalises_them(tmp_path):
    def darkest_cell(cm):
        path = charts.confusion_matrix(np.array(cm), ["a", "b", "c"], tmp_path / "cm.png")
        return np.median(np.argwhere((pixels(path) == DARKEST).all(axis=-1)), axis=0)

    # Each has one row whose examples all went to one class: that cell alone is darkest, though
    # the other rows' counts are larger.
    top, right = darkest_cell([[0, 0, 4], [50, 50, 50], [50, 50, 50]])
    bottom, left = darkest_cell([[50, 50, 50], [50, 50, 50], [4, 0, 0]])
    assert bottom - top > 100
    assert right - left > 100


@pytest.mark.parametrize("classes", [1, 2, 25, 100, 130])
def test_confusion_matrix_of_any_size(tmp_path, classes):
    cm = np.eye(classes, dtype=int) * 1000
    cm[0] = 0  # a class without examples
    names = [NAMES[i % 3] for i in range(classes)]
    picture = pixels(charts.confusion_matrix(cm, names, tmp_path / "cm.png", title="x" * 40))
    height, width = picture.shape[:2]
    assert max(height, width) < 2000
    assert min(height, width) > 400
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert (edge == 255).all()  # nothing runs over the border


# --- calibration


def test_reliability_diagram_of_what_metrics_returns(tmp_path):
    _, labels, probabilities = examples(50, wrong=(1, 2))
    calibration = metrics.calibration(probabilities, labels)
    picture = pixels(reliability_diagram({"a": calibration}, tmp_path / "reliability.png"))
    assert picture.shape == (663, 624, 3)
    # One bin, confidence 0.8 and accuracy 0.96, so one dot: upper right.
    dots = np.argwhere((picture[:, 400:] == (31, 90, 148)).all(axis=-1))
    assert len(dots) > 300
    assert np.ptp(dots, axis=0).max() < 50
    assert np.median(dots[:, 0]) < 120


def test_reliability_diagram_draws_through_empty_bins(tmp_path):
    def bin(count, confidence, accuracy):
        return {"count": count, "confidence": confidence, "accuracy": accuracy}

    calibration = {"ece": 0.0, "bins": [bin(5, 0.2, 0.2), bin(0, None, None), bin(5, 0.8, 0.8)]}
    picture = pixels(reliability_diagram({"a": calibration}, tmp_path / "reliability.png"))
    assert count(picture[280:320, 300:360], (31, 90, 148)) > 10  # the line between the two dots


# --- imports


def test_importing_is_light_and_drawing_does_not_touch_pyplot(tmp_path):
    code = (
        "import sys\n"
        "from imgcls_jax.report import charts, sheets\n"
        "assert 'matplotlib' not in sys.modules\n"
        "charts.learning_curves([{'epoch': 1, 'train_loss': 1, 'train_accuracy': 0}], 'a.png')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    assert pixels(tmp_path / "a.png").shape == (546, 1352, 3)
