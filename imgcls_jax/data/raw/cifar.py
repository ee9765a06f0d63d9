"""The batch files of CIFAR-10 in both published layouts, checked before they are believed.

Format: https://www.cs.toronto.edu/~kriz/cifar.html. Binary: records of one label byte and 3072
pixel bytes, a red, a green and a blue plane of 32 rows. Python: a pickled dict whose "data" (N,
3072) has those pixels, whose "labels" is a list and whose "batch_label" says which batch it is.
"""

import hashlib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from imgcls_jax.data.raw import layouts, pickles, tar
from imgcls_jax.data.raw.layouts import AGAIN, Layout
from imgcls_jax.errors import UserError

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = ("test_batch",)
PIXELS = 3 * 32 * 32
BINARY = Layout(
    files=(*(f"{batch}.bin" for batch in TRAIN + TEST), "batches.meta.txt"),
    called="the six binary batches with batches.meta.txt",
    folder="cifar-10-batches-bin",
    elsewhere=("cifar-10-batches-bin/cifar-10-batches-bin",),
    archive="cifar-10-binary.tar.gz",
)
PYTHON = Layout(
    files=(*TRAIN, *TEST, "batches.meta"),
    called="the six pickled batches with batches.meta",
    folder="cifar-10-batches-py",
    elsewhere=(
        "cifar-10-batches-py/cifar-10-batches-py",
        "cifar-10-batches-py-target/cifar-10-batches-py",  # Keras 3
        "cifar-10-python/cifar-10-batches-py",
    ),
    archive="cifar-10-python.tar.gz",
)
LAYOUTS = (BINARY, PYTHON)
_BATCH_LABELS = {batch: f"training batch {number} of 5" for number, batch in enumerate(TRAIN, 1)}
_BATCH_LABELS["test_batch"] = "testing batch 1 of 1"


class _File(NamedTuple):
    """A file as read; `where` is how error messages call it."""

    where: str
    data: bytes


def read(
    paths: Mapping[str, Path], *, batch_size: int, labels_sha1: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """Reads each batch's records, uint8 (N, 3073): the label, then pixels as in the binary layout.

    Args:
      paths: of all files of one of LAYOUTS by official name, or of one archive of either.
      batch_size: the N that every batch must have.
      labels_sha1: of the N label bytes of each published batch, to know it under another's name.

    Raises:
      UserError: a file is unreadable, truncated or damaged, not of CIFAR-10 or not the batch its
        name says, or an archive or a pickle is not safe to read.
    """
    layout, files = _files(paths, limit=2 * batch_size * (1 + PIXELS) + 2**20)
    *names, meta = layout.files
    class_names = _text_names if layout is BINARY else _pickled_names
    if (found := class_names(files[meta])) != CLASS_NAMES:
        raise UserError(
            f"{files[meta].where} names the classes {', '.join(found)[:100]!r} where "
            "CIFAR-10's are expected: point `raw_dir` at CIFAR-10."
        )
    decode = _binary_records if layout is BINARY else _pickled_records
    records, where = {}, {}
    for batch, name in zip(TRAIN + TEST, names, strict=True):
        where[batch] = files[name].where
        records[batch] = decode(files[name], batch, batch_size)
    _check_names(records, where, labels_sha1)
    return records


def _files(paths: Mapping[str, Path], *, limit: int) -> tuple[Layout, dict[str, _File]]:
    """Returns the layout of `paths` and its files, none unpacked beyond `limit` bytes."""
    for layout in LAYOUTS:
        if paths.keys() == set(layout.files):
            return layout, {
                name: _File(str(path), layouts.read(path, limit=limit))
                for name, path in paths.items()
            }
    (archive,) = paths.values()
    members = {f"{layout.folder}/{name}": limit for layout in LAYOUTS for name in layout.files}
    contents = tar.read(archive, limits=members)
    found = [
        {name: contents.get(f"{layout.folder}/{name}") for name in layout.files}
        for layout in LAYOUTS
    ]
    for layout, files in zip(LAYOUTS, found, strict=True):
        if None not in files.values():
            return layout, {n: _File(f"{archive} ({n})", data) for n, data in files.items()}
    raise UserError(f"{archive} lacks {', '.join(layouts.missing(found))}: {AGAIN}.")


def _text_names(file: _File) -> tuple[str, ...]:
    return tuple(file.data.decode("latin1").split())


def _pickled_names(file: _File) -> tuple[str, ...]:
    names = pickles.load(file.data, where=file.where).get("label_names")
    return tuple(map(_text, names)) if isinstance(names, list) else ()


def _text(value: Any) -> str:
    """Returns a text that may have been saved again as bytes; "" for anything else."""
    value = value.decode("latin1") if isinstance(value, bytes) else value
    return value if isinstance(value, str) else ""


def _binary_records(file: _File, batch: str, batch_size: int) -> np.ndarray:
    expected = batch_size * (1 + PIXELS)
    if len(file.data) != expected:
        raise UserError(
            f"{file.where} {'is truncated' if len(file.data) < expected else 'is too large'} (it "
            f"has {len(file.data)} bytes where {batch_size} records have {expected}): {AGAIN}."
        )
    records = np.frombuffer(file.data, np.uint8).reshape(batch_size, 1 + PIXELS)
    _check_labels(file, records[:, 0].tolist())
    return records


def _pickled_records(file: _File, batch: str, batch_size: int) -> np.ndarray:
    content = pickles.load(file.data, where=file.where)
    pixels, labels, name = (content.get(key) for key in ("data", "labels", "batch_label"))
    if getattr(pixels, "shape", None) != (batch_size, PIXELS) or (
        not isinstance(labels, list) or [type(label) for label in labels] != batch_size * [int]
    ):
        raise UserError(
            f"{file.where} does not hold {batch_size} images of {PIXELS} bytes as 'data' with a "
            f"list of as many 'labels': {AGAIN}."
        )
    if _text(name) not in ("", _BATCH_LABELS[batch]):
        raise UserError(
            f"{file.where} calls itself {_text(name)[:100]!r} where {_BATCH_LABELS[batch]!r} is "
            "expected: give each file its own name."
        )
    _check_labels(file, labels)
    return np.concatenate([np.array(labels, np.uint8)[:, None], pixels], axis=1)


def _check_labels(file: _File, labels: list[int]) -> None:
    if wrong := {min(labels), max(labels)} - set(range(len(CLASS_NAMES))):
        raise UserError(
            f"{file.where} has the label {wrong.pop()} where 0..{len(CLASS_NAMES) - 1} are "
            f"expected: {AGAIN}."
        )


def _check_names(
    records: Mapping[str, np.ndarray], where: Mapping[str, str], labels_sha1: Mapping[str, str]
) -> None:
    """Raises UserError for a batch that is another published one, or a copy of another."""
    published = {sha1: batch for batch, sha1 in labels_sha1.items()}
    for batch, rows in records.items():
        labels = hashlib.sha1(rows[:, 0].tobytes(), usedforsecurity=False).hexdigest()
        if (other := published.get(labels, batch)) != batch:
            raise UserError(
                f"{where[batch]} holds the labels of {other}: give each file its own name, or "
                f"{AGAIN}."
            )
    for a, b in itertools.combinations(records, 2):
        # The labels first: they tell almost always, and at once.
        if np.array_equal(records[a][:, 0], records[b][:, 0]) and np.array_equal(
            records[a], records[b]
        ):
            raise UserError(f"{where[b]} is a copy of {where[a]}: {AGAIN}.")
