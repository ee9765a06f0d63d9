"""Sums that ignore masked examples; class scores against scikit-learn; intervals by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcls_jax import metrics
from imgcls_jax.errors import UserError
from imgcls_jax.losses import cross_entropy

CLASSES = 4
jitted = jax.jit(metrics.batch_metrics)


@jax.jit
def step(logits, labels, mask):
    return metrics.batch_metrics(cross_entropy(logits, labels), logits, labels, mask)


def evaluate(logits, labels, batch_size, padding):
    """Sums over batches of one size, the last filled up with `padding` logits and masked."""
    total = {}
    for start in range(0, len(logits), batch_size):
        part = slice(start, start + batch_size)
        missing = batch_size - len(logits[part])
        batch = np.pad(logits[part], ((0, missing), (0, 0)), constant_values=padding)
        label = np.pad(labels[part], (0, missing))
        sums = step(batch, label, np.arange(batch_size) < len(logits[part]))
        total = {name: total.get(name, 0) + value for name, value in sums.items()}
    return total


@settings(deadline=None, max_examples=12)
@given(
    count=st.integers(1, 40),
    batch_size=st.integers(1, 50),
    padding=st.sampled_from([0.0, 1e30, np.inf, np.nan]),
    seed=st.integers(0, 2**32 - 1),
)
def test_masked_equals_unmasked_on_any_batch_size(count, batch_size, padding, seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, CLASSES)).astype(np.float32)
    labels = rng.integers(0, CLASSES, count)
    sums = evaluate(logits, labels, batch_size, padding)
    assert int(sums["count"]) == count
    assert int(sums["correct"]) == (logits.argmax(axis=1) == labels).sum()
    shifted = np.exp(logits.astype(np.float64))
    exact = -np.log(shifted[np.arange(count), labels] / shifted.sum(axis=1)).sum()
    assert float(sums["loss"]) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("place", [0, 1])
def test_an_example_with_a_nan_logit_is_counted_but_not_correct(place):
    """argmax takes the first NaN for the largest: the example would be of class `place`."""
    logits = jnp.array([[1.0, 2.0], [2.0, 1.0]]).at[0, place].set(jnp.nan)
    sums = jitted(jnp.zeros(2), logits, jnp.array([place, 0]))
    assert (int(sums["correct"]), int(sums["count"])) == (1, 2)


def test_batch_metrics_by_hand():
    logits = jnp.array([[2.0, 1.0], [0.0, 1.0], [5.0, 0.0]])
    losses = jnp.array([0.5, 1.0, 2.0])
    for labels in (jnp.array([0, 0, 0]), jnp.array([[1.0, 0.0]] * 3)):
        sums = metrics.batch_metrics(losses, logits, labels)
        assert {name: value.item() for name, value in sums.items()} == {
            "loss": 3.5,
            "correct": 2,
            "count": 3,
        }
    sums = metrics.batch_metrics(losses, logits, jnp.zeros(3, int), jnp.array([True, True, False]))
    assert {name: value.item() for name, value in sums.items()} == {
        "loss": 1.5,
        "correct": 1,
        "count": 2,
    }


def test_sums_are_exact_in_half_precision():
    """bfloat16 has no 1001."""
    ones = jnp.ones(1001, jnp.bfloat16)
    sums = metrics.batch_metrics(ones, jnp.ones((1001, 1), jnp.bfloat16), jnp.zeros(1001, int))
    assert (sums["loss"].item(), sums["correct"].item()) == (1001.0, 1001)


def test_all_masked_is_nothing():
    sums = jitted(np.full(3, np.nan), np.full((3, 2), np.nan), np.zeros(3, int), np.zeros(3, bool))
    assert {name: value.item() for name, value in sums.items()} == {
        "loss": 0.0,
        "correct": 0,
        "count": 0,
    }


@settings(deadline=None, max_examples=30)
@given(count=st.integers(1, 60), seed=st.integers(0, 2**32 - 1), present=st.integers(1, CLASSES))
def test_class_scores_against_scikit_learn(count, seed, present):
    """Fewer classes present than exist, so rows, columns or both are empty."""
    reference = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    labels, predictions = rng.integers(0, present, (2, count))
    matrix = metrics.confusion_matrix(labels, predictions, CLASSES)
    everything = list(range(CLASSES))
    np.testing.assert_array_equal(
        matrix, reference.confusion_matrix(labels, predictions, labels=everything)
    )
    names = ["shirt", "bag", "coat", "boot"]
    expected = reference.classification_report(
        labels,
        predictions,
        labels=everything,
        target_names=names,
        output_dict=True,
        zero_division=0,
    )
    scores = metrics.per_class(matrix, names)
    assert list(scores) == names
    for name in names:
        theirs = {key.replace("-score", ""): value for key, value in expected[name].items()}
        assert scores[name] == pytest.approx(theirs, abs=1e-15)


def test_confusion_matrix_has_true_classes_in_rows_and_takes_one_hot():
    expected = [[1, 1], [0, 2]]
    labels, predictions = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    np.testing.assert_array_equal(metrics.confusion_matrix(labels, predictions, 2), expected)
    one_hot, logits = np.eye(2)[labels], jnp.log(jnp.eye(2) + 0.1)[predictions]
    np.testing.assert_array_equal(metrics.confusion_matrix(one_hot, logits, 2), expected)


def test_scores_by_hand():
    scores = metrics.per_class(np.array([[1, 1], [0, 2]]), ["a", "b"])
    assert scores["a"] == {
        "precision": 1.0,
        "recall": 0.5,
        "f1": pytest.approx(2 / 3),
        "support": 2,
    }
    assert scores["b"] == {
        "precision": pytest.approx(2 / 3),
        "recall": 1.0,
        "f1": 0.8,
        "support": 2,
    }


def test_confusion_matrix_refuses():
    with pytest.raises(UserError, match=r"label 3 is outside 0\.\.2"):
        metrics.confusion_matrix([0, 3], [0, 1], 3)
    with pytest.raises(UserError, match="prediction -1 is outside"):
        metrics.confusion_matrix([0, 1], [0, -1], 3)
    with pytest.raises(ValueError, match="2 labels for 1 predictions"):
        metrics.confusion_matrix([0, 1], [0], 3)
    with pytest.raises(ValueError, match="3 class names"):
        metrics.per_class(np.eye(2, dtype=int), ["a", "b", "c"])


def test_balanced_accuracy_is_the_mean_recall_of_the_classes_that_occur():
    """Recalls 3/4 and 1/2; nothing is of the third class, though one is taken for it."""
    assert metrics.balanced_accuracy([[3, 0, 1], [1, 1, 0], [0, 0, 0]]) == pytest.approx(0.625)


def test_calibration_weighs_bins_by_their_examples():
    """Nine at confidence 0.9, all right, and one at 0.6, wrong: (9 x 0.1 + 1 x 0.6) / 10."""
    probabilities = np.array([[0.9, 0.1]] * 9 + [[0.6, 0.4]])
    labels = np.array([0] * 9 + [1])
    assert metrics.calibration(probabilities, labels)["ece"] == pytest.approx(0.15)


def test_wilson_interval_by_hand():
    """8 of 10: (0.8 + 0.19207 -+ 0.25264) / 1.38415, with z^2 = 3.841459."""
    low, high = metrics.wilson_interval(8, 10)
    assert low == pytest.approx(0.490162, abs=1e-6)
    assert high == pytest.approx(0.943318, abs=1e-6)


def test_wilson_interval_at_the_ends():
    """At 0 of n the upper limit is z^2 / (n + z^2)."""
    low, high = metrics.wilson_interval(0, 10)
    assert 0.0 <= low < 1e-12
    assert high == pytest.approx(3.841459 / 13.841459, abs=1e-6)
    assert metrics.wilson_interval(10, 10) == pytest.approx((1 - high, 1.0))
    with pytest.raises(ValueError, match="no proportion"):
        metrics.wilson_interval(0, 0)


def test_calibration_by_hand():
    """Confidences 0.9 and 0.8 (one right of two: |0.5 - 0.85|), 0.6 (right: |1 - 0.6|)."""
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    for labels in (np.array([0, 0, 0]), np.array([[1, 0]] * 3)):
        result = metrics.calibration(probabilities, labels, bins=4)
        assert result["ece"] == pytest.approx((2 * 0.35 + 1 * 0.4) / 3)
    low, _, third, fourth = result["bins"]
    assert low == {"low": 0.0, "high": 0.25, "count": 0, "confidence": None, "accuracy": None}
    assert (third["count"], third["confidence"], third["accuracy"]) == (1, 0.6, 1.0)
    assert (fourth["count"], fourth["accuracy"]) == (2, 0.5)
    assert fourth["confidence"] == pytest.approx(0.85)


def test_calibration_bins_are_closed_above():
    result = metrics.calibration(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 0]), bins=2)
    assert [row["count"] for row in result["bins"]] == [1, 1]
    assert result["ece"] == pytest.approx(0.25)


@pytest.mark.parametrize(
    "function", [lambda p, y: metrics.confusion_matrix(y, p, 2), metrics.calibration]
)
def test_predictions_that_are_nan_are_an_error(function):
    predictions = np.array([[0.5, 0.5], [np.nan, 1.0]])
    with pytest.raises(UserError, match="example 1 has NaN among its values and so no class"):
        function(predictions, np.array([0, 0]))


def of_recalls(right, count):
    """A confusion matrix: of class c, `right[c]` of `count[c]` examples are predicted as c."""
    right, wrong = np.array(right), np.array(count) - np.array(right)
    return np.diag(right) + np.roll(np.diag(wrong), 1, axis=1)


def test_balanced_interval_of_one_class_is_agresti_and_coulls():
    """(8 + 2) / (10 + 4), whose variance has 10 / 9 here; a class without examples is nothing."""
    half = 1.959964 * (10 / 14 * 4 / 14 / 14 * 10 / 9) ** 0.5
    expected = (10 / 14 - half, 10 / 14 + half)
    found = metrics.balanced_accuracy_interval(np.array([[8, 2], [0, 0]]))
    assert found == pytest.approx(expected, abs=1e-6)
    wider = metrics.balanced_accuracy_interval(np.array([[8, 2], [0, 0]]), confidence=0.99)
    assert wider[0] < found[0] < found[1] < wider[1]


@pytest.mark.parametrize(
    ("right", "count"),
    [((450, 380, 190, 98, 700), (500, 400, 300, 120, 900)), ((90, 55, 700), (100, 60, 1000))],
)
def test_balanced_interval_against_a_bootstrap(right, count):
    """Of all examples, so that the classes' numbers vary too."""
    right, count = np.array(right), np.array(count)
    cells = np.concatenate([right, count - right])
    drawn = np.random.default_rng(0).multinomial(cells.sum(), cells / cells.sum(), size=20_000)
    hits, misses = np.split(drawn, 2, axis=1)
    expected = np.quantile((hits / (hits + misses)).mean(axis=1), [0.025, 0.975])
    found = metrics.balanced_accuracy_interval(of_recalls(right, count))
    np.testing.assert_allclose(found, expected, atol=0.12 * (expected[1] - expected[0]))
    assert found[0] < (right / count).mean() < found[1]


