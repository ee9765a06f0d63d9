"""From pixels in [0, 1] to what a network sees: by the training set, or as published weights ask.

The constants are apart from the function, so that a finished run can keep them for new images.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax.errors import UserError
from imgcls_jax.whiten import Whitening, channel_moments, patch_whitening, whiten

_OF_IMAGENET = (np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]))
_CAFFE_MEANS = np.array([103.939, 116.779, 123.68])  # blue, green, red, of 255
PUBLISHED = ("imagenet", "symmetric", "caffe")  # for three channels, red first
NAMES = ("unit", "standard", "whiten", *PUBLISHED)


def constants(name: str, images: np.ndarray | None) -> dict[str, np.ndarray]:
    """What `create` needs beside the name: {} unless it is taken from the training images.

    Args:
      name: one of `NAMES`.
      images: the training set's, (N, H, W, C) uint8; None where they are streamed.

    Raises:
      UserError: if the name is unknown, or a channel is the same everywhere and has no scale.
    """
    if name not in NAMES:
        raise UserError(f"unknown normalisation {name!r}; choose one of: {', '.join(NAMES)}.")
    if name not in ("standard", "whiten"):
        return {}
    if images is None:
        raise UserError(
            f"--normalise={name} needs all training images at once, and these are streamed; use "
            "--normalise=imagenet."
        )
    if name == "whiten":
        return patch_whitening(images)._asdict()
    mean, std = channel_moments(images)
    if not std.all():
        raise UserError(
            "--normalise=standard cannot be used: a channel of the training images is the "
            "same everywhere; use --normalise=unit."
        )
    return {"mean": mean, "std": std}


def create(name: str, values: Mapping[str, Any]) -> Callable[[jax.Array], jax.Array]:
    """Builds a pure function of images (B, H, W, C) in [0, 1].

    unit: as they are.
    standard: mean 0 and standard deviation 1 in each channel over the training set.
    whiten: decorrelated 2x2 patches, (B, H-1, W-1, 8 C), see `imgcls_jax.whiten`.
    imagenet: minus ImageNet's mean over its deviation, as torchvision's and timm's weights and
      Keras' EfficientNet and DenseNet have it.
    symmetric: in [-1, 1], as Keras' MobileNets and EfficientNetV2 have it.
    caffe: 0 to 255, blue first, minus ImageNet's mean, as Keras' ResNets have it.

    Args:
      name: one of `NAMES`.
      values: what `constants` returned.

    Raises:
      UserError: from the function, if `imagenet` or `caffe` meets other than three channels.
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
        case "imagenet":
            scaled = _affine(*_OF_IMAGENET)
            return lambda x: scaled(_three_channels(x))
    return _affine(np.asarray(values["mean"]), np.asarray(values["std"]))


def _affine(mean: np.ndarray, std: np.ndarray) -> Callable[[jax.Array], jax.Array]:
    mean, scale = jnp.asarray(mean, jnp.float32), jnp.asarray(1 / std, jnp.float32)
    return lambda x: (x - mean) * scale


def _three_channels(images: jax.Array) -> jax.Array:
    if images.shape[-1] != 3:
        raise UserError(
            f"this normalisation is for images of three channels, not {images.shape[-1]}; use "
            "--normalise=unit or standard."
        )
    return images
