"""Numbers of binary and unbalanced sets against their definitions, and the figures."""

import warnings

import numpy as np
import pytest
from figure_helpers import NAMES, count, pixels

from imgcls_jax import metrics
from imgcls_jax.report import charts

RARE = (31, 90, 148)  # colour of the first curve and of the first split


@pytest.fixture(autouse=True)
def strict():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def examples(classes, n=300, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.minimum(rng.integers(0, classes, n), rng.integers(0, classes, n))  # unbalanced
    logits = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[labels]
    return labels, np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


def test_numbers_are_those_of_the_definitions():
    labels, probabilities = examples(3)
    found = metrics.scores(labels, probabilities, NAMES)
    for c, name in enumerate(NAMES):
        positive, score = labels == c, probabilities[:, c]
        # The chance that a positive scores above a negative.
        auc = (score[positive][:, None] > score[~positive]).mean()
        # Precision at each positive, in order of the scores.
        hits = positive[np.argsort(-score)]
        ap = (np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean()
        assert found["classes"][name] == pytest.approx({"roc_auc": auc, "average_precision": ap})
    for key in ("roc_auc", "average_precision"):
        assert found[key] == pytest.approx(np.mean([e[key] for e in found["classes"].values()]))


def test_of_two_classes_the_rarer_is_looked_for():
    labels, probabilities = examples(2)
    assert list(metrics.scores(labels, probabilities, ["a", "b"])["classes"]) == ["b"]
    swapped = metrics.scores(1 - labels, probabilities[:, ::-1], ["b", "a"])
    assert swapped == metrics.scores(labels, probabilities, ["a", "b"])


def test_classes_that_do_not_occur_are_left_out():
    labels, probabilities = examples(4)
    labels = np.where(labels == 2, 0, labels)
    found = metrics.scores(labels, probabilities, list("abcd"))
    assert list(found["classes"]) == ["a", "b", "d"]
    alone = metrics.scores(np.zeros(300, int), probabilities, list("abcd"))
    assert alone["classes"] == {}
    assert alone["roc_auc"] is None


@pytest.mark.parametrize("draw", [charts.precision_recall, charts.roc])
@pytest.mark.parametrize("classes", [2, 3, 30])
def test_curves(draw, classes, tmp_path):
    names = [*NAMES, "한국", *(f"class {number}" for number in range(26))][:classes]
    path = draw(*examples(classes), names, tmp_path / "curves.png")
    assert count(pixels(path), RARE) > 200
    faint = count(pixels(path), (213, 217, 222))
    assert (faint > 200) == (classes > 8)  # curves without a name


@pytest.mark.parametrize("draw", [charts.precision_recall, charts.roc])
def test_one_class_only_draws_a_note(draw, tmp_path):
    labels, probabilities = examples(3)
    path = draw(np.zeros_like(labels), probabilities, NAMES, tmp_path / "curves.png")
    assert count(pixels(path), RARE) == 0


def test_a_perfect_classifier_has_all_below_its_curve():
    labels, _ = examples(2)
    perfect = np.eye(2)[labels]
    found = metrics.scores(labels, perfect, ["a", "b"])
    assert found["roc_auc"] == found["average_precision"] == 1


@pytest.mark.parametrize("classes", [3, 100])
def test_class_counts(classes, tmp_path):
    names = (NAMES * 40)[:classes]
    counts = {"train": range(classes, 2 * classes), "test": [2] * classes}
    path = charts.class_counts(counts, names, tmp_path / "counts.png")
    drawn = pixels(path)
    ratio = count(drawn, RARE) / count(drawn, (217, 102, 31))
    assert ratio == pytest.approx(sum(counts["train"]) / sum(counts["test"]), rel=0.2)
