"""A data set of TFDS by its name on the command line of any training."""

import json

import numpy as np
import pytest
from prepared_helpers import IMAGES, LABELS, prepare

FLAGS = ("--epochs=2", "--hidden=8", "--batch_size=4", "--nofigures")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    whole = {"train": (IMAGES[:24], LABELS[:24]), "validation": (IMAGES[24:], LABELS[24:])}
    prepare(folder, whole)
    prepare(folder, whole, name="shots", shape=(None, None, 3))
    return folder


def test_any_prepared_data_set_is_trained_on(fmnist_main, root, tmp_path):
    status, out, err = fmnist_main(
        "--dataset=tiny:1.0.0", f"--data_dir={root}", f"--workdir={tmp_path}", *FLAGS,
        "--train_split=train[:75%]", "--test_split=train[75%:]", "--split_seed=1",
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert "18 train, 6 validation, 6 test" in out
    assert "8x6x3 uint8, 3 classes" in out
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["dataset"], summary["examples"]["test"]) == ("tiny", 6)
    assert np.sum(summary["confusion_matrix"]) == 6


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("--dataset=tinny",), "TFDS knows no data set 'tinny'; the nearest are tiny"),
        (("--dataset=tiny:1.1.0",), "Version 1.1.0 of tiny is not prepared: there is 1.0.0"),
        (("--dataset=shots",), "shots has photos of varying sizes: give --image_size, such as"),
        (("--dataset=My photos",), "There is no data set 'My photos': give NAME, NAME/CONFIG or"),
        (("--dataset=tiny", "--train_split=trian"), "the splits are train (24), validation (6)"),
        (("--dataset=tiny", "--test_split=train[:"), "--test_split=train[: is no part of a split"),
        (("--dataset=tiny", "--test_split=train[1:]"), "--train_split=train and --test_split=trai"),
        (("--dataset=tiny", "--feed=streamed"), "--feed is for photos; give --image_size too"),
    ],
)
def test_what_cannot_be_is_one_sentence(fmnist_main, root, tmp_path, given, sentence):
    place = f"--data_dir={root}", f"--workdir={tmp_path}"
    status, _, err = fmnist_main(*given, *place, *FLAGS)
    assert status == 1
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert sentence in err
