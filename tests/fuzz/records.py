"""Readers of prepared TFDS folders, their records, and the arrays kept beside them."""

import functools
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from fuzz.reader import Reader
from PIL import Image

from imgcls_jax.data.catalog import decoded
from imgcls_jax.data.catalog.folders import (
    example_proto,
    folder_info,
    kept,
    shards,
    small,
)
from imgcls_jax.data.catalog.preparing import extraction
from imgcls_jax.data.dataset import Split
from imgcls_jax.data.photos.options import SmallOptions

_COUNT = 3
_SHAPE = (4, 3, 3)
_PIXELS = np.random.default_rng(0).integers(0, 256, (_COUNT, *_SHAPE), np.uint8)
_TFDS = "tensorflow_datasets.core.features"
_FEATURES = {
    "pythonClassName": f"{_TFDS}.features_dict.FeaturesDict",
    "featuresDict": {
        "features": {
            "image": {
                "pythonClassName": f"{_TFDS}.image_feature.Image",
                "image": {
                    "shape": {"dimensions": [str(side) for side in _SHAPE]},
                    "dtype": "uint8",
                    "encodingFormat": "png",
                },
            },
            "label": {
                "pythonClassName": f"{_TFDS}.class_label_feature.ClassLabel",
                "classLabel": {"numClasses": "3"},
            },
        }
    },
}


def _records() -> list[bytes]:
    made = []
    for label, pixels in enumerate(_PIXELS):
        file, example = io.BytesIO(), example_proto._example()()
        Image.fromarray(pixels).save(file, "PNG")
        feature = example.features.feature
        feature["image"].bytes_list.value.append(file.getvalue())
        feature["label"].int64_list.value.append(label)
        made.append(example.SerializeToString(deterministic=True))
    return made


def _array_records(path: Path) -> None:
    from array_record.python import array_record_module

    writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
    for record in _records():
        writer.write(record)
    writer.close()


def _tfrecords(path: Path) -> None:
    from prepared_helpers import framed

    path.write_bytes(b"".join(map(framed, _records())))


_WRITERS = {"array_record": _array_records, "tfrecord": _tfrecords}


def _prepared(kind: str, folder: Path) -> None:
    told = {
        "name": "tiny",
        "version": "1.0.0",
        "fileFormat": kind,
        "supervisedKeys": {"tuple": {"items": [{"featureKey": "image"}, {"featureKey": "label"}]}},
        "splits": [{"name": "train", "shardLengths": [str(_COUNT)], "numBytes": "1"}],
        "location": {"urls": ["https://tiny.example/"]},
        "downloadSize": "10",
    }
    inner = folder / "tiny" / "1.0.0"
    inner.mkdir(parents=True)
    (inner / "dataset_info.json").write_text(json.dumps(told))
    (inner / "features.json").write_text(json.dumps(_FEATURES))
    (inner / "label.labels.txt").write_text("ant\nbee\ncow\n")
    _WRITERS[kind](inner / f"tiny-train.{kind}-00000-of-00001")


def _read_info(folder: Path) -> None:
    info = folder_info.read(folder / "tiny" / "1.0.0")
    described = info.description
    # What is said is repeated; the records are counted when they are read.
    (split,) = json.loads((info.path / "dataset_info.json").read_text())["splits"]
    assert described.counts == {split["name"]: sum(map(int, split["shardLengths"]))}
    assert isinstance(str(described), str)


def _read_records(folder: Path) -> None:
    info = folder_info.read(folder / "tiny" / "1.0.0")
    every = shards.Shards(info, "train")
    found = list(every.all())
    assert len(found) == _COUNT
    assert all(isinstance(content, bytes) for content, _ in found)
    every[_COUNT - 1]


def _read_small(folder: Path) -> None:
    info = folder_info.read(folder / "tiny" / "1.0.0")
    options = SmallOptions(train_split="train[:2]", test_split="train[2:]")
    found = small.load(info, options)
    assert found.train.images.shape == (2, *info.features.image_shape)
    assert found.test.labels.max() < 3


def _kept(folder: Path) -> None:
    kept.write(folder / "kept.npz", {"images": _PIXELS, "labels": np.arange(3)}, of="this")


def _read_kept(folder: Path) -> None:
    found = kept.read(folder / "kept.npz", of="this")
    if found is not None:
        np.testing.assert_array_equal(found["images"], _PIXELS)


def _decoded(folder: Path) -> None:
    split = Split(_PIXELS, np.arange(3, dtype=np.int32))
    decoded.write(folder / "a.npz", {"train": split, "test": split}, of="this", differing=())


def _read_decoded(folder: Path) -> None:
    found = decoded.read(folder / "a.npz", of="this")
    if found is not None:
        np.testing.assert_array_equal(found[0]["test"].images, _PIXELS)


def _archives(folder: Path) -> None:
    content = b"content" * 40
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("inner/a"), content)
        archive.writestr(zipfile.ZipInfo("inner/b"), content, zipfile.ZIP_LZMA)
    for suffix in ("gz", "bz2", "xz"):
        with tarfile.open(folder / f"a.tar.{suffix}", f"w:{suffix}") as archive:
            info = tarfile.TarInfo("inner/a")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def _read_archives(folder: Path) -> None:
    for path in sorted(folder.glob("a.*")):
        read = extraction._reader(extraction._zip if path.suffix == ".zip" else extraction._tar)
        for name, file in read(path):
            assert not name.startswith(("/", ".."))
            assert len(file.read()) < 2**27


READERS = (
    Reader(
        "tfds_folder",
        tuple(functools.partial(_prepared, kind) for kind in _WRITERS),
        _read_info,
        files=("**/*.json", "**/*.txt"),
        found=(2094, 4443),
    ),
    *(
        Reader(
            kind, (functools.partial(_prepared, kind),), _read_records, files=(f"**/*.{kind}-*",)
        )
        for kind in _WRITERS
    ),
    Reader(
        "tfds_images",
        tuple(functools.partial(_prepared, kind) for kind in _WRITERS),
        _read_small,
        found=(628, 2927),
        leaves=True,
    ),
    Reader("kept_npz", (_kept,), _read_kept, files=("*.npz",)),
    Reader("decoded_npz", (_decoded,), _read_decoded),
    Reader("archives", (_archives,), _read_archives, odd=False),
)
