"""Distances against scipy's and scikit-learn's, in NumPy and in JAX, and who is refused."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.covariance import ledoit_wolf

from imgcls_jax.limits import conformal, unknown


def made_up(classes=4, each=30, size=12, seed=0):
    """Features of classes that share a covariance, and labels."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(size, size)) / 4
    means = np.random.default_rng(1).normal(size=(classes, size)) * 2
    labels = np.repeat(np.arange(classes), each)
    return means[labels] + rng.normal(size=(len(labels), size)) @ mix, labels


def unit(features):
    return features / np.sqrt((features**2).mean(1, keepdims=True))


def test_the_distance_is_mahalanobis_with_ledoit_and_wolfs_covariance():
    features, labels = made_up()
    new, _ = made_up(seed=5)
    scaled = unit(features)
    means = np.stack([scaled[labels == c].mean(0) for c in range(4)])
    covariance, share = ledoit_wolf(scaled - means[labels], assume_centered=True)
    residuals = scaled - means[labels]
    assert unknown.shrinkage(residuals, residuals.T @ residuals / 120) == pytest.approx(share)
    expected = cdist(unit(new), means, "mahalanobis", VI=np.linalg.inv(covariance)).min(1) ** 2
    statistics = unknown.fit(features, labels)
    np.testing.assert_allclose(unknown.distances(statistics, new), expected, rtol=1e-4)
    in_jax = unknown.distances(statistics, jnp.asarray(new, jnp.float32))
    np.testing.assert_allclose(in_jax, expected, rtol=1e-3)


def test_classes_without_examples_and_features_that_never_vary_are_no_trouble():
    features, labels = made_up()
    features[:, 3] = 0
    found = unknown.distances(unknown.fit(features, labels + 2), features)
    assert np.isfinite(found).all()
    assert unknown.fit(features, labels + 2).means.shape == (4, 12)
    same = np.ones((6, 3))
    assert np.isfinite(unknown.distances(unknown.fit(same, [0, 0, 0, 1, 1, 1]), same)).all()


@pytest.mark.parametrize("way", ["held", "folds"])
def test_known_examples_are_refused_as_often_as_asked_and_strange_ones_more(way):
    features, labels = made_up(each=300)
    more, _ = made_up(each=300, seed=7)
    if way == "held":
        found = unknown.Features(features, labels, held=more)
    else:
        folds = np.random.default_rng(0).permutation(len(labels)) % 5
        found = unknown.Features(features, labels, folds=folds)
    kept = found.held_out_distances()
    assert kept.shape == (1200,)
    farthest = conformal.quantile(kept, 0.9, name="unknown")
    new, _ = made_up(each=300, seed=9)
    refused = unknown.distances(found.statistics(), new) > farthest
    assert refused.mean() == pytest.approx(0.1, abs=0.03)
    strange = np.random.default_rng(3).normal(size=(500, 12)) * 2
    assert (unknown.distances(found.statistics(), strange) > farthest).mean() > 0.9


def test_a_fold_is_judged_by_statistics_that_do_not_know_it():
    features, labels = made_up(each=10)
    folds = np.arange(40) % 2
    kept = unknown.Features(features, labels, folds=folds).held_out_distances()
    out = folds == 1
    expected = unknown.distances(unknown.fit(features[~out], labels[~out]), features[out])
    np.testing.assert_allclose(kept[out], expected)
    assert kept.mean() > unknown.distances(unknown.fit(features, labels), features).mean()
