"""The CNN of runs 10 and 11 against Keras from the same weights: logits, one step, twenty steps."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import documented_cnn as case

from imgcls_jax import models, optim, steps
from imgcls_jax.errors import UserError

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "keras_cnn.npz")


def golden(part: str) -> dict[str, np.ndarray]:
    prefix = f"{part}/"
    return {k.removeprefix(prefix): GOLDEN[k] for k in GOLDEN.files if k.startswith(prefix)}


def train(tx, batches):
    """Trains from the shared weights: the loss of each step and the final parameters."""
    images, labels = case.data()
    model = models.create("documented_cnn", num_classes=10)
    params = jax.tree.map(jnp.asarray, case.initial_params())
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)["params"]
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, shapes)
    state = steps.TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats={},
        opt_state=tx.init(params),
        key=jax.random.key(0),
    )
    train_step = steps.make_train_step(apply_fn=model.apply, tx=tx)
    losses = []
    for batch in batches:
        state, metrics = train_step(state, {"image": images[batch], "label": labels[batch]})
        losses.append(metrics["loss"] / metrics["count"])
    return np.array(losses), state.params


def test_the_inputs_are_those_keras_had():
    """Fails if a NumPy version draws other numbers from the same seeds."""
    np.testing.assert_allclose(case.checksums(), GOLDEN["inputs"], rtol=1e-12)


def logits_of_the_first_batch(*, train: bool = False, **options) -> np.ndarray:
    model = models.create("documented_cnn", num_classes=10, **options)
    apply = jax.jit(model.apply, static_argnames="train")
    images = case.data()[0][: case.BATCH]
    return apply({"params": case.initial_params()}, images, train=train)


@pytest.mark.parametrize("train", [False, True])
def test_logits_are_keras(train):
    logits = logits_of_the_first_batch(train=train)
    expected = golden("sgd")["logits"]
    assert expected.std() > 0.5
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_one_sgd_step_is_keras():
    """With a rate of 1 the change is the gradient itself."""
    tx = optim.create("sgd", framework="keras", learning_rate=1.0)
    _, params = train(tx, [np.arange(case.BATCH)])
    before, expected = case.sample(case.initial_params()), golden("sgd")
    for name, values in case.sample(params).items():
        assert np.abs(values - before[name]).max() > 1e-3, name
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=2e-6, err_msg=name)


def test_twenty_adam_steps_are_keras():
    """They move a weight by up to 0.02; where a gradient is nearly 0, Adam magnifies rounding."""
    tx = optim.create("adam", framework="keras", learning_rate=case.LEARNING_RATE)
    losses, params = train(tx, case.batches())
    expected = golden("adam")
    assert losses[-1] < losses[0] - 0.5
    np.testing.assert_allclose(losses, expected["losses"], rtol=0, atol=1e-4)
    before = case.sample(case.initial_params())
    for name, values in case.sample(params).items():
        if not name.endswith("means"):
            assert np.abs(values - before[name]).max() > 5e-3, name
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=5e-5, err_msg=name)


def test_dropout_acts_in_training_on_the_inputs_of_the_last_layer():
    """Half of them are dropped and the rest doubled."""
    model = models.create("documented_cnn", num_classes=10, dropout=0.5)
    _, kept = jax.jit(
        lambda images, key: model.apply(
            {"params": case.initial_params()},
            images,
            train=True,
            rngs={"dropout": key},
            capture_intermediates=True,
        )
    )(case.data()[0], jax.random.key(0))
    layers = kept["intermediates"]
    hidden = np.maximum(layers["Dense_0"]["__call__"][0], 0)
    dropped = np.asarray(layers["Dropout_0"]["__call__"][0])
    survivors = dropped[hidden > 0] > 0
    assert survivors.size > 1000
    assert abs(survivors.mean() - 0.5) < 5 * 0.5 / np.sqrt(survivors.size)
    np.testing.assert_allclose(dropped[dropped > 0], 2 * hidden[dropped > 0], rtol=1e-6)


def test_keras_initialisation_by_default():
    model = models.create("documented_cnn", num_classes=10)

    @jax.jit
    def outer_layers(key):
        params = model.init(key, jnp.zeros((1, 32, 32, 3)))["params"]
        return params["Conv_0"], params["Dense_1"]

    fans = (9 * (3 + 32), 64 + 10)
    for layer, fans_in_and_out in zip(outer_layers(jax.random.key(0)), fans, strict=True):
        bound = (6 / fans_in_and_out) ** 0.5
        assert 0.98 * bound < np.abs(layer["kernel"]).max() <= bound
        assert not layer["bias"].any()


def test_bfloat16_is_float32_within_its_precision():
    logits = logits_of_the_first_batch(dtype=jnp.bfloat16)
    assert logits.dtype == jnp.float32
    error = np.abs(logits - golden("sgd")["logits"]).max()
    assert 1e-5 < error < 0.05


@pytest.mark.parametrize("shape", [(2, 18, 19, 1), (2, 28, 28, 1), (2, 64, 64, 3)])
def test_other_images(shape):
    model = models.create("documented_cnn", num_classes=7)
    images = jnp.zeros(shape)
    logits, _ = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
    assert logits.shape == (2, 7)


def test_images_too_small_are_refused():
    model = models.create("documented_cnn", num_classes=10)
    for height, width in ((8, 8), (32, 17)):
        with pytest.raises(UserError, match=f"images of {height}x{width}.*at least 18x18"):
            model.init(jax.random.key(0), jnp.ones((1, height, width, 1)))


@pytest.mark.slow
def test_installed_keras_still_gives_the_golden_numbers(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip("keras")
    from golden import make_keras_cnn

    for name, values in make_keras_cnn.golden().items():
        np.testing.assert_allclose(values, GOLDEN[name], rtol=1e-12, atol=5e-5, err_msg=name)
