"""Predictions written as they come: a table for people, CSV or JSON for programs."""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

import numpy as np

from imgcls_jax.errors import printable
from imgcls_jax.files import csv_text, replacing
from imgcls_jax.predict.judge import NOTHING, UNKNOWN, Asked, Judgement
from imgcls_jax.predict.predictor import Prediction
from imgcls_jax.report.lettering import pad, shorten, width

FORMATS = ("table", "csv", "json")

_FILE, _CLASS, _BAR = 48, 32, 20  # widest columns of the table
_NONE = "-"  # in place of the class of a picture that has no label
_DIGITS = 6  # of a probability in CSV and JSON

_Write = Callable[[Prediction, dict[str, Any]], None]  # of a prediction and what is said of it


@contextlib.contextmanager
def open_report(
    form: str,
    path: str | os.PathLike | None,
    *,
    paths: Sequence[str],
    class_names: Sequence[str],
    top: int,
    judge: Callable[[Prediction], Judgement] | None = None,
    asked: Asked = NOTHING,
) -> Iterator[Callable[[Prediction], Judgement | None]]:
    """Yields a function that writes one prediction, and returns what it was judged to be.

    table: a line for each of the most probable classes, the name of the file on the first; where a
      set was asked for, for each class of the set.
    csv: `file,class_1,probability_1,...`, one line per file, by `files.csv_text`.
    json: an array of {"file", "top": [{"class", "probability"}, ...]}.

    Where a decision was asked for, each file has a `decision`, the class or "unknown" (in JSON
    null), and where a set was asked for a `set` of classes, in CSV between bars. A network of
    several labels per picture has its `labels` there, as the set.

    Args:
      form: one of `FORMATS`.
      path: file to write, whole or not at all; None writes to standard output.
      paths: of all files that may come, for the width of the table.
      class_names: C names.
      top: how many classes of each, at most C.
      judge: what says more of a prediction than its probabilities, see `judge.make_judge`.
      asked: what it was asked.

    Raises:
      UserError: the file cannot be written.
    """
    top = min(top, len(class_names))

    def ranked(prediction: Prediction, count: int = top) -> list[tuple[str, float]]:
        order = np.argsort(-prediction.probabilities, kind="stable")[:count]
        return [(class_names[c], float(prediction.probabilities[c])) for c in order]

    def judged(write: _Write) -> Callable[[Prediction], Judgement | None]:
        def judge_and_write(prediction: Prediction) -> Judgement | None:
            judgement, said = None if judge is None else judge(prediction), {}
            if asked.decides:
                decision = judgement.decision
                said["decision"] = None if decision is None else class_names[decision]
            if asked.listed:
                said[asked.listed] = [class_names[c] for c in judgement.chosen]
            write(prediction, said)
            return judgement

        return judge_and_write

    with _opened(path) as file:
        if form == "table":
            yield judged(_table(file, ranked, paths, class_names, asked))
        elif form == "csv":
            yield judged(_csv(file, ranked, top, asked))
        else:
            with _json(file, ranked) as write:
                yield judged(write)


def _table(file: TextIO, ranked, paths, class_names, asked: Asked) -> _Write:
    left = min(_FILE, max(width(printable(path)) for path in ("file", *paths)))
    names = ("class", *class_names)
    middle = min(_CLASS, max(width(printable(name)) for name in names))
    first = min(_CLASS, max(width(printable(name)) for name in ("decision", *names)))
    header = [pad("file", left), *([pad("decision", first)] if asked.decides else [])]
    print("  ".join([*header, pad("class", middle), "probability"]), file=file)

    def write(prediction: Prediction, found: dict[str, Any]) -> None:
        cells = [pad(shorten(printable(prediction.path), left, keep_end=True), left)]
        if asked.decides:
            cells.append(pad(shorten(printable(found["decision"] or UNKNOWN), first), first))
        shown = ranked(prediction)
        if asked.listed:
            of = dict(ranked(prediction, len(class_names)))
            shown = [(name, of[name]) for name in found[asked.listed]]
        if not shown:
            print("  ".join([*cells, _NONE]), file=file)
        for place, (class_name, probability) in enumerate(shown):
            start = [" " * width(cell) for cell in cells] if place else cells
            label = pad(shorten(printable(class_name), middle), middle)
            bar = "█" * round(_BAR * probability)
            print("  ".join([*start, label, f"{probability:11.4f}", bar]).rstrip(), file=file)

    return write


def _csv(file: TextIO, ranked, top: int, asked: Asked) -> _Write:
    places = range(1, top + 1)
    more = ["decision"] * asked.decides + [asked.listed] * bool(asked.listed)
    columns = (f"{what}_{n}" for n in places for what in ("class", "probability"))
    file.write(csv_text([["file", *more, *columns]]))

    def write(prediction: Prediction, found: dict[str, Any]) -> None:
        said = [found["decision"] or UNKNOWN] if "decision" in found else []
        said += [" | ".join(found[asked.listed])] if asked.listed else []
        pairs = ((name, round(value, _DIGITS)) for name, value in ranked(prediction))
        row = [prediction.path, *said, *(cell for pair in pairs for cell in pair)]
        file.write(csv_text([row]))

    return write


@contextlib.contextmanager
def _json(file: TextIO, ranked) -> Iterator[_Write]:
    separator = "[\n"

    def write(prediction: Prediction, found: dict[str, Any]) -> None:
        nonlocal separator
        top = [{"class": c, "probability": round(p, _DIGITS)} for c, p in ranked(prediction)]
        record: dict[str, Any] = {"file": prediction.path, **found, "top": top}
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
    with replacing(path, advice="give another file") as partial, partial.open("w", **text) as file:
        yield file
