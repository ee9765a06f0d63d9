"""Small convolutional networks for 28x28 and 32x32 images: `CNN`, and that of a documented run.

`DocumentedCNN` is the CIFAR-10 network of runs 10 and 11, 122,570 parameters at 32x32x3.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from imgcls_jax.models.layers import BatchNorm, conv, dense, require_size
from imgcls_jax.models.lowering.pool import max_pool

SMALLEST = 18  # pixels per side that leave the last convolution of `DocumentedCNN` one output


class CNN(nn.Module):
    """Stages of two 3x3 convolutions with 2x2 max-pooling after the first, then logits.

    Batch norm and ReLU follow each convolution, or its pooling: they commute up to the sign of the
    scale, and a quarter of the pixels costs a quarter of the work.

    Attributes:
      num_classes: C, the number of logits.
      widths: the channels of each stage.
      dropout: probability of dropping an input of the last layer while training.
      initialisation: name of the initialisation, see `imgcls_jax.models.inits`.
      dtype: type of the convolutions; parameters, norms and logits are float32.
    """

    num_classes: int
    widths: tuple[int, ...] = (32, 64, 128)
    dropout: float = 0.1
    initialisation: str = "torch_linear"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Maps images (B, H, W, C) to logits (B, num_classes).

        Raises:
          UserError: if H or W is less than 2**len(widths).
        """
        require_size(images, 2 ** len(self.widths), f"a CNN of {len(self.widths)} stages")
        layer = dict(init=self.initialisation, dtype=self.dtype)
        x = images
        for width in self.widths:
            x = max_pool(conv(x, width, **layer), 2, 2)
            x = nn.relu(BatchNorm()(x, train))
            x = nn.relu(BatchNorm()(conv(x, width, **layer), train))
        x = x.reshape(x.shape[0], -1)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return dense(x, self.num_classes, init=self.initialisation)


class DocumentedCNN(nn.Module):
    """Three unpadded 3x3 convolutions, pooled between them, and a dense layer, as in Keras.

    Conv 32, max-pool 2, conv 64, max-pool 2, conv 64, flatten, dense 64, dropout, dense C, with
    ReLU after every layer but the last. Here ReLU follows the pooling, with which it commutes, on
    a quarter of the pixels.

    Attributes:
      num_classes: C, the number of logits.
      dropout: probability of dropping an input of the last layer while training; 0.5 in run 11.
      initialisation: name of the initialisation, see `imgcls_jax.models.inits`.
      dtype: type of the computation; parameters and logits are float32.
    """

    num_classes: int
    dropout: float = 0.0
    initialisation: str = "keras_glorot"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Maps images (B, H, W, C) to logits (B, num_classes).

        Raises:
          UserError: if H or W is less than `SMALLEST`.
        """
        require_size(images, SMALLEST, "documented_cnn, whose convolutions are unpadded")
        layer = dict(init=self.initialisation, padding="VALID", use_bias=True, dtype=self.dtype)
        x = nn.relu(max_pool(conv(images, 32, **layer), 2, 2))
        x = nn.relu(max_pool(conv(x, 64, **layer), 2, 2))
        x = nn.relu(conv(x, 64, **layer))
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(dense(x, 64, init=self.initialisation, dtype=self.dtype))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return dense(x, self.num_classes, init=self.initialisation)


NETWORKS = {"cnn": CNN, "documented_cnn": DocumentedCNN}
