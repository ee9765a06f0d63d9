"""Raw files, prepared folders and their decoded copies, on small stand-ins for Fashion-MNIST."""

import errno
import gzip
import hashlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from test_data_idx import images_bytes, labels_bytes

from imgcls_jax import data
from imgcls_jax.data import fashion_mnist, idx, sources, tfds_builder
from imgcls_jax.errors import UserError

COUNTS = {"train": 50, "test": 20}
REAL = Path("/usr/share/datasets/fashion-mnist")


def raw_contents(seed: int = 0, counts=COUNTS) -> dict[str, bytes]:
    """The four raw files, uncompressed, by official name."""
    rng, contents = np.random.default_rng(seed), {}
    for split, (images, labels) in fashion_mnist.FILES.items():
        contents[images] = images_bytes(rng.integers(0, 256, (counts[split], 28, 28), np.uint8))
        contents[labels] = labels_bytes(rng.integers(0, 10, counts[split]))
    return contents


def write_raw(folder: Path, contents: dict[str, bytes], *, gzipped: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        if gzipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
        else:
            (folder / name).write_bytes(content)
    return folder


def small_recipe(contents: dict[str, bytes], counts=COUNTS, **changes):
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    return fashion_mnist.recipe(counts=counts, **{"md5": md5, "raw_dirs": (), **changes})


def assert_holds(dataset: data.Dataset, contents: dict[str, bytes]) -> None:
    for split, (images, labels) in fashion_mnist.FILES.items():
        got = getattr(dataset, split)
        pixels = np.frombuffer(contents[images], np.uint8, offset=16)
        np.testing.assert_array_equal(got.images, pixels.reshape(-1, 28, 28, 1))
        np.testing.assert_array_equal(
            got.labels, np.frombuffer(contents[labels], np.uint8, offset=8)
        )


CONTENTS = raw_contents()
RECIPE = small_recipe(CONTENTS)


@pytest.fixture(scope="session")
def prepared_once(tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared")
    raw_dir = write_raw(root / "raw", CONTENTS)
    dataset = sources.load(RECIPE, data_dir=root / "data", raw_dir=raw_dir)
    shutil.rmtree(raw_dir)
    assert_holds(dataset, CONTENTS)
    assert str(raw_dir) in dataset.source
    assert dataset.verified
    return root / "data"


@pytest.fixture
def prepared_dir(prepared_once, tmp_path):
    """A private copy of a data_dir prepared from raw files that are gone since."""
    return shutil.copytree(prepared_once, tmp_path / "prepared")


@pytest.fixture
def raw_dir(tmp_path):
    return write_raw(tmp_path / "raw", CONTENTS)


@pytest.fixture
def no_decoding(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("decoded PNG files although a good decoded copy exists")

    return lambda: monkeypatch.setattr(tfds_builder, "read", refuse)


def version_folder(data_dir: Path) -> Path:
    return data_dir / "fashion_mnist" / "3.0.1"


def decoded_copy(data_dir: Path) -> Path:
    return data_dir / "fashion_mnist" / "decoded-3.0.1.npz"


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
    dataset = sources.load(RECIPE, data_dir=prepared_dir)
    assert_holds(dataset, CONTENTS)
    assert dataset.verified
    assert str(version_folder(prepared_dir)) in dataset.source
    assert "made from the raw files in" in dataset.source


def test_warm_load_imports_nothing_heavy(prepared_dir):
    code = (
        "import sys; import imgcls_jax.data.sources as s;"
        "from imgcls_jax.data import fashion_mnist;"
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
    assert_holds(sources.load(RECIPE, data_dir=prepared_dir), CONTENTS)
    no_decoding()
    assert_holds(sources.load(RECIPE, data_dir=prepared_dir), CONTENTS)


def test_decoded_copy_that_cannot_be_kept_is_a_warning(prepared_dir, monkeypatch, caplog):
    decoded_copy(prepared_dir).unlink()

    def disk_full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", disk_full)
    assert_holds(sources.load(RECIPE, data_dir=prepared_dir), CONTENTS)
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
                    yield i, {"image": tfds_builder._png(image), "label": int(label)}

    FashionMnist(data_dir=tmp_path, file_format="array_record").download_and_prepare(
        download_config=tfds.download.DownloadConfig(num_shards=3)
    )
    folder = version_folder(tmp_path)
    stored = tfds.builder_from_directory(folder).as_data_source("train")
    order = [int(example["label"]) for example in stored]
    assert order != expected["train"][1].tolist()  # or this test would show nothing
    if file_format == "tfrecord":
        to_tfrecord(folder)
    dataset = sources.load(RECIPE, data_dir=tmp_path)
    assert_holds(dataset, CONTENTS)
    assert dataset.verified


def to_tfrecord(folder: Path) -> None:
    from array_record.python.array_record_module import ArrayRecordReader

    for path in list(folder.glob("*.array_record-*")):
        reader = ArrayRecordReader(os.fspath(path))
        with path.with_name(path.name.replace("array_record", "tfrecord")).open("wb") as file:
            for record in reader.read_all():
                file.write(struct.pack("<QI", len(record), 0) + record + struct.pack("<I", 0))
        reader.close()
        path.unlink()
    info = folder / "dataset_info.json"
    info.write_text(info.read_text().replace('"array_record"', '"tfrecord"'))


# What is verified


def test_other_content_is_a_warning_and_stays_unverified(tmp_path, raw_dir, caplog):
    other = raw_contents(seed=1)
    name = "t10k-labels-idx1-ubyte"
    path = raw_dir / f"{name}.gz"
    path.write_bytes(gzip.compress(other[name]))
    contents = CONTENTS | {name: other[name]}
    data_dir = tmp_path / "data"
    for stage in ("raw", "prepared", "decoded anew"):
        if stage == "decoded anew":
            decoded_copy(data_dir).unlink()
        caplog.clear()
        dataset = sources.load(
            RECIPE, data_dir=data_dir, raw_dir=raw_dir if stage == "raw" else None
        )
        assert_holds(dataset, contents)
        assert not dataset.verified
        (warning,) = caplog.messages
        assert (str(path) if stage == "raw" else name) in warning
        assert "\n" not in warning
    record = json.loads((version_folder(data_dir) / "imgcls_jax.json").read_text())
    assert record["verified"] is False
    assert record["differing"] == [name]


def test_given_raw_dir_wins_over_a_prepared_folder(prepared_dir, tmp_path):
    other = raw_contents(seed=2)
    raw = write_raw(tmp_path / "other", other, gzipped=False)
    dataset = sources.load(RECIPE, data_dir=prepared_dir, raw_dir=raw)
    assert_holds(dataset, other)
    assert not dataset.verified
    assert_holds(sources.load(RECIPE, data_dir=prepared_dir), CONTENTS)


def test_default_raw_folders_are_tried_in_turn(tmp_path, raw_dir):
    incomplete = write_raw(tmp_path / "incomplete", {"train-images-idx3-ubyte": b"x"})
    recipe = small_recipe(CONTENTS, raw_dirs=(tmp_path / "absent", incomplete, raw_dir))
    dataset = sources.load(recipe, data_dir=tmp_path / "data")
    assert_holds(dataset, CONTENTS)
    assert str(raw_dir) in dataset.source


def test_data_dir_defaults_as_in_tfds(prepared_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared_dir))
    assert_holds(sources.load(RECIPE), CONTENTS)
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.move(prepared_dir, tmp_path / "tensorflow_datasets")
    assert_holds(sources.load(RECIPE), CONTENTS)


# Interruptions and company


def slow_load(data_dir: Path, raw_dir: Path) -> subprocess.Popen:
    """Another process that loads, taking a second or more over encoding."""
    code = f"""
import sys, time
sys.path.insert(0, {os.path.dirname(__file__)!r})
from test_data_sources import RECIPE, CONTENTS, assert_holds, sources, tfds_builder
png = tfds_builder._png
tfds_builder._png = lambda image: time.sleep(0.02) or png(image)
print("ready", flush=True)
dataset = sources.load(RECIPE, data_dir={str(data_dir)!r}, raw_dir={str(raw_dir)!r})
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
    assert_holds(sources.load(RECIPE, data_dir=data_dir, raw_dir=raw_dir), CONTENTS)
    assert contents_of(data_dir) == COMPLETE


def test_two_processes_prepare_at_once(tmp_path, raw_dir, no_decoding):
    data_dir = tmp_path / "data"
    processes = [slow_load(data_dir, raw_dir) for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert not any("cannot be prepared" in error for error in errors), errors
    assert contents_of(data_dir) == COMPLETE
    no_decoding()
    assert_holds(sources.load(RECIPE, data_dir=data_dir), CONTENTS)


def test_interrupt_leaves_nothing(tmp_path, raw_dir, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(tfds_builder, "_png", raising(KeyboardInterrupt(), after=60))
        with pytest.raises(KeyboardInterrupt):
            sources.load(RECIPE, data_dir=tmp_path / "data", raw_dir=raw_dir)
    assert contents_of(tmp_path / "data") == {".lock"}
    assert_holds(sources.load(RECIPE, data_dir=tmp_path / "data", raw_dir=raw_dir), CONTENTS)


def raising(error: BaseException, *, after: int):
    calls, png = iter(range(after)), tfds_builder._png

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
    monkeypatch.setattr(tfds_builder, "_png", raising(error, after=60))
    dataset = sources.load(RECIPE, data_dir=tmp_path / "data", raw_dir=raw_dir)
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
        dataset = sources.load(RECIPE, data_dir=tmp_path / "data", raw_dir=raw_dir)
    assert_holds(dataset, CONTENTS)
    (warning,) = caplog.messages
    assert str(tmp_path / "data") in warning
    assert "Permission denied" in warning


def test_version_folder_of_other_making_is_not_trusted(tmp_path, raw_dir, caplog):
    folder = version_folder(tmp_path / "data")
    folder.mkdir(parents=True)
    (folder / "fashion_mnist-train.array_record-00000-of-00001").write_bytes(b"half")
    dataset = sources.load(RECIPE, data_dir=tmp_path / "data", raw_dir=raw_dir)
    assert_holds(dataset, CONTENTS)
    assert f"{folder} is there but incomplete, delete it" in caplog.text


# Bad input


def fails_with(expected: str, **folders) -> str:
    with pytest.raises(UserError) as error:
        sources.load(folders.pop("recipe", RECIPE), **folders)
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
