"""What is said of CIFAR-10's raw files where they are not what they should be."""

import numpy as np
import pytest
from data_helpers import (
    CIFAR,
    CIFAR_N,
    cifar_binary,
    cifar_python,
    cifar_recipe,
    python2_pickle,
    write_raw,
    write_tar,
)

from imgcls_jax.data.catalog.load import load
from imgcls_jax.errors import UserError

BINARY, PYTHON = cifar_binary(), cifar_python()
SIZE = CIFAR_N * 3073


def refused(tmp_path, contents) -> str:
    """What loading says of these raw files: one sentence, and nothing is left behind."""
    raw_dir = write_raw(tmp_path / "raw", contents, gzipped=False)
    return refused_path(tmp_path, raw_dir)


def refused_path(tmp_path, raw_dir) -> str:
    with pytest.raises(UserError) as error:
        load(cifar_recipe(), data_dir=tmp_path / "data", raw_dir=raw_dir)
    message = str(error.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert str(tmp_path / "raw") in message
    assert not (tmp_path / "data").exists()
    return message


def pickled(name: str, **changes) -> dict[str, bytes]:
    """The pickled layout with a batch that differs."""
    labels, pixels = CIFAR[name]
    number = name.rsplit("_", 1)[-1]
    batch = {"batch_label": f"training batch {number} of 5", "labels": labels.tolist()}
    return PYTHON | {name: python2_pickle(batch | {"data": pixels} | changes)}


def with_label(label: int) -> list[int]:
    return [label, *CIFAR["data_batch_2"][0][1:].tolist()]


CIFAR_100 = ["apple", "aquarium_fish", "baby"]
BAD = {
    "truncated": (
        BINARY | {"data_batch_3.bin": BINARY["data_batch_3.bin"][:-1]},
        f"data_batch_3.bin is truncated (it has {SIZE - 1} bytes where {CIFAR_N} records have "
        f"{SIZE})",
    ),
    "empty": (BINARY | {"test_batch.bin": b""}, "test_batch.bin is truncated (it has 0 bytes"),
    "trailing bytes": (
        BINARY | {"test_batch.bin": BINARY["test_batch.bin"] + b"x"},
        "test_batch.bin is too large",
    ),
    "label out of range": (
        BINARY | {"data_batch_2.bin": b"\x0a" + BINARY["data_batch_2.bin"][1:]},
        "data_batch_2.bin has the label 10 where 0..9 are expected",
    ),
    "one batch twice": (
        BINARY | {"data_batch_2.bin": BINARY["data_batch_5.bin"]},
        "data_batch_2.bin holds the labels of data_batch_5",
    ),
    "test batch to train on": (
        BINARY | {"data_batch_1.bin": BINARY["test_batch.bin"]},
        "data_batch_1.bin holds the labels of test_batch",
    ),
    "two swapped": (
        BINARY
        | {"data_batch_1.bin": BINARY["test_batch.bin"]}
        | {"test_batch.bin": BINARY["data_batch_1.bin"]},
        "data_batch_1.bin holds the labels of test_batch",
    ),
    "pickles swapped": (
        PYTHON | {"data_batch_1": PYTHON["test_batch"], "test_batch": PYTHON["data_batch_1"]},
        "data_batch_1 calls itself 'testing batch 1 of 1' where 'training batch 1 of 5' is",
    ),
    "classes of CIFAR-100": (
        BINARY | {"batches.meta.txt": "\n".join(CIFAR_100).encode()},
        "batches.meta.txt names the classes 'apple, aquarium_fish, baby' where",
    ),
    "pickled classes of CIFAR-100": (
        PYTHON | {"batches.meta": python2_pickle({"label_names": CIFAR_100})},
        "batches.meta names the classes 'apple, aquarium_fish, baby' where",
    ),
    "pickled classes of another kind": (
        PYTHON | {"batches.meta": python2_pickle({"label_names": 7})},
        "batches.meta names the classes '' where",
    ),
    "pickled label too high": (
        pickled("data_batch_2", labels=with_label(10)),
        "data_batch_2 has the label 10",
    ),
    "pickled label below zero": (
        pickled("data_batch_2", labels=with_label(-1)),
        "data_batch_2 has the label -1",
    ),
    "pickled labels as text": (pickled("data_batch_2", labels=["cat"] * CIFAR_N), "does not hold"),
    "pickled labels too few": (pickled("data_batch_2", labels=[1]), "does not hold 6 images"),
    "pickled data too few": (
        pickled("data_batch_2", data=CIFAR["data_batch_2"][1][:-1]),
        "data_batch_2 does not hold 6 images of 3072 bytes as 'data'",
    ),
    "pickled data of another kind": (pickled("data_batch_2", data="pixels"), "does not hold"),
    "pickle cut short": (
        PYTHON | {"data_batch_5": PYTHON["data_batch_5"][:-50]},
        "data_batch_5 is truncated or not the expected pickle",
    ),
    "pickle that runs code": (
        PYTHON | {"data_batch_5": b"cos\nsystem\n(S'echo run > run'\ntR."},
        "data_batch_5 is refused because its pickle asks for 'os.system'",
    ),
}


@pytest.mark.parametrize(("contents", "expected"), BAD.values(), ids=BAD)
def test_bad_files(tmp_path, contents, expected):
    assert expected in refused(tmp_path, contents)


def test_a_copy_is_told_even_where_nothing_is_the_published_data(tmp_path):
    rng = np.random.default_rng(9)
    labels = np.arange(CIFAR_N, dtype=np.uint8)  # the same in every batch, which is allowed
    other = {name: (labels, rng.integers(0, 256, (CIFAR_N, 3072), np.uint8)) for name in CIFAR}
    dataset = load(
        cifar_recipe(),
        data_dir=tmp_path / "data",
        raw_dir=write_raw(tmp_path / "fine", cifar_binary(other), gzipped=False),
    )
    assert not dataset.verified
    copied = cifar_binary(other | {"data_batch_4": other["data_batch_2"]})
    message = refused(tmp_path, copied)
    assert f"{tmp_path}/raw/data_batch_4.bin is a copy of {tmp_path}/raw/data_batch_2" in message


def test_a_missing_file_is_named_and_no_other(tmp_path):
    without = {name: data for name, data in BINARY.items() if name != "data_batch_3.bin"}
    message = refused(tmp_path, without)
    assert "lacks data_batch_3.bin (with or without .gz) and has no cifar-10-binary.tar" in message
    assert "data_batch_2" not in message
    assert "cifar-10-python.tar.gz" in message


def test_a_folder_of_something_else_and_no_folder(tmp_path):
    assert "lacks data_batch_1.bin, data_batch_2.bin" in refused(tmp_path, {"photo.jpg": b"x"})
    missing = refused_path(tmp_path, tmp_path / "raw" / "absent")
    assert "is not a folder and no archive" in missing


def test_archive_without_some_file(tmp_path):
    without = {name: data for name, data in BINARY.items() if name != "batches.meta.txt"}
    path = write_tar(tmp_path / "raw" / "x.tar.gz", without, folder="cifar-10-batches-bin/")
    assert f"{path} lacks batches.meta.txt:" in refused_path(tmp_path, path)


def test_a_bad_file_in_an_archive_is_named_with_it(tmp_path):
    contents = BAD["truncated"][0]
    path = write_tar(tmp_path / "raw" / "x.tar.gz", contents, folder="cifar-10-batches-bin/")
    assert f"{path} (data_batch_3.bin) is truncated" in refused_path(tmp_path, path)
