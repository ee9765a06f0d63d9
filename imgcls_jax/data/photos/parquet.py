"""Pictures in the rows of Parquet files, each to be had by its number.

A row is read with its row group (of 100 pictures where the library `datasets` wrote the file), and
the groups read last stay in memory. So that a shuffled epoch does not read a group for every
picture, its order goes through the groups at random, a few at a time, and mixes the pictures of
those.
"""

import dataclasses
import functools
import hashlib
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from imgcls_jax.data.catalog.route import one_line
from imgcls_jax.errors import UserError, printable
from imgcls_jax.files.reading import require_regular

_KEPT_BYTES = 2**28  # of row groups in memory, in each process that decodes
_LARGEST = 2**30  # bytes of a row group that may be read at once


@dataclasses.dataclass(frozen=True, eq=False)
class ParquetPhotos:
    """Some rows of Parquet files of one form, as pictures with labels; see `source.Source`.

    Attributes:
      of: what the data set is called in messages and identities.
      files: paths, in their order.
      image: the column of pictures, structs with `bytes` or the bytes themselves.
      rows: int (N,), numbers of the rows, counted through all files.
      labels: int32 (N,).
    """

    of: str
    files: tuple[str, ...]
    image: str
    rows: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        object.__setattr__(self, "_lock", threading.Lock())
        object.__setattr__(self, "_kept", OrderedDict())

    def __reduce__(self):
        # Every worker opens the files itself.
        return ParquetPhotos, (self.of, self.files, self.image, self.rows, self.labels)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[bytes, int]:
        """Returns the content of a picture's file, b"" where there is none, and its label."""
        row = int(self.rows[index])
        group = int(np.searchsorted(self._groups.firsts, row, side="right")) - 1
        found = self._read(group)
        place = row - int(self._groups.firsts[group])
        if place >= len(found):
            raise UserError(f"{self.name(index)} is not there; fetch the file again.")
        return found[place].as_py() or b"", int(self.labels[index])

    def take(self, indices: np.ndarray) -> "ParquetPhotos":
        """Returns some of the pictures."""
        return dataclasses.replace(self, rows=self.rows[indices], labels=self.labels[indices])

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Returns the indices (N,) in the order in which that epoch visits the pictures."""
        return _order(self, seed, epoch)

    def name(self, index: int) -> str:
        row = int(self.rows[index])
        path, first = self._groups.file_of(row)
        return f"Row {row - first:,} of {printable(Path(path).name)} of {printable(self.of)}"

    def identity(self) -> str:
        digest = hashlib.sha256(self.rows.tobytes() + b"\0" + self.labels.tobytes())
        return f"{len(self)} rows, {self.of}, {digest.hexdigest()[:16]}"

    def fingerprint(self) -> str:
        """Returns the identity and the sizes of the files; -1 where a file is gone."""
        sizes = [path.stat().st_size if path.exists() else -1 for path in map(Path, self.files)]
        return f"{self.identity()}, {' '.join(map(str, sizes))}"

    @functools.cached_property
    def _groups(self) -> "_Groups":
        return _Groups(self.files, self.image)

    def _read(self, group: int) -> Any:
        """Returns the pictures' contents in a row group, a pyarrow array."""
        with self._lock:
            if group not in self._kept:
                self._kept[group] = self._groups.read(group)
                most = max(2, _KEPT_BYTES // self._groups.largest)
                while len(self._kept) > most:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(group)
            return self._kept[group]


class _Groups:
    """The row groups of all files.

    Attributes:
      firsts: int64 (G,), the number of each group's first row, counted through all files.
      largest: bytes in the largest group, at least 1.
    """

    def __init__(self, files: tuple[str, ...], image: str):
        self._paths, self._image = files, image
        self._files = [_opened(path) for path in files]
        self._starts = np.cumsum([0, *(sum(opened.rows) for opened in self._files)])
        self._place, firsts, row, self.largest = [], [], 0, 1
        for path, opened in zip(files, self._files, strict=True):
            for number, (rows, size) in enumerate(zip(opened.rows, opened.sizes, strict=True)):
                if size > _LARGEST:
                    raise UserError(
                        f"{printable(path)} holds {size / 1e9:.1f} GB in one row "
                        "group, too many to read at once; write it again with groups of 100 rows."
                    )
                self._place.append((opened.file, number))
                self.largest = max(self.largest, size)
                firsts.append(row)
                row += rows
        self.firsts = np.array(firsts, np.int64)

    def file_of(self, row: int) -> tuple[str, int]:
        """Returns the file that has a row, and the number of its own first row."""
        file = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self._paths[file], int(self._starts[file])

    def read(self, group: int) -> Any:
        file, number = self._place[group]
        try:
            found = contents(file.read_row_group(number, columns=[self._image]).column(0))
            if not _of_bytes(found.type):
                raise TypeError(f"they are of the type {found.type}")
        except Exception as error:  # pyarrow's, of several kinds
            raise UserError(
                f"row group {number} of the pictures cannot be read ({one_line(error)}); fetch "
                "the file again."
            ) from error
        return found


@functools.lru_cache(maxsize=2)
def _order(photos: ParquetPhotos, seed: int, epoch: int) -> np.ndarray:
    groups = photos._groups
    rng = np.random.default_rng((seed, epoch))
    place = rng.permutation(len(groups.firsts))
    # Half of what is kept: while a batch ends one window of groups, another begins the next.
    window = max(1, _KEPT_BYTES // 2 // groups.largest)
    of = place[np.searchsorted(groups.firsts, photos.rows, side="right") - 1] // window
    return np.lexsort((rng.random(len(photos)), of))


class _Opened(NamedTuple):
    """A file, and of each of its row groups the rows and the bytes, uncompressed."""

    file: Any
    rows: list[int]
    sizes: list[int]


def _opened(path: str) -> _Opened:
    import pyarrow.parquet

    try:
        require_regular(path)
        # Page by page rather than all of a group's bytes first.
        file = pyarrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=2**20)
        groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
        # Not of the pictures' column alone: pyarrow ends the process where a column's description
        # is damaged (`Repetition level histogram size mismatch`, version 26).
        sizes = [group.total_byte_size for group in groups]
        return _Opened(file, [group.num_rows for group in groups], sizes)
    except Exception as error:  # pyarrow's, of several kinds
        raise UserError(
            f"{printable(path)} is no Parquet file that can be read ({one_line(error)}); fetch it "
            "again."
        ) from error


def contents(column: Any) -> Any:
    """Returns the files' contents in a column of pictures, a pyarrow array of bytes."""
    import pyarrow

    array = column.combine_chunks() if isinstance(column, pyarrow.ChunkedArray) else column
    return array.field("bytes") if pyarrow.types.is_struct(array.type) else array


def _of_bytes(kind: Any) -> bool:
    import pyarrow.types

    return pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind)
