"""Initialisers of dense and convolution layers, by the framework whose default they are."""

import math
from collections.abc import Callable

import jax
from jax.nn import initializers

from imgcls_jax.errors import UserError

Initialiser = Callable[..., jax.Array]


def _torch_linear(fan_in: int) -> tuple[Initialiser, Initialiser]:
    bound = 1 / math.sqrt(fan_in)

    def bias_init(key, shape, dtype=float):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return initializers.variance_scaling(1 / 3, "fan_in", "uniform"), bias_init


def _keras_glorot(fan_in: int) -> tuple[Initialiser, Initialiser]:
    del fan_in  # the kernel's fans follow from its shape
    return initializers.glorot_uniform(), initializers.zeros


def _kaiming(mode: str, fan_in: int) -> Initialiser:
    conv_init = initializers.variance_scaling(2, mode, "normal")
    dense_init, _ = _torch_linear(fan_in)

    def kernel_init(key, shape, dtype=float):
        return (dense_init if len(shape) == 2 else conv_init)(key, shape, dtype)

    return kernel_init


def _kaiming_fan_out(fan_in: int) -> tuple[Initialiser, Initialiser]:
    return _kaiming("fan_out", fan_in), _torch_linear(fan_in)[1]


def _kaiming_fan_in(fan_in: int) -> tuple[Initialiser, Initialiser]:
    return _kaiming("fan_in", fan_in), initializers.zeros


_FACTORIES = {
    "torch_linear": _torch_linear,
    "keras_glorot": _keras_glorot,
    "kaiming_fan_out": _kaiming_fan_out,
    "kaiming_fan_in": _kaiming_fan_in,
}
NAMES = tuple(_FACTORIES)


def initialisers(name: str, *, fan_in: int) -> tuple[Initialiser, Initialiser]:
    """Returns (kernel_init, bias_init) for a Flax `Dense` or `Conv`, as a framework's layer has.

    torch_linear: kernel and bias from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), which PyTorch's
      `kaiming_uniform_(a=sqrt(5))` comes to in `Linear` and `Conv2d`.
    keras_glorot: kernel from U(-b, b), b = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010),
      bias 0.
    kaiming_fan_out: convolutions from N(0, 2 / fan_out) (He et al. 2015), dense layers and biases
      as torch_linear; how torchvision starts its ResNets.
    kaiming_fan_in: convolutions from N(0, 2 / fan_in), dense layers as torch_linear, biases 0; how
      torchvision starts its DenseNets.

    Args:
      name: one of `NAMES`.
      fan_in: inputs of one output: features, for a convolution times the kernel's height and
        width. The bias needs it told: a bias initialiser sees only the bias's shape.

    Raises:
      UserError: if the name is unknown.
    """
    if name not in _FACTORIES:
        raise UserError(f"unknown initialisation {name!r}; choose one of: {', '.join(NAMES)}.")
    return _FACTORIES[name](fan_in)
