"""Networks of residual blocks against plain PyTorch ones: both modes, gradients, statistics."""

from functools import cache, partial
from pathlib import Path

import flax.traverse_util
import jax
import numpy as np
import pytest
from golden import networks

from imgcls_jax import models
from imgcls_jax.losses import cross_entropy
from imgcls_jax.models import efficientnet
from imgcls_jax.models.mobilenet import MobileNetV3, Stage
from imgcls_jax.models.resnet import ResNet
from imgcls_jax.models.wide_resnet import WideResNet

GOLDEN = Path(__file__).parents[1] / "golden" / "torch_networks.npz"
MODELS = {
    "resnet20": partial(models.create, "resnet20"),
    "small_bottleneck": partial(ResNet, stage_sizes=(1, 1), width=8, bottleneck=True),
    "small_wide": partial(WideResNet, depth=10, widen_factor=2),
    "resnet18": partial(models.create, "resnet18"),
    "resnet50": partial(models.create, "resnet50"),
    "small_efficientnet": partial(
        efficientnet.EfficientNet,
        size=efficientnet.Size(width=0.25, depth=0.5, dropout=0.0),
        stochastic_depth=0.0,
    ),
    "small_mobilenet_v3": partial(
        MobileNetV3,
        blocks=(
            Stage((16, 48), 16, 3, 1, squeeze=True, hard=False),
            Stage((48, 72), 24, 5, 2, squeeze=False, hard=True),
        ),
        hidden=40,
        dropout=0.0,
    ),
    "mobilenet_v2": partial(models.create, "mobilenet_v2", dropout=0.0),
}
SLOW = (
    "resnet20", "resnet18", "resnet50", "small_efficientnet", "small_mobilenet_v3", "mobilenet_v2",
    "small_wide",
)  # fmt: skip
CASES = [pytest.param(case, marks=[pytest.mark.slow] if case in SLOW else []) for case in MODELS]


@cache
@jax.enable_x64(True)
def our_step(case: str) -> dict[str, np.ndarray]:
    """What `golden.torch_networks.step` returns, by this library.

    In float64, as PyTorch's: in float32 a rounding error can carry an activation across the kink of
    a ReLU, and PyTorch's own gradients then differ by 1e-2 between the two types.
    """
    model = MODELS[case](num_classes=networks.CLASSES, dtype=np.float64)
    images, labels = networks.batch(networks.CASES[case])
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    variables = flax.traverse_util.path_aware_map(
        lambda path, leaf: networks.weight("/".join(path[1:]), leaf.shape).astype(float), shapes
    )

    # Compiling well would take longer than it saves.
    @partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def run(variables):
        def objective(params):
            logits, updated = model.apply(
                {**variables, "params": params}, images, train=True, mutable=["batch_stats"]
            )
            return cross_entropy(logits, labels).mean(), (logits, updated["batch_stats"])

        differentiate = jax.value_and_grad(objective, has_aux=True)
        (loss, (logits, stats)), gradients = differentiate(variables["params"])
        record = {"eval_logits": model.apply(variables, images), "logits": logits, "loss": loss}
        for kind, tree in (("grad", gradients), ("stats", stats)):
            for path, value in flax.traverse_util.flatten_dict(tree, sep="/").items():
                record[f"{kind}/{path}"] = value
        return record

    return {key: np.asarray(value) for key, value in run(variables).items()}


def assert_close(key: str, ours: np.ndarray, theirs: np.ndarray):
    assert ours.shape == theirs.shape, key
    # Gradients of a bias whose sum the next norm takes away are rounding errors of zero.
    atol = max(1e-6 * np.abs(theirs).max(), 1e-12)
    np.testing.assert_allclose(ours, theirs, atol=atol, err_msg=key)


def test_the_inputs_are_those_of_the_golden_file():
    np.testing.assert_allclose(networks.checksums(), np.load(GOLDEN)["inputs"], rtol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_a_step_is_pytorchs(case):
    golden, ours = np.load(GOLDEN)[case], our_step(case)
    samples = {key: networks.sample(ours[key]) for key in sorted(ours)}
    ends = np.cumsum([value.size for value in samples.values()])
    assert golden.size == ends[-1]
    for (key, value), theirs in zip(samples.items(), np.split(golden, ends), strict=False):
        assert_close(key, value, theirs)


@pytest.mark.parametrize("case", CASES)
def test_a_step_is_that_of_the_installed_pytorch(case):
    pytest.importorskip("torch")
    from golden import torch_networks

    ours = our_step(case)
    theirs = torch_networks.step(
        torch_networks.MODELS[case](networks.CLASSES), networks.CASES[case]
    )
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        assert_close(key, ours[key], value)
