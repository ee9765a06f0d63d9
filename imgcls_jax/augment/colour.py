"""Brightness, contrast and colour of images (B, H, W, C) in [0, 1].

Each blends the image with a plainer one, 1 being the image itself (Haeberli and Voorhies 1994,
as Pillow's ImageEnhance and torchvision's ColorJitter), by a factor uniform in
[1 - strength, 1 + strength]; 0.4 is usual for ImageNet (fb.resnet.torch).
"""

import jax
import jax.numpy as jnp


def brightness(key: jax.Array, images: jax.Array, strength: float) -> jax.Array:
    """Scales the brightness: between black and brighter."""
    return blend(jnp.zeros_like(images), images, _factor(key, images, strength))


def contrast(key: jax.Array, images: jax.Array, strength: float) -> jax.Array:
    """Scales the contrast: between the image's mean grey and more."""
    return blend(_mean_grey(images), images, _factor(key, images, strength))


def saturation(key: jax.Array, images: jax.Array, strength: float) -> jax.Array:
    """Scales the saturation: between grey and more colourful; a grey image stays as it is."""
    if images.shape[-1] == 1:
        return images
    return blend(grey(images), images, _factor(key, images, strength))


def blend(plain: jax.Array, images: jax.Array, factor: jax.Array) -> jax.Array:
    """Computes plain + factor (images - plain), cut to [0, 1]; a factor of 1 gives the images."""
    return jnp.clip(factor * images + (1 - factor) * plain, 0, 1)


def grey(images: jax.Array, *, axis: int = -1) -> jax.Array:
    """Computes luma, channels (on `axis`) to one: Rec. 601 weights for three, else the mean.

    Spelt out because XLA's CPU sum over so short an axis takes twenty times as long.
    """
    channels = images.shape[axis]
    weights = (0.299, 0.587, 0.114) if channels == 3 else (1 / channels,) * channels
    planes = jnp.split(images, channels, axis=axis)
    return sum(weight * plane for weight, plane in zip(weights, planes, strict=True))


def _mean_grey(images: jax.Array) -> jax.Array:
    return grey(images.mean(axis=1, keepdims=True).mean(axis=2, keepdims=True))


def _factor(key: jax.Array, images: jax.Array, strength: float) -> jax.Array:
    shape = (images.shape[0], 1, 1, 1)
    return jax.random.uniform(key, shape, minval=1 - strength, maxval=1 + strength)
