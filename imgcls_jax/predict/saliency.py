"""The places in an image that speak for a class to a network: Grad-CAM."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from imgcls_jax.errors import UserError


def grad_cam(
    model: Any, variables: Mapping[str, Any], images: jax.Array, classes: jax.Array
) -> jax.Array:
    """Computes Grad-CAM (Selvaraju et al. 2017): a sum of the last feature map's channels.

    A channel weighs the mean over its pixels of the class logit's derivative; the negative part of
    the sum, which speaks against the class, is cut off. The logit is taken less the mean of all
    classes': to a softmax a common shift is nothing, and Adam lets heads drift in that direction,
    until every logit is negative and nothing seems to speak for any class.

    Args:
      model: a Linen module whose last feature map (B, h, w, F) is marked, as
        `imgcls_jax.models.layers.last_map` does.
      variables: as its `apply` takes them.
      images: (B, H, W, C) as the model takes them, normalised.
      classes: (B,) the class to explain for each image.

    Returns:
      (B, h, w) float32 in [0, 1], each image's largest value 1, or 0 where nothing speaks for the
      class.

    Raises:
      UserError: the network marks no feature map.
    """

    def marked(images):
        return model.apply(variables, images, mutable=["perturbations"])[1]

    shapes = jax.eval_shape(marked, images).get("perturbations", {})
    if "map" not in shapes:
        raise UserError(
            f"saliency needs a network with a last feature map, and {type(model).__name__} has "
            "none; leave saliency out."
        )
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def score(perturbations):
        logits, sown = model.apply(
            {**variables, "perturbations": perturbations}, images, mutable=["intermediates"]
        )
        if logits.shape[-1] == 1:  # a binary head, see `freezing.with_binary_head`
            logits = jnp.concatenate([jnp.zeros_like(logits), logits], axis=-1)
        chosen = jnp.take_along_axis(logits, classes[:, None], axis=1) - logits.mean(
            1, keepdims=True
        )
        return chosen.sum(), sown["intermediates"]["map"][0]

    gradients, features = jax.grad(score, has_aux=True)(zeros)
    features, gradient = (x.astype(jnp.float32) for x in (features, gradients["map"]))
    cam = jax.nn.relu(jnp.einsum("bhwf,bf->bhw", features, gradient.mean((1, 2))))
    largest = cam.max((1, 2), keepdims=True)
    return jnp.where(largest > 0, cam / jnp.where(largest > 0, largest, 1), 0)
