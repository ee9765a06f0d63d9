"""Downloading through TFDS' own download manager with its pinned digests, in bounded time."""

import contextlib
import http.client
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from imgcls_jax.data.catalog.recipe import Recipe
from imgcls_jax.errors import UserError

_ROUTE_SECONDS = 8  # for the whole question whether the host answers, name look-up included
_STALL_SECONDS = 20  # without a single byte


def fetch(recipe: Recipe, data_dir: Path) -> dict[str, Path]:
    """Downloads the raw files into `data_dir/downloads`; returns their paths by official name.

    Raises:
      UserError: within 10 seconds where the host does not answer; later where a download stalls,
        is refused or has another digest than the one TFDS pins.
      OSError: data_dir cannot be written.
    """
    first_url = next(iter(recipe.downloads.values()))
    if reason := no_route(first_url):
        raise _unreachable(recipe, reason)

    import requests
    import tensorflow_datasets as tfds

    downloads = data_dir / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    manager = tfds.download.DownloadManager(
        download_dir=downloads, dataset_name=recipe.name, force_checksums_validation=True
    )
    try:
        with _bounded_requests():
            # One by one: after a failure no other thread is left that would keep retrying.
            return {name: Path(manager.download(url)) for name, url in recipe.downloads.items()}
    except tfds.download.download_manager.NonMatchingChecksumError as error:
        raise UserError(
            f"What {_host(first_url)} sent for {recipe.name} is not the published data (its "
            f"SHA-256 differs from the pinned one): try another network, or {recipe.ways_out}."
        ) from error
    except (requests.RequestException, tfds.download.DownloadError) as error:
        raise _unreachable(recipe, _one_line(error)) from error


def _unreachable(recipe: Recipe, reason: str) -> UserError:
    host = _host(next(iter(recipe.downloads.values())))
    return UserError(
        f"{recipe.name} is not on this machine and cannot be downloaded from {host} ({reason}): "
        f"{recipe.ways_out}, or (c) connect to the network and run again "
        "(--dataset=digits needs no download)."
    )


def no_route(url: str) -> str | None:
    """Why the address does not answer, or None where it does; proxies as the environment says.

    TFDS itself would retry for minutes. A thread, because a name look-up has no time-out of its
    own; a daemon, so that one left behind does not keep the program from ending.
    """
    answer = [f"no answer within {_ROUTE_SECONDS} seconds"]

    def ask():
        request = urllib.request.Request(url, method="HEAD")
        try:
            # Not urlopen, which remembers the proxies of its first call.
            with urllib.request.build_opener().open(request, timeout=_ROUTE_SECONDS / 2):
                answer[0] = None
        except urllib.error.HTTPError as error:
            answer[0] = f"HTTP status {error.code}"
        except (OSError, ValueError, http.client.HTTPException) as error:
            answer[0] = _one_line(getattr(error, "reason", error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_ROUTE_SECONDS)
    return answer[0]


@contextlib.contextmanager
def _bounded_requests() -> Iterator[None]:
    """TFDS sends requests without time-out and retries each ten times: here 20 seconds and once."""
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    send = HTTPAdapter.send

    def bounded_send(self, request, **kwargs):
        self.max_retries = Retry(total=1, backoff_factor=0.2)
        return send(self, request, **{**kwargs, "timeout": _STALL_SECONDS})

    HTTPAdapter.send = bounded_send
    try:
        yield
    finally:
        HTTPAdapter.send = send


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).netloc


def _one_line(error: object) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
