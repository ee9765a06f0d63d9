"""The download manager that a builder is handed: files at hand first, then a route, then bytes.

Imported only where needed: tensorflow_datasets costs half a second.
"""

import contextlib
import os
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import promise
import requests
import tensorflow_datasets as tfds
import tree
from tensorflow_datasets.core.download import checksums, extractor

from imgcls_jax.data.catalog import download
from imgcls_jax.data.catalog.preparing import extraction
from imgcls_jax.errors import UserError, printable

_MOST_NAMED = 4  # files in a message


class Manager(tfds.download.DownloadManager):
    """TFDS' own manager, bounded; it asks a host for an answer before it waits for one.

    A file that somebody put into the download folder or the folder of manual downloads, under its
    published name or that which its address ends in, is taken in place of a download, if it is the
    file that TFDS pins.
    """

    def __init__(
        self,
        *,
        url_infos: Mapping[str, checksums.UrlInfo] | None,
        offline: bool,
        say: Callable[[str], None],
        **others: Any,
    ):
        """Takes the arguments of TFDS' manager, and these.

        Args:
          url_infos: address -> the size and the SHA-256 that its file is held to.
          offline: whether nothing may be downloaded.
          say: is told in a few words what goes on.
        """
        super().__init__(**others)
        # TFDS writes these into the dictionary that all managers share.
        self._url_infos = {**self._url_infos, **(url_infos or {})}
        self._pinned = url_infos or {}
        self._times = Counter(_published(url, of)[0] for url, of in self._pinned.items())
        self._offline, self._say = offline, say
        self._answering: set[str] = set()
        self._wanted: list[str] = []
        self._unpacker = _Unpacker(say)
        self._unpacked, self._folders = self._extract_dir, {}

    @property
    def _extractor(self) -> "_Unpacker":
        return self._unpacker

    @property
    def manual_dir(self) -> Path:
        """Returns the folder of manual downloads.

        Raises:
          UserError: it is missing or empty.
        """
        folder = self._manual_dir
        if not folder.is_dir() or not any(folder.iterdir()):
            raise needs_manual(self._dataset_name, folder, self._manual_dir_instructions)
        return folder

    def download(self, url_or_urls: Any) -> Any:
        self._wanted = [getattr(one, "url", one) for one in tree.flatten(url_or_urls)]
        return super().download(url_or_urls)

    def download_and_extract(self, url_or_urls: Any) -> Any:
        self._wanted = [getattr(one, "url", one) for one in tree.flatten(url_or_urls)]
        return super().download_and_extract(url_or_urls)

    def _download(self, resource: Any) -> promise.Promise:
        """Returns a promise, already kept, of the file; one file at a time.

        Raises:
          UserError: no such file is at hand, and it cannot or may not be downloaded.
        """
        url, name = resource.url, self._names(resource.url)[0]
        if path := self._at_hand(url):
            return promise.Promise.resolve(path)
        if self._offline:
            raise UserError(
                f"{self._dataset_name} is not on this machine, and `offline` forbids to fetch it: "
                f"{self._ways_out(url)}, or (c) connect to the network and run without `offline`."
            )
        host = _host(url)
        self._say(f"asking {host}")
        if host not in self._answering and (reason := download.no_route(url, any_status=True)):
            raise self._unavailable(url, reason)
        self._answering.add(host)
        self._say(f"downloading {name}")
        try:
            # Waited for: after a failure no other download is left that would keep retrying.
            return promise.Promise.resolve(super()._download(resource).get())
        except tfds.download.download_manager.NonMatchingChecksumError as error:
            what = "what it sent is not the file that TFDS pins"
            raise self._unavailable(url, what) from error
        except (requests.RequestException, tfds.download.DownloadError) as error:
            raise self._unavailable(url, download.one_line(error).rstrip(".")) from error

    def _extract(self, resource: Any) -> promise.Promise:
        """Returns a promise of what an archive holds; TFDS tells archives by their names alone."""
        folder = Path(getattr(resource, "path", resource)).parent
        number = self._folders.setdefault(folder, len(self._folders))
        self._extract_dir = self._unpacked / str(number)
        return super()._extract(resource)

    def _unavailable(self, url: str, reason: str) -> UserError:
        return UserError(
            f"{self._dataset_name} cannot be fetched from {_host(url)} "
            f"({reason}): {self._ways_out(url)}, or (c) connect to the network and run again."
        )

    def _at_hand(self, url: str) -> Path | None:
        """Returns the file of an address that somebody put where it is looked for.

        Raises:
          UserError: the file there is not the one that TFDS pins.
        """
        pinned = self._url_infos.get(url)
        places = [folder / name for folder in self._folders_at_hand() for name in self._names(url)]
        for path in (place for place in places if place.is_file()):
            self._say(f"checking {path.name}")
            found = checksums.compute_url_info(path)
            if pinned and found != pinned:
                if found in self._pinned.values():  # of another address that ends alike
                    continue
                what = "its SHA-256 is another"
                if found.size != pinned.size:
                    what = f"{found.size:,} bytes where {pinned.size:,} are pinned"
                raise UserError(
                    f"{printable(path)} is not the file that TFDS prepares {self._dataset_name} "
                    f"from ({what}): fetch {url} again, or take the file away."
                )
            self._register_or_validate_checksums(url=url, url_info=found, path=path)
            return path
        if pinned and (path := self._renamed(pinned)):
            self._register_or_validate_checksums(url=url, url_info=pinned, path=path)
            return path
        return None

    def _renamed(self, pinned: checksums.UrlInfo) -> Path | None:
        """Returns a file of whichever name that is the one pinned: browsers rename."""
        for path in (path for folder in self._folders_at_hand() for path in folder.iterdir()):
            if path.is_file() and path.stat().length == pinned.size:
                self._say(f"checking {path.name}")
                if checksums.compute_url_info(path) == pinned:
                    return path
        return None

    def _folders_at_hand(self) -> list[Path]:
        """Returns where files may lie that somebody fetched by hand."""
        return [one for one in (self._download_dir, self._manual_dir) if one and one.is_dir()]

    def _get_manually_downloaded_path(self, expected_url_info: Any) -> None:
        """Returns nothing: `_at_hand` looks into the folder of manual downloads, too."""

    def _names(self, url: str) -> list[str]:
        """Returns the names that the file of an address may have, the one to tell a person first.

        That is the published name, below the last folder of the address where several files of the
        data set have it.
        """
        names = _published(url, self._url_infos.get(url))
        if self._times[names[0]] > 1:
            *_, above, _ = ("", *urllib.parse.urlsplit(url).path.split("/"))
            names.insert(0, f"{above}/{names[0]}" if above else names[0])
        return names

    def _named(self, url: str) -> str:
        """Returns under which name to put the file of an address, a clause."""
        name = self._names(url)[0]
        # The end of such an address is a service's, and says of which kind the file is as little.
        own = url in self._url_infos and "." not in name
        return "under the name that it comes with" if own else f"as {name}"

    def _ways_out(self, url: str) -> str:
        """Returns what a person can do, a clause that names the files asked for with this one."""
        together = self._wanted if url in self._wanted else [url]
        files = [f"{one} {self._named(one)}" for one in together]
        more = f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else ""
        return (
            f"(a) put into {printable(self._download_dir)}, fetched elsewhere, "
            f"{', '.join(files[:_MOST_NAMED])}{more}, (b) give a TFDS folder prepared elsewhere as "
            "`data_dir` or TFDS_DATA_DIR"
        )


