"""Which source data comes from, whether it is the published, and what is said of bad input."""

import gzip
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from data_helpers import (
    CONTENTS,
    RECIPE,
    assert_holds,
    decoded_copy,
    raw_contents,
    small_recipe,
    version_folder,
    write_raw,
)

from imgcls_jax import data
from imgcls_jax.data.catalog import fashion_mnist
from imgcls_jax.data.catalog.load import load
from imgcls_jax.data.raw import idx
from imgcls_jax.errors import UserError

REAL = Path("/usr/share/datasets/fashion-mnist")

# What is verified


OTHER_FILE = "t10k-labels-idx1-ubyte"
OTHER_CONTENTS = CONTENTS | {OTHER_FILE: raw_contents(seed=1)[OTHER_FILE]}


def test_other_content_in_a_default_folder_is_a_warning_and_stays_unverified(tmp_path, caplog):
    raw, data_dir = write_raw(tmp_path / "raw", OTHER_CONTENTS), tmp_path / "data"
    recipe = small_recipe(CONTENTS, raw_dirs=(raw,))
    for stage in ("raw", "prepared", "decoded anew"):
        if stage == "decoded anew":
            decoded_copy(data_dir).unlink()
        caplog.clear()
        dataset = load(recipe, data_dir=data_dir)
        assert_holds(dataset, OTHER_CONTENTS)
        assert not dataset.verified
        (warning,) = caplog.messages
        assert OTHER_FILE in warning
        assert str(raw) in warning or stage != "raw"
        assert "\n" not in warning
    folder = version_folder(data_dir)
    record = json.loads((folder / "imgcls_jax.json").read_text())
    assert record["verified"] is False
    assert record["differing"] == [OTHER_FILE]
    # The warning says how to be rid of it.
    assert str(folder) in warning
    assert "delete this folder to prepare it anew" in warning
    shutil.rmtree(folder)
    write_raw(raw, CONTENTS)
    for _ in range(2):
        dataset = load(recipe, data_dir=data_dir)
        assert_holds(dataset, CONTENTS)
        assert dataset.verified


def test_other_content_in_a_given_raw_dir_is_not_what_later_loads_get(tmp_path, raw_dir, caplog):
    given, data_dir = write_raw(tmp_path / "given", OTHER_CONTENTS), tmp_path / "data"
    recipe = small_recipe(CONTENTS, raw_dirs=(raw_dir,))
    dataset = load(recipe, data_dir=data_dir, raw_dir=given)
    assert_holds(dataset, OTHER_CONTENTS)
    assert not dataset.verified
    (warning,) = caplog.messages
    assert str(given) in warning
    assert OTHER_FILE in warning
    assert not data_dir.exists()
    later = load(recipe, data_dir=data_dir)
    assert_holds(later, CONTENTS)
    assert later.verified


def test_given_raw_dir_wins_over_a_prepared_folder(prepared_dir, tmp_path):
    other = raw_contents(seed=2)
    raw = write_raw(tmp_path / "other", other, gzipped=False)
    dataset = load(RECIPE, data_dir=prepared_dir, raw_dir=raw)
    assert_holds(dataset, other)
    assert not dataset.verified
    assert_holds(load(RECIPE, data_dir=prepared_dir), CONTENTS)


def test_default_raw_folders_are_tried_in_turn(tmp_path, raw_dir):
    incomplete = write_raw(tmp_path / "incomplete", {"train-images-idx3-ubyte": b"x"})
    recipe = small_recipe(CONTENTS, raw_dirs=(tmp_path / "absent", incomplete, raw_dir))
    dataset = load(recipe, data_dir=tmp_path / "data")
    assert_holds(dataset, CONTENTS)
    assert str(raw_dir) in dataset.source


def test_data_dir_defaults_as_in_tfds(prepared_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared_dir))
    assert_holds(load(RECIPE), CONTENTS)
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.move(prepared_dir, tmp_path / "tensorflow_datasets")
    assert_holds(load(RECIPE), CONTENTS)


# Bad input


def fails_with(expected: str, **folders) -> str:
    with pytest.raises(UserError) as error:
        load(folders.pop("recipe", RECIPE), **folders)
    message = str(error.value)
    assert expected in message
    assert "\n" not in message
    assert message.endswith(".")
    return message


@pytest.mark.parametrize("below", ["", "/deeper/still"])
def test_data_dir_that_is_a_file(tmp_path, raw_dir, below):
    (tmp_path / "file").write_text("")
    fails_with(
        f"{tmp_path / 'file'} is a file", data_dir=f"{tmp_path}/file{below}", raw_dir=raw_dir
    )


