"""Arrays read from a prepared folder, such as decoded pixels, kept beside it for the next time."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from absl import logging

from imgcls_jax.files import lock, whole
from imgcls_jax.files.reading import read_arrays

_LAYOUT = "1"  # another value makes every older copy stale


def read(
    path: Path, *, of: str, names: Sequence[str] | None = None
) -> dict[str, np.ndarray] | None:
    """Returns the arrays kept of what had the state `of`, None for missing, stale or damaged ones.

    Args:
      names: of the arrays to read; None for all.

    The zip container's CRC-32 of every array is checked while reading.
    """
    try:
        if str(read_arrays(path, ["of"])["of"]) != _LAYOUT + of:
            return None
        held = read_arrays(path, names)
    except Exception:  # whatever a copy that is not as it was written makes fail
        return None
    return {name: array for name, array in held.items() if name != "of"}


def write(path: Path, arrays: Mapping[str, np.ndarray], *, of: str) -> None:
    """Keeps arrays, whole or not at all; a warning says where they cannot be kept."""
    try:
        locked = lock(path.parent, f"writes {path}")
        with locked, whole(path) as partial, partial.open("wb") as file:
            np.savez(file, of=_LAYOUT + of, **arrays)
    except OSError as error:
        logging.warning(
            "%s cannot be written (%s): the next start will read all of the data set again.",
            path,
            error.strerror or error,
        )
