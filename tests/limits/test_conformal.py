"""Conformal sets against the definition by brute force, and how often they hold the label."""

import math

import numpy as np
import pytest
from scipy.special import softmax

from imgcls_jax.errors import UserError
from imgcls_jax.limits import conformal


@pytest.mark.parametrize("count", [9, 10, 99, 100, 1000])
@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
def test_the_quantile_counts_the_new_example_too(count, coverage):
    """It is the least score at or below which are (n + 1) coverage of n held-out ones."""
    scores = np.random.default_rng(count).normal(size=count)
    needed = (count + 1) * coverage
    fine = [s for s in scores if (scores <= s).sum() >= needed - 1e-9]
    assert conformal.quantile(scores, coverage) == min(fine)


def test_too_few_held_out_examples_are_one_sentence():
    nine = np.arange(9.0)
    assert conformal.quantile(nine, 0.9) == 8
    with pytest.raises(UserError, match=r"`coverage=0\.91` needs .* the 9 .* at most 0\.9\."):
        conformal.quantile(nine, 0.91)
    assert conformal.quantile(nine, 1 - 0.1, name="unknown") == 8
    with pytest.raises(UserError, match=r"`unknown=0\.05` needs .* the 9 .* at least 0\.1\."):
        conformal.quantile(nine, 0.95, name="unknown")
    with pytest.raises(UserError, match=r"at most 0\.666\."):
        conformal.quantile(nine[:2], 0.9)
    assert conformal.quantile(nine[:2], 0.666) == 1


@pytest.mark.parametrize("value", [0, 1, -0.1, 1.5, math.nan])
def test_shares_outside_their_range_are_one_sentence(value):
    with pytest.raises(UserError, match=r"`coverage=.*` cannot be used; it must lie between 0 and"):
        conformal.quantile(np.arange(99.0), value)
    with pytest.raises(UserError, match=r"`unknown=.*` cannot be used; it must lie between 0 and"):
        conformal.quantile(np.arange(99.0), 1 - value, name="unknown")


def test_sets_hold_the_label_as_often_as_asked():
    """On average over many choices of held-out examples: at least, and hardly more."""
    rng, inside = np.random.default_rng(0), []
    for _ in range(300):
        logits = rng.normal(0, 2, (100, 6))
        labels = (logits + rng.gumbel(size=logits.shape)).argmax(1)
        probabilities = softmax(0.5 * logits, axis=1)  # a badly calibrated network
        held, new = slice(50), slice(50, None)
        level = conformal.quantile(conformal.scores(probabilities[held], labels[held]), 0.9)
        sets = conformal.sets(probabilities[new], level)
        inside.append(sets[np.arange(50), labels[new]].mean())
    error = np.std(inside) / math.sqrt(len(inside))
    assert 0.9 - 2 * error < np.mean(inside) < 0.9 + 1 / 51 + 2 * error


def test_a_set_holds_all_classes_above_the_threshold_and_never_none():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.35, 0.33, 0.32]])
    found = conformal.sets(probabilities, 0.7)
    np.testing.assert_array_equal(found, [[True, True, False], [True, True, True]])
    found = conformal.sets(probabilities, 0.4)
    np.testing.assert_array_equal(found, [[True, False, False], [True, False, False]])
    np.testing.assert_allclose(conformal.scores(probabilities, [1, 2]), [0.7, 0.68])
