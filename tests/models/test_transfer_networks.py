"""What all networks for transfer agree on: stages, features and maps to read, frozen norms."""

from functools import cache, partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import path_aware_map
from golden.networks import weight

from imgcls_jax import models
from imgcls_jax.errors import UserError
from imgcls_jax.models import freezing
from imgcls_jax.models.densenet import DenseNet
from imgcls_jax.models.efficientnet import EfficientNet, Size
from imgcls_jax.models.inverted_residual import InvertedResidual, round_channels
from imgcls_jax.models.lowering.conv import native_convolutions
from imgcls_jax.models.mobilenet import MobileNetV3, Stage
from imgcls_jax.models.resnet import ResNet

FAMILIES = ("resnet", "densenet", "mobilenet", "efficientnet")
NAMES = [
    pytest.param(name, marks=() if name == "mobilenet_v2" else pytest.mark.slow)
    for name in models.NAMES
    if name.startswith(FAMILIES)
]
BLOCKS = (Stage((16,), 16, 3, 1, squeeze=True, hard=False),)
SMALL = {
    "resnet": ResNet(num_classes=5, stage_sizes=(1, 1), width=4),
    "densenet": DenseNet(num_classes=5, block_sizes=(1, 1), growth=4),
    "mobilenet_v3": MobileNetV3(num_classes=5, blocks=BLOCKS, hidden=12),
    "efficientnet": EfficientNet(num_classes=5, size=Size(width=0.1, depth=0.1, dropout=0.1)),
}
IMAGES = np.random.default_rng(0).normal(size=(4, 20, 23, 3)).astype(np.float32)
# For functions that run once: compiling them well would take longer than it saves.
jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@pytest.fixture(autouse=True)
def _traced_faster():
    with native_convolutions(True):
        yield


@cache
def seeded(family: str) -> dict:
    """Variables from NumPy, which need no compiled initialiser."""
    shapes = jax.eval_shape(SMALL[family].init, jax.random.key(0), IMAGES)
    return path_aware_map(lambda p, leaf: weight("/".join(p[1:]), leaf.shape), shapes)


@pytest.mark.parametrize("name", NAMES)
def test_stages_hold_all_layers_once_and_end_in_the_head(name):
    model = models.create(name, num_classes=3)
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    assert set(variables) == {"params", "batch_stats"}
    stages = model.stages()
    layers = [layer for stage in stages.values() for layer in stage]
    assert sorted(layers) == sorted(variables["params"])
    numbered = [name for name in stages if name.startswith("stage")]
    assert numbered == [f"stage{i}" for i in range(1, len(numbered) + 1)]
    assert next(iter(stages)) == "stem"
    *_, (last, (head,)) = stages.items()
    assert last == "head"
    assert variables["params"][head]["bias"].shape == (3,)


@pytest.mark.parametrize("family", SMALL)
def test_stages_run_in_their_order(family):
    order, model, variables = [], SMALL[family], seeded(family)

    def note(call, args, kwargs, context):
        path = context.module.path
        if path and path[0] in variables["params"] and path[0] not in order:
            order.append(path[0])
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        jax.eval_shape(model.apply, variables, IMAGES)
    assert len(order) == len(variables["params"])
    assert order == [layer for stage in model.stages().values() for layer in stage]


@pytest.mark.parametrize("family", SMALL)
def test_logits_are_the_head_of_the_features(family):
    model, variables = SMALL[family], seeded(family)
    logits, state = jit(partial(model.apply, mutable=["intermediates"]))(variables, IMAGES)
    (features,), (last_map,) = (state["intermediates"][key] for key in ("features", "map"))
    (head,) = model.stages()["head"]
    head = variables["params"][head]
    assert features.dtype == jnp.float32
    np.testing.assert_allclose(features @ head["kernel"] + head["bias"], logits, atol=1e-5)
    assert last_map.ndim == 4
    if family != "mobilenet_v3":  # which has a dense layer between
        np.testing.assert_allclose(last_map.mean((1, 2)), features, atol=1e-5)


