"""Brightness, contrast and colour against Pillow, cutout and random erasing by their statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from imgcls_jax.augment import colour, erase

KEY = jax.random.key(0)
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 12, 10, 3), np.uint8)
PLAIN = {
    "Brightness": jnp.zeros_like,
    "Contrast": colour._mean_grey,
    "Color": colour.grey,
}


def drawn(function, images, strength):
    return np.asarray(jax.jit(lambda images: function(KEY, images, strength))(images))


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.6])
@pytest.mark.parametrize("name", sorted(PLAIN))
def test_blends_are_pillows(name, factor):
    images = PIXELS.astype(np.float32) / 255
    got = jax.jit(lambda x: colour.blend(PLAIN[name](x), x, factor))(images)
    for pixels, image in zip(PIXELS, got, strict=True):
        enhanced = getattr(ImageEnhance, name)(Image.fromarray(pixels)).enhance(factor)
        np.testing.assert_allclose(
            np.asarray(image) * 255, np.asarray(enhanced), atol=1.5
        )  # Pillow rounds


@pytest.mark.parametrize(
    ("function", "spread"),
    [
        (colour.brightness, lambda x: x.mean(axis=(1, 2, 3))),
        (colour.contrast, lambda x: x.std(axis=(1, 2, 3))),
        (colour.saturation, lambda x: x[:, 0, 0, 0] - x[:, 0, 0, 1]),
    ],
)
def test_factors_are_uniform_around_one(function, spread):
    image = np.full((2, 2, 3), 0.5, np.float32)
    image[..., 0] += 0.05
    image[1] += 0.1
    images = np.tile(image, (2000, 1, 1, 1))
    factors = spread(drawn(function, images, 0.4)) / spread(images)
    assert 0.6 - 1e-4 < factors.min() < 0.61
    assert 1.39 < factors.max() < 1.4 + 1e-4
    assert abs(factors.mean() - 1) < 5 * 0.231 / 2000**0.5
    assert abs(factors.std() - 0.4 / 3**0.5) < 0.01


def test_saturation_leaves_grey_pixels_of_a_colour_image():
    grey = np.repeat(np.random.default_rng(0).uniform(size=(8, 4, 4, 1)), 3, axis=-1)
    np.testing.assert_allclose(drawn(colour.saturation, grey, 0.9), grey, atol=1e-6)


def test_cutout_covers_the_part_of_its_square_that_lies_inside():
    count, size, side = 4000, 9, 4
    images = np.tile(np.linspace(0, 1, size * size, dtype=np.float32), (count, 1))
    images = images.reshape(count, size, size, 1)
    cut = drawn(erase.cutout, images, side)
    covered = cut != images
    np.testing.assert_allclose(cut[covered], 0.5, atol=1e-4)  # the batch's mean
    # The middle pixel is its own mean: it counts as covered where its left neighbour is.
    rows = [len(set(range(c - 2, c + 2)) & set(range(size))) for c in range(size)]
    expected = np.mean(rows) ** 2
    areas = covered[..., 0].sum(axis=(1, 2))
    assert abs(areas.mean() - expected) < 0.5
    assert areas.max() == side**2
    assert areas.min() >= 3  # 2 x 2 in a corner, or one less
    assert covered.any(axis=0).sum() >= size * size - 1  # every pixel at times


def test_erase_covers_its_share_of_the_images_by_rectangles_in_range():
    count, size = 3000, 32
    images = np.full((count, size, size, 3), 2.0, np.float32)  # no random pixel is 2
    covered = drawn(erase.erase, images, 0.3)[..., 0] != 2
    hit = covered.any(axis=(1, 2))
    assert abs(hit.mean() - 0.3) < 5 * (0.21 / count) ** 0.5
    covered = covered[hit]
    heights, widths = covered.any(axis=2).sum(axis=1), covered.any(axis=1).sum(axis=1)
    areas = covered.sum(axis=(1, 2))
    np.testing.assert_array_equal(areas, heights * widths)  # whole rectangles
    shares = areas / size**2
    assert 0.01 < shares.min() < 0.04
    assert 0.38 < shares.max() < 0.42
    assert abs(shares.mean() - 0.21) < 0.015  # uniform in [0.02, 0.4], few cut at the edge
    ratios = np.log(heights / widths)
    assert abs(ratios.mean()) < 0.12
    assert 0.9 < np.abs(ratios).max() < 1.7  # log(1 / 0.3) is 1.2, and small sides are rounded


def test_erase_at_probability_one_fills_with_uniform_noise_the_same_for_a_key():
    images = np.zeros((400, 16, 16, 1), np.float32)
    erased = drawn(erase.erase, images, 1.0)
    noise = erased[erased > 0]
    assert (erased > 0).any(axis=(1, 2, 3)).all()
    assert abs(noise.mean() - 0.5) < 0.1
    assert abs(noise.std() - 12**-0.5) < 0.05
