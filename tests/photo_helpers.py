"""Small folders of photos: three colours that any network can tell apart."""

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (30, 40, 220), "green": (30, 200, 40), "red": (220, 40, 30)}


def write_photos(root: Path, *, each: int = 12, side: int = 20, seed: int = 0) -> Path:
    """`root`/<colour>/<number>.png, `each` of every colour, noisy, no two the same."""
    rng = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            noise = rng.normal(0, 25, (side, side + 4, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:02}.png")
    return root
