"""Photos that show little: blurred, dark or tiny ones."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from imgcls_jax.files.reading import opened

BLURRED = 12.0  # least sharpness
DARK = 0.25  # least brightness
TINY = 0.5  # least share of the pixels per side that a network sees

_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601


class Quality(NamedTuple):
    """Measures of N photos.

    Attributes:
      sharpness: (N,) the variance of the Laplacian of grey values 0..255 (Pech-Pacheco et al. 2000,
        "Diatom autofocusing in brightfield microscopy"), at the size that a network sees.
      brightness: (N,) what 99 % of a photo's grey values are below, in [0, 1]: a night scene with a
        lamp in it is not dark.
      sides: (N,) pixels of the shorter side in the file; 0 where it cannot be read.
    """

    sharpness: np.ndarray
    brightness: np.ndarray
    sides: np.ndarray


def measure(images: np.ndarray, paths: list[str]) -> Quality:
    """Measures photos: pixels (N, S, S, 3) uint8, sizes from the headers of their files."""
    sharpness, brightness = np.empty(len(images)), np.empty(len(images))
    for index in range(len(images)):
        grey = images[index] @ _LUMINANCE
        middle = grey[1:-1, 1:-1]
        around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
        sharpness[index] = (around - 4 * middle).var()
        brightness[index] = np.percentile(grey, 99) / 255
    return Quality(sharpness, brightness, np.array([_short_side(path) for path in paths]))


def _short_side(path: str) -> int:
    try:
        with opened(path) as file, Image.open(file) as image:
            return min(image.size)
    except Exception:  # damaged files make Pillow's readers raise anything
        return 0
