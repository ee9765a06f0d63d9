"""Any data set of TFDS by its name: where it is found, what it becomes, and what is refused."""

import io
import json
import time
import types

import numpy as np
import pytest
from prepared_helpers import (
    IMAGES,
    LABELS,
    NAMES,
    as_tfrecords,
    assert_same,
    one_split,
    pixels,
    prepare,
    told,
)

from imgcls_jax import data
from imgcls_jax.data import memory
from imgcls_jax.data.catalog.folders import small
from imgcls_jax.data.photos import decode
from imgcls_jax.errors import UserError

pytestmark = pytest.mark.usefixtures("own_cache")

# Small images


@pytest.mark.parametrize("kind", ["array_record", "tfrecord"])
def test_small_images_become_arrays_in_the_order_of_the_records(tiny_root, kind):
    folder = tiny_root / "tiny/plain/1.0.0"
    if kind == "tfrecord":
        as_tfrecords(folder)
    for level in (tiny_root, tiny_root / "tiny", tiny_root / "tiny/plain", folder):
        found = data.load("tiny/plain", data_dir=level)
        assert_same(found.train, slice(0, 20))
        assert_same(found.validation, slice(20, 24))
        assert_same(found.test, slice(24, 30))
    assert (found.name, found.class_names, found.notes) == ("tiny/plain", NAMES, ())
    assert str(folder) in found.source


def test_a_second_load_decodes_nothing(tiny_root, monkeypatch):
    first = data.load("tiny", data_dir=tiny_root)
    monkeypatch.setattr(small, "_pixels", None)
    second = data.load("tiny:1.0.0", data_dir=tiny_root)
    np.testing.assert_array_equal(second.train.images, first.train.images)
    monkeypatch.undo()
    for file in (tiny_root / "tiny/plain").glob("decoded-*.npz"):  # a damaged one is made anew
        file.write_bytes(file.read_bytes()[:-30])
    assert_same(data.load("tiny", data_dir=tiny_root).train, slice(0, 20))


def test_a_changed_folder_is_decoded_anew(tiny_root):
    before = data.load("tiny", data_dir=tiny_root)
    kept = tiny_root / "tiny/plain/decoded-1.0.0-train.npz"
    (tiny_root / "tiny/plain/1.0.0/label.labels.txt").write_text("x\ny\nz\n")
    after = data.load("tiny", data_dir=tiny_root)
    assert (before.class_names, after.class_names) == (NAMES, ("x", "y", "z"))
    times = kept.stat().st_mtime_ns
    file = next((tiny_root / "tiny/plain/1.0.0").glob("*train*"))
    file.touch()
    time.sleep(0.01)
    data.load("tiny", data_dir=tiny_root)
    assert kept.stat().st_mtime_ns > times


def test_a_folder_that_cannot_be_written_into_is_a_warning(tiny_root, monkeypatch, caplog):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    assert_same(data.load("tiny", data_dir=tiny_root).train, slice(0, 20))
    assert "cannot be written (No space left on device)" in caplog.text


@pytest.mark.parametrize("shape", [(5, 4, 1), (5, 4, 4)])
def test_grey_images_stay_grey(tmp_path, shape):
    images = pixels(9, shape)
    prepare(tmp_path, {"train": (images[:6], LABELS[:6]), "test": (images[6:], LABELS[6:9])},
            shape=shape)  # fmt: skip
    found = data.load("tiny", data_dir=tmp_path)
    np.testing.assert_array_equal(found.train.images, images[:6])
    coloured = data.load("tiny", data_dir=tmp_path, image_size=8)
    assert coloured.image_shape == (8, 8, 3)


def test_what_does_not_fit_in_memory_is_to_be_streamed(tiny_root, monkeypatch):
    monkeypatch.setattr(memory, "Path", lambda path: types.SimpleNamespace(
        read_text=lambda: "MemTotal: 3 kB\nMemAvailable: 3 kB\n"))  # fmt: skip
    with pytest.raises(
        UserError, match=r"30 images of 8x6 pixels need .*`feed=streamed` and an `im"
    ):
        data.load("tiny", data_dir=tiny_root)
    some = {"train_split": "train[:3]", "test_split": "test[:3]"}
    assert_same(data.load("tiny", data_dir=tiny_root, **some).train, slice(0, 3))


# Photos


