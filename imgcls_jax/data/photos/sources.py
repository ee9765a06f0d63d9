"""Sources of streams: pictures in a folder, and pictures in the records of a TFDS data set."""

import dataclasses
import functools
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.data.photos import decode
from imgcls_jax.errors import UserError


@dataclasses.dataclass(frozen=True, eq=False)
class FolderPhotos:
    """The pictures `root/path` with their labels (N,) or (N, K); see `streaming.Source`."""

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


@dataclasses.dataclass(frozen=True)
class RecordPhotos:
    """One split of a data set that TFDS prepared as array records, read without TensorFlow.

    Args:
      folder: `data_dir/name/version`.
      split: a split's name, or a part as TFDS writes it ("train[:90%]").
      image, label: the names of the features.

    Raises:
      UserError: there is no such split, or it cannot be read by index.
    """

    folder: str | os.PathLike
    split: str
    image: str = "image"
    label: str = "label"

    @functools.cached_property
    def _examples(self) -> Any:
        import tensorflow_datasets as tfds

        try:
            builder = tfds.builder_from_directory(self.folder)
            return builder.as_data_source(
                split=self.split, decoders={self.image: tfds.decode.SkipDecoding()}
            )
        except Exception as error:  # TFDS raises anything
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            raise UserError(
                f"The split {self.split!r} of {self.folder} cannot be read record by record "
                f'({reason}): prepare the data set with file_format="array_record".'
            ) from error

    def __reduce__(self):
        # Every worker opens the records itself.
        return RecordPhotos, (self.folder, self.split, self.image, self.label)

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> tuple[bytes, int]:
        example = self._examples[index]
        return bytes(example[self.image]), int(example[self.label])

    def name(self, index: int) -> str:
        return f"Record {index} of {self.split!r} in {self.folder}"

    def identity(self) -> str:
        name, version = Path(self.folder).parts[-2:]
        return f"{len(self)} records, {name} {version} {self.split}"

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
