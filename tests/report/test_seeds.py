"""Charts of seeds: what is drawn is what was measured, and lies where it belongs."""

import numpy as np
import pytest

from imgcls_jax.report import seeds
from imgcls_jax.report.seeds import Row


@pytest.fixture
def drawn(monkeypatch):
    """Keeps the figures in place of writing them."""
    kept = []
    monkeypatch.setattr(seeds, "finish", lambda figure, path: kept.append(figure) or path)
    return kept


def test_intervals_show_seeds_mean_expectation_and_the_reported_figure(drawn):
    rows = [Row("ours", [1.0, 2.0, 6.0], 4.0, (0.5, 7.0)), Row("other", [5.0], (4.0, 4.5))]
    seeds.intervals(rows, "a.png", title="t", unit="%")
    (axes,) = drawn[0].axes
    lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines]
    assert ([0.5, 7.0], [0, 0]) in lines  # where one more falls
    assert ([3.0], [0]) in lines  # the mean
    assert ([4.0], [0]) in lines
    assert ([4.0, 4.5], [1, 1]) in lines  # a documented range
    points = [collection.get_offsets().tolist() for collection in axes.collections]
    assert points == [[[1, 0], [2, 0], [6, 0]], [[5, 1]]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ours", "other"]
    words = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert words == ["a seed", "mean", "a further seed (95 %)", "documented"]


def test_without_a_reported_figure_none_is_explained(drawn):
    seeds.intervals([Row("ours", [1.0, 2.0], None)], "a.png", title="t", unit="%")
    assert "documented" not in [text.get_text() for text in drawn[0].legends[0].get_texts()]


def test_matrices_show_both_and_ours_less_theirs_true_classes_in_rows(drawn):
    theirs, ours = np.array([[90, 10], [5, 95]]), np.array([[85.0, 15.0], [5.2, 94.8]])
    seeds.matrices(theirs, ours, ("cat", "dog"), "a.png", title="t")
    panels = drawn[0].axes
    texts = [[(t.get_position(), t.get_text()) for t in axes.texts] for axes in panels]
    assert texts[0] == [((0, 0), "90"), ((1, 0), "10"), ((0, 1), "5"), ((1, 1), "95")]
    assert texts[1] == [((0, 0), "85"), ((1, 0), "15"), ((0, 1), "5"), ((1, 1), "95")]
    assert texts[2] == [((0, 0), "-5"), ((1, 0), "+5"), ((0, 1), "0"), ((1, 1), "0")]
    np.testing.assert_array_equal(panels[2].images[0].get_array(), ours - theirs)
    assert (panels[0].get_ylabel(), panels[0].get_xlabel()) == ("True", "Predicted")


def test_curves_are_means_in_bands_from_least_to_most(drawn):
    each = [
        {"train_loss": [1.0, 0.5], "train_accuracy": [0.6, 0.8], "test_accuracy": [0.5, 0.6]},
        {"train_loss": [2.0, 0.7], "train_accuracy": [0.4, 0.6], "test_accuracy": [0.5, 0.7]},
    ]
    seeds.curves(each, "a.png", title="run")
    loss, accuracy = drawn[0].axes
    assert [list(line.get_ydata()) for line in loss.lines] == [[1.5, pytest.approx(0.6)]]
    assert [line.get_label() for line in accuracy.lines] == ["train", "test"]
    assert list(accuracy.lines[1].get_xdata()) == [1, 2]
    edges = loss.collections[0].get_paths()[0].vertices[:, 1]
    assert (edges.min(), edges.max()) == (0.5, 2.0)


def test_figures_against_a_setting(drawn):
    values = {"test": np.array([[1.0, 3.0], [2.0, 5.0]])}
    seeds.against([0.01, 0.1], values, "a.png", labels=("rate", "%"), title="t", log=True)
    (axes,) = drawn[0].axes
    assert [line.get_ydata().tolist() for line in axes.lines] == [[1.5, 4.0]]
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.01", "0.1"]
