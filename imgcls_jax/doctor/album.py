"""All photos of a folder at once: where they are, what they are said to be, and their pixels."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from imgcls_jax.data.photos import cache
from imgcls_jax.data.photos.folders import Folder


@dataclasses.dataclass(frozen=True, eq=False)
class Album:
    """The N photos of a folder that can be read, ordered by split, class and name.

    Attributes:
      folder: as it was scanned.
      paths: relative to the folder.
      splits: (N,) names, "train" and perhaps "validation" and "test", or "all" for every photo.
      labels: (N,) int32, indices of the folder's class names.
      images: (N, S, S, 3) uint8, as a network sees them.
      unreadable: (path, reason) of the other photos.
    """

    folder: Folder
    paths: tuple[str, ...]
    splits: np.ndarray
    labels: np.ndarray
    images: np.ndarray
    unreadable: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.folder.class_names

    @property
    def root(self) -> Path:
        return self.folder.path

    @property
    def has_splits(self) -> bool:
        """True where the folder itself divides its photos into splits."""
        return "all" not in self.folder.splits


def load(
    folder: Folder, *, size: int, how: str, cache_dir: str | os.PathLike | None = None
) -> Album:
    """Decodes a folder's photos to squares, or finds them in the cache that training fills.

    Args:
      size, how: as `data.photos.decode.resize` has them.
      cache_dir: as `data.photos.cache.load` has it.

    Raises:
      UserError: no photo can be read, or the cache cannot be written.
    """
    listed = [
        (path, split, label)
        for split, files in folder.splits.items()
        for path, label in zip(files.paths, files.labels.tolist(), strict=True)
    ]
    ordered = sorted(path for path, _, _ in listed)  # as training orders them: one cache for both
    images, kept, bad = cache.load(
        folder.path, ordered, size=size, how=how, corrupt="skip", cache_dir=cache_dir
    )
    row_of = dict(zip(np.array(ordered)[kept].tolist(), range(len(images)), strict=True))
    listed = [photo for photo in listed if photo[0] in row_of]
    paths, splits, labels = zip(*listed, strict=True)
    return Album(
        folder=folder,
        paths=paths,
        splits=np.array(splits),
        labels=np.array(labels, np.int32),
        images=images[[row_of[path] for path in paths]],
        unreadable=tuple(bad),
    )
