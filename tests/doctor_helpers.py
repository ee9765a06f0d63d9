"""Pictures with details of their own, changed as copies are, and features without a network."""

import io
from pathlib import Path

import flax.linen as nn
import numpy as np
from PIL import Image

CLASSES = ("ant", "bee", "cow")


class HeadOnly(nn.Module):
    """What the doctor asks of a network: where its head is, and its dropout."""

    dropout: float = 0.0

    def stages(self):
        return {"head": ("head",)}


def texture(seed: int, *, side: int = 96, tint: int = 0) -> Image.Image:
    """A picture of smooth noise that no other seed has, a little of the class' colour in it."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 200, (12, 12, 3), dtype=np.uint8)
    coarse[..., tint] //= 2
    coarse[..., tint] += 100
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def write_textures(root: Path, *, each: int = 6, side: int = 96) -> Path:
    """`root`/<class>/<number>.png, no two alike."""
    for label, name in enumerate(CLASSES):
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            picture = texture(100 * label + number, side=side, tint=label)
            picture.save(root / name / f"{number:02}.png")
    return root


def changed(picture: Image.Image, kind: str) -> Image.Image:
    """The picture encoded anew, made smaller, cropped by a tenth or mirrored."""
    width, height = picture.size
    if kind == "encoded":
        written = io.BytesIO()
        picture.save(written, "JPEG", quality=40)
        return Image.open(written).convert("RGB")
    if kind == "smaller":
        return picture.resize((width // 2, height // 2), Image.Resampling.BICUBIC)
    if kind == "cropped":
        return picture.crop((0, height // 20, round(0.9 * width), round(0.95 * height)))
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def colours(images: np.ndarray) -> np.ndarray:
    """Features (N, 96) that neither place nor mirror changes: the values of a small picture."""
    return np.stack(
        [
            np.sort(np.asarray(Image.fromarray(image).resize((8, 8)), np.float32), axis=None)[::2]
            / 255
            for image in images
        ]
    )
