"""Residual networks (He et al. 2016, "Deep Residual Learning for Image Recognition").

ResNet-18/34/50/101 in ImageNet's shape as torchvision builds them (version 1.5: a bottleneck
strides in its 3x3 convolution), and the thinner ResNet-20/32/56/110 that section 4.2 of the paper
trains on CIFAR-10. ResNet-50 and -101 also as Keras has them, which is the paper's own version 1: a
bottleneck strides in its first 1x1 convolution, and convolutions have biases.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn import initializers

from imgcls_jax.models.layers import (
    BatchNorm,
    classify,
    conv,
    last_map,
    mean_of_pixels,
    require_convention,
    require_size,
    require_stem,
    stochastic_depth,
)
from imgcls_jax.models.lowering.pool import max_pool

_NORMS = {
    "torch": partial(BatchNorm),
    "tensorflow": partial(BatchNorm, epsilon=1.001e-5, momentum=0.99, unbiased=False),
}


class Block(nn.Module):
    """relu(shortcut(x) + branch(x)), the branch two 3x3 convolutions or a 1x1-3x3-1x1 bottleneck.

    Attributes:
      width: channels of the 3x3 convolutions; a bottleneck returns four times as many.
      strides: of the shortcut and of the first 3x3 convolution; in the convention "tensorflow" of
        the first 1x1 convolution.
      drop_rate: probability of dropping an image's branch in training.
      bottleneck, padded_shortcut, zero_init_residual, initialisation, dtype, convention: see
        `ResNet`.
    """

    width: int
    strides: int
    drop_rate: float
    bottleneck: bool
    padded_shortcut: bool
    zero_init_residual: bool
    initialisation: str
    dtype: Any
    convention: str = "torch"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps (B, H, W, C) to (B, ceil(H / strides), ceil(W / strides), width or 4 width)."""
        keras = self.convention == "tensorflow"
        convolve = partial(conv, init=self.initialisation, use_bias=keras, dtype=self.dtype)
        norm = partial(_NORMS[self.convention], dtype=self.dtype)
        first, second = (self.strides, 1) if keras else (1, self.strides)
        features = 4 * self.width if self.bottleneck else self.width
        y = x
        if self.bottleneck:
            y = nn.relu(norm()(convolve(y, self.width, 1, strides=first), train))
        # An int pads both sides alike, as PyTorch does; "SAME" with strides does not.
        y = convolve(y, self.width, 3, strides=second, padding=1)
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
      convention: whose layers: "torch" is torchvision's, "tensorflow" Keras', which has bottleneck
        networks in ImageNet's shape only.
      dropout: probability of dropping a feature before the head in training.
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
    convention: str = "torch"
    dropout: float = 0.0
    initialisation: str = "kaiming_fan_out"
    dtype: Any = jnp.float32

    def stages(self) -> dict[str, tuple[str, ...]]:
        """Returns top-level names of parameters by stage, from the images to the logits."""
        names, first = {"stem": ("Conv_0", "BatchNorm_0")}, 0
        for stage, blocks in enumerate(self.stage_sizes, 1):
            names[f"stage{stage}"] = tuple(f"Block_{first + i}" for i in range(blocks))
            first += blocks
        return names | {"head": ("Dense_0",)}

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Maps images (B, H, W, C) to logits (B, num_classes), float32.

        Raises:
          UserError: if the stem is unknown, the convention is not one of this network's, or the
            images are so small that a strided layer would see one pixel.
        """
        require_stem(self.stem)
        in_keras = self.bottleneck and not self.padded_shortcut and self.stem == "imagenet"
        published = ("torch", "tensorflow") if in_keras else ("torch",)
        require_convention(self.convention, "this ResNet", published)
        reduction = 2 ** (len(self.stage_sizes) - 1) * (4 if self.stem == "imagenet" else 1)
        require_size(images, reduction // 2 + 1, f"a ResNet with the stem {self.stem!r}")
        keras = self.convention == "tensorflow"
        convolve = partial(conv, init=self.initialisation, use_bias=keras, dtype=self.dtype)
        if self.stem == "imagenet":
            x = convolve(images, self.width, 7, strides=2, padding=3)
        else:
            x = convolve(images, self.width, 3, padding=1)
        x = nn.relu(_NORMS[self.convention](dtype=self.dtype)(x, train))
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
                    convention=self.convention,
                )(x, train)
        return classify(
            self,
            mean_of_pixels(last_map(self, x)),
            num_classes=self.num_classes,
            dropout=self.dropout,
            train=train,
            init=self.initialisation,
        )


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
