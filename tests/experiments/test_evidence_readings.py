"""Likelihoods of readings against SciPy's distributions, and on seeds whose reading is known."""

import numpy as np
import pytest
from scipy import stats

from experiments.evidence.readings import (
    KINDS,
    Judge,
    Seeds,
    _errors,
    _fitted,
    _log_rows,
    _log_student,
    posterior,
)
from experiments.evidence.verdicts import _verdict


def _drawn(rng, accuracy, errors, *, n=8, concentration=200.0):
    """Draws seeds of three classes: 1,000 examples each, wrong ones by `errors` (3, 2)."""
    matrices, accuracies = [], []
    for _ in range(n):
        matrix = np.zeros((3, 3), int)
        for row in range(3):
            wrong = rng.binomial(1000, 1 - accuracy)
            where = rng.multinomial(wrong, rng.dirichlet(concentration * np.asarray(errors[row])))
            matrix[row] = np.insert(where, row, 1000 - wrong)
        matrices.append(matrix)
        accuracies.append(np.trace(matrix) / 3000)
    return Seeds(np.array(accuracies), np.array(matrices))


LEFT, RIGHT = [(0.8, 0.2)] * 3, [(0.3, 0.7)] * 3


def test_rows_are_dirichlet_multinomial():
    counts, alphas = np.array([[3.0, 5, 2], [0, 7, 1]]), np.array([[1.5, 2, 4], [0.2, 3, 1]])
    theirs = [
        stats.dirichlet_multinomial(a, int(c.sum())).logpmf(c.astype(int))
        for a, c in zip(alphas, counts, strict=True)
    ]
    np.testing.assert_allclose(_log_rows(counts, alphas), theirs, rtol=1e-10)


def test_an_accuracy_has_students_density_of_one_more_draw():
    values = np.array([0.88, 0.885, 0.891, 0.879])
    scale = values.std(ddof=1) * np.sqrt(1.25)
    theirs = stats.t(3, values.mean(), scale).logpdf(0.9)
    assert _log_student(0.9, values) == pytest.approx(theirs)


def test_errors_are_the_rows_without_their_diagonal():
    found = _errors(np.arange(9).reshape(3, 3))
    np.testing.assert_array_equal(found, [[1, 2], [3, 5], [6, 7]])


def test_a_fitted_concentration_is_near_that_of_the_draws():
    rng = np.random.default_rng(0)
    of = {
        c: _fitted(_errors(_drawn(rng, 0.8, LEFT, n=40, concentration=c).matrices))
        for c in (10, 300)
    }
    assert 5 < of[10] < 20
    assert 150 < of[300] < 800


def test_the_fitted_concentration_makes_each_seed_likeliest_by_the_others():
    errors = _errors(_drawn(np.random.default_rng(4), 0.95, LEFT, n=3, concentration=5).matrices)

    def score(concentration):
        total = 0.0
        for k, one in enumerate(errors):
            others = np.delete(errors, k, axis=0).sum(0) + 0.5
            for row, counts in zip(others, one.astype(int), strict=True):
                alphas = concentration * row / row.sum()
                total += stats.dirichlet_multinomial(alphas, counts.sum()).logpmf(counts)
        return total

    tried = np.geomspace(3, 30_000, 60)
    assert _fitted(errors) == pytest.approx(max(tried, key=score))


def test_the_temperature_is_that_of_the_errors_alone():
    scores = {"a": np.zeros(2), "b": np.array([-1.0, -8.0])}
    for kind, apart in (("accuracy", 1), ("errors", 2), ("both", 3)):
        chances = posterior(scores, kind, 4.0)
        assert chances["a"] / chances["b"] == pytest.approx(np.exp(apart))


def test_a_runs_readings_are_told_apart_from_each_other_only():
    """The first reading, of another run, is as likely as the second one wherever it is asked."""
    rng = np.random.default_rng(5)
    shared, apart = _drawn(rng, 0.8, LEFT), _drawn(rng, 0.8, RIGHT)
    judge = Judge({"other run": shared, "left": shared, "right": apart})
    assert judge.assigned("errors", ["left", "right"]) == (16, 16)
    assert judge.assigned("errors") == (16, 24)


def test_readings_with_other_errors_are_told_apart_and_equal_ones_are_not():
    rng = np.random.default_rng(1)
    apart = Judge({"left": _drawn(rng, 0.8, LEFT), "right": _drawn(rng, 0.8, RIGHT)})
    assert apart.assigned("errors") == (16, 16)
    found = apart.weigh(0.8, _drawn(rng, 0.8, RIGHT).matrices[0], ["left", "right"])
    assert found["errors"]["right"] > 0.99
    same = Judge({name: _drawn(rng, 0.8, LEFT) for name in ("a", "b")})
    right, of = same.assigned("errors")
    assert of == 16
    assert right <= 12
    assert same.temperature["errors"] > apart.temperature["errors"]
    found = same.weigh(0.8, _drawn(rng, 0.8, LEFT).matrices[0], ["a", "b"])
    assert 0.1 < found["both"]["a"] < 0.9


def test_a_training_of_two_readings_knows_its_seed_in_neither():
    """Left out of both, a seed is as likely by the one as by the other: the first is named."""
    shared = _drawn(np.random.default_rng(3), 0.8, LEFT)
    judge = Judge({"15 epochs": shared, "20 epochs": shared})
    assert {kind: judge.assigned(kind) for kind in KINDS} == dict.fromkeys(KINDS, (8, 16))


def test_accuracies_alone_tell_readings_apart_that_err_alike():
    rng = np.random.default_rng(2)
    judge = Judge({"low": _drawn(rng, 0.7, LEFT), "high": _drawn(rng, 0.8, LEFT)})
    assert judge.assigned("accuracy") == (16, 16)
    found = judge.weigh(0.8, _drawn(rng, 0.8, LEFT).matrices[0], ["low", "high"])
    assert found["accuracy"]["high"] > 0.99
    assert sum(found["both"].values()) == pytest.approx(1)


def test_a_verdict_names_one_reading_only_where_it_is_likely_enough():
    assert _verdict({"a": 0.97, "b": 0.03}) == "a"
    assert _verdict({"a": 0.6, "b": 0.37, "c": 0.03}) == "undecided: a or b"
    assert _verdict({"a": 1.0}) == "one reading"
