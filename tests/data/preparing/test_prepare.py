"""The one door: whole or not at all, and every failure in one sentence."""

import errno
import gzip
import http.server
import os
import re
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.core.utils import Size
from tensorflow_datasets.core.utils.lazy_imports_utils import tensorflow as tf

from experiments.benchmarks.builders import drawn
from imgcls_jax.data.catalog import download, preparing, stock
from imgcls_jax.data.catalog.naming import Name
from imgcls_jax.data.catalog.preparing import preparation
from imgcls_jax.errors import UserError

URL = "http://127.0.0.1:9/photos.tar.gz"
PHOTOS = {
    f"{label}/{n}.png": drawn.png(drawn.pixels(np.random.default_rng(n), 8, 8))
    for label in ("cat", "dog")
    for n in range(3)
}


def read_photos(self, path):
    for name in sorted(tf.io.gfile.glob(os.path.join(path, "*", "*.png"))):
        yield name[-9:], {"image": name, "label": name.split(os.sep)[-2]}


def builder(data_dir: Path, *, generate=read_photos, url=URL, manual=None, config=None):
    """Returns a builder of photos of cats and dogs, which come from an address or by hand."""
    with tfds.core.registered.skip_registration():

        class Pets(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.2.0")
            MANUAL_DOWNLOAD_INSTRUCTIONS = manual
            BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=config)] if config else []
            url_infos = None

            def _info(self):
                return tfds.core.DatasetInfo(
                    builder=self,
                    features=tfds.features.FeaturesDict(
                        {
                            "image": tfds.features.Image(),
                            "label": tfds.features.ClassLabel(names=["cat", "dog"]),
                        }
                    ),
                )

            def _split_generators(self, dl_manager):
                path = dl_manager.download_and_extract(url) if url else dl_manager.manual_dir
                return {"train": self._generate_examples(path)}

            def _generate_examples(self, path):
                yield from generate(self, path)

    return Pets(data_dir=data_dir)


@pytest.fixture
def downloads(tmp_path) -> Path:
    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / "photos.tar.gz").write_bytes(gzip.compress(drawn.tar(PHOTOS)))
    return folder


@pytest.fixture
def refused(tmp_path, downloads):
    """Prepares, expects an error of one sentence, and that nothing stays behind; returns it."""

    def refuse(made, **options) -> str:
        with pytest.raises(UserError) as caught:
            preparing.prepare(made, **{"download_dir": downloads, **options})
        assert "\n" not in str(caught.value)
        assert str(caught.value).endswith(".")
        left = [path.name for path in (tmp_path / "data").rglob("*") if path.is_file()]
        assert set(left) <= {".lock"}
        return str(caught.value)

    return refuse


def test_takes_a_file_at_hand_and_leaves_what_tfds_reads(tmp_path, downloads, monkeypatch):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    made = builder(tmp_path / "data")
    folder = preparing.prepare(made, download_dir=downloads, offline=True)
    assert folder == tmp_path / "data" / "pets" / "1.2.0"
    read = tfds.builder_from_directory(folder).as_data_source("train")
    assert sorted(int(example["label"]) for example in read) == [0, 0, 0, 1, 1, 1]
    assert not list(tmp_path.glob("data/**/extracted"))
    assert {path.name for path in folder.parent.iterdir()} == {"1.2.0", ".lock"}
    assert "tensorflow" not in sys.modules


def test_nothing_stays_in_the_folder_of_temporary_files(tmp_path, downloads, monkeypatch):
    """TFDS leaves a folder there for every builder."""
    made, temporary = builder(tmp_path / "data"), tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    preparing.prepare(made, download_dir=downloads, offline=True)
    stock.builder(Name("mnist", None, None), data_dir=tmp_path / "data")
    assert not list(temporary.iterdir())


