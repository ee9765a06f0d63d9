"""The download, against a server on this machine; and the answers where there is none."""

import contextlib
import gzip
import hashlib
import http.server
import socket
import threading
import time

import pytest
import tensorflow_datasets as tfds
from data_helpers import (
    CONTENTS,
    assert_holds,
    assert_holds_cifar,
    cifar_binary,
    cifar_recipe,
    small_recipe,
    version_folder,
    write_tar,
)
from tensorflow_datasets.core.download import checksums

from imgcls_jax.data.catalog import cifar10, download, fashion_mnist, route
from imgcls_jax.data.catalog.load import load as load_recipe
from imgcls_jax.errors import UserError

FILES = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in CONTENTS.items()}


class Server(http.server.ThreadingHTTPServer):
    """Serves FILES under any folder of any host (so it can play the proxy).

    behaviour: "good", "other content", "not found", "unavailable", "mute" (never answers),
    "stalls" (half a file, then nothing) or "trickles" (20 kB per second).
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviour, self.asked, self.released = "good", [], threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/data/"

    def handle_error(self, request, client_address):
        """Clients that gave up are part of the tests."""


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, *, body: bool):
        self.server.asked.append(self.path)
        behaviour = self.server.behaviour
        content = FILES.get(self.path.rsplit("/", 1)[-1])
        if behaviour == "mute":
            self.server.released.wait(30)
            return
        if content is None or (body and behaviour in ("not found", "unavailable")):
            self.send_error(503 if behaviour == "unavailable" else 404)
            return
        if behaviour == "other content":
            content = content[:-1] + b"\xff"
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not body:
            return
        while behaviour == "trickles" and content:
            time.sleep(0.1)
            self.wfile.write(content[:2000])
            content = content[2000:]
        half = len(content) // 2
        self.wfile.write(content[:half])
        self.wfile.flush()
        if behaviour == "stalls":
            self.server.released.wait(30)
        self.wfile.write(content[half:])

    def do_GET(self):
        self.answer(body=True)

    def do_HEAD(self):
        self.answer(body=False)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        pin(monkeypatch, server.url)
        yield server
        server.released.set()
        server.shutdown()


def pin(monkeypatch, url: str) -> None:
    """Pins the digests of FILES at this address as TFDS pins those of the published files."""
    pinned = {
        f"{url}{name}": checksums.UrlInfo(
            size=tfds.core.utils.Size(len(content)),
            checksum=hashlib.sha256(content).hexdigest(),
            filename=name,
        )
        for name, content in FILES.items()
    }
    monkeypatch.setattr(checksums, "get_all_url_infos", lambda: pinned)


def load(data_dir, url: str):
    return load_recipe(small_recipe(CONTENTS, url=url), data_dir=data_dir)


def refused(data_dir, url: str) -> str:
    with pytest.raises(UserError) as error:
        load(data_dir, url)
    assert not version_folder(data_dir).exists()
    message = str(error.value)
    assert "\n" not in message
    return message


def names_the_ways_out(message: str) -> bool:
    ways = "apt-get install dataset-fashion-mnist", "raw_dir", "data_dir", "connect", "digits"
    return all(way in message for way in ways)


def test_download_is_checked_and_prepared(tmp_path, server):
    dataset = load(tmp_path, server.url)
    assert_holds(dataset, CONTENTS)
    assert dataset.verified
    assert "download" in dataset.source
    asked = len(server.asked)
    again = load(tmp_path, server.url)
    assert_holds(again, CONTENTS)
    assert "download" in again.source
    assert len(server.asked) == asked


def test_download_of_an_archive(tmp_path, server, monkeypatch):
    name = "cifar-10-binary.tar.gz"
    archive = write_tar(tmp_path / name, cifar_binary(), folder="cifar-10-batches-bin/")
    monkeypatch.setitem(FILES, name, archive.read_bytes())
    pin(monkeypatch, server.url)
    recipe, data_dir = cifar_recipe(url=server.url), tmp_path / "data"
    for _ in range(2):
        dataset = load_recipe(recipe, data_dir=data_dir)
        assert_holds_cifar(dataset)
        assert dataset.verified
        assert "download" in dataset.source
    assert server.asked.count(f"/data/{name}") == 2  # whether it answers, and for the content
    assert not list(data_dir.rglob("*.bin"))
    server.behaviour = "other content"
    with pytest.raises(UserError, match="not the published data"):
        load_recipe(recipe, data_dir=tmp_path / "anew")


def test_ways_out_where_cifar10_cannot_be_downloaded(tmp_path):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(UserError) as error:
        load_recipe(cifar_recipe(url=f"http://127.0.0.1:{port}/"), data_dir=tmp_path)
    message = str(error.value)
    assert "\n" not in message
    for way in ("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz", "raw_dir", "data_dir"):
        assert way in message


def test_download_through_a_proxy(tmp_path, server, monkeypatch):
    url = "http://data.invalid/"
    pin(monkeypatch, url)
    assert "data.invalid" in refused(tmp_path, url)
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    assert_holds(load(tmp_path, url), CONTENTS)
    assert all(path.startswith(url) for path in server.asked)


def test_other_content_is_refused(tmp_path, server):
    server.behaviour = "other content"
    message = refused(tmp_path, server.url)
    assert "not the published data" in message
    server.behaviour = "good"
    assert_holds(load(tmp_path, server.url), CONTENTS)


@pytest.mark.parametrize(("behaviour", "status"), [("not found", "404"), ("unavailable", "503")])
def test_refusals_of_the_host(tmp_path, server, behaviour, status):
    server.behaviour = behaviour
    message = refused(tmp_path, server.url)
    assert status in message
    assert names_the_ways_out(message)


def test_mute_host(tmp_path, server, monkeypatch):
    server.behaviour = "mute"
    monkeypatch.setattr(route, "_ROUTE_SECONDS", 0.4)
    assert names_the_ways_out(refused(tmp_path, server.url))
    assert not (tmp_path / "downloads").exists()


def test_stalling_download(tmp_path, server, monkeypatch):
    server.behaviour = "stalls"
    monkeypatch.setattr(download, "STALL_SECONDS", 0.3)
    message = refused(tmp_path, server.url)
    assert "timed out" in message
    assert names_the_ways_out(message)


def test_download_that_would_take_hours(tmp_path, server, monkeypatch):
    server.behaviour = "trickles"
    monkeypatch.setattr(download, "STALL_SECONDS", 0.5)
    monkeypatch.setattr(download, "_SLOWEST", 100_000)
    message = refused(tmp_path, server.url)
    assert "kB per second" in message
    assert names_the_ways_out(message)


def test_name_look_up_without_end(tmp_path, monkeypatch):
    assert route._ROUTE_SECONDS < 10
    over = threading.Event()

    def look_up(*args, **kwargs):
        over.wait(30)
        raise socket.gaierror("gave up")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(route, "_ROUTE_SECONDS", 0.2)
    message = refused(tmp_path, "http://data.invalid/")
    over.set()
    assert "no answer within 0.2 seconds" in message
    assert names_the_ways_out(message)


def test_nobody_listens(tmp_path):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    message = refused(tmp_path, f"http://127.0.0.1:{port}/")
    assert "refused" in message
    assert names_the_ways_out(message)


def test_data_dir_without_room_for_the_download(tmp_path, server, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tfds.download.DownloadManager, "download", refuse)
    message = refused(tmp_path, server.url)
    assert str(tmp_path) in message
    assert "No space left on device" in message


@pytest.mark.parametrize(
    "recipe", [fashion_mnist.recipe(), cifar10.recipe()], ids=["fashion_mnist", "cifar10"]
)
def test_the_published_addresses_are_the_pinned_ones(recipe):
    assert recipe.downloads
    pinned = checksums.get_all_url_infos()
    for url in recipe.downloads.values():
        assert url in pinned
