"""The findings as a table that a person edits, and the corrections that its actions ask for."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from imgcls_jax.data.photos.decode import printable
from imgcls_jax.data.photos.folders import Folder
from imgcls_jax.data.photos.inspected import (
    EXCLUDE,
    MOVE,
    Correction,
    corrected,
    digest,
    read_rows,
    write_rows,
)
from imgcls_jax.doctor import quality
from imgcls_jax.doctor.album import Album
from imgcls_jax.doctor.inspection import Inspection
from imgcls_jax.errors import UserError

TABLE = "findings.csv"
KINDS = ("label", "copy", "outlier", "blurred", "dark", "tiny", "unreadable")
_ORDER = {"all": 0, "train": 0, "validation": 1, "test": 2}  # whose copy is the one to leave out


class Finding(NamedTuple):
    """A line of the table.

    Attributes:
      action: what a person wants: "exclude", "move", or "" to leave the photo as it is.
      to: the class to move to.
      kind: one of KINDS.
      suggested: the action that would put it right, if any can be told.
      path: of the photo, relative to the data folder.
      split, label: where the photo is.
      score: how sure the finding is, or what was measured; see the kind.
      other: the photo that this is a copy of.
      digest: of the file that was looked at.
    """

    action: str
    to: str
    kind: str
    suggested: str
    path: str
    split: str
    label: str
    score: str
    other: str
    digest: str


def findings(album: Album, found: Inspection) -> list[Finding]:
    """Lists what was found, kind by kind and the surest first.

    The score of a label is its probability, of a copy the agreement, of an outlier
    the distance in deviations; of the others it is sharpness, brightness and pixels.
    """
    return [*_labels(album, found), *_copies(album, found), *_single(album, found)]


def chosen(album: Album, found: Inspection) -> dict[str, list[int]]:
    """Returns the photos of the kinds that are about a photo alone, the worst first, by kind."""
    sharp, bright, sides = found.quality
    tiny = quality.TINY * album.images.shape[1]
    limits = {
        "blurred": (sharp, quality.BLURRED),
        "dark": (bright, quality.DARK),
        "tiny": (sides, tiny),
    }
    kinds = {"outlier": found.far.tolist()}
    for kind, (values, limit) in limits.items():
        kinds[kind] = [index for index in values.argsort(kind="stable") if values[index] < limit]
    return kinds


def copy_and_original(album: Album, first: int, second: int) -> tuple[int, int]:
    """Returns which of two copies to leave out, the one to be evaluated on, and the other."""
    later = _ORDER[str(album.splits[second])] >= _ORDER[str(album.splits[first])]
    return (second, first) if later else (first, second)


def _labels(album: Album, found: Inspection) -> Iterator[Finding]:
    for index, likely, confidence in zip(*found.suspects, strict=True):
        to = album.class_names[likely]
        yield _of(album, index, "label", confidence, suggested=MOVE, to=to)


def _copies(album: Album, found: Inspection) -> Iterator[Finding]:
    pairs = found.compared.copies()
    for first, second, agreement in zip(pairs.first, pairs.second, pairs.agreements, strict=True):
        copy, original = copy_and_original(album, first, second)
        other = album.paths[original]
        yield _of(album, copy, "copy", agreement, suggested=EXCLUDE, other=other)


def _single(album: Album, found: Inspection) -> Iterator[Finding]:
    sharp, bright, sides = found.quality
    scores = {"outlier": found.distances, "blurred": sharp, "dark": bright, "tiny": sides}
    for kind, indices in chosen(album, found).items():
        for index in indices:
            yield _of(album, index, kind, scores[kind][index])
    split_of = {path: name for name, of in album.folder.splits.items() for path in of.paths}
    for path, reason in album.unreadable:
        seen = digest(album.root / path)
        where = (path, split_of[path], "", reason, "", seen)
        yield Finding("", "", "unreadable", EXCLUDE, *where)


def _of(
    album: Album,
    index: int,
    kind: str,
    score: float,
    *,
    suggested: str = "",
    to: str = "",
    other: str = "",
) -> Finding:
    path = album.paths[index]
    return Finding(
        action="",
        to=to,
        kind=kind,
        suggested=suggested,
        path=path,
        split=str(album.splits[index]),
        label=album.class_names[album.labels[index]],
        score=f"{score:.4g}",
        other=other,
        digest=digest(album.root / path),
    )


def require_unedited(folder: Path) -> None:
    """Raises UserError if a `findings.csv` is in the folder that a person has worked on."""
    file = folder / TABLE
    if file.exists() and any(row["action"].strip() for row in read_rows(file, ("action",))):
        raise UserError(
            f"{printable(file)} has actions that somebody wrote; apply them, or choose another "
            "folder to write to."
        )


def write(folder: Path, rows: Sequence[Finding]) -> Path:
    """Writes `findings.csv`; raises as `require_unedited`, or where it cannot be written."""
    require_unedited(folder)
    file = folder / TABLE
    write_rows(file, Finding._fields, [row._asdict() for row in rows])
    return file


def corrections(table: Path, folder: Folder) -> list[Correction]:
    """Returns the corrections that the actions of a table ask for, if all can be followed.

    Args:
      table: the CSV file.
      folder: the photos as they are, scanned.

    Raises:
      UserError: the table cannot be read, holds no action or one that cannot be followed, or names
        photos that are not there or have changed.
    """
    rows = read_rows(table, ("action", "to", "path", "digest"))
    asked = {}
    for row in rows:
        action = row["action"].strip().lower()
        if action and action != "keep":
            to = row["to"] if action == MOVE else ""
            asked[row["path"], action, to] = Correction(row["path"], action, to, row["digest"])
    found = list(asked.values())
    if not found:
        raise UserError(
            f"{printable(table)} asks for nothing; write {EXCLUDE} or {MOVE} into its column "
            "`action`."
        )
    corrected(folder, found)
    return found
