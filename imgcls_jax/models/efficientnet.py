"""EfficientNet B0 to B7 (Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for CNNs")."""

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
    """A member of the family B0 to B7, beside the size of its images."""

    width: float  # coefficient of all numbers of channels, which are rounded to multiples of 8
    depth: float  # coefficient of the numbers of blocks, which are rounded up
    dropout: float
    torch_norm: partial = _TORCH_NORM


class EfficientNet(nn.Module):
    """Stem, seven stages of inverted residuals, a 1x1 convolution, mean, dropout, logits.

    All blocks have squeeze-and-excitation to a quarter of their input channels; all activations
    are SiLU.

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
        return stages_of(math.ceil(self.size.depth * blocks) for _, _, _, blocks, _ in _STAGES)

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
        width = self.size.width
        convolve = partial(conv, init=self.initialisation, dtype=self.dtype)
        padding = padding_of(self.convention, 3)
        channels = round_channels(32 * width)
        x = convolve(images, channels, 3, strides=2, padding=padding, name="stem_conv")
        x = nn.silu(norm(dtype=self.dtype, name="stem_norm")(x, train))
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
                    activation=nn.silu,
                    norm=norm,
                    convention=self.convention,
                    squeezed=x.shape[-1] // 4,
                    excite=(nn.silu, nn.sigmoid),
                    drop_rate=self.stochastic_depth * done / total,
                    initialisation=self.initialisation,
                    dtype=self.dtype,
                    name=name,
                )(x, train)
                done += 1
        x = convolve(x, round_channels(1280 * width), 1, name="top_conv")
        x = nn.silu(norm(dtype=self.dtype, name="top_norm")(x, train))
        return classify(
            self,
            mean_of_pixels(last_map(self, x)),
            num_classes=self.num_classes,
            dropout=self.head_dropout,
            train=train,
            init=self.initialisation,
            name="head",
        )


_SIZES = (
    Size(width=1.0, depth=1.0, dropout=0.2),
    Size(width=1.0, depth=1.1, dropout=0.2),
    Size(width=1.1, depth=1.2, dropout=0.3),
    Size(width=1.2, depth=1.4, dropout=0.3),
    Size(width=1.4, depth=1.8, dropout=0.4),
    Size(width=1.6, depth=2.2, dropout=0.4, torch_norm=_LARGE_TORCH_NORM),
    Size(width=1.8, depth=2.6, dropout=0.5, torch_norm=_LARGE_TORCH_NORM),
    Size(width=2.0, depth=3.1, dropout=0.5, torch_norm=_LARGE_TORCH_NORM),
)
NETWORKS = {
    f"efficientnet_b{number}": partial(EfficientNet, size=size)
    for number, size in enumerate(_SIZES)
}
