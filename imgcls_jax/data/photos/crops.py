"""Random rectangles of a picture, as a training stream cuts them."""

import math

import numpy as np

RATIOS = (3 / 4, 4 / 3)  # of width to height


def random_crop(
    rng: np.random.Generator, shape: tuple[int, int], scale: tuple[float, float]
) -> tuple[int, int, int, int]:
    """Draws (top, left, height, width) of a rectangle within an image of `shape` (H, W).

    Area uniform in `scale`, the logarithm of width to height uniform between those of 3:4 and 4:3;
    after ten that do not fit the largest in the middle that does (as in torchvision).
    """
    rows, columns = shape
    for _ in range(10):
        area = rows * columns * rng.uniform(*scale)
        ratio = math.exp(rng.uniform(*np.log(RATIOS)))
        height, width = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if 0 < height <= rows and 0 < width <= columns:
            top, left = rng.integers(rows - height + 1), rng.integers(columns - width + 1)
            return int(top), int(left), height, width
    height = min(rows, round(columns / RATIOS[0]))
    width = min(columns, round(rows * RATIOS[1]))
    return (rows - height) // 2, (columns - width) // 2, height, width
