"""How well two photos lie on each other, where one may be a part of the other, or its mirror image.

Grey thumbnails are compared, so that neither encoding nor size matters: the middle of one, a little
enlarged or reduced, is looked for everywhere in the other. Where small thumbnails agree, larger
ones are compared near that place by their details alone: much is bright above and dark below, but
only copies have the same edges.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

SIDE, FINE = 32, 3  # pixels per side of a small thumbnail; a large one has so many times as many
_MIDDLE = 20  # pixels per side of the part of a small thumbnail that is looked for
_SCALES = (0.75, 0.82, 0.9, 0.95, 1.0, 1.055, 1.11, 1.22, 1.33)  # of one photo to the other
_NEAR_SCALES = (0.97, 1.0, 1.03)
_NEARER_SCALES = (0.96, 1.0, 1.04)  # of width and of height: copies may be stretched
_HOPEFUL = 0.4  # least correlation of details from which width and height are scaled apart
_NEAR = 3  # pixels of a large thumbnail to look further, to either side
_SIMILAR = 0.75  # least correlation of small thumbnails: below, details are not compared
_DETAIL = 2.0  # radius in pixels of the blur that is taken away from a large thumbnail
_FLAT = 40.0  # least length of a part's deviations from its mean: below, all parts look alike


class Thumbnails(NamedTuple):
    """Grey pictures of N photos: small (N, SIDE, SIDE), large (N, FINE * SIDE, FINE * SIDE)."""

    small: np.ndarray
    large: np.ndarray


def thumbnails(images: np.ndarray) -> Thumbnails:
    """Makes the thumbnails of images (N, S, S, 3) uint8."""
    small, large = [], []
    for image in images:
        grey = Image.fromarray(image).convert("L")
        small.append(np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX)))
        side = FINE * SIDE
        large.append(np.asarray(grey.resize((side, side), Image.Resampling.BILINEAR)))
    return Thumbnails(np.stack(small), np.stack(large))


def agreements(
    thumbnails: Thumbnails, pairs: Sequence[tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray]:
    """Compares pairs of photos.

    Args:
      pairs: (P, 2) indices.

    Returns:
      agreement: (P,) the correlation of details where the two lie on each other best, at most 1;
        0 for pairs that look different from afar.
      mirrored: (P,) bool, whether that is with the mirror image.
    """
    agreement, mirrored = np.zeros(len(pairs), np.float32), np.zeros(len(pairs), bool)
    parts, windows = {}, {}
    for row, (first, second) in enumerate(pairs):
        if first not in parts:
            small = thumbnails.small[first]
            straight = [_middle(small, (scale, scale), _MIDDLE) for scale in _SCALES]
            turned = [part[:, ::-1] for part in straight]
            parts[first] = _standardised(np.stack(straight + turned))
        if second not in windows:
            windows[second] = np.ascontiguousarray(_windows(thumbnails.small[second], _MIDDLE).T)
        found = parts[first] @ windows[second]
        if found.max() >= _SIMILAR:
            which, place = np.unravel_index(found.argmax(), found.shape)
            turn, scale = divmod(int(which), len(_SCALES))
            mirrored[row] = bool(turn)
            agreement[row] = _details(
                thumbnails.large[first], thumbnails.large[second], _SCALES[scale], bool(turn), place
            )
    return agreement, mirrored


def _details(
    first: np.ndarray, second: np.ndarray, scale: float, turned: bool, place: int
) -> float:
    """Returns the correlation of details near a scale and a place among a small one's windows."""
    middle = FINE * _MIDDLE
    top, left = (FINE * int(at) for at in divmod(place, SIDE - _MIDDLE + 1))
    starts = [slice(max(0, at - _NEAR), at + _NEAR + middle) for at in (top, left)]
    windows = _windows(_detail(Image.fromarray(second))[tuple(starts)], middle)
    windows = np.ascontiguousarray(windows.T)

    def best(scales: list[tuple[float, float]]) -> tuple[float, tuple[float, float]]:
        parts = np.stack([_middle(first, of, middle, details=True) for of in scales])
        found = (_standardised(parts[:, :, ::-1] if turned else parts) @ windows).max(axis=1)
        return float(found.max()), scales[int(found.argmax())]

    found, (near, _) = best([(scale * factor, scale * factor) for factor in _NEAR_SCALES])
    if found < _HOPEFUL:
        return found
    apart = [(near * x, near * y) for x in _NEARER_SCALES for y in _NEARER_SCALES]
    return max(found, best(apart)[0])


def _middle(
    grey: np.ndarray, scales: tuple[float, float], middle: int, *, details: bool = False
) -> np.ndarray:
    """Returns the middle of a thumbnail scaled in width and height, float32 (middle, middle)."""
    width, height = (max(middle, round(len(grey) * scale)) for scale in scales)
    scaled = Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - middle) // 2, (height - middle) // 2
    found = _detail(scaled) if details else np.asarray(scaled, np.float32)
    return found[top : top + middle, left : left + middle]


def _detail(grey: Image.Image) -> np.ndarray:
    blurred = grey.filter(ImageFilter.GaussianBlur(_DETAIL))
    return np.asarray(grey, np.float32) - np.asarray(blurred, np.float32)


def _windows(grey: np.ndarray, middle: int) -> np.ndarray:
    """Returns all parts of a picture, standardised: (places, pixels)."""
    return _standardised(np.lib.stride_tricks.sliding_window_view(grey, (middle, middle)))


def _standardised(parts: np.ndarray) -> np.ndarray:
    """Brings parts (..., h, w) to rows (P, h * w) of mean 0 and length 1; flat ones stay near 0."""
    rows = parts.reshape(-1, parts.shape[-2] * parts.shape[-1]).astype(np.float32)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _FLAT)
