"""A small data set that TFDS prepared, which several test files read."""

import shutil

import prepared_helpers as prepared
import pytest
import tensorflow_datasets as tfds
from prepared_helpers import IMAGES, LABELS, prepare


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("IMGCLS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """TFDS folder with tiny/plain, which has every kind of split."""
    root = tmp_path_factory.mktemp("tfds")
    parts = {"train": slice(0, 20), "validation": slice(20, 24), "test": slice(24, 30)}
    splits = {name: (IMAGES[of], LABELS[of]) for name, of in parts.items()}
    species = tfds.features.ClassLabel(num_classes=2), lambda: 1
    mask = tfds.features.Image(shape=(None, None, 1)), lambda: prepared.png(prepared.pixels(1)[0])
    more = {"species": species, "mask": mask, "file": (tfds.features.Text(), lambda: "a.png")}
    prepare(root, splits, config="plain", more=more)
    return root


@pytest.fixture
def root(made, tmp_path):
    """A copy of it, to change."""
    return shutil.copytree(made, tmp_path / "tfds")
