"""The block of MobileNetV2 and V3 and of EfficientNet: wide inside, narrow between blocks.

Sandler et al. 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks"; the
squeeze-and-excitation of Hu et al. 2018 inside it as in Howard et al. 2019 and Tan and Le 2019.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import flax.linen as nn
import jax

from imgcls_jax.models.layers import BatchNorm, conv, stochastic_depth
from imgcls_jax.models.lowering.pool import Padding

Activation = Callable[[jax.Array], jax.Array]


def round_channels(channels: float, divisor: int = 8) -> int:
    """Rounds to a multiple of `divisor`, but never below nine tenths of `channels`."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def stages_of(blocks: Iterable[int]) -> dict[str, tuple[str, ...]]:
    """Returns top-level names of parameters by stage, given the blocks in each, images first."""
    names = {"stem": ("stem_conv", "stem_norm")}
    for stage, count in enumerate(blocks, 1):
        names[f"stage{stage}"] = tuple(f"stage{stage}_block{n}" for n in range(1, count + 1))
    return names | {"top": ("top_conv", "top_norm"), "head": ("head",)}


def padding_of(convention: str, kernel_size: int) -> Padding:
    """Returns the padding that a publisher gives a convolution.

    PyTorch's networks pad both sides alike, whatever the strides. TensorFlow's "SAME" pads a
    strided convolution of an even side at its end only, and so do Keras' networks, which write it
    out as `correct_pad`.
    """
    return "SAME" if convention == "tensorflow" else kernel_size // 2


class SqueezeExcitation(nn.Module):
    """Weighs every channel by a number in [0, 1] that two layers compute from the channels' means.

    Attributes:
      squeezed: channels between the two layers.
      activation: after the first layer.
      gate: after the second.
      initialisation, dtype: see `InvertedResidual`.
    """

    squeezed: int
    activation: Activation
    gate: Activation
    initialisation: str
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps (B, H, W, C) to the same shape."""
        convolve = partial(conv, init=self.initialisation, dtype=self.dtype, use_bias=True)
        weights = x.mean((1, 2), keepdims=True)
        weights = self.activation(convolve(weights, self.squeezed, 1, name="reduce"))
        return x * self.gate(convolve(weights, x.shape[-1], 1, name="expand"))


class InvertedResidual(nn.Module):
    """x + project(excite(depthwise(expand(x)))), without x where its shape is another.

    Each of the three is a convolution and a norm, all but the last with an activation: 1x1 to
    `expanded` channels (left out where x has as many), depthwise, 1x1 to `features` channels.

    Attributes:
      features: channels of the result.
      expanded: channels of the depthwise convolution.
      kernel_size, strides: of the depthwise convolution.
      activation: after the first two convolutions.
      norm: makes a norm from its name and type.
      convention: whose padding, see `padding_of`.
      squeezed: channels between the layers of a squeeze-and-excitation; 0 for none.
      excite: its two activations.
      drop_rate: probability of dropping an image's branch in training (stochastic depth).
      initialisation: name of the initialisation, see `imgcls_jax.models.inits`.
      dtype: type of the computation; parameters and norms are float32.
    """

    features: int
    expanded: int
    kernel_size: int
    strides: int
    activation: Activation
    norm: Callable[..., BatchNorm]
    convention: str
    squeezed: int = 0
    excite: tuple[Activation, Activation] = (nn.relu, nn.hard_sigmoid)
    drop_rate: float = 0.0
    initialisation: str = "kaiming_fan_out"
    dtype: Any = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps (B, H, W, C) to (B, ceil(H / strides), ceil(W / strides), features)."""
        convolve = partial(conv, init=self.initialisation, dtype=self.dtype)
        norm = partial(self.norm, dtype=self.dtype)
        y = x
        if self.expanded != x.shape[-1]:
            y = convolve(y, self.expanded, 1, name="expand_conv")
            y = self.activation(norm(name="expand_norm")(y, train))
        y = convolve(
            y,
            self.expanded,
            self.kernel_size,
            strides=self.strides,
            padding=padding_of(self.convention, self.kernel_size),
            groups=self.expanded,
            name="depthwise_conv",
        )
        y = self.activation(norm(name="depthwise_norm")(y, train))
        if self.squeezed:
            y = SqueezeExcitation(
                self.squeezed, *self.excite, self.initialisation, self.dtype, name="squeeze"
            )(y)
        y = convolve(y, self.features, 1, name="project_conv")
        y = norm(name="project_norm")(y, train)
        if y.shape != x.shape:
            return y
        return x + stochastic_depth(y, self.drop_rate, train=train)
