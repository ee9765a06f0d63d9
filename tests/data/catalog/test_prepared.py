"""Prepared folders: what is in them, their decoded copies, interruption and company."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from data_helpers import (
    CONTENTS,
    RECIPE,
    assert_holds,
    decoded_copy,
    images_bytes,
    labels_bytes,
    version_folder,
)
from prepared_helpers import framed

from imgcls_jax.data.catalog import builder, fashion_mnist
from imgcls_jax.data.catalog.load import load
from imgcls_jax.files import lock


@pytest.fixture
def no_decoding(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("decoded PNG files although a good decoded copy exists")

    return lambda: monkeypatch.setattr(builder, "read", refuse)


# What is prepared


def test_stock_tfds_reads_the_prepared_folder_in_raw_order(prepared_dir):
    for loaded in (
        tfds.data_source("fashion_mnist", data_dir=prepared_dir),
        tfds.builder("fashion_mnist", data_dir=prepared_dir).as_data_source(),
    ):
        for split, (images, labels) in fashion_mnist.FILES.items():
            examples = [loaded[split][i] for i in range(len(loaded[split]))]
            pixels = np.stack([example["image"] for example in examples])
            assert images_bytes(pixels[..., 0]) == CONTENTS[images]
            assert labels_bytes(np.array([e["label"] for e in examples])) == CONTENTS[labels]
    names = tfds.builder("fashion_mnist", data_dir=prepared_dir).info.features["label"].names
    assert tuple(names) == fashion_mnist.CLASS_NAMES


def test_prepared_folder_is_read_through_its_decoded_copy(prepared_dir, no_decoding):
    no_decoding()
    dataset = load(RECIPE, data_dir=prepared_dir)
    assert_holds(dataset, CONTENTS)
    assert dataset.verified
    assert str(version_folder(prepared_dir)) in dataset.source
    assert "made from the raw files in" in dataset.source


def test_warm_load_imports_nothing_heavy(prepared_dir):
    code = (
        "import sys; import imgcls_jax.data.catalog.load as s;"
        "from imgcls_jax.data.catalog import fashion_mnist;"
        "r = fashion_mnist.recipe(counts={'train': 50, 'test': 20});"
        f"d = s.load(r, data_dir={str(prepared_dir)!r}); print(len(d.train),"
        "[m for m in ('tensorflow_datasets', 'sklearn', 'PIL', 'jax') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "50 []"


def damage_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


DAMAGE = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"PK\x03\x04 not really a zip file"),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1000]),
    "one byte changed": damage_middle,
    "stale": lambda path: rewrite_stale(path),
}


def rewrite_stale(path: Path) -> None:
    """A sound copy of another folder, with other pixels."""
    with np.load(path) as file:
        arrays = dict(file)
    arrays["train_images"] = 255 - arrays["train_images"]
    arrays["meta"] = np.array(json.dumps({"of": "another folder", "differing": []}))
    with path.open("wb") as file:
        np.savez(file, **arrays)


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_unusable_decoded_copy_is_made_anew(prepared_dir, no_decoding, damage):
    damage(decoded_copy(prepared_dir))
    assert_holds(load(RECIPE, data_dir=prepared_dir), CONTENTS)
    no_decoding()
    assert_holds(load(RECIPE, data_dir=prepared_dir), CONTENTS)


def test_decoded_copy_that_cannot_be_kept_is_a_warning(prepared_dir, monkeypatch, caplog):
    decoded_copy(prepared_dir).unlink()

    def disk_full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", disk_full)
    assert_holds(load(RECIPE, data_dir=prepared_dir), CONTENTS)
    assert "No space left on device" in caplog.text
    assert not list(prepared_dir.glob("fashion_mnist/decoded*"))


@pytest.mark.parametrize("file_format", ["array_record", "tfrecord"])
def test_folder_prepared_by_a_stock_builder_comes_back_in_raw_order(tmp_path, file_format):
    """Stock builders shuffle by key and, by default, write TFRecords (here converted to)."""
    expected = {
        split: (
            np.frombuffer(CONTENTS[images], np.uint8, offset=16).reshape(-1, 28, 28, 1),
            np.frombuffer(CONTENTS[labels], np.uint8, offset=8),
        )
        for split, (images, labels) in fashion_mnist.FILES.items()
    }

    with tfds.core.registered.skip_registration():

        class FashionMnist(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("3.0.1")

            def _info(self):
                return tfds.core.DatasetInfo(
                    builder=self,
                    features=tfds.features.FeaturesDict(
                        {
                            "image": tfds.features.Image(shape=(28, 28, 1)),
                            "label": tfds.features.ClassLabel(num_classes=10),
                        }
                    ),
                )

            def _split_generators(self, dl_manager):
                return {split: self._generate_examples(*both) for split, both in expected.items()}

            def _generate_examples(self, images, labels):
                for i, (image, label) in enumerate(zip(images, labels, strict=True)):
                    yield i, {"image": builder._png(image), "label": int(label)}

    FashionMnist(data_dir=tmp_path, file_format="array_record").download_and_prepare(
        download_config=tfds.download.DownloadConfig(num_shards=3)
    )
    folder = version_folder(tmp_path)
    stored = tfds.builder_from_directory(folder).as_data_source("train")
    order = [int(example["label"]) for example in stored]
    assert order != expected["train"][1].tolist()  # or this test would show nothing
    if file_format == "tfrecord":
        to_tfrecord(folder)
    dataset = load(RECIPE, data_dir=tmp_path)
    assert_holds(dataset, CONTENTS)
    assert dataset.verified


def to_tfrecord(folder: Path) -> None:
    from array_record.python.array_record_module import ArrayRecordReader

    for path in list(folder.glob("*.array_record-*")):
        reader = ArrayRecordReader(os.fspath(path))
        with path.with_name(path.name.replace("array_record", "tfrecord")).open("wb") as file:
            for record in reader.read_all():
                file.write(framed(record))
        reader.close()
        path.unlink()
    info = folder / "dataset_info.json"
    info.write_text(info.read_text().replace('"array_record"', '"tfrecord"'))


# Interruptions and company


def slow_load(data_dir: Path, raw_dir: Path) -> subprocess.Popen:
    """Another process that loads, taking a second or more over encoding."""
    code = f"""
