"""A small convolutional network for 28x28 and 32x32 images."""

import flax.linen as nn
import jax

from imgcls_jax.models.conv import conv_general_dilated
from imgcls_jax.models.inits import initialisers
from imgcls_jax.models.mlp import dense
from imgcls_jax.models.pool import max_pool


class CNN(nn.Module):
    """Stages of two 3x3 convolutions with 2x2 max-pooling after the first, then logits.

    Batch norm and ReLU follow each convolution, or its pooling: they commute up to the sign of the
    scale, and a quarter of the pixels costs a quarter of the work.

    Attributes:
      num_classes: C, the number of logits.
      widths: the channels of each stage.
      dropout: probability of dropping an input of the last layer while training.
      initialisation: name of the initialisation, see `imgcls_jax.models.inits`.
    """

    num_classes: int
    widths: tuple[int, ...] = (32, 64, 128)
    dropout: float = 0.1
    initialisation: str = "torch_linear"

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Maps images (B, H, W, C), H and W at least 2**len(widths), to logits (B, num_classes)."""
        x = images
        for width in self.widths:
            x = max_pool(self._conv(x, width), 2, 2)
            x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
            x = self._conv(x, width)
            x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
        x = x.reshape(x.shape[0], -1)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return dense(x, self.num_classes, init=self.initialisation)

    def _conv(self, x: jax.Array, width: int) -> jax.Array:
        """3x3, "SAME", without a bias: the norm that follows has one."""
        kernel_init, _ = initialisers(self.initialisation, fan_in=9 * x.shape[-1])
        return nn.Conv(
            width,
            (3, 3),
            use_bias=False,
            kernel_init=kernel_init,
            conv_general_dilated=conv_general_dilated,
        )(x)
