"""DenseNets against PyTorch from the same weights: both modes, and one training step."""

import functools
from pathlib import Path

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import densenet as cases

from imgcls_jax import models, optim, steps
from imgcls_jax.errors import UserError
from imgcls_jax.models.densenet import DenseNet, NormConv

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "torch_densenet.npz")
LABELS = [
    label if label.startswith("small") else pytest.param(label, marks=pytest.mark.slow)
    for label in cases.CASES
]


def build(case: cases.Case, **options) -> DenseNet:
    return DenseNet(
        num_classes=cases.NUM_CLASSES,
        block_sizes=case.block_sizes,
        growth=case.growth,
        stem=case.stem,
        **options,
    )


def seeded(case: cases.Case) -> dict:
    """The shared weights as Flax variables."""
    params, batch_stats = {}, {}
    for path, layer in cases.variables(case).items():
        for name, values in layer.items():
            tree = batch_stats if name in ("mean", "var") else params
            tree[(*path, name)] = jnp.asarray(values)
    unflatten = flax.traverse_util.unflatten_dict
    return {"params": unflatten(params), "batch_stats": unflatten(batch_stats)}


def by_path(case: cases.Case, variables: dict) -> dict:
    """The inverse of `seeded`."""
    flat = {}
    for tree in (variables["params"], variables["batch_stats"]):
        for (*path, name), values in flax.traverse_util.flatten_dict(tree).items():
            flat.setdefault(tuple(path), {})[name] = values
    return {
        path: {name: flat[path][name] for name in layer}
        for path, layer in cases.variables(case).items()
    }


@functools.cache
def computed(label: str) -> dict[str, np.ndarray]:
    """What the golden file holds, by this library."""
    case = cases.CASES[label]
    with jax.enable_x64(case.dtype == "float64"):
        return _computed(case)


def _computed(case: cases.Case) -> dict[str, np.ndarray]:
    model, variables = build(case, dtype=jnp.dtype(case.dtype)), seeded(case)
    images, labels = cases.data(case)
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, variables)

    @jax.jit
    def forward(variables):
        train, _ = model.apply(variables, images, train=True, mutable=["batch_stats"])
        return {"eval": model.apply(variables, images), "train": train}

    out = forward(variables)
    tx = optim.create("sgd", framework="torch", learning_rate=cases.LEARNING_RATE)
    state = steps.TrainState(
        step=jnp.zeros((), jnp.int32),
        opt_state=tx.init(variables["params"]),
        key=jax.random.key(0),
        **variables,
    )
    train_step = steps.make_train_step(apply_fn=model.apply, tx=tx)
    state, metrics = train_step(state, {"image": images, "label": labels})
    out["loss"] = metrics["loss"] / metrics["count"]
    return out | cases.sample(by_path(case, state.variables))


@pytest.mark.parametrize("label", cases.CASES)
def test_the_inputs_are_those_pytorch_had(label):
    """Fails if a NumPy version draws other numbers from the same seeds."""
    expected = GOLDEN[f"{label}/inputs"]
    np.testing.assert_allclose(cases.checksums(cases.CASES[label]), expected, rtol=1e-12)


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("label", LABELS)
def test_logits_are_pytorchs(label, mode):
    expected = GOLDEN[f"{label}/{mode}"]
    assert expected.std() > 0.3
    np.testing.assert_allclose(computed(label)[mode], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("label", LABELS)
def test_one_training_step_is_pytorchs(label):
    """Weights move by the gradient, running statistics by a tenth of the way to the batch's."""
    ours, before = computed(label), cases.sample(cases.variables(cases.CASES[label]))
    np.testing.assert_allclose(ours["loss"], GOLDEN[f"{label}/loss"], rtol=1e-5)
    for name, values in before.items():
        expected = GOLDEN[f"{label}/{name}"]
        assert np.abs(expected - values).max() > 5e-3, name
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=5e-6, err_msg=name)


