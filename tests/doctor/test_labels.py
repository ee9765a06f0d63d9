"""Labels that are wrong on purpose are suspected, and confident learning by hand."""

import numpy as np
import pytest
from doctor_helpers import HeadOnly

from imgcls_jax.data import k_fold
from imgcls_jax.doctor import labels
from imgcls_jax.errors import UserError


def _clusters(each: int = 40, seed: int = 0):
    """Three clusters of features, and the classes that they are of."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(3, dtype=np.int32), each)
    centres = 3 * np.eye(3, 6)
    return (centres[truth] + rng.normal(0, 0.7, (len(truth), 6))).astype(np.float32), truth


def test_flipped_labels_are_the_first_suspects_and_their_classes_are_right(monkeypatch):
    monkeypatch.setattr(labels, "_LEARNING_RATE", 0.05)
    features, truth = _clusters()
    wrong = np.random.default_rng(1).choice(len(truth), 6, replace=False)
    given = truth.copy()
    given[wrong] = (truth[wrong] + 1) % 3
    found, first = labels.doubt(HeadOnly(), features, given, num_classes=3)
    assert set(found.indices[:6].tolist()) == set(wrong.tolist())
    assert found.likely[:6].tolist() == truth[found.indices[:6]].tolist()
    assert (np.diff(found.confidence) >= 0).all()
    assert first.shape == (120, 3)
    np.testing.assert_allclose(first.sum(axis=1), 1, atol=1e-5)


def test_as_many_are_suspected_as_are_confidently_of_another_class():
    probabilities = np.array(
        [[0.9, 0.1], [0.7, 0.3], [0.1, 0.9], [0.2, 0.8], [0.4, 0.6], [0.45, 0.55]]
    )
    given = np.array([0, 0, 0, 1, 1, 1])
    own = probabilities[np.arange(6), given]
    thresholds = [own[:3].mean(), own[3:].mean()]
    sure = [2]  # 0.9 of class 1 where 0.65 is usual
    assert probabilities[2, 1] > thresholds[1]
    found = labels.suspects(probabilities, given)
    assert found.indices.tolist() == sure
    assert found.likely.tolist() == [1]
    assert found.confidence.tolist() == [0.1]


def test_no_label_is_suspected_where_all_are_the_most_probable():
    found = labels.suspects(np.eye(3)[[0, 1, 2, 2]], np.array([0, 1, 2, 2]))
    assert len(found.indices) == 0


def test_no_head_is_fitted_to_photos_that_are_doubted_or_copies_of_the_judged(monkeypatch):
    features, truth = _clusters(each=10)
    groups = np.arange(30) // 2
    numbered = np.concatenate([features, np.arange(30)[:, None]], axis=1).astype(np.float32)
    seen = []

    class Judge:
        def probabilities(self, found):
            seen[-1] = (seen[-1], found[:, -1].astype(int))
            return np.full((len(found), 3), 1 / 3)

    def fit(found, given, seed):
        seen.append(found[:, -1].astype(int))
        return Judge()

    monkeypatch.setattr(labels, "make_fit", lambda model, **of: fit)
    of = {"num_classes": 3, "groups": groups, "doubted": np.array([3, 17])}
    labels.out_of_fold(HeadOnly(), numbered, truth, **of)
    assert sorted(np.concatenate([judged for _, judged in seen]).tolist()) == list(range(30))
    for fitted, judged in seen:
        assert not {3, 17} & set(fitted.tolist())
        assert not set(groups[fitted].tolist()) & set(groups[judged].tolist())


def test_a_label_is_not_doubted_where_its_class_is_in_one_fold_only():
    features, truth = _clusters(each=10)
    groups = np.where(truth == 2, 99, np.arange(30))  # all of class 2 are copies of each other
    found = labels.out_of_fold(HeadOnly(), features, truth, num_classes=3, groups=groups)
    assert found[truth == 2].tolist() == [[0, 0, 1]] * 10


def test_a_class_of_one_photo_is_refused():
    with pytest.raises(UserError, match="a class has one photo"):
        labels.out_of_fold(HeadOnly(), np.zeros((3, 2)), np.array([0, 0, 1]), num_classes=2)


def test_folds_keep_groups_together_and_refuse_too_few():
    given = np.tile([0, 1], 20)
    groups = np.arange(40) // 4
    for train, test in k_fold(given, folds=5, seed=1, groups=groups):
        assert not set(groups[train]) & set(groups[test])
    with pytest.raises(UserError, match="make 2 groups"):
        k_fold(given, folds=5, seed=1, groups=np.arange(40) // 20)
