"""Digests of a prepared folder, by which what two programs prepared is compared."""

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_DIGITS = 12
_MOST = 200  # examples with digests of their own


def of_folder(folder: Path) -> dict[str, Any]:
    """Returns the digests of a prepared folder of array records.

    Returns:
      `description`: of features, names of classes, splits and counts. `examples`: split -> for each
      example, in the order of the records (TFDS orders by a digest of the builder's key), two
      digests in a string: of all features with decoded pixels, and of the images' encoded bytes.
      A split of more than 200 examples has two digests of all of them.
    """
    import tensorflow_datasets as tfds

    info = tfds.builder_from_directory(folder).info
    digest = hashlib.sha256()
    for path in sorted([folder / "features.json", *folder.glob("*.labels.txt")]):
        digest.update(path.read_bytes())
    digest.update(repr([(name, of.num_examples) for name, of in info.splits.items()]).encode())
    return {
        "description": digest.hexdigest()[:_DIGITS],
        "examples": {
            name: _few([_of_example(info.features, one) for one in _records(of.filepaths)])
            for name, of in info.splits.items()
        },
    }


def _few(found: list[str]) -> list[str]:
    """Returns the digests of the examples, or of a large split those of both columns."""
    if len(found) <= _MOST:
        return found
    columns = zip(*(one.split() for one in found), strict=True)
    joined = ["".join(column).encode() for column in columns]
    return [" ".join(hashlib.sha256(column).hexdigest()[:_DIGITS] for column in joined)]


def _records(paths: list[os.PathLike]) -> Iterator[bytes]:
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    with ArrayRecordDataSource([os.fspath(path) for path in paths]) as source:
        yield from source.__getitems__(range(len(source)))


def _of_example(features: Any, record: bytes) -> str:
    import tensorflow_datasets as tfds

    images = {name for name, of in features.items() if isinstance(of, tfds.features.Image)}
    skipped = {name: tfds.decode.SkipDecoding() for name in images}
    example = features.deserialize_example_np(record, decoders=skipped)
    content, encoded = hashlib.sha256(), hashlib.sha256()
    for name, value in sorted(example.items()):
        if name in images:
            encoded.update(value)
            value = np.asarray(Image.open(io.BytesIO(value)))
        value = np.asarray(value)
        data = repr(value.tolist()).encode() if value.dtype == object else value.tobytes()
        content.update(f"{name} {value.dtype} {value.shape} ".encode() + data)
    return f"{content.hexdigest()[:_DIGITS]} {encoded.hexdigest()[:_DIGITS]}"
