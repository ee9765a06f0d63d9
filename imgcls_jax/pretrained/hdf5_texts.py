"""Damage to the start and the texts of HDF5 files, found before the HDF5 library meets it.

Texts of any length lie in tables, "global heaps", and are referred to by their length, the table's
address and their number in it. The library (2.0) believes these: an object of no size in a table
makes it loop for ever, and a wrong length makes it fill the memory.

Source: HDF5 File Format Specification, "Superblock", "Global Heap", "Reading Variable-Length Data".
"""

import functools
import itertools
import math
import mmap
import os
import struct
from collections.abc import Iterator

from imgcls_jax.files.reading import opened

_TABLE = b"GCOL\x01"  # its signature and version
_OF_ANY_LENGTH = 9  # the class of a type
_SIGNATURE, _NOWHERE = b"\x89HDF\r\n\x1a\n", b"\xff" * 8
_BASE = {0: 24, 1: 28, 2: 12, 3: 12}  # where the address of the beginning stands, by version


def require_start(path: str | os.PathLike) -> None:
    """Raises ValueError unless a file begins as Keras' do: no driver of its own, plain addresses.

    The library looks for a driver's settings wherever the start says, beyond the file's end too.
    """
    with opened(path) as file:
        start = file.read(64)
    version = start[8] if start.startswith(_SIGNATURE) and len(start) == 64 else None
    if version not in _BASE:
        raise ValueError("it does not begin as HDF5 files do")
    widths, base = start[13:15] if version < 2 else start[9:11], _BASE[version]
    driver = start[base + 24 : base + 32] if version < 2 else _NOWHERE
    if widths != b"\x08\x08" or any(start[base : base + 8]) or driver != _NOWHERE:
        raise ValueError("it begins otherwise than Keras' files do")


@functools.lru_cache(maxsize=8)
def require_sound(path: str, name: str, changed: int) -> None:
    """Raises ValueError unless the library can read the texts in a file's attributes of that name.

    Args:
      changed: when the file was, so that it is looked at again.
    """
    with opened(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        tables, left = {}, len(content) // 16  # objects, none of which is smaller
        for start in _found(content, _TABLE):
            tables[start] = _sizes(content, start, left)
            left -= len(tables[start])
        _require_lengths(content, name.encode(), tables)


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


def _require_lengths(content: mmap.mmap, name: bytes, tables: dict[int, dict[int, int]]) -> None:
    """Raises ValueError for a text in an attribute of that name that is longer than its table says.

    Source: "IV.A.2.m. The Attribute Message", whose fields have multiples of eight bytes in its
    first version.
    """
    for place in _found(content, name + b"\0"):
        for start, versions, unit in ((place - 8, (1, 2), 8), (place - 9, (3,), 1)):
            if start < 0 or content[start] not in versions:
                continue
            unit = unit if content[start] == 1 else 1
            widths = struct.unpack_from("<3H", content, start + 2)
            if widths[0] != len(name) + 1:
                continue
            sizes = (-(-width // unit) * unit for width in widths)
            _, kind, space, data = itertools.accumulate(sizes, initial=place)
            if content[kind] & 15 != _OF_ANY_LENGTH:
                continue
            rank, first = content[space + 1], 8 if content[space] == 1 else 4
            count = math.prod(struct.unpack_from(f"<{rank}Q", content, space + first))
            if count > len(content) // 16:
                raise ValueError("an attribute is larger than the file")
            for at in range(data, data + 16 * count, 16):
                length, table, number = struct.unpack_from("<IQI", content, at)
                if length and length > tables.get(table, {}).get(number, -1):
                    raise ValueError("a text is longer than its table says")
