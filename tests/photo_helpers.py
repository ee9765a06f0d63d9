"""Small folders of photos, three colours that any network can tell apart, and single pictures."""

import io
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


def encoded(image, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(stream, kind, **options)
    return stream.getvalue()


def smooth(height: int, width: int) -> np.ndarray:
    """A picture that survives JPEG nearly unchanged; every corner is another colour."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return np.stack([255 * y, 255 * x, 127 * (x + y)], axis=-1).astype(np.uint8)


def write_labelled(root: Path, *, each: int = 6, side: int = 12) -> dict[str, tuple[str, ...]]:
    """Writes `root`/<number>.png of every mix of the three colours, and tells which are in each."""
    rng, found = np.random.default_rng(0), {}
    root.mkdir(parents=True, exist_ok=True)
    for number in range(8 * each):
        inside = [bool(number >> bit & 1) for bit in range(3)]
        colour = np.where(inside, 210, 40)[::-1]  # red, green, blue: the names are sorted
        pixels = np.clip(colour + rng.normal(0, 20, (side, side, 3)), 0, 255).astype(np.uint8)
        path = f"{number:02}.png"
        Image.fromarray(pixels).save(root / path)
        found[path] = tuple(name for name, has in zip(COLOURS, inside, strict=True) if has)
    return found


def write_label_file(path: Path, labels: dict[str, tuple[str, ...]], *, split=None) -> Path:
    """Writes a table of labels between bars; `split` gives the split of a number, if any."""
    header = "path,labels" + (",split" if split else "")
    lines = [
        f"{photo},{'|'.join(of)}" + (f",{split(number)}" if split else "")
        for number, (photo, of) in enumerate(labels.items())
    ]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path
