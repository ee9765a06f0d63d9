"""A decoded copy in which one bit is flipped gives what was written, or counts as no copy."""

import numpy as np
import pytest

from imgcls_jax.data.catalog import decoded
from imgcls_jax.data.catalog.folders import kept
from imgcls_jax.data.dataset import Split


def of_a_folder(path):
    """Writes and reads such a copy: (what is written, the function that reads it)."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (30, 2, 2, 1), np.uint8), np.arange(30, dtype=np.int32)
    splits = {"train": Split(images, labels), "test": Split(images[:7], labels[:7])}
    decoded.write(path, splits, of="it", differing=("train",))

    def read():
        found = decoded.read(path, of="it")
        if found is None:
            return None
        assert found[1] == ("train",)
        return [array for split in found[0].values() for array in (split.images, split.labels)]

    return [images, labels, images[:7], labels[:7]], read


def of_labels(path):
    labels = np.arange(64, dtype=np.int32)
    kept.write(path, {"labels": labels}, of="it")

    def read():
        found = kept.read(path, of="it", names=["labels"])
        return None if found is None else [found["labels"]]

    return [labels], read


@pytest.mark.parametrize("make", [of_a_folder, of_labels])
def test_one_flipped_bit_never_gives_other_values(tmp_path, make):
    path = tmp_path / "copy.npz"
    written, read = make(path)
    content, gone = path.read_bytes(), 0
    for place in range(0, len(content), 3 if make is of_a_folder else 1):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        found = read()
        gone += found is None
        for ours, wanted in zip(found or written, written, strict=True):
            np.testing.assert_array_equal(ours, wanted)
    assert gone > 100
    path.write_bytes(content)
    assert read() is not None


def test_an_array_that_says_less_than_there_is_counts_as_none(tmp_path):
    """The checksum is compared at the end of an array, which such a header does not reach."""
    path = tmp_path / "copy.npz"
    _, read = of_labels(path)
    content = path.read_bytes()
    assert content.count(b"(64,)") == 1
    path.write_bytes(content.replace(b"(64,)", b"(24,)"))
    assert read() is None


@pytest.mark.parametrize("make", [of_a_folder, of_labels])
def test_a_copy_that_fails_in_a_way_of_its_own_counts_as_none(tmp_path, make, monkeypatch):
    _, read = make(tmp_path / "copy.npz")

    def fail(*of):
        raise RuntimeError("of a library below")

    for module in (decoded, kept):
        monkeypatch.setattr(module, "read_arrays", fail)
    assert read() is None
