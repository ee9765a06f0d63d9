"""Figures: that each is a whole PNG of its size, and that what is drawn is what was given."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imgcls_jax import metrics, plots
from imgcls_jax.errors import UserError

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
NAMES = ["T-shirt/top", "a $5 hat", "a class with an exceedingly long name that goes on"]
DARKEST = (8, 48, 107)  # the end of the Blues colour map
GREEN, RED = (46, 125, 79), (179, 48, 42)


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def count(picture: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((picture == color).all(axis=-1).sum())


def examples(n: int, *, channels: int = 1, size: int = 28, wrong: tuple[int, ...] = ()):
    """Images, labels and probabilities of three classes; right but for the positions in `wrong`."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, size, size, channels), np.uint8)
    labels = rng.integers(0, 3, n)
    probabilities = np.full((n, 3), 0.1)
    predicted = np.where(np.isin(np.arange(n), wrong), (labels + 1) % 3, labels)
    probabilities[np.arange(n), predicted] = 0.8
    return images, labels, probabilities


# --- learning curves


def test_best_epoch_is_the_earliest_of_the_highest_validation_accuracies():
    assert plots.best_epoch(HISTORY) == (2, 0.85)
    assert plots.best_epoch(HISTORY[3:]) == (4, 0.8)
    assert plots.best_epoch([{"epoch": 1, "train_loss": 1.0, "train_accuracy": 0.5}]) is None


def test_best_epoch_ignores_epochs_without_a_number():
    gaps = [{"epoch": 1, "validation_accuracy": float("nan")}, {"epoch": 2}, HISTORY[2]]
    assert plots.best_epoch(gaps) == (3, 0.85)


@pytest.mark.parametrize("epochs", [1, 4])
def test_learning_curves(tmp_path, epochs):
    path = plots.learning_curves(HISTORY[:epochs], tmp_path / "figures" / "curves.png")
    assert path == tmp_path / "figures" / "curves.png"
    picture = pixels(path)
    assert picture.shape == (546, 1352, 3)
    for side in (picture[:, :676], picture[80:, 676:]):  # below the legend on the right
        assert count(side, (31, 90, 148)) > 20  # train
        assert count(side, (217, 102, 31)) > 20  # validation


def test_learning_curves_without_validation_and_with_a_schedule(tmp_path):
    history = [
        {"epoch": e, "train_loss": 1 / e, "train_accuracy": 0.5, "learning_rate": 0.1 / e}
        for e in (1, 2, 3)
    ]
    picture = pixels(plots.learning_curves(history, tmp_path / "curves.png"))
    assert picture.shape == (546, 2028, 3)  # a third panel
    assert count(picture, (217, 102, 31)) == 0


# --- confusion matrix


def test_confusion_matrix_has_true_classes_in_rows_and_normalises_them(tmp_path):
    def darkest_cell(cm):
        path = plots.confusion_matrix(np.array(cm), ["a", "b", "c"], tmp_path / "cm.png")
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
    picture = pixels(plots.confusion_matrix(cm, names, tmp_path / "cm.png", title="x" * 40))
    height, width = picture.shape[:2]
    assert max(height, width) < 2000
    assert min(height, width) > 400
    for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
        assert (edge == 255).all()  # nothing runs over the border


# --- predictions


