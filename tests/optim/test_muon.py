"""Muon against NumPy in float64, optax and PyTorch; its parts put together."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from imgcls_jax import checkpoint, optim
from imgcls_jax.errors import UserError
from imgcls_jax.optim import muon

SHAPES = [(7, 4), (4, 7), (5, 5), (144, 16)]


def random(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def newton_schulz(matrix, steps=5):
    """The iteration in float64, the products in the order of its definition."""
    x = np.float64(matrix)
    x = x / np.sqrt(np.sum(x**2))
    for _ in range(steps):
        cubed = x @ x.T @ x
        x = 3.4445 * x - 4.7750 * cubed + 2.0315 * (x @ x.T @ cubed)
    return x


@pytest.mark.parametrize("steps", [1, 3, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_iteration_is_the_one_in_numpy(shape, steps):
    matrix = random(shape)
    actual = muon.orthogonalize(matrix, steps=steps)
    np.testing.assert_allclose(actual, newton_schulz(matrix, steps), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("shape", SHAPES)
def test_result_is_orthogonal_to_tolerance(shape, dtype):
    matrix = random(shape)
    u, _, vt = np.linalg.svd(matrix, full_matrices=False)
    result = muon.orthogonalize(1e-5 * matrix, dtype=dtype)
    assert result.dtype == jnp.float32
    seen = u.T @ np.float64(result) @ vt.T  # U S' V^T has the directions of U S V^T
    slack = 0.03 if dtype == jnp.bfloat16 else 1e-3
    np.testing.assert_allclose(seen - np.diag(np.diag(seen)), 0.0, atol=slack)
    assert 0.68 - slack < np.diag(seen).min() <= np.diag(seen).max() < 1.21 + slack


def test_zeros_stay_zeros():
    np.testing.assert_array_equal(muon.orthogonalize(jnp.zeros((3, 2))), 0.0)


def updates_of(tx, gradients, params=None):
    return tx.update(gradients, tx.init(gradients), params)[0]


@pytest.mark.parametrize("shape", [(3, 3, 8, 16), (2, 2, 2, 20)])
def test_convolution_is_its_matrix_and_optaxs(shape):
    kernel = {"kernel": random(shape)}
    matrix = {"kernel": kernel["kernel"].reshape(-1, shape[-1])}
    own = updates_of(muon.scale_by_muon(adjust="original"), kernel)["kernel"]
    flat = updates_of(muon.scale_by_muon(adjust="original"), matrix)["kernel"]
    np.testing.assert_array_equal(own, flat.reshape(shape))
    axes = {"kernel": optax.contrib.MuonDimensionNumbers((0, 1, 2), 3)}
    # Without momentum: optax's is corrected for a bias.
    theirs = optax.contrib.scale_by_muon(beta=0.0, nesterov=False, weight_dimension_numbers=axes)
    factor = math.sqrt(max(1, shape[-1] / math.prod(shape[:-1])))
    expected = factor * updates_of(theirs, kernel)["kernel"]
    np.testing.assert_allclose(own, expected, rtol=1e-3, atol=1e-5)


def numpy_muon(gradients, momentum, factor, steps=5):
    """Nesterov momentum and orthogonalisation: the directions (in float64) of all steps."""
    total, directions = 0.0, []
    for gradient in gradients:
        total = momentum * total + np.float64(gradient)
        directions.append(factor * newton_schulz(gradient + momentum * total, steps))
    return directions


@pytest.mark.parametrize("adjust", muon.ADJUSTMENTS)
@pytest.mark.parametrize("shape", [(6, 10), (10, 6)])
def test_momentum_and_factor(shape, adjust):
    gradients = [random(shape, seed) for seed in range(4)]
    tall = max(1.0, shape[1] / shape[0])
    factor = math.sqrt(tall) if adjust == "original" else 0.2 * math.sqrt(10)
    tx = muon.scale_by_muon(momentum=0.8, adjust=adjust)
    state = tx.init({"kernel": gradients[0]})
    for gradient, expected in zip(gradients, numpy_muon(gradients, 0.8, factor), strict=True):
        updates, state = tx.update({"kernel": gradient}, state)
        np.testing.assert_allclose(updates["kernel"], expected, rtol=1e-3, atol=2e-5)


MLP = {
    "Dense_0": {"kernel": random((6, 10), 1), "bias": random((10,), 2)},
    "Dense_1": {"kernel": random((10, 5), 3), "bias": random((5,), 4)},
}


def gradients_at(step):
    return jax.tree.map(lambda p: random(p.shape, 100 + 10 * step + p.size), MLP)


def walk(tx, params, steps=5):
    state = tx.init(params)
    for step in range(steps):
        updates, state = tx.update(gradients_at(step), state, params)
        params = optax.apply_updates(params, updates)
    return params


def test_matrices_follow_muon_and_the_rest_adamw():
    def rate(step):
        return 0.02 / (1 + step)

    params = walk(optim.create("muon", learning_rate=rate, momentum=0.9, weight_decay=0.5), MLP)
    kernel = np.float64(MLP["Dense_0"]["kernel"])
    gradients = [gradients_at(step)["Dense_0"]["kernel"] for step in range(5)]
    for step, direction in enumerate(numpy_muon(gradients, 0.9, 0.2 * math.sqrt(10))):
        kernel = (1 - rate(step) * 0.5) * kernel - rate(step) * direction
    np.testing.assert_allclose(params["Dense_0"]["kernel"], kernel, rtol=0, atol=2e-6)
    adamw = walk(optim.create("adamw", learning_rate=rate, weight_decay=0.5), MLP)
    for layer, leaf in (("Dense_0", "bias"), ("Dense_1", "kernel"), ("Dense_1", "bias")):
        np.testing.assert_allclose(params[layer][leaf], adamw[layer][leaf], rtol=1e-6)


def test_companions_first_step_by_hand():
    """AdamW's first step is the sign of the gradient, after a decay of rate x strength."""
    tx = optim.create("muon", learning_rate=0.1, weight_decay=0.2, b1=0.5, b2=0.5, eps=0.0)
    gradients = jax.tree.map(lambda p: jnp.where(p > 0, 3.0, -1e-3), MLP)
    updates = tx.update(gradients, tx.init(MLP), MLP)[0]
    bias = MLP["Dense_0"]["bias"]
    np.testing.assert_allclose(
        updates["Dense_0"]["bias"], -0.1 * np.sign(bias) - 0.02 * bias, rtol=1e-5
    )