@pytest.mark.parametrize(
    ("recalls", "count"),
    [
        ((0.93,) * 100, (5,) * 100),  # many classes of few examples
        ((0.99, 0.9), (1000, 10)),  # a rare class, often all right
        ((0.95, 0.8, 0.6, 0.97), (60, 25, 10, 100)),
    ],
)
def test_balanced_interval_covers_what_it_says(recalls, count):
    rng = np.random.default_rng(1)
    drawn = rng.binomial(count, recalls, size=(1000, len(count)))
    found = [metrics.balanced_accuracy_interval(of_recalls(right, count)) for right in drawn]
    low, high = np.array(found).T
    covered = ((low <= np.mean(recalls)) & (np.mean(recalls) <= high)).mean()
    assert 0.935 < covered < 0.995


def test_balanced_interval_has_width_where_all_are_right_and_stays_a_fraction():
    low, high = metrics.balanced_accuracy_interval(np.diag([20, 5]))
    assert (0.6 < low < 0.95, high) == (True, 1.0)
    low, high = metrics.balanced_accuracy_interval(of_recalls([0, 0], [20, 5]))
    assert (low, 0.05 < high < 0.4) == (0.0, True)


def test_accuracy_interval_is_wilsons_over_all_examples():
    matrix = np.array([[3, 1], [1, 5]])
    assert metrics.accuracy_interval(matrix) == metrics.wilson_interval(8, 10)
