"""The training step that PyTorch and this library both take: weights, images and what is stored.

Weights come from a generator seeded by their path in the Flax tree, images from another, so only
results are stored.
"""

import zlib

import numpy as np

CLASSES, BATCH = 10, 4
# Case -> image shape, with odd sides and unequal ones where a network strides a lot.
CASES = {
    "resnet20": (32, 32, 3),
    "small_bottleneck": (23, 18, 3),
    "small_wide": (13, 10, 3),
    "resnet18": (37, 34, 3),
    "resnet50": (45, 41, 3),
    "small_efficientnet": (39, 34, 3),
    "small_mobilenet_v3": (21, 18, 3),
    "mobilenet_v2": (45, 38, 3),
}


def batch(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Images (BATCH, H, W, C) float32 and labels (BATCH,)."""
    rng = np.random.default_rng(7)
    return rng.normal(size=(BATCH, *shape)).astype(np.float32), rng.integers(0, CLASSES, BATCH)


def weight(path: str, shape: tuple[int, ...]) -> np.ndarray:
    """The array at a path such as "Block_0/Conv_1/kernel", float32, in Flax' layout (HWIO)."""
    rng = np.random.default_rng(zlib.crc32(path.encode()))
    kind = path.rpartition("/")[2]
    if kind == "kernel":
        value = rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1]))
    elif kind in ("bias", "mean"):
        value = 0.1 * rng.normal(size=shape)
    else:  # scale, var
        value = rng.uniform(0.5, 1, size=shape)
    return value.astype(np.float32)


def sample(array: np.ndarray) -> np.ndarray:
    """What is stored of an array: all of a small one, else root mean square and 6 entries."""
    exact = np.asarray(array, np.float64).ravel()
    if exact.size <= 40:
        return exact
    entries = exact[np.linspace(0, exact.size - 1, 6).astype(int)]
    return np.array([np.sqrt(np.square(exact).mean()), *entries])


def checksums() -> np.ndarray:
    """Sums that change if a NumPy version draws other numbers from the same seeds."""
    images, labels = batch(CASES["resnet20"])
    drawn = weight("Dense_0/kernel", (64, CLASSES)), weight("Conv_0/scale", (64,))
    return np.array([images.astype(np.float64).sum(), labels.sum(), *(w.sum() for w in drawn)])
