"""What the Fashion-MNIST entry point says to bad flags, files and folders: one sentence each."""

import gzip
import os
import struct
from pathlib import Path

import pytest
from conftest import QUICK

BAD_FLAGS = [
    (("--run=99",), "there is no documented run 99"),
    (("--dataset=imagenet",), "are imagenette, imagenet_r"),
    (("--model=vgg",), "unknown --model=vgg"),
    (("--lr=0",), "--lr=0.0 cannot be used"),
    (("--lr=-0.1",), "--lr=-0.1 cannot be used"),
    (("--lr=nan",), "--lr=nan cannot be used"),
    (("--batch_size=0",), "--batch_size=0 cannot be used"),
    (("--dataset=digits", "--batch_size=2000"), "larger than the training set of 1437"),
    (("--epochs=-1",), "--epochs=-1 cannot be used"),
    (("--seeds=0",), "--seeds=0 cannot be used"),
    (("--hidden=ten",), "--hidden=ten must be whole numbers"),
    (("--momentum=0.9",), "--momentum is not for --optimizer=adam"),
    (("--dataset=digits", "--hold_out=0.999"), "--hold_out=0.999 leaves 1 of 1437 examples"),
    (("--run=8", "--seeds=2"), "run 8 takes no --seeds"),
    (("--run=8", "--workdir=/dev/null"), "/dev/null"),
    (
        ("--checkpoint_every=2s", "--epochs=0"),
        "--checkpoint_every is not for --find_lr nor --epoch",
    ),
    (("--checkpoint_every=2s", "--find_lr=lr.png"), "nor --epochs=0; leave it out"),
    (("--find_lr=/proc/a.png",), "cannot write /proc/a.png (No such file or directory); give anot"),
    (("--augmentations=/proc/a.png",), "directory); give another --augmentations."),
    (("--modle=mlp",), "unknown flag --modle; did you mean --model? See --help."),
    (("--zzzzzz",), "unknown flag --zzzzzz. See --help."),
    (("--epochs=ten",), "flag --epochs=ten: invalid literal for int() with base 10: 'ten'; see -"),
    (("--nofigures=1",), "--nofigures=1 does not take an argument; see --help."),
    (("stray",), "unexpected argument 'stray'"),
    (("--raw_dir=/nonexistent/folder",), "/nonexistent/folder"),
    (("--dataset=digits", "--workdir=/dev/null/run"), "cannot use /dev/null/run as --workdir"),
]


@pytest.mark.parametrize(("arguments", "sentence"), BAD_FLAGS)
def test_bad_flags_are_one_sentence(fmnist_main, tmp_path, arguments, sentence):
    if not any(a.startswith("--workdir") for a in arguments):
        arguments = (*arguments, f"--workdir={tmp_path / 'run'}")
    status, _, err = fmnist_main(*arguments)
    assert status == 1
    assert err.startswith("error: ")
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_a_folder_of_another_run_is_refused(fmnist_main, tmp_path):
    fmnist_main(*QUICK, f"--workdir={tmp_path}", "--nofigures")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for arguments, sentence in (
        (("--lr=0.5",), "lr is 0.0008 there, 0.5 here"),
        (("--run=7",), "epochs is 2 there, 30 here"),
        (("--epochs=3",), "whose settings are fixed"),
        (("--run=9",), "model is mlp there, linear here"),
        (("--seeds=2",), "holds a single run; choose another --workdir"),
    ):
        status, _, err = fmnist_main(f"--workdir={tmp_path}", *arguments)
        assert status == 1
        assert sentence in err
        assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_diverging_learning_rate_stops_with_one_sentence(fmnist_main, tmp_path, optimizer):
    """SGD's loss turns NaN; Adam's bounded steps leave it finite, but absurd."""
    status, _, err = fmnist_main(
        *QUICK, f"--optimizer={optimizer}", "--lr=1e6", f"--workdir={tmp_path}", "--nofigures"
    )
    assert status == 1
    assert "training diverged in epoch" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "summary.json").exists()


def idx_files(folder: Path) -> dict[str, Path]:
    """Four IDX files of the right form but of six examples."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for split in ("train", "t10k"):
        images = struct.pack(">IIII", 2051, 6, 28, 28) + bytes(6 * 784)
        labels = struct.pack(">II", 2049, 6) + bytes(range(6))
        for kind, content in (("images-idx3", images), ("labels-idx1", labels)):
            path = folder / f"{split}-{kind}-ubyte"
            path.write_bytes(content)
            paths[f"{split}-{kind}"] = path
    return paths


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("missing", "lacks train-labels-idx1-ubyte"),
        ("truncated", "train-images-idx3-ubyte"),
        ("swapped", "label"),
        ("garbage", "train-images-idx3-ubyte"),
        ("few", "60000"),
        ("empty", "lacks train-images-idx3-ubyte, train-labels-idx1-ubyte"),
    ],
)
def test_bad_raw_files_are_one_sentence(fmnist_main, tmp_path, damage, words):
    raw = tmp_path / "raw"
    files = idx_files(raw)
    images, labels = files["train-images-idx3"], files["train-labels-idx1"]
    if damage == "missing":
        labels.unlink()
    elif damage == "truncated":
        images.write_bytes(gzip.compress(os.urandom(5000))[:3000])
    elif damage == "swapped":
        content = images.read_bytes(), labels.read_bytes()
        labels.write_bytes(content[0])
        images.write_bytes(content[1])
    elif damage == "garbage":
        images.write_bytes(os.urandom(5000))
    elif damage == "empty":
        for path in files.values():
            path.unlink()
    status, _, err = fmnist_main(
        f"--raw_dir={raw}", f"--data_dir={tmp_path / 'data'}", f"--workdir={tmp_path / 'run'}"
    )
    assert status == 1
    assert err.startswith("error: ")
    assert str(raw) in err
    assert words in err
    assert ("60000" in err) == (damage == "few")
    assert err.count("\n") == 1