def test_what_is_prepared_is_not_prepared_again(tmp_path, downloads, monkeypatch):
    made = builder(tmp_path / "data")
    folder = preparing.prepare(made, download_dir=downloads)
    os.remove(downloads / "photos.tar.gz")
    assert preparing.prepare(builder(tmp_path / "data"), offline=True) == folder


def test_configurations_lie_side_by_side(tmp_path, downloads):
    folders = [
        preparing.prepare(builder(tmp_path / "data", config=config), download_dir=downloads)
        for config in ("large", "small")
    ]
    assert folders == [tmp_path / "data/pets" / config / "1.2.0" for config in ("large", "small")]
    assert tfds.builder_from_directory(folders[1]).info.config_name == "small"


class Handler(http.server.BaseHTTPRequestHandler):
    content = gzip.compress(drawn.tar(PHOTOS))
    status = 200

    def do_HEAD(self):  # some hosts answer none
        self.send_error(405)

    def do_GET(self):
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *args):
        pass


@pytest.fixture
def host():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/photos.tar.gz"
    server.shutdown()
    server.server_close()


def test_downloads_and_keeps_the_download(tmp_path, host):
    folder = preparing.prepare(builder(tmp_path / "data", url=host))
    assert (folder / "dataset_info.json").is_file()
    assert [
        path.suffix for path in (tmp_path / "data/downloads").rglob("*photos*") if path.is_file()
    ]


def test_a_download_that_is_refused_is_told(tmp_path, host, refused, monkeypatch):
    monkeypatch.setattr(Handler, "status", 404)
    said = refused(builder(tmp_path / "data", url=host), download_dir=tmp_path / "none")
    assert said.startswith("pets cannot be fetched from 127.0.0.1:")
    assert "404" in said
    assert "(a) put into" in said


def test_other_content_than_pinned_is_told(tmp_path, host, refused):
    made = builder(tmp_path / "data", url=host)
    type(made).url_infos = {host: UrlInfo(Size(len(Handler.content)), "0" * 64, "p.tar.gz")}
    said = refused(made, download_dir=tmp_path / "none")
    assert "(what it sent is not the file that TFDS pins): (a) put into" in said
    assert f"{host} as p.tar.gz, (b)" in said


def test_no_route_is_told_in_time_with_what_to_do(tmp_path, refused):
    said = refused(builder(tmp_path / "data"), download_dir=tmp_path / "none")
    assert said.startswith("pets cannot be fetched from 127.0.0.1:9 (Connection refused): (a) put")
    assert f"into {tmp_path / 'none'}, fetched elsewhere, {URL} as photos.tar.gz, (b) give" in said


def test_offline_asks_nobody(tmp_path, refused, monkeypatch):
    monkeypatch.setattr(download, "no_route", lambda *a, **k: pytest.fail("asked"))
    said = refused(builder(tmp_path / "data"), download_dir=tmp_path / "none", offline=True)
    assert said.startswith("pets is not on this machine, and `offline` forbids to fetch it: (a)")


@pytest.mark.parametrize(
    ("size", "problem"), [(3, "bytes where 3 are pinned"), (None, "its SHA-256 is another")]
)
def test_a_file_at_hand_that_is_another_is_refused(tmp_path, downloads, refused, size, problem):
    made = builder(tmp_path / "data")
    size = (downloads / "photos.tar.gz").stat().st_size if size is None else size
    type(made).url_infos = {URL: UrlInfo(Size(size), "0" * 64, None)}
    said = refused(made)
    assert f"{downloads / 'photos.tar.gz'} is not the file that TFDS prepares pets from (" in said
    assert problem in said


def test_a_manual_download_is_asked_for(tmp_path, refused):
    made = builder(tmp_path / "data", url=None, manual="Register at\n  example.org for photos.")
    said = refused(made, manual_dir=tmp_path / "by_hand")
    assert said == (
        f"pets needs a manual download into {tmp_path / 'by_hand'}, where a file is missing: "
        "Register at example.org for photos."
    )


