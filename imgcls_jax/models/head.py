"""The end that all networks for transfer share: where features and maps are read, and the head.

With `mutable=["intermediates"]` a call of `apply` returns beside the logits
`intermediates["map"][0]`, the last feature map (B, h, w, C), and `intermediates["features"][0]`,
the inputs (B, F) of the head. What stands at `variables["perturbations"]["map"]` is added to the
map, so that a gradient with respect to it can be taken (Grad-CAM). Both cost nothing when unused.
"""

import flax.linen as nn
import jax

from imgcls_jax.models.layers import at_least_float32
from imgcls_jax.models.mlp import dense


def last_map(module: nn.Module, x: jax.Array) -> jax.Array:
    """Marks the last feature map (B, h, w, C) of a network; returns it, perturbed if asked to."""
    if not module.is_initializing():  # lest `init` return perturbations among the variables
        x = module.perturb("map", x)
    module.sow("intermediates", "map", x)
    return x


def mean_of_pixels(x: jax.Array) -> jax.Array:
    """Global average pooling (B, h, w, C) -> (B, C), in float32 at least."""
    return at_least_float32(x).mean((1, 2))


def classify(
    module: nn.Module,
    features: jax.Array,
    *,
    num_classes: int,
    dropout: float,
    train: bool,
    init: str,
    name: str | None = None,
) -> jax.Array:
    """Dropout and one dense layer: features (B, F) -> logits (B, num_classes), float32."""
    features = at_least_float32(features)
    module.sow("intermediates", "features", features)
    features = nn.Dropout(dropout, deterministic=not train)(features)
    return dense(features, num_classes, init=init, name=name)
