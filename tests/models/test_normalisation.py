"""Pixels as published weights expect them; whitening, which gives a unit covariance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imgcls_jax.errors import UserError
from imgcls_jax.models import normalisation
from imgcls_jax.models.normalisation import patch_whitening, whiten


def smooth_images(count=200, size=12, channels=3, seed=0):
    """Images whose neighbouring pixels and channels go together, as in photographs."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(count, size + 2, size + 2, channels))
    blurred = sum(noise[:, i : i + size, j : j + size] for i in range(3) for j in range(3)) / 3
    mixed = blurred @ (np.eye(channels) + 0.5)
    return np.clip(60 * mixed + 110, 0, 255).astype(np.uint8)


def covariance_of_whitened(images, whitening, **options):
    whitened = np.asarray(whiten(jnp.asarray(images / 255, jnp.float32), whitening, **options))
    half = whitened.shape[-1] // 2
    np.testing.assert_array_equal(whitened[..., half:], -whitened[..., :half])
    return np.cov(whitened[..., :half].reshape(-1, half).T, bias=True), whitened


@pytest.mark.parametrize(("channels", "patch"), [(3, 2), (1, 2), (1, 3), (3, 1)])
def test_whitened_patches_have_mean_zero_and_unit_covariance(channels, patch):
    images = smooth_images(channels=channels)
    whitening = patch_whitening(images, patch=patch, eps=0.0)
    size = patch * patch * channels
    assert whitening.kernel.shape == (patch, patch, channels, 2 * size)
    covariance, whitened = covariance_of_whitened(images, whitening)
    assert whitened.shape == (200, 13 - patch, 13 - patch, 2 * size)
    np.testing.assert_allclose(covariance, np.eye(size), atol=2e-4)
    np.testing.assert_allclose(whitened.mean((0, 1, 2)), 0, atol=2e-4)


def test_eps_shrinks_each_axis_by_its_own_variance():
    """With eps the variance along an axis is v / (v + eps), v falling from axis to axis."""
    images = smooth_images()
    covariance, _ = covariance_of_whitened(images, patch_whitening(images, eps=0.5))
    shrunk = np.diag(covariance)
    assert (np.diff(shrunk) < 0).all()
    standard = (images / 255 - (images / 255).mean((0, 1, 2))) / (images / 255).std((0, 1, 2))
    patches = np.lib.stride_tricks.sliding_window_view(standard, (2, 2), axis=(1, 2))
    variances = np.linalg.eigvalsh(np.cov(patches.reshape(-1, 3, 4).reshape(-1, 12).T))[::-1]
    np.testing.assert_allclose(shrunk, variances / (variances + 0.5), atol=1e-4)


def test_it_is_the_convolution_written_out():
    images = smooth_images(count=20)
    whitening = patch_whitening(images)
    x = jnp.asarray(images / 255, jnp.float32)
    patch = np.asarray(x)[4, 3:5, 7:9].reshape(-1)
    expected = patch @ whitening.kernel.reshape(12, 24) + whitening.bias
    np.testing.assert_allclose(whiten(x, whitening)[4, 3, 7], expected, atol=2e-4)
    whole = whiten(x, whitening)
    np.testing.assert_allclose(whiten(x, whitening, stride=2), whole[:, ::2, ::2], atol=1e-5)


def test_constant_and_repeated_channels_stay_finite():
    grey = smooth_images(channels=1)
    repeated = np.concatenate([grey, grey, np.full_like(grey, 7)], axis=-1)
    _, whitened = covariance_of_whitened(repeated, patch_whitening(repeated))
    assert np.isfinite(whitened).all()
    assert np.abs(whitened).max() < 30


