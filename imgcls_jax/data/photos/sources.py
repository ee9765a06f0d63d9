"""Sources of streams: pictures in a folder, and pictures in the records of a TFDS data set."""

import dataclasses
import functools
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.data.photos import decode


@dataclasses.dataclass(frozen=True, eq=False)
class FolderPhotos:
    """The pictures `root/path` with their labels (N,) or (N, K); see `source.Source`."""

    root: str | os.PathLike
    paths: tuple[str, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[str, int | list[int]]:
        return os.path.join(self.root, self.paths[index]), self.labels[index].tolist()

    def name(self, index: int) -> str:
        return decode.printable(os.path.join(self.root, self.paths[index]))

    def identity(self) -> str:
        listed = "\0".join(self.paths).encode(errors="surrogateescape")
        digest = hashlib.sha256(listed + b"\0\0" + self.labels.tobytes())
        return f"{len(self)} files, {digest.hexdigest()[:16]}"

    def fingerprint(self) -> str:
        """Returns the identity and a digest of the files' sizes; 0 bytes where a file is gone."""
        sizes = np.array([_size(Path(self.root, path)) for path in self.paths], np.int64)
        return f"{self.identity()}, {hashlib.sha256(sizes.tobytes()).hexdigest()[:16]}"


@dataclasses.dataclass(frozen=True, eq=False)
class RecordPhotos:
    """Pictures in a data set that TFDS prepared, read without TensorFlow.

    Args:
      folder: `data_dir/name/version`, of array records or TFRecords.
      split: a split's name, or parts as TFDS writes them ("train[:90%]+validation").
      rows: which of those examples, (N,) numbers; None for all.

    Raises:
      UserError: there is no such split, or it cannot be read.
    """

    folder: str | os.PathLike
    split: str
    rows: np.ndarray | None = None

    @functools.cached_property
    def _examples(self) -> Any:
        from imgcls_jax.data.catalog.folders import folder_info, shards, split_syntax

        info = folder_info.read(Path(self.folder))
        parts = split_syntax.parts(self.split, info.shards, setting="split")
        return shards.Examples(info, parts)

    def __reduce__(self):
        # Every worker opens the records itself.
        return RecordPhotos, (self.folder, self.split, self.rows)

    def __len__(self) -> int:
        return len(self._examples) if self.rows is None else len(self.rows)

    def __getitem__(self, index: int) -> tuple[bytes, int]:
        return self._examples[index if self.rows is None else int(self.rows[index])]

    def name(self, index: int) -> str:
        return f"Record {index} of {self.split!r} in {self.folder}"

    def identity(self) -> str:
        name, version = Path(self.folder).parts[-2:]
        said = f"{len(self)} records, {name} {version} {self.split}"
        if self.rows is None:
            return said
        return f"{said}, {hashlib.sha256(self.rows.astype(np.int64).tobytes()).hexdigest()[:16]}"

    def fingerprint(self) -> str:
        """Returns the identity and the names and sizes of the data set's files."""
        files = sorted(Path(self.folder).glob("*record*"))
        return ", ".join([self.identity(), *(f"{file.name} {_size(file)}" for file in files)])


def _size(path: Path) -> int:
    """Returns a file's size in bytes, 0 if there is none: its reader says so in its own words."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
