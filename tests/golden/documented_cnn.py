"""The training that Keras and this library both do: the documented CNN, Adam, 20 steps of 16.

Images and initial weights come from seeded generators, so only results are stored.
"""

import numpy as np
from golden import checks

BATCH, STEPS, LEARNING_RATE = 16, 20, 1e-3
SHAPES = {
    "Conv_0": (3, 3, 3, 32),
    "Conv_1": (3, 3, 32, 64),
    "Conv_2": (3, 3, 64, 64),
    "Dense_0": (1024, 64),
    "Dense_1": (64, 10),
}
SAMPLE = 97  # every 97th weight of a kernel is stored


def data() -> tuple[np.ndarray, np.ndarray]:
    """Images (128, 32, 32, 3) float32 in [0, 1], coarse noise about a class mean; labels (128,)."""
    rng = np.random.default_rng(10)
    labels = rng.integers(0, 10, 128).astype(np.int32)
    prototypes = rng.random((10, 8, 8, 3))
    coarse = 0.5 * prototypes[labels] + 0.5 * rng.random((128, 8, 8, 3))
    fine = coarse.repeat(4, axis=1).repeat(4, axis=2) + 0.1 * rng.standard_normal((128, 32, 32, 3))
    return np.clip(fine, 0, 1).astype(np.float32), labels


def batches() -> np.ndarray:
    """Indices of each step's examples (STEPS, BATCH)."""
    rng = np.random.default_rng(11)
    return np.stack([rng.permutation(128)[:BATCH] for _ in range(STEPS)])


def initial_params() -> dict[str, dict[str, np.ndarray]]:
    """Kernels uniform with variance 2 / fan_in, biases that are not the default 0, so that they
    matter; kernels are HWIO and (in, out), as in Flax and in Keras."""
    rng = np.random.default_rng(12)
    params = {}
    for name, shape in SHAPES.items():
        limit = (6 / np.prod(shape[:-1])) ** 0.5
        params[name] = {
            "kernel": rng.uniform(-limit, limit, shape).astype(np.float32),
            "bias": rng.uniform(-0.1, 0.1, shape[-1]).astype(np.float32),
        }
    return params


def sample(params: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What is stored of parameters: biases, and of kernels every n-th weight and the mean."""
    out = {}
    for name, layer in params.items():
        kernel = np.asarray(layer["kernel"])
        out[f"{name}-bias"] = np.asarray(layer["bias"])
        out[f"{name}-kernel"] = kernel.ravel()[::SAMPLE]
        means = kernel.astype(np.float64).mean(axis=tuple(range(kernel.ndim - 1)))
        out[f"{name}-means"] = means.astype(np.float32)
    return out


def checksums() -> np.ndarray:
    """See `golden.checks`."""
    return checks.checksums(*data(), batches(), initial_params())
