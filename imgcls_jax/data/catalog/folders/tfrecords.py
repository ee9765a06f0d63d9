"""Files of TFRecords read by index, without TensorFlow.

A record is stored as its length (uint64), the masked CRC-32C of that (uint32), the data and their
CRC (https://www.tensorflow.org/tutorials/load_data/tfrecord). There is no table of contents: one
pass from length to length finds where the records begin. The pass checks each length by its CRC;
the CRC of the data is not checked: no installed package computes it fast.
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imgcls_jax.files.reading import opened, require_regular

_AROUND = 16  # bytes of a record that are not its data
_HEADER = 12  # of them before the data
_CASTAGNOLI = 0x82F63B78  # CRC-32C's polynomial, the lowest bit first


def offsets(path: Path) -> np.ndarray:
    """Returns where the data of each record begins, and 12 bytes after the last: int64 (N + 1,).

    Raises:
      ValueError: the file ends within a record, a length has another CRC than is stored beside it,
        or the file is none of TFRecords.
    """
    size, found = os.path.getsize(path), [_HEADER]
    with opened(path) as file:
        position = 0
        while position < size:
            header = os.pread(file.fileno(), _HEADER, position)
            whole = len(header) == _HEADER
            length, crc = struct.unpack("<QI", header) if whole else (size, 0)
            if whole and masked_crc(header[:8]) != crc:
                raise ValueError(
                    f"{path.name} is damaged: the length of record {len(found) - 1} does not match "
                    "its CRC"
                )
            position += length + _AROUND
            if position > size:
                raise ValueError(f"{path.name} ends within record {len(found) - 1}")
            found.append(position + _HEADER)
    return np.array(found, np.int64)


def _of_byte(crc: int) -> int:
    for _ in range(8):
        crc = crc >> 1 ^ (_CASTAGNOLI if crc & 1 else 0)
    return crc


_TABLE = [_of_byte(byte) for byte in range(256)]


def masked_crc(data: bytes) -> int:
    """Returns the CRC-32C of some bytes, turned by 15 bits and with a constant added.

    Source: `tsl/lib/hash/crc32c.h` of TensorFlow (`Mask`); the CRC is that of RFC 3720, B.4.
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


class TFRecords:
    """The records of some files, one after the other.

    Args:
      paths: of the files.
      starts: the `offsets` of each file.
    """

    def __init__(self, paths: Sequence[Path], starts: Sequence[np.ndarray]):
        self._paths, self._starts = paths, starts
        self._ends = np.cumsum([len(of) - 1 for of in starts])
        self._files: dict[int, int] = {}

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int) -> bytes:
        """Returns the data of a record; several threads may read at once.

        Raises:
          OSError: a file cannot be read, or has become shorter.
        """
        number = int(np.searchsorted(self._ends, index, side="right"))
        starts = self._starts[number]
        place = index - (int(self._ends[number]) - len(starts) + 1)
        first, after = int(starts[place]), int(starts[place + 1]) - _AROUND
        data = os.pread(self._descriptor(number), after - first, first)
        if len(data) != after - first:
            raise OSError(f"{self._paths[number]} has become shorter")
        return data

    def __getitems__(self, indices: Sequence[int]) -> list[bytes]:
        return [self[index] for index in indices]

    def _descriptor(self, number: int) -> int:
        if number not in self._files:
            require_regular(self._paths[number])
            found = os.open(self._paths[number], os.O_RDONLY)
            if self._files.setdefault(number, found) != found:  # another thread was quicker
                os.close(found)
        return self._files[number]

    def __del__(self):
        for descriptor in self._files.values():
            os.close(descriptor)
