"""Multi-layer perceptrons, and the linear classifier as the one without hidden layers."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from imgcls_jax.models.layers import dense


class MLP(nn.Module):
    """Flatten, then [dense, ReLU, dropout] for every hidden size, then dense logits.

    Attributes:
      num_classes: C, the number of logits.
      hidden: sizes of the hidden layers; empty gives multinomial logistic regression.
      initialisation: name of the initialisation, see `imgcls_jax.models.inits`.
      dtype: type of the hidden layers' computation; parameters and logits are float32.
      dropout: probability of dropping an output of a hidden layer while training.
    """

    num_classes: int
    hidden: tuple[int, ...] = (256, 128)
    initialisation: str = "torch_linear"
    dtype: Any = jnp.float32
    dropout: float = 0.0

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Maps images (B, H, W, C) or (B, D) to logits (B, num_classes)."""
        x = images.reshape(images.shape[0], -1)
        for size in self.hidden:
            x = nn.relu(dense(x, size, init=self.initialisation, dtype=self.dtype))
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return dense(x, self.num_classes, init=self.initialisation)


NETWORKS = {
    "linear": functools.partial(MLP, hidden=(), dropout=0.0),  # multinomial logistic regression
    "mlp": MLP,
}
