"""Pictures of a source decoded once, and kept as one file of pixels that later runs only map."""

import contextlib
import hashlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from PIL import Image
from tqdm import tqdm

from imgcls_jax.data.photos import decode
from imgcls_jax.data.photos.parquet import ParquetPhotos
from imgcls_jax.errors import UserError
from imgcls_jax.files import cache_folder, whole

_BLOCK = 256  # pictures decoded at a time
_LAYOUT = "1"  # raise it when the pixels made here change
_GREY = ("1", "L", "I", "F")  # modes of Pillow, and all that begin with I;


def resized(images: Any, folder: Path) -> np.ndarray:
    """Returns the pictures as uint8 (N, size, size, 3), memory-mapped where they could be kept.

    Args:
      images: the pictures as `lazy.LazyPhotos`.
      folder: where they are kept.

    Raises:
      BadImage: a picture cannot be read.
    """

    starts = range(0, len(images), _BLOCK)
    shown = tqdm(starts, "decoding", unit_scale=_BLOCK, unit=" images", leave=False, disable=None)
    key = f"{images.size}-{images.how}-{images.fingerprint()}"
    path = folder / f"{_digest(key)}.npy"
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        _keep(path, images.shape, (images[first : first + _BLOCK] for first in shown))
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):  # it could not be kept
        return images[:]


def as_they_are(photos: ParquetPhotos, folder: Path) -> np.ndarray:
    """Returns pictures of one size as uint8 (N, H, W, C); C is 1 where all are grey.

    Raises:
      BadImage: a picture cannot be read.
      UserError: the pictures differ in size.
    """
    path = folder / f"{_digest(photos.fingerprint())}.npy"
    with contextlib.suppress(OSError, ValueError):
        return np.load(path, allow_pickle=False)
    images = []
    shown = tqdm(range(len(photos)), "decoding", unit=" images", leave=False, disable=None)
    for index in shown:
        image = pixels(photos, index)
        if images and image.shape[:2] != images[0].shape[:2]:
            height, width, *_ = image.shape
            other = "x".join(map(str, images[0].shape[1::-1]))
            raise UserError(
                f"{photos.name(index)} is an image of {width}x{height} pixels and the first of "
                f"{other}; give `image_size`, the side of the squares that all become."
            )
        images.append(image)
    channels = max(image.shape[-1] for image in images)
    stacked = np.empty((len(images), *images[0].shape[:2], channels), np.uint8)
    for row, image in zip(stacked, images, strict=True):
        row[...] = image  # a grey one among coloured ones three times
    _keep(path, stacked.shape, [stacked])
    return stacked


def pixels(photos: ParquetPhotos, index: int) -> np.ndarray:
    """Decodes a picture to uint8 (H, W, C), C being 1 for a grey one.

    Raises:
      BadImage: it cannot be read.
    """
    content = photos[index][0]
    try:
        image = decode.decode(content)
    except decode.BadImage as error:
        raise decode.BadImage(photos.name(index), error.reason) from error
    with Image.open(io.BytesIO(content)) as opened:
        mode = opened.mode
    return image[..., :1] if mode in _GREY or mode.startswith("I;") else image


def _keep(path: Path, shape: tuple[int, ...], blocks: Iterable[np.ndarray]) -> None:
    """Writes the blocks of an array as one file; a warning says why it cannot."""
    try:
        with whole(path) as partial, partial.open("wb") as file:
            layout = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, layout)
            for block in blocks:
                file.write(np.ascontiguousarray(block))
    except OSError as error:
        logging.warning(
            "Decoded images cannot be kept in %s (%s): they are decoded again next time.",
            cache_folder(),
            error.strerror or error,
        )


def _digest(key: str) -> str:
    return hashlib.sha256(f"{_LAYOUT}-{key}".encode(errors="surrogateescape")).hexdigest()[:32]
