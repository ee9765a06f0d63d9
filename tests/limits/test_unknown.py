"""Distances by scipy and scikit-learn, in NumPy and in JAX, and who is refused."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist, cosine
from sklearn.covariance import ledoit_wolf

from imgcls_jax.limits import conformal, unknown


def made_up(classes=4, each=30, size=12, seed=0):
    """Features of classes that share a covariance, and labels."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(1)
    mix = fixed.normal(size=(size, size)) / 4
    means = fixed.normal(size=(classes, size)) * 2
    labels = np.repeat(np.arange(classes), each)
    return means[labels] + rng.normal(size=(len(labels), size)) @ mix, labels


def logits_of(features):
    """Logits (N, 4) of a linear network, a fixed one."""
    return features @ np.random.default_rng(2).normal(size=(features.shape[1], 4))


def far_from(statistics, features):
    return unknown.distances(statistics, features, logits_of(features))


def by_scipy(known, labels, new):
    """The angles (N,) of new features to classes' means, each class granted half its own."""
    means = np.stack([known[labels == c].mean(0) for c in range(4)])
    own = np.zeros(4)
    for n, c in enumerate(labels):
        others = known[(labels == c) & (np.arange(len(labels)) != n)].mean(0)
        own[c] += (1 - cosine(known[n], others)) / (labels == c).sum()
    return (cdist(new, means, "cosine") + (own - own.mean()) / 2).min(1)


def test_the_distance_is_of_angles_before_and_after_whitening_and_a_doubt():
    features, labels = made_up()
    new, _ = made_up(seed=5)
    scaled = features / np.sqrt((features**2).mean(1, keepdims=True))
    new_scaled = new / np.sqrt((new**2).mean(1, keepdims=True))
    residuals = scaled - np.stack([scaled[labels == c].mean(0) for c in range(4)])[labels]
    covariance, share = ledoit_wolf(residuals, assume_centered=True)
    assert unknown.shrinkage(residuals, residuals.T @ residuals / 120) == pytest.approx(share)
    root = np.real(sqrtm(np.linalg.inv(covariance)))
    known, other = ((of - scaled.mean(0)) @ root for of in (scaled, new_scaled))
    plain, white = by_scipy(scaled, labels, new_scaled), by_scipy(known, labels, other)
    logits = logits_of(new)
    statistics, held_out = unknown.learn(unknown.Features(features, labels, held=new), logits)
    angles, second = plain / plain.std() + white / white.std(), np.sort(logits, axis=1)[:, -2:]
    doubt = second[:, 0] - second[:, 1]
    expected = angles + doubt / doubt.std()
    np.testing.assert_allclose(held_out, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(far_from(statistics, new), expected, rtol=1e-4, atol=1e-4)
    given = (jnp.asarray(of, jnp.float32) for of in (new, logits))
    np.testing.assert_allclose(
        unknown.distances(statistics, *given), expected, rtol=1e-3, atol=1e-3
    )
    older = statistics._replace(scales=statistics.scales[:2])
    np.testing.assert_allclose(far_from(older, new), angles, rtol=1e-4)


def test_equal_logits_are_the_greatest_doubt():
    np.testing.assert_array_equal(unknown.doubts(np.array([[3.0, 1, 3], [0, -2, 5]])), [0, -5])


def test_examples_without_logits_are_no_measure_of_the_distance():
    features, labels = made_up()
    folds = np.arange(120) % 2
    chosen = np.flatnonzero(folds == 1)[::-1]  # in an order of its own
    answers = np.full(120, -1)
    answers[chosen] = np.arange(60)
    found = unknown.Features(features, labels, folds=folds, answers=answers)
    statistics, kept = unknown.learn(found, logits_of(features[chosen]))
    of_others = unknown.fit(features[folds == 0], labels[folds == 0])
    expected = far_from(of_others._replace(scales=statistics.scales), features[folds == 1])
    np.testing.assert_allclose(kept, expected, rtol=1e-4, atol=1e-4)


def test_classes_without_examples_and_features_that_never_vary_are_no_trouble():
    features, labels = made_up()
    features[:, 3] = 0
    found = far_from(unknown.fit(features, labels + 2), features)
    assert np.isfinite(found).all()
    assert unknown.fit(features, labels + 2).means.shape == (4, 12)
    one = unknown.fit(features[:31], labels[:31])  # of the second class a single example
    np.testing.assert_array_equal(one.offsets, 0)
    same = np.ones((6, 3))
    assert np.isfinite(far_from(unknown.fit(same, [0, 0, 0, 1, 1, 1]), same)).all()


@pytest.mark.parametrize("way", ["held", "folds"])
def test_known_examples_are_refused_as_often_as_asked_and_strange_ones_more(way):
    features, labels = made_up(each=300)
    more, _ = made_up(each=300, seed=7)
    if way == "held":
        found = unknown.Features(features, labels, held=more)
    else:
        folds = np.random.default_rng(0).permutation(len(labels)) % 5
        found = unknown.Features(features, labels, folds=folds)
    statistics, kept = unknown.learn(found, logits_of(more if way == "held" else features))
    assert kept.shape == (1200,)
    farthest = conformal.quantile(kept, 0.9, name="unknown")
    new, _ = made_up(each=300, seed=9)
    refused = far_from(statistics, new) > farthest
    assert refused.mean() == pytest.approx(0.1, abs=0.03)
    strange = np.random.default_rng(3).normal(size=(500, 12)) * 2
    assert (far_from(statistics, strange) > farthest).mean() > 0.9


def test_a_fold_is_judged_by_statistics_that_do_not_know_it():
    features, labels = made_up(each=10)
    folds = np.arange(40) % 2
    found = unknown.Features(features, labels, folds=folds)
    statistics, kept = unknown.learn(found, logits_of(features))
    out = folds == 1
    of_others = unknown.fit(features[~out], labels[~out])._replace(scales=statistics.scales)
    np.testing.assert_allclose(kept[out], far_from(of_others, features[out]), rtol=1e-5)
    assert kept.mean() > far_from(statistics, features).mean()
