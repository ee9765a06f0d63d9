"""What all figures share: files written whole or not at all, names cut to length."""

import os

import numpy as np
import pytest
from figure_helpers import pixels
from matplotlib.figure import Figure

from imgcls_jax.errors import UserError
from imgcls_jax.report import charts, figure


def test_missing_folders_are_made(tmp_path):
    path = tmp_path / "a" / "b" / "figure.png"
    assert figure.save(figure.new_figure(2, 1), path) == path
    assert pixels(path).shape == (130, 260, 3)


def test_a_failed_write_leaves_the_earlier_figure_and_nothing_else(tmp_path, monkeypatch):
    path = figure.save(figure.new_figure(1, 1), tmp_path / "curves.png")
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match=r"curves\.png \(No space left on device\)"):
        figure.save(figure.new_figure(2, 2), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["curves.png"]


def test_a_folder_that_cannot_be_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        figure.save(figure.new_figure(1, 1), tmp_path / "file" / "curves.png")


@pytest.mark.parametrize(
    ("text", "length", "expected"),
    [("Bag", 3, "Bag"), ("Ankle boot", 7, "Ank…oot"), ("Pullover", 5, "Pu…er")],
)
def test_shorten(text, length, expected):
    assert figure.shorten(text, length) == expected


def test_without_a_path_a_figure_is_handed_out_and_shows_itself(tmp_path):
    """As the last line of a notebook's cell: the same pixels as the file."""
    drawn = charts.confusion_matrix(np.eye(2, dtype=int), ("하나", "two"))
    assert isinstance(drawn, Figure)
    (tmp_path / "shown.png").write_bytes(drawn._repr_png_())
    path = charts.confusion_matrix(np.eye(2, dtype=int), ("하나", "two"), tmp_path / "kept.png")
    assert np.array_equal(pixels(tmp_path / "shown.png"), pixels(path))
