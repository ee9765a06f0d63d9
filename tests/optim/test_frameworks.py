"""Defaults of optimisers, as the frameworks' documentation prints them."""

import pytest

from imgcls_jax.optim.frameworks import DEFAULTS

# torch.optim of PyTorch 2 and keras.optimizers of Keras 3: learning rate, weight decay, and the
# constants of the moments with epsilon last.
PRINTED = {
    ("torch", "sgd"): (1e-3, 0.0, {"momentum": 0.0}),
    ("torch", "adam"): (1e-3, 0.0, {"b1": 0.9, "b2": 0.999, "eps": 1e-8}),
    ("torch", "adamw"): (1e-3, 1e-2, {"b1": 0.9, "b2": 0.999, "eps": 1e-8}),
    ("torch", "rmsprop"): (1e-2, 0.0, {"rho": 0.99, "eps": 1e-8, "momentum": 0.0}),
    ("torch", "muon"): (1e-3, 0.1, {"momentum": 0.95}),
    ("keras", "sgd"): (1e-2, 0.0, {"momentum": 0.0}),
    ("keras", "adam"): (1e-3, 0.0, {"b1": 0.9, "b2": 0.999, "eps": 1e-7}),
    ("keras", "adamw"): (1e-3, 4e-3, {"b1": 0.9, "b2": 0.999, "eps": 1e-7}),
    ("keras", "rmsprop"): (1e-3, 0.0, {"rho": 0.9, "eps": 1e-7, "momentum": 0.0}),
}


@pytest.mark.parametrize(("framework", "name"), PRINTED)
def test_defaults_are_those_printed(framework, name):
    rate, decay, others = PRINTED[framework, name]
    found = DEFAULTS[framework][name]
    assert (found["learning_rate"], found["weight_decay"]) == (rate, decay)
    assert {option: found[option] for option in others} == others
    assert not found.get("nesterov")
