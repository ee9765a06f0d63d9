"""Whitening of images by the eigenvectors of their patches: preprocessing learned from the data.

    whitening = patch_whitening(train_images)            # NumPy, once
    whitened = whiten(images, whitening)                 # inside jit, after augmentation

Neighbouring pixels and channels are strongly correlated. A fixed first convolution onto the
principal axes of small patches, each scaled to unit variance, hands a network inputs that are not;
it then learns in fewer epochs (Coates and Ng 2011; as a first layer: Page 2019, "How to train your
ResNet 8"; Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU").
"""

from typing import NamedTuple

import jax
import numpy as np

from imgcls_jax.errors import UserError
from imgcls_jax.models.conv import conv_general_dilated

_SAMPLE = 5000  # images that the statistics are taken from
_CHUNK = 250  # images whose patches are in memory at a time


class Whitening(NamedTuple):
    """A fixed convolution with a bias, on images in [0, 1].

    Attributes:
      kernel: (patch, patch, C, 2K) float32, K = patch * patch * C: the scaled axes by falling
        variance, then their negatives, so that a rectifier behind it keeps both signs.
      bias: (2K,) float32, which centres the whitened channels.
    """

    kernel: np.ndarray
    bias: np.ndarray


def patch_whitening(images: np.ndarray, *, patch: int = 2, eps: float = 5e-4) -> Whitening:
    """The whitening of the `patch` x `patch` patches of a training set.

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
            f"{patch}x{patch}; use larger images or another --normalise."
        )
    sample = images[:: -(-len(images) // _SAMPLE)]
    mean, std = channel_moments(sample)
    std = np.where(std < 1e-9, 1.0, std)  # of a constant channel: 0, but for rounding
    size = patch * patch * channels
    total, products, count = np.zeros(size), np.zeros((size, size)), 0
    for start in range(0, len(sample), _CHUNK):
        chunk = (sample[start : start + _CHUNK] / np.float64(255) - mean) / std
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


def channel_moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (C,) of each channel of uint8 images, scaled to [0, 1]."""
    channels = images.shape[-1]
    # Counting values is exact and a hundred times faster than float64 sums of all pixels.
    counts = np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(channels)])
    share = counts / counts.sum(axis=1, keepdims=True)
    values = np.arange(256) / 255.0
    mean = share @ values
    return mean, np.sqrt((share * (values - mean[:, None]) ** 2).sum(axis=1))


def whiten(images: jax.Array, whitening: Whitening, *, stride: int = 1) -> jax.Array:
    """Whitens images (B, H, W, C) in [0, 1], without padding: (B, H', W', 2K).

    H' = (H - patch) // stride + 1, and likewise W'. With `stride` the patch's own size each pixel
    is in one patch: a network behind it has that factor squared fewer positions to work on.
    """
    whitened = conv_general_dilated(
        images,
        jax.numpy.asarray(whitening.kernel, images.dtype),
        (stride, stride),
        "VALID",
        dimension_numbers=jax.lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2)),
    )
    return whitened + jax.numpy.asarray(whitening.bias, images.dtype)
