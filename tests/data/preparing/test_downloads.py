"""Files that a builder asks for: at hand, by hand, or from a host."""

import gzip
import http.server
import threading
from hashlib import sha256

import ftp_server
import pytest
import tensorflow_datasets as tfds
from builder_helpers import PHOTOS, URL, builder, read_photos
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.core.utils import Size

from experiments.benchmarks.builders import drawn
from imgcls_jax.data.catalog import download, preparing


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


def test_an_address_with_spaces_is_asked(tmp_path, host):
    url = host.replace("photos", "my photos")
    assert preparing.prepare(builder(tmp_path / "data", url=url)).is_dir()


def test_files_come_by_ftp(tmp_path):
    with ftp_server.serving(Handler.content) as folder:
        made = builder(tmp_path / "data", url=f"{folder}/of/pets/photos.tar.gz")
        assert preparing.prepare(made).is_dir()


def test_nothing_comes_by_ftp(tmp_path, refused, monkeypatch):
    monkeypatch.setattr(download, "STALL_SECONDS", 0.5)
    with ftp_server.serving(None) as folder:
        made = builder(tmp_path / "data", url=f"{folder}/photos.tar.gz")
        said = refused(made, download_dir=tmp_path / "none")
    assert said.startswith("pets cannot be fetched from 127.0.0.1:")
    assert "(timed out): (a) put into" in said


def test_another_file_by_hand_is_refused(tmp_path, downloads, refused):
    made = builder(tmp_path / "data")
    type(made).url_infos = {URL: UrlInfo(Size(3), "0" * 64, "photos.tar.gz")}
    said = refused(made, download_dir=tmp_path / "none", manual_dir=downloads)
    assert f"{downloads / 'photos.tar.gz'} is not the file that TFDS prepares pets from (" in said


@pytest.fixture
def alike(tmp_path):
    """Returns a builder of two archives of one name, and their contents by name of folder."""
    contents = {
        of: drawn.tgz({name: photo for name, photo in PHOTOS.items() if name.startswith(of)})
        for of in ("cat", "dog")
    }
    urls = {of: f"http://127.0.0.1:9/{of}/photos.tar.gz" for of in contents}

    def generate(self, paths):
        for path in paths.values():
            yield from read_photos(self, path)

    made = builder(tmp_path / "data", url=urls, generate=generate)
    type(made).url_infos = {
        urls[of]: UrlInfo(Size(len(content)), sha256(content).hexdigest(), "photos.tar.gz")
        for of, content in contents.items()
    }
    return made, contents


@pytest.mark.parametrize("places", [("cat/", "dog/"), ("", "dog/"), ("cat/", "")])
def test_files_that_are_called_alike_lie_in_folders(tmp_path, alike, places):
    made, contents = alike
    for place, content in zip(places, contents.values(), strict=True):
        path = tmp_path / "files" / place / "photos.tar.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    folder = preparing.prepare(made, download_dir=tmp_path / "files", offline=True)
    read = tfds.builder_from_directory(folder).as_data_source("train")
    assert sorted(int(example["label"]) for example in read) == [0, 0, 0, 1, 1, 1]


def test_files_that_are_called_alike_are_asked_for_by_folder(tmp_path, alike, refused):
    made, contents = alike
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "photos.tar.gz").write_bytes(contents["dog"])
    said = refused(made, download_dir=tmp_path / "files", offline=True)
    assert "/cat/photos.tar.gz as cat/photos.tar.gz, " in said


def test_a_file_that_is_pinned_may_have_any_name(tmp_path, downloads):
    (downloads / "photos.tar.gz").rename(downloads / "photos (1).tar.gz")
    content = (downloads / "photos (1).tar.gz").read_bytes()
    (downloads / "another.tar.gz").write_bytes(bytes(len(content)))
    made = builder(tmp_path / "data")
    type(made).url_infos = {URL: UrlInfo(Size(len(content)), sha256(content).hexdigest(), None)}
    assert preparing.prepare(made, download_dir=downloads, offline=True).is_dir()


def test_a_file_without_a_published_name_keeps_its_own(tmp_path, refused):
    url = "https://drive.google.com/uc?id=1"
    made = builder(tmp_path / "data", url=url)
    type(made).url_infos = {url: UrlInfo(Size(3), "0" * 64, None)}
    said = refused(made, download_dir=tmp_path / "none", offline=True)
    assert f"fetched elsewhere, {url} under the name that it comes with, (b) give" in said
