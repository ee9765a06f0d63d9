"""A data set's repository on the Hugging Face Hub: what is in it, as the Hub tells it.

What the Hub told is recorded below `files.cache_folder()`, and the files lie in the Hub's own cache
(HF_HOME), so that a data set that is there needs no network: a name without a revision means the
commit that this machine met first, until `@main` asks the Hub again.
"""

import contextlib
import dataclasses
import json
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from absl import logging

from imgcls_jax.data.catalog import route
from imgcls_jax.errors import UserError, printable
from imgcls_jax.files import cache_folder, whole
from imgcls_jax.files.typed import load

CONVERTED = "refs/convert/parquet"  # where the Hub itself puts what it converts to Parquet
_COMMIT = re.compile("[0-9a-f]{40}")
_ANSWER_SECONDS = 20


class _File(TypedDict):
    path: str
    size: int
    sha256: str
    blob: str


class _Told(TypedDict):
    name: str
    commit: str | None
    files: list[_File]
    card: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class File:
    """A file as the Hub tells it.

    Attributes:
      path: in the repository.
      size: in bytes.
      sha256: of its content; "" for a small file, which is no LFS file.
      blob: its git object's name, a SHA-1.
    """

    path: str
    size: int
    sha256: str
    blob: str


@dataclasses.dataclass(frozen=True)
class Repository:
    """A data set's repository at one commit.

    Attributes:
      name: OWNER/NAME.
      commit: None for a copy in a folder.
      files: the Parquet files.
      card: the metadata at the head of its README.
      folder: where the copy lies; None for files in the Hub's cache.
    """

    name: str
    commit: str | None
    files: tuple[File, ...]
    card: Mapping[str, Any]
    folder: Path | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(file.path for file in self.files)

    @property
    def homepage(self) -> str:
        return f"https://huggingface.co/datasets/{self.name}"


def in_folder(name: str, folder: Path) -> Repository:
    """Returns a repository of which a copy lies in a folder.

    Raises:
      UserError: there is no such folder, or no Parquet file in it.
    """
    found = sorted(path for path in folder.rglob("*.parquet") if path.is_file())
    inner = [path.relative_to(folder) for path in found]
    paths = [path.as_posix() for path in inner if not any(p.startswith(".") for p in path.parts)]
    if not paths:
        raise UserError(
            f"`data_dir={printable(folder)}` holds no Parquet file; give a folder with a copy of "
            f"{name}, or leave it out to fetch the data set from the Hub."
        )
    files = tuple(File(path, (folder / path).stat().st_size, "", "") for path in paths)
    return Repository(name, None, files, _card(folder / "README.md"), folder)


def ask(name: str, revision: str | None, *, offline: bool) -> Repository:
    """Returns what the Hub tells of a repository, or told before; see the top of this file.

    Raises:
      UserError: within ten seconds where nothing is known and the Hub does not answer; there is no
        such repository or revision, it needs an agreement, or it has no Parquet file.
    """
    record = place(name) / f"{urllib.parse.quote(revision or 'first', safe='')}.json"
    known = _read(record)
    settled = revision is None or _COMMIT.fullmatch(revision)
    if known is not None and (settled or offline):
        return known
    reason = "`offline` forbids to fetch it" if offline else no_route()
    if reason and known is not None:
        return known
    if reason:
        raise UserError(
            f"hf:{name} is not on this machine, and {reason}: connect to the network and run "
            "again, or give `data_dir`, a folder with a copy of its Parquet files."
        )
    found = _told(name, revision)
    try:
        with whole(record) as partial:
            partial.write_text(json.dumps(dataclasses.asdict(found)))
    except OSError as error:
        logging.warning("%s cannot be recorded (%s).", record, error.strerror or error)
    return found


def place(name: str) -> Path:
    """Returns the folder of what is recorded of a repository."""
    return cache_folder() / "hub" / name.replace("/", "--")


def _card(path: Path) -> dict[str, Any]:
    """Returns the metadata at the head of a README, {} where there is none that can be read."""
    import huggingface_hub

    try:
        card = huggingface_hub.DatasetCard.load(path, ignore_metadata_errors=True)
        return card.data.to_dict()
    except Exception:  # a missing file, YAML's own errors
        return {}


def _read(record: Path) -> Repository | None:
    try:
        told = load(record, _Told)
    except (OSError, ValueError):
        return None
    files = tuple(
        File(**{name: of[name] for name in _File.__annotations__}) for of in told["files"]
    )
    return Repository(told["name"], told["commit"], files, told["card"])


def no_route() -> str | None:
    """Returns why the Hub does not answer, as a clause; None where it does."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    reason = route.no_route(constants.ENDPOINT, any_status=True)
    return reason and f"{constants.ENDPOINT} does not answer ({reason})"


def _told(name: str, revision: str | None) -> Repository:
    info = _info(name, revision)
    card = info.card_data.to_dict() if info.card_data else {}
    if revision is None and not _parquet(info):
        with contextlib.suppress(UserError):
            info = _info(name, CONVERTED)
    files = _parquet(info)
    if not files:
        raise UserError(
            f"hf:{name} has no Parquet files{f' at {revision}' if revision else ''}, and the Hub "
            "has converted none; choose another data set, or fetch its images and give them as "
            "folders."
        )
    return Repository(name, info.sha, files, json.loads(json.dumps(card, default=str)))


def _parquet(info: Any) -> tuple[File, ...]:
    return tuple(
        File(
            sibling.rfilename,
            sibling.size or 0,
            sibling.lfs.sha256 if sibling.lfs else "",
            sibling.blob_id or "",
        )
        for sibling in info.siblings or ()
        if sibling.rfilename.endswith(".parquet")
    )


def _info(name: str, revision: str | None) -> Any:
    import huggingface_hub
    from huggingface_hub import errors

    try:
        return huggingface_hub.HfApi().dataset_info(
            name, revision=revision, files_metadata=True, timeout=_ANSWER_SECONDS
        )
    except errors.GatedRepoError as error:
        raise UserError(
            f"hf:{name} is given only to those who accept its terms: do so at "
            f"https://huggingface.co/datasets/{name}, log in by 'hf auth login', and run again."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise UserError(
            f"hf:{name} has no revision {printable(revision or 'main')}; give a branch, tag or "
            "commit of it, or leave out @ and what follows."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise UserError(
            f"the Hub has no data set {name}, or not for everybody{_alike(name)}; write "
            "hf:OWNER/NAME as its page has it, or log in by 'hf auth login'."
        ) from error
    except Exception as error:  # the client's, of an HTTP library that changes by its release
        raise UserError(
            f"the Hub does not tell what hf:{name} is ({route.one_line(error)}); run again "
            "later, or give `data_dir`, a folder with a copy of its Parquet files."
        ) from error


def _alike(name: str) -> str:
    """Returns a clause with data sets of such a name, empty where there are none."""
    import huggingface_hub

    with contextlib.suppress(Exception):
        found = huggingface_hub.HfApi().list_datasets(search=name.split("/")[-1], limit=3)
        if ids := [printable(info.id) for info in found]:
            return f" (names like it: {', '.join(ids)})"
    return ""
