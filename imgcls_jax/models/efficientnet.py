"""EfficientNet B0 to B7 and EfficientNet-Lite0 to Lite4.

Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for CNNs"; Liu 2020, "Higher accuracy on
vision models with EfficientNet-Lite", which leaves out what integer arithmetic on phones does
badly: squeeze-and-excitation and SiLU.
"""

import math
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
    last_map,
    mean_of_pixels,
    require_convention,
    require_size,
)

# Table 1 of the paper: expansion, kernel size, channels, blocks and strides of every stage of B0.
_STAGES = (
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)
_TENSORFLOW_NORM = partial(BatchNorm, epsilon=1e-3, momentum=0.99, unbiased=False)
_TORCH_NORM = partial(BatchNorm)
_LARGE_TORCH_NORM = partial(BatchNorm, epsilon=1e-3, momentum=0.99)  # torchvision's from B5 on


class Size(NamedTuple):
    """A member of the family, beside the size of its images.

    Attributes:
      width: coefficient of all numbers of channels, which are rounded to multiples of 8.
      depth: coefficient of the numbers of blocks, which are rounded up.
      dropout: probability of dropping a feature before the head in training.
      torch_norm: makes a norm as PyTorch's networks have it.
      lite: whether it is an EfficientNet-Lite: ReLU6 in place of SiLU, no squeeze-and-excitation,
        and neither the stem, the last convolution nor the depths of the first and the last stage
        are scaled.
    """

    width: float
    depth: float
    dropout: float
    torch_norm: partial = _TORCH_NORM
    lite: bool = False

    @property
    def blocks(self) -> tuple[int, ...]:
        """Returns the number of blocks in each stage."""
        scaled = [math.ceil(self.depth * blocks) for _, _, _, blocks, _ in _STAGES]
        if self.lite:
            scaled[0], scaled[-1] = _STAGES[0][3], _STAGES[-1][3]
        return tuple(scaled)

    @property
    def ends(self) -> tuple[int, int]:
        """Returns the channels of the stem and of the last convolution."""
        width = 1.0 if self.lite else self.width
        return round_channels(32 * width), round_channels(1280 * width)


class EfficientNet(nn.Module):
    """Stem, seven stages of inverted residuals, a 1x1 convolution, mean, dropout, logits.

    All blocks have squeeze-and-excitation to a quarter of their input channels; all activations
    are SiLU. The Lite ones have neither, see `Size`.

    Attributes:
      num_classes: C, the number of logits.
      size: its coefficients, and the publishers' choices that go with them.
      convention: whose padding and norms: "torch" is torchvision's, "tensorflow" Keras', there
        without the layers that normalise the images.
      dropout: probability of dropping a feature before the head in training; None is the size's.
      stochastic_depth: probability of dropping an image's last residual branch in training, earlier
        ones' growing linearly up to it (Huang et al. 2016).
      initialisation: name of the initialisation, see `imgcls_jax.models.inits`.
      dtype: type of the computation; parameters, norms and logits are float32.
    """

    num_classes: int
    size: Size
    convention: str = "torch"
    dropout: float | None = None
    stochastic_depth: float = 0.2
    initialisation: str = "kaiming_fan_out"
    dtype: Any = jnp.float32

    @property
    def head_dropout(self) -> float:
        """Returns `dropout`, or the size's own."""
        return self.size.dropout if self.dropout is None else self.dropout

    def stages(self) -> dict[str, tuple[str, ...]]:
        """Returns top-level names of parameters by stage, from the images to the logits."""
        return stages_of(self.size.blocks)

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Maps images (B, H, W, C) to logits (B, num_classes), float32.

        Raises:
          UserError: if the convention is unknown, or the images are so small that a strided layer
            would see one pixel.
        """
        require_convention(self.convention, "EfficientNet")
        require_size(images, 17, "an EfficientNet")
        norm = self.size.torch_norm if self.convention == "torch" else _TENSORFLOW_NORM
        activation = nn.relu6 if self.size.lite else nn.silu
        width, (stem, top) = self.size.width, self.size.ends
        convolve = partial(conv, init=self.initialisation, dtype=self.dtype)
        padding = padding_of(self.convention, 3)
        x = convolve(images, stem, 3, strides=2, padding=padding, name="stem_conv")
        x = activation(norm(dtype=self.dtype, name="stem_norm")(x, train))
        stages = list(self.stages().items())[1:-2]
        done, total = 0, sum(len(names) for _, names in stages)
        for (stage, names), (expansion, kernel_size, features, _, strides) in zip(
            stages, _STAGES, strict=True
        ):
            for name in names:
                x = InvertedResidual(
                    features=round_channels(features * width),
                    expanded=expansion * x.shape[-1],
                    kernel_size=kernel_size,
                    strides=strides if name == f"{stage}_block1" else 1,
                    activation=activation,
                    norm=norm,
                    convention=self.convention,
                    squeezed=0 if self.size.lite else x.shape[-1] // 4,
                    excite=(nn.silu, nn.sigmoid),
                    drop_rate=self.stochastic_depth * done / total,
                    initialisation=self.initialisation,
                    dtype=self.dtype,
                    name=name,
                )(x, train)
                done += 1
        x = convolve(x, top, 1, name="top_conv")
        x = activation(norm(dtype=self.dtype, name="top_norm")(x, train))
        return classify(
            self,
            mean_of_pixels(last_map(self, x)),
            num_classes=self.num_classes,
            dropout=self.head_dropout,
            train=train,
            init=self.initialisation,
            name="head",
        )


_LARGE = {"torch_norm": _LARGE_TORCH_NORM}
_SIZES = (
    Size(width=1.0, depth=1.0, dropout=0.2),
    Size(width=1.0, depth=1.1, dropout=0.2),
    Size(width=1.1, depth=1.2, dropout=0.3),
    Size(width=1.2, depth=1.4, dropout=0.3),
    Size(width=1.4, depth=1.8, dropout=0.4),
    Size(width=1.6, depth=2.2, dropout=0.4, **_LARGE),
    Size(width=1.8, depth=2.6, dropout=0.5, **_LARGE),
    Size(width=2.0, depth=3.1, dropout=0.5, **_LARGE),
)
_LITE_DROPOUTS = (0.2, 0.2, 0.3, 0.3, 0.3)
NETWORKS = {
    f"efficientnet_b{number}": partial(EfficientNet, size=size)
    for number, size in enumerate(_SIZES)
} | {
    f"efficientnet_lite{number}": partial(
        EfficientNet, size=Size(size.width, size.depth, dropout, lite=True)
    )
    for number, (size, dropout) in enumerate(zip(_SIZES, _LITE_DROPOUTS, strict=False))
}