def test_large_sets_are_sampled_evenly():
    """A set sorted by class must not be judged by its first class."""
    dark, light = smooth_images(count=3000, size=6), smooth_images(count=3000, size=6, seed=1)
    images = np.concatenate([dark // 4, light // 2 + 100])
    covariance, whitened = covariance_of_whitened(images, patch_whitening(images))
    np.testing.assert_allclose(np.diag(covariance)[0], 1, atol=0.05)
    np.testing.assert_allclose(whitened.mean((0, 1, 2)), 0, atol=0.05)


def test_images_smaller_than_a_patch_are_refused():
    with pytest.raises(UserError, match="smaller than the whitening patch"):
        patch_whitening(np.zeros((4, 1, 5, 3), np.uint8))


def test_runs_inside_jit_in_the_images_type():
    images = smooth_images(count=8)
    whitening = patch_whitening(images)
    x = jnp.asarray(images / 255, jnp.float32)
    compiled = jax.jit(lambda x: whiten(x, whitening))
    np.testing.assert_allclose(compiled(x), whiten(x, whitening), atol=1e-4)
    assert compiled(x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


@pytest.mark.parametrize("every", [1, 3])
def test_statistics_are_those_of_all_images_however_many_are_looked_at_together(monkeypatch, every):
    """Twice the images of a chunk and one more."""
    images = np.random.default_rng(4).integers(0, 256, (501, 3, 4, 2), np.uint8)
    images[-1], images[249], images[250] = 255, 0, 128
    mean, std = normalisation.channel_moments(images, every=every)
    seen = images[::every] / 255
    np.testing.assert_allclose(mean, seen.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, seen.std((0, 1, 2)), rtol=1e-12)
    whole = normalisation.patch_whitening(images)
    monkeypatch.setattr(normalisation, "_CHUNK", 7)
    for ours, theirs in zip(normalisation.patch_whitening(images), whole, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


# --- as published weights expect pixels; red, green and blue differ in every constant

MEANS, DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # torchvision's, red first
CAFFE = {"red": 123.68, "green": 116.779, "blue": 103.939}  # keras.applications' imagenet_utils


def published(name: str, pixels: np.ndarray) -> np.ndarray:
    """What the publishers' programs do to bytes (N, 3), red first, written out by channel."""
    red, green, blue = np.float64(pixels).T
    if name == "imagenet":
        channels = [
            (c / 255 - m) / d for c, m, d in zip((red, green, blue), MEANS, DEVIATIONS, strict=True)
        ]
    elif name == "symmetric":
        channels = [c / 127.5 - 1 for c in (red, green, blue)]
    elif name == "lite":  # MEAN_RGB and STDDEV_RGB in the authors' efficientnet_lite_builder.py
        channels = [(c - 127.0) / 128.0 for c in (red, green, blue)]
    else:
        channels = [blue - CAFFE["blue"], green - CAFFE["green"], red - CAFFE["red"]]
    return np.stack(channels, axis=-1)


@pytest.mark.parametrize("name", normalisation.PUBLISHED)
def test_published_pixels_are_the_publishers(name):
    pixels = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 255], [12, 200, 77]])
    images = jnp.asarray(pixels[:, None, None] / 255, jnp.float32)
    assert normalisation.constants(name, images) == {}
    seen = jax.jit(normalisation.create(name, {}))(images)
    scale = 255 if name == "caffe" else 1
    np.testing.assert_allclose(seen[:, 0, 0], published(name, pixels), atol=1e-6 * scale)


def test_standard_pixels_have_mean_0_and_deviation_1_in_every_channel():
    images = smooth_images(count=30)
    images[..., 1] //= 2
    values = normalisation.constants("standard", images)
    seen = normalisation.create("standard", values)(jnp.asarray(images / 255, jnp.float32))
    np.testing.assert_allclose(np.mean(seen, (0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(np.std(seen, (0, 1, 2)), 1, atol=1e-5)


def test_grey_pixels_have_no_published_constants():
    for name in ("imagenet", "caffe"):
        with pytest.raises(UserError, match="for images of three channels, not 1"):
            normalisation.create(name, {})(jnp.zeros((1, 2, 2, 1)))
