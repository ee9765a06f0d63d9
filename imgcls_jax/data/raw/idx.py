"""The IDX files of MNIST and its relatives, gzipped or not, checked before they are believed.

Format: http://yann.lecun.com/exdb/mnist/ (big-endian 32-bit magic number, one 32-bit size per
dimension, then the bytes). The magic number's third byte is the element type (8: unsigned byte)
and its fourth the number of dimensions.
"""

import hashlib
import struct
from pathlib import Path

import numpy as np

from imgcls_jax.data.raw import layouts
from imgcls_jax.data.raw.layouts import AGAIN
from imgcls_jax.errors import UserError

IMAGES_MAGIC, LABELS_MAGIC = 0x0803, 0x0801


def read_idx_images(
    path: Path, *, shape: tuple[int, int] = (28, 28), count: int | None = None
) -> np.ndarray:
    """Reads the grey images of an IDX file as uint8 (N, H, W, 1).

    Args:
      path: the file; whether it is gzipped is told by its content, not by its name.
      shape: the (H, W) it must have.
      count: the N it must have; None takes any but 0, and unpacks a gzip file whatever it holds.

    Raises:
      UserError: it is missing, unreadable, truncated, no IDX file of images, or has other sizes.
    """
    path = Path(path)
    data = layouts.read(path, limit=_limit(count, size=shape[0] * shape[1]))
    n, height, width = _sizes(path, data, magic=IMAGES_MAGIC, count=count)
    if (height, width) != shape:
        raise UserError(
            f"{path} holds images of {height}x{width} pixels where {shape[0]}x{shape[1]} are "
            "expected: point `raw_dir` at the right data set."
        )
    # Copied, because an array on top of bytes is read-only and PyTorch objects to those.
    return np.frombuffer(data, np.uint8, offset=16).reshape(n, height, width, 1).copy()


def read_idx_labels(path: Path, *, num_classes: int = 10, count: int | None = None) -> np.ndarray:
    """Reads labels of an IDX file as int32 (N,), each in 0..num_classes-1; as `read_idx_images`."""
    path = Path(path)
    data = layouts.read(path, limit=_limit(count, size=1))
    _sizes(path, data, magic=LABELS_MAGIC, count=count)
    labels = np.frombuffer(data, np.uint8, offset=8).astype(np.int32)
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


def _limit(count: int | None, *, size: int) -> int | None:
    """Returns the most bytes worth unpacking: twice what belongs, so that the header can tell."""
    return None if count is None else 2 * count * size + 2**20


def _sizes(path: Path, data: bytes, *, magic: int, count: int | None) -> tuple[int, ...]:
    """Returns the dimensions in the header if they agree with magic number, length and count."""
    kinds = {IMAGES_MAGIC: "images", LABELS_MAGIC: "labels"}
    kind, header = kinds[magic], 4 * (1 + (magic & 0xFF))
    found = int.from_bytes(data[:4], "big") if len(data) >= 4 else None
    if found in kinds and found != magic:
        raise UserError(
            f"{path} holds {kinds[found]} where {kind} are expected: give each file its own name."
        )
    if found != magic:
        begins = f"begins with the bytes {data[:4].hex()}" if data else "is empty"
        raise UserError(f"{path} is not an IDX file of {kind} (it {begins}): {AGAIN}.")
    if len(data) < header:
        raise UserError(f"{path} is truncated (it ends within the header): {AGAIN}.")
    sizes = struct.unpack(f">{magic & 0xFF}I", data[4:header])
    expected = header + int(np.prod(sizes, dtype=object))
    if len(data) != expected:
        what = "is truncated" if len(data) < expected else "has trailing bytes"
        raise UserError(
            f"{path} {what} (its header announces {expected} bytes, it has {len(data)}): {AGAIN}."
        )
    if not sizes[0]:
        raise UserError(f"{path} holds no {kind}: {AGAIN}.")
    if count is not None and sizes[0] != count:
        raise UserError(f"{path} holds {sizes[0]} {kind} where {count} are expected: {AGAIN}.")
    return sizes