@pytest.mark.parametrize("adjust", muon.ADJUSTMENTS)
def test_pytorchs_muon_takes_the_same_steps(adjust):
    """To the tolerance of the bfloat16 that PyTorch iterates in. Its matrices are transposed."""
    torch = pytest.importorskip("torch")
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("this PyTorch has no Muon")
    start = MLP["Dense_0"]["kernel"]
    weight = torch.nn.Parameter(torch.tensor(start.T.copy()))
    theirs = torch.optim.Muon([weight], lr=0.1, adjust_lr_fn=adjust)
    defaults = optim.defaults("muon", "torch")
    for option in ("momentum", "weight_decay"):
        assert theirs.defaults[option] == defaults[option]
    tx = optax.chain(
        muon.scale_by_muon(adjust=adjust),
        optax.scale(-0.1),
        optax.add_decayed_weights(-0.1 * defaults["weight_decay"]),
    )
    own, state = jnp.asarray(start), tx.init(jnp.asarray(start))
    for step in range(4):
        gradient = gradients_at(step)["Dense_0"]["kernel"]
        updates, state = tx.update(jnp.asarray(gradient), state, own)
        own = optax.apply_updates(own, updates)
        weight.grad = torch.tensor(gradient.T.copy())
        theirs.step()
    moved, difference = np.abs(own - start).max(), np.abs(own - weight.detach().numpy().T).max()
    assert difference < 0.02 * moved


def test_kernels_are_normalised_before_the_step():
    kernel = random((3, 3, 2, 8))
    updates = {"kernel": random((3, 3, 2, 8), 1)}
    tx = muon.normalize_kernels()
    moved = kernel + tx.update(updates, tx.init(updates), {"kernel": kernel})[0]["kernel"]
    expected = kernel * math.sqrt(8) / np.linalg.norm(kernel) + updates["kernel"]
    np.testing.assert_allclose(moved, expected, rtol=1e-5, atol=1e-6)


def test_state_survives_a_checkpoint(tmp_path):
    tx = optim.create("muon", lr_scales={"bias": 0.0}, clip_norm=1.0)
    _, state = jax.jit(tx.update)(gradients_at(0), tx.init(MLP), MLP)
    with checkpoint.Checkpoints(tmp_path) as checkpoints:
        checkpoints.save("last", 1, state)
        checkpoints.wait()
        restored = checkpoints.restore("last", tx.init(MLP))
    jax.tree.map(np.testing.assert_array_equal, restored, state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"framework": "keras"}, "'muon' is not offered as framework 'keras'.*use framework 'tor"),
        ({"rho": 0.9}, "'muon' takes no option rho; it takes: learning_rate, momentum"),
        ({"momentum": 1.0}, "momentum is 1.0"),
        ({"matrices": "("}, "not a regular expression"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(UserError, match=message):
        optim.create("muon", **options)


def test_unknown_adjustment():
    with pytest.raises(UserError, match=r"'rms'.*original, match_rms_adamw"):
        muon.scale_by_muon(adjust="rms")
