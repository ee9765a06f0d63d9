"""The general training command end to end, on data sets of several kinds, and its bad input."""

import json
import re
import types

import numpy as np
import pytest
from photo_helpers import write_photos

from experiments import fmnist, train
from experiments.cli import training
from imgcls_jax.data import Split
from imgcls_jax.data.catalog import builder

TINY = ("--epochs=2", "--nofigures")


@pytest.fixture
def train_main(any_main):
    return lambda *arguments: any_main(train.main, *arguments)


@pytest.fixture(scope="module")
def mnist_dir(tmp_path_factory):
    """A TFDS folder with a small mnist: a square as bright as its class."""
    about = types.SimpleNamespace(
        name="mnist", version="3.0.1", description="", homepage="", citation="",
        class_names=tuple("0123456789"), stock_id=None,
    )  # fmt: skip
    rng, splits = np.random.default_rng(0), {}
    for name, count in (("train", 200), ("test", 40)):
        labels = np.arange(count, dtype=np.int32) % 10
        images = rng.integers(0, 15, (count, 28, 28, 1), dtype=np.uint8)
        images[:, 8:20, 8:20] += (labels * 24).astype(np.uint8)[:, None, None, None]
        splits[name] = Split(images, labels)
    data_dir = tmp_path_factory.mktemp("tfds")
    builder.write(about, splits, data_dir=data_dir)
    return data_dir


def test_digits_and_the_folder_alone_afterwards(train_main, tmp_path):
    flags = ("--dataset=digits", "--model=mlp", "--hidden=16", "--lr=0.02", *TINY)
    status, out, _ = train_main(*flags, f"--workdir={tmp_path}")
    assert status == 0
    headings = (
        "Data set",
        "digits mlp: no documented run's settings",
        "Data",
        "Training",
        "Result",
    )
    places = [out.index(f"\n{heading}\n---") for heading in headings]
    assert places == sorted(places)
    assert "splits    1,437 train, 360 test" in out
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["test_accuracy"] > 0.5
    page = (tmp_path / "report.html").read_text()
    assert "python -m experiments.train --dataset=digits --model=mlp" in page
    status, out, _ = train_main(f"--workdir={tmp_path}", "--nofigures")
    assert status == 0
    assert "holds this run, finished" in out


def test_a_data_set_of_tfds_by_its_name(train_main, mnist_dir, tmp_path):
    status, out, err = train_main(
        "--dataset=mnist", "--model=linear", f"--data_dir={mnist_dir}", "--epochs=40",
        "--batch_size=20", "--nofigures", f"--workdir={tmp_path}",
    )  # fmt: skip
    assert status == 0, err
    assert "mnist 3.0.1" in out
    assert "200 train, 40 test" in out
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["dataset"], config["normalise"], config["schedule"]) == (
        "mnist", "standard", "cosine"
    )  # fmt: skip
    assert json.loads((tmp_path / "summary.json").read_text())["test_accuracy"] > 0.5


def test_photos_of_ones_own_train_from_scratch_without_weights(train_main, tmp_path):
    photos = write_photos(tmp_path / "photos")
    status, _, err = train_main(
        "--dataset=folder", f"--data_dir={photos}", "--model=cnn", "--widths=4", "--image_size=16",
        "--batch_size=8", *TINY, f"--workdir={tmp_path / 'run'}",
    )  # fmt: skip
    assert status == 0, err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["optimizer"], config["weights"], config["image_size"]) == ("adamw", "none", 16)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "name a data set: --dataset=NAME"),
        (("--dataset=mnistt",), "the nearest names are mnist"),
        (("--dataset=No Name",), "no name of a data set|no data set"),
        (("--dataset=celeb_a",), "has not one image and one label but"),
        (("--dataset=mnist:9.9.9",), "has no version 9.9.9"),
        (("--dataset=digits", "--run=5"), "documented runs are of the commands fmnist"),
        (("--list_runs",), "documented runs are listed by the commands fmnist"),
        (("--dataset=digits", "--preset=resnet"), "choose one of: cnn, mlp, residual"),
        (("--dataset=digits", "--model=lenet"), "unknown --model=lenet"),
        (("--dataset=digits", "--image_size=32"), "digits comes in one size"),
        (("--dataset=folder", "--weights=none"), "needs --data_dir"),
        (("--dataset=cifar100", "--offline", "--raw_dir=nowhere", "--model=lenet"), "lenet"),
    ],
)
def test_bad_input_is_one_sentence(train_main, flags, said, tmp_path):
    status, _, err = train_main(*flags, f"--workdir={tmp_path / 'run'}")
    assert status == 1
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert re.search(said, err), err
    assert not (tmp_path / "run" / "summary.json").exists()


@pytest.mark.parametrize("main", [train.main, fmnist.main])
def test_a_name_that_is_none_leaves_the_folder_free(any_main, main, tmp_path):
    status, _, err = any_main(main, "--dataset=cifar1000", f"--workdir={tmp_path / 'run'}")
    assert status == 1
    assert "the nearest names are cifar100" in err
    assert not (tmp_path / "run").exists()


def test_help_shows_what_means_something(capsys):
    training.command(train.main, without=("runs",), argv=["train", "--help"])
    shown = capsys.readouterr().out
    assert shown.startswith("Any image data set by its name")
    assert {"--run:", "--[no]list_runs:"}.isdisjoint(shown.replace(" ", "").splitlines())
    for name in ("dataset", "train_split", "image_size", "weights", "data_dir", "raw_dir", "model"):
        assert f"\n  --{name}:" in shown