@pytest.mark.parametrize("kind", ["array_record", "tfrecord"])
@pytest.mark.parametrize("feed", ["resident", "streamed"])
def test_images_with_a_size_to_be_brought_to_are_photos(tiny_root, kind, feed):
    if kind == "tfrecord":
        as_tfrecords(tiny_root / "tiny/plain/1.0.0")
    found = data.load("tiny", data_dir=tiny_root, image_size=9, resize="stretch", feed=feed)
    assert found.image_shape == (9, 9, 3)
    assert isinstance(found.train.images, np.ndarray) == (feed == "resident")
    assert found.train.labels.tolist() == LABELS[:20].tolist()
    assert found.test.images[:].shape == (6, 9, 9, 3)
    again = data.load("tiny", data_dir=tiny_root, image_size=9, resize="stretch", feed="streamed")
    np.testing.assert_array_equal(found.train.images[:], again.train.images[:])


def test_photos_of_varying_sizes_need_a_size(tmp_path):
    images = [pixels(1, (20 + n, 30, 3), seed=n)[0] for n in range(9)]
    prepare(tmp_path, {"train": (images, LABELS[:9])}, shape=(None, None, 3))
    with pytest.raises(UserError, match=r"tiny has photos of varying sizes: give `image_size`, su"):
        data.load("tiny", data_dir=tmp_path)
    found = data.load("tiny", data_dir=tmp_path, image_size=8, test_fraction=0.4, hold_out=0.3)
    assert [len(split) for split in found.splits.values()] == [3, 3, 3]
    assert {*found.test.labels} == {*found.validation.labels} == {0, 1, 2}  # of every class
    streamed = data.load(
        "tiny", data_dir=tmp_path, image_size=8, test_fraction=0.4, hold_out=0.3, feed="streamed"
    )
    for name, split in found.splits.items():
        np.testing.assert_array_equal(streamed.splits[name].images[:], split.images)
    assert found.notes == (
        "No test split: 40 % of the training examples, drawn by `split_seed=42`, are the test set",
    )


def test_parts_that_are_no_run_are_streamed_too(tiny_root):
    joined = data.load(
        "tiny",
        data_dir=tiny_root,
        image_size=8,
        feed="streamed",
        train_split="train[10:]+validation[:2]",
    )
    direct = data.load("tiny", data_dir=tiny_root, image_size=8)
    rows = np.concatenate([direct.train.images[10:], direct.validation.images[:2]])
    np.testing.assert_array_equal(joined.train.images[:], rows)
    assert joined.validation is None
    assert (
        joined.train.images.source.identity()
        == "12 records, plain 1.0.0 train[10:20]+validation[:2]"
    )


def test_photos_are_decoded_once(tiny_root, monkeypatch):
    options = {"image_size": 9, "train_split": "train[5:]+validation", "test_split": "train[:5]"}
    first = data.load("tiny", data_dir=tiny_root, **options)
    with monkeypatch.context() as changed:
        changed.setattr(decode, "load", None)
        again = data.load("tiny", data_dir=tiny_root, **options)
        drawn = data.load("tiny", data_dir=tiny_root, **options, hold_out=0.2)
    for name, split in first.splits.items():
        np.testing.assert_array_equal(again.splits[name].images, split.images)
    assert (len(drawn.train), len(drawn.validation), len(drawn.test)) == (15, 4, 5)
    next((tiny_root / "tiny/plain/1.0.0").glob("*train*0-of*")).touch()
    monkeypatch.setattr(decode, "load", None)
    with pytest.raises(TypeError):
        data.load("tiny", data_dir=tiny_root, **options)


def test_a_record_that_is_no_image_is_named(tmp_path):
    broken = io.BytesIO(b"no image")
    nothing = [broken if number == 7 else image for number, image in enumerate(IMAGES)]
    prepare(tmp_path, {"train": (nothing, LABELS)}, shape=(None, None, 3))
    with pytest.raises(UserError, match=r"1 of the 30 images .* \(record 7 is no image"):
        data.load("tiny", data_dir=tmp_path, image_size=8)


# Splits


def test_without_a_test_split_validation_is_tested_on(tiny_root):
    folder = tiny_root / "tiny/plain/1.0.0"
    splits = json.loads((folder / "dataset_info.json").read_text())["splits"]
    told(folder, splits=[of for of in splits if of["name"] != "test"])
    assert set(data.describe("tiny", data_dir=tiny_root).counts) == {"train", "validation"}
    found = data.load("tiny", data_dir=tiny_root)
    assert_same(found.test, slice(20, 24))
    assert found.validation is None
    assert found.notes[0].startswith("No test split: the validation split is the test set, so choo")


