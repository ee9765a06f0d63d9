"""What figures say: their words, their names and their points, read from the figure itself."""

import types

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

from imgcls_jax import metrics
from imgcls_jax.config import Config
from imgcls_jax.data.dataset import Split
from imgcls_jax.limits import temperature
from imgcls_jax.report import cells, charts, reliability, run_figures, sheets
from imgcls_jax.report.reliability import reliability_diagram

NAMES = ["ape", "bee", "cow"]


@pytest.fixture
def drawn(monkeypatch):
    """The figures in place of their files."""
    figures = []
    for module in (cells, charts, reliability, sheets):
        monkeypatch.setattr(module, "finish", lambda figure, path: figures.append(figure) or path)
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


def test_imbalance_is_that_of_training_and_left_out_where_there_is_none(drawn):
    """A title of 1.2 : 1, over all splits, stood beside the report's "Imbalance: none"."""
    charts.class_counts({"train": [5, 5, 5], "test": [1, 1, 2]}, NAMES, "counts.png")
    charts.class_counts({"train": [6, 5, 3], "test": [1, 1, 9]}, NAMES, "counts.png")
    titles = [figure.axes[0].get_title("left") for figure in drawn]
    assert titles == [
        "Examples per class",
        "Examples per class (train: largest to smallest 2.0 : 1)",
    ]


def test_long_names_on_axes_and_in_legends_keep_what_tells_them_apart(drawn):
    names = [f"American Staffordshire {kind} terrier" for kind in ("red", "white", "bull")]
    counts = np.eye(3, dtype=int)
    charts.confusion_matrix(counts, names, "cm.png")
    charts.class_counts({"train": [1, 2, 3]}, names, "counts.png")
    labels = np.arange(30) % 3
    charts.roc(labels, np.random.default_rng(0).dirichlet(np.ones(3), 30), names, "roc.png")
    shown = [text.get_text() for text in drawn[0].axes[0].get_xticklabels()]
    legend = [text.get_text() for text in drawn[2].legends[0].get_texts()]
    bars = [text.get_text() for text in drawn[1].axes[0].get_yticklabels()]
    for texts in (shown, bars, [text.partition("  ")[0] for text in legend[1:]]):
        assert len(set(texts)) == 3
        assert all(text.endswith("terrier") for text in texts)


@pytest.mark.parametrize("confidence", [0.9, 0.35])
def test_the_legend_lies_beside_the_calibration_curve(drawn, confidence):
    bins = [{"count": 9, "confidence": confidence, "accuracy": a} for a in (0.05, 0.5, 1.0)]
    reliability_diagram({"a": {"ece": 0.1, "bins": bins}}, "calibration.png")
    (figure,) = drawn
    figure.draw_without_rendering()
    (legend,) = [*figure.legends, *filter(None, [axes.get_legend() for axes in figure.axes])]
    assert not legend.get_window_extent().overlaps(figure.axes[0].get_window_extent())


@pytest.mark.parametrize("of", [None, "validation", "test"])
def test_learning_curves_say_where_nothing_was_held_out(drawn, of):
    history = [
        {"epoch": epoch, **{f"{name}_{what}": 0.5 for what in ("loss", "accuracy")}}
        for epoch in (1, 2)
        for name in ("train", of)
    ]
    charts.learning_curves(history, "curves.png")
    said = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert ("no validation split" in said) == (of is None)


def test_photos_have_no_pixel_axes_and_the_documented_image_keeps_its_own(drawn):
    for channels in (1, 3):
        sheets.sample_image(np.zeros((8, 8, channels), np.uint8), "ape", "sample.png")
    grey, photo = drawn
    assert (len(grey.axes), grey.axes[0].axison) == (2, True)
    assert (len(photo.axes), photo.axes[0].axison) == (1, False)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((9, 9), [0] * 5 + [1] * 5),
        ((30, 2, 1), [0] * 7 + [1, 1, 2]),
        ((3,) * 12, [0, 1, 2, 3, 4, 6, 7, 8, 9, 11]),
        ((1, 1), [0, 1]),
    ],
)
def test_a_row_shows_photos_of_different_classes(counts, expected):
    labels = np.repeat(np.arange(len(counts)), counts)
    chosen = run_figures.of_different_classes(labels, 10)
    assert labels[chosen].tolist() == expected
    assert len(set(chosen.tolist())) == len(chosen)


def test_mistakes_have_the_names_of_their_files(drawn):
    labels, probabilities = np.array([0, 1]), np.array([[0.1, 0.9, 0], [0, 0.9, 0.1]])
    path = f"test/{'deep/' * 20}ape/IMG_0815.jpg"
    images = np.zeros((2, 20, 20, 3), np.uint8)
    sheets.most_confident_mistakes(
        images, labels, probabilities, NAMES, "m.png", captions=[path, "right.jpg"]
    )
    written = [text.get_text() for text in drawn[0].axes[0].texts]
    (caption,) = [text for text in written if text.endswith("ape/IMG_0815.jpg")]
    assert caption.startswith("…")
    assert not any("right.jpg" in text for text in written)


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
    monkeypatch.setattr(sheets, "draw", lambda tiles, entries, *_, **__: seen.update(at=entries))
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
    split = Split(images, labels.astype(np.int32), tuple(map(str, range(60))))
    dataset = types.SimpleNamespace(class_names=NAMES, train=split, test=split, validation=None)
    dataset.splits, dataset.several_labels = {"train": split, "test": split}, False
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
    monkeypatch.setattr(run_figures, "reliability_diagram", calls.reliability_diagram)
    assert all(run_figures.draw(workdir, dataset))
    shown, of, beside, *_ = calls.made["prediction_grid"]
    assert len(shown) == 25
    numbers = shown[:, 0, 0, 0].astype(int)
    assert (numbers[0], numbers[-1]) == (0, 59)
    np.testing.assert_array_equal(of, labels[numbers])
    np.testing.assert_array_equal(beside, probabilities[numbers])


def test_where_a_network_looks_is_drawn_for_the_class_it_tells(monkeypatch, tmp_path):
    images, labels = np.zeros((3, 8, 8, 3), np.uint8), np.array([0, 1, 2])
    probabilities, seen, entries = np.eye(3)[[1, 1, 0]], [], []
    dataset = types.SimpleNamespace(
        class_names=NAMES, test=types.SimpleNamespace(images=images), several_labels=False
    )

    def grad_cam(images, classes):
        seen.extend(classes)
        return np.zeros((len(images), 2, 2))

    monkeypatch.setattr(sheets, "draw", lambda tiles, drawn, *_, **__: entries.extend(drawn))
    at = types.SimpleNamespace(figures=tmp_path)
    run_figures._saliency(at, dataset, labels, probabilities, grad_cam)
    assert seen == [1, 1, 0]
    assert [entry.caption for entry in entries] == list(NAMES[:3])


def test_the_calibration_of_a_run_is_drawn_with_its_temperature_and_without(drawn):
    labels = np.arange(60) % 3
    timid = np.full((60, 3), 0.3) + 0.1 * np.eye(3)[labels]
    found = {"calibration": metrics.calibration(timid, labels)}
    for summary in (found, found | {"temperature": {"value": 0.25}}):
        calibrated = temperature.of_probabilities(
            timid, summary.get("temperature", {}).get("value")
        )
        reliability_diagram(run_figures._calibrations(summary, calibrated, labels), "c.png")
    alone, both = ([t.get_text() for t in figure.legends[0].get_texts()] for figure in drawn)
    assert len(alone) == 2
    assert both[1].startswith("with temperature 0.25: expected error 0.3876")
    assert both[2] == "without it: expected error 0.6000"
