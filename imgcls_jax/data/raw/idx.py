"""The IDX files of MNIST and its relatives, gzipped or not, checked before they are believed.

Format: http://yann.lecun.com/exdb/mnist/ (big-endian 32-bit magic number, one 32-bit size per
dimension, then the bytes). The magic number's third byte is the element type (8: unsigned byte)
and its fourth the number of dimensions.
"""

import hashlib
import math
import os
import struct
from pathlib import Path

import numpy as np

from imgcls_jax.data.raw import layouts
from imgcls_jax.data.raw.layouts import AGAIN
from imgcls_jax.errors import UserError

IMAGES_MAGIC, LABELS_MAGIC = 0x0803, 0x0801
_KINDS = {IMAGES_MAGIC: "images", LABELS_MAGIC: "labels"}
_MOST_TIMES = (
    1032  # bytes that one of a gzip file can unpack to (RFC 1951: a match of 258 in 2 bits)
)


def read_idx_images(
    path: Path, *, shape: tuple[int, int] = (28, 28), count: int | None = None
) -> np.ndarray:
    """Reads the grey images of an IDX file as uint8 (N, H, W, 1).

    Of a gzip file no more is unpacked than the header announces and the caller expects.

    Args:
      path: the file; whether it is gzipped is told by its content, not by its name.
      shape: the (H, W) it must have.
      count: the N it must have; None takes any but 0.

    Raises:
      UserError: it is missing, unreadable, truncated, no IDX file of images, or has other sizes.
    """
    values = _read(Path(path), IMAGES_MAGIC, count, shape)
    # Copied, because an array on top of bytes is read-only and PyTorch objects to those.
    return values.reshape(-1, *shape, 1).copy()


def read_idx_labels(path: Path, *, num_classes: int = 10, count: int | None = None) -> np.ndarray:
    """Reads labels of an IDX file as int32 (N,), each in 0..num_classes-1; as `read_idx_images`."""
    labels = _read(Path(path), LABELS_MAGIC, count).astype(np.int32)
    if labels.max() >= num_classes:
        raise UserError(
            f"{path} has the label {labels.max()} where 0..{num_classes - 1} are expected: {AGAIN}."
        )
    return labels


def content_md5(array: np.ndarray) -> str:
    """Computes the MD5 of the uncompressed IDX file that holds this array.

    Args:
      array: images uint8 (N, H, W, 1) or labels (N,) in 0..255.
    """
    header = (IMAGES_MAGIC, *array.shape[:3]) if array.ndim == 4 else (LABELS_MAGIC, len(array))
    digest = hashlib.md5(struct.pack(f">{len(header)}I", *header), usedforsecurity=False)
    digest.update(np.ascontiguousarray(array.astype(np.uint8, copy=False)))
    return digest.hexdigest()


def _read(
    path: Path, magic: int, count: int | None, shape: tuple[int, int] | None = None
) -> np.ndarray:
    """Returns the values (M,) behind a header that has this magic number, count and shape."""
    with layouts.unpacked(path) as file:
        sizes = _sizes(path, file.read(4 * (1 + (magic & 0xFF))), magic)
        announced = math.prod(sizes)
        most = _MOST_TIMES * os.path.getsize(path)
        if announced > most:
            raise _of_another_size(path, "is truncated", announced, f"at most {most}")
        if count is not None and sizes[0] != count:
            kind = _KINDS[magic]
            raise UserError(f"{path} holds {sizes[0]} {kind} where {count} are expected: {AGAIN}.")
        if shape is not None and sizes[1:] != shape:
            found, expected = (f"{height}x{width}" for height, width in (sizes[1:], shape))
            raise UserError(
                f"{path} holds images of {found} pixels where {expected} are expected: point "
                "`raw_dir` at the right data set."
            )
        data = file.read(announced + 1)
    if len(data) < announced:
        raise _of_another_size(path, "is truncated", announced, str(len(data)))
    if len(data) > announced:
        raise _of_another_size(path, "has trailing bytes", announced, "more")
    return np.frombuffer(data, np.uint8)


def _sizes(path: Path, header: bytes, magic: int) -> tuple[int, ...]:
    """Returns the sizes in a header, none of them 0."""
    kind = _KINDS[magic]
    found = int.from_bytes(header[:4], "big") if len(header) >= 4 else None
    if found in _KINDS and found != magic:
        raise UserError(
            f"{path} holds {_KINDS[found]} where {kind} are expected: give each file its own name."
        )
    if found != magic:
        begins = f"begins with the bytes {header[:4].hex()}" if header else "is empty"
        raise UserError(f"{path} is not an IDX file of {kind} (it {begins}): {AGAIN}.")
    dimensions = magic & 0xFF
    if len(header) < 4 * (1 + dimensions):
        raise UserError(f"{path} is truncated (it ends within the header): {AGAIN}.")
    sizes = struct.unpack(f">{dimensions}I", header[4:])
    if not math.prod(sizes):
        raise UserError(f"{path} holds no {kind}: {AGAIN}.")
    return sizes


def _of_another_size(path: Path, what: str, announced: int, found: str) -> UserError:
    return UserError(
        f"{path} {what} (its header announces {announced} bytes behind it, it has {found}): "
        f"{AGAIN}."
    )