def test_a_user_without_a_home(monkeypatch):
    for name in ("TFDS_DATA_DIR", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    fails_with("give `data_dir` or TFDS_DATA_DIR")


def test_raw_dir_that_is_absent_or_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("absent", "file"):
        fails_with("is not a folder", data_dir=tmp_path, raw_dir=tmp_path / name)


def test_raw_dir_without_some_file_names_it(tmp_path, raw_dir):
    (raw_dir / "t10k-labels-idx1-ubyte.gz").unlink()
    message = fails_with("lacks t10k-labels-idx1-ubyte (", data_dir=tmp_path, raw_dir=raw_dir)
    assert "train-images" not in message


def test_swapped_files(tmp_path, raw_dir):
    images, labels = (raw_dir / f"{name}.gz" for name in fashion_mnist.FILES["train"])
    images.rename(raw_dir / "x")
    labels.rename(images)
    (raw_dir / "x").rename(labels)
    fails_with(f"{images} holds labels", data_dir=tmp_path / "data", raw_dir=raw_dir)
    assert not (tmp_path / "data").exists()


def test_real_counts_are_enforced(tmp_path, raw_dir, prepared_dir):
    with pytest.raises(UserError, match="holds 50 images where 60000 are expected"):
        data.load("fashion_mnist", data_dir=tmp_path / "data", raw_dir=raw_dir)
    decoded_copy(prepared_dir).unlink()
    with pytest.raises(UserError, match="holds 50 train examples where 60000 are expected"):
        data.load("fashion_mnist", data_dir=prepared_dir)


def truncate_records(folder: Path) -> None:
    (path,) = folder.glob("*train.array_record*")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BROKEN_FOLDERS = {
    "truncated records": truncate_records,
    "no records": lambda folder: next(folder.glob("*train.array_record*")).unlink(),
    "garbage info": lambda folder: (folder / "dataset_info.json").write_text("{"),
    "empty info": lambda folder: (folder / "dataset_info.json").write_text("{}"),
    "garbage features": lambda folder: (folder / "features.json").write_text("nothing"),
}


@pytest.mark.parametrize("damage", BROKEN_FOLDERS.values(), ids=BROKEN_FOLDERS)
def test_broken_prepared_folder_is_not_covered_up_by_its_copy(prepared_dir, damage):
    folder = version_folder(prepared_dir)
    damage(folder)
    fails_with(f"The prepared folder {folder} cannot be read", data_dir=prepared_dir)


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="needs Debian's dataset-fashion-mnist")
def test_the_real_thing(tmp_path):
    first = data.load("fashion_mnist", data_dir=tmp_path)
    again = data.load("fashion_mnist", data_dir=tmp_path)
    assert first.verified
    assert again.verified
    assert str(REAL) in first.source
    assert str(REAL) in again.source
    assert first.train.labels[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]
    stock = tfds.data_source("fashion_mnist", data_dir=tmp_path)
    for split, count in (("train", 60_000), ("test", 10_000)):
        ours = getattr(first, split)
        assert len(ours) == len(stock[split]) == count
        np.testing.assert_array_equal(ours.images, getattr(again, split).images)
        np.testing.assert_array_equal(ours.labels, getattr(again, split).labels)
        for i in (0, 1, count // 2, count - 1):
            np.testing.assert_array_equal(stock[split][i]["image"], ours.images[i])
            assert stock[split][i]["label"] == ours.labels[i]
    # The digest is computed from the arrays; here from the files.
    content = gzip.decompress((REAL / "train-images-idx3-ubyte.gz").read_bytes())
    assert hashlib.md5(content).hexdigest() == fashion_mnist.MD5["train-images-idx3-ubyte"]
    assert idx.content_md5(first.train.images) == fashion_mnist.MD5["train-images-idx3-ubyte"]


def test_a_data_dir_one_or_two_levels_too_deep_holds_the_data_set(prepared_dir):
    """As `places.find` has it for data sets of other recipes."""
    for deep in (RECIPE.name, f"{RECIPE.name}/{RECIPE.version}"):
        dataset = load(RECIPE, data_dir=prepared_dir / deep, offline=True)
        assert_holds(dataset, CONTENTS)
        assert str(version_folder(prepared_dir)) in dataset.source
    assert not (prepared_dir / RECIPE.name / RECIPE.name).exists()