@pytest.mark.parametrize("family", ["resnet", "mobilenet_v3"])
def test_perturbing_the_map_moves_the_logits_and_its_gradient_is_the_maps(family):
    model, variables = SMALL[family], seeded(family)
    watched = partial(model.apply, mutable=["intermediates"])
    last_map = jax.eval_shape(watched, variables, IMAGES)[1]["intermediates"]["map"][0]
    zero = jnp.zeros(last_map.shape)

    @jit
    def run(perturbation):
        def logits(perturbation):
            return model.apply({**variables, "perturbations": {"map": perturbation}}, IMAGES)

        gradient = jax.grad(lambda p: logits(p)[:, 2].sum())(perturbation)
        return logits(perturbation), model.apply(variables, IMAGES), gradient

    perturbed, plain, gradient = run(zero)
    np.testing.assert_allclose(perturbed, plain, rtol=1e-5, atol=1e-6)
    moved, plain, _ = run(zero + 1)
    assert np.abs(moved - plain).min() > 1e-3
    # Pooling is a mean: all pixels of an image have one gradient.
    np.testing.assert_allclose(gradient, gradient[:, :1, :1] + zero, atol=1e-7)
    if family == "resnet":
        kernel = variables["params"]["Dense_0"]["kernel"][:, 2]
        pixels = last_map.shape[1] * last_map.shape[2]
        np.testing.assert_allclose(gradient[0, 0, 0], kernel / pixels, rtol=1e-5)


def test_norms_are_frozen_in_training_where_their_statistics_may_not_change():
    model, variables = SMALL["densenet"], seeded("densenet")

    @jit
    def run(variables):
        frozen = model.apply(variables, IMAGES, train=True)
        by_batch, _ = model.apply(variables, IMAGES, train=True, mutable=["batch_stats"])
        return frozen, model.apply(variables, IMAGES), by_batch

    frozen, evaluated, by_batch = run(variables)
    np.testing.assert_allclose(frozen, evaluated, rtol=1e-5, atol=1e-6)
    assert np.abs(by_batch - frozen).max() > 1e-2


def test_dropout_before_the_head_draws_in_training_only():
    model, variables = SMALL["mobilenet_v3"], seeded("mobilenet_v3")

    @jit
    def run(variables, keys):
        def training(rate, key):
            return model.clone(dropout=rate).apply(
                variables, IMAGES, train=True, rngs={"dropout": key}
            )

        drawn = [training(0.5, key) for key in keys]
        return model.apply(variables, IMAGES), training(0.0, keys[0]), drawn

    evaluated, undropped, (one, other) = run(variables, [jax.random.key(n) for n in (1, 2)])
    np.testing.assert_allclose(undropped, evaluated, rtol=1e-5, atol=1e-6)
    assert np.abs(one - other).max() > 1e-2


def called(model, family, kind, attribute):
    """Returns an attribute of the modules of a kind, in the order they run; nothing is computed."""
    found = []

    def note(call, args, kwargs, context):
        if isinstance(context.module, kind):
            found.append(getattr(context.module, attribute))
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        jax.eval_shape(model.apply, seeded(family), IMAGES)
    return found


@pytest.mark.parametrize("dropout", [None, 0.4])
def test_an_efficientnet_drops_by_its_size_unless_told(dropout):
    model = SMALL["efficientnet"].clone(dropout=dropout)
    assert called(model, "efficientnet", nn.Dropout, "rate")[-1] == (dropout or 0.1)


def test_branches_drop_more_often_from_block_to_block():
    """Linearly: up to the rate in ResNets (Huang et al. 2016), from 0 in torchvision's others.

    The last rate is that of the dropout before the head.
    """
    of_resnet = called(SMALL["resnet"].clone(stochastic_depth=0.4), "resnet", nn.Dropout, "rate")
    np.testing.assert_allclose(of_resnet, [0.2, 0.4, 0.0])
    model = SMALL["efficientnet"].clone(stochastic_depth=0.7)
    rates = called(model, "efficientnet", InvertedResidual, "drop_rate")
    np.testing.assert_allclose(rates, 0.7 * np.arange(7) / 7)


