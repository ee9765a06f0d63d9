"""Networks for transfer against `keras.applications` from the same random weights.

Running statistics are random too, images have odd and unequal sides, so that epsilons and uneven
padding show.
"""

from functools import cache
from pathlib import Path

import flax.traverse_util
import jax
import numpy as np
import pytest
from golden import keras_applications as cases
from golden import networks

from imgcls_jax import models

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "keras_applications.npz")
SIBLINGS = (  # quicker or like another
    "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "efficientnet_b2",
    "densenet121", "resnet50",
)  # fmt: skip
CASES = [pytest.param(c, marks=pytest.mark.slow if c in SIBLINGS else ()) for c in cases.CASES]


@cache
def ours(case: str, convention: str) -> np.ndarray:
    """Our logits in evaluation from `cases.weight`."""
    model = models.create(case, num_classes=cases.CLASSES, convention=convention)
    images = cases.images(case)
    variables = flax.traverse_util.path_aware_map(
        lambda path, leaf: cases.weight(case, "/".join(path[1:]), leaf.shape),
        jax.eval_shape(model.init, jax.random.key(0), images),
    )
    # Compiling well would take longer than it saves.
    apply = jax.jit(model.apply, compiler_options={"xla_backend_optimization_level": 0})
    return np.asarray(apply(variables, images))


def error(logits: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, relative to the largest logit."""
    assert logits.shape == expected.shape
    return np.abs(logits - expected).max() / np.abs(expected).max()


def test_the_inputs_are_those_of_the_golden_file():
    np.testing.assert_allclose(networks.checksums(), GOLDEN["inputs"], rtol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_logits_are_keras(case):
    expected = GOLDEN[case]
    assert error(expected[:1], expected[1:]) > 0.03  # images matter, not the biases alone
    assert error(ours(case, "tensorflow"), expected) < 1e-5


@pytest.mark.slow
def test_the_other_convention_is_another_network():
    assert error(ours("mobilenet_v2", "torch"), GOLDEN["mobilenet_v2"]) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("case", cases.CASES)
def test_installed_keras_still_gives_the_golden_logits(case, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip("keras")
    assert error(cases.logits(case), GOLDEN[case]) < 1e-5
