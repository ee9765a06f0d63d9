"""Kaggle's CSV files of pixels: what is read, and each way in which a file can be wrong."""

import contextlib
import gzip
import tracemalloc

import numpy as np
import pytest
from data_helpers import CONTENTS, COUNTS, assert_holds, small_recipe
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcls_jax.data.catalog import fashion_mnist
from imgcls_jax.data.catalog.load import load
from imgcls_jax.data.raw.pixel_table import read_pixels
from imgcls_jax.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 3, 2), np.uint8)
LABELS = np.array([9, 0, 3, 2, 7])


def text(images=IMAGES, labels=LABELS, *, end="\n") -> bytes:
    pixels = images.reshape(len(images), -1)
    header = ",".join(["label", *(f"pixel{n}" for n in range(1, pixels.shape[1] + 1))])
    rows = (
        ",".join(map(str, [label, *row]))
        for label, row in zip(labels, pixels.tolist(), strict=True)
    )
    return (end.join([header, *rows]) + end).encode()


def read(tmp_path, content: bytes):
    (tmp_path / "file.csv").write_bytes(content)
    return read_pixels(tmp_path / "file.csv", shape=(3, 2), num_classes=10, count=5)


@pytest.mark.parametrize(
    "content",
    [text(), text(end="\r\n"), gzip.compress(text()), b"\xef\xbb\xbf" + text(), text()[:-1]],
    ids=["as published", "of Windows", "gzipped", "with a mark", "without the last line's end"],
)
def test_reads_what_was_written(tmp_path, content):
    images, labels = read(tmp_path, content)
    np.testing.assert_array_equal(images, IMAGES[..., None])
    np.testing.assert_array_equal(labels, LABELS)
    assert (images.dtype, labels.dtype) == (np.uint8, np.int32)


BAD = {
    "empty": (b"", "has the columns"),
    "no CSV": (b"<!DOCTYPE html>", "has the columns <!DOCTYPE html> where label,pixel1,...,pixel6"),
    "MNIST without labels": (text()[6:], "has the columns pixel1,"),
    "binary": (b"\0\xff" * 50, "has the columns"),
    "fewer rows": (text(IMAGES[:4], LABELS[:4]), "holds 4 rows where 5"),
    "more rows": (text(np.tile(IMAGES, (2, 1, 1)), [*LABELS] * 2), "holds 10 rows where 5"),
    "too bright": (text().replace(b"\n9,", b"\n9,256,"), "no CSV file of numbers 0..255 ("),
    "a number too large": (text().replace(b"\n3,", b"\n300,"), "0..255 ("),
    "negative": (text().replace(b"\n3,", b"\n-3,"), "0..255 ("),
    "text": (text().replace(b"\n3,", b"\ncat,"), "0..255 ("),
    "empty cell": (text().replace(b"\n3,", b"\n,"), "0..255 ("),
    "broken off": (text()[: text().rindex(b",")], "0..255 ("),
    "label out of range": (text(labels=[10, 0, 0, 0, 0]), "has the label 10 where 0..9"),
    "damaged gzip": (gzip.compress(text())[:-12], "truncated"),
}


@pytest.mark.parametrize(("content", "expected"), BAD.values(), ids=BAD)
def test_bad_files(tmp_path, content, expected):
    with pytest.raises(UserError) as error:
        read(tmp_path, content)
    message = str(error.value)
    assert expected in message
    assert "file.csv" in message
    assert "\n" not in message
    assert message.endswith("fetch it again or point `raw_dir` at a complete copy.")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_file_that_is_far_too_large_is_not_parsed(tmp_path, pack):
    content = text() + text()[-20:] * 10**5
    tracemalloc.start()
    with pytest.raises(UserError, match=r"than the \d+ bytes it may h"):
        read(tmp_path, pack(content))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * len(content)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_damage_ends_in_images_or_one_sentence(tmp_path_factory, damage):
    content = bytearray(text())
    for place, byte in damage:
        content[int(place * (len(content) - 1))] = byte
    with contextlib.suppress(UserError):
        images, labels = read(tmp_path_factory.getbasetemp(), bytes(content))
        assert images.shape == (5, 3, 2, 1)
        assert labels.max() < 10


def write_pair(folder, order=slice(None)):
    """Writes the small stand-in for Fashion-MNIST as Kaggle's pair."""
    folder.mkdir()
    for split, (images, labels) in fashion_mnist.FILES.items():
        pixels = np.frombuffer(CONTENTS[images], np.uint8, offset=16).reshape(-1, 28, 28)
        of = np.frombuffer(CONTENTS[labels], np.uint8, offset=8)
        content = text(pixels[order], of[order].tolist())
        (folder / fashion_mnist.CSV[split]).write_bytes(content)
    return folder


def test_the_pair_of_files_as_fashion_mnist(tmp_path):
    recipe = small_recipe(CONTENTS)
    same = load(recipe, data_dir=tmp_path / "data", raw_dir=write_pair(tmp_path / "raw"))
    assert_holds(same, CONTENTS)
    assert same.verified
    assert not same.notes
    other = write_pair(tmp_path / "other", slice(None, None, -1))
    loaded = load(recipe, data_dir=tmp_path / "none", raw_dir=other)
    assert [len(loaded.train), len(loaded.test)] == [*COUNTS.values()]
    assert loaded.verified is False
    assert "divide the images into train and test otherwise" in loaded.notes[0]
    assert not (tmp_path / "none").exists()  # it must not pass for the data set later