def test_a_manual_download_of_which_a_file_is_missing(tmp_path, refused):
    def generate(self, path):
        yield 0, {"image": os.path.join(path, "a.png"), "label": 0}

    made = builder(tmp_path / "data", url=None, manual="Put a.png there.", generate=generate)
    (tmp_path / "by_hand").mkdir()
    (tmp_path / "by_hand" / "b.png").touch()
    assert "where a file is missing: Put a.png there." in refused(
        made, manual_dir=tmp_path / "by_hand"
    )


def needs_resize(self, path):
    yield 0, {"image": tf.image.resize(np.zeros((4, 4, 3), np.uint8), (2, 2)), "label": 0}


def needs_16_bits(self, path):
    yield 0, {"image": tf.io.encode_png(np.zeros((2, 2, 3), np.uint16)).numpy(), "label": 0}


def needs_package(self, path):
    import no_such_package  # noqa: F401

    yield 0, {}


def needs_tensorflow_itself(self, path):
    import tensorflow as real

    yield 0, {"image": real.zeros((2, 2, 3)), "label": 0}


def unknown_label(self, path):
    yield 0, {"image": np.zeros((4, 4, 3), np.uint8), "label": "cow"}


def full_disk(self, path):
    raise OSError(errno.ENOSPC, "No space left on device", "/somewhere")
    yield


def no_rights(self, path):
    raise PermissionError(errno.EACCES, "Permission denied", "/somewhere")
    yield


@pytest.mark.parametrize(
    ("generate", "said"),
    [
        (no_rights, r"pets cannot be prepared \(/somewhere: Permission denied\): give folders"),
        (needs_resize, r"pets needs TensorFlow \(tf.image.resize\): prepare it elsewhere"),
        (needs_16_bits, r"pets needs TensorFlow \(tf.io.encode_png of 16-bit colours\): prepare"),
        (needs_tensorflow_itself, r"pets needs TensorFlow \(its builder imports tensorflow\)"),
        (needs_package, "pets needs the Python package no_such_package, which is not installed"),
        (
            unknown_label,
            r"pets cannot be prepared \((KeyError|ValueError): .*cow.*\): the files may",
        ),
        (full_disk, r"pets cannot be prepared \(/somewhere: No space left on device\): give a"),
    ],
)
def test_a_failure_is_one_sentence(tmp_path, refused, monkeypatch, generate, said):
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # as where it is not installed
    assert re.match(said, refused(builder(tmp_path / "data", generate=generate)))


def test_a_tensorflow_that_is_installed_is_not_imported(tmp_path, downloads, monkeypatch):
    (tmp_path / "tensorflow.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert preparing.prepare(builder(tmp_path / "data"), download_dir=downloads, offline=True)


def test_an_interrupt_leaves_nothing(tmp_path, downloads):
    def interrupted(self, path):
        yield next(read_photos(self, path))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        preparing.prepare(builder(tmp_path / "data", generate=interrupted), download_dir=downloads)
    assert {path.name for path in (tmp_path / "data/pets").iterdir()} == {".lock"}


def test_a_folder_of_other_making_is_left_alone(tmp_path, downloads):
    folder = tmp_path / "data/pets/1.2.0"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    made = builder(tmp_path / "data")
    with pytest.raises(UserError, match=r"is there but incomplete, delete it and run again.$"):
        preparing.prepare(made, download_dir=downloads)
    assert (folder / "notes.txt").read_text() == "mine"


def test_one_bar_counts_the_examples(tmp_path, downloads, capsys, monkeypatch):
    bars = []

    class Bar(preparation.tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **{**kwargs, "disable": False, "leave": True})
            bars.append(self)

    monkeypatch.setattr(preparation, "tqdm", Bar)
    preparing.prepare(builder(tmp_path / "data"), download_dir=downloads)
    (bar,) = bars
    assert bar.n == 6
    said = capsys.readouterr()
    assert not said.out
    assert "Preparing pets" in said.err
    assert "unpacking photos.tar.gz" in said.err
