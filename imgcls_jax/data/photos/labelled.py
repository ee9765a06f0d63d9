"""Photos labelled by a table beside them, see `label_table`, instead of by their folders."""

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from imgcls_jax.data.photos import folders, kinds, label_table, split_names
from imgcls_jax.data.photos.folders import Files, Folder
from imgcls_jax.data.photos.label_table import Row, Table
from imgcls_jax.data.photos.split_names import EVALUATION, TEST, TRAIN, VALIDATION
from imgcls_jax.errors import UserError, printable
from imgcls_jax.files import local_path

_ALL = "all"


def scan(path: str | os.PathLike, label_file: str, *, several: bool | None) -> Folder:
    """Finds the images anywhere below `path`, with the labels that a table gives them.

    Paths in the table are relative to its own folder or to `path`: whichever holds more of them.

    Args:
      label_file: the table, or its name in the folder of the photos.
      several: whether a photo may have any number of labels, which become int32 (N, K) of 0 and 1;
        otherwise each has one. None: as the table has them.

    Raises:
      UserError: there is no such folder; a table that cannot be read, rows without a photo, photos
        without a row or with two; not one label per photo where one is expected; splits that are
        not understood, or none to train on.
    """
    root = local_path(path, "data_dir")
    if not root.is_dir():
        raise UserError(
            f"there is no folder {printable(root)}; give `data_dir` that of the photos."
        )
    table = label_table.read(label_table.find(label_file, root))
    ignored: Counter = Counter(
        f"column of {printable(table.path.name)} ({column})" for column in table.ignored
    )
    # macOS decomposes accents in names, other systems do not.
    photos = {_composed(photo): photo for photo in folders.images_below(root, ignored)}
    rows = _rows_by_photo(table, root, photos)
    several = table.several if several is None else several
    if not several:
        _require_one_label(table)
    splits = _split_of(table)
    by_split = defaultdict(list)
    for photo, row in sorted(rows.items()):
        by_split[splits[row.split]].append((photo, row.labels))
    if table.has_splits and TRAIN not in by_split:
        raise UserError(
            f"no row of {printable(table.path)} is of the train split; write train into the "
            "column split of the photos to train on."
        )
    kept = (_ALL, TRAIN, VALIDATION, TEST)
    files = {
        split: _files(by_split[split], table.names, several=several)
        for split in kept
        if split in by_split
    }
    return Folder(root, table.names, files, dict(ignored), labelled_by=table.path)


def require_trained(folder: Folder) -> None:
    """Raises UserError for a label that no training photo has."""
    if folder.labelled_by is None:
        return
    for name, count in zip(folder.class_names, folder.counts()["train"], strict=True):
        if not count:
            raise UserError(
                f"no training photo has the label {name} of {printable(folder.labelled_by)}; add "
                "some, remove the label, or divide the photos by another `split_seed`."
            )


