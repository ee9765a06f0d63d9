"""Sheets of images: that each is a whole PNG of its size, and that the pixels are those given."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from figure_helpers import NAMES, count, examples, pixels
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcls_jax.report import sheets, tiles

GREEN, RED = (46, 125, 79), (179, 48, 42)


# --- predictions


def test_confident_mistakes_by_hand():
    probabilities = np.array([[0.6, 0.4], [0.3, 0.7], [0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    labels = np.array([1, 1, 1, 1, 0])
    np.testing.assert_array_equal(sheets.confident_mistakes(labels, probabilities), [2, 4, 0])


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 40), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_confident_mistakes_are_all_the_mistakes_in_order(n, classes, seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.integers(0, 4, (n, classes)) / 4  # coarse, so that there are ties
    labels = rng.integers(0, classes, n)
    chosen = sheets.confident_mistakes(labels, probabilities).tolist()
    expected = [i for i in range(n) if probabilities[i].argmax() != labels[i]]
    assert chosen == sorted(expected, key=lambda i: (-probabilities[i].max(), i))


@pytest.mark.parametrize(
    ("n", "channels", "size", "shape"),
    [
        (30, 1, 28, (1010, 1800)),  # more than fit: 5 x 5
        (7, 1, 8, (420, 1780)),  # tiles of 17 x 8 = 136 pixels
        (3, 3, 224, (234, 1080)),
    ],
)
def test_prediction_grid(tmp_path, n, channels, size, shape):
    images, labels, probabilities = examples(n, channels=channels, size=size)
    path = tmp_path / "grid.png"
    right = pixels(sheets.prediction_grid(images, labels, probabilities, NAMES, path))
    assert right.shape == (*shape, 3)
    assert count(right, GREEN) > 100
    assert count(right, RED) == 0
    images, labels, probabilities = examples(n, channels=channels, size=size, wrong=(1,))
    wrong = pixels(sheets.prediction_grid(images, labels, probabilities, NAMES, path))
    assert count(wrong, RED) > 1200 + 900  # the bar of 0.8 x 150 x 10 pixels and the frame
    assert count(right, GREEN) - count(wrong, GREEN) > 900 + 1200 * 7 / 8  # the truth keeps 0.1


def test_labels_are_right_or_wrong_each_for_itself(monkeypatch, tmp_path):
    """Given: all that it has; one that it has not; none of its one."""
    probabilities = np.array([[0.9, 0.6, 0.1], [0.9, 0.6, 0.1], [0.2, 0.3, 0.1]])
    labels = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1]])
    seen = {}

    def draw(tiles, entries, *_, **__):
        seen["entries"] = entries

    monkeypatch.setattr(sheets, "draw", draw)
    images = np.zeros((3, 8, 8, 3), np.uint8)
    names = ("red", "wet", "new")
    sheets.label_sheet(images, labels, probabilities, np.full(3, 0.5), names)
    right, wrong, none = (entry.words(names) for entry in seen["entries"])
    assert (right[0], wrong[0], none[0]) == ("red | wet", "red | wet", "no label")
    assert right[1] != wrong[1] == none[1]
    first, second, third = seen["entries"]
    assert [first.color(c, c) for c in range(2)] == [right[1]] * 2
    assert [second.color(c, c) for c in range(2)] == [right[1], wrong[1]]
    assert {third.color(c, c) for c in range(3)}.isdisjoint({right[1], wrong[1]})
    assert [entry.caption for entry in seen["entries"]] == ["red | wet", "red", "new"]


def test_most_confident_mistakes_draws_the_most_confident_first(tmp_path):
    images, labels, probabilities = examples(40, wrong=(3, 11, 17))
    images[17] = 255  # drawn black
    probabilities[17] += np.eye(3)[probabilities[17].argmax()] * 0.1
    path = tmp_path / "mistakes.png"
    picture = pixels(sheets.most_confident_mistakes(images, labels, probabilities, NAMES, path))
    assert picture.shape == (234, 1080, 3)
    black = np.argwhere((picture == 0).all(axis=-1))
    assert len(black) > 130 * 130
    assert np.quantile(black[:, 1], 0.9) < 200  # in the first of three cells


def test_no_mistakes_is_said(tmp_path):
    images, labels, probabilities = examples(5)
    path = tmp_path / "mistakes.png"
    picture = pixels(sheets.most_confident_mistakes(images, labels, probabilities, NAMES, path))
    assert picture.shape == (208, 780, 3)
    assert count(picture, GREEN) > 100


def test_threads_draw_the_same_figure_as_one_alone(tmp_path):
    images, labels, probabilities = examples(3, wrong=(2,))

    def draw(name):
        path = tmp_path / f"{name}.png"
        return sheets.prediction_grid(images, labels, probabilities, NAMES, path).read_bytes()

    alone = draw("alone")
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(draw, range(6))) == {alone}


def test_words_too_wide_for_their_room_lose_letters_but_not_their_end():
    """Eighteen letters took 150 pixels or 300, and so reached over the next image."""
    _, axes = tiles.pixel_figure(np.full((60, 400, 3), 255, np.uint8))
    for words, shortened in (("i" * 18, False), ("M" * 18, True), ("$5 hat", False)):
        tiles.write(axes, 0, 30, words, end=": 12.5%", room=180, fontsize=7.5)
        text = axes.texts[-1]
        assert text.get_window_extent().width <= 180
        shown = text.get_text()
        assert shown.endswith(f"{words[-4:]}: 12.5%")
        assert shown.startswith(words[:4])
        assert ("…" in shown) == shortened


def test_bars_leave_out_classes_that_low_images_have_no_room_for(tmp_path):
    """Bars and words of three classes overlapped beside an image 56 pixels high."""
    images, labels, _ = examples(1, channels=3, size=140)
    probabilities = np.array([[0.5, 0.3, 0.2]])

    def bars(rows):
        """Counts the ends of the bars, which are empty from 50 % on."""
        low, path = images[:, :rows], tmp_path / "sheet.png"
        picture = pixels(sheets.prediction_grid(low, labels, probabilities, NAMES, path))
        empty = (picture[:, 320] == (236, 238, 240)).all(axis=-1)
        return int((np.diff(empty.astype(int)) == 1).sum())

    assert bars(140) == 3
    assert bars(56) == 2


# --- images


def test_display_tiles_turn_grey_dark_on_white_and_keep_pixels_square():
    image = np.array([[0, 255], [100, 30]], np.uint8)[None, :, :, None]
    tile = tiles.display_tiles(image, side=7)[0]
    assert tile.shape == (6, 6, 3)
    np.testing.assert_array_equal(tile[:3, :3], 255)
    np.testing.assert_array_equal(tile[:3, 3:], 0)
    np.testing.assert_array_equal(tile[3:, :3], 155)
    np.testing.assert_array_equal(tile[3:, 3:], 225)


def test_display_tiles_keep_colours_and_shrink_large_images():
    image = np.zeros((1, 300, 600, 3), np.uint8)
    image[..., 1] = 200
    shrunk = tiles.display_tiles(image, side=140)
    assert shrunk.shape == (1, 70, 140, 3)
    np.testing.assert_array_equal(shrunk[0, 35, 70], [0, 200, 0])


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 9), st.integers(1, 4), st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.integers(0, 2),
)  # fmt: skip
def test_mosaic_puts_every_pixel_where_it_belongs(n, columns, offset, spare):
    images = np.random.default_rng(n).integers(0, 255, (n, 3, 2, 3)).astype(np.uint8)
    cell = (offset[0] + 3 + spare, offset[1] + 2 + spare)
    sheet = tiles.mosaic(images, columns, cell=cell, offset=offset)
    assert sheet.shape == (-(-n // columns) * cell[0], columns * cell[1], 3)
    for index, tile in enumerate(images):
        top = index // columns * cell[0] + offset[0]
        left = index % columns * cell[1] + offset[1]
        np.testing.assert_array_equal(sheet[top : top + 3, left : left + 2], tile)
        sheet[top : top + 3, left : left + 2] = 255
    assert (sheet == 255).all()  # nothing anywhere else


def test_sample_row_draws_the_images_exactly(tmp_path):
    images, labels, _ = examples(12)
    picture = pixels(sheets.sample_row(images, labels, NAMES, tmp_path / "row.png"))
    assert picture.shape == (172, 1640, 3)
    for index in (0, 9):
        left = index * 164 + 12
        expected = np.kron(255 - images[index, :, :, 0], np.ones((5, 5), np.uint8))
        np.testing.assert_array_equal(picture[6:146, left : left + 140, 0], expected)


def test_sample_row_of_fewer_images(tmp_path):
    images, labels, _ = examples(3, channels=3)
    assert pixels(sheets.sample_row(images, labels, NAMES, tmp_path / "r.png")).shape[1] == 492


@pytest.mark.parametrize("channels", [1, 3])
def test_sample_image_scale_is_0_to_255_whatever_the_image_holds(tmp_path, channels):
    image = np.full((28, 28, channels), 64, np.uint8)
    image[0, 0] = 200
    picture = pixels(sheets.sample_image(image, NAMES[1], tmp_path / "sample.png"))
    assert picture.shape == (520, 624, 3)
    shade = 255 - 64 if channels == 1 else 64
    assert picture[260, 300].tolist() == pytest.approx([shade] * 3, abs=1)
