"""MobileNetV2 (Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks")."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from imgcls_jax.models.head import classify, last_map, mean_of_pixels
from imgcls_jax.models.inverted_residual import InvertedResidual, padding_of
from imgcls_jax.models.layers import BatchNorm, conv, require_convention, require_size

# Table 2 of the paper: expansion, channels, blocks and strides of the first block of every stage.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_NORMS = {
    "torch": partial(BatchNorm),
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
        """The top-level names in the parameters by stage, from the images to the logits."""
        names = {"stem": ("stem_conv", "stem_norm")}
        for stage, (_, _, blocks, _) in enumerate(_STAGES, 1):
            names[f"stage{stage}"] = tuple(
                f"stage{stage}_block{block}" for block in range(1, blocks + 1)
            )
        return names | {"top": ("top_conv", "top_norm"), "head": ("head",)}

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Maps images (B, H, W, C) to logits (B, num_classes), float32.

        Raises:
          UserError: if the convention is unknown, or the images are so small that a strided layer
            would see one pixel.
        """
        require_convention(self.convention, "MobileNetV2")
        require_size(images, 17, "MobileNetV2")
        norm = _NORMS[self.convention]
        shared = dict(initialisation=self.initialisation, dtype=self.dtype)
        convolve = partial(conv, init=self.initialisation, dtype=self.dtype)
        padding = padding_of(self.convention, 3)
        x = convolve(images, 32, 3, strides=2, padding=padding, name="stem_conv")
        x = nn.relu6(norm(dtype=self.dtype, name="stem_norm")(x, train))
        for (stage, names), (expansion, features, _, strides) in zip(
            list(self.stages().items())[1:-2], _STAGES, strict=True
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


NETWORKS = {"mobilenet_v2": MobileNetV2}
