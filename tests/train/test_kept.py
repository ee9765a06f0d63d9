"""A run's folder knows its data by labels and images, and an older one's by labels alone."""

import dataclasses
import json

import numpy as np
import pytest
from conftest import SMALL
from photo_helpers import write_photos
from run_helpers import NETWORK

from imgcls_jax import data
from imgcls_jax.data.dataset import Split, identity, labels_identity
from imgcls_jax.errors import UnreadablePhoto, UserError
from imgcls_jax.train import run
from imgcls_jax.train.kept import photos_replaceable, require_same_data
from imgcls_jax.workdir import Workdir


def other_images(dataset, part="train"):
    """The same labels beside images of which one pixel differs."""
    split = getattr(dataset, part)
    images = split.images.copy()
    images[-1, -1, -1] ^= 1
    return dataclasses.replace(dataset, **{part: Split(images, split.labels)})


@pytest.fixture
def record_of(tmp_path):
    """A folder whose run was made of some data: identity -> Workdir."""

    def made(known: str) -> Workdir:
        (tmp_path / "network.json").write_text(json.dumps(NETWORK | {"data": known}))
        return Workdir(tmp_path)

    return made


@pytest.mark.parametrize("part", ["train", "test"])
def test_one_other_pixel_is_other_data(digits, part, record_of):
    other = other_images(digits, part)
    assert labels_identity(other) == labels_identity(digits)
    assert identity(other) != identity(digits)
    workdir = record_of(identity(digits))
    require_same_data(workdir, dataclasses.replace(digits))
    with pytest.raises(UserError, match="was made of other images than digits as it is now"):
        require_same_data(workdir, other)


def test_other_labels_are_other_data(digits, record_of):
    labels = digits.test.labels.copy()
    labels[0] += 1
    other = dataclasses.replace(digits, test=Split(digits.test.images, labels))
    for known in (identity(digits), labels_identity(digits)):
        with pytest.raises(UserError, match="was made of other data than digits as it is now"):
            require_same_data(record_of(known), other)


def test_a_folder_of_version_0_1_knows_the_labels_alone(digits, record_of):
    require_same_data(record_of("869012046864e073"), digits)  # as that version wrote it


def test_images_count_by_their_pixels_however_they_lie_in_memory():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (300, 4, 5, 3), np.uint8)
    labels = np.zeros(300, np.int32)
    odd = np.ascontiguousarray(pixels[:, :, ::-1])[:, :, ::-1]
    assert not odd.flags.c_contiguous
    assert Split(odd, labels).digest == Split(pixels, labels).digest
    assert Split(pixels.reshape(300, 5, 4, 3), labels).digest != Split(pixels, labels).digest


def test_every_part_of_large_images_counts(monkeypatch):
    monkeypatch.setattr("imgcls_jax.data.dataset._HASHED_BYTES", 100)
    pixels = np.zeros((7, 5, 5, 3), np.uint8)
    found = {Split(pixels, np.zeros(7, np.int32)).digest}
    for image in range(7):
        pixels[:] = 0
        pixels[image, 2, 2, 1] = 1
        found.add(Split(pixels, np.zeros(7, np.int32)).digest)
    assert len(found) == 8


def test_streamed_photos_count_by_names_and_sizes(tmp_path):
    def load(folder):
        return data.load("folder", data_dir=folder, image_size=8, feed="streamed")

    first, copy, grown = (write_photos(tmp_path / name) for name in ("photos", "b/photos", "c"))
    assert identity(load(first)) == identity(load(copy))
    before = load(grown)
    known = identity(before)
    photo = grown / "red" / "03.png"
    photo.write_bytes(photo.read_bytes() + b" ")
    assert labels_identity(load(grown)) == labels_identity(before)
    assert identity(load(grown)) != known


def test_records_count_by_the_names_and_sizes_of_their_files(tmp_path):
    from imgcls_jax.data.photos.sources import RecordPhotos

    folder = tmp_path / "photos" / "1.0.0"
    folder.mkdir(parents=True)
    file = folder / "photos-train.array_record-00000-of-00001"
    file.write_bytes(b"12")
    source = RecordPhotos(folder, "train")
    source.__dict__["_examples"] = range(3)
    before = source.fingerprint()
    file.write_bytes(b"123")
    assert source.fingerprint() != before


def test_a_run_goes_on_when_an_unreadable_photo_was_replaced(digits, record_of):
    """As the error of `train.streams.explained` says; the stream then checks the names."""
    workdir, other = record_of(identity(digits)), other_images(digits)
    with pytest.raises(UnreadablePhoto), photos_replaceable(workdir, digits):
        raise UnreadablePhoto("red/03.png is empty")
    require_same_data(workdir, other)


def test_a_finished_run_is_not_shown_for_other_images(digits, small_trainer, tmp_path):
    given = {"name": "one", "workdir": Workdir(tmp_path)}
    run.train(SMALL, dataset=digits, shared_trainer=lambda **_: small_trainer, **given)
    for again in (run.train, run.evaluate_only):
        with pytest.raises(UserError, match="other images than digits"):
            again(SMALL, dataset=other_images(digits), **given)
