"""IDX files: what is read, and each way in which a file can be wrong."""

import gzip
import hashlib
import struct
import tracemalloc

import numpy as np
import pytest
from data_helpers import images_bytes, labels_bytes

from imgcls_jax.data.raw.idx import content_md5, read_idx_images, read_idx_labels
from imgcls_jax.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
LABELS = np.array([9, 0, 3, 2, 7])


@pytest.fixture
def write(tmp_path):
    def write(content: bytes):
        path = tmp_path / "file"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_reads_what_was_written_whatever_the_name(write, pack):
    images = read_idx_images(write(pack(images_bytes(IMAGES))), count=5)
    assert images.dtype == np.uint8
    assert images.flags.writeable
    np.testing.assert_array_equal(images, IMAGES[..., None])
    labels = read_idx_labels(write(pack(labels_bytes(LABELS))), count=5)
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, LABELS)


def test_content_md5_is_that_of_the_file():
    assert content_md5(IMAGES[..., None]) == hashlib.md5(images_bytes(IMAGES)).hexdigest()
    labels = LABELS.astype(np.int32)
    assert content_md5(labels) == hashlib.md5(labels_bytes(LABELS)).hexdigest()


GOOD = images_bytes(IMAGES)
BAD_IMAGES = {
    "empty": (b"", "is empty"),
    "three bytes": (GOOD[:3], "not an IDX file"),
    "garbage": (b"<!DOCTYPE html>", "not an IDX file"),
    "labels for images": (labels_bytes(LABELS), "holds labels where images are expected"),
    "within the header": (GOOD[:10], "ends within the header"),
    "truncated": (GOOD[:-1], "is truncated"),
    "trailing bytes": (GOOD + b"x", "trailing bytes"),
    "truncated gzip": (gzip.compress(GOOD)[:-20], "truncated"),
    "damaged gzip": (b"\x1f\x8b" + b"x" * 100, "damaged gzip"),
    "flipped bit in gzip": (gzip.compress(GOOD)[:-5] + b"x" * 5, "damaged gzip"),
    "gzipped garbage": (gzip.compress(b"hello"), "not an IDX file"),
    "other size": (images_bytes(IMAGES[:, :20]), "20x28"),
    "other count": (images_bytes(IMAGES[:4]), "holds 4 images where 5"),
    "no images": (images_bytes(IMAGES[:0]), "holds no images"),
    "absurd sizes": (struct.pack(">IIII", 2051, *[2**32 - 1] * 3), "is truncated"),
}
BAD_LABELS = {
    "images for labels": (GOOD, "holds images where labels are expected"),
    "out of range": (labels_bytes(np.array([1, 2, 3, 4, 10])), "label 10"),
    "other count": (labels_bytes(LABELS[:2]), "holds 2 labels where 5"),
    "truncated": (labels_bytes(LABELS)[:-1], "is truncated"),
}


def one_sentence_naming(path, error) -> str:
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    assert message.endswith(".")
    return message


@pytest.mark.parametrize(("content", "expected"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_bad_images(write, content, expected):
    path = write(content)
    with pytest.raises(UserError) as error:
        read_idx_images(path, count=5)
    assert expected in one_sentence_naming(path, error)


@pytest.mark.parametrize(("content", "expected"), BAD_LABELS.values(), ids=BAD_LABELS)
def test_bad_labels(write, content, expected):
    path = write(content)
    with pytest.raises(UserError) as error:
        read_idx_labels(path, count=5)
    assert expected in one_sentence_naming(path, error)


def test_missing_file_and_folder_instead_of_a_file(tmp_path):
    for path, expected in ((tmp_path / "absent", "is missing"), (tmp_path, "cannot be read")):
        with pytest.raises(UserError) as error:
            read_idx_images(path)
        assert expected in one_sentence_naming(path, error)


@pytest.mark.parametrize("count", [5, None])
@pytest.mark.parametrize(
    ("read", "good"),
    [(read_idx_images, GOOD), (read_idx_labels, labels_bytes(LABELS))],
    ids=["images", "labels"],
)
def test_a_small_gzip_file_cannot_fill_the_memory(write, read, good, count):
    """No more is unpacked than the header announces, however much the file holds."""
    path = write(gzip.compress(good + bytes(64 * 2**20)))
    tracemalloc.start()
    with pytest.raises(UserError) as error:
        read(path, count=count)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "has trailing bytes" in one_sentence_naming(path, error)
    assert peak < 2**20


def test_a_header_cannot_fill_the_memory(write):
    """It announces 3 GB, which so small a file cannot hold."""
    path = write(gzip.compress(struct.pack(">IIII", 2051, 2**22, 28, 28)))
    with pytest.raises(UserError) as error:
        read_idx_images(path)
    assert "is truncated" in one_sentence_naming(path, error)
