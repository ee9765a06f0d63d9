"""Corrections made to the files themselves, and taken back: for those who ask for it.

Photos are renamed within their folder, never deleted: those left out go to `.excluded`, which no
scan looks into. What is about to be moved is written down first, so that it can be taken back after
a crash as well.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from imgcls_jax.data.photos.decode import printable
from imgcls_jax.data.photos.folders import Folder
from imgcls_jax.data.photos.inspected import (
    CORRECTIONS,
    MOVE,
    Correction,
    read_rows,
    write_rows,
)
from imgcls_jax.errors import UserError

MOVED = "moved.csv"
_EXCLUDED = ".excluded"


def move(folder: Folder, corrections: Sequence[Correction], inspected: Path) -> int:
    """Moves the photos that corrections are about, and writes down how to take it back.

    Args:
      folder: the photos as they are, scanned.
      corrections: those that can be followed, see `findings.corrections`.
      inspected: the folder to write `moved.csv` to.

    Returns:
      How many were moved.

    Raises:
      UserError: an earlier move was not taken back, or a file cannot be moved.
    """
    if (inspected / MOVED).exists():
        raise UserError(
            f"photos were moved as {printable(inspected / MOVED)} says; take that back first, or "
            "inspect them as they are now."
        )
    taken, rows = set(), []
    for correction in corrections:
        to = _free(folder, _target(folder, correction), taken)
        taken.add(to)
        rows.append({"from": correction.path, "to": to})
    write_rows(inspected / MOVED, ("from", "to"), rows)
    for row in rows:
        _rename(folder.path, row["from"], row["to"])
    return len(rows)


def take_back(root: Path, inspected: Path) -> tuple[int, bool]:
    """Takes back all that was made of an inspection's findings; the table itself stays.

    Args:
      root: the folder of the photos.
      inspected: the folder of the inspection.

    Returns:
      How many files were moved back, and whether corrections were removed.

    Raises:
      UserError: nothing was made of them, or a photo is neither where it was nor where it went.
    """
    moved, corrected = inspected / MOVED, inspected / CORRECTIONS
    if not moved.exists() and not corrected.exists():
        raise UserError(f"nothing was applied in {printable(inspected)}; there is no way back.")
    count = 0
    if moved.exists():
        rows = read_rows(moved, ("from", "to"))
        for row in rows:
            back, away = root / row["from"], root / row["to"]
            if back.exists() == away.exists():
                raise UserError(
                    f"{printable(row['from'])} cannot be moved back from {printable(row['to'])}, "
                    f"of which {'both' if back.exists() else 'neither'} are there; put one right "
                    "and take it back again."
                )
        for row in reversed(rows):
            if (root / row["to"]).exists():
                _rename(root, row["to"], row["from"])
                count += 1
        moved.unlink()
    was_corrected = corrected.exists()
    corrected.unlink(missing_ok=True)
    return count, was_corrected


def _target(folder: Folder, correction: Correction) -> str:
    """Returns where a photo goes, relative to the data folder."""
    if correction.action != MOVE:
        return os.path.join(_EXCLUDED, correction.path)
    split = next(name for name, of in folder.splits.items() if correction.path in of.paths)
    files, place = folder.splits[split], Path(folder.places[split]).parts
    depth, label = len(place) + 1, folder.class_names.index(correction.to)
    of_class = {
        Path(path).parts[:depth]
        for path, of in zip(files.paths, files.labels.tolist(), strict=True)
        if of == label
    }
    # A class that its split has no photo of gets a folder of its name.
    where = min(of_class, default=(*place, correction.to))
    return os.path.join(*where, *Path(correction.path).parts[depth:])


def _free(folder: Folder, path: str, taken: set[str]) -> str:
    """Returns the path, numbered where something is there already."""
    stem, suffix = os.path.splitext(path)
    number, found = 1, path
    while found in taken or (folder.path / found).exists():
        found, number = f"{stem}-{number}{suffix}", number + 1
    return found


def _rename(root: Path, path: str, to: str) -> None:
    try:
        (root / to).parent.mkdir(parents=True, exist_ok=True)
        os.rename(root / path, root / to)
        with contextlib.suppress(OSError):  # a class folder without photos would be refused
            os.removedirs((root / path).parent)
    except OSError as error:
        raise UserError(
            f"{printable(root / path)} cannot be moved ({error.strerror}); those before it were, "
            "and can be taken back."
        ) from error
