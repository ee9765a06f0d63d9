"""CIFAR-10: every form of the raw files, what is verified, and the folder that TFDS reads."""

import gzip
import hashlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from data_helpers import (
    CIFAR,
    CIFAR_BATCHES,
    CIFAR_CLASSES,
    CIFAR_N,
    assert_holds_cifar,
    cifar_batches,
    cifar_binary,
    cifar_python,
    cifar_recipe,
    python2_pickle,
    write_raw,
    write_tar,
)
from tensorflow_datasets.image_classification import cifar as stock_cifar

from imgcls_jax import data
from imgcls_jax.data.catalog import cifar10
from imgcls_jax.data.catalog.builder import _png
from imgcls_jax.data.catalog.load import load, prepared
from imgcls_jax.errors import UserError

RECIPE = cifar_recipe()
BINARY, PYTHON = "cifar-10-batches-bin", "cifar-10-batches-py"


def write_files(folder: Path, contents: dict[str, bytes]) -> Path:
    return write_raw(folder, contents, gzipped=False)


def python3(protocol: int):
    return lambda value: pickle.dumps(value, protocol)


def bytes_again(value) -> bytes:
    """Pickles as a script does that read with encoding="bytes": texts are bytes, also in lists."""
    return pickle.dumps(pickle.loads(python2_pickle(value), encoding="bytes"))


