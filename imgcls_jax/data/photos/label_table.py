"""A table of labels beside photos: a CSV file whose first column names the photo.

    path,labels,split          path,dark,cat,split
    a.jpg,dark|cat,train       a.jpg,1,1,train
    b.jpg,,test                b.jpg,0,0,test

Behind the path comes one column of labels between `|` or `;`, or one column of 0 and 1 per label.
A column `split` may say which split a photo is of, as folders do.
"""

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from imgcls_jax.data.photos import kinds, listing
from imgcls_jax.errors import UserError, printable

_SPLIT = "split"
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_FORM = "write a header such as path,labels and a line for each photo, as in a.jpg,dark|cat"


class Row(NamedTuple):
    """A line of the table: its number in the file, and what it says of a photo."""

    line: int
    path: str
    labels: frozenset[str]
    split: str


class Table(NamedTuple):
    """A table of labels.

    Attributes:
      path: of the file.
      names: of all labels, sorted.
      rows: as they stand in the file.
      has_splits: whether the rows say which split they are of.
    """

    path: Path
    names: tuple[str, ...]
    rows: tuple[Row, ...]
    has_splits: bool

    @property
    def several(self) -> bool:
        """True where a photo has more than one label."""
        return any(len(row.labels) > 1 for row in self.rows)


def find(name: str | os.PathLike, folder: str | os.PathLike | None) -> Path:
    """Returns the file of that name, or the one in the folder of the photos where there is none."""
    path = Path(name).expanduser()
    beside = Path(folder or ".").expanduser() / path
    return beside if beside.is_file() and not path.is_file() else path


def read(path: Path) -> Table:
    """Reads a table of labels.

    Raises:
      UserError: the file cannot be read, is no table of this form, or has fewer than two labels.
    """
    header, lines = _lines(path)
    columns = [listing.class_name(name) if name.strip() else "" for name in header]
    named = [name.casefold() for name in columns]
    _check_header(path, header, columns)
    at_split = named.index(_SPLIT) if _SPLIT in named[1:] else None
    of_labels = [place for place in range(1, len(columns)) if place != at_split]
    if not of_labels:
        raise UserError(f"{printable(path)} has no column of labels; {_FORM}.")
    rows = []
    for number, cells in lines:
        if len(cells) != len(columns):
            raise UserError(
                f"line {number} of {printable(path)} has {len(cells)} cells and the header "
                f"{len(columns)}; write as many, and quote those that hold a comma."
            )
        if len(of_labels) == 1:
            labels = _between_bars(cells[of_labels[0]])
        else:
            marks = {columns[place]: cells[place] for place in of_labels}
            labels = _marked(marks, f"line {number} of {printable(path)}")
        split = "" if at_split is None else cells[at_split].strip()
        rows.append(Row(number, cells[0].strip().replace("\\", "/"), labels, split))
    found = {label for row in rows for label in row.labels}
    names = found if len(of_labels) == 1 else {columns[place] for place in of_labels}
    if len(names) < 2:
        which = f"the label {', '.join(names)} only" if names else "no label at all"
        raise UserError(f"{printable(path)} has {which}, and at least two are needed; add others.")
    return Table(path, tuple(sorted(names)), tuple(rows), at_split is not None)


def _lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Returns the header and the lines that are not empty, with their numbers."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        lines = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except OSError as error:
        raise UserError(
            f"{printable(path)} cannot be read ({error.strerror}); give `label_file` a CSV file."
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{printable(path)} is no text in UTF-8; save it as comma-separated values in UTF-8."
        ) from error
    except csv.Error as error:
        raise UserError(
            f"{printable(path)} is no CSV file ({error}); save it as comma-separated values."
        ) from error
    if not lines:
        raise UserError(f"{printable(path)} is empty; {_FORM}.")
    (_, header), *lines = lines
    if not lines:
        raise UserError(f"{printable(path)} has one line only; {_FORM}.")
    return header, lines


def _check_header(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    """Raises UserError for a first line that names no columns, or the same one twice."""
    name = printable(path)
    if len(columns) == 1:
        for delimiter, words in _DELIMITERS.items():
            if delimiter in header[0]:
                raise UserError(
                    f"{name} has {words} between its columns; save it with commas in their place."
                )
        raise UserError(f"{name} has one column only; {_FORM}.")
    if kinds.is_picture_name(columns[0]):
        raise UserError(f"{name} begins with a photo, {printable(columns[0])}; {_FORM}.")
    if "" in columns[1:]:
        raise UserError(f"{name} has a column without a name; name it or remove it.")
    if twice := [column for column, count in Counter(columns).items() if count > 1]:
        raise UserError(f"{name} has two columns {twice[0]}; keep one of them.")


def _between_bars(cell: str) -> frozenset[str]:
    parts = (part for part in re.split(r"[|;]", cell) if part.strip())
    return frozenset(map(listing.class_name, parts))


def _marked(marks: dict[str, str], where: str) -> frozenset[str]:
    """Returns the labels that are marked with 1, the others with 0."""
    for name, mark in marks.items():
        if mark.strip() not in ("0", "1"):
            raise UserError(
                f"{where} has {printable(mark.strip()) or 'nothing'} under {name}, where 0 or 1 is "
                "expected; write one of them, or all labels into one column with | between them."
            )
    return frozenset(name for name, mark in marks.items() if mark.strip() == "1")
