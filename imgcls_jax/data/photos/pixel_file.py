"""The file of decoded pictures: an .npy header, then blocks of pixels with a checksum each."""

import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.files.reading import opened, require_regular

BLOCK = 16  # images that a thread decodes at a time; a crash loses a few blocks
_COMPARED_BYTES = 2**25  # of pixels at each start, which takes some hundredths of a second


def is_intact(file: Path, record: dict[str, Any], size: int, verify: bool) -> bool:
    """Returns whether pixels are as they were decoded, as far as they are compared.

    Args:
      record: the content of `finished.json`; versions up to 0.2 kept no checksums there.
      verify: whether all blocks are compared.

    Raises:
      ValueError: all are to be compared, and there are no checksums.
    """
    if "blocks" not in record:
        if verify:
            raise ValueError("there are no checksums to compare")
        return True
    blocks = np.array(record["blocks"], np.int64).reshape(-1, 2)
    row, header = size * size * 3, npy_header(int(blocks[:, 0].sum()), size)
    starts = len(header) + row * (np.cumsum(blocks[:, 0]) - blocks[:, 0])
    some = max(1, _COMPARED_BYTES // (BLOCK * row))
    chosen = np.arange(len(blocks))
    if not verify and some < len(blocks):
        chosen = np.random.default_rng().choice(len(blocks), some, replace=False)
    with opened(file) as pixels:
        if pixels.read(len(header)) != header:
            return False
        for images, checksum, start in zip(*blocks[chosen].T, starts[chosen], strict=True):
            pixels.seek(start)
            if zlib.crc32(pixels.read(images * row)) != checksum:
                return False
    return True


def open_images(folder: Path) -> np.ndarray:
    """Opens a folder's pixels (N, size, size, 3) uint8, memory-mapped and read-only."""
    require_regular(folder / "images.npy")
    return np.load(folder / "images.npy", mmap_mode="r")


def state_of(file: Path) -> list[int]:
    """Returns size and time of a file, which change where it is cut short or written into."""
    status = file.stat()
    return [status.st_size, status.st_mtime_ns]


def npy_header(count: int, size: int) -> bytes:
    """Makes the header of the .npy file, whose length is the same for every count of pictures."""
    file = io.BytesIO()
    shape = (count, size, size, 3)
    layout = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, layout)
    return file.getvalue()


def resume(pixels: io.BufferedRandom, log: io.TextIOBase, size: int) -> tuple[int, dict[int, str]]:
    """Keeps the blocks whose pixels have the checksum logged, and cuts both files after them.

    Returns:
      How many pictures are done, and why some of them are bad, by index.
    """
    done, bad, lines = 0, {}, []
    end = pixels.tell()
    log.seek(0)
    for line in log:
        if not line.endswith("\n"):  # or the next would follow on the same line
            break
        try:
            block = json.loads(line)
            count = block["images"] + len(block["bad"])
            if not 0 <= block["images"] <= count <= BLOCK:
                break
            images = pixels.read(block["images"] * size * size * 3)
            reasons = {int(index): reason for index, reason in block["bad"].items()}
            if zlib.crc32(images) != block["crc32"] or set(reasons) - set(
                range(done, done + count)
            ):
                break
            bad |= reasons
            done += count
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            break
        end = pixels.tell()
        lines.append(line)
    pixels.seek(end)
    pixels.truncate()
    log.seek(0)
    log.truncate()
    log.writelines(lines)
    return done, bad
