"""The examples of a split by index, whichever kind of file holds them."""

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.data.catalog.folders import example_proto, tfrecords
from imgcls_jax.data.catalog.folders.folder_info import FolderInfo
from imgcls_jax.data.catalog.folders.split_syntax import Part
from imgcls_jax.errors import UserError, printable

_BATCH = 256  # records read at once where all are wanted


class Shards:
    """One split of a prepared folder: `shards[index]` is an image file's content and a label.

    Raises:
      UserError: a file is damaged or holds another number of records than the folder says.
    """

    def __init__(self, info: FolderInfo, split: str):
        self._info, self._split, self._files = info, split, info.files(split)
        self._length = info.counts[split]

    def __len__(self) -> int:
        return self._length

    @functools.cached_property
    def _records(self) -> Any:
        try:
            if self._info.file_format == "tfrecord":
                found = tfrecords.TFRecords(self._files, [*map(tfrecords.offsets, self._files)])
            else:
                from array_record.python.array_record_data_source import ArrayRecordDataSource

                found = ArrayRecordDataSource([str(path) for path in self._files])
            count = len(found)
        except Exception as error:  # array_record raises anything
            raise self._damaged(error) from error
        if count != self._length:
            raise self._damaged(f"{count} records where {self._length} belong")
        return found

    def __getitem__(self, index: int) -> tuple[bytes, int]:
        records = self._records
        try:
            return self._read(records[index])
        except Exception as error:
            raise self._damaged(error) from error

    def all(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[bytes, int]]:
        """Yields the examples from `start` to `stop` in their order."""
        records, stop = self._records, len(self) if stop is None else stop
        for first in range(start, stop, _BATCH):
            try:
                found = records.__getitems__(range(first, min(first + _BATCH, stop)))
                examples = [self._read(record) for record in found]
            except Exception as error:
                raise self._damaged(error) from error
            yield from examples

    @property
    def labelled(self) -> bool:
        """True if any of the first examples has a label; TFDS marks those without by -1."""
        return any(label >= 0 for _, label in self.all(0, min(_BATCH, len(self))))

    def _read(self, record: bytes) -> tuple[bytes, int]:
        features = self._info.features
        return example_proto.read(record, image=features.image, label=features.label)

    def _damaged(self, reason: object) -> UserError:
        said = str(reason).strip().split("\n")[0] or type(reason).__name__
        return UserError(
            f"The split {self._split} of {printable(Path(self._info.path))} cannot be read "
            f"({said}): delete the folder and prepare it again."
        )


class Examples:
    """The examples of some parts of a prepared folder, one part after the other."""

    def __init__(self, info: FolderInfo, parts: Sequence[Part]):
        of = {part.split: Shards(info, part.split) for part in parts}
        self._parts = [(of[part.split], part.start) for part in parts]
        self._ends = np.cumsum([part.stop - part.start for part in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> tuple[bytes, int]:
        number = int(np.searchsorted(self._ends, index, side="right"))
        shards, start = self._parts[number]
        before = int(self._ends[number - 1]) if number else 0
        return shards[start + index - before]
