"""A TFDS folder as a data set of photos: its splits, and those that are cut off where missing."""

import types

import numpy as np
import pytest

from imgcls_jax import data
from imgcls_jax.data import Split
from imgcls_jax.data.catalog import builder
from imgcls_jax.data.catalog.folders import records
from imgcls_jax.errors import UserError

pytestmark = pytest.mark.usefixtures("own_cache")

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(20, dtype=np.int32) % 3


TINY = types.SimpleNamespace(
    name="tiny", version="1.0.0", description="", homepage="", citation="",
    class_names=("a", "b", "c"), stock_id=None,
)  # fmt: skip


def load(folder, **options):
    """From the folder, as a notebook or a command has it."""
    return data.load("folder", data_dir=folder, image_size=8, **options)


def write(folder, **splits):
    splits = {name: Split(IMAGES[part], LABELS[part]) for name, part in splits.items()}
    return builder.write(TINY, splits, data_dir=folder)


@pytest.mark.parametrize("streamed", [False, True])
def test_missing_splits_are_cut_off_the_training_split(tmp_path, streamed):
    folder = write(tmp_path, train=slice(0, 20))
    levels = (folder, folder.parent, tmp_path)
    assert [records.find(level) for level in levels] == [folder] * 3
    assert records.find(tmp_path / "none") is None
    found = load(folder, hold_out=0.1, feed="streamed" if streamed else "resident")
    assert (len(found.train), len(found.validation), len(found.test)) == (14, 2, 4)
    assert found.class_names == ("a", "b", "c")
    assert found.notes == (
        "No test split: 20 % of the training examples, the last, are the test set",
    )
    parts = (found.train, found.validation, found.test)
    np.testing.assert_array_equal(np.concatenate([p.images[:] for p in parts]), IMAGES)
    np.testing.assert_array_equal(np.concatenate([p.labels for p in parts]), LABELS)
    assert isinstance(found.train.images, np.ndarray) != streamed


def test_splits_that_are_there_are_taken(tmp_path):
    folder = write(tmp_path, train=slice(0, 12), validation=slice(12, 15), test=slice(15, 20))
    found = load(folder)
    assert (len(found.train), len(found.validation), len(found.test)) == (12, 3, 5)
    folder = write(tmp_path / "other", train=slice(0, 12), validation=slice(12, 15))
    alone = load(folder)
    assert (len(alone.train), alone.validation, len(alone.test)) == (12, None, 3)


def test_a_damaged_folder_is_one_sentence(tmp_path):
    folder = write(tmp_path, train=slice(0, 20))
    (folder / "dataset_info.json").write_text("{")
    with pytest.raises(UserError, match="is no TFDS data set that can be read"):
        load(folder)


@pytest.mark.parametrize("option", [{"folds": 2}, {"duplicates": "drop"}, {"corrupt": "skip"}])
def test_what_is_for_class_folders_is_refused(tmp_path, option):
    folder = write(tmp_path, train=slice(0, 20))
    with pytest.raises(UserError, match="are for photos in class folders"):
        load(folder, **option)
