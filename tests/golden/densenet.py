"""DenseNets that PyTorch and this library both run: shapes, weights and images from NumPy seeds."""

import dataclasses
from collections.abc import Iterator

import numpy as np

NUM_CLASSES, LEARNING_RATE = 10, 1.0
SAMPLES = 6  # elements of each array that are stored


@dataclasses.dataclass(frozen=True)
class Case:
    """A network by its block sizes, and images (B, H, W, C) to train it on for one step.

    Deep networks are compared in float64: in float32 PyTorch's own gradient of DenseNet-121 is
    0.4 % off its float64 one, since rounding decides which of so many ReLUs are on.
    """

    block_sizes: tuple[int, ...]
    growth: int
    stem: str
    shape: tuple[int, int, int, int]
    dtype: str = "float32"


CASES = {
    "small_imagenet": Case((1, 1), 8, "imagenet", (4, 21, 19, 3)),  # odd sides in every layer
    "small_cifar": Case((2,), 6, "cifar", (4, 13, 16, 1)),
    "densenet121": Case((6, 12, 24, 16), 32, "imagenet", (4, 64, 64, 3), "float64"),
    "densenet_bc_100_12": Case((16, 16, 16), 12, "cifar", (4, 32, 32, 3), "float64"),
}

Path = tuple[str, ...]


def layers(case: Case) -> Iterator[tuple[Path, tuple[int, ...]]]:
    """Every layer in the order it runs: its path in the Flax tree and the shape of its kernel.

    A norm's "kernel" is its scale, (C,). Convolutions are HWIO.
    """
    width = 2 * case.growth
    yield ("Conv_0",), (*((7, 7) if case.stem == "imagenet" else (3, 3)), case.shape[-1], width)
    norms = 0
    if case.stem == "imagenet":
        yield ("BatchNorm_0",), (width,)
        norms = 1
    count = 0
    for block, size in enumerate(case.block_sizes):
        convolutions = [(1, 4 * case.growth), (3, case.growth)] * size
        if block > 0:
            convolutions = [(1, width // 2), *convolutions]
        inputs = width
        for i, (kernel, outputs) in enumerate(convolutions):
            transition = block > 0 and i == 0
            yield (f"NormConv_{count}", "BatchNorm_0"), (inputs,)
            yield (f"NormConv_{count}", "Conv_0"), (kernel, kernel, inputs, outputs)
            count += 1
            if transition:
                width = inputs = outputs
            elif kernel == 1:
                inputs = outputs
            else:
                width = inputs = width + outputs
    yield (f"BatchNorm_{norms}",), (width,)
    yield ("Dense_0",), (width, NUM_CLASSES)


def variables(case: Case) -> dict[Path, dict[str, np.ndarray]]:
    """Weights and running statistics of every layer, none at its default, by path."""
    rng = np.random.default_rng(20)
    out = {}
    for path, shape in layers(case):
        if len(shape) == 1:
            draws = {
                "scale": rng.uniform(0.5, 1.5, shape),
                "bias": rng.uniform(-0.3, 0.3, shape),
                "mean": rng.uniform(-0.3, 0.3, shape),
                "var": rng.uniform(0.5, 2.0, shape),
            }
        else:
            deviation = np.sqrt((2 if len(shape) == 4 else 1) / np.prod(shape[:-1]))
            draws = {"kernel": deviation * rng.standard_normal(shape)}
            if len(shape) == 2:
                draws["bias"] = rng.uniform(-0.3, 0.3, shape[1])
        out[path] = {name: values.astype(case.dtype) for name, values in draws.items()}
    return out


def data(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Images (B, H, W, C), standard normal, and labels (B,) int32."""
    rng = np.random.default_rng(21)
    images = rng.standard_normal(case.shape).astype(case.dtype)
    return images, rng.integers(0, NUM_CLASSES, case.shape[0]).astype(np.int32)


def sample(variables: dict[Path, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What is stored, as float32: of every array a few elements, evenly spaced, by name."""
    rows: dict[str, list[np.ndarray]] = {}
    for layer in variables.values():
        for name, values in layer.items():
            flat = np.asarray(values).ravel()
            rows.setdefault(name, []).append(flat[:: -(-flat.size // SAMPLES)][:SAMPLES])
    return {name: np.concatenate(values).astype(np.float32) for name, values in rows.items()}


def checksums(case: Case) -> np.ndarray:
    """Sums that change if a NumPy version draws other numbers from the same seeds."""
    images, labels = data(case)
    drawn = [v.astype(np.float64).sum() for x in variables(case).values() for v in x.values()]
    return np.array([images.astype(np.float64).sum(), labels.sum(), np.abs(drawn).sum()])
