"""What figures say: their words, their names and their points, read from the figure itself."""

import types

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

from imgcls_jax.config import Config
from imgcls_jax.report import charts, run_figures, sheets

NAMES = ["ape", "bee", "cow"]


@pytest.fixture
def drawn(monkeypatch):
    """The figures in place of their files."""
    figures = []
    for module in (charts, sheets):
        monkeypatch.setattr(module, "save", lambda figure, path: figures.append(figure) or path)
    return figures


def test_counts_stand_in_the_row_of_the_truth(drawn):
    counts = np.array([[5, 1, 0], [2, 7, 3], [0, 4, 9]])
    charts.confusion_matrix(counts, NAMES, "cm.png")
    axes = drawn[0].axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted", "True")
    found = {text.get_position(): int(text.get_text()) for text in axes.texts}
    assert found == {(column, row): counts[row, column] for row, column in np.ndindex(3, 3)}
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == NAMES
    shares = axes.images[0].get_array()
    np.testing.assert_allclose(shares, counts / counts.sum(axis=1, keepdims=True))


def test_bars_have_the_names_of_their_classes(drawn):
    charts.class_counts({"train": [3, 9, 6], "test": [1, 2, 8]}, NAMES, "counts.png")
    axes = drawn[0].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cow", "bee", "ape"]
    train, test = axes.containers
    assert [bar.get_width() for bar in train] == [6, 9, 3]
    assert [bar.get_width() for bar in test] == [8, 2, 1]
    assert [text.get_text() for text in axes.texts] == ["14", "11", "4"]


@pytest.mark.parametrize(
    ("draw", "words", "curve"),
    [
        (charts.roc, ("False positive rate", "True positive rate"), roc_curve),
        (charts.precision_recall, ("Recall", "Precision"), precision_recall_curve),
    ],
)
def test_curves_have_their_axes(drawn, draw, words, curve):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    probabilities = rng.dirichlet(np.ones(3), 60)
    probabilities[:, 2] += labels == 2  # the best class, and so the last curve
    draw(labels, probabilities, NAMES, "curve.png")
    axes = drawn[0].axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == words
    first, second, _ = curve(labels == 2, probabilities[:, 2])
    expected = (first, second) if draw is charts.roc else (second, first)
    np.testing.assert_allclose(axes.lines[-1].get_data(), expected)


def test_mistakes_are_told_by_their_own_truth(drawn, monkeypatch):
    seen = {}
    monkeypatch.setattr(sheets, "_draw", lambda tiles, entries, *_, **__: seen.update(at=entries))
    labels = np.array([0, 1, 2, 2])
    probabilities = np.array([[0.9, 0.1, 0], [0.6, 0.4, 0], [0, 0.1, 0.9], [0, 0.7, 0.3]])
    sheets.most_confident_mistakes(
        np.zeros((4, 4, 4, 1), np.uint8), labels, probabilities, NAMES, ""
    )
    assert [int(entry.truth) for entry in seen["at"]] == [2, 1]
    np.testing.assert_array_equal([e.probabilities for e in seen["at"]], probabilities[[3, 1]])


class Calls:
    """Stands in for a module; keeps the arguments of every call, which returns a name."""

    def __init__(self):
        self.made = {}

    def __getattr__(self, name):
        return lambda *arguments, **_: self.made.update({name: arguments}) or name


def test_a_runs_photos_stand_beside_their_own_predictions(monkeypatch, tmp_path):
    """Of 60 photos, sorted by class, 25 are drawn that are spread over all of them."""
    labels = np.sort(np.arange(60) % 3)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 60)
    images = np.zeros((60, 8, 8, 3), np.uint8) + np.arange(60, dtype=np.uint8)[:, None, None, None]
    split = types.SimpleNamespace(images=images, labels=labels)
    dataset = types.SimpleNamespace(class_names=NAMES, train=split, test=split, validation=None)
    dataset.splits = {"train": split, "test": split}
    summary = {
        "test_accuracy": 0.5, "confusion_matrix": np.eye(3), "run": "photos", "calibration": {},
    }  # fmt: skip
    workdir = types.SimpleNamespace(
        summary=lambda: summary,
        read_arrays=lambda name: {"labels": labels, "probabilities": probabilities},
        history=lambda: [],
        config=lambda: Config.of(dataset="folder", image_size=8),
        make_figures=lambda: tmp_path,
        figures=tmp_path,
    )
    calls = Calls()
    for module in ("charts", "sheets"):
        monkeypatch.setattr(run_figures, module, calls)
    assert all(run_figures.draw(workdir, dataset))
    shown, of, beside, *_ = calls.made["prediction_grid"]
    assert len(shown) == 25
    numbers = shown[:, 0, 0, 0].astype(int)
    assert (numbers[0], numbers[-1]) == (0, 59)
    np.testing.assert_array_equal(of, labels[numbers])
    np.testing.assert_array_equal(beside, probabilities[numbers])
