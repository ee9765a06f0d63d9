"""The sources that data is fetched from: their order, what is said, what is taken."""

import dataclasses

import numpy as np
import pytest
from data_helpers import CONTENTS, RECIPE, assert_holds, small_recipe, version_folder

from imgcls_jax import data
from imgcls_jax.data import Split
from imgcls_jax.data.catalog import debian, download, fashion_mnist, hub
from imgcls_jax.data.catalog.load import load
from imgcls_jax.errors import UserError

EVERYWHERE = small_recipe(CONTENTS, hub=fashion_mnist.HUB, debian=fashion_mnist.DEBIAN)
GOOD = {
    split: Split(
        np.frombuffer(CONTENTS[images], np.uint8, offset=16).reshape(-1, 28, 28, 1),
        np.frombuffer(CONTENTS[labels], np.uint8, offset=8).astype(np.int32),
    )
    for split, (images, labels) in fashion_mnist.FILES.items()
}
OTHER = GOOD | {"test": dataclasses.replace(GOOD["test"], labels=GOOD["test"].labels[::-1].copy())}


@pytest.fixture
def sources(monkeypatch):
    """What each source gives: an error to raise or splits; and the list of those asked."""
    gives = {"address": None, "hub": None, "debian": None}
    asked = []

    def source(name):
        def fetch(*arguments):
            asked.append(name)
            if isinstance(gives[name], Exception):
                raise gives[name]
            return gives[name]

        return fetch

    monkeypatch.setattr(download, "fetch", source("address"))
    monkeypatch.setattr(hub, "fetch", source("hub"))
    monkeypatch.setattr(debian, "fetch", source("debian"))
    monkeypatch.setattr(debian, "exists", lambda: True)
    gives["address"] = download.Unavailable("nobody answers")
    return gives, asked


def test_each_is_tried_in_turn_and_says_what_came_of_it(tmp_path, sources, capfd):
    gives, asked = sources
    gives |= {"hub": OTHER, "debian": GOOD}
    dataset = load(EVERYWHERE, data_dir=tmp_path)
    assert asked == ["address", "hub", "debian"]
    assert_holds(dataset, CONTENTS)
    assert dataset.verified
    out, err = capfd.readouterr()
    assert not out
    lines = err.splitlines()
    assert [line.split(": ", 1)[0] for line in lines] == [
        "fashion_mnist from fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "fashion_mnist from the copy zalando-datasets/fashion_mnist on the Hugging Face Hub",
        "fashion_mnist from the Debian package dataset-fashion-mnist",
    ]
    assert lines[0].endswith("nobody answers")
    assert lines[1].endswith("not the published data (by digest: t10k-labels-idx1-ubyte)")
    assert lines[2].endswith("fetched and verified in 0 s")
    load(EVERYWHERE, data_dir=tmp_path)
    assert len(asked) == 3


def test_the_first_that_has_it_is_the_last_that_is_asked(tmp_path, sources):
    gives, asked = sources
    gives["hub"] = GOOD
    assert_holds(load(EVERYWHERE, data_dir=tmp_path), CONTENTS)
    assert asked == ["address", "hub"]


def test_when_all_fail_one_sentence_names_each(tmp_path, sources):
    gives, _ = sources
    gives |= {"hub": OTHER, "debian": UserError("its folder lacks files.")}
    with pytest.raises(UserError) as error:
        load(EVERYWHERE, data_dir=tmp_path)
    message = str(error.value)
    for words in (
        "amazonaws.com: nobody answers; ",
        "on the Hugging Face Hub: not the published data",
        "the Debian package dataset-fashion-mnist: its folder lacks files)",
        "apt-get install",
        "raw_dir",
        "TFDS_DATA_DIR",
        "digits",
    ):
        assert words in message
    assert "--" not in message
    assert "\n" not in message
    assert not version_folder(tmp_path).exists()


def test_a_folder_that_cannot_be_written_ends_it(tmp_path, sources):
    gives, asked = sources
    gives |= {"hub": download.Unavailable("silent"), "debian": OSError(28, "No space left")}
    with pytest.raises(UserError) as error:
        load(EVERYWHERE, data_dir=tmp_path)
    assert f"data_dir={tmp_path}` (No space left)" in str(error.value)
    assert asked == ["address", "hub", "debian"]


@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10"])
def test_offline_asks_nobody(tmp_path, sources, monkeypatch, name):
    _, asked = sources
    monkeypatch.setattr(fashion_mnist, "recipe", lambda: EVERYWHERE)
    with pytest.raises(UserError) as error:
        data.load(name, data_dir=tmp_path, offline=True)
    message = str(error.value)
    assert message.startswith(f"{name} is not on this machine, and `offline` forbids")
    assert "\n" not in message
    assert not asked
    assert not list(tmp_path.iterdir())


def test_offline_loads_what_is_there(prepared_dir, sources):
    _, asked = sources
    assert_holds(load(RECIPE, data_dir=prepared_dir, offline=True), CONTENTS)
    assert not asked


def test_offline_is_a_flag(tmp_path, sources, monkeypatch, fmnist_main):
    _, asked = sources
    monkeypatch.setattr(fashion_mnist, "recipe", lambda: EVERYWHERE)
    folders = f"--data_dir={tmp_path / 'data'}", f"--workdir={tmp_path / 'run'}"
    status, _, err = fmnist_main("--offline", *folders)
    assert status == 1
    assert err.startswith("error: fashion_mnist is not on this machine, and ")
    assert "offline" in err
    assert not asked
