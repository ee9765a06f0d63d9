"""Mixup and cutmix: pixels and label weights tell the same share, which has the law asked for."""

import jax
import numpy as np
import pytest
from scipy import stats

from imgcls_jax.augment import mix

KEY = jax.random.key(0)


def drawn(function, images, weights, alpha):
    """Images and weights mixed, as NumPy arrays."""
    mixed = jax.jit(lambda images, weights: function(KEY, images, weights, alpha))(images, weights)
    return tuple(np.asarray(each) for each in mixed)


def one_class_an_image(count, size=8):
    """Image i is constant i / (count - 1), of class i: its mean is a function of its weights."""
    values = np.linspace(0, 1, count, dtype=np.float32)
    return np.tile(values[:, None, None, None], (1, size, size, 1)), np.eye(count, dtype=np.float32)


@pytest.mark.parametrize("function", [mix.mixup, mix.cutmix])
@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_the_mean_pixel_is_the_mean_under_the_label_weights(function, alpha):
    images, weights = one_class_an_image(64)
    mixed, mixed_weights = drawn(function, images, weights, alpha)
    np.testing.assert_allclose(np.sum(mixed_weights, axis=1), 1.0, atol=1e-6)
    assert np.min(mixed_weights) >= 0
    assert np.count_nonzero(mixed_weights, axis=1).max() == 2
    expected = mixed_weights @ images[:, 0, 0, 0]
    np.testing.assert_allclose(np.mean(mixed, axis=(1, 2, 3)), expected, atol=1e-5)
    assert np.std(np.asarray(mixed)[:, 0, 0, 0] - images[:, 0, 0, 0]) > 0.05


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixups_share_is_beta(alpha):
    count = 1500
    images, weights = np.zeros((count, 1, 1, 1), np.float32), np.eye(count, dtype=np.float32)
    shares = np.diag(drawn(mix.mixup, images, weights, alpha)[1])
    law = stats.beta(alpha, alpha)
    assert abs(shares.mean() - 0.5) < 5 * law.std() / count**0.5
    for at in np.linspace(0.05, 0.95, 19):
        expected = law.cdf(at)
        assert abs((shares < at).mean() - expected) < 5 * (expected * (1 - expected) / count) ** 0.5


def test_cutmix_pastes_a_rectangle_whose_area_is_the_partners_weight():
    count, height, width = 1500, 12, 20
    images = np.zeros((count, height, width, 1), np.float32) + np.arange(count)[:, None, None, None]
    weights = np.eye(count, dtype=np.float32)
    mixed, mixed_weights = drawn(mix.cutmix, images, weights, 1.0)
    foreign = (mixed != images)[..., 0]
    areas = foreign.sum(axis=(1, 2))
    np.testing.assert_allclose(np.diag(mixed_weights), 1 - areas / (height * width), atol=1e-6)
    np.testing.assert_array_equal(
        areas, foreign.any(axis=2).sum(axis=1) * foreign.any(axis=1).sum(axis=1)
    )
    for image, row, where in zip(mixed, mixed_weights, foreign, strict=True):
        assert len(partners := np.unique(image[where])) <= 1
        assert not len(partners) or row[int(partners[0])] > 0
    # A box of area 1 - U about a uniform centre keeps, of each side s, s - s^2 / 4 inside on
    # average: the expectation of (s - s^2 / 4)^2 with s^2 uniform is 1/2 - 1/5 + 1/48.
    assert abs(areas.mean() / (height * width) - (1 / 2 - 1 / 5 + 1 / 48)) < 0.04


def test_a_tiny_alpha_is_all_or_nothing():
    images, weights = one_class_an_image(200)
    mixed, mixed_weights = drawn(mix.mixup, images, weights, 1e-4)
    assert np.isfinite(mixed).all()
    assert np.isfinite(mixed_weights).all()
    assert (mixed_weights.max(axis=1) > 0.999).mean() > 0.95


def test_integers_become_one_hot_and_one_out_of_range_nan():
    weights = mix.label_weights(np.array([2, 0, 3, -1]), num_classes=3)
    np.testing.assert_array_equal(weights[:2], np.eye(3)[[2, 0]])
    assert np.isnan(weights[2:]).all()
