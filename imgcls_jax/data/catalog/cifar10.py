"""CIFAR-10 (Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images")."""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from imgcls_jax.data.catalog.recipe import HubCopy, Recipe, Splits
from imgcls_jax.data.dataset import Split
from imgcls_jax.data.raw import cifar
from imgcls_jax.data.raw.cifar import BINARY, LAYOUTS, PIXELS, PYTHON

BATCHES = {"train": cifar.TRAIN, "test": cifar.TEST}
# Of the files of the binary layout, as Apache MXNet pins them in gluon/data/vision/datasets.py.
SHA1 = {
    "data_batch_1": "aadd24acce27caa71bf4b10992e9e7b2d74c2540",
    "data_batch_2": "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795",
    "data_batch_3": "1dd00a74ab1d17a6e7d73e185b69dbf31242f295",
    "data_batch_4": "aab85764eb3584312d3c7f65fd2fd016e36a258e",
    "data_batch_5": "26e2849e66a845b7f1e4614ae70f4889ae604628",
    "test_batch": "67eb016db431130d61cd03c7ad570b013799c88c",
}
# Of the labels alone, one byte each: they tell batches apart even where some pixels differ.
LABELS_SHA1 = {
    "data_batch_1": "4660ea95a9527fbf2ca2975c3e84e5923d762e7c",
    "data_batch_2": "870a9b533daf576759b077902663899011af8f45",
    "data_batch_3": "8152fa16b27a917a1f06a1a9c98451422b012a92",
    "data_batch_4": "64a586efcdd2e8bb16674ccafa3ba5f0ef4f2541",
    "data_batch_5": "4c94d92dd0db5ca6d042b239821c752297bcee25",
    "test_batch": "7f416532c1a04077b0160beabea50e2811c8ddd7",
}
URL = "https://www.cs.toronto.edu/~kriz/"


HUB = HubCopy(
    repository="uoft-cs/cifar10",
    revision="0b2714987fa478483af9968de7c934580d0bb9a2",
    files={split: f"plain_text/{split}-00000-of-00001.parquet" for split in BATCHES},
    image="img",
    label="label",
    shape=(32, 32, 3),
)


def recipe(
    *,
    batch_size: int = 10_000,
    sha1: Mapping[str, str] = SHA1,
    labels_sha1: Mapping[str, str] = LABELS_SHA1,
    url: str = URL,
    hub: HubCopy | None = HUB,
) -> Recipe:
    """Builds the recipe of CIFAR-10; the arguments make small stand-ins with the same file layout.

    The data is verified where each batch, written in the binary layout, has the published digest:
    content decides, so both layouts, archives, downloads and folders that TFDS prepared are held
    to the same digests.
    """
    in_raw_order = functools.partial(_in_raw_order, batch_size=batch_size, labels_sha1=labels_sha1)
    return Recipe(
        name="cifar10",
        version="3.0.2",
        description=(
            "CIFAR-10: 60,000 colour 32x32 images in ten classes, 50,000 to train on and 10,000 "
            "to test on."
        ),
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        citation=(
            "@techreport{krizhevsky2009learning, title={Learning Multiple Layers of Features from "
            "Tiny Images}, author={Krizhevsky, Alex}, institution={University of Toronto}, "
            "year={2009}}"
        ),
        class_names=cifar.CLASS_NAMES,
        counts={split: len(batches) * batch_size for split, batches in BATCHES.items()},
        layouts=LAYOUTS,
        downloads={BINARY.archive: f"{url}{BINARY.archive}"},
        ways_out=(
            f"(a) give {BINARY.archive}, {PYTHON.archive} or a folder unpacked from either as "
            "`raw_dir`, (b) give a TFDS folder prepared elsewhere as `data_dir` or TFDS_DATA_DIR"
        ),
        hub=hub and dataclasses.replace(hub, in_raw_order=in_raw_order),
        read_raw=functools.partial(_read_raw, batch_size=batch_size, labels_sha1=labels_sha1),
        differing=functools.partial(_differing, sha1=sha1),
        stock_key=lambda split, index: str(index),
        stock_id=lambda split, index: f"{split}_{index:05d}",
    )


def _read_raw(
    paths: Mapping[str, Path], *, batch_size: int, labels_sha1: Mapping[str, str]
) -> Splits:
    records = cifar.read(paths, batch_size=batch_size, labels_sha1=labels_sha1)
    return {
        split: _split([records[batch] for batch in batches]) for split, batches in BATCHES.items()
    }


def _split(batches: list[np.ndarray]) -> Split:
    """Turns records (N, 3073) of each batch into images (sum of N, 32, 32, 3)."""
    images = np.empty((sum(map(len, batches)), 32 * 32, 3), np.uint8)
    start = 0
    for records in batches:
        planes = records[:, 1:].reshape(-1, 3, 32 * 32)
        for channel in range(3):  # three times as fast as one transposed copy
            images[start : start + len(records), :, channel] = planes[:, channel]
        start += len(records)
    labels = np.concatenate([records[:, 0] for records in batches])
    return Split(images.reshape(-1, 32, 32, 3), labels.astype(np.int32))


def _in_raw_order(splits: Splits, *, batch_size: int, labels_sha1: Mapping[str, str]) -> Splits:
    """Returns the splits with the training batches in their order, which a copy may not keep.

    Batches are known by their labels. Splits in which one is missing stay as they are.
    """
    train = splits["train"]
    starts = {}
    for start in range(0, len(train), batch_size):
        labels = train.labels[start : start + batch_size].astype(np.uint8)
        starts[hashlib.sha1(labels, usedforsecurity=False).hexdigest()] = start
    order = [starts.get(labels_sha1[batch]) for batch in BATCHES["train"]]
    if None in order:
        return splits
    indices = np.concatenate([np.arange(start, start + batch_size) for start in order])
    return {**splits, "train": Split(train.images[indices], train.labels[indices])}


def _differing(splits: Splits, *, sha1: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the batches whose file in the binary layout, made anew, has another SHA-1."""
    differing = []
    for split, batches in BATCHES.items():
        per_batch = zip(
            batches,
            np.split(splits[split].images, len(batches)),
            np.split(splits[split].labels, len(batches)),
            strict=True,
        )
        for batch, images, labels in per_batch:
            records = np.empty((len(labels), 1 + PIXELS), np.uint8)
            records[:, 0] = labels
            records[:, 1:] = images.transpose(0, 3, 1, 2).reshape(-1, PIXELS)
            if hashlib.sha1(records, usedforsecurity=False).hexdigest() != sha1[batch]:
                differing.append(batch)
    return tuple(differing)
