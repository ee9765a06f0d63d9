"""The temperature against scipy's optimiser, and what it never changes."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from imgcls_jax import metrics
from imgcls_jax.errors import UserError
from imgcls_jax.limits import temperature, thresholds


def made_up(count, classes, *, scale, seed=0):
    """Logits whose softmax the labels are drawn by, multiplied by `scale`, and the labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, classes))
    labels = np.array([rng.choice(classes, p=p) for p in softmax(logits, axis=1)])
    return scale * logits, labels


@pytest.mark.parametrize(("count", "classes", "scale"), [(40, 2, 5.0), (300, 7, 0.2), (90, 30, 1)])
def test_the_temperature_is_an_independent_optimisers(count, classes, scale):
    logits, labels = made_up(count, classes, scale=scale)
    rest = 1 / (count + 2) / (classes - 1)
    targets = np.full((count, classes), rest)
    targets[np.arange(count), labels] = 1 - rest * (classes - 1)

    def loss(log_temperature):
        return -(targets * log_softmax(logits / np.exp(log_temperature), axis=1)).sum(1).mean()

    best = minimize_scalar(loss, bounds=(-5, 5), method="bounded", options={"xatol": 1e-9})
    assert temperature.fit(logits, labels) == pytest.approx(np.exp(best.x), rel=1e-5)


def test_it_undoes_a_wrong_scale_and_calibrates():
    logits, labels = made_up(4000, 10, scale=0.25)
    found = temperature.fit(logits, labels)
    assert found == pytest.approx(0.25, rel=0.05)
    before, after = (temperature.probabilities(logits, t) for t in (None, found))
    assert metrics.calibration(before, labels)["ece"] > 0.2
    assert metrics.calibration(after, labels)["ece"] < 0.02
    np.testing.assert_array_equal(before.argmax(1), after.argmax(1))
    np.testing.assert_allclose(after, softmax(logits / found, axis=1), rtol=1e-12)
    plain = -log_softmax(logits / found, axis=1)[np.arange(4000), labels].mean()
    assert temperature.mean_loss(logits, labels, found) == pytest.approx(plain, rel=1e-12)


def test_examples_that_are_all_right_do_not_make_it_certain():
    """Of N right answers in a row the next is right with (N + 1) / (N + 2) (Platt, Laplace)."""
    labels = np.arange(98) % 5
    found = temperature.fit(10.0 * np.eye(5)[labels], labels)
    confidence = temperature.probabilities(10.0 * np.eye(5)[:1], found).max()
    assert confidence == pytest.approx(99 / 100, rel=1e-9)


def test_logits_far_apart_are_no_trouble():
    logits = np.array([[0.0, -1e30], [-1e30, 0.0], [0.0, -3.0]])
    assert np.isfinite(temperature.fit(logits, [0, 1, 0]))
    assert temperature.mean_loss(1e6 * np.eye(2), [0, 1]) == 0.0


def test_an_example_without_a_number_is_one_sentence():
    """Its softmax is NaN, and the halving would end at a temperature that means nothing."""
    logits, labels = np.zeros((3, 2)), np.array([0, 1, 1])
    logits[1, 0] = np.nan
    with pytest.raises(UserError, match="example 1 has NaN among its values and so no class"):
        temperature.fit(logits, labels)
    with pytest.raises(UserError, match="example 1 has NaN among its values and so no class"):
        thresholds.choose(np.eye(2, dtype=int)[labels], logits)
