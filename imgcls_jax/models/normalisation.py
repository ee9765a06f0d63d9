"""From pixels in [0, 1] to a network's input: by the training set, or as published weights ask.

    values = constants("whiten", train_images)           # NumPy, once; a finished run keeps them
    normalise = create("whiten", values)                 # pure, inside jit, after augmentation

Whitening goes further than a scale per channel. Neighbouring pixels and channels are strongly
correlated. A fixed first convolution onto the principal axes of small patches, each scaled to unit
variance, hands a network inputs that are not; it then learns in fewer epochs (Coates and Ng 2011;
as a first layer: Page 2019, "How to train your ResNet 8"; Jordan 2024, "94% on CIFAR-10 in 3.29
seconds on a single GPU").
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax.errors import UserError
from imgcls_jax.models.lowering.conv import conv_general_dilated

_OF_IMAGENET = (np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]))
_CAFFE_MEANS = np.array([103.939, 116.779, 123.68])  # blue, green, red, of 255
_OF_LITE = (np.full(3, 127 / 255), np.full(3, 128 / 255))
PUBLISHED = ("imagenet", "symmetric", "lite", "caffe")  # for three channels, red first
NAMES = ("unit", "standard", "whiten", *PUBLISHED)

_SAMPLE = 5000  # images that the statistics of patches are taken from
_CHUNK = 250  # images whose pixels and patches are in memory at a time


def constants(name: str, images: Any) -> dict[str, np.ndarray]:
    """Computes the values that `create` takes: {} unless they depend on the training images.

    Args:
      name: one of `NAMES`.
      images: the training set's, (N, H, W, C) uint8: an array, or an object indexed like one that
        decodes a few at a time.

    Raises:
      UserError: if the name is unknown, or a channel is the same everywhere and has no scale.
    """
    if name not in NAMES:
        raise UserError(f"unknown normalisation {name!r}; choose one of: {', '.join(NAMES)}.")
    if name not in ("standard", "whiten"):
        return {}
    if name == "whiten":
        return patch_whitening(images)._asdict()
    mean, std = channel_moments(images)
    if not std.all():
        raise UserError(
            "`normalise=standard` cannot be used: a channel of the training images is the "
            "same everywhere; use `normalise=unit`."
        )
    return {"mean": mean, "std": std}


def create(name: str, values: Mapping[str, Any]) -> Callable[[jax.Array], jax.Array]:
    """Builds a pure function of images (B, H, W, C) in [0, 1].

    unit: as they are.
    standard: mean 0 and standard deviation 1 in each channel over the training set.
    whiten: decorrelated 2x2 patches, (B, H-1, W-1, 8 C), see `whiten`.
    imagenet: minus ImageNet's mean over its deviation, as torchvision's and timm's weights and
      Keras' EfficientNet and DenseNet have it.
    symmetric: in [-1, 1], as Keras' MobileNets and EfficientNetV2 have it.
    lite: (pixels of 0 to 255 - 127) / 128, as EfficientNet-Lite's authors have it.
    caffe: 0 to 255, blue first, minus ImageNet's mean, as Keras' ResNets have it.

    Args:
      name: one of `NAMES`.
      values: as `constants` returned them.

    Raises:
      UserError: from the function, if `imagenet`, `lite` or `caffe` meets other than three
        channels.
    """
    match name:
        case "unit":
            return lambda x: x
        case "symmetric":
            return lambda x: 2 * x - 1
        case "whiten":
            whitening = Whitening(*(np.asarray(values[k], np.float32) for k in Whitening._fields))
            return lambda x: whiten(x, whitening)
        case "caffe":
            flipped = _affine(_CAFFE_MEANS / 255, np.full(3, 1 / 255))
            return lambda x: flipped(_three_channels(x)[..., ::-1])
        case "imagenet" | "lite":
            scaled = _affine(*(_OF_IMAGENET if name == "imagenet" else _OF_LITE))
            return lambda x: scaled(_three_channels(x))
    return _affine(np.asarray(values["mean"]), np.asarray(values["std"]))


def _affine(mean: np.ndarray, std: np.ndarray) -> Callable[[jax.Array], jax.Array]:
    mean, scale = jnp.asarray(mean, jnp.float32), jnp.asarray(1 / std, jnp.float32)
    return lambda x: (x - mean) * scale


def _three_channels(images: jax.Array) -> jax.Array:
    if images.shape[-1] != 3:
        raise UserError(
            f"this normalisation is for images of three channels, not {images.shape[-1]}; use "
            "`normalise=unit` or `normalise=standard`."
        )
    return images


class Whitening(NamedTuple):
    """A fixed convolution with a bias, on images in [0, 1].

    Attributes:
      kernel: (patch, patch, C, 2K) float32, K = patch * patch * C: the scaled axes by falling
        variance, then their negatives, so that a rectifier behind it keeps both signs.
      bias: (2K,) float32, which centres the whitened channels.
    """

    kernel: np.ndarray
    bias: np.ndarray


def patch_whitening(images: Any, *, patch: int = 2, eps: float = 5e-4) -> Whitening:
    """Computes the whitening of the `patch` x `patch` patches of a training set.

    Channels are first brought to mean 0 and standard deviation 1; that is part of the returned
    kernel and bias.

    Args:
      images: (N, H, W, C) uint8; up to 5,000 of them, evenly spaced, are looked at.
      eps: added to the variance along each axis before dividing by its root, so that directions in
        which the images hardly vary are not blown up.

    Raises:
      UserError: if the images are smaller than a patch.
    """
    height, width, channels = images.shape[1:]
    if min(height, width) < patch:
        raise UserError(
            f"images of {height}x{width} pixels are smaller than the whitening patch of "
            f"{patch}x{patch}; use larger images or another value of normalise."
        )
    every = -(-len(images) // _SAMPLE)
    mean, std = channel_moments(images, every=every)
    std = np.where(std < 1e-9, 1.0, std)  # of a constant channel: 0, but for rounding
    size = patch * patch * channels
    total, products, count = np.zeros(size), np.zeros((size, size)), 0
    for pixels in _chunks(images, every):
        chunk = (pixels / np.float64(255) - mean) / std
        rows, columns = height - patch + 1, width - patch + 1
        shifted = [
            chunk[:, i : i + rows, j : j + columns] for i in range(patch) for j in range(patch)
        ]
        patches = np.concatenate(shifted, axis=-1).reshape(-1, size)
        total += patches.sum(0)
        products += patches.T @ patches
        count += len(patches)
    centre = total / count
    variances, axes = np.linalg.eigh(products / count - np.outer(centre, centre))
    variances, axes = np.maximum(variances[::-1], 0), axes[:, ::-1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(size)])  # LAPACK's sign is free
    scaled = axes / np.sqrt(variances + eps)
    scaled = np.concatenate([scaled, -scaled], axis=1)
    kernel = scaled / np.tile(std, patch * patch)[:, None]
    bias = -(centre @ scaled) - np.tile(mean, patch * patch) @ kernel
    return Whitening(
        kernel.reshape(patch, patch, channels, 2 * size).astype(np.float32),
        bias.astype(np.float32),
    )


def channel_moments(images: Any, *, every: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Computes mean and deviation (C,) of the channels of uint8 images, scaled to [0, 1].

    Args:
      images: (N, H, W, C), see `constants`.
      every: 1 to look at all of them, n for each n-th.
    """
    counts = np.zeros((images.shape[-1], 256), np.int64)
    # Counting values is exact and a hundred times faster than float64 sums of all pixels.
    for pixels in _chunks(images, every):
        for channel, of_channel in enumerate(counts):
            of_channel += np.bincount(pixels[..., channel].ravel(), minlength=256)
    share = counts / counts.sum(axis=1, keepdims=True)
    values = np.arange(256) / 255.0
    mean = share @ values
    return mean, np.sqrt((share * (values - mean[:, None]) ** 2).sum(axis=1))


def _chunks(images: Any, every: int) -> Iterator[np.ndarray]:
    """Yields each n-th image, a few at a time: they may have to be decoded."""
    step = _CHUNK * every
    for start in range(0, len(images), step):
        yield images[start : start + step : every]


def whiten(images: jax.Array, whitening: Whitening, *, stride: int = 1) -> jax.Array:
    """Whitens images (B, H, W, C) in [0, 1], without padding: (B, H', W', 2K).

    H' = (H - patch) // stride + 1, and likewise W'. With `stride` the patch's own size each pixel
    is in one patch: a network behind it has that factor squared fewer positions to work on.
    """
    whitened = conv_general_dilated(
        images,
        jnp.asarray(whitening.kernel, images.dtype),
        (stride, stride),
        "VALID",
        dimension_numbers=jax.lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2)),
    )
    return whitened + jnp.asarray(whitening.bias, images.dtype)
