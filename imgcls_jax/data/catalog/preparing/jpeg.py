"""JPEG pixels as TensorFlow decodes them, to the last bit, by Pillow and NumPy.

TensorFlow asks libjpeg for its fast inverse cosine transform (JDCT_IFAST), Pillow for the accurate
one, and pixels differ by up to five. Builders that decode a photo and encode it again store that
difference. Pillow uses the fast transform in its draft mode, which also leaves the colour planes as
they are stored; what libjpeg does with them after that is done here: "fancy" upsampling (libjpeg's
jdsample.c) and the conversion of colours (jdcolor.c), both of whole numbers.
"""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import JpegImagePlugin

_MODES = {1: "L", 3: "YCbCr", 4: "CMYK"}  # of images whose planes are as stored


def decode(data: bytes) -> np.ndarray:
    """Returns the pixels, uint8 (H, W, 1) of a grey photo and (H, W, 3) of a coloured one.

    Source: `tf.image.decode_image`, `tf.io.decode_jpeg` with their defaults.

    Raises:
      ValueError: a JPEG file of two components.
      OSError: a file that is damaged, truncated, or no JPEG file.
    """
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    planes = [plane.astype(np.int32) for plane in _planes(image)]
    if len(planes) == 1:
        return planes[0].astype(np.uint8)[..., None]
    if len(planes) == 4:
        return _from_ink(planes, image.info)
    return _rgb(*planes) if _is_ycbcr(image) else np.stack(planes, -1).astype(np.uint8)


def _planes(image: JpegImagePlugin.JpegImageFile) -> list[np.ndarray]:
    """Returns each component in the size of the image, before any conversion of colours."""
    if len(image.layer) not in _MODES:
        raise ValueError(f"a JPEG file of {len(image.layer)} components")
    mode = _MODES[len(image.layer)]
    image._mode = mode
    # As if stored in the colours asked for: libjpeg then converts nothing.
    image.tile = [tile._replace(args=(mode, mode)) for tile in image.tile]
    image.decoderconfig = (1, 1)  # scale, draft
    stored = np.asarray(image)
    if len(image.layer) == 1:
        return [stored]
    factors = [(horizontal, vertical) for _, horizontal, vertical, _ in image.layer]
    most = [max(values) for values in zip(*factors, strict=True)]
    planes = []
    for index, (horizontal, vertical) in enumerate(factors):
        ratio = most[0] // horizontal, most[1] // vertical
        small = stored[:: ratio[1], :: ratio[0], index].astype(np.int32)
        large = _upsampled(small, ratio)
        planes.append(stored[..., index] if large is None else large[: image.height, : image.width])
    return planes


def _upsampled(plane: np.ndarray, ratio: tuple[int, int]) -> np.ndarray | None:
    """Returns the plane in the image's size as libjpeg's triangle filter makes it.

    None where libjpeg repeats samples instead, as the draft mode always does.
    """
    wide = plane.shape[1] > 2
    match ratio:
        case (2, 1) if wide:
            left, right = _neighbours(plane, axis=1)
            both = (3 * plane + left + 1) >> 2, (3 * plane + right + 2) >> 2
            return np.stack(both, -1).reshape(plane.shape[0], -1)
        case (1, 2):
            above, below = _neighbours(plane, axis=0)
            both = (3 * plane + above + 1) >> 2, (3 * plane + below + 2) >> 2
            return np.stack(both, 1).reshape(-1, plane.shape[1])
        case (2, 2) if wide:
            rows = np.stack([3 * plane + other for other in _neighbours(plane, axis=0)], 1)
            rows = rows.reshape(-1, plane.shape[1])
            left, right = _neighbours(rows, axis=1)
            both = (3 * rows + left + 8) >> 4, (3 * rows + right + 7) >> 4
            return np.stack(both, -1).reshape(rows.shape[0], -1)
    return None


def _neighbours(plane: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns for each sample the one before and the one after it, itself at the edges."""
    padded = np.pad(plane, [(1, 1) if axis == side else (0, 0) for side in (0, 1)], mode="edge")
    count = plane.shape[axis]
    return padded.take(range(count), axis), padded.take(range(2, count + 2), axis)


def _rgb(y: np.ndarray, cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    """Converts YCbCr planes to (H, W, 3) by libjpeg's whole numbers of 16 bits after the point."""
    half = 1 << 15
    cb, cr = cb - 128, cr - 128
    red = y + ((_fixed(1.402) * cr + half) >> 16)
    green = y + ((-_fixed(0.34414) * cb - _fixed(0.71414) * cr + half) >> 16)
    blue = y + ((_fixed(1.772) * cb + half) >> 16)
    return np.stack([red, green, blue], -1).clip(0, 255).astype(np.uint8)


def _fixed(value: float) -> int:
    return int(value * (1 << 16) + 0.5)


def _from_ink(planes: list[np.ndarray], info: Mapping[str, Any]) -> np.ndarray:
    """Converts CMYK or YCCK planes to (H, W, 3), uint8; Adobe's programs store light for ink."""
    *colours, key = planes
    is_ycck = info.get("adobe_transform") == 2
    cmy = 255 - _rgb(*colours).astype(np.int32) if is_ycck else np.stack(colours, -1)
    if "adobe" not in info:
        cmy, key = 255 - cmy, 255 - key
    return (key[..., None] * cmy // 255).astype(np.uint8)


def _is_ycbcr(image: JpegImagePlugin.JpegImageFile) -> bool:
    """Returns whether three components are YCbCr, by the rules of libjpeg (jdapimin.c)."""
    if "jfif" in image.info:
        return True
    if "adobe" in image.info:
        return image.info.get("adobe_transform") != 0
    return bytes(component for component, *_ in image.layer) != b"RGB"
