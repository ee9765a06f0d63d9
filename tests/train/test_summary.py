"""Differences and spreads against hand-computed values: a sign slip must show."""

import json

import pytest

from experiments import tables
from experiments.documented import RUNS
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
    assert entry["z"] == pytest.approx((0.90 - mean) / std)
    assert entry["z"] > 0
    assert entry["below"] == 2
    assert spread(runs, DOCUMENTED)["train_loss_epoch_2"]["mean"] == 0.5


def test_one_seed_has_no_deviation():
    entry = spread([RUN], DOCUMENTED)["test_accuracy"]
    assert (entry["std"], entry["z"]) == (None, None)


def test_result_files_have_names_of_their_own_and_become_a_table(tmp_path):
    names = [tables.slug(run, reading) for run in RUNS.values() for reading in run.readings]
    assert len(set(names)) == len(names)
    assert "run5_lr0.0008" in names
    entry = {"mean": 0.8899, "std": 0.0033, "values": [0.89] * 10, "z": -0.2}
    (tmp_path / "run5_lr0.0008.json").write_text(json.dumps({"spread": {"test_accuracy": entry}}))
    row = tables.table(tmp_path).splitlines()[-1]
    assert row == "| 5 | lr 0.0008 | 88.94 % | 88.99 % | 0.33 | 10 | -0.2 |"
