"""Initialisers: bounds, moments and shape of the distributions, and what the bias gets."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imgcls_jax.errors import UserError
from imgcls_jax.models.inits import initialisers

UNIFORM = ("torch_linear", "keras_glorot")

# (kernel shape, fan-in, fan-out): a dense layer and a 3x3 convolution, HWIO.
LAYERS = {"dense": ((784, 256), 784, 256), "conv": ((3, 3, 32, 64), 288, 576)}
UNIFORM = ("torch_linear", "keras_glorot")


def bound(name: str, fan_in: int, fan_out: int) -> float:
    return fan_in**-0.5 if name == "torch_linear" else (6 / (fan_in + fan_out)) ** 0.5


def assert_uniform(sample: np.ndarray, limit: float):
    """Moments of U(-limit, limit) within 5 standard errors, and the range filled to its ends."""
    n = sample.size
    assert np.abs(sample).max() <= limit
    assert limit - np.abs(sample).max() < limit * 20 / n
    assert abs(sample.mean()) < 5 * limit / np.sqrt(3 * n)
    # var(x^2) of the uniform distribution is 4 limit^4 / 45.
    assert abs((sample**2).mean() - limit**2 / 3) < 5 * limit**2 * np.sqrt(4 / 45 / n)
    quarters = np.histogram(sample, bins=4, range=(-limit, limit))[0]
    assert np.abs(quarters - n / 4).max() < 5 * np.sqrt(n * 3 / 16)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", UNIFORM)
def test_kernel_distribution(name, layer):
    shape, fan_in, fan_out = LAYERS[layer]
    kernel_init, _ = initialisers(name, fan_in=fan_in)
    kernel = np.asarray(kernel_init(jax.random.key(0), shape))
    assert (kernel.shape, kernel.dtype) == (shape, np.float32)
    assert_uniform(kernel.ravel().astype(np.float64), bound(name, fan_in, fan_out))


@pytest.mark.parametrize(("name", "fan"), [("kaiming_fan_in", 288), ("kaiming_fan_out", 576)])
def test_kaiming_is_normal_for_convolutions_and_pytorchs_for_dense_layers(name, fan):
    kernel_init, bias_init = initialisers(name, fan_in=288)
    kernel = np.asarray(kernel_init(jax.random.key(0), LAYERS["conv"][0]), np.float64).ravel()
    n, variance = kernel.size, 2 / fan
    assert abs(kernel.mean()) < 5 * np.sqrt(variance / n)
    assert abs(kernel.var() - variance) < 5 * variance * np.sqrt(2 / n)
    within = (np.abs(kernel) < np.sqrt(variance)).mean()  # 68.27 % of a normal distribution
    assert abs(within - 0.6827) < 5 * np.sqrt(0.6827 * 0.3173 / n)
    dense = np.asarray(kernel_init(jax.random.key(0), (288, 100)), np.float64)
    assert_uniform(dense.ravel(), 288**-0.5)
    bias = np.asarray(bias_init(jax.random.key(0), (20_000,)), np.float64)
    if name == "kaiming_fan_in":
        assert not bias.any()
    else:
        assert_uniform(bias, 288**-0.5)


def test_torch_bias_has_the_range_of_its_fan_in():
    _, bias_init = initialisers("torch_linear", fan_in=784)
    bias = np.asarray(bias_init(jax.random.key(1), (20_000,)), np.float64)
    assert_uniform(bias, 1 / 28)


def test_keras_bias_is_zero():
    _, bias_init = initialisers("keras_glorot", fan_in=784)
    np.testing.assert_array_equal(bias_init(jax.random.key(1), (10,)), np.zeros(10))


@pytest.mark.parametrize("name", UNIFORM)
def test_in_a_flax_layer(name):
    kernel_init, bias_init = initialisers(name, fan_in=9 * 4)
    layer = nn.Conv(16, (3, 3), kernel_init=kernel_init, bias_init=bias_init)
    draw = [
        layer.init(jax.random.key(seed), jnp.zeros((1, 8, 8, 4)))["params"] for seed in (0, 0, 1)
    ]
    kernels = [np.asarray(params["kernel"]) for params in draw]
    assert kernels[0].shape == (3, 3, 4, 16)
    assert np.abs(kernels[0]).max() <= bound(name, 36, 144)
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert (kernels[0] != kernels[2]).any()
    assert bool(np.any(draw[0]["bias"])) == (name != "keras_glorot")


def test_installed_pytorch_draws_from_the_same_range():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    for layer, fan_in in ((torch.nn.Linear(784, 2000), 784), (torch.nn.Conv2d(8, 2000, 3), 72)):
        for parameter in layer.parameters():
            assert_uniform(parameter.detach().double().numpy().ravel(), fan_in**-0.5)


def test_installed_keras_draws_from_the_same_range(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    for layer, shape in (
        (keras.layers.Dense(256), (None, 784)),
        (keras.layers.Conv2D(64, 3), (None, 8, 8, 32)),
    ):
        layer.build(shape)
        _, fan_in, fan_out = LAYERS["dense" if len(shape) == 2 else "conv"]
        kernel, bias = (np.asarray(v, np.float64) for v in layer.get_weights())
        assert_uniform(kernel.ravel(), bound("keras_glorot", fan_in, fan_out))
        assert not bias.any()


def test_unknown_name():
    with pytest.raises(UserError, match=r"unknown initialisation 'he'.*torch_linear, keras_glorot"):
        initialisers("he", fan_in=3)
