"""The training that PyTorch and this library both do: MLP-3 (784-256-128-10), Adam, batch 64.

Data and initial weights come from seeded generators, so only results are stored.
"""

import itertools

import numpy as np
from golden import checks

SIZES = (784, 256, 128, 10)
BATCH, STEPS, LEARNING_RATE = 64, 100, 8e-4
# Elements of the larger arrays that are stored: every n-th.
STRIDES = {"Dense_0": 11, "Dense_1": 3, "Dense_2": 1}


def data() -> tuple[np.ndarray, np.ndarray]:
    """Images (2048, 784) float32 in [0, 1], a third of the pixels 0, and labels (2048,)."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 10, 2048)
    prototypes = rng.random((10, 784))
    images = 0.3 * prototypes[labels] + rng.random((2048, 784)) - 0.45
    return np.clip(images, 0, 1).astype(np.float32), labels


def initial_params() -> dict[str, dict[str, np.ndarray]]:
    """PyTorch's default distribution, U(-1/sqrt(fan_in), 1/sqrt(fan_in)); kernels (in, out)."""
    rng = np.random.default_rng(3)
    return {
        f"Dense_{i}": {
            "kernel": rng.uniform(-(n**-0.5), n**-0.5, (n, m)).astype(np.float32),
            "bias": rng.uniform(-(n**-0.5), n**-0.5, m).astype(np.float32),
        }
        for i, (n, m) in enumerate(itertools.pairwise(SIZES))
    }


def batches() -> np.ndarray:
    """Indices of each step's examples (STEPS, BATCH): whole epochs of 32 shuffled batches."""
    rng = np.random.default_rng(4)
    epochs = [rng.permutation(2048).reshape(-1, BATCH) for _ in range(-(-STEPS * BATCH // 2048))]
    return np.concatenate(epochs)[:STEPS]


def sample(params: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What is stored of the final parameters: biases, every n-th weight, sums over all weights."""
    out = {}
    for name, layer in params.items():
        kernel, bias = np.asarray(layer["kernel"]), np.asarray(layer["bias"])
        out[f"{name}-bias"] = bias
        out[f"{name}-kernel"] = kernel.ravel()[:: STRIDES[name]]
        exact = kernel.astype(np.float64)
        out[f"{name}-rows"] = exact.mean(axis=1).astype(np.float32)
        out[f"{name}-columns"] = exact.mean(axis=0).astype(np.float32)
    return out


def checksums() -> np.ndarray:
    """See `golden.checks`."""
    return checks.checksums(*data(), batches(), initial_params())
