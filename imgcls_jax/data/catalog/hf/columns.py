"""Which columns of a Parquet file are the images and the labels, and what the labels mean.

The library `datasets` writes its features into the schema, under the key `huggingface`: a column of
the type ClassLabel has the names of the classes there.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from imgcls_jax.data.catalog.route import one_line
from imgcls_jax.errors import UserError, printable
from imgcls_jax.files.reading import require_regular

IMAGE_NAMES = ("image", "img")
LABEL_NAMES = ("label", "labels", "fine_label", "class", "target", "category")
UNLABELLED = -1  # what `datasets` writes where a label is not published


class Columns(NamedTuple):
    """The columns of a data set.

    Attributes:
      image, label: their names.
      class_names: in the order of the labels; None where the labels themselves are the names.
      others: columns that might have been the labels.
    """

    image: str
    label: str
    class_names: tuple[str, ...] | None
    others: tuple[str, ...]


def find(schema: Any, of: str) -> Columns:
    """Finds the columns of images and labels in the schema of a file.

    Args:
      schema: pyarrow's.
      of: what the data set is called in messages.

    Raises:
      UserError: there is none of either, or several that might be.
    """
    features = _features(schema)
    images = [field.name for field in schema if _holds_files(field.type)]
    image = _one(images, IMAGE_NAMES)
    classes = {
        name: tuple(map(str, feature["names"]))
        for name, feature in features.items()
        if feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list)
    }
    possible = [field.name for field in schema if _holds_labels(field.type)]
    named = [name for name in possible if name in classes]
    # Of a number or a text without names of classes, the column's name alone says what it is.
    called = [name for name in possible if name.casefold() in LABEL_NAMES]
    label = _one(named or called, LABEL_NAMES)
    if image is None or label is None:
        missing = "images" if image is None else "labels"
        found = images if image is None else named
        which = f"{len(found)} columns that may be the {missing}" if found else f"no {missing}"
        listed = ", ".join(f"{printable(field.name)} ({_kind(field.type)})" for field in schema)
        raise UserError(
            f"{printable(of)} has {which} among its columns {listed}; a data set is needed with "
            "one column of image files (a struct with bytes) and one of class numbers or names, "
            f"called {', '.join(LABEL_NAMES[:-1])} or {LABEL_NAMES[-1]}."
        )
    others = tuple(name for name in named if name != label)
    return Columns(image, label, classes.get(label), others)


def read_schema(path: str | Path) -> Any:
    """Returns pyarrow's schema of a Parquet file; raises UserError where it is no such file."""
    import pyarrow.parquet

    try:
        require_regular(path)
        schema = pyarrow.parquet.read_schema(path)
        if not schema.names:  # which are read as text here
            raise ValueError("it has no columns")
        return schema
    except Exception as error:  # pyarrow's, of several kinds
        raise UserError(
            f"{printable(path)} is no Parquet file that can be read ({one_line(error)}); fetch it "
            "again."
        ) from error


def read_labels(files: Sequence[str | Path], column: str) -> np.ndarray:
    """Reads the labels in some files, (N,) int64 or of text as objects.

    Raises:
      UserError: a file cannot be read or lacks the column, or a row has no label.
    """
    import pyarrow.parquet

    parts = []
    for path in files:
        try:
            require_regular(path)
            table = pyarrow.parquet.read_table(path, columns=[column], partitioning=None)
            values = table.column(column)
            labels = values.to_pylist()
        except Exception as error:  # pyarrow's, of several kinds
            raise UserError(
                f"the column {printable(column)} of {printable(path)} cannot be read "
                f"({one_line(error)}); fetch the file again."
            ) from error
        if values.null_count:
            row = labels.index(None)
            raise UserError(
                f"row {row:,} of {printable(path)} has no {printable(column)}; label it, or leave "
                "it out of the data set."
            )
        whole = not labels or not isinstance(labels[0], str)
        parts.append(np.array(labels, np.int64 if whole else object))
    return np.concatenate(parts)


def numbered(
    labels: dict[str, np.ndarray], class_names: tuple[str, ...] | None, of: str
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Returns the labels (N,) of each split as int32 class numbers, and the names of the classes.

    Without given names the classes are what all splits hold, sorted. Where there are names, the
    label -1 is that of a row whose class is not published, and stays.

    Raises:
      UserError: a split has a label that is no class, or there are fewer than two classes.
    """
    if class_names is None:
        values = sorted({value for of_split in labels.values() for value in of_split.tolist()})
        names = tuple(printable(str(value)) for value in values)
    else:
        names, values = class_names, range(len(class_names))
    number = {value: position for position, value in enumerate(values)}
    if class_names is not None:
        number[UNLABELLED] = UNLABELLED
    if len(names) < 2:
        raise UserError(
            f"{printable(of)} has {len(names)} class{'es' * (len(names) != 1)} only, and at least "
            "two are needed; choose another data set."
        )
    found = {}
    for split, of_split in labels.items():
        unknown = sorted(set(of_split.tolist()) - set(number))
        if unknown:
            raise UserError(
                f"{printable(of)} has the label {printable(str(unknown[0]))} in its {split} split "
                f"and {len(names)} names of classes; choose other splits or another data set."
            )
        found[split] = np.array([number[value] for value in of_split.tolist()], np.int32)
    return found, names


def _features(schema: Any) -> dict[str, dict[str, Any]]:
    try:
        told = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: feature for name, feature in told.items() if isinstance(feature, dict)}
    except (KeyError, ValueError, TypeError, AttributeError):  # written by other hands
        return {}


def _holds_files(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_struct(kind):
        inner = {field.name: field.type for field in kind}
        return "bytes" in inner and _is_bytes(inner["bytes"])
    return _is_bytes(kind)


def _is_bytes(kind: Any) -> bool:
    import pyarrow.types as types

    return types.is_binary(kind) or types.is_large_binary(kind)


def _holds_labels(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_dictionary(kind):
        kind = kind.value_type
    holds = (types.is_integer, types.is_boolean, types.is_string, types.is_large_string)
    return any(check(kind) for check in holds)


def _kind(kind: Any) -> str:
    text = str(kind)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _one(found: Sequence[str], preferred: Sequence[str]) -> str | None:
    """Returns the only name, else the first of the preferred ones that is there; None for none."""
    if len(found) == 1:
        return found[0]
    lowered = {name.casefold(): name for name in reversed(found)}
    return next((lowered[name] for name in preferred if name in lowered), None)