def test_mobilenets_have_the_papers_activations():
    """Of V2 all are cut at 6; of V3 the first half are ReLU, the second the hard swish."""
    images = jnp.zeros((1, 32, 32, 3))
    for name, expected in (
        ("mobilenet_v2", [nn.relu6] * 17),
        ("mobilenet_v3_large", [nn.relu] * 6 + [nn.hard_swish] * 9),
    ):
        model, found = models.create(name, num_classes=2), []

        def note(call, args, kwargs, context, found=found):
            if isinstance(context.module, InvertedResidual):
                found.append(context.module.activation)
            return call(*args, **kwargs)

        with nn.intercept_methods(note):
            jax.eval_shape(model.init, jax.random.key(0), images)
        assert found == expected


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("resnet18", {}, "this ResNet was never published in the convention 'tensorflow'"),
        ("resnet50", {"stem": "cifar"}, "this ResNet was never published"),
        ("resnet20", {}, "this ResNet was never published"),
        ("densenet_bc_100_12", {}, "this DenseNet was never published"),
        (
            "mobilenet_v2",
            {"convention": "caffe"},
            "unknown convention 'caffe'; .*torch, tensorflow",
        ),
        ("efficientnet_b0", {"convention": "caffe"}, "unknown convention 'caffe'"),
    ],
)
def test_conventions_that_a_network_does_not_have(name, options, sentence):
    model = models.create(name, num_classes=3, **{"convention": "tensorflow", **options})
    with pytest.raises(UserError, match=sentence):
        jax.eval_shape(model.init, jax.random.key(0), IMAGES)


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0"])
def test_images_too_small(name):
    def trace(side):
        model, images = models.create(name, num_classes=3), jnp.zeros((1, side, 40, 3))
        return jax.eval_shape(model.init_with_output, jax.random.key(0), images)

    assert trace(17)[0].shape == (1, 3)
    with pytest.raises(UserError, match=r"too small for .*17x17"):
        trace(16)


@pytest.mark.parametrize(
    ("channels", "rounded"), [(32 * 1.1, 32), (24 * 1.2, 32), (3, 8), (12, 16), (0.1 * 320, 32)]
)
def test_channels_round_to_eights_and_lose_no_tenth(channels, rounded):
    assert round_channels(channels) == rounded


LOSSY = {  # blocks that drop their branches, layers that drop their outputs
    "resnet": SMALL["resnet"].clone(stochastic_depth=0.8),
    "densenet": SMALL["densenet"].clone(dropout=0.5),
    "efficientnet": SMALL["efficientnet"].clone(
        size=Size(width=0.1, depth=0.4, dropout=0.1), stochastic_depth=0.8
    ),
}


@pytest.mark.parametrize(
    "family", ["resnet", "densenet", pytest.param("efficientnet", marks=pytest.mark.slow)]
)
def test_frozen_stages_are_in_inference_mode(family):
    """They drop nothing; what is not frozen goes on dropping."""
    model, images = LOSSY[family], IMAGES[:, :17, :17]
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    variables = path_aware_map(lambda p, leaf: weight("/".join(p[1:]), leaf.shape), shapes)
    *body, head = model.stages().values()

    @partial(jit, static_argnums=0)
    def features(modules, seed):
        apply_fn = freezing.freeze(model.apply, modules)
        options = {"train": True, "mutable": ["intermediates"]}
        _, found = apply_fn(variables, images, rngs={"dropout": jax.random.key(seed)}, **options)
        return found["intermediates"]["features"][0]

    everything = frozenset(name for stage in body for name in stage)
    expected = jit(freezing.features_of(model.apply))(variables, images)
    np.testing.assert_array_equal(features(everything, 0), features(everything, 1))
    np.testing.assert_allclose(features(everything, 0), expected, rtol=1e-5, atol=1e-6)
    assert not np.allclose(features(frozenset(head), 0), features(frozenset(head), 1), atol=1e-3)
