"""A folder of photos as a data set: splits, folds, copies, files that cannot be read."""

import shutil

import numpy as np
import pytest
from photo_helpers import COLOURS, write_photos

from imgcls_jax import data
from imgcls_jax.data.photos import decode
from imgcls_jax.errors import UserError

NAMES = tuple(COLOURS)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path / "cache"))
    return write_photos(tmp_path / "photos")


def load(path, *, streamed=False, **options):
    """From the folder, as a notebook or a command has it."""
    feed = "streamed" if streamed else "resident"
    return data.load("folder", data_dir=path, **({"image_size": 8, "feed": feed} | options))


def counts(split):
    return np.bincount(split.labels, minlength=3).tolist()


@pytest.mark.parametrize("setting", ["train_split", "test_split"])
def test_parts_as_tfds_writes_them_are_not_for_folders(folder, setting):
    with pytest.raises(UserError, match=f"`{setting}` is for data sets of TFDS, not for folders"):
        load(folder, **{setting: "train[:50%]"})


def test_without_splits_a_stratified_part_is_the_test_set(folder):
    dataset = load(folder, test_fraction=0.25, hold_out=1 / 3)
    assert dataset.class_names == NAMES
    assert dataset.image_shape == (8, 8, 3)
    splits = (dataset.train, dataset.validation, dataset.test)
    assert [counts(split) for split in splits] == [[6] * 3, [3] * 3, [3] * 3]
    for split in splits:  # every image is of its label's colour
        brightest = split.images.reshape(len(split), -1, 3).mean(1).argmax(1)
        np.testing.assert_array_equal(brightest, 2 - split.labels)
    everything = np.concatenate([split.images for split in splits])
    assert len(np.unique(everything, axis=0)) == 36
    same, other = load(folder), load(folder, split_seed=1)
    np.testing.assert_array_equal(same.test.images, load(folder).test.images)
    assert not np.array_equal(same.test.images, other.test.images)


@pytest.mark.parametrize("held_out", [0.0, 0.25])
def test_a_validation_folder_alone_is_what_is_evaluated_on(folder, tmp_path, held_out):
    root = tmp_path / "split"
    shutil.copytree(folder, root / "train")
    write_photos(root / "valid", each=2, seed=1)
    dataset = load(root, hold_out=held_out)
    assert counts(dataset.test) == [2, 2, 2]
    assert (dataset.validation is not None) == bool(held_out)
    assert counts(dataset.train) == ([9] * 3 if held_out else [12] * 3)


def test_three_folders_are_three_splits(folder, tmp_path):
    root = tmp_path / "split"
    shutil.copytree(folder, root / "Train")
    for number, name in enumerate(("VAL", "testing"), start=2):
        write_photos(root / name, each=number, seed=number)
    with pytest.raises(UserError, match="has a validation split; leave out `hold_out`"):
        load(root, hold_out=0.5)
    dataset = load(root)
    splits = (dataset.train, dataset.validation, dataset.test)
    assert [counts(split) for split in splits] == [[12] * 3, [2] * 3, [3] * 3]


def test_photos_that_memory_cannot_hold_are_refused_before_decoding(folder):
    with pytest.raises(UserError, match=r"photos of 90000x90000 .*stream them with `feed=stream"):
        load(folder, image_size=90_000)


def test_folds_take_every_photo_once(folder):
    parts = [load(folder, folds=4, fold=k) for k in range(4)]
    assert all(counts(part.test) == [3] * 3 and counts(part.train) == [9] * 3 for part in parts)
    tested = np.concatenate([part.test.images for part in parts])
    assert len(np.unique(tested, axis=0)) == 36
    with pytest.raises(UserError, match="13 folds are not possible"):
        load(folder, folds=13)
    shutil.copytree(folder, folder / "train")
    for name in NAMES:
        shutil.rmtree(folder / name)
    with pytest.raises(UserError, match="has split folders, and `folds` makes its own"):
        load(folder, folds=2)


def test_copies_are_told_and_dropped_from_evaluation(folder, tmp_path):
    root = tmp_path / "split"
    shutil.copytree(folder, root / "train")
    write_photos(root / "test", each=3, seed=1)
    shutil.copy(root / "train/red/00.png", root / "test/red/copy.png")
    told = load(root)
    assert any("Byte-identical images across splits: 2 in 1 groups" in n for n in told.notes)
    assert counts(told.test) == [3, 3, 4]
    dropped = load(root, duplicates="drop")
    assert counts(dropped.test) == [3, 3, 3]
    assert counts(dropped.train) == [12, 12, 12]
    assert "copies left out of evaluation: 1" in dropped.notes


@pytest.mark.parametrize("streamed", [False, True])
def test_photos_that_cannot_be_read(folder, streamed):
    (folder / "red" / "00.png").write_bytes(b"")
    (folder / "blue" / "text.jpg").write_text("no image")
    if not streamed:  # a stream meets them on its way
        with pytest.raises(UserError, match=r"2 of 37.*red/00\.png is empty|text\.jpg"):
            load(folder)
    dataset = load(folder, corrupt="skip", streamed=streamed)
    assert len(dataset.train) + len(dataset.test) == 35
    assert any("Images that cannot be used: 2" in note for note in dataset.notes)
    for path in (folder / "red").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"of class red in the train split .* can be read; rep"):
        load(folder, corrupt="skip", streamed=streamed)


def test_streamed_photos_are_the_cached_ones_when_looked_at(folder):
    cached, lazy = load(folder), load(folder, streamed=True)
    assert lazy.train.images.shape == cached.train.images.shape
    np.testing.assert_array_equal(lazy.test.labels, cached.test.labels)
    np.testing.assert_array_equal(lazy.test.images[:3], cached.test.images[:3])
    np.testing.assert_array_equal(lazy.test.images[np.array([4, 1])], cached.test.images[[4, 1]])
    np.testing.assert_array_equal(lazy.train.images[5], cached.train.images[5])
    (folder / "red" / "00.png").write_bytes(b"")
    at = next(k for k, p in enumerate(lazy.train.images.source.paths) if p.endswith("red/00.png"))
    with pytest.raises(decode.BadImage, match=r"red/00\.png is empty"):
        lazy.train.images[at]


@pytest.mark.parametrize("streamed", [False, True])
def test_interpolation_and_crop_reach_the_pixels(folder, streamed):
    chosen = {"interpolation": "bicubic", "crop_fraction": 0.5}
    dataset = load(folder, streamed=streamed, **chosen)
    assert dataset.source.endswith("8x8 by crop-bicubic-0.5")
    assert not np.array_equal(dataset.test.images[:], load(folder).test.images)
    path = load(folder, streamed=True, **chosen).test.images.source[0][0]
    np.testing.assert_array_equal(dataset.test.images[0], decode.load(path, 8, "crop-bicubic-0.5"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"interpolation": "lanczos"}, "unknown `interpolation=lanczos`; choose one of: bilinear"),
        ({"crop_fraction": 1.5}, "`crop_fraction=1.5` cannot be used; it must be at least 0.1"),
        ({"resize": "pad", "crop_fraction": 0.9}, "with `resize=pad` the whole photo is kept"),
    ],
)
def test_ways_to_make_photos_square_that_do_not_exist(folder, options, sentence):
    with pytest.raises(UserError, match=sentence):
        load(folder, **options)
