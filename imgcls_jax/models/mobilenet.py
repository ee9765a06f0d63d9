"""MobileNetV2 and MobileNetV3: stages of inverted residuals between a stem and a 1x1 convolution.

Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks"; Howard et al. 2019,
"Searching for MobileNetV3", which adds squeeze-and-excitation, the hard swish, and a dense layer
before the head.
"""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from imgcls_jax.models.inverted_residual import (
    InvertedResidual,
    padding_of,
    round_channels,
    stages_of,
)
from imgcls_jax.models.layers import (
    BatchNorm,
    classify,
    conv,
    dense,
    last_map,
    mean_of_pixels,
    require_convention,
    require_size,
)

# Table 2 of the V2 paper: expansion, channels, blocks and strides of every stage's first block.
_V2_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_V2_NORMS = {
    "torch": partial(BatchNorm),
    "tensorflow": partial(BatchNorm, epsilon=1e-3, momentum=0.999, unbiased=False),
}


class Stage(NamedTuple):
    """Blocks of one number of channels: a part of table 1 or 2 of the V3 paper."""

    expanded: tuple[int, ...]  # channels of every block's depthwise convolution
    features: int
    kernel_size: int
    strides: int  # of the first block
    squeeze: bool  # squeeze-and-excitation, to a quarter of the expanded channels
    hard: bool  # hard swish rather than ReLU


_V3_LARGE = (
    Stage((16,), 16, 3, 1, squeeze=False, hard=False),
    Stage((64, 72), 24, 3, 2, squeeze=False, hard=False),
    Stage((72, 120, 120), 40, 5, 2, squeeze=True, hard=False),
    Stage((240, 200, 184, 184), 80, 3, 2, squeeze=False, hard=True),
    Stage((480, 672), 112, 3, 1, squeeze=True, hard=True),
    Stage((672, 960, 960), 160, 5, 2, squeeze=True, hard=True),
)
_V3_SMALL = (
    Stage((16,), 16, 3, 2, squeeze=True, hard=False),
    Stage((72, 88), 24, 3, 2, squeeze=False, hard=False),
    Stage((96, 240, 240), 40, 5, 2, squeeze=True, hard=True),
    Stage((120, 144), 48, 5, 1, squeeze=True, hard=True),
    Stage((288, 576, 576), 96, 5, 2, squeeze=True, hard=True),
)
_V3_NORMS = {
    "torch": partial(BatchNorm, epsilon=1e-3, momentum=0.99),
    "tensorflow": partial(BatchNorm, epsilon=1e-3, momentum=0.999, unbiased=False),
}


