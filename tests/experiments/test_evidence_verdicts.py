"""Verdicts on readings: each run meets its own matrix, and a shared training is one reading."""

import numpy as np
import pytest

from experiments.documented import DocumentedRun, Reading
from experiments.evidence import verdicts
from experiments.evidence.readings import KINDS, Seeds
from experiments.evidence.store import Store
from imgcls_jax.errors import UserError

MATRICES = {1: ((90, 10), (20, 80)), 2: ((70, 30), (5, 95))}
ACCURACIES = {1: 0.85, 2: 0.825}
# The second reading of run 2 is run 1 again, as its settings are.
CONFIGS = {"run1": {"lr": 1}, "run2_a": {"lr": 2}, "run2_b": {"lr": 1}}


def _run(number, *labels):
    readings = tuple(Reading(label, "here", {}) for label in labels)
    figures = {"test_accuracy": ACCURACIES[number]}
    of = {"title": "t", "source": "s", "framework": "torch", "confusion_matrix": MATRICES[number]}
    return DocumentedRun(number=number, figures=figures, readings=readings, **of)


RUNS = {1: _run(1, "as written"), 2: _run(2, "a", "b")}


class _Asked:
    """Stands for a judge, and remembers what it was asked."""

    def __init__(self, seeds):
        self.seeds, self.asked = seeds, []
        self.temperature = dict.fromkeys(KINDS, 1.0)
        _Asked.last = self

    def assigned(self, kind, among=None):
        return (1, len(among or self.seeds))

    def weigh(self, accuracy, matrix, among):
        self.asked.append((accuracy, matrix.tolist(), among))
        return {kind: {name: (k + 1) / 10 for k, name in enumerate(among)} for kind in KINDS}


def _filled(folder, seeds=3):
    store, place = Store(folder), {"device": "cpu"}
    for number, (stem, config) in enumerate(CONFIGS.items()):
        for seed in range(seeds):
            accuracy = 0.7 + 0.1 * number + 0.01 * seed
            entry = {"test_accuracy": accuracy, "confusion_matrix": [[seed, number], [0, 9]]}
            store.add(stem, {"config": config}, {"seed": seed} | entry, place)
    return store


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """What came out of three files of three seeds, and what the judge was asked."""
    monkeypatch.setattr(verdicts, "RUNS", RUNS)
    monkeypatch.setattr(verdicts, "Judge", _Asked)
    return verdicts.judge(_filled(tmp_path)), _Asked.last


def test_each_runs_own_accuracy_and_matrix_are_weighed(judged):
    _, judge = judged
    assert [(accuracy, matrix) for accuracy, matrix, _ in judge.asked] == [
        (ACCURACIES[number], [list(row) for row in MATRICES[number]]) for number in (1, 2)
    ]


def test_readings_that_are_one_training_are_weighed_once(judged):
    result, judge = judged
    assert list(judge.seeds) == ["run1", "run2_a"]
    assert [among for _, _, among in judge.asked] == [["run1"], ["run2_a", "run1"]]
    found = result["runs"]["2"]
    assert {stem: of["both"] for stem, of in found["readings"].items()} == {
        "run2_a": 0.1,
        "run2_b": 0.2,
    }
    assert found["assigned"]["both"] == (1, 2)
    assert result["runs"]["1"]["verdict"] == "one reading"
    assert result["environments"] == [{"device": "cpu"}]


def test_every_reading_has_the_prediction_of_its_own_seeds(judged):
    result, judge = judged
    means = {s: of["mean"] for r in result["runs"].values() for s, of in r["readings"].items()}
    assert means == pytest.approx({"run1": 0.71, "run2_a": 0.81, "run2_b": 0.91})
    seeds = judge.seeds["run2_a"]
    assert isinstance(seeds, Seeds)
    np.testing.assert_allclose(seeds.accuracies, [0.80, 0.81, 0.82])
    assert seeds.matrices[:, 0, 0].tolist() == [0, 1, 2]


def test_two_seeds_are_too_few(tmp_path, monkeypatch):
    monkeypatch.setattr(verdicts, "RUNS", RUNS)
    with pytest.raises(UserError, match=r"run1\.json has fewer than three seeds"):
        verdicts.judge(_filled(tmp_path, seeds=2))
