"""Writing and reading prepared TFDS folders without TensorFlow.

The stock builders need TensorFlow to unpack archives and to encode images. This one is handed
decoded arrays and yields finished PNG files, which TFDS stores as they are. Name and version are
the stock ones, so `tfds.data_source(name, data_dir=...)` reads what it leaves.

Imported only where needed: tensorflow_datasets costs half a second.
"""

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core import dataset_info
from tqdm.auto import tqdm

from imgcls_jax.data.catalog.folders.tfrecords import TFRecords, offsets
from imgcls_jax.data.dataset import Split

_BATCH = 1000


def write(about: Any, splits: Mapping[str, Split], *, data_dir: Path) -> Path:
    """Writes `data_dir/name/version` as array records, examples in the order given; returns it.

    Args:
      about: a `Recipe`, or whatever has its name, version, description, homepage, citation and
        class names, and the feature "id" of examples if they have one.
    """
    progress = tqdm(
        total=sum(map(len, splits.values())),
        desc=f"Preparing {about.name}",
        unit=" images",
        leave=False,
        disable=None,
    )

    def examples(split_name: str) -> Iterator[tuple[int, dict]]:
        split = splits[split_name]
        for index, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
            progress.update()
            example = {"image": _png(image), "label": int(label)}
            if about.stock_id is not None:
                example["id"] = about.stock_id(split_name, index)
            yield index, example

    make = _builder_class(about, splits["train"].images.shape[1:], list(splits), examples)
    with progress, quiet():
        builder = make(data_dir=data_dir, file_format="array_record")
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(try_download_gcs=False)
        )
    return Path(builder.data_path)


def _builder_class(
    about: Any,
    image_shape: tuple[int, ...],
    split_names: list[str],
    examples: Callable[[str], Iterator[tuple[int, dict]]],
) -> type:
    """Returns a TFDS builder that is handed finished examples by split."""
    features = {
        "image": tfds.features.Image(shape=image_shape),
        "label": tfds.features.ClassLabel(names=about.class_names),
    }
    if about.stock_id is not None:
        features["id"] = tfds.features.Text()

    # Unregistered, or the stock builder of this name could no longer be found.
    with tfds.core.registered.skip_registration():

        class Builder(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version(about.version)

            def _info(self):
                return tfds.core.DatasetInfo(
                    builder=self,
                    description=about.description,
                    homepage=about.homepage,
                    citation=about.citation,
                    features=tfds.features.FeaturesDict(features),
                    supervised_keys=("image", "label"),
                    disable_shuffling=True,
                )

            def _split_generators(self, dl_manager):
                return {split_name: examples(split_name) for split_name in split_names}

            def _generate_examples(self):
                raise NotImplementedError("_split_generators hands out the generators itself")

    Builder.name = about.name
    return Builder


def read(folder: Path, *, key: Callable[[str, int], str]) -> dict[str, Split]:
    """Decodes the train and test splits of a prepared folder, in the order of the raw files.

    Reads array records and TFRecords. A stock builder stores examples sorted by a salted MD5 of
    their keys; that order is undone, so a seed means the same examples whoever prepared the folder.

    Args:
      folder: `data_dir/name/version`.
      key: (split name, index in the raw files) -> the stock builder's key of that example.

    Raises: whatever TFDS, Pillow or NumPy raise on files that are not what they should be.
    """
    builder = tfds.builder_from_directory(folder)
    shuffled = not json.loads((folder / "dataset_info.json").read_text()).get("disableShuffling")
    splits = {}
    for name in ("train", "test"):
        info = builder.info.splits[name]
        records = _records(builder.info.file_format.value, [os.fspath(p) for p in info.filepaths])
        progress = tqdm(
            records,
            total=info.num_examples,
            desc=f"Decoding {builder.name} {name}",
            unit=" images",
            leave=False,
            disable=None,
        )
        examples = [_decode(builder.info.features, record) for record in progress]
        if len(examples) != info.num_examples:
            raise ValueError(f"{len(examples)} {name} records where {info.num_examples} belong")
        images, labels = (np.stack(column) for column in zip(*examples, strict=True))
        if shuffled:
            keys = [f"{name}{key(name, index)}".encode() for index in range(len(labels))]
            order = np.argsort([hashlib.md5(k, usedforsecurity=False).hexdigest() for k in keys])
            images[order], labels[order] = images.copy(), labels.copy()
        splits[name] = Split(images, labels.astype(np.int32))
    return splits


def _png(image: np.ndarray) -> io.BytesIO:
    buffer = io.BytesIO()
    Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(
        buffer, "PNG", compress_level=1
    )
    buffer.seek(0)
    return buffer


def _decode(features: tfds.features.FeaturesDict, record: bytes) -> tuple[np.ndarray, int]:
    # Pillow directly: TFDS' own decoder is slower and warns that OpenCV is not installed.
    example = features.deserialize_example_np(
        record, decoders={"image": tfds.decode.SkipDecoding()}
    )
    image = np.asarray(Image.open(io.BytesIO(example["image"])), np.uint8)
    return image.reshape(features["image"].shape), example["label"]


def _records(file_format: str, paths: list[str]) -> Iterator[bytes]:
    if file_format == "array_record":
        from array_record.python.array_record_data_source import ArrayRecordDataSource

        with ArrayRecordDataSource(paths) as source:
            for start in range(0, len(source), _BATCH):
                stop = min(start + _BATCH, len(source))
                yield from source.__getitems__(range(start, stop))
    elif file_format == "tfrecord":
        files = [Path(path) for path in paths]
        yield from TFRecords(files, [offsets(file) for file in files])
    else:
        raise ValueError(f"records in the format {file_format}, not array_record or tfrecord")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences TFDS, which prints its temporary folder's name and nested bars.

    One bar of ours says more.
    """
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()), leaving_nothing():
            yield
    finally:
        tfds.enable_progress_bar()


@contextlib.contextmanager
def leaving_nothing() -> Iterator[None]:
    """Keeps TFDS from making a temporary folder for every builder, which it would leave behind.

    The folder is for descriptions in the cloud, and is made where there are none, too.
    """
    kind, copy = tfds.core.DatasetInfo, tfds.core.DatasetInfo.initialize_from_bucket

    def copy_if_any(info: tfds.core.DatasetInfo) -> None:
        if dataset_info.gcs_utils.gcs_dataset_info_files(info.full_name):
            copy(info)

    kind.initialize_from_bucket = copy_if_any
    try:
        yield
    finally:
        kind.initialize_from_bucket = copy
