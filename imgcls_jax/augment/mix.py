"""Mixing each image (B, H, W, C), and its label weights (B, C), with another of the batch.

The partners are a random permutation of the batch. Each image has its own share, where the
papers' own code draws one for the whole batch.
"""

import jax
import jax.numpy as jnp

from imgcls_jax.augment.erase import box


def label_weights(labels: jax.Array, *, num_classes: int) -> jax.Array:
    """Returns integers (B,) as one-hot float32 (B, num_classes), and weights unchanged.

    An integer outside [0, num_classes) gives NaN, as in :func:`imgcls_jax.losses.cross_entropy`.
    """
    if labels.ndim == 2:
        return labels
    known = (labels >= 0) & (labels < num_classes)
    return jnp.where(known[:, None], jax.nn.one_hot(labels, num_classes), jnp.nan)


def mixup(
    key: jax.Array, images: jax.Array, weights: jax.Array, alpha: float
) -> tuple[jax.Array, jax.Array]:
    """Mixes share own + (1 - share) partner's, of images and weights (Zhang et al. 2018).

    The share is drawn from Beta(alpha, alpha); alpha 0 gives the share 1. The paper takes 0.2 for
    ImageNet and 1 for CIFAR.
    """
    share_key, partner_key = jax.random.split(key)
    share = _share(share_key, alpha, len(images))
    partner = jax.random.permutation(partner_key, len(images))
    pixels = share[:, None, None, None]
    return (
        pixels * images + (1 - pixels) * images[partner],
        share[:, None] * weights + (1 - share[:, None]) * weights[partner],
    )


def cutmix(
    key: jax.Array, images: jax.Array, weights: jax.Array, alpha: float
) -> tuple[jax.Array, jax.Array]:
    """Pastes a rectangle of the partner, and weighs labels by exact area (Yun et al. 2019).

    The rectangle has the image's aspect and the area 1 - share, the share from Beta(alpha, alpha),
    with alpha 1 in the paper and 0 giving the share 1; its centre is any pixel, and what lies
    outside the image is cut off.
    """
    share_key, partner_key, centre_key = jax.random.split(key, 3)
    batch, height, width = images.shape[:3]
    whole = jnp.array([height, width])
    share = _share(share_key, alpha, batch)
    size = (jnp.sqrt(1 - share)[:, None] * whole).astype(jnp.int32)
    top_left = jax.random.randint(centre_key, (batch, 2), 0, whole) - size // 2
    pasted = box(images.shape, top_left=top_left, size=size)
    partner = jax.random.permutation(partner_key, batch)
    foreign = pasted.mean(axis=(1, 2, 3))[:, None]
    return (
        jnp.where(pasted, images[partner], images),
        (1 - foreign) * weights + foreign * weights[partner],
    )


def _share(key: jax.Array, alpha: float, count: int) -> jax.Array:
    """Draws (count,) of Beta(alpha, alpha) from two uniform numbers each (Devroye 1996).

    Without the rejection loops of `jax.random.beta`, which take seconds to compile.
    """
    if alpha == 0:
        return jnp.ones(count)
    first, second = jax.random.uniform(key, (2, count))
    cosine = jnp.cos(2 * jnp.pi * second)
    odds = jnp.expm1(-jnp.log(first) / alpha) * cosine**2
    return 0.5 + 0.5 * jnp.sign(cosine) / jnp.sqrt(1 + 1 / odds)
