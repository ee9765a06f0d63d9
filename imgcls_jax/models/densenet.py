"""Densely connected networks (Huang et al. 2017, "Densely Connected Convolutional Networks").

DenseNet-121 and -169 in ImageNet's shape as torchvision and Keras build them, and
DenseNet-BC-100-12, the network of depth 100 and growth 12 that section 4 of the paper trains on
CIFAR-10.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from imgcls_jax.models.layers import (
    BatchNorm,
    classify,
    conv,
    last_map,
    mean_of_pixels,
    require_convention,
    require_size,
    require_stem,
)
from imgcls_jax.models.lowering.pool import avg_pool, max_pool

_NORMS = {
    "torch": partial(BatchNorm),
    "tensorflow": partial(BatchNorm, epsilon=1.001e-5, momentum=0.99, unbiased=False),
}


class NormConv(nn.Module):
    """Batch norm, ReLU, convolution, dropout: the paper's order.

    Attributes:
      features: channels of the result.
      kernel_size: 1 or 3; padded so that the sides stay.
      dropout, initialisation, dtype, convention: see `DenseNet`.
    """

    features: int
    kernel_size: int
    dropout: float
    initialisation: str
    dtype: Any
    convention: str = "torch"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps (B, H, W, C) to (B, H, W, features)."""
        x = nn.relu(_NORMS[self.convention](dtype=self.dtype)(x, train))
        x = conv(x, self.features, self.kernel_size, init=self.initialisation, dtype=self.dtype)
        return nn.Dropout(self.dropout, deterministic=not train)(x)


class DenseNet(nn.Module):
    """DenseNet-BC: stem, blocks whose layers see all earlier maps of the block, mean, logits.

    A layer's 1x1 convolution to 4 growth channels (the bottleneck, "B") and 3x3 convolution to
    growth channels are appended to its input. Between blocks a 1x1 convolution halves the channels
    (the compression, "C") and average pooling the sides.

    Attributes:
      num_classes: C, the number of logits.
      block_sizes: layers of each block.
      growth: channels that a layer adds; the stem has twice as many.
      stem: "imagenet", a 7x7 convolution and max-pooling that divide the sides by 4, or "cifar", a
        3x3 convolution that keeps them.
      dropout: probability of dropping an output of a convolution other than the stem's in
        training, as in the paper (0.2 where it trains without augmentation); none before the head.
      convention: whose norms: "torch" is torchvision's, "tensorflow" Keras'; all else is the same.
      initialisation: name of the initialisation, see `imgcls_jax.models.inits`.
      dtype: type of the computation; parameters, norms and logits are float32.
    """

    num_classes: int
    block_sizes: tuple[int, ...]
    growth: int
    stem: str = "imagenet"
    dropout: float = 0.0
    convention: str = "torch"
    initialisation: str = "kaiming_fan_in"
    dtype: Any = jnp.float32

    @property
    def head_dropout(self) -> float:
        """Returns no dropout before the head: `dropout` is within the layers here."""
        return 0.0

    def stages(self) -> dict[str, tuple[str, ...]]:
        """Returns top-level names of parameters by stage, from the images to the logits.

        A stage is a block, after the first with the transition before it.
        """
        names, first = {"stem": ("Conv_0",)}, 0
        if self.stem == "imagenet":
            names["stem"] += ("BatchNorm_0",)
        for stage, size in enumerate(self.block_sizes, 1):
            count = 2 * size + (stage > 1)
            names[f"stage{stage}"] = tuple(f"NormConv_{first + i}" for i in range(count))
            first += count
        last_norm = "BatchNorm_1" if self.stem == "imagenet" else "BatchNorm_0"
        return names | {"top": (last_norm,), "head": ("Dense_0",)}

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Maps images (B, H, W, C) to logits (B, num_classes), float32.

        Raises:
          UserError: if the stem or the convention is unknown or nothing would be left of the images
            at the end.
        """
        require_stem(self.stem)
        published = ("torch", "tensorflow") if self.stem == "imagenet" else ("torch",)
        require_convention(self.convention, "this DenseNet", published)
        last = 2 ** (len(self.block_sizes) - 1)  # pixels per side for one in the last block
        smallest = 4 * last - 3 if self.stem == "imagenet" else last
        require_size(images, smallest, f"a DenseNet with the stem {self.stem!r}")
        norm = partial(_NORMS[self.convention], dtype=self.dtype)
        norm_conv = partial(
            NormConv,
            dropout=self.dropout,
            initialisation=self.initialisation,
            dtype=self.dtype,
            convention=self.convention,
        )
        stem = partial(conv, features=2 * self.growth, init=self.initialisation, dtype=self.dtype)
        if self.stem == "imagenet":
            x = stem(images, kernel_size=7, strides=2, padding=3)
            x = nn.relu(norm()(x, train))
            x = max_pool(x, 3, strides=2, padding=1)
        else:
            x = stem(images, kernel_size=3)
        for block, size in enumerate(self.block_sizes):
            if block > 0:
                x = norm_conv(features=x.shape[-1] // 2, kernel_size=1)(x, train)
                x = avg_pool(x, 2, 2)
            for _ in range(size):
                new = norm_conv(features=4 * self.growth, kernel_size=1)(x, train)
                new = norm_conv(features=self.growth, kernel_size=3)(new, train)
                x = jnp.concatenate([x, new], axis=-1)
        x = last_map(self, nn.relu(norm()(x, train)))
        return classify(
            self,
            mean_of_pixels(x),
            num_classes=self.num_classes,
            dropout=self.head_dropout,
            train=train,
            init=self.initialisation,
        )


NETWORKS = {
    "densenet121": partial(DenseNet, block_sizes=(6, 12, 24, 16), growth=32),
    "densenet169": partial(DenseNet, block_sizes=(6, 12, 32, 32), growth=32),
    "densenet_bc_100_12": partial(DenseNet, block_sizes=(16, 16, 16), growth=12, stem="cifar"),
}
