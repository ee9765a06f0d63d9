"""Data sets, the bundled digits, and splits against scikit-learn's own."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.model_selection import check_cv, train_test_split

from imgcls_jax import data
from imgcls_jax.errors import UserError
from imgcls_jax.report import console


def make_split(n: int, classes: int = 3) -> data.Split:
    """Every image carries its own index, so that order and pairing can be told."""
    images = np.zeros((n, 2, 2, 1), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 1, 0] = np.arange(n) % 256, np.arange(n) // 256
    return data.Split(images, (np.arange(n) % classes).astype(np.int32))


def test_digits_are_scikit_learns_in_order():
    digits, reference = data.load("digits"), load_digits()
    assert (len(digits.train), len(digits.test)) == (1437, 360)
    assert digits.image_shape == (8, 8, 1)
    assert digits.num_classes == 10
    assert digits.class_names[7] == "7"
    assert digits.verified
    images = np.concatenate([digits.train.images, digits.test.images])[..., 0]
    assert images.max() == 255
    np.testing.assert_allclose(images * (16 / 255), reference.images, atol=0.04)
    labels = np.concatenate([digits.train.labels, digits.test.labels])
    np.testing.assert_array_equal(labels, reference.target)


@pytest.mark.parametrize(
    ("folders", "flags"),
    [
        ({"raw_dir": "x"}, "`raw_dir`"),
        ({"data_dir": "x"}, "`data_dir`"),
        ({"raw_dir": "x", "data_dir": "y"}, "`raw_dir` or `data_dir`"),
    ],
)
def test_digits_take_no_folder(folders, flags):
    with pytest.raises(UserError) as error:
        data.load("digits", **folders)
    message = f"digits comes with scikit-learn and uses no {flags}; leave it out."
    assert str(error.value) == message


def test_digits_do_not_look_at_the_environment(monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", "/dev/null/nowhere")
    assert len(data.load("digits").train) == 1437


def test_unknown_names_are_a_sentence():
    with pytest.raises(UserError, match=r"'minst'; the nearest are mnist, "):
        data.load("minst")
    with pytest.raises(UserError, match=r"no data set 'My photos'.*fashion_mnist, digits"):
        data.load("My photos")


def test_import_is_light():
    heavy = "sklearn", "tensorflow_datasets", "tensorflow", "torch", "jax", "matplotlib", "PIL"
    code = f"import sys, imgcls_jax.data; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(2, 500),
    fraction=st.floats(0.001, 0.999),
    seed=st.integers(0, 2**32 - 1),
)
def test_hold_out_is_train_test_split(n, fraction, seed):
    split = make_split(n)
    try:
        expected = train_test_split(
            split.images, split.labels, test_size=fraction, random_state=seed
        )
    except ValueError:  # nothing left to train on
        with pytest.raises(UserError, match="leaves none"):
            data.hold_out(split, fraction=fraction, seed=seed)
        return
    train, held_out = data.hold_out(split, fraction=fraction, seed=seed)
    got = (train.images, held_out.images, train.labels, held_out.labels)
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_hold_out_as_documented():
    split = make_split(60_000)
    train, held_out = data.hold_out(split, fraction=0.2, seed=42)
    indices = train_test_split(np.arange(60_000), test_size=0.2, random_state=42)
    for ours, index in zip((train, held_out), indices, strict=True):
        np.testing.assert_array_equal(ours.images, split.images[index])
        np.testing.assert_array_equal(ours.labels, split.labels[index])


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_hold_out_fraction_outside(fraction):
    with pytest.raises(UserError, match="between 0 and 1"):
        data.hold_out(make_split(10), fraction=fraction, seed=0)


@pytest.mark.parametrize("folds", [2, 5])
def test_k_fold_is_what_cross_validate_uses(folds):
    labels = np.random.default_rng(0).integers(0, 4, 203).astype(np.int32)
    # cross_validate resolves cv=folds for a classifier by check_cv.
    splitter = check_cv(folds, labels, classifier=True)
    expected = list(splitter.split(np.zeros(203), labels))
    got = data.k_fold(labels, folds=folds)
    assert len(got) == folds
    for (train, test), (train_reference, test_reference) in zip(got, expected, strict=True):
        np.testing.assert_array_equal(train, train_reference)
        np.testing.assert_array_equal(test, test_reference)


@pytest.mark.parametrize("folds", [0, 1, 4])
def test_impossible_folds(folds):
    with pytest.raises(UserError, match="between 2 and 3"):
        data.k_fold(np.array([0, 0, 0, 1, 1, 1, 1]), folds=folds)


BAD_SPLITS = {
    "float images": (np.zeros((2, 4, 4, 1)), np.zeros(2, np.int32), "uint8"),
    "no channel": (np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int32), r"\(N, H, W, C\)"),
    "int64 labels": (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2, np.int64), "int32"),
    "deep labels": (np.zeros((2, 4, 4, 1), np.uint8), np.zeros((2, 3, 1), np.int32), "int32"),
    "lengths": (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(3, np.int32), "2 images but 3 labels"),
    "empty": (np.zeros((0, 4, 4, 1), np.uint8), np.zeros(0, np.int32), "no examples"),
}


@pytest.mark.parametrize(("images", "labels", "expected"), BAD_SPLITS.values(), ids=BAD_SPLITS)
def test_bad_split(images, labels, expected):
    with pytest.raises(UserError, match=expected):
        data.Split(images, labels)


def test_dataset_checks_labels_and_shapes():
    def make(train, test):
        return data.Dataset("d", train, test, ("a", "b"), source="here", verified=False)

    dataset = make(make_split(4, classes=2), make_split(6, classes=2))
    assert (dataset.num_classes, dataset.image_shape, len(dataset.test)) == (2, (2, 2, 1), 6)
    with pytest.raises(UserError, match="test labels run from 0 to 2"):
        make(make_split(4, classes=2), make_split(6, classes=3))
    wide = data.Split(np.zeros((1, 2, 3, 1), np.uint8), np.zeros(1, np.int32))
    with pytest.raises(UserError, match="shape"):
        make(make_split(4, classes=2), wide)


@pytest.mark.parametrize("bad", [np.full((2, 2), 2), np.zeros((2, 3)), np.zeros(2)])
def test_several_labels_are_0_and_1_for_every_name_in_all_splits(bad):
    pixels, labels = np.zeros((2, 2, 2, 1), np.uint8), np.eye(2, dtype=np.int32)
    train = data.Split(pixels, labels)
    of = {"class_names": ("a", "b"), "source": "here", "verified": False}
    assert data.Dataset("d", train, train, **of).several_labels
    with pytest.raises(UserError, match="d: the test labels must be 0 and 1 of shape"):
        data.Dataset("d", train, data.Split(pixels, bad.astype(np.int32)), **of)
    with pytest.raises(UserError, match="d: the train labels must be 0 and 1 of shape"):
        data.Dataset("d", train, None, ("a",), source="here", verified=False)


def test_every_split_is_shown(digits, capsys):
    console.dataset(dataclasses.replace(digits, validation=digits.test))
    assert "1,437 train, 360 validation, 360 test" in capsys.readouterr().out