def test_confident_mistakes_by_hand():
    probabilities = np.array([[0.6, 0.4], [0.3, 0.7], [0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    labels = np.array([1, 1, 1, 1, 0])
    np.testing.assert_array_equal(plots.confident_mistakes(labels, probabilities), [2, 4, 0])


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 40), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_confident_mistakes_are_all_the_mistakes_in_order(n, classes, seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.integers(0, 4, (n, classes)) / 4  # coarse, so that there are ties
    labels = rng.integers(0, classes, n)
    chosen = plots.confident_mistakes(labels, probabilities).tolist()
    expected = [i for i in range(n) if probabilities[i].argmax() != labels[i]]
    assert chosen == sorted(expected, key=lambda i: (-probabilities[i].max(), i))


@pytest.mark.parametrize(
    ("n", "channels", "size", "shape"),
    [
        (30, 1, 28, (1020, 1690)),  # more than fit: 5 x 5
        (7, 1, 8, (424, 1670)),  # tiles of 17 x 8 = 136 pixels
        (3, 3, 224, (236, 1014)),
    ],
)
def test_prediction_grid(tmp_path, n, channels, size, shape):
    images, labels, probabilities = examples(n, channels=channels, size=size)
    path = tmp_path / "grid.png"
    right = pixels(plots.prediction_grid(images, labels, probabilities, NAMES, path))
    assert right.shape == (*shape, 3)
    assert count(right, GREEN) > 100
    assert count(right, RED) == 0
    images, labels, probabilities = examples(n, channels=channels, size=size, wrong=(1,))
    wrong = pixels(plots.prediction_grid(images, labels, probabilities, NAMES, path))
    assert count(wrong, RED) > 1168 + 900  # the bar of 0.8 x 146 x 10 pixels and the frame
    assert count(right, GREEN) - count(wrong, GREEN) > 900 + 1168 * 7 / 8  # the truth keeps 0.1


def test_most_confident_mistakes_draws_the_most_confident_first(tmp_path):
    images, labels, probabilities = examples(40, wrong=(3, 11, 17))
    images[17] = 255  # drawn black
    probabilities[17] += np.eye(3)[probabilities[17].argmax()] * 0.1
    path = tmp_path / "mistakes.png"
    picture = pixels(plots.most_confident_mistakes(images, labels, probabilities, NAMES, path))
    assert picture.shape == (236, 1014, 3)
    black = np.argwhere((picture == 0).all(axis=-1))
    assert len(black) > 130 * 130
    assert np.quantile(black[:, 1], 0.9) < 200  # in the first of three cells


def test_no_mistakes_is_said(tmp_path):
    images, labels, probabilities = examples(5)
    path = tmp_path / "mistakes.png"
    picture = pixels(plots.most_confident_mistakes(images, labels, probabilities, NAMES, path))
    assert picture.shape == (208, 780, 3)
    assert count(picture, GREEN) > 100


# --- images


def test_display_tiles_turn_grey_dark_on_white_and_keep_pixels_square():
    image = np.array([[0, 255], [100, 30]], np.uint8)[None, :, :, None]
    tile = plots.display_tiles(image, side=7)[0]
    assert tile.shape == (6, 6, 3)
    np.testing.assert_array_equal(tile[:3, :3], 255)
    np.testing.assert_array_equal(tile[:3, 3:], 0)
    np.testing.assert_array_equal(tile[3:, :3], 155)
    np.testing.assert_array_equal(tile[3:, 3:], 225)


def test_display_tiles_keep_colours_and_shrink_large_images():
    image = np.zeros((1, 300, 600, 3), np.uint8)
    image[..., 1] = 200
    tiles = plots.display_tiles(image, side=140)
    assert tiles.shape == (1, 70, 140, 3)
    np.testing.assert_array_equal(tiles[0, 35, 70], [0, 200, 0])


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 9), st.integers(1, 4), st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.integers(0, 2),
)  # fmt: skip
def test_mosaic_puts_every_pixel_where_it_belongs(n, columns, offset, spare):
    tiles = np.random.default_rng(n).integers(0, 255, (n, 3, 2, 3)).astype(np.uint8)
    cell = (offset[0] + 3 + spare, offset[1] + 2 + spare)
    sheet = plots.mosaic(tiles, columns, cell=cell, offset=offset)
    assert sheet.shape == (-(-n // columns) * cell[0], columns * cell[1], 3)
    for index, tile in enumerate(tiles):
        top = index // columns * cell[0] + offset[0]
        left = index % columns * cell[1] + offset[1]
        np.testing.assert_array_equal(sheet[top : top + 3, left : left + 2], tile)
        sheet[top : top + 3, left : left + 2] = 255
    assert (sheet == 255).all()  # nothing anywhere else


def test_sample_row_draws_the_images_exactly(tmp_path):
    images, labels, _ = examples(12)
    picture = pixels(plots.sample_row(images, labels, NAMES, tmp_path / "row.png"))
    assert picture.shape == (172, 1640, 3)
    for index in (0, 9):
        left = index * 164 + 12
        expected = np.kron(255 - images[index, :, :, 0], np.ones((5, 5), np.uint8))
        np.testing.assert_array_equal(picture[6:146, left : left + 140, 0], expected)


def test_sample_row_of_fewer_images(tmp_path):
    images, labels, _ = examples(3, channels=3)
    assert pixels(plots.sample_row(images, labels, NAMES, tmp_path / "r.png")).shape[1] == 492


@pytest.mark.parametrize("channels", [1, 3])
def test_sample_image_scale_is_0_to_255_whatever_the_image_holds(tmp_path, channels):
    image = np.full((28, 28, channels), 64, np.uint8)
    image[0, 0] = 200
    picture = pixels(plots.sample_image(image, NAMES[1], tmp_path / "sample.png"))
    assert picture.shape == (520, 624, 3)
    shade = 255 - 64 if channels == 1 else 64
    assert picture[260, 300].tolist() == pytest.approx([shade] * 3, abs=1)


def test_reliability_diagram_of_what_metrics_returns(tmp_path):
    _, labels, probabilities = examples(50, wrong=(1, 2))
    calibration = metrics.calibration(probabilities, labels)
    picture = pixels(plots.reliability_diagram(calibration, tmp_path / "reliability.png"))
    assert picture.shape == (598, 624, 3)
    # One bin, confidence 0.8 and accuracy 0.96, so one dot: upper right.
    dots = np.argwhere((picture[:, 400:] == (31, 90, 148)).all(axis=-1))
    assert len(dots) > 300
    assert np.ptp(dots, axis=0).max() < 50
    assert np.median(dots[:, 0]) < 120


def test_reliability_diagram_draws_through_empty_bins(tmp_path):
    def bin(count, confidence, accuracy):
        return {"count": count, "confidence": confidence, "accuracy": accuracy}

    calibration = {"ece": 0.0, "bins": [bin(5, 0.2, 0.2), bin(0, None, None), bin(5, 0.8, 0.8)]}
    picture = pixels(plots.reliability_diagram(calibration, tmp_path / "reliability.png"))
    assert count(picture[280:320, 300:360], (31, 90, 148)) > 10  # the line between the two dots


@pytest.mark.parametrize(
    ("text", "length", "expected"),
    [("Bag", 3, "Bag"), ("Ankle boot", 7, "Ankle…"), ("Pullover", 5, "Pull…")],
)
def test_shorten(text, length, expected):
    assert plots.shorten(text, length) == expected


# --- files


def test_a_failed_write_leaves_the_earlier_figure_and_nothing_else(tmp_path, monkeypatch):
    path = plots.learning_curves(HISTORY, tmp_path / "curves.png")
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match=r"curves\.png \(No space left on device\)"):
        plots.learning_curves(HISTORY[:1], path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["curves.png"]


def test_a_folder_that_cannot_be_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write the figure"):
        plots.learning_curves(HISTORY, tmp_path / "file" / "curves.png")


def test_threads_draw_the_same_figure_as_one_alone(tmp_path):
    images, labels, probabilities = examples(3, wrong=(2,))

    def draw(name):
        path = tmp_path / f"{name}.png"
        return plots.prediction_grid(images, labels, probabilities, NAMES, path).read_bytes()

    alone = draw("alone")
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(draw, range(6))) == {alone}


def test_importing_is_light_and_drawing_does_not_touch_pyplot(tmp_path):
    code = (
        "import sys\n"
        "from imgcls_jax import plots\n"
        "assert 'matplotlib' not in sys.modules and 'jax' not in sys.modules\n"
        "plots.learning_curves([{'epoch': 1, 'train_loss': 1, 'train_accuracy': 0}], 'a.png')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    assert pixels(tmp_path / "a.png").shape == (546, 1352, 3)
