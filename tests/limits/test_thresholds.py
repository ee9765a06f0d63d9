"""Thresholds of labels: the best F1 by brute force, and scikit-learn's figures."""

import numpy as np
import pytest
from sklearn import metrics as sk

from imgcls_jax import metrics
from imgcls_jax.limits import kept, thresholds
from imgcls_jax.workdir import Workdir

NAMES = ("cat", "dark", "dog", "rare")


@pytest.fixture
def examples():
    """Labels and logits (60, 4), told apart badly; nobody has the last label."""
    rng = np.random.default_rng(0)
    labels = (rng.random((60, 4)) < (0.5, 0.2, 0.8, 0)).astype(np.int32)
    logits = 2 * labels - 2.5 + rng.normal(0, 1.5, labels.shape)
    return labels, np.round(logits, 1).astype(np.float32)  # with ties


def test_thresholds_have_the_highest_f1(examples):
    labels, logits = examples
    found = thresholds.choose(labels, logits)
    scores = thresholds.probabilities(logits)
    for k in range(3):
        best = max(sk.f1_score(labels[:, k], scores[:, k] >= cut) for cut in np.unique(scores))
        assert sk.f1_score(labels[:, k], scores[:, k] >= found[k]) == best
        assert best > sk.f1_score(labels[:, k], scores[:, k] >= 0.5) - 1e-12
        assert found[k] not in scores[:, k]  # between scores
    assert found[3] == 0.5  # there is nothing to choose by


def test_of_equally_good_thresholds_it_is_the_nearest_to_a_half():
    cut = thresholds.best_threshold(np.array([True, False]), np.array([0.9, 0.2]))
    assert cut == pytest.approx(0.55)
    assert thresholds.best_threshold(np.array([True, False]), np.array([0.7, 0.7])) == 0.35


def test_figures_are_those_of_scikit_learn(examples):
    labels, logits = examples
    scores, cuts = thresholds.probabilities(logits), np.array([0.3, 0.5, 0.6, 0.99])
    found, said = thresholds.figures(labels, scores, cuts, NAMES), scores >= cuts
    assert found["subset_accuracy"] == pytest.approx(sk.accuracy_score(labels, said))
    assert found["hamming_loss"] == pytest.approx(sk.hamming_loss(labels, said))
    expected = sk.precision_recall_fscore_support(labels, said, zero_division=0)
    for k, name in enumerate(NAMES):
        row = found["per_class"][name]
        ours = [row[key] for key in ("precision", "recall", "f1", "support")]
        np.testing.assert_allclose(ours, [column[k] for column in expected])
        assert row["threshold"] == cuts[k]
    ranking = metrics.scores(labels, scores, NAMES)
    mean = sk.average_precision_score(labels[:, :3], scores[:, :3], average="macro")
    assert ranking["average_precision"] == pytest.approx(mean)
    assert set(ranking["classes"]) == set(NAMES[:3])
    area = sk.roc_auc_score(labels[:, 1], scores[:, 1])
    assert ranking["classes"]["dark"]["roc_auc"] == pytest.approx(area)


def test_large_logits_have_probabilities_too():
    assert thresholds.probabilities([-1e4, 0, 1e4]).tolist() == [0.0, 0.5, 1.0]


def test_what_is_kept_is_read_back(examples, tmp_path):
    labels, logits = examples
    workdir = Workdir(tmp_path)
    thresholds.learn(workdir, labels, logits, of="validation examples", identity="a")
    facts = kept.facts(tmp_path)
    expected = thresholds.choose(labels, logits)
    np.testing.assert_array_equal(thresholds.values(facts, 4), expected)
    assert facts["thresholds"]["undecided"] == [3]
    assert kept.read(tmp_path) is None  # no temperature
    thresholds.keep_plain(workdir, 4, why_not="there are none")
    assert thresholds.values(kept.facts(tmp_path), 4).tolist() == [0.5] * 4
