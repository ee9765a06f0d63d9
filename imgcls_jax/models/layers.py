"""The layers that convolutional networks are made of, and the end that networks for transfer share.

Call the functions in a `compact` method. A network for transfer ends with `last_map`,
`mean_of_pixels` and `classify`. With `mutable=["intermediates"]` a call of its `apply` returns
beside the logits `intermediates["map"][0]`, the last feature map (B, h, w, C), and
`intermediates["features"][0]`, the inputs (B, F) of the head. A tensor at
`variables["perturbations"]["map"]` is added to the map, so that a gradient with respect to it can
be taken (Grad-CAM). Both cost nothing when unused.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn import initializers

from imgcls_jax.errors import UserError
from imgcls_jax.models import CONVENTIONS, STEMS
from imgcls_jax.models.inits import initialisers
from imgcls_jax.models.lowering.conv import conv_general_dilated
from imgcls_jax.models.lowering.pool import Padding


def conv(
    x: jax.Array,
    features: int,
    kernel_size: int = 3,
    *,
    init: str,
    strides: int = 1,
    padding: Padding = "SAME",
    groups: int = 1,
    dtype: Any = jnp.float32,
    **options: Any,
) -> jax.Array:
    """Convolves (B, H, W, I) to (B, H', W', features) by a square kernel, lowered for the backend.

    Args:
      padding: "SAME" (with strides TensorFlow's, which may pad unevenly), "VALID", an int for
        PyTorch's `padding=`, or ((top, bottom), (left, right)).
      init: name of the initialisation, see `imgcls_jax.models.inits`.
      dtype: type of the computation; parameters are float32.
      **options: `use_bias`, by default False, and `name`, that of the layer in the parameters,
        which Flax numbers by default.
    """
    kernel_init, bias_init = initialisers(init, fan_in=kernel_size**2 * x.shape[-1] // groups)
    return nn.Conv(
        features,
        (kernel_size, kernel_size),
        strides=strides,
        padding=padding,
        feature_group_count=groups,
        dtype=dtype,
        kernel_init=kernel_init,
        bias_init=bias_init,
        conv_general_dilated=conv_general_dilated,
        **{"use_bias": False} | options,
    )(x)


def dense(
    x: jax.Array, features: int, *, init: str, dtype: Any = None, name: str | None = None
) -> jax.Array:
    """Applies a dense layer (B, fan_in) -> (B, features) with a framework's own initialisation.

    Call it inside a `compact` method. PyTorch draws biases from a range set by the fan-in, which a
    bias initialiser cannot see; here it is known. `dtype` is the computation's; by default the
    wider of the inputs' and float32, the name in the parameters Flax' own.
    """
    kernel_init, bias_init = initialisers(init, fan_in=x.shape[-1])
    return nn.Dense(features, dtype=dtype, kernel_init=kernel_init, bias_init=bias_init, name=name)(
        x
    )


def require_stem(stem: str) -> None:
    """Raises UserError for a stem that is not one of `STEMS`."""
    if stem not in STEMS:
        raise UserError(f"unknown stem {stem!r}; choose one of: {', '.join(STEMS)}.")


def require_convention(convention: str, network: str, published: tuple[str, ...] = CONVENTIONS):
    """Raises UserError for a convention that is unknown or that a network has no weights in."""
    if convention not in CONVENTIONS:
        raise UserError(
            f"unknown convention {convention!r}; choose one of: {', '.join(CONVENTIONS)}."
        )
    if convention not in published:
        raise UserError(
            f"{network} was never published in the convention {convention!r}; "
            f"choose {' or '.join(published)}."
        )


def require_size(images: jax.Array, smallest: int, network: str) -> None:
    """Raises UserError unless images (B, H, W, C) have sides of at least `smallest` pixels."""
    height, width = images.shape[1:3]
    if min(height, width) < smallest:
        raise UserError(
            f"images of {height}x{width} are too small for {network}; enlarge or pad them to at "
            f"least {smallest}x{smallest}, or choose a network that downsamples less."
        )


def at_least_float32(x: jax.Array) -> jax.Array:
    """Returns half-precision values as float32, wider ones as they are."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the last (Ioffe and Szegedy 2015), in float32.

    The running variance is the one thing frameworks differ in beyond their defaults: PyTorch keeps
    the unbiased variance of a batch, Keras (and Flax) the biased one; all normalise by the biased.

    Attributes:
      momentum: weight of the old running statistics; 0.9 is PyTorch's 0.1, Keras' default is 0.99.
      epsilon: added to the variance; 1e-5 in PyTorch, 1e-3 in Keras.
      unbiased: whether the running variance is the unbiased one.
      use_scale: whether there is a trained scale beside the bias.
      scale_init: initialiser of the scale; zeros makes a residual branch start as nothing (Goyal
        et al. 2017).
      dtype: type of the result; statistics and arithmetic are in float32 at least.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    unbiased: bool = True
    use_scale: bool = True
    scale_init: Any = initializers.ones
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Normalises (..., C) to `dtype` (..., C), in training by the batch.

        By the running statistics also in training where the collection "batch_stats" is not
        mutable: a norm that may not change them is frozen.
        """
        channels = (x.shape[-1],)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, channels)
        running_var = self.variable("batch_stats", "var", jnp.ones, channels)
        bias = self.param("bias", initializers.zeros, channels)
        scale = self.param("scale", self.scale_init, channels) if self.use_scale else 1.0
        x = at_least_float32(x)
        if train and (self.is_initializing() or self.is_mutable_collection("batch_stats")):
            axes = tuple(range(x.ndim - 1))
            mean = x.mean(axes)
            var = jnp.maximum(0.0, jnp.square(x).mean(axes) - jnp.square(mean))
            if not self.is_initializing():
                count = x.size // x.shape[-1]
                kept = var * (count / max(count - 1, 1)) if self.unbiased else var
                old = self.momentum
                running_mean.value = old * running_mean.value + (1 - old) * mean
                running_var.value = old * running_var.value + (1 - old) * kept
        else:
            mean, var = running_mean.value, running_var.value
        factor = scale * jax.lax.rsqrt(var + self.epsilon)
        return (x * factor + (bias - mean * factor)).astype(self.dtype)


def stochastic_depth(branch: jax.Array, rate: float, *, train: bool) -> jax.Array:
    """Drops the whole residual branch (B, H, W, C) of an image with probability `rate`.

    Huang et al. (2016) scale a branch by its survival probability when evaluating; here, as in
    torchvision's `StochasticDepth(mode="row")`, the survivors are divided by it while training:
    the same expectation, and evaluation is the plain network. The paper draws once per batch, this
    once per image. Draws from the stream "dropout".

    Raises:
      UserError: if the rate is not in [0, 1).
    """
    if not 0 <= rate < 1:
        raise UserError(f"stochastic depth {rate:g} is not a probability below 1; choose one.")
    return nn.Dropout(rate, broadcast_dims=(1, 2, 3), deterministic=not train)(branch)


def last_map(module: nn.Module, x: jax.Array) -> jax.Array:
    """Marks the last feature map (B, h, w, C) of a network; returns it, perturbed if asked to."""
    if not module.is_initializing():  # lest `init` return perturbations among the variables
        x = module.perturb("map", x)
    module.sow("intermediates", "map", x)
    return x


def mean_of_pixels(x: jax.Array) -> jax.Array:
    """Averages all pixels (B, h, w, C) -> (B, C), in float32 at least."""
    return at_least_float32(x).mean((1, 2))


def classify(
    module: nn.Module,
    features: jax.Array,
    *,
    num_classes: int,
    dropout: float,
    train: bool,
    init: str,
    name: str | None = None,
) -> jax.Array:
    """Applies dropout and a dense layer: features (B, F) -> logits (B, num_classes), float32."""
    features = at_least_float32(features)
    module.sow("intermediates", "features", features)
    features = nn.Dropout(dropout, deterministic=not train)(features)
    return dense(features, num_classes, init=init, name=name)
