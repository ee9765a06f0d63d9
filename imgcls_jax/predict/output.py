"""Predictions written as they come: a table for people, CSV or JSON for programs."""

import contextlib
import csv
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

import numpy as np

from imgcls_jax.errors import printable
from imgcls_jax.files import replacing
from imgcls_jax.predict.predictor import Prediction
from imgcls_jax.report.lettering import pad, shorten, width

FORMATS = ("table", "csv", "json")

_FILE, _CLASS, _BAR = 48, 32, 20  # widest columns of the table
_DIGITS = 6  # of a probability in CSV and JSON


@contextlib.contextmanager
def open_report(
    form: str,
    path: str | os.PathLike | None,
    *,
    paths: Sequence[str],
    class_names: Sequence[str],
    top: int,
) -> Iterator[Callable[[Prediction], None]]:
    """Yields a function that writes one prediction.

    table: a line for each of the most probable classes, the name of the file on the first.
    csv: `file,class_1,probability_1,...`, one line per file.
    json: an array of {"file", "top": [{"class", "probability"}, ...]}.

    Args:
      form: one of `FORMATS`.
      path: file to write, whole or not at all; None writes to standard output.
      paths: of all files that may come, for the width of the table.
      class_names: C names.
      top: how many classes of each, at most C.

    Raises:
      UserError: the file cannot be written.
    """
    top = min(top, len(class_names))

    def ranked(prediction: Prediction) -> list[tuple[str, float]]:
        order = np.argsort(-prediction.probabilities, kind="stable")[:top]
        return [(class_names[c], float(prediction.probabilities[c])) for c in order]

    with _opened(path) as file:
        if form == "table":
            yield _table(file, ranked, paths, class_names)
        elif form == "csv":
            yield _csv(file, ranked, top)
        else:
            with _json(file, ranked) as write:
                yield write


def _table(file: TextIO, ranked, paths, class_names) -> Callable[[Prediction], None]:
    left = min(_FILE, max(width(printable(path)) for path in ("file", *paths)))
    middle = min(_CLASS, max(width(printable(name)) for name in ("class", *class_names)))
    print(f"{pad('file', left)}  {pad('class', middle)}  probability", file=file)

    def write(prediction: Prediction) -> None:
        name = shorten(printable(prediction.path), left, keep_end=True)
        for place, (class_name, probability) in enumerate(ranked(prediction)):
            label = pad(shorten(printable(class_name), middle), middle)
            bar = "█" * round(_BAR * probability)
            start = pad("" if place else name, left)
            print(f"{start}  {label}  {probability:11.4f}  {bar}".rstrip(), file=file)

    return write


def _csv(file: TextIO, ranked, top: int) -> Callable[[Prediction], None]:
    writer = csv.writer(file, lineterminator="\n")
    places = range(1, top + 1)
    writer.writerow(["file", *(f"{what}_{n}" for n in places for what in ("class", "probability"))])

    def write(prediction: Prediction) -> None:
        pairs = ((name, round(value, _DIGITS)) for name, value in ranked(prediction))
        writer.writerow([prediction.path, *(cell for pair in pairs for cell in pair)])

    return write


@contextlib.contextmanager
def _json(file: TextIO, ranked) -> Iterator[Callable[[Prediction], None]]:
    separator = "[\n"

    def write(prediction: Prediction) -> None:
        nonlocal separator
        top = [{"class": c, "probability": round(p, _DIGITS)} for c, p in ranked(prediction)]
        record: dict[str, Any] = {"file": prediction.path, "top": top}
        file.write(separator + json.dumps(record, ensure_ascii=False))
        separator = ",\n"

    yield write
    file.write("[]\n" if separator == "[\n" else "\n]\n")


@contextlib.contextmanager
def _opened(path: str | os.PathLike | None) -> Iterator[TextIO]:
    """Yields standard output, or a file that takes its name at the end."""
    if path is None:
        yield sys.stdout
        return
    # Names of files need not be text; in JSON this is the escape that means them.
    text = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
    advice = "free some space or give another file"
    with replacing(path, advice=advice) as partial, partial.open("w", **text) as file:
        yield file
