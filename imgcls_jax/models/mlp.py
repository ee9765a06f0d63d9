"""Multi-layer perceptrons, and the linear classifier as the one without hidden layers."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from imgcls_jax.models.inits import initialisers


def dense(
    x: jax.Array, features: int, *, init: str, dtype: Any = None, name: str | None = None
) -> jax.Array:
    """Applies a dense layer (B, fan_in) -> (B, features) with a framework's own initialisation.

    Call it inside a `compact` method. PyTorch draws biases from a range set by the fan-in, which a
    bias initialiser cannot see; here it is known. `dtype` is the computation's; by default the
    wider of the inputs' and float32, the name in the parameters Flax' own.
    """
    kernel_init, bias_init = initialisers(init, fan_in=x.shape[-1])
    return nn.Dense(features, dtype=dtype, kernel_init=kernel_init, bias_init=bias_init, name=name)(
        x
    )


class MLP(nn.Module):
    """Flatten, then [dense, ReLU] for every hidden size, then dense logits.

    Attributes:
      num_classes: C, the number of logits.
      hidden: sizes of the hidden layers; empty gives multinomial logistic regression.
      initialisation: name of the initialisation, see `imgcls_jax.models.inits`.
      dtype: type of the hidden layers' computation; parameters and logits are float32.
    """

    num_classes: int
    hidden: tuple[int, ...] = (256, 128)
    initialisation: str = "torch_linear"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Maps images (B, H, W, C) or (B, D) to logits (B, num_classes)."""
        del train  # nothing here behaves differently in training
        x = images.reshape(images.shape[0], -1)
        for size in self.hidden:
            x = nn.relu(dense(x, size, init=self.initialisation, dtype=self.dtype))
        return dense(x, self.num_classes, init=self.initialisation)
