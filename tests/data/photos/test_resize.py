"""Photos are brought to the size of a network's input as the libraries of its weights do it."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photo_helpers import encoded, smooth
from PIL import Image

from imgcls_jax.data.photos import decode
from imgcls_jax.errors import UserError

RNG = np.random.default_rng(0)
SMALL = RNG.integers(0, 256, (5, 7, 3), np.uint8)


def triangle(length: int, new: int) -> np.ndarray:
    """Matrix (new, length) of antialiased linear interpolation: a triangle as wide as a new pixel.

    As torchvision (antialias=True), jax.image.resize and Pillow define it.
    """
    scale = length / new
    centres = (np.arange(new)[:, None] + 0.5) * scale
    distance = np.abs(np.arange(length) + 0.5 - centres) / max(scale, 1)
    weights = np.maximum(0, 1 - distance)
    return weights / weights.sum(axis=1, keepdims=True)


def resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns = triangle(image.shape[0], height), triangle(image.shape[1], width)
    return np.einsum("ih,jw,hwc->ijc", rows, columns, image.astype(float))


def middle(image: np.ndarray, size: int) -> np.ndarray:
    """The centre square; black where the image does not reach."""
    top, left = (round((length - size) / 2) for length in image.shape[:2])
    pad = max(0, -top, -left) + 1
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    return padded[top + pad :, left + pad :][:size, :size]


@settings(deadline=None, max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    size=st.integers(1, 24),
    how=st.sampled_from(["crop", "stretch", "pad"]),
)
def test_resize(shape, size, how):
    image = np.random.default_rng(shape).integers(0, 256, (*shape, 3), np.uint8)
    if how == "stretch":
        height = width = size
    else:
        fitted = (min if how == "crop" else max)(shape)
        height, width = (max(1, size * length // fitted) for length in shape)
    expected = middle(resized(image, height, width), size)
    actual = decode.resize(image, size, how)
    assert actual.dtype == np.uint8
    assert actual.shape == (size, size, 3)
    assert np.abs(actual - expected).max() <= 1.01  # Pillow rounds after each of two passes


def test_cropping_keeps_circles_round_and_the_middle():
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 20:60] = 200
    np.testing.assert_array_equal(decode.resize(image, 40, "crop"), np.full((40, 40, 3), 200))


@pytest.mark.parametrize("fraction", [0.875, 0.9, 1])
@pytest.mark.parametrize("kind", ["crop", "stretch"])
def test_a_share_of_the_sides_by_an_interpolation_as_timm_has_it(kind, fraction):
    """timm: the short side, or both, to floor(size / crop_pct) by Pillow, and the middle of it."""
    image, size = Image.fromarray(smooth(90, 61)), 24
    fitted = math.floor(size / fraction)
    sides = (fitted, int(fitted * 90 / 61)) if kind == "crop" else (fitted, fitted)
    whole = np.asarray(image.resize(sides, Image.Resampling.BICUBIC))
    ours = decode.resize(np.asarray(image), size, f"{kind}-bicubic-{fraction}")
    assert np.abs(ours.astype(int) - middle(whole, size)).max() <= 1
    bilinear = decode.resize(np.asarray(image), size, f"{kind}-bilinear-{fraction}")
    assert not np.array_equal(ours, bilinear)


def test_the_usual_choices_are_the_usual_pixels():
    image = RNG.integers(0, 256, (50, 70, 3), np.uint8)
    for kind in ("crop", "stretch", "pad"):
        plain = decode.resize(image, 16, kind)
        np.testing.assert_array_equal(decode.resize(image, 16, f"{kind}-bilinear-1"), plain)
    assert decode.stretched("crop") == decode.stretched("pad-bilinear-1") == "stretch"
    assert decode.stretched("crop-bicubic-0.875") == "stretch-bicubic-1"


def test_a_large_photo_is_reduced_only_as_far_as_its_middle_needs():
    content = encoded(smooth(400, 400), "JPEG")
    whole = decode.resize(decode.decode(content), 90, "crop-bicubic-0.5")
    difference = decode.load(content, 90, "crop-bicubic-0.5").astype(int) - whole
    assert np.abs(difference).max() <= 2


def test_load_is_decode_and_resize():
    for content in (
        encoded(SMALL),
        encoded(smooth(50, 70), "JPEG"),
    ):
        expected = decode.resize(decode.decode(content), 16, "pad")
        np.testing.assert_array_equal(decode.load(content, 16, "pad"), expected)


def test_load_of_a_large_photo_is_close_to_decode_and_resize(tmp_path):
    noise = Image.fromarray(RNG.integers(0, 256, (60, 80, 3), np.uint8)).resize((800, 600))
    path = tmp_path / "large.JPG"
    path.write_bytes(encoded(noise, "JPEG"))
    difference = decode.load(path, 64).astype(int) - decode.resize(decode.decode(path), 64)
    assert np.abs(difference).mean() < 1.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "at least 1"),
        ((4, "squash"), "crop, stretch or pad"),
        ((4, "crop-lanczos-1"), "crop, stretch or pad"),
    ],
)
def test_resize_refuses(arguments, message):
    with pytest.raises(UserError, match=message):
        decode.resize(SMALL, *arguments)
