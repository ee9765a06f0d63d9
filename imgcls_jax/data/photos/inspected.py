"""The word of an inspection on a folder of photos: corrections to follow, copies to keep together.

    corrections.csv   path, action, to, digest: the photos to leave out, and those of another class
    copies.csv        path, group: every photo, near copies of each other with one number

Both are read from the folder that an inspection wrote, so that the photos stay as they are: without
that folder's name nothing is corrected.
"""

import csv
import dataclasses
import hashlib
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from imgcls_jax.data.photos.decode import printable
from imgcls_jax.data.photos.folders import Files, Folder
from imgcls_jax.errors import UserError
from imgcls_jax.files import guarded, replacing, unguarded
from imgcls_jax.files.reading import content, opened

CORRECTIONS, COPIES = "corrections.csv", "copies.csv"
EXCLUDE, MOVE = "exclude", "move"
_ADVICE = "inspect the photos again"


class Correction(NamedTuple):
    """What is to be done about a photo.

    Attributes:
      path: relative to the data folder.
      action: "exclude" or "move".
      to: the class to move to; "" where it is excluded.
      digest: of the file that was looked at, see `digest`.
    """

    path: str
    action: str
    to: str
    digest: str


def digest(path: str | os.PathLike) -> str:
    """Returns 16 hexadecimal digits of a file's SHA-256; "" where it cannot be read."""
    try:
        return hashlib.sha256(content(path)).hexdigest()[:16]
    except OSError:
        return ""


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Reads a CSV file with a header; columns beyond those needed are ignored.

    Raises:
      UserError: there is no such file, it is no CSV, or a column is missing.
    """
    try:
        with io.TextIOWrapper(opened(path), "utf-8-sig", "surrogateescape", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            header = reader.fieldnames or ()
            rows = list(reader)
    except (OSError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{printable(path)} cannot be read ({reason}); {_ADVICE}.") from error
    if missing := [name for name in columns if name not in header]:
        raise UserError(
            f"{printable(path)} has no column {' and no column '.join(missing)}; save it as comma-"
            "separated values with the header it was written with."
        )
    return [{name: unguarded(row[name] or "") for name in columns} for row in rows]


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """Writes a CSV file that `read_rows` reads and no spreadsheet runs, whole or not at all.

    Raises:
      UserError: it cannot be written.
    """
    with (
        replacing(path, advice="give a folder that can be written") as partial,
        partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(
            {name: guarded(of) if isinstance(of, str) else of for name, of in row.items()}
            for row in rows
        )


def write_corrections(inspected: Path, corrections: Sequence[Correction]) -> None:
    """Writes `corrections.csv` into the folder of an inspection."""
    rows = [correction._asdict() for correction in corrections]
    write_rows(inspected / CORRECTIONS, Correction._fields, rows)


def read_corrections(inspected: Path) -> list[Correction]:
    """Reads the corrections in the folder of an inspection; none where nothing was applied.

    Raises:
      UserError: there is no such folder, or the file cannot be read.
    """
    if not inspected.is_dir():
        raise UserError(
            f"there is no folder {printable(inspected)}; give `inspected` the folder that an "
            "inspection wrote."
        )
    if not (inspected / CORRECTIONS).exists():
        return []
    return [Correction(**row) for row in read_rows(inspected / CORRECTIONS, Correction._fields)]


def corrected(folder: Folder, corrections: Sequence[Correction]) -> Folder:
    """Returns the folder as corrected: photos left out, and photos with the label of another class.

    Raises:
      UserError: a photo is not there or is another one than was looked at, a class is unknown, or
        a class would have no training photo left.
    """
    actions = {correction.path: correction for correction in corrections}
    check(folder, corrections)
    label_of = {name: label for label, name in enumerate(folder.class_names)}
    splits = {}
    for split, files in folder.splits.items():
        found = []
        for path, label in zip(files.paths, files.labels.tolist(), strict=True):
            of = actions.get(path)
            if of is None or of.action == MOVE:
                found.append((label if of is None else label_of[of.to], path))
        found.sort()
        labels = np.array([label for label, _ in found], np.int32)
        splits[split] = Files(tuple(path for _, path in found), labels)
        missing = np.bincount(labels, minlength=len(folder.class_names)) == 0
        if (split in ("train", "all") and missing.any()) or not found:
            name = folder.class_names[missing.argmax()]
            raise UserError(
                f"the corrections leave no photo of {printable(name)} in the {split} split; take "
                "one of them back."
            )
    return dataclasses.replace(folder, splits=splits)


def check(folder: Folder, corrections: Sequence[Correction]) -> None:
    """Raises UserError where corrections are not for these photos as they are."""
    there = {path for files in folder.splits.values() for path in files.paths}
    where = printable(folder.path)
    for path, action, to, seen in corrections:
        if action not in (EXCLUDE, MOVE):
            raise UserError(
                f"`{printable(action)}` is nothing that can be done about {printable(path)}; write "
                f"{EXCLUDE} or {MOVE}, or leave it empty."
            )
        if path not in there:
            raise UserError(f"there is no photo {printable(path)} in {where}; {_ADVICE}.")
        if action == MOVE and to not in folder.class_names:
            raise UserError(
                f"{printable(path)} cannot move to {printable(to) or 'nothing'}, which is no class "
                f"of {where}; write the name of one."
            )
        if digest(folder.path / path) != seen:
            raise UserError(
                f"{printable(path)} in {where} is not the photo that was looked at, it has "
                f"changed since; {_ADVICE}."
            )
    several = Counter(correction.path for correction in corrections)
    if twice := [path for path, count in several.items() if count > 1]:
        raise UserError(
            f"two things are to be done about {printable(twice[0])}; keep one of its actions."
        )


def write_groups(inspected: Path, paths: Sequence[str], groups: np.ndarray) -> None:
    """Writes `copies.csv`: every photo's path and the number of its group (N,)."""
    rows = [
        {"path": path, "group": group} for path, group in zip(paths, groups.tolist(), strict=True)
    ]
    write_rows(inspected / COPIES, ("path", "group"), rows)


def read_groups(inspected: Path, folder: Folder) -> dict[str, int]:
    """Reads which photos are near copies of each other: path -> number of the group.

    Raises:
      UserError: the file cannot be read, or a photo of the folder is not in it.
    """
    file = inspected / COPIES
    try:
        groups = {row["path"]: int(row["group"]) for row in read_rows(file, ("path", "group"))}
    except ValueError as error:
        raise UserError(f"{printable(file)} has a group that is no number; {_ADVICE}.") from error
    paths = [path for files in folder.splits.values() for path in files.paths]
    if unknown := [path for path in paths if path not in groups]:
        raise UserError(
            f"{len(unknown):,} photos of {printable(folder.path)}, such as "
            f"{printable(unknown[0])}, are not in {printable(file)}; {_ADVICE}."
        )
    return {path: groups[path] for path in paths}
