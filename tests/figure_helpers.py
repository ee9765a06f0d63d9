"""What the tests of the figures share: reading a PNG file, counting its pixels, small examples."""

import numpy as np
from PIL import Image

NAMES = ["T-shirt/top", "a $5 hat", "a class with an exceedingly long name that goes on"]


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def count(picture: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((picture == color).all(axis=-1).sum())


def examples(n: int, *, channels: int = 1, size: int = 28, wrong: tuple[int, ...] = ()):
    """Images, labels and probabilities of three classes; right but for the positions in `wrong`."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, size, size, channels), np.uint8)
    labels = rng.integers(0, 3, n)
    probabilities = np.full((n, 3), 0.1)
    predicted = np.where(np.isin(np.arange(n), wrong), (labels + 1) % 3, labels)
    probabilities[np.arange(n), predicted] = 0.8
    return images, labels, probabilities
