"""Damage to the texts of HDF5 files, found before the HDF5 library meets it.

Texts of any length lie in tables, "global heaps", and are referred to by their length, the table's
address and their number in it. The library (2.0) believes these: an object of no size in a table
makes it loop for ever, and a wrong length makes it fill the memory.

Source: HDF5 File Format Specification, "Superblock", "Global Heap", "Reading Variable-Length Data".
"""

import functools
import mmap
import struct
from collections.abc import Iterator

from imgcls_jax.files.reading import opened

_TABLE = b"GCOL\x01"  # its signature and version
_BASE = {0: 24, 1: 28, 2: 12, 3: 12}  # where the address of the beginning stands, by version


@functools.lru_cache(maxsize=8)
def require_sound(path: str, changed: int) -> None:
    """Raises ValueError unless the library can read the texts of a file.

    Args:
      changed: when the file was, so that it is looked at again.
    """
    with opened(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        version = content[8]
        widths = content[13:15] if version < 2 else content[9:11]
        base = _BASE.get(version)
        if widths != b"\x08\x08" or base is None or any(content[base : base + 8]):
            raise ValueError("it has addresses of another kind than Keras writes")
        left = len(content) // 16  # objects, none of which is smaller
        for start in _found(content, _TABLE):
            sizes = _sizes(content, start, left)
            left -= len(sizes)
            _require_lengths(content, start, sizes)


def _found(content: mmap.mmap, wanted: bytes) -> Iterator[int]:
    start = content.find(wanted)
    while start >= 0:
        yield start
        start = content.find(wanted, start + 1)


def _sizes(content: mmap.mmap, start: int, most: int) -> dict[int, int]:
    """Returns the sizes of the objects in the table at `start`, by their number."""
    (size,) = struct.unpack_from("<Q", content, start + 8)
    at, end, sizes = start + 16, start + size, {}
    if not start + 16 <= end <= len(content):
        raise ValueError("a table of its texts is damaged")
    while end - at >= 16:
        number, length = struct.unpack_from("<H6xQ", content, at)
        at += 16 + -(-length // 8) * 8 if number else length
        if at > end or not (number or length) or number in sizes or len(sizes) >= most:
            raise ValueError("a table of its texts is damaged")
        sizes[number] = length
    return sizes


def _require_lengths(content: mmap.mmap, start: int, sizes: dict[int, int]) -> None:
    """Raises ValueError for a reference to the table at `start` that announces too long a text."""
    for place in _found(content, struct.pack("<Q", start)):
        if 4 <= place <= len(content) - 12:
            length, number = struct.unpack_from("<I8xI", content, place - 4)
            if number and length > sizes.get(number, length):
                raise ValueError("a text is longer than its table says")
