"""Predictions and differences against SciPy's own tests and values worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from imgcls_jax import statistics
from imgcls_jax.statistics import (
    holm,
    mean_interval,
    paired,
    prediction,
    prediction_interval,
    unpaired,
)

SEEDS = [0.8918, 0.8849, 0.8918, 0.8914, 0.8905, 0.8878, 0.8926, 0.8853, 0.8863, 0.8853]


def test_a_prediction_is_students_test_of_one_value_against_the_others():
    """A pooled two-sample t test against a sample of one has the same t, p and freedom."""
    found = prediction(SEEDS, 0.8800)
    theirs = stats.ttest_ind([0.8800], SEEDS)
    assert found["rule"] == "t"
    assert found["t"] == pytest.approx(theirs.statistic)
    assert found["p"] == pytest.approx(theirs.pvalue)
    assert (found["n"], found["below"], found["verdict"]) == (10, 0, "unlikely")


def test_the_interval_holds_just_what_fits():
    low, high = prediction_interval(SEEDS)
    for figure, verdict in ((low + 1e-6, "fits"), (low - 1e-6, "unlikely"), (0.85, "does not fit")):
        assert prediction(SEEDS, figure)["verdict"] == verdict
    assert (low + high) / 2 == pytest.approx(np.mean(SEEDS))


def test_one_in_twenty_further_seeds_falls_outside():
    rng = np.random.default_rng(0)
    draws = rng.normal(0.88, 0.003, (4000, 6))
    outside = [not low <= d[5] <= high for d in draws for low, high in [prediction_interval(d[:5])]]
    assert 0.04 < np.mean(outside) < 0.06


def test_skewed_seeds_are_compared_by_rank():
    skewed = [0.860, 0.861, 0.862, 0.862, 0.861, 0.860, 0.862, 0.861, 0.859, 0.806]
    inside, outside = prediction(skewed, 0.85), prediction(skewed, 0.80)
    assert (inside["rule"], inside["below"], inside["verdict"]) == ("ranks", 1, "within the seeds")
    assert inside["p"] == pytest.approx(4 / 11)
    assert (outside["verdict"], outside["p"]) == ("outside all 10 seeds", pytest.approx(2 / 11))


def test_seeds_that_are_all_one_value_are_compared_by_rank():
    assert prediction([1.0] * 3, 1.0)["verdict"] == "within the seeds"
    assert prediction([1.0] * 3, 0.99)["verdict"] == "outside all 3 seeds"


def test_of_a_range_the_nearer_end_counts_and_within_it_everything_fits():
    assert prediction(SEEDS, (0.80, 0.87))["t"] == prediction(SEEDS, 0.87)["t"]
    assert prediction(SEEDS, (0.80, 0.95))["p"] == 1.0


def test_differences_are_scipys():
    other = [value - 0.002 for value in reversed(SEEDS)]
    theirs = stats.ttest_rel(SEEDS, other)
    found = paired(SEEDS, other)
    assert (found["t"], found["p"]) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert found["interval"] == pytest.approx(list(theirs.confidence_interval()))
    theirs = stats.ttest_ind(SEEDS, other[:4], equal_var=False)
    found = unpaired(SEEDS, other[:4])
    assert (found["t"], found["p"]) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert found["interval"] == pytest.approx(list(theirs.confidence_interval()))
    theirs = stats.ttest_1samp(SEEDS, 0).confidence_interval()
    assert mean_interval(SEEDS) == pytest.approx(tuple(theirs))


@given(st.lists(st.integers(0, 1000), min_size=3, max_size=12), st.integers(0, 1000))
def test_a_p_is_a_probability_and_a_mirror_image_has_the_same(values, figure):
    found = prediction(values, figure)
    mirrored = prediction([-value for value in values], -figure)
    assert 0 <= found["p"] <= 1
    assert found["p"] == pytest.approx(mirrored["p"])


def test_several_ps_are_corrected_by_holm():
    """By hand: 0.01 x 3, then 0.02 x 2, then 0.5, none below the one before; in their order."""
    assert holm([0.5, 0.01, 0.02]) == pytest.approx([0.5, 0.03, 0.04])
    assert holm([0.02, 0.021]) == pytest.approx([0.04, 0.04])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_pairs_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="9 values against 10"):
        paired(SEEDS[:9], SEEDS)


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_a_figure_that_is_no_number_is_no_evidence(odd):
    of = [0.5, 0.6, odd]
    for compare in (
        lambda: statistics.prediction(of, 0.5),
        lambda: statistics.mean_interval(of),
        lambda: statistics.paired(of, of),
        lambda: statistics.unpaired([0.1, 0.2], of),
        lambda: statistics.holm(of),
    ):
        with pytest.raises(ValueError, match="1 of 3 values are not finite"):
            compare()
