"""Differences and spreads against hand-computed values: a sign slip must show."""

import pytest

from imgcls_jax.train.summary import difference, spread

RUN = {"test_accuracy": 0.88, "by_epoch": {"train_loss": [0.7, 0.5]}}
DOCUMENTED = {"figures": {"test_accuracy": 0.90, "train_loss_epoch_2": 0.45, "other": 1.0}}


def test_difference_is_ours_minus_theirs():
    found = difference(RUN, DOCUMENTED)
    assert found == {
        "test_accuracy": pytest.approx(-0.02),
        "train_loss_epoch_2": pytest.approx(0.05),
    }


def test_spread_places_the_documented_figure():
    runs = [RUN | {"test_accuracy": value} for value in (0.86, 0.88, 0.91)]
    entry = spread(runs, DOCUMENTED)["test_accuracy"]
    mean = 2.65 / 3
    deviations = [(value - mean) ** 2 for value in (0.86, 0.88, 0.91)]
    std = (sum(deviations) / 2) ** 0.5
    assert entry["mean"] == pytest.approx(mean)
    assert entry["std"] == pytest.approx(std)
    assert entry["t"] == pytest.approx((0.90 - mean) / (std * (4 / 3) ** 0.5))
    assert entry["t"] > 0
    assert entry["below"] == 2
    assert spread(runs, DOCUMENTED)["train_loss_epoch_2"]["mean"] == 0.5


def test_one_seed_has_no_deviation():
    entry = spread([RUN], DOCUMENTED)["test_accuracy"]
    assert entry["std"] is None
    assert "p" not in entry


def test_within_a_range_nothing_differs_and_beyond_it_the_nearer_end_counts():
    documented = {"figures": {"test_accuracy": (0.97, 0.98)}}
    found = [
        difference({"test_accuracy": a}, documented)["test_accuracy"] for a in (0.96, 0.975, 1)
    ]
    assert found == pytest.approx([-0.01, 0.0, 0.02])