import sys, time
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from data_helpers import CONTENTS, RECIPE, assert_holds
from imgcls_jax.data.catalog import builder, load
png = builder._png
builder._png = lambda image: time.sleep(0.02) or png(image)
print("ready", flush=True)
dataset = load.load(RECIPE, data_dir={str(data_dir)!r}, raw_dir={str(raw_dir)!r})
assert_holds(dataset, CONTENTS)
"""
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def contents_of(data_dir: Path) -> set[str]:
    return {path.name for path in (data_dir / "fashion_mnist").iterdir()}


COMPLETE = {"3.0.1", "decoded-3.0.1.npz", ".lock"}


def test_killed_preparation_leaves_nothing_that_is_trusted(tmp_path, raw_dir):
    data_dir = tmp_path / "data"
    process = slow_load(data_dir, raw_dir)
    deadline = time.monotonic() + 60
    while not list(data_dir.glob("fashion_mnist/.preparing-*/*/*/*array_record*")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not version_folder(data_dir).exists()
    assert list(data_dir.glob("fashion_mnist/.preparing-*"))
    assert_holds(load(RECIPE, data_dir=data_dir, raw_dir=raw_dir), CONTENTS)
    assert contents_of(data_dir) == COMPLETE


def test_what_a_preparation_killed_after_its_renaming_left_is_swept(prepared_dir):
    """The files that it was made from may be many gigabytes."""
    left = version_folder(prepared_dir).with_name(".preparing-abc")
    (left / "extracted").mkdir(parents=True)
    with lock(left.parent, "prepares beside it"):
        assert_holds(load(RECIPE, data_dir=prepared_dir), CONTENTS)
    assert left.exists()
    assert_holds(load(RECIPE, data_dir=prepared_dir), CONTENTS)
    assert contents_of(prepared_dir) == COMPLETE


@pytest.mark.slow
def test_two_processes_prepare_at_once(tmp_path, raw_dir, no_decoding):
    data_dir = tmp_path / "data"
    processes = [slow_load(data_dir, raw_dir) for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert not any("cannot be prepared" in error for error in errors), errors
    assert contents_of(data_dir) == COMPLETE
    no_decoding()
    assert_holds(load(RECIPE, data_dir=data_dir), CONTENTS)


def test_interrupt_leaves_nothing(tmp_path, raw_dir, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(builder, "_png", raising(KeyboardInterrupt(), after=60))
        with pytest.raises(KeyboardInterrupt):
            load(RECIPE, data_dir=tmp_path / "data", raw_dir=raw_dir)
    assert contents_of(tmp_path / "data") == {".lock"}
    assert_holds(load(RECIPE, data_dir=tmp_path / "data", raw_dir=raw_dir), CONTENTS)


def raising(error: BaseException, *, after: int):
    calls, png = iter(range(after)), builder._png

    def encode(image):
        if next(calls, None) is None:
            raise error
        return png(image)

    return encode


FAILED_WRITES = {
    "python": OSError(errno.ENOSPC, "No space left on device"),
    "array_record": RuntimeError("write() failed: No space left on device; writing x; at byte 7"),
}


@pytest.mark.parametrize("error", FAILED_WRITES.values(), ids=FAILED_WRITES)
def test_full_disk_is_a_warning_and_leaves_nothing(tmp_path, raw_dir, monkeypatch, caplog, error):
    monkeypatch.setattr(builder, "_png", raising(error, after=60))
    dataset = load(RECIPE, data_dir=tmp_path / "data", raw_dir=raw_dir)
    assert_holds(dataset, CONTENTS)
    (warning,) = caplog.messages
    assert "No space left on device" in warning
    assert "\n" not in warning
    assert contents_of(tmp_path / "data") == {".lock"}


def test_unwritable_data_dir_is_a_warning(tmp_path, raw_dir, monkeypatch, caplog):
    def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        dataset = load(RECIPE, data_dir=tmp_path / "data", raw_dir=raw_dir)
    assert_holds(dataset, CONTENTS)
    (warning,) = caplog.messages
    assert str(tmp_path / "data") in warning
    assert "Permission denied" in warning


def test_version_folder_of_other_making_is_not_trusted(tmp_path, raw_dir, caplog):
    folder = version_folder(tmp_path / "data")
    folder.mkdir(parents=True)
    (folder / "fashion_mnist-train.array_record-00000-of-00001").write_bytes(b"half")
    dataset = load(RECIPE, data_dir=tmp_path / "data", raw_dir=raw_dir)
    assert_holds(dataset, CONTENTS)
    assert f"{folder} is there but incomplete, delete it" in caplog.text
