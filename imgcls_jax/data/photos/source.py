"""What streams and lazy arrays take their pictures from."""

from typing import Protocol


class Source(Protocol):
    """Pictures with labels, each to be had by its index; pickled into every worker."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[str | bytes, int | list[int]]:
        """Returns (path or content of the file, label or, of several, 0 or 1 for each)."""

    def name(self, index: int) -> str:
        """Returns the picture's name for errors."""

    def identity(self) -> str:
        """Returns a digest of these pictures in this order, wherever they lie, to check states."""

    def fingerprint(self) -> str:
        """Returns that and what tells their files from others of the same names, unread."""
