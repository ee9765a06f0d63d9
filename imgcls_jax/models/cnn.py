"""A small convolutional network for 28x28 and 32x32 images."""

import flax.linen as nn
import jax

from imgcls_jax.models.conv import conv_general_dilated, max_pool_2x2
from imgcls_jax.models.inits import initialisers
from imgcls_jax.models.mlp import dense


class CNN(nn.Module):
    """Stages of [3x3 conv, batch norm, ReLU] closed by 2x2 max-pooling, then one hidden layer.

    Attributes:
      num_classes: C, the number of logits.
      stages: for every stage, the output channels of its convolutions.
      hidden: size of the dense layer before the logits.
      dropout: probability of dropping a unit of that layer while training.
      initialisation: name of the initialisation, see `imgcls_jax.models.inits`.
    """

    num_classes: int
    stages: tuple[tuple[int, ...], ...] = ((32,), (64,), (128,))
    hidden: int = 256
    dropout: float = 0.3
    initialisation: str = "torch_linear"

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Maps images (B, H, W, C), H and W at least 2**len(stages), to logits (B, num_classes)."""
        x = images
        for stage in self.stages:
            for depth, channels in enumerate(stage, start=1):
                kernel_init, _ = initialisers(self.initialisation, fan_in=9 * x.shape[-1])
                x = nn.Conv(
                    channels,
                    (3, 3),
                    use_bias=False,  # the norm that follows has one
                    kernel_init=kernel_init,
                    conv_general_dilated=conv_general_dilated,
                )(x)
                if depth == len(stage):
                    x = max_pool_2x2(x)
                x = nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5)(x)
                x = nn.relu(x)
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(dense(x, self.hidden, init=self.initialisation))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return dense(x, self.num_classes, init=self.initialisation)
