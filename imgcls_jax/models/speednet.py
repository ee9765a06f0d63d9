"""The network of the CIFAR-10 speed records: few layers, wide, on whitened images.

After K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (2024, arXiv:2404.00498), which
goes back to D. Page, "How to train your ResNet" (2018-19). It expects images whitened by
`imgcls_jax.models.normalisation`; that fixed first layer is no part of the module.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn import initializers

from imgcls_jax.models.inits import Initialiser, initialisers
from imgcls_jax.models.layers import BatchNorm, require_size
from imgcls_jax.models.lowering.conv import conv_general_dilated
from imgcls_jax.models.lowering.pool import max_pool


def dirac(otherwise: Initialiser) -> Initialiser:
    """Initialises a square convolution (k, k, I, O), k odd, to hand on its inputs.

    The first min(I, O) outputs copy an input each; the rest come from `otherwise`.
    """

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        height, width, inputs, outputs = shape
        copied = jnp.arange(min(inputs, outputs))
        kernel = otherwise(key, shape, dtype).at[..., copied].set(0)
        return kernel.at[height // 2, width // 2, copied, copied].set(1)

    return init


class Speednet(nn.Module):
    """A bias on the whitened channels, groups of convolutions that halve the image, logits.

    A group is [conv 3x3, max-pool 2, batch norm, GELU] and then `depth` - 1 times [conv 3x3, batch
    norm, GELU]. From a depth of 3 a residual connection joins the group's first activation to its
    last norm, as in airbench96. The last maps are max-pooled over the whole image.

    Attributes:
      num_classes: the number of logits.
      widths: the channels of each group.
      depth: convolutions per group, at least 1.
      initialisation: of the convolutions' outputs beyond the first, which copy their inputs; see
        `imgcls_jax.models.inits`.
      dtype: type of the computation but for batch norm, which is float32, as parameters are.
    """

    num_classes: int
    widths: tuple[int, ...] = (64, 256, 256)
    depth: int = 2
    initialisation: str = "torch_linear"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Maps whitened images (B, H, W, C) to logits (B, num_classes) float32.

        Raises:
          UserError: if pooling once per group leaves nothing of the image.
        """
        groups = len(self.widths)
        require_size(images, 2**groups, f"a speed network of {groups} groups, once whitened")
        bias = self.param("whitened_bias", initializers.zeros, images.shape[-1:])
        x = nn.gelu(images.astype(self.dtype) + bias.astype(self.dtype))
        for features in self.widths:
            x = self._norm(max_pool(self._conv(x, features), 2, 2), train)
            x = shortcut = nn.gelu(x)
            for layer in range(2, self.depth + 1):
                x = self._norm(self._conv(x, features), train)
                if layer == self.depth >= 3:
                    x = x + shortcut
                x = nn.gelu(x)
        x = x.max(axis=(1, 2))
        kernel_init, _ = initialisers("torch_linear", fan_in=x.shape[-1])
        logits = nn.Dense(
            self.num_classes,
            use_bias=False,
            dtype=self.dtype,
            kernel_init=kernel_init,
            name="head",
        )(x)
        # Small at the start, and the head can take a large learning rate (Page 2018).
        return logits.astype(jnp.float32) / 9

    def _conv(self, x: jax.Array, features: int) -> jax.Array:
        kernel_init, _ = initialisers(self.initialisation, fan_in=9 * x.shape[-1])
        return nn.Conv(
            features,
            (3, 3),
            use_bias=False,
            dtype=self.dtype,
            kernel_init=dirac(kernel_init),
            conv_general_dilated=conv_general_dilated,
        )(x)

    def _norm(self, x: jax.Array, train: bool) -> jax.Array:
        return BatchNorm(momentum=0.6, use_scale=False, dtype=self.dtype)(x, train)


NETWORKS = {"speednet": Speednet}
