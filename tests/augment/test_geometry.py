"""What moves, mirrors and turns: against SciPy and NumPy, and statistics over many draws."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from imgcls_jax.augment import geometry

KEY = jax.random.key(0)
affine = jax.jit(geometry.affine)
IMAGES = np.random.default_rng(0).uniform(size=(64, 6, 5, 2)).astype(np.float32)


def drawn(function, images, *strength):
    """Compiled whole: operation by operation takes several times as long."""
    return jax.jit(lambda images: function(KEY, images, *strength))(images)


def dots(count, size):
    """Images that are zero but for one pixel in the middle."""
    images = np.zeros((count, size, size, 1), np.float32)
    images[:, size // 2, size // 2] = 1.0
    return images


def test_flip_mirrors_about_half_of_the_images():
    flipped = np.asarray(drawn(geometry.flip, IMAGES))
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(flipped, IMAGES, strict=True)]
    kept = [np.array_equal(a, b) for a, b in zip(flipped, IMAGES, strict=True)]
    assert all(m != k for m, k in zip(mirrored, kept, strict=True))
    assert 16 < sum(mirrored) < 48  # 64 fair coins: 4 standard deviations are 16


def test_alternate_flip_mirrors_each_image_every_other_epoch_and_half_of_them_in_the_first():
    count = 2000
    images = np.tile(np.array([0.0, 1.0], np.float32)[:, None], (count, 1, 1, 1))
    flip = jax.jit(geometry.alternate_flip)
    index = np.arange(count) * 7
    mirrored = np.stack(
        [
            np.asarray(flip(images, index=index, epoch=np.int32(e)))[:, 0, 0, 0] == 1
            for e in range(4)
        ]
    )
    assert abs(mirrored[0].mean() - 0.5) < 5 * 0.5 / count**0.5
    np.testing.assert_array_equal(mirrored[1], ~mirrored[0])
    np.testing.assert_array_equal(mirrored[2:], mirrored[:2])
    # Decided by the example, wherever in whichever batch it stands.
    shuffled = np.random.default_rng(0).permutation(count)
    again = flip(images, index=index[shuffled], epoch=np.int32(0))[:, 0, 0, 0] == 1
    np.testing.assert_array_equal(again, mirrored[0][shuffled])


def test_crop_moves_by_every_offset_equally_often_with_zeros_at_the_edge():
    moved = np.asarray(drawn(geometry.crop, dots(5000, 7), 2))
    np.testing.assert_array_equal(moved.sum(axis=(1, 2, 3)), 1.0)  # never out of the picture
    counts = moved[..., 0].sum(axis=0)
    assert counts.sum() == counts[1:6, 1:6].sum()
    expected = 5000 / 25
    chi_square = ((counts[1:6, 1:6] - expected) ** 2 / expected).sum()
    assert chi_square < 60  # 24 degrees of freedom: 60 has probability 6e-5
    ones = np.asarray(drawn(geometry.crop, np.ones((50, 4, 4, 1), np.float32), 1))
    assert set(np.unique(ones)) == {0.0, 1.0}


def test_crop_reflect_mirrors_at_the_edges():
    image = np.arange(5, dtype=np.float32)
    images = np.tile(image[:, None, None], (200, 1, 5, 1))  # rows 0 1 2 3 4, all columns alike
    rows = {tuple(r) for r in np.asarray(drawn(geometry.crop_reflect, images, 2))[:, :, 0, 0]}
    padded = [2, 1, 0, 1, 2, 3, 4, 3, 2]
    assert rows == {tuple(padded[i : i + 5]) for i in range(5)}


def test_translate_moves_by_its_fraction_of_each_side():
    images = np.zeros((2000, 9, 21, 1), np.float32)
    images[:, 4, 10] = 1.0
    moved = np.asarray(drawn(geometry.translate, images, 0.2))[..., 0].sum(axis=0)
    rows, columns = np.nonzero(moved)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 6, 6, 14)
    assert moved.sum() == 2000
    assert moved[2:7, 6:15].min() > 44 - 5 * 44**0.5  # 2000 / 45 each


def test_rotate_draws_angles_over_its_range():
    """A dot to the right of the centre tells the angle it was turned by."""
    size, radius = 41, 16
    images = np.zeros((600, size, size, 1), np.float32)
    images[:, 20, 20 + radius] = 1.0
    turned = np.asarray(drawn(geometry.rotate, images, 30.0))[..., 0]
    y, x = np.indices((size, size)) - 20
    weight = turned.sum(axis=(1, 2))
    angles = np.degrees(
        np.arctan2((turned * y).sum(axis=(1, 2)) / weight, (turned * x).sum(axis=(1, 2)) / weight)
    )
    assert 27 < angles.max() < 32
    assert -32 < angles.min() < -27
    assert abs(angles.mean()) < 5 * 17.3 / 600**0.5
    assert abs(angles.std() - 30 / 3**0.5) < 2


def test_resized_crops_have_their_areas_ratios_and_places():
    """Images whose pixels are their own coordinates tell what was cut out."""
    side = 64
    y, x = np.mgrid[:side, :side] / side
    coordinates = np.stack([y, x, np.ones_like(x)], -1)[None].astype(np.float32)
    cut = np.asarray(drawn(geometry.resized_crop, np.tile(coordinates, (800, 1, 1, 1)), 0.6))
    np.testing.assert_allclose(cut[..., 2], 1, atol=1e-5)  # no border comes in
    top, left = cut[:, 0, 0, 0], cut[:, 0, 0, 1]
    height = (cut[:, -1, 0, 0] - top) * side / (side - 1)
    width = (cut[:, 0, -1, 1] - left) * side / (side - 1)
    area, ratio = height * width, np.log(width / height)
    assert 0.4 - 1e-3 < area.min() < 0.42
    assert 0.98 < area.max() < 1 + 1e-3
    assert abs(area.mean() - 0.7) < 0.02
    assert np.abs(ratio).max() <= np.log(4 / 3) + 1e-3
    assert np.abs(ratio).max() > 0.27
    assert np.all(np.abs(ratio) <= -np.log(area) + 2e-3)
    place = top * side / (side - 1) / np.maximum(1 - height, 1e-3)
    wide = height < 0.8
    assert abs(place[wide].mean() - 0.5) < 0.05
    assert place[wide].min() < 0.05 < 0.95 < place[wide].max()


def test_zoom_draws_factors_over_its_range():
    """The area of a disc inside the image tells the factor."""
    y, x = np.indices((41, 41)) - 20
    disc = (np.hypot(y, x) < 10).astype(np.float32)
    zoomed = drawn(geometry.zoom, np.tile(disc[None, ..., None], (600, 1, 1, 1)), 0.3)
    factors = np.sqrt(np.asarray(zoomed).sum(axis=(1, 2, 3)) / disc.sum())
    assert 0.68 < factors.min() < 0.73
    assert 1.27 < factors.max() < 1.32
    assert abs(factors.mean() - 1) < 5 * 0.173 / 600**0.5


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.floats(-1.5, 1.5, width=16), min_size=4, max_size=4),
    st.floats(-4, 4, width=16),
    st.floats(-4, 4, width=16),
)
def test_affine_is_scipys(linear, down, right):
    """Also far outside the image, where both give zero."""
    images, linear = IMAGES[:2], np.array(linear).reshape(2, 2)
    matrix = np.eye(3)
    matrix[:2] = np.column_stack([linear, [down, right]])
    got = affine(images, np.broadcast_to(matrix, (2, 3, 3)).astype(np.float32))
    middle = (np.array(images.shape[1:3]) - 1) / 2
    offset = np.array([down, right]) + middle - linear @ middle
    expected = np.empty_like(images)
    for b, c in np.ndindex(2, images.shape[-1]):
        expected[b, ..., c] = ndimage.affine_transform(
            images[b, ..., c], linear, offset, order=1, mode="grid-constant", prefilter=False
        )
    np.testing.assert_allclose(got, expected, atol=2e-5)


@pytest.mark.parametrize(("quarters", "angle"), [(1, np.pi / 2), (-1, -np.pi / 2), (2, np.pi)])
def test_quarter_turns_are_exact(quarters, angle):
    images = IMAGES[:, :5]
    turned = affine(images, geometry.rotation(np.full(len(images), angle, np.float32)))
    expected = np.rot90(images, -quarters, axes=(1, 2))
    np.testing.assert_allclose(turned, expected, atol=1e-5)
