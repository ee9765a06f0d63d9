"""Arrays read from a prepared folder, such as decoded pixels, kept beside it for the next time."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from absl import logging

from imgcls_jax import files
from imgcls_jax.files import lock, whole

_LAYOUT = "1"  # another value makes every older copy stale


def read(path: Path, *, of: str, names: Sequence[str]) -> dict[str, np.ndarray] | None:
    """Returns the arrays kept of what had the state `of`, None where that fails in any way.

    Args:
      names: of the arrays to read.

    The zip container's CRC-32 of every array is checked while reading.
    """
    try:
        if str(files.arrays(path, ["of"])["of"]) != _LAYOUT + of:
            return None
        return files.arrays(path, names)
    except Exception:  # missing, stale or damaged, of which zipfile and NumPy raise anything
        return None


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
