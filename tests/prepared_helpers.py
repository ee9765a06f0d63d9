"""Small data sets that TFDS itself prepares, as array records, and their copies as TFRecords."""

import io
import json
import struct
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_data_source import ArrayRecordDataSource
from PIL import Image

NAMES = ("ant", "bee", "cow")


def pixels(count: int, shape=(8, 6, 3), *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


IMAGES, LABELS = pixels(30), np.arange(30) % 3


def png(image: np.ndarray) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(file, "PNG")
    file.seek(0)
    return file


def prepare(
    root: Path,
    splits,
    *,
    name="tiny",
    version="1.0.0",
    config=None,
    shape=(8, 6, 3),
    more=None,
    keys=("image", "label"),
    num_shards=2,
) -> Path:
    """Prepares `root/name[/config]/version`.

    Args:
      splits: name -> (images, labels); images of any shape where `shape` has None.
      more: further features, name -> (feature, () -> value of an example).
    """
    more = more or {}

    def examples(images, labels):
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            told = {key: value() for key, (_, value) in more.items()}
            yield (
                number,
                {
                    "image": png(image) if isinstance(image, np.ndarray) else image,
                    "label": int(label),
                }
                | told,
            )

    with tfds.core.registered.skip_registration():

        class Tiny(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version(version)

            def _info(self):
                features = {
                    "image": tfds.features.Image(shape=shape),
                    "label": tfds.features.ClassLabel(names=NAMES),
                } | {key: feature for key, (feature, _) in more.items()}
                return tfds.core.DatasetInfo(
                    builder=self,
                    features=tfds.features.FeaturesDict(features),
                    supervised_keys=keys,
                    homepage="https://tiny.example/",
                    citation="Tiny (2020)",
                    license="MIT",
                    disable_shuffling=True,
                )

            def _split_generators(self, manager):
                return {split: examples(*of) for split, of in splits.items()}

            def _generate_examples(self):
                raise NotImplementedError

    Tiny.name = name
    if config:
        Tiny.BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=config, version=version)]
    builder = Tiny(data_dir=root, config=config, file_format="array_record")
    shards = tfds.download.DownloadConfig(try_download_gcs=False, num_shards=num_shards)
    builder.download_and_prepare(download_config=shards)
    return Path(builder.data_path)


def one_split(root, count=30, name="train", **more):
    return prepare(root, {name: (IMAGES[:count], LABELS[:count])}, **more)


def assert_same(split, rows):
    np.testing.assert_array_equal(split.images, IMAGES[rows])
    np.testing.assert_array_equal(split.labels, LABELS[rows])


def prepare_plain(root: Path) -> None:
    """Prepares tiny/plain, which has every kind of split and features beside image and label."""
    parts = {"train": slice(0, 20), "validation": slice(20, 24), "test": slice(24, 30)}
    splits = {name: (IMAGES[of], LABELS[of]) for name, of in parts.items()}
    species = tfds.features.ClassLabel(num_classes=2), lambda: 1
    mask = tfds.features.Image(shape=(None, None, 1)), lambda: png(pixels(1)[0])
    more = {"species": species, "mask": mask, "file": (tfds.features.Text(), lambda: "a.png")}
    prepare(root, splits, config="plain", more=more)


def as_tfrecords(folder: Path) -> Path:
    """Puts TFRecords in place of the array records of a prepared folder."""
    for path in sorted(folder.glob("*.array_record-*")):
        source = ArrayRecordDataSource([str(path)])
        records = [source[index] for index in range(len(source))]
        target = path.with_name(path.name.replace("array_record", "tfrecord"))
        target.write_bytes(b"".join(map(framed, records)))
        path.unlink()
    return told(folder, fileFormat="tfrecord")


def told(folder: Path, **changes) -> Path:
    """Changes what `dataset_info.json` tells; None takes an entry out."""
    file = folder / "dataset_info.json"
    content = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: of for key, of in content.items() if of is not None}))
    return folder


def framed(record: bytes) -> bytes:
    """Frames a record as TensorFlow writes it."""
    length = struct.pack("<Q", len(record))
    return length + _masked_crc(length) + record + _masked_crc(record)


def _masked_crc(data: bytes) -> bytes:
    """Returns the CRC-32C (Castagnoli), turned and with a constant added, as TFRecords have it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
