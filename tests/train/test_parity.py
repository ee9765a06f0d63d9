"""100 training steps from the same weights and batches as PyTorch give the same network."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from golden import mlp

from imgcls_jax import models, optim, steps

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "torch_mlp.npz")


@pytest.fixture(scope="module")
def trained():
    """The mean loss of each step's batch, before the step, and the final parameters."""
    images, labels = mlp.data()
    model = models.create("mlp", hidden=mlp.SIZES[1:-1], num_classes=mlp.SIZES[-1])
    tx = optim.create("adam", framework="torch", learning_rate=mlp.LEARNING_RATE)
    state = steps.init_state(model=model, tx=tx, key=jax.random.key(0), image_shape=(28, 28, 1))
    params = jax.tree.map(jnp.asarray, mlp.initial_params())
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, state.params)
    state = state.replace(params=params)
    train_step = steps.make_train_step(apply_fn=model.apply, tx=tx)
    losses = []
    for batch in mlp.batches():
        images_b = images[batch].reshape(-1, 28, 28, 1)
        state, metrics = train_step(state, {"image": images_b, "label": labels[batch]})
        losses.append(metrics["loss"] / metrics["count"])
    return np.array(losses), state.params


def test_the_inputs_are_those_pytorch_had():
    """Fails if a NumPy version draws other numbers from the same seeds."""
    np.testing.assert_allclose(mlp.checksums(), GOLDEN["inputs"], rtol=1e-12)


def test_losses_are_pytorchs(trained):
    losses, _ = trained
    assert losses[0] > 2.2  # so the agreement is about learning, not about standing still
    assert losses[-1] < 0.1
    np.testing.assert_allclose(losses, GOLDEN["losses"], rtol=0, atol=1e-4)


def test_parameters_are_pytorchs(trained):
    """100 steps of 8e-4 move a weight by up to 0.08; rounding moves it by less than 1e-4."""
    _, params = trained
    for name, values in mlp.sample(params).items():
        np.testing.assert_allclose(values, GOLDEN[name], rtol=0, atol=1e-4, err_msg=name)
        if name.endswith(("kernel", "bias")):
            before = mlp.sample(mlp.initial_params())[name]
            assert np.abs(values - before).max() > 0.01, name


def test_installed_pytorch_still_gives_the_golden_numbers():
    pytest.importorskip("torch")
    from golden import make_torch

    for name, values in make_torch.train_mlp().items():
        np.testing.assert_allclose(values, GOLDEN[name], rtol=1e-12, atol=1e-4, err_msg=name)