def _composed(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def _rows_by_photo(table: Table, root: Path, photos: Mapping[str, str]) -> dict[str, Row]:
    """Maps photos, relative to the root, to their rows: each photo has one, each row is of one.

    Args:
      photos: paths relative to the root, by the same with composed accents.
    """
    name = printable(table.path)
    top = root.resolve()
    bases = (table.path.resolve().parent, top)

    known = _Names(photos)

    def photo_of(row: Row, base: Path) -> str | None:
        return known.find(row.path, os.path.relpath(os.path.join(base, row.path), top))

    base = max(bases, key=lambda base: sum(photo_of(row, base) is not None for row in table.rows))
    found: dict[str, Row] = {}
    unknown, twice = [], []
    for row in table.rows:
        photo = photo_of(row, base)
        if photo is None:
            unknown.append(row)
        elif photo in found:
            twice.append((found[photo], row))
        else:
            found[photo] = row
    if unknown:
        raise UserError(
            f"{_rows(unknown)} of {name} name no photo in {printable(root)}, the first is "
            f"{printable(unknown[0].path) or 'empty'} in line {unknown[0].line}; correct or remove "
            "them."
        )
    if twice:
        first, second = twice[0]
        raise UserError(
            f"{name} has {_rows([row for _, row in twice])} of photos that have one already, the "
            f"first of {printable(second.path)} in lines {first.line} and {second.line}; keep one "
            "row per photo."
        )
    if without := sorted(set(photos.values()) - set(found)):
        have = "photo has" if len(without) == 1 else "photos have"
        raise UserError(
            f"{len(without):,} {have} no row in {name}, the first is {printable(without[0])}; add "
            "rows, or give as `data_dir` a folder of the photos that have them."
        )
    return found


class _Names:
    """The names by which a table may call photos, none of them two.

    Args:
      photos: paths relative to the root, by the same with composed accents.
    """

    def __init__(self, photos: Mapping[str, str]):
        self._paths = photos
        self._stems = _unique((os.path.splitext(path)[0], of) for path, of in photos.items())
        files = [(os.path.basename(path), of) for path, of in photos.items()]
        stems = [(os.path.splitext(name)[0], of) for name, of in files]
        self._files = _unique(files) | _unique(stems)

    def find(self, written: str, relative: str) -> str | None:
        """Returns a photo by its path, by that without its suffix, or by its name in any folder.

        Args:
          written: what the table has.
          relative: the path from the root that this means.
        """
        path, name = _composed(relative), _composed(written)
        if path in self._paths:
            return self._paths[path]
        if not kinds.is_picture_name(name) and path in self._stems:  # an id, as Kaggle's
            return self._stems[path]
        return None if "/" in name else self._files.get(name)


def _unique(named: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Returns the names that one photo alone has."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, photo in named:
        found[name].add(photo)
    return {name: photos.pop() for name, photos in found.items() if len(photos) == 1}


def _rows(rows: Sequence[Row]) -> str:
    return f"{len(rows):,} row{'s' * (len(rows) != 1)}"


def _require_one_label(table: Table) -> None:
    """Raises UserError for rows of several labels, or of none."""
    name = printable(table.path)
    if more := [row for row in table.rows if len(row.labels) > 1]:
        raise UserError(
            f"{_rows(more)} of {name} have several labels where one is expected, the first is "
            f"{printable(more[0].path)} in line {more[0].line}; give `head=multi_label`, or one "
            "label per photo."
        )
    if none := [row for row in table.rows if not row.labels]:
        raise UserError(
            f"{_rows(none)} of {name} have no label, the first is {printable(none[0].path)} in "
            f"line {none[0].line}; label them, or give `head=multi_label`, for which a photo may "
            "have none."
        )


def _split_of(table: Table) -> dict[str, str]:
    """Maps what the column `split` holds to splits."""
    if not table.has_splits:
        return {"": _ALL}
    first = {row.split: row for row in reversed(table.rows)}
    kinds = {spelled: split_names.read(spelled)[0] for spelled in first}
    for spelled, kind in kinds.items():
        if kind is None:
            raise UserError(
                f"line {first[spelled].line} of {printable(table.path)} has the split "
                f"{printable(spelled) or 'nothing'}; write train, validation or test."
            )
    free = VALIDATION if TEST in kinds.values() and VALIDATION not in kinds.values() else TEST
    return {spelled: free if kind == EVALUATION else kind for spelled, kind in kinds.items()}


def _files(
    labelled: Sequence[tuple[str, frozenset[str]]], names: Sequence[str], *, several: bool
) -> Files:
    """Returns photos in the order of their paths or, of one label each, by label before that."""
    label_of = {name: label for label, name in enumerate(names)}
    if not several:
        found = sorted((label_of[next(iter(labels))], path) for path, labels in labelled)
        return Files(tuple(path for _, path in found), np.array([n for n, _ in found], np.int32))
    labels = np.zeros((len(labelled), len(names)), np.int32)
    for row, (_, of) in zip(labels, labelled, strict=True):
        row[[label_of[name] for name in of]] = 1
    return Files(tuple(path for path, _ in labelled), labels)
