"""Exact parameter counts, shapes and refusals."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imgcls_jax import models
from imgcls_jax.errors import UserError
from imgcls_jax.models.lowering.conv import native_convolutions

GREY, RGB = (28, 28, 1), (32, 32, 3)
WHITENED = (31, 31, 24)  # what `imgcls_jax.models.normalisation` makes of RGB
SIBLINGS = {"resnet56", "resnet110", "resnet101", "densenet169", "densenet_bc_100_12"} | {
    *(f"efficientnet_b{i}" for i in range(1, 8)),
    *(f"efficientnet_lite{i}" for i in range(1, 5)),
}  # deeper or wider
# Of a family with a smaller network here, or run whole in test_transfer_networks.py.
TRACED_ELSEWHERE = {
    "densenet121", "resnet34", "resnet50", "mobilenet_v3_large", "efficientnet_b0",
}  # fmt: skip

# model, its options, image shape, classes -> parameters
PARAMETERS = [
    ("linear", {}, GREY, 10, 784 * 10 + 10),
    ("mlp", {"hidden": (128,)}, GREY, 10, 101_770),  # the documented MLP-2
    ("mlp", {"hidden": (256, 128)}, GREY, 10, 235_146),  # the documented MLP-3
    # 3x3 convolutions without bias, each with a norm's scale and bias; 3x3x128 inputs at the end
    (
        "cnn", {}, GREY, 10,
        9 * (1 * 32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128)
        + 2 * 2 * (32 + 64 + 128) + (9 * 128 * 10 + 10),
    ),
    ("documented_cnn", {}, RGB, 10, 122_570),  # as Keras prints it
    # 3x3 convolutions without bias, a bias for each norm, and for the inputs, none for the logits
    (
        "speednet", {}, WHITENED, 10,
        24 + 9 * (24 * 64 + 64 * 64 + 64 * 256 + 3 * 256 * 256)
        + 2 * (64 + 256 + 256) + 256 * 10,
    ),
    # torchvision's counts
    ("resnet18", {}, RGB, 1000, 11_689_512),
    ("resnet34", {}, RGB, 1000, 21_797_672),
    ("resnet50", {}, RGB, 1000, 25_557_032),
    ("resnet101", {}, RGB, 1000, 44_549_160),
    ("densenet121", {}, RGB, 1000, 7_978_856),
    ("densenet169", {}, RGB, 1000, 14_149_480),
    ("mobilenet_v2", {}, RGB, 1000, 3_504_872),
    ("mobilenet_v3_small", {}, RGB, 1000, 2_542_856),
    ("mobilenet_v3_large", {}, RGB, 1000, 5_483_032),
    ("efficientnet_b0", {}, RGB, 1000, 5_288_548),
    ("efficientnet_b1", {}, RGB, 1000, 7_794_184),
    ("efficientnet_b2", {}, RGB, 1000, 9_109_994),
    ("efficientnet_b3", {}, RGB, 1000, 12_233_232),
    ("efficientnet_b4", {}, RGB, 1000, 19_341_616),
    ("efficientnet_b5", {}, RGB, 1000, 30_389_784),
    ("efficientnet_b6", {}, RGB, 1000, 43_040_704),
    ("efficientnet_b7", {}, RGB, 1000, 66_347_960),
    # timm's counts of tf_efficientnet_lite0 to 4
    ("efficientnet_lite0", {}, RGB, 1000, 4_652_008),
    ("efficientnet_lite1", {}, RGB, 1000, 5_416_680),
    ("efficientnet_lite2", {}, RGB, 1000, 6_092_072),
    ("efficientnet_lite3", {}, RGB, 1000, 8_197_096),
    ("efficientnet_lite4", {}, RGB, 1000, 13_006_568),
    # "0.27M", "0.46M", "0.85M", "1.7M" in He et al. 2016, table 6
    ("resnet20", {}, RGB, 10, 269_722),
    ("resnet32", {}, RGB, 10, 464_154),
    ("resnet56", {}, RGB, 10, 853_018),
    ("resnet110", {}, RGB, 10, 1_727_962),
    # "2.7M" (2.75) and "36.5M" in Zagoruyko and Komodakis 2016
    ("wrn16_4", {}, RGB, 10, 2_748_890),
    ("wrn28_10", {}, RGB, 10, 36_479_194),
    ("densenet_bc_100_12", {}, RGB, 10, 769_162),  # "0.8M" in Huang et al. 2017, table 2
]  # fmt: skip


NAMES = [name for name, *_ in PARAMETERS]


@functools.cache
def traced(row: int):
    """Returns a row's network, its images, and the shapes of its variables, traced once.

    In bfloat16 and with dropout, where the model has them: they change no count.
    """
    name, options, image_shape, num_classes, _ = PARAMETERS[row]
    noise = {"dtype": jnp.bfloat16, "dropout": 0.5, "stochastic_depth": 0.5}
    noise = {k: v for k, v in noise.items() if k in models.options_of(name)}
    model = models.create(name, num_classes=num_classes, **options, **noise)
    images = jax.ShapeDtypeStruct((3, *image_shape), jnp.float32)
    with native_convolutions(True):  # which trace faster
        return model, images, jax.eval_shape(model.init, jax.random.key(0), images)


def rows(slow):
    """Rows as parameters; those of networks in `slow` only run with the slow tests."""
    return [
        pytest.param(row, marks=pytest.mark.slow if name in slow else (), id=f"{name}-{row}")
        for row, name in enumerate(NAMES)
    ]


@pytest.mark.parametrize("row", rows(SIBLINGS))
def test_parameter_counts_are_exact(row):
    *_, variables = traced(row)
    assert models.count_parameters(variables["params"]) == PARAMETERS[row][-1]


def test_no_model_is_missing_from_the_counts():
    assert set(NAMES) == set(models.NAMES)


@pytest.mark.parametrize("row", rows(SIBLINGS | TRACED_ELSEWHERE))
def test_maps_images_to_float32_logits_and_draws_in_training_only(row):
    """By shapes alone: in evaluation there is no key to draw with and no statistic to change."""
    model, images, variables = traced(row)
    wanted = ((3, PARAMETERS[row][3]), jnp.float32)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    with native_convolutions(True):
        logits = jax.eval_shape(model.apply, variables, images)
    assert (logits.shape, logits.dtype) == wanted

    def train(variables, images, key):
        noisy = getattr(model, "dropout", 0) or getattr(model, "stochastic_depth", 0)
        rngs = {"dropout": key} if noisy else {}
        return model.apply(variables, images, train=True, rngs=rngs, mutable=["batch_stats"])

    logits, updated = jax.eval_shape(jax.jit(train), variables, images, jax.random.key(0))
    assert (logits.shape, logits.dtype) == wanted
    before = variables.get("batch_stats", {})
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), dict(updated)) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), {"batch_stats": before} if before else {}
    )


@pytest.mark.parametrize("name", ["linear", "mlp", "cnn"])
def test_apply_is_pure_and_takes_images_of_other_shapes(name):
    model = models.create(name, num_classes=7)
    images = jax.random.normal(jax.random.key(1), (3, 12, 10, 2))
    variables = jax.jit(model.init)(jax.random.key(0), images)
    apply = jax.jit(model.apply)
    logits = apply(variables, images)
    assert logits.shape == (3, 7)
    assert logits.dtype == jnp.float32
    np.testing.assert_array_equal(logits, apply(variables, images))


def test_mlp_is_the_hand_written_one():
    model = models.create("mlp", num_classes=2, hidden=(3,))
    x = np.array([[1.0, -2.0, 0.5, 4.0]], np.float32)
    variables = model.init(jax.random.key(0), x)
    first, second = variables["params"]["Dense_0"], variables["params"]["Dense_1"]
    hidden = np.maximum(x @ first["kernel"] + first["bias"], 0)
    expected = hidden @ second["kernel"] + second["bias"]
    np.testing.assert_allclose(model.apply(variables, x.reshape(1, 2, 2, 1)), expected, atol=1e-6)


def test_cnn_drops_units_and_updates_statistics_in_training_only():
    model = models.create("cnn", num_classes=10)
    images = jax.random.uniform(jax.random.key(1), (8, 16, 16, 1))
    variables = jax.jit(model.init)(jax.random.key(0), images)

    @jax.jit
    def training(key):
        return model.apply(
            variables, images, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )

    one, updated = training(jax.random.key(1))
    other, _ = training(jax.random.key(2))
    assert not np.allclose(one, other)
    before = jax.tree.leaves(variables["batch_stats"])
    after = jax.tree.leaves(updated["batch_stats"])
    assert all(not np.allclose(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: models.create("vgg", num_classes=10), "unknown `model=vgg`"),
        (lambda: models.options_of("resnet99"), "perhaps resnet[0-9]+ or .* is meant; choose one"),
        (lambda: models.class_of("zzz"), "unknown `model=zzz`; choose one of: linear, mlp, "),
        (lambda: models.create("mlp", num_classes=10, width=3), "takes no option width"),
        (lambda: models.create("linear", num_classes=10, hidden=(3,)), "takes no option hidden"),
    ],
)
def test_unknown_names_and_options_are_refused(call, sentence):
    with pytest.raises(UserError, match=sentence):
        call()
