"""JPEG files of every kind of sampling and colour, in sizes where libjpeg treats edges apart."""

import hashlib

import numpy as np

from experiments.benchmarks.builders import drawn

_SIZES = ((1, 1), (2, 3), (3, 5), (5, 4), (17, 19), (31, 6), (64, 64))
_SAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
_EVEN = ((1, 1), (2, 3), (3, 5), (5, 4), (64, 64))  # of as many units in any sampling


def files() -> dict[str, bytes]:
    """Draws the files by name."""
    rng, found = np.random.default_rng(0), {}
    for height, width in _SIZES:
        image = drawn.pixels(rng, height, width)
        name = f"{height}x{width}"
        for sampling in _SAMPLINGS:
            found[f"{name} {sampling}"] = drawn.jpeg(image, subsampling=sampling)
        if (height, width) in _EVEN:
            found[f"{name} 4:4:0"] = _sampled(found[f"{name} 4:2:2"], 0x12)
            found[f"{name} 4:1:1"] = _sampled(found[f"{name} 4:2:0"], 0x41)
        found[f"{name} progressive"] = drawn.jpeg(image, progressive=True, quality=40)
        found[f"{name} RGB"] = drawn.jpeg(image, keep_rgb=True)
        found[f"{name} grey"] = drawn.jpeg(image, "L")
        ink = drawn.jpeg(image, "CMYK")
        at = ink.index(b"Adobe")
        found[f"{name} CMYK"] = ink
        found[f"{name} YCCK"] = ink[: at + 11] + b"\2" + ink[at + 12 :]
        found[f"{name} plain CMYK"] = ink.replace(b"Adobe", b"Bdobe")
    return found


def _sampled(content: bytes, factors: int) -> bytes:
    """Returns a file whose blocks are read in another sampling of as many blocks per unit."""
    at = content.index(b"\xff\xc0") + 11
    return content[:at] + bytes([factors]) + content[at + 1 :]


def digest(pixels: np.ndarray) -> str:
    """Returns 12 digits of the SHA-256 of an image's shape and pixels."""
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()[:12]
