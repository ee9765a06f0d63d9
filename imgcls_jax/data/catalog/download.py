"""Downloading through TFDS' own download manager with its pinned digests, in bounded time."""

import contextlib
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from imgcls_jax.data.catalog.route import no_route, one_line

STALL_SECONDS = 20  # without a single byte
_SLOWEST = 20_000  # bytes per second after as many seconds: 30 MB would take half an hour


class Published(Protocol):
    """What is to be downloaded, such as a `Recipe`: its name, and an address of each raw file."""

    name: str
    downloads: Mapping[str, str]


class Unavailable(Exception):
    """A source that has no data to give; the message says why, in a clause."""


def fetch(recipe: Published, data_dir: Path) -> dict[str, Path]:
    """Downloads the raw files into `data_dir/downloads`; returns their paths by official name.

    Raises:
      Unavailable: within 10 seconds where the host does not answer; later where a download stalls,
        is refused or has another digest than the one TFDS pins.
      OSError: data_dir cannot be written.
    """
    first_url = next(iter(recipe.downloads.values()))
    if reason := no_route(first_url):
        raise Unavailable(reason)

    import requests
    import tensorflow_datasets as tfds

    downloads = data_dir / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    manager = tfds.download.DownloadManager(
        download_dir=downloads, dataset_name=recipe.name, force_checksums_validation=True
    )
    try:
        with bounded_requests():
            # One by one: after a failure no other thread is left that would keep retrying.
            return {name: Path(manager.download(url)) for name, url in recipe.downloads.items()}
    except tfds.download.download_manager.NonMatchingChecksumError as error:
        raise Unavailable(
            "what it sent is not the published data, its SHA-256 is not the pinned one"
        ) from error
    except (requests.RequestException, tfds.download.DownloadError) as error:
        raise Unavailable(one_line(error)) from error


@contextlib.contextmanager
def bounded_requests() -> Iterator[None]:
    """Limits the downloads of TFDS: 20 seconds without an answer, one retry, and no slow downloads.

    TFDS sends its requests without a time-out, retries each ten times, and accepts an answer
    however slowly it comes; what it fetches by FTP has no time-out either.
    """
    from requests.adapters import HTTPAdapter
    from tensorflow_datasets.core.download import downloader
    from urllib3.util.retry import Retry

    send, open_ftp = HTTPAdapter.send, downloader._open_with_urllib

    def bounded_send(self, request, **kwargs):
        self.max_retries = Retry(total=1, backoff_factor=0.2)
        response = send(self, request, **{**kwargs, "timeout": STALL_SECONDS})
        chunks = response.iter_content
        response.iter_content = lambda *args, **kwargs: hurried(chunks(*args, **kwargs))
        return response

    HTTPAdapter.send, downloader._open_with_urllib = bounded_send, _opened
    try:
        yield
    finally:
        HTTPAdapter.send, downloader._open_with_urllib = send, open_ftp


@contextlib.contextmanager
def _opened(url: str, **_: object) -> Iterator[tuple[Any, Iterable[bytes]]]:
    """Opens an address such as one of FTP; yields the answer and the chunks of its content.

    Raises:
      requests.ConnectionError: nothing came for 20 seconds, or too little.
    """
    import requests

    def told(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except OSError as error:
            raise requests.ConnectionError(one_line(getattr(error, "reason", error))) from error

    # Not urlopen, which remembers the proxies of its first call.
    opener = urllib.request.build_opener()
    with told(lambda: opener.open(url, timeout=STALL_SECONDS)) as response:
        yield response, hurried(iter(lambda: told(lambda: response.read(2**16)), b""))


def hurried(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the chunks of a download, unless they come so slowly that another source is better.

    Raises:
      requests.ConnectionError: fewer than 20 kB per second came, once 20 seconds are over.
    """
    import requests

    started, received = time.monotonic(), 0
    for chunk in chunks:
        received += len(chunk)
        seconds = time.monotonic() - started
        if seconds > STALL_SECONDS and received < _SLOWEST * seconds:
            raise requests.ConnectionError(f"only {received / seconds / 1000:.1f} kB per second")
        yield chunk


def host(recipe: Published) -> str:
    """Returns the host that the raw files are downloaded from."""
    return urllib.parse.urlsplit(next(iter(recipe.downloads.values()))).netloc
