"""Residual networks: exact parameter counts, shortcuts, options, half precision, bad input."""

from functools import partial

import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import path_aware_map
from golden.networks import weight
from test_models import PARAMETERS

from imgcls_jax import models
from imgcls_jax.errors import UserError
from imgcls_jax.models.resnet import Block, ResNet
from imgcls_jax.models.wide_resnet import WideBlock, WideResNet

SMALL = ResNet(num_classes=5, stage_sizes=(1, 1), width=4, stem="cifar")
SMALL_WIDE = WideResNet(num_classes=5, depth=10, widen_factor=1)
IMAGES = np.random.default_rng(0).normal(size=(6, 8, 8, 3)).astype(np.float32)
# For functions that run once: compiling them well would take longer than it saves.
jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def seeded(module: nn.Module) -> dict:
    """Variables for IMAGES from NumPy, which need no compiled initialiser."""
    shapes = jax.eval_shape(partial(module.init, train=False), jax.random.key(0), IMAGES)
    return path_aware_map(lambda p, leaf: weight("/".join(p[1:]), leaf.shape), shapes)


def parameters(model: nn.Module) -> int:
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    return models.count_parameters(shapes["params"])


def test_small_images_stem_has_a_3x3_convolution():
    expected = 11_689_512 - 64 * 3 * (49 - 9) - 990 * 513
    assert parameters(models.create("resnet18", num_classes=10, stem="cifar")) == expected


COUNTS = {
    name: (classes, count)
    for name, _, _, classes, count in PARAMETERS
    if name.startswith(("resnet", "wrn", "mobilenet_v2", "efficientnet"))
}


@pytest.mark.parametrize("name", COUNTS)
def test_pytorch_references_have_as_many_parameters(name):
    torch = pytest.importorskip("torch")
    from golden import torch_networks

    classes, expected = COUNTS[name]
    with torch.device("meta"):
        module = torch_networks.MODELS[name](classes)
    assert sum(p.numel() for p in module.parameters()) == expected


def block(**options) -> Block:
    given = {"width": 6, "strides": 2, "drop_rate": 0.0, "bottleneck": False}
    given |= {"padded_shortcut": True, "zero_init_residual": True}
    return Block(**given | options, initialisation="kaiming_fan_out", dtype=jnp.float32)


def initial_output(module: Block, x: np.ndarray) -> tuple[jax.Array, dict]:
    return jit(partial(module.init_with_output, train=False))(jax.random.key(0), x)


def test_padded_shortcut_skips_pixels_and_appends_zeros():
    x = IMAGES[:, :7]
    y, variables = initial_output(block(), x)
    expected = np.zeros((6, 4, 4, 6), np.float32)
    expected[..., :3] = np.maximum(x[:, ::2, ::2], 0)
    np.testing.assert_array_equal(y, expected)
    assert set(variables["params"]) == {"Conv_0", "Conv_1", "BatchNorm_0", "BatchNorm_1"}


@pytest.mark.parametrize("zero_init_residual", [False, True])
def test_zero_init_makes_a_block_start_as_its_shortcut(zero_init_residual):
    x = np.random.default_rng(1).normal(size=(2, 5, 5, 24)).astype(np.float32)
    options = {"strides": 1, "bottleneck": True, "zero_init_residual": zero_init_residual}
    y, _ = initial_output(block(**options), x)
    assert (np.abs(y - np.maximum(x, 0)).max() == 0) == zero_init_residual


def test_stochastic_depth_grows_linearly_with_the_blocks():
    rates = []

    def note(call, args, kwargs, context):
        if isinstance(context.module, Block) and context.method_name == "__call__":
            rates.append(context.module.drop_rate)
        return call(*args, **kwargs)

    model = models.create("resnet20", num_classes=10, stochastic_depth=0.45)
    with nn.intercept_methods(note):
        jax.eval_shape(model.init, jax.random.key(0), IMAGES)
    np.testing.assert_allclose(rates, 0.05 * np.arange(1, 10))


