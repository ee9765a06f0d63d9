"""A table of labels beside photos, a CSV or Parquet file, a column of which names the photo.

    path,labels,split          path,dark,cat,split
    a.jpg,dark|cat,train       a.jpg,1,1,train
    b.jpg,,test                b.jpg,0,0,test

Beside the path there is one column of labels between `|` or `;`, or one column of 0 and 1 per
label; which columns these are, `label_columns` says. A column `split` may say which split a photo
is of, as folders do.
"""

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from imgcls_jax.data.photos import kinds, label_columns, listing
from imgcls_jax.errors import UserError, printable
from imgcls_jax.files import reading

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
      ignored: the columns that say nothing here.
    """

    path: Path
    names: tuple[str, ...]
    rows: tuple[Row, ...]
    has_splits: bool
    ignored: tuple[str, ...] = ()

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
    header, lines = _parquet_lines(path) if path.suffix.lower() == ".parquet" else _lines(path)
    columns = [listing.class_name(name) if name.strip() else "" for name in header]
    _check_header(path, header, columns)
    at_path, of_labels, at_split = label_columns.find(columns, lines[0][1])
    if not of_labels:
        raise UserError(f"{printable(path)} has no column of labels; {_FORM}.")
    used = {at_path, at_split, *of_labels}
    ignored = [place for place in range(len(columns)) if place not in used]
    _check_names(path, columns, [place for place in used if place not in (None, at_path)])
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
        rows.append(Row(number, cells[at_path].strip().replace("\\", "/"), labels, split))
    found = {label for row in rows for label in row.labels}
    names = found if len(of_labels) == 1 else {columns[place] for place in of_labels}
    if len(names) < 2:
        which = f"the label {', '.join(names)} only" if names else "no label at all"
        raise UserError(f"{printable(path)} has {which}, and at least two are needed; add others.")
    unused = tuple(columns[place] or "without a name" for place in ignored)
    return Table(path, tuple(sorted(names)), tuple(rows), at_split is not None, unused)


def _lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Returns the header and the lines that are not empty, with their numbers."""
    try:
        text = reading.content(path).decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        lines = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except OSError as error:
        raise UserError(
            f"{printable(path)} cannot be read ({error.strerror}); give `label_file` a table."
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


def _parquet_lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Returns the names of the columns, and the rows as texts with their numbers from 1 on."""
    import pyarrow.parquet

    name = printable(path)
    if not path.is_file():
        raise UserError(f"{name} cannot be read (no such file); give `label_file` a table.")
    try:
        table = pyarrow.parquet.ParquetFile(path).read()
        columns = [column.to_pylist() for column in table.columns]
    except Exception as error:  # pyarrow's, of several kinds
        raise UserError(
            f"{name} is no Parquet file that can be read ({str(error).splitlines()[0]}); write it "
            "anew."
        ) from error
    if not len(table):
        raise UserError(f"{name} is empty; {_FORM}.")
    texts = []
    for column, values in zip(table.column_names, columns, strict=True):
        try:
            texts.append([_text(value) for value in values])
        except TypeError as error:
            raise UserError(
                f"{name} has the column {printable(column)} of {error}, where text or numbers are "
                "expected; leave it out."
            ) from error
    return table.column_names, list(enumerate(map(list, zip(*texts, strict=True)), 1))


def _text(value: object) -> str:
    """Returns a cell as a CSV file has it; TypeError for what such a file cannot hold."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool() | int():
            return str(int(value))
        case float():  # pandas makes floats of whole numbers where a cell is empty
            return str(int(value)) if value.is_integer() else "" if value != value else str(value)
        case list():
            return "|".join(map(_text, value))
    raise TypeError(type(value).__name__)


def _check_header(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    """Raises UserError for a first line that names no columns."""
    name = printable(path)
    if len(columns) == 1:
        for delimiter, words in _DELIMITERS.items():
            if delimiter in header[0]:
                raise UserError(
                    f"{name} has {words} between its columns; save it with commas in their place."
                )
        raise UserError(f"{name} has one column only; {_FORM}.")
    if photos := [column for column in columns if kinds.is_picture_name(column)]:
        raise UserError(f"{name} begins with a photo, {printable(photos[0])}; {_FORM}.")


def _check_names(path: Path, columns: Sequence[str], used: Sequence[int]) -> None:
    """Raises UserError for columns in use that have no name, or one name."""
    name = printable(path)
    columns = [columns[place] for place in sorted(used)]
    if "" in columns:
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
