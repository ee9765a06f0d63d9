"""Readers of raw files: IDX, CIFAR's batches and pickles, archives, tables of pixels."""

import functools
import gzip
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
from data_helpers import cifar_python, images_bytes, labels_bytes, python2_pickle
from fuzz.reader import Inside, Reader

from imgcls_jax.data.raw import cifar, pickles, pixel_table, tar
from imgcls_jax.data.raw.idx import read_idx_images, read_idx_labels

_SHAPE, _COUNT = (4, 3), 5
_IMAGES = np.random.default_rng(0).integers(0, 256, (_COUNT, *_SHAPE), np.uint8)
_LABELS = np.array([9, 0, 3, 2, 7])
_packed = functools.partial(gzip.compress, mtime=0)
_MEMBERS = {"folder/a": b"first" * 100, "folder/b": b"second"}


def _plain(content: bytes, folder: Path) -> None:
    (folder / "file").write_bytes(content)


def _gzipped(content: bytes, folder: Path) -> Inside:
    (folder / "file").write_bytes(_packed(content))
    return {"file": (content, _packed)}


def _both(content: bytes) -> tuple:
    return functools.partial(_plain, content), functools.partial(_gzipped, content)


def _read_images(folder: Path, count: int | None) -> None:
    images = read_idx_images(folder / "file", shape=_SHAPE, count=count)
    assert images.dtype == np.uint8
    assert images.shape == (count or len(images), *_SHAPE, 1)


def _read_labels(folder: Path) -> None:
    labels = read_idx_labels(folder / "file", count=_COUNT)
    assert labels.shape == (_COUNT,)
    assert labels.max() < 10


# CIFAR-10 in batches of one image each.

_ROWS = {
    name: (np.array([number], np.uint8), np.full((1, cifar.PIXELS), number, np.uint8))
    for number, name in enumerate((*cifar.TRAIN, *cifar.TEST))
}


def _cifar_files(layout: cifar.Layout) -> dict[str, bytes]:
    if layout is cifar.PYTHON:
        return cifar_python(_ROWS)
    records = {
        f"{name}.bin": bytes([label]) + row.tobytes() for name, ((label,), row) in _ROWS.items()
    }
    return records | {"batches.meta.txt": "\n".join(cifar.CLASS_NAMES).encode()}


def _cifar_folder(layout: cifar.Layout, folder: Path) -> None:
    for name, content in _cifar_files(layout).items():
        (folder / name).write_bytes(content)


def _cifar_archive(layout: cifar.Layout, folder: Path) -> Inside:
    members = {f"{layout.folder}/{name}": of for name, of in _cifar_files(layout).items()}
    content = _tar(members)
    (folder / "archive.tar.gz").write_bytes(_packed(content))
    return {"archive.tar.gz": (content, _packed)}


def _read_cifar(layout: cifar.Layout, folder: Path) -> None:
    paths = {name: folder / name for name in layout.files}
    if (folder / "archive.tar.gz").exists():
        paths = {layout.archive: folder / "archive.tar.gz"}
    for rows in cifar.read(paths, batch_size=1, labels_sha1={}).values():
        assert rows.shape == (1, 1 + cifar.PIXELS)
        assert rows[0, 0] < 10


def _tar(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def _read_tar(folder: Path) -> None:
    found = tar.read(folder / "file", limits=dict.fromkeys(_MEMBERS, 1000))
    assert set(found) <= set(_MEMBERS)
    assert all(len(content) <= 1000 for content in found.values())


def _read_pickle(folder: Path) -> None:
    content = (folder / "file").read_bytes()
    assert isinstance(pickles.load(content, where="the file"), dict)


_PICKLED = {"data": _IMAGES.reshape(_COUNT, -1), "labels": [9, 0, 255], "batch_label": "a"}


def _read_table(folder: Path) -> None:
    of = {"shape": (2, 2), "num_classes": 10, "count": 3}
    images, labels = pixel_table.read_pixels(folder / "file", **of)
    assert images.shape == (3, 2, 2, 1)
    assert labels.max() < 10


_TABLE = b"label,pixel1,pixel2,pixel3,pixel4\n1,0,255,3,4\n9,1,2,3,4\n0,5,6,7,8\n"
_FROM_NUMPY = [functools.partial(pickle.dumps, protocol=number) for number in (0, 2, 4, 5)]
READERS = (
    Reader(
        "idx_images",
        _both(images_bytes(_IMAGES)),
        functools.partial(_read_images, count=_COUNT),
    ),
    Reader(
        "idx_of_any_count",
        _both(images_bytes(_IMAGES)),
        functools.partial(_read_images, count=None),
    ),
    Reader("idx_labels", _both(labels_bytes(_LABELS)), _read_labels),
    *(
        Reader(
            f"cifar_{name}",
            tuple(functools.partial(of, layout) for of in (_cifar_folder, _cifar_archive)),
            functools.partial(_read_cifar, layout),
        )
        for name, layout in (("binary", cifar.BINARY), ("python", cifar.PYTHON))
    ),
    Reader("tar", _both(_tar(_MEMBERS)), _read_tar),
    Reader(
        "pickle",
        tuple(functools.partial(_plain, dump(_PICKLED)) for dump in (python2_pickle, *_FROM_NUMPY)),
        _read_pickle,
    ),
    Reader("kaggle_csv", _both(_TABLE), _read_table),
)