def gzipped(contents: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{name}.gz": gzip.compress(content) for name, content in contents.items()}


# Each writes raw files under a folder and returns what a person gives as --raw_dir.
FORMS = {
    "binary": lambda root: write_files(root, cifar_binary()),
    "binary, each gzipped": lambda root: write_files(root, gzipped(cifar_binary())),
    "Python 2 pickles": lambda root: write_files(root, cifar_python()),
    "Python 3 pickles, protocol 2": lambda root: write_files(root, cifar_python(dump=python3(2))),
    "Python 3 pickles, protocol 4": lambda root: write_files(root, cifar_python(dump=python3(4))),
    "Python 3 pickles, protocol 5": lambda root: write_files(root, cifar_python(dump=python3(5))),
    "pickles read as bytes and saved again": lambda root: write_files(
        root, cifar_python(dump=bytes_again)
    ),
    "parent of binary": lambda root: write_files(root / BINARY, cifar_binary()).parent,
    "parent of pickles": lambda root: write_files(root / PYTHON, cifar_python()).parent,
    "binary archive": lambda root: write_tar(
        root / "cifar-10-binary.tar.gz", cifar_binary(), folder=f"{BINARY}/"
    ),
    "archive of pickles": lambda root: write_tar(
        root / "cifar-10-python.tar.gz", cifar_python(), folder=f"{PYTHON}/"
    ),
    "archive by another name": lambda root: write_tar(
        root / "mine.tgz", cifar_python(), folder=f"./{PYTHON}/"
    ),
    "archive not gzipped": lambda root: write_tar(
        root / "cifar.tar", cifar_binary(), folder=f"{BINARY}/", mode="w"
    ),
    "folder with a binary archive": lambda root: (
        write_tar(root / "cifar-10-binary.tar.gz", cifar_binary(), folder=f"{BINARY}/").parent
    ),
    "folder with an archive of pickles": lambda root: (
        write_tar(root / "cifar-10-python.tar.gz", cifar_python(), folder=f"{PYTHON}/").parent
    ),
}


@pytest.fixture
def no_preparing(monkeypatch):
    monkeypatch.setattr(prepared, "write", lambda *args, **kwargs: None)


def test_the_stand_ins_are_what_python_and_numpy_read():
    for name, content in cifar_python().items():
        read = pickle.loads(content, encoding="latin1")
        if name == "batches.meta":
            assert read["label_names"] == CIFAR_CLASSES
        else:
            np.testing.assert_array_equal(read["data"], CIFAR[name][1])
            assert read["labels"] == CIFAR[name][0].tolist()
    assert pickle.loads(python2_pickle(-3)) == -3


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_of_the_raw_files(tmp_path, no_preparing, caplog, form):
    raw_dir = form(tmp_path / "raw")
    dataset = load(RECIPE, data_dir=tmp_path / "data", raw_dir=raw_dir)
    assert_holds_cifar(dataset)
    assert dataset.verified
    assert str(raw_dir) in dataset.source
    assert not caplog.messages


def test_binary_files_come_before_pickles_and_files_before_archives(tmp_path, no_preparing):
    binary, pickles, archive = (cifar_batches(seed=seed) for seed in (1, 2, 3))
    root = tmp_path / "raw"
    write_tar(root / "cifar-10-binary.tar.gz", cifar_binary(archive), folder=f"{BINARY}/")
    assert_holds_cifar(load(RECIPE, data_dir=tmp_path, raw_dir=root), archive)
    write_files(root, cifar_python(pickles))
    assert_holds_cifar(load(RECIPE, data_dir=tmp_path, raw_dir=root), pickles)
    write_files(root / BINARY, cifar_binary(binary))
    assert_holds_cifar(load(RECIPE, data_dir=tmp_path, raw_dir=root), binary)


def test_one_other_pixel_is_a_warning_and_not_prepared(tmp_path, caplog):
    labels, pixels = CIFAR["data_batch_4"]
    pixels = pixels.copy()
    pixels[1, 1500] ^= 1
    other = CIFAR | {"data_batch_4": (labels, pixels)}
    for layout in (cifar_binary(other), cifar_python(other)):
        caplog.clear()
        raw_dir = write_files(tmp_path / f"raw{len(layout)}", layout)
        dataset = load(RECIPE, data_dir=tmp_path / "data", raw_dir=raw_dir)
        assert_holds_cifar(dataset, other)
        assert not dataset.verified
        (warning,) = caplog.messages
        assert "data_batch_4)" in warning
        assert "data_batch_3" not in warning
        assert str(raw_dir) in warning
    assert not (tmp_path / "data").exists()


@pytest.fixture(scope="module")
def prepared_dir(tmp_path_factory):
    root = tmp_path_factory.mktemp("cifar")
    raw_dir = write_files(root / "raw", cifar_binary())
    load(RECIPE, data_dir=root / "data", raw_dir=raw_dir)
    return root / "data"


def test_prepared_once_and_read_back(prepared_dir):
    dataset = load(RECIPE, data_dir=prepared_dir)
    assert_holds_cifar(dataset)
    assert dataset.verified
    assert str(prepared_dir / "cifar10" / "3.0.2") in dataset.source
    (prepared_dir / "cifar10" / "decoded-3.0.2.npz").unlink()
    assert_holds_cifar(load(RECIPE, data_dir=prepared_dir))


def test_stock_tfds_reads_the_prepared_folder_in_raw_order(prepared_dir):
    for split, names in (("train", CIFAR_BATCHES[:5]), ("test", CIFAR_BATCHES[5:])):
        examples = list(tfds.data_source("cifar10", data_dir=prepared_dir, split=split))
        assert [e["id"] for e in examples] == [
            f"{split}_{index:05d}".encode() for index in range(len(names) * CIFAR_N)
        ]
        labels, pixels = (np.concatenate([CIFAR[name][i] for name in names]) for i in (0, 1))
        assert [example["label"] for example in examples] == labels.tolist()
        images = np.stack([example["image"] for example in examples])
        planes = images.transpose(0, 3, 1, 2).reshape(len(images), 3072)
        np.testing.assert_array_equal(planes, pixels)


def test_features_and_version_are_the_stock_ones(prepared_dir, tmp_path):
    stock = tfds.builder("cifar10", data_dir=tmp_path)
    made = tfds.builder_from_directory(prepared_dir / "cifar10" / str(stock.version))
    assert made.info.features.to_json() == stock.info.features.to_json()
    assert made.info.features["label"].names == CIFAR_CLASSES
    assert made.info.supervised_keys == stock.info.supervised_keys


def test_folder_prepared_by_the_stock_builder_comes_back_in_raw_order(tmp_path, monkeypatch):
    """The stock builder itself; only reading bytes and encoding PNG are done without TensorFlow."""
    raw_dir = write_files(tmp_path / "raw" / BINARY, cifar_binary()).parent

    def load_data(path, labels_number):
        records = np.fromfile(path, np.uint8).reshape(-1, 3073)
        for record in records:
            image = record[1:].reshape(3, 32, 32).transpose(1, 2, 0)
            yield record[:1], _png(np.ascontiguousarray(image))

    monkeypatch.setattr(stock_cifar, "_load_data", load_data)
    monkeypatch.setattr(
        tfds.download.DownloadManager, "download_and_extract", lambda self, url: str(raw_dir)
    )
    builder = stock_cifar.Cifar10(data_dir=tmp_path / "data", file_format="array_record")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
    stored = [int(example["label"]) for example in builder.as_data_source("train")]
    raw_order = np.concatenate([CIFAR[name][0] for name in CIFAR_BATCHES[:5]]).tolist()
    assert stored != raw_order  # or this test would show nothing
    dataset = load(RECIPE, data_dir=tmp_path / "data")
    assert_holds_cifar(dataset)
    assert dataset.verified


def test_real_counts_are_enforced(tmp_path):
    raw_dir = write_files(tmp_path / "raw", cifar_binary())
    with pytest.raises(UserError, match=r"data_batch_1.bin is truncated \(it has 18438 bytes"):
        data.load("cifar10", data_dir=tmp_path / "data", raw_dir=raw_dir)


@pytest.mark.skipif(
    "IMGCLS_CIFAR10_RAW" not in os.environ, reason="needs IMGCLS_CIFAR10_RAW, any raw_dir form"
)
def test_the_real_thing(tmp_path):
    dataset = data.load("cifar10", data_dir=tmp_path, raw_dir=os.environ["IMGCLS_CIFAR10_RAW"])
    train, test = dataset.train, dataset.test
    assert train.images.shape == (50_000, 32, 32, 3)
    assert test.images.shape == (10_000, 32, 32, 3)
    assert train.labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert test.labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    assert np.bincount(train.labels).tolist() == 10 * [5000]
    assert np.bincount(test.labels).tolist() == 10 * [1000]
    assert train.images[0, 0, 0].tolist() == [59, 62, 63]
    assert test.images[0, 0, 0].tolist() == [158, 112, 49]
    # The channel means that training code quotes.
    means = train.images.mean(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(means, [0.49139968, 0.48215841, 0.44653091], atol=1e-6)
    assert dataset.verified == (tmp_path / "cifar10" / "3.0.2").is_dir()
    if dataset.verified:
        stock = tfds.data_source("cifar10", data_dir=tmp_path, split="train")
        np.testing.assert_array_equal(stock[49_999]["image"], train.images[49_999])
    labels = train.labels[:10_000].astype(np.uint8)
    assert hashlib.sha1(labels).hexdigest() == cifar10.LABELS_SHA1["data_batch_1"]