@pytest.mark.parametrize("options", [{}, {"image_size": 8}])
def test_a_test_split_without_labels_is_none(tmp_path, options):
    nothing = np.full(4, -1)
    splits = {"train": (IMAGES[:20], LABELS[:20]), "validation": (IMAGES[20:26], LABELS[20:26])}
    prepare(tmp_path, splits | {"test": (IMAGES[26:], nothing)})
    found = data.load("tiny", data_dir=tmp_path, **options)
    assert len(found.test) == 6
    assert found.notes[0].startswith("The test split has no labels: the validation split is the te")
    with pytest.raises(
        UserError, match="4 of the 4 examples of the test split of tiny have no lab"
    ):
        data.load("tiny", data_dir=tmp_path, test_split="test", **options)


def test_a_share_of_the_only_split_is_tested_on(tmp_path):
    one_split(tmp_path)
    found = data.load("tiny", data_dir=tmp_path, test_fraction=0.2, split_seed=3)
    assert np.bincount(found.test.labels).tolist() == [2, 2, 2]
    assert len(found.train) == 24
    again = data.load("tiny", data_dir=tmp_path, test_fraction=0.2, split_seed=4)
    assert not np.array_equal(found.test.images, again.test.images)


def test_classes_that_are_tested_on_untrained_are_told(tmp_path):
    splits = {"train": (IMAGES[:4], [0, 0, 1, 1]), "test": (IMAGES[4:6], [1, 2])}
    prepare(tmp_path, splits)
    assert data.load("tiny", data_dir=tmp_path).notes == (
        "1 of the 3 classes, such as cow, are tested on without a training example",
    )


@pytest.mark.parametrize("options", [{}, {"image_size": 8}])
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"train_split": "train+test"}, "`test_split=test` share 6 examples of test"),
        ({"test_split": "train[90%:]"}, "`train_split=train` and `test_split=train.90%:.` share 2"),
        ({"train_split": "unlabelled"}, "the splits are train .20., validation .4., test .6."),
        ({"test_split": "test[:"}, "`test_split=test.:` is no part of a split"),
        ({"hold_out": 0.1}, "tiny/plain has a validation split; leave out `hold_out`"),
        ({"test_fraction": 0.3}, "has a test set of its own .test.; leave out `test_fraction`"),
        ({"test_split": "validation", "join_validation": True}, "has no validation split beside"),
        ({"folds": 2}, "takes no `folds` without `image_size`|are for photos in class folders"),
    ],
)
def test_parts_and_options_that_cannot_be_are_refused(tiny_made, options, given, sentence):
    with pytest.raises(UserError, match=sentence):
        data.load("tiny", data_dir=tiny_made, **given, **options)


def test_parts_of_small_images_are_cut_where_they_are(tiny_root):
    """Before and after the whole split is kept."""
    for _ in range(2):
        parts = {"train_split": "train[5:12]+validation[1:3]", "test_split": "train[12:]"}
        found = data.load("tiny", data_dir=tiny_root, **parts)
        assert_same(found.train, [*range(5, 12), 21, 22])
        assert_same(found.test, slice(12, 20))
        data.load("tiny", data_dir=tiny_root)


@pytest.mark.parametrize("options", [{}, {"image_size": 8}])
def test_validation_may_be_trained_on(tiny_made, options):
    found = data.load("tiny", data_dir=tiny_made, join_validation=True, **options)
    assert (len(found.train), found.validation, len(found.test)) == (24, None, 6)


def test_sets_that_come_with_a_recipe_take_parts_too():
    whole = data.load("digits")
    part = data.load("digits", train_split="train[:10%]", test_split="train[90%:]")
    np.testing.assert_array_equal(part.train.images, whole.train.images[:144])
    np.testing.assert_array_equal(part.test.labels, whole.train.labels[1293:])
    with pytest.raises(UserError, match="'validation' that is not there: the splits are train"):
        data.load("digits", test_split="validation")


def test_a_set_to_test_on_alone_says_what_to_give(tmp_path):
    one_split(tmp_path, name="test")
    with pytest.raises(
        UserError, match=r"no split called train but test \(30\): give `train_split`"
    ):
        data.load("tiny", data_dir=tmp_path)
    given = {"train_split": "test[:80%]", "test_split": "test[80%:]"}
    assert len(data.load("tiny", data_dir=tmp_path, **given).train) == 24
