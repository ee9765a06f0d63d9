"""Residual networks (He et al. 2016, "Deep Residual Learning for Image Recognition").

ResNet-18/34/50/101 in ImageNet's shape as torchvision builds them (version 1.5: a bottleneck
strides in its 3x3 convolution), and the thinner ResNet-20/32/56/110 that section 4.2 of the paper
trains on CIFAR-10.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn import initializers

from imgcls_jax.models.layers import (
    BatchNorm,
    at_least_float32,
    conv,
    require_size,
    require_stem,
    stochastic_depth,
)
from imgcls_jax.models.mlp import dense
from imgcls_jax.models.pool import max_pool


class Block(nn.Module):
    """relu(shortcut(x) + branch(x)), the branch two 3x3 convolutions or a 1x1-3x3-1x1 bottleneck.

    Attributes:
      width: channels of the 3x3 convolutions; a bottleneck returns four times as many.
      strides: of the first 3x3 convolution and of the shortcut.
      drop_rate: probability of dropping an image's branch in training.
      bottleneck, padded_shortcut, zero_init_residual, initialisation, dtype: see `ResNet`.
    """

    width: int
    strides: int
    drop_rate: float
    bottleneck: bool
    padded_shortcut: bool
    zero_init_residual: bool
    initialisation: str
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps (B, H, W, C) to (B, ceil(H / strides), ceil(W / strides), width or 4 width)."""
        convolve = partial(conv, init=self.initialisation, dtype=self.dtype)
        norm = partial(BatchNorm, dtype=self.dtype)
        features = 4 * self.width if self.bottleneck else self.width
        y = x
        if self.bottleneck:
            y = nn.relu(norm()(convolve(y, self.width, 1), train))
        # An int pads both sides alike, as PyTorch does; "SAME" with strides does not.
        y = convolve(y, self.width, 3, strides=self.strides, padding=1)
        y = nn.relu(norm()(y, train))
        y = convolve(y, features, 1) if self.bottleneck else convolve(y, features, 3, padding=1)
        last = initializers.zeros if self.zero_init_residual else initializers.ones
        y = norm(scale_init=last)(y, train)
        y = stochastic_depth(y, self.drop_rate, train=train)
        if self.strides > 1 or x.shape[-1] != features:
            if self.padded_shortcut:
                x = x[:, :: self.strides, :: self.strides]
                x = jnp.pad(x, (*3 * ((0, 0),), (0, features - x.shape[-1])))
            else:
                x = norm()(convolve(x, features, 1, strides=self.strides), train)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """Stem, stages of residual blocks each of twice the width and half the size, mean, logits.

    Attributes:
      num_classes: C, the number of logits.
      stage_sizes: blocks of each stage.
      width: channels of the stem and of the first stage's 3x3 convolutions.
      bottleneck: whether a block is 1x1-3x3-1x1 convolutions rather than two of 3x3.
      padded_shortcut: where sizes change, whether the shortcut skips pixels and appends channels of
        zeros (the paper's option A) rather than projecting (option B).
      stem: "imagenet", a 7x7 convolution and max-pooling that divide the sides by 4, or "cifar", a
        3x3 convolution that keeps them.
      stochastic_depth: probability of dropping an image's last residual branch in training, earlier
        ones' growing linearly up to it (Huang et al. 2016).
      zero_init_residual: whether every block starts as its shortcut (Goyal et al. 2017).
      initialisation: name of the initialisation, see `imgcls_jax.models.inits`.
      dtype: type of the computation; parameters, norms and logits are float32.
    """

    num_classes: int
    stage_sizes: tuple[int, ...]
    width: int = 64
    bottleneck: bool = False
    padded_shortcut: bool = False
    stem: str = "imagenet"
    stochastic_depth: float = 0.0
    zero_init_residual: bool = False
    initialisation: str = "kaiming_fan_out"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Maps images (B, H, W, C) to logits (B, num_classes), float32.

        Raises:
          UserError: if the stem is unknown, or the images are so small that a strided layer would
            see one pixel.
        """
        require_stem(self.stem)
        reduction = 2 ** (len(self.stage_sizes) - 1) * (4 if self.stem == "imagenet" else 1)
        require_size(images, reduction // 2 + 1, f"a ResNet with the stem {self.stem!r}")
        convolve = partial(conv, init=self.initialisation, dtype=self.dtype)
        if self.stem == "imagenet":
            x = convolve(images, self.width, 7, strides=2, padding=3)
        else:
            x = convolve(images, self.width, 3, padding=1)
        x = nn.relu(BatchNorm(dtype=self.dtype)(x, train))
        if self.stem == "imagenet":
            x = max_pool(x, 3, strides=2, padding=1)
        done, blocks = 0, sum(self.stage_sizes)
        for stage, size in enumerate(self.stage_sizes):
            for i in range(size):
                done += 1
                x = Block(
                    width=self.width * 2**stage,
                    strides=2 if stage > 0 and i == 0 else 1,
                    drop_rate=self.stochastic_depth * done / blocks,
                    bottleneck=self.bottleneck,
                    padded_shortcut=self.padded_shortcut,
                    zero_init_residual=self.zero_init_residual,
                    initialisation=self.initialisation,
                    dtype=self.dtype,
                )(x, train)
        x = at_least_float32(x).mean((1, 2))
        return dense(x, self.num_classes, init=self.initialisation)


_imagenet = partial(ResNet, padded_shortcut=False)
_cifar = partial(ResNet, width=16, bottleneck=False, padded_shortcut=True, stem="cifar")
NETWORKS = {
    "resnet18": partial(_imagenet, stage_sizes=(2, 2, 2, 2), bottleneck=False),
    "resnet34": partial(_imagenet, stage_sizes=(3, 4, 6, 3), bottleneck=False),
    "resnet50": partial(_imagenet, stage_sizes=(3, 4, 6, 3), bottleneck=True),
    "resnet101": partial(_imagenet, stage_sizes=(3, 4, 23, 3), bottleneck=True),
    "resnet20": partial(_cifar, stage_sizes=(3, 3, 3)),
    "resnet32": partial(_cifar, stage_sizes=(5, 5, 5)),
    "resnet56": partial(_cifar, stage_sizes=(9, 9, 9)),
    "resnet110": partial(_cifar, stage_sizes=(18, 18, 18)),
}
