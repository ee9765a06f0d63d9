"""Augmentations: what they may change, and how often."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imgcls_jax import augment
from imgcls_jax.errors import UserError

IMAGES = np.random.default_rng(0).uniform(size=(64, 6, 5, 2)).astype(np.float32)


def test_flip_mirrors_about_half_of_the_images():
    flipped = np.asarray(augment.flip(jax.random.key(0), IMAGES))
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(flipped, IMAGES, strict=True)]
    kept = [np.array_equal(a, b) for a, b in zip(flipped, IMAGES, strict=True)]
    assert all(m != k for m, k in zip(mirrored, kept, strict=True))
    assert 16 < sum(mirrored) < 48  # 64 fair coins: 5 standard deviations are 20


def test_shift_moves_by_up_to_its_pixels_with_zeros_at_the_edge():
    image = np.zeros((500, 7, 7, 1), np.float32)
    image[:, 3, 3] = 1.0
    moved = np.asarray(augment.shift(jax.random.key(0), image, pixels=2))
    rows, columns = np.nonzero(moved[..., 0].sum(0))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (1, 5, 1, 5)
    np.testing.assert_array_equal(moved.sum(axis=(1, 2, 3)), 1.0)  # never out of the picture
    counts = moved[..., 0].sum(0)[1:6, 1:6]
    assert counts.min() > 4  # each of the 25 moves about 20 times


def test_shift_brings_in_zeros():
    moved = np.asarray(augment.shift(jax.random.key(1), np.ones((50, 4, 4, 1), np.float32)))
    assert set(np.unique(moved)) == {0.0, 1.0}
    np.testing.assert_array_equal(augment.shift(jax.random.key(1), IMAGES, pixels=0), IMAGES)


def test_composition_is_by_name_and_repeats_for_the_same_key():
    both = augment.create(["flip", "shift"])
    key = jax.random.key(3)
    once = both(key, IMAGES)
    np.testing.assert_array_equal(once, both(key, IMAGES))
    np.testing.assert_array_equal(once, jax.jit(both)(key, IMAGES))
    assert not np.array_equal(once, both(jax.random.key(4), IMAGES))
    assert once.shape == IMAGES.shape
    assert once.dtype == jnp.float32
    assert augment.create([]) is None


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="unknown augmentation 'rotate'; choose from: flip, shift"):
        augment.create(["flip", "rotate"])