class MobileNetV2(nn.Module):
    """Stem, seven stages of inverted residuals, a 1x1 convolution, mean, dropout, logits.

    Attributes:
      num_classes: C, the number of logits.
      convention: whose padding and norms: "torch" is torchvision's, "tensorflow" Keras'.
      dropout: probability of dropping a feature before the head in training; torchvision's 0.2.
      initialisation: name of the initialisation, see `imgcls_jax.models.inits`.
      dtype: type of the computation; parameters, norms and logits are float32.
    """

    num_classes: int
    convention: str = "torch"
    dropout: float = 0.2
    initialisation: str = "kaiming_fan_out"
    dtype: Any = jnp.float32

    def stages(self) -> dict[str, tuple[str, ...]]:
        """Returns top-level names of parameters by stage, from the images to the logits."""
        return stages_of(blocks for _, _, blocks, _ in _V2_STAGES)

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Maps images (B, H, W, C) to logits (B, num_classes), float32.

        Raises:
          UserError: if the convention is unknown, or the images are so small that a strided layer
            would see one pixel.
        """
        require_convention(self.convention, "MobileNetV2")
        require_size(images, 17, "MobileNetV2")
        norm = _V2_NORMS[self.convention]
        shared = dict(initialisation=self.initialisation, dtype=self.dtype)
        convolve = partial(conv, init=self.initialisation, dtype=self.dtype)
        padding = padding_of(self.convention, 3)
        x = convolve(images, 32, 3, strides=2, padding=padding, name="stem_conv")
        x = nn.relu6(norm(dtype=self.dtype, name="stem_norm")(x, train))
        for (stage, names), (expansion, features, _, strides) in zip(
            list(self.stages().items())[1:-2], _V2_STAGES, strict=True
        ):
            for name in names:
                x = InvertedResidual(
                    features=features,
                    expanded=expansion * x.shape[-1],
                    kernel_size=3,
                    strides=strides if name == f"{stage}_block1" else 1,
                    activation=nn.relu6,
                    norm=norm,
                    convention=self.convention,
                    name=name,
                    **shared,
                )(x, train)
        x = convolve(x, 1280, 1, name="top_conv")
        x = nn.relu6(norm(dtype=self.dtype, name="top_norm")(x, train))
        return classify(
            self,
            mean_of_pixels(last_map(self, x)),
            num_classes=self.num_classes,
            dropout=self.dropout,
            train=train,
            init=self.initialisation,
            name="head",
        )


class MobileNetV3(nn.Module):
    """Stem, stages of inverted residuals, a 1x1 convolution, mean, a dense layer, dropout, logits.

    Attributes:
      num_classes: C, the number of logits.
      blocks: the stages.
      hidden: outputs of the dense layer, the features that the head sees.
      convention: whose padding and norms: "torch" is torchvision's, "tensorflow" Keras', there
        without the layer that scales the images.
      dropout: probability of dropping a feature before the head in training; both publishers' 0.2.
      initialisation: name of the initialisation, see `imgcls_jax.models.inits`.
      dtype: type of the computation; parameters, norms and logits are float32.
    """

    num_classes: int
    blocks: tuple[Stage, ...]
    hidden: int
    convention: str = "torch"
    dropout: float = 0.2
    initialisation: str = "kaiming_fan_out"
    dtype: Any = jnp.float32

    def stages(self) -> dict[str, tuple[str, ...]]:
        """Returns top-level names of parameters by stage, from the images to the logits."""
        names = stages_of(len(stage.expanded) for stage in self.blocks)
        return names | {"top": (*names["top"], "top_dense")}

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Maps images (B, H, W, C) to logits (B, num_classes), float32.

        Raises:
          UserError: if the convention is unknown, or the images are so small that a strided layer
            would see one pixel.
        """
        require_convention(self.convention, "MobileNetV3")
        require_size(images, 17, "MobileNetV3")
        norm = _V3_NORMS[self.convention]
        convolve = partial(conv, init=self.initialisation, dtype=self.dtype)
        padding = padding_of(self.convention, 3)
        x = convolve(images, 16, 3, strides=2, padding=padding, name="stem_conv")
        x = nn.hard_swish(norm(dtype=self.dtype, name="stem_norm")(x, train))
        for number, stage in enumerate(self.blocks, 1):
            for block, expanded in enumerate(stage.expanded, 1):
                x = InvertedResidual(
                    features=stage.features,
                    expanded=expanded,
                    kernel_size=stage.kernel_size,
                    strides=stage.strides if block == 1 else 1,
                    activation=nn.hard_swish if stage.hard else nn.relu,
                    norm=norm,
                    convention=self.convention,
                    squeezed=round_channels(expanded / 4) if stage.squeeze else 0,
                    excite=(nn.relu, nn.hard_sigmoid),
                    initialisation=self.initialisation,
                    dtype=self.dtype,
                    name=f"stage{number}_block{block}",
                )(x, train)
        x = convolve(x, 6 * x.shape[-1], 1, name="top_conv")
        x = last_map(self, nn.hard_swish(norm(dtype=self.dtype, name="top_norm")(x, train)))
        features = dense(mean_of_pixels(x), self.hidden, init=self.initialisation, name="top_dense")
        return classify(
            self,
            nn.hard_swish(features),
            num_classes=self.num_classes,
            dropout=self.dropout,
            train=train,
            init=self.initialisation,
            name="head",
        )


NETWORKS = {
    "mobilenet_v2": MobileNetV2,
    "mobilenet_v3_small": partial(MobileNetV3, blocks=_V3_SMALL, hidden=1024),
    "mobilenet_v3_large": partial(MobileNetV3, blocks=_V3_LARGE, hidden=1280),
}
