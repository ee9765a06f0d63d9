"""Networks as their publishers name them: every tensor drawn from a seed, logits stored.

A case is (publisher, network). `published_networks.npz` has the names and shapes of its tensors, in
the publisher's order, and the logits of `images`, and of other networks a digest of the names;
`make_published_networks.py` made it.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

CLASSES = 7
GOLDEN = Path(__file__).with_suffix(".npz")
TIMM = {
    **{name: name for name in ("resnet18", "resnet34", "resnet50", "resnet101")},
    **{name: name for name in ("densenet121", "densenet169")},
    "mobilenet_v2": "mobilenetv2_100",
    "mobilenet_v3_small": "mobilenetv3_small_100",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    **{f"efficientnet_b{size}": f"efficientnet_b{size}" for size in range(8)},
    **{f"efficientnet_lite{size}": f"efficientnet_lite{size}" for size in range(5)},
}
KERAS = {
    "resnet50": "ResNet50",
    "densenet121": "DenseNet121",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_small": "MobileNetV3Small",
    "efficientnet_b0": "EfficientNetB0",
}
NETWORKS = tuple(KERAS)
CASES = (
    ("torchvision", "resnet18"),
    *(("torchvision", network) for network in NETWORKS),
    *(("timm", network) for network in NETWORKS[2:]),
    *(("timm tf", network) for network in NETWORKS[3:]),  # ported from TensorFlow
    *(("keras", network) for network in NETWORKS),
    ("timm", "efficientnet_lite0"),
    ("timm tf", "efficientnet_lite0"),
    ("ML Illustrated", "efficientnet_lite0"),
)


def publishers(network: str) -> tuple[str, ...]:
    """The publishers of state dicts for a network."""
    return ("timm", "ML Illustrated") if "lite" in network else ("torchvision", "timm")


def images() -> np.ndarray:
    """Images (2, 70, 45, 3) float32, standard normal."""
    return np.random.default_rng(11).normal(size=(2, 70, 45, 3)).astype(np.float32)


def tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The tensor of a name, in its publisher's layout: "layer1.0.conv1.weight", "Conv1/kernel"."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    kind = name.replace("/", ".").rpartition(".")[2]
    if kind in ("num_batches_tracked", "count"):
        return np.array(3, np.int64)
    if name.startswith("normalization/"):
        return np.zeros(3, np.float32) if kind == "mean" else np.ones(3, np.float32)
    if len(shape) > 1:
        axes = slice(1, None) if kind == "weight" else slice(2 if shape[-1] == 1 else -1)
        value = rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[axes]))  # of the fan-in
    elif kind in ("bias", "beta", "moving_mean", "running_mean"):
        value = 0.1 * rng.normal(size=shape)
    else:  # scales and variances
        value = rng.uniform(0.5, 1.0, size=shape) * (1.2 if kind in ("weight", "gamma") else 1.0)
    return value.astype(np.float32)


def digest(names: Iterable[str]) -> str:
    """Of the names of tensors, in any order, without those that are no weights."""
    weights = [n for n in names if "num_batches" not in n and not n.startswith("normalization/")]
    return hashlib.sha256("\n".join(sorted(weights)).encode()).hexdigest()


def shapes(publisher: str, network: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a case's tensors."""
    stored = json.loads(np.load(GOLDEN)[f"{publisher}/{network}/shapes"].item())
    return {name: tuple(shape) for name, shape in stored.items()}


def tensors(publisher: str, network: str) -> dict[str, np.ndarray]:
    """All tensors of a case."""
    return {name: tensor(name, shape) for name, shape in shapes(publisher, network).items()}


def logits(publisher: str, network: str) -> np.ndarray:
    """The publisher's own logits (2, CLASSES) for `images`."""
    return np.load(GOLDEN)[f"{publisher}/{network}/logits"]
