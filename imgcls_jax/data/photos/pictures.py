"""Pictures that the cache decodes: what it has to know of them, and those of a folder."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol


class Pictures(Protocol):
    """Pictures to decode, each to be had by its index.

    title: what the cache's folder and the progress are called by.
    where: what they are in, for errors.
    advice: what to do about those that cannot be read.
    """

    title: str
    where: str
    advice: str

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> str | os.PathLike | bytes:
        """Returns the path or the content of a picture's file."""

    def told(self, index: int) -> str:
        """Returns the picture's name for lists of bad ones."""

    def key(self) -> Iterator[bytes]:
        """Yields what tells these pictures from others without reading them."""


class Files:
    """The pictures `root/path`."""

    advice = "replace or delete them, or give `corrupt=skip` to leave them out"

    def __init__(self, root: Path, paths: Sequence[str]):
        self._root, self._paths = root, paths
        self.title, self.where = root.resolve().name, str(root)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Path:
        return self._root / self._paths[index]

    def told(self, index: int) -> str:
        return self._paths[index]

    def key(self) -> Iterator[bytes]:
        for path in self._paths:
            try:
                status = os.stat(self._root / path)
                state = (status.st_size, status.st_mtime_ns)
            except OSError:
                state = (-1, -1)
            yield f"\n{path}\0{state}".encode(errors="surrogateescape")
