"""Readers of tables: labels beside photos, CSV or Parquet; photos in Parquet files; the Hub's."""

import contextlib
import functools
import json
import os
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
from fuzz.reader import Reader
from PIL import Image

from imgcls_jax.data.catalog.hf import columns, peek, repository
from imgcls_jax.data.photos import decode, label_table, labelled
from imgcls_jax.data.photos.parquet import ParquetPhotos

_PHOTOS = ("a.bmp", "b.bmp", "c.bmp")


def _photos(folder: Path) -> None:
    for name in _PHOTOS:
        Image.new("RGB", (2, 2)).save(folder / name)


_CSV = (
    "path,labels,split\na.bmp,dark|cat,train\nb.bmp,,test\nc.bmp,dark,train\n",
    'id,breed\na,pug\nb,"collie, long"\nc,pug\n',
    "image,dark,cat\na.bmp,1,0\nb.bmp,0,1\nc.bmp,1,1\n",
)


def _csv(text: str, folder: Path) -> None:
    _photos(folder)
    (folder / "labels.csv").write_text(text)


def _label_parquet(folder: Path) -> None:
    _photos(folder)
    table = pyarrow.table(
        {
            "path": list(_PHOTOS),
            "labels": [["dark"], ["a", "cat"], ["cat"]],
            "size": [1.0, None, 3.5],
        }
    )
    pyarrow.parquet.write_table(table, folder / "labels.parquet")


def _read_labels(folder: Path) -> None:
    (name,) = (one for one in os.listdir(folder) if one.startswith("labels."))
    table = label_table.read(folder / name)
    assert len(table.names) >= 2
    found = labelled.scan(folder, str(folder / name), several=True)
    assert sum(map(len, found.splits.values())) == len(_PHOTOS)


def _pictures(form: str, folder: Path) -> None:
    contents = []
    for number in range(3):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(folder / "photo.png")
        contents.append((folder / "photo.png").read_bytes())
        (folder / "photo.png").unlink()
    images = [{"bytes": content, "path": None} for content in contents]
    told = {"info": {"features": {"label": {"_type": "ClassLabel", "names": ["x", "y"]}}}}
    table = pyarrow.table({"image": images, "label": [0, 1, 0]})
    table = table.replace_schema_metadata({"huggingface": json.dumps(told)})
    pyarrow.parquet.write_table(table, folder / "a.parquet", compression=form, row_group_size=2)


def _read_pictures(folder: Path) -> None:
    path = folder / "a.parquet"
    schema = columns.read_schema(path)
    of = columns.find(schema, "hf:a/b")
    labels = columns.read_labels([path], of.label)
    columns.numbered({"train": labels}, of.class_names, "hf:a/b")
    labels = np.zeros(len(labels), np.int32)
    photos = ParquetPhotos("hf:a/b", (str(path),), of.image, np.arange(len(labels)), labels)
    for index in range(min(3, len(photos))):
        with contextlib.suppress(decode.BadImage):
            assert decode.decode(photos[index][0]).dtype == np.uint8


def _hub(folder: Path) -> None:
    _pictures("none", folder)
    (folder / "README.md").write_text(
        "---\nlicense: mit\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n"
        "    path: '*.parquet'\n---\n# A\n"
    )
    told = {"name": "a/b", "commit": "0" * 40, "card": {"license": "mit"}}
    told["files"] = [{"path": "a.parquet", "size": 1, "sha256": "0" * 64, "blob": "1"}]
    (folder / "first.json").write_text(json.dumps(told))


def _read_hub(folder: Path) -> None:
    source = repository.in_folder("a/b", folder)
    assert source.paths == ("a.parquet",)
    peeked = peek.read(source, "a.parquet", here=True)
    assert peeked is not None
    known = repository._read(folder / "first.json")
    assert known is None or isinstance(known.files, tuple)


READERS = (
    Reader(
        "label_csv",
        tuple(functools.partial(_csv, text) for text in _CSV),
        _read_labels,
        files=("labels.csv",),
    ),
    Reader("label_parquet", (_label_parquet,), _read_labels, files=("labels.parquet",)),
    Reader(
        "photo_parquet",
        tuple(functools.partial(_pictures, form) for form in ("none", "snappy", "zstd")),
        _read_pictures,
        found=(2201,),
    ),
    Reader("hub_records", (_hub,), _read_hub, files=("README.md", "first.json")),
)