@pytest.mark.parametrize("label", LABELS)
def test_installed_pytorch_still_gives_the_golden_numbers(label):
    pytest.importorskip("torch")
    from golden import torch_densenet

    for name, values in torch_densenet.golden(cases.CASES[label]).items():
        expected = GOLDEN[f"{label}/{name}"]
        np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-4, err_msg=name)


def test_parameter_count_of_the_cifar_network_in_the_installed_pytorch():
    torch_densenet = pytest.importorskip("golden.torch_densenet", exc_type=ImportError)
    network = torch_densenet.build(cases.CASES["densenet_bc_100_12"])
    ours = 769_162  # see tests/test_models.py
    assert sum(parameter.numel() for parameter in network.parameters()) == ours


@pytest.mark.slow
def test_parameter_count_is_that_of_the_installed_keras(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    network = keras.applications.DenseNet121(weights=None, classes=1000)
    trainable = sum(np.prod(weights.shape) for weights in network.trainable_weights)
    assert trainable == 7_978_856  # see tests/test_models.py


def test_dropout_acts_in_training_on_every_convolution_but_the_stem():
    case = cases.Case((1, 1), 6, "cifar", (4, 13, 16, 1))
    images, variables = cases.data(case)[0], seeded(case)
    model = build(case, dropout=0.25)

    @jax.jit
    def shares_of_zeros(key):
        _, kept = model.apply(
            variables,
            images,
            train=True,
            rngs={"dropout": key},
            mutable=["batch_stats", "intermediates"],
            capture_intermediates=lambda module, _: isinstance(module, NormConv),
        )
        layers = [v for k, v in kept["intermediates"].items() if k.startswith("NormConv")]
        outputs = [layer["__call__"][0] for layer in layers]
        return [(output == 0).mean() for output in outputs], [output.size for output in outputs]

    shares, sizes = (np.array(values) for values in shares_of_zeros(jax.random.key(0, impl="rbg")))
    assert len(shares) == 2 + 1 + 2
    np.testing.assert_array_less(np.abs(shares - 0.25), 5 * np.sqrt(0.25 * 0.75 / sizes))


def test_torchvision_initialisation_by_default():
    """Convolutions N(0, 2 / fan_in), the dense layer U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
    model = DenseNet(num_classes=10, block_sizes=(2,), growth=16, stem="cifar")

    @jax.jit
    def last_layers(key):
        params = model.init(key, jnp.zeros((1, 4, 4, 3)))["params"]
        return params["NormConv_3"]["Conv_0"]["kernel"], params["Dense_0"]

    kernel, dense = last_layers(jax.random.key(0))
    scaled = np.ravel(kernel) * np.sqrt(9 * 64 / 2)
    assert abs(scaled.mean()) < 5 / np.sqrt(scaled.size)
    assert abs(scaled.var() - 1) < 5 * np.sqrt(2 / scaled.size)
    assert np.abs(scaled).max() > 3  # normal, not uniform
    assert 0.98 < np.abs(dense["kernel"]).max() * 8 <= 1
    assert not dense["bias"].any()


@pytest.mark.parametrize(("stem", "smallest"), [("imagenet", 29), ("cifar", 8)])
def test_images_too_small_are_refused(stem, smallest):
    model = DenseNet(num_classes=10, block_sizes=(1, 1, 1, 1), growth=2, stem=stem)

    def logits(height, width):
        images = jnp.zeros((2, height, width, 1))
        return jax.eval_shape(model.init_with_output, jax.random.key(0), images)[0]

    assert logits(smallest, smallest).shape == (2, 10)
    with pytest.raises(UserError, match=f"too small for a DenseNet.*{smallest}x{smallest}"):
        logits(smallest, smallest - 1)


def test_unknown_stem():
    model = models.create("densenet121", num_classes=10, stem="patches")
    with pytest.raises(UserError, match="unknown stem 'patches'; choose one of: imagenet, cifar"):
        model.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
