"""The copies on the Hugging Face Hub, played by a server on this machine."""

import functools
import http.server
import io
import threading

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from data_helpers import (
    CIFAR,
    CONTENTS,
    assert_holds,
    assert_holds_cifar,
    cifar_recipe,
    small_recipe,
)
from PIL import Image

from imgcls_jax.data.catalog import cifar10, download, fashion_mnist, hub
from imgcls_jax.data.catalog.load import load
from imgcls_jax.errors import UserError

DATA = {
    split: (
        np.frombuffer(CONTENTS[images], np.uint8, offset=16).reshape(-1, 28, 28),
        np.frombuffer(CONTENTS[labels], np.uint8, offset=8),
    )
    for split, (images, labels) in fashion_mnist.FILES.items()
}


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def write_parquet(path, images, labels, *, column="image", encode=png) -> None:
    """As the library `datasets` writes images, in several row groups."""
    cells = [{"bytes": encode(image), "path": f"{i}.png"} for i, image in enumerate(images)]
    table = pyarrow.table({column: cells, "label": pyarrow.array(np.asarray(labels), "int64")})
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(table, path, row_group_size=7)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def served(tmp_path, monkeypatch):
    """The folder whose files the Hub has, below repository and revision."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    # Of the published address alone: `hub` has the question under a name of its own.
    monkeypatch.setattr(download, "no_route", lambda url: "no route in tests")
    root = tmp_path / "hub"
    handler = functools.partial(Quiet, directory=root)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

        def address(repository, path, *, repo_type, revision):
            assert repo_type == "dataset"
            return f"http://127.0.0.1:{server.server_port}/{repository}/{revision}/{path}"

        monkeypatch.setattr("huggingface_hub.hf_hub_url", address)
        yield root
        server.shutdown()


def folder_of(root, copy):
    folder = root / copy.repository / copy.revision
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("a data set")
    return folder


def write_fashion(root, data=DATA, **options) -> None:
    folder = folder_of(root, fashion_mnist.HUB)
    for split, path in fashion_mnist.HUB.files.items():
        write_parquet(folder / path, *data[split], **options)


def load_fashion(tmp_path):
    return load(small_recipe(CONTENTS, hub=fashion_mnist.HUB), data_dir=tmp_path / "data")


def test_the_copy_is_checked_and_prepared(tmp_path, served, capfd):
    write_fashion(served)
    dataset = load_fashion(tmp_path)
    assert_holds(dataset, CONTENTS)
    assert dataset.verified
    assert "zalando-datasets/fashion_mnist on the Hugging Face Hub" in dataset.source
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "no route in tests" in lines[0]
    assert "Hugging Face Hub: fetched and verified" in lines[1]
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"fashion_mnist"}
    again = load_fashion(tmp_path)
    assert_holds(again, CONTENTS)
    assert not capfd.readouterr().err


def other_pixel(data):
    images, labels = data["train"]
    images = images.copy()
    images[3, 4, 5] ^= 1
    return data | {"train": (images, labels)}


UNUSABLE = {
    "another pixel": (other_pixel(DATA), {}, "not the published data (by digest: train-images"),
    "another order": (
        DATA | {"test": tuple(part[::-1] for part in DATA["test"])},
        {},
        "not the published data (by digest: t10k-images",
    ),
    "fewer": (
        DATA | {"train": tuple(part[:-1] for part in DATA["train"])},
        {},
        "holds 49 examples where 50 belong",
    ),
    "another column": (DATA, {"column": "picture"}, "cannot be read ("),
    "no PNG": (DATA, {"encode": lambda image: b"GIF89a"}, "cannot be read ("),
    "other size": (DATA, {"encode": lambda image: png(image[1:])}, "cannot be read ("),
}


def refused(tmp_path) -> str:
    with pytest.raises(UserError) as error:
        load_fashion(tmp_path)
    message = str(error.value)
    assert "\n" not in message
    assert not (tmp_path / "data" / "fashion_mnist").exists()
    return message


@pytest.mark.parametrize(("data", "options", "expected"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_is_not_the_data_is_not_taken(tmp_path, served, data, options, expected):
    write_fashion(served, data, **options)
    assert expected in refused(tmp_path)


def test_files_that_are_missing_or_no_parquet(tmp_path, served):
    assert "HTTP status 404" in refused(tmp_path)
    folder = folder_of(served, fashion_mnist.HUB)
    assert "HTTP status 404 for" in refused(tmp_path)
    path = folder / fashion_mnist.HUB.files["train"]
    path.parent.mkdir()
    path.write_bytes(b"<!DOCTYPE html>")
    assert "train-00000-of-00001.parquet cannot be read (" in refused(tmp_path)


def test_a_file_without_end_is_given_up(tmp_path, served, monkeypatch):
    write_fashion(served)
    monkeypatch.setattr(hub, "_MOST_BYTES", 1000)
    assert "sends more than 1000 bytes" in refused(tmp_path)


def test_a_file_that_would_take_hours_is_given_up(tmp_path, served, monkeypatch):
    write_fashion(served)
    monkeypatch.setattr(download, "STALL_SECONDS", 0)
    monkeypatch.setattr(download, "_SLOWEST", 10**12)
    assert "kB per second" in refused(tmp_path)


def test_no_answer_and_a_hub_that_is_switched_off(tmp_path, served, monkeypatch):
    monkeypatch.setattr(hub, "no_route", lambda url: "no answer within 8 seconds")
    assert "Hugging Face Hub: no answer within 8 seconds" in refused(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "Hugging Face Hub: HF_HUB_OFFLINE is set" in refused(tmp_path)


@pytest.mark.parametrize("order", [(1, 2, 3, 4, 5), (4, 3, 2, 5, 1)])
def test_cifar10_comes_back_in_the_order_of_its_batches(tmp_path, served, order):
    folder = folder_of(served, cifar10.HUB)
    batches = {"train": [f"data_batch_{number}" for number in order], "test": ["test_batch"]}
    for split, path in cifar10.HUB.files.items():
        labels, pixels = (np.concatenate([CIFAR[n][i] for n in batches[split]]) for i in (0, 1))
        images = np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        write_parquet(folder / path, images, labels, column="img")
    dataset = load(cifar_recipe(hub=cifar10.HUB), data_dir=tmp_path / "data")
    assert_holds_cifar(dataset)
    assert dataset.verified
