"""Which parameters Muon trains."""

import jax
import jax.numpy as jnp
import pytest

from imgcls_jax import models
from imgcls_jax.errors import UserError
from imgcls_jax.optim import muon
from imgcls_jax.optim.params import param_paths


def leaves(*shapes_by_path):
    return {path: jnp.zeros(shape) for path, shape in shapes_by_path}


DEEP = {
    "Conv_0": leaves(("kernel", (3, 3, 3, 8)), ("bias", (8,))),
    "Block_3": {"Dense_11": leaves(("kernel", (8, 8)))},
    "Dense_2": leaves(("kernel", (8, 8))),
    "Dense_10": leaves(("kernel", (8, 4)), ("bias", (4,))),
    "Norm_0": leaves(("scale", (8,))),
}


@pytest.mark.parametrize(
    ("matrices", "expected"),
    [
        ("hidden", ["Block_3/Dense_11/kernel", "Conv_0/kernel", "Dense_2/kernel"]),
        ("^Conv", ["Conv_0/kernel"]),
        (
            "all",
            ["Block_3/Dense_11/kernel", "Conv_0/kernel", "Dense_10/kernel", "Dense_2/kernel"],
        ),
    ],
)
def test_labels(matrices, expected):
    chosen = jax.tree.leaves(muon.labels(DEEP, matrices))
    found = [path for path, c in zip(param_paths(DEEP), chosen, strict=True) if c == "muon"]
    assert found == expected


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet20"])
def test_the_output_layer_of_a_model_is_the_companions(name):
    model = models.create(name, num_classes=7)
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))["params"]
    params = jax.tree.map(lambda p: jnp.zeros(p.shape), params)
    chosen = jax.tree.leaves(muon.labels(params, "hidden"))
    for leaf, label in zip(jax.tree.leaves(params), chosen, strict=True):
        assert (label == "muon") == (leaf.ndim >= 2 and leaf.shape[-1] != 7)


def test_no_matrix_to_train():
    linear = {"Dense_0": leaves(("kernel", (4, 2)), ("bias", (2,)))}
    with pytest.raises(UserError, match=r"finds no matrix.*'hidden'.*Dense_0/bias, "):
        muon.labels(linear, "hidden")