class _Unpacker:
    """Unpacks archives one after another, member by member, within bounds."""

    def __init__(self, say: Callable[[str], None]):
        self._say = say

    @contextlib.contextmanager
    def tqdm(self) -> Iterator[None]:
        yield  # the bar of the preparation says more

    def extract(self, path: Any, method: Any, to_path: Any) -> promise.Promise:
        self._say(f"unpacking {os.path.basename(path)}")
        extraction.unpack(extractor.iter_archive(path, method), Path(to_path))
        return promise.Promise.resolve(to_path)


def _host(url: str) -> str:
    """Returns the host of an address, without the name and the password to be given to it."""
    return urllib.parse.urlsplit(url).netloc.rpartition("@")[2]


def _published(url: str, pinned: checksums.UrlInfo | None) -> list[str]:
    """Returns the name that TFDS pins, if it does, and the one that the address ends in."""
    last = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rstrip("/").rpartition("/")[2])
    names = [pinned.filename if pinned else None, last]
    return [name for name in dict.fromkeys(names) if name] or ["unnamed"]


def needs_manual(name: str, folder: os.PathLike, instructions: str) -> UserError:
    """Returns the error of a data set whose files a person has to fetch."""
    said = " ".join(instructions.split()).rstrip(".")
    return UserError(
        f"{name} needs a manual download into {printable(folder)}, where a file is missing: {said}."
    )