def test_dropout_draws_between_the_convolutions_of_a_wide_block():
    wide = WideBlock(3, 1, dropout=0.5, initialisation="kaiming_fan_out", dtype=jnp.float32)
    variables = seeded(wide)

    def train(key):
        options = {"rngs": {"dropout": key}, "mutable": ["batch_stats"]}
        return wide.apply(variables, IMAGES, train=True, **options)[0] - IMAGES

    one, same, other = jit(jax.vmap(train))(jnp.stack([jax.random.key(n) for n in (1, 1, 2)]))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1
    assert one.all()  # what was dropped has passed a convolution


@pytest.mark.parametrize(
    ("model", "option"), [(SMALL, "stochastic_depth"), (SMALL_WIDE, "dropout")]
)
def test_evaluation_is_the_network_without_the_option(model, option):
    def evaluation(model):
        variables = seeded(model)
        return str(jax.make_jaxpr(model.apply)(variables, IMAGES))

    def training(model):
        apply = partial(model.apply, train=True, mutable=["batch_stats"])
        return jax.eval_shape(apply, seeded(model), IMAGES)

    random = model.clone(**{option: 0.5})
    assert evaluation(random) == evaluation(model)
    training(model)
    with pytest.raises(flax.errors.InvalidRngError):
        training(random)


@pytest.mark.parametrize("model", [SMALL, SMALL_WIDE], ids=["resnet", "wide"])
def test_bfloat16_is_the_type_of_convolutions_and_not_of_parameters(model):
    types = set()

    def note(call, args, kwargs, context):
        result = call(*args, **kwargs)
        if isinstance(context.module, nn.Conv | Block | WideBlock):
            types.add(result.dtype)
        return result

    half = model.clone(dtype=jnp.bfloat16)
    with nn.intercept_methods(note):
        logits, variables = jax.eval_shape(half.init_with_output, jax.random.key(0), IMAGES)
    assert types == {jnp.dtype(jnp.bfloat16)}
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    assert logits.dtype == jnp.float32


def test_bfloat16_is_close_to_float32():
    """Within 2 % of the largest logit: bfloat16 has 8 bits, so 0.4 % a rounding."""
    variables = seeded(SMALL)
    networks = SMALL, SMALL.clone(dtype=jnp.bfloat16)
    exact, half = jit(lambda v: [m.apply(v, IMAGES) for m in networks])(variables)
    error = np.abs(half - exact).max() / np.abs(exact).max()
    assert 0 < error < 0.02


@pytest.mark.parametrize(
    ("model", "smallest"),
    [
        (partial(models.create, "resnet50"), 17),
        (partial(models.create, "resnet18", stem="cifar"), 5),
        (partial(models.create, "resnet20"), 3),
        (partial(models.create, "wrn16_4"), 3),
    ],
    ids=["imagenet", "cifar_stem", "cifar", "wide"],
)
def test_images_too_small_for_the_network(model, smallest):
    def trace(side):
        images = jnp.zeros((1, side, 40, 3))
        return jax.eval_shape(model(num_classes=10).init_with_output, jax.random.key(0), images)

    assert trace(smallest)[0].shape == (1, 10)
    with pytest.raises(UserError, match=rf"too small for a .*ResNet.* {smallest}x{smallest}"):
        trace(smallest - 1)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (SMALL.clone(stem="vgg"), "unknown stem 'vgg'; choose one of: imagenet, cifar"),
        (SMALL.clone(stochastic_depth=1.0), "stochastic depth 1 is not a probability below 1"),
        (SMALL.clone(initialisation="he"), "unknown initialisation 'he'"),
        (SMALL_WIDE.clone(depth=20), r"no depth 20; choose 6 n \+ 4"),
        (SMALL_WIDE.clone(depth=4), "no depth 4"),
    ],
)
def test_options_that_make_no_network(model, sentence):
    with pytest.raises(UserError, match=sentence):
        jax.eval_shape(model.init, jax.random.key(0), IMAGES)
