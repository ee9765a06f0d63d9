"""Wide residual networks (Zagoruyko and Komodakis 2016), pre-activation as the paper's."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from imgcls_jax.errors import UserError
from imgcls_jax.models.layers import BatchNorm, at_least_float32, conv, dense, require_size


class WideBlock(nn.Module):
    """shortcut + conv(dropout(relu(norm(conv(relu(norm(x))))))), both convolutions 3x3.

    Where sizes change, the shortcut is a 1x1 convolution of relu(norm(x)); elsewhere it is x.

    Attributes:
      features: channels of both convolutions.
      strides: of the first convolution and of the shortcut.
      dropout, initialisation, dtype: see `WideResNet`.
    """

    features: int
    strides: int
    dropout: float
    initialisation: str
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps (B, H, W, C) to (B, ceil(H / strides), ceil(W / strides), features)."""
        convolve = partial(conv, init=self.initialisation, dtype=self.dtype)
        active = nn.relu(BatchNorm(dtype=self.dtype)(x, train))
        y = convolve(active, self.features, 3, strides=self.strides, padding=1)
        y = nn.relu(BatchNorm(dtype=self.dtype)(y, train))
        y = nn.Dropout(self.dropout, deterministic=not train)(y)
        y = convolve(y, self.features, 3, padding=1)
        if self.strides > 1 or x.shape[-1] != self.features:
            x = convolve(active, self.features, 1, strides=self.strides)
        return x + y


class WideResNet(nn.Module):
    """WRN-depth-widen_factor: three stages of (depth - 4) / 6 blocks, for small images.

    Attributes:
      num_classes: C, the number of logits.
      depth: number of convolutions, 6 n + 4.
      widen_factor: k; the stages have 16 k, 32 k and 64 k channels.
      dropout: probability of dropping an activation between a block's convolutions in training; the
        paper uses 0.3 where it does.
      initialisation: name of the initialisation, see `imgcls_jax.models.inits`.
      dtype: type of the computation; parameters, norms and logits are float32.
    """

    num_classes: int
    depth: int = 28
    widen_factor: int = 10
    dropout: float = 0.0
    initialisation: str = "kaiming_fan_out"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Maps images (B, H, W, C) to logits (B, num_classes), float32.

        Raises:
          UserError: if the depth is not 6 n + 4, or a side of the images is below 3 pixels.
        """
        blocks, rest = divmod(self.depth - 4, 6)
        if blocks < 1 or rest:
            raise UserError(
                f"a wide ResNet has no depth {self.depth}; choose 6 n + 4, such as 16, 28 or 40."
            )
        require_size(images, 3, "a wide ResNet")
        x = conv(images, 16, 3, padding=1, init=self.initialisation, dtype=self.dtype)
        for stage in range(3):
            for i in range(blocks):
                x = WideBlock(
                    features=16 * self.widen_factor * 2**stage,
                    strides=2 if stage > 0 and i == 0 else 1,
                    dropout=self.dropout,
                    initialisation=self.initialisation,
                    dtype=self.dtype,
                )(x, train)
        x = nn.relu(BatchNorm(dtype=self.dtype)(x, train))
        x = at_least_float32(x).mean((1, 2))
        return dense(x, self.num_classes, init=self.initialisation)


NETWORKS = {
    "wrn16_4": partial(WideResNet, depth=16, widen_factor=4),
    "wrn28_10": partial(WideResNet, depth=28, widen_factor=10),
}
