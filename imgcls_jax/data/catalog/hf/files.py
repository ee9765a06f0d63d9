"""The files of a repository on the Hugging Face Hub: fetched once, and held to their digests."""

import contextlib
import hashlib
import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from imgcls_jax.data.catalog.hf.repository import File, Repository, no_route, place
from imgcls_jax.data.catalog.route import one_line
from imgcls_jax.errors import UserError, printable
from imgcls_jax.files import sha256, whole
from imgcls_jax.files.reading import content
from imgcls_jax.files.typed import load

_CHECKED = "checked.json"


def fetch(repository: Repository, paths: Sequence[str]) -> list[Path]:
    """Returns where files of a repository lie, after fetching those that are not there.

    A download that broke off goes on where it stopped. Each file is held to its digest once, and
    again where it has changed since.

    Raises:
      UserError: the disk has no room, a download fails, or a file is not what the Hub told.
    """
    if repository.folder is not None:
        return [repository.folder / path for path in paths]
    told = {file.path: file for file in repository.files}
    wanted = [told[path] for path in paths]
    missing = [file for file in wanted if _cached(repository, file) is None]
    if missing:
        _announce(repository, missing)
    found = [_cached(repository, file) or _download(repository, file) for file in wanted]
    _check(repository, dict(zip(wanted, found, strict=True)))
    return found


def there(repository: Repository, paths: Iterable[str]) -> bool:
    """Returns whether files of a repository are on this machine."""
    told = {file.path: file for file in repository.files}
    return repository.folder is not None or all(_cached(repository, told[p]) for p in paths)


def _cached(repository: Repository, file: File) -> Path | None:
    import huggingface_hub

    found = huggingface_hub.try_to_load_from_cache(
        repository.name, file.path, revision=repository.commit, repo_type="dataset"
    )
    return Path(found) if isinstance(found, str) else None


def _announce(repository: Repository, missing: Sequence[File]) -> None:
    """Says what is about to be fetched; raises UserError where that is not possible."""
    from huggingface_hub import constants

    if reason := no_route():  # the hub's own client would try for half a minute
        raise UserError(_refusal(repository, missing[0], reason))
    needed = sum(file.size for file in missing)
    said = f"{len(missing)} file{'s' * (len(missing) != 1)}, {needed / 1e6:,.1f} MB"
    place = Path(constants.HF_HUB_CACHE)
    existing = next(path for path in (place, *place.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise UserError(
            f"hf:{repository.name} takes {said}, and {place} has {free / 1e6:,.1f} MB left; make "
            "room, or set HF_HOME to another folder."
        )
    print(f"hf:{repository.name} from the Hugging Face Hub: {said}", file=sys.stderr)


def _download(repository: Repository, file: File) -> Path:
    import huggingface_hub

    try:
        return Path(
            huggingface_hub.hf_hub_download(
                repository.name, file.path, repo_type="dataset", revision=repository.commit
            )
        )
    except Exception as error:  # the client's, of an HTTP library that changes by its release
        raise UserError(_refusal(repository, file, one_line(error))) from error


def _refusal(repository: Repository, file: File, reason: str) -> str:
    return (
        f"{printable(file.path)} of hf:{repository.name} cannot be fetched ({reason}); run again "
        "with the network, which goes on where it stopped, or give `data_dir`, a folder with a "
        "copy of its Parquet files."
    )


def _check(repository: Repository, found: Mapping[File, Path]) -> None:
    """Raises UserError for a file that is not what the Hub told."""
    record = place(repository.name) / _CHECKED
    checked = {}
    with contextlib.suppress(OSError, ValueError):
        checked = load(record, dict[str, list[Any]])
    before = dict(checked)
    for file, path in found.items():
        status = path.stat()
        seen = [status.st_size, status.st_mtime_ns, file.sha256 or file.blob]
        if checked.get(str(path)) == seen:
            continue
        if not _is(file, path):
            raise UserError(
                f"{path} is not what hf:{repository.name} holds at {repository.commit[:12]}, its "
                f"digest is another; delete {path.resolve()} and run again."
            )
        checked[str(path)] = seen
    if checked != before:
        with contextlib.suppress(OSError), whole(record) as partial:
            partial.write_text(json.dumps(checked))


def _is(file: File, path: Path) -> bool:
    """Returns whether a file has the content that the Hub told."""
    if file.sha256:
        return sha256(path) == file.sha256
    held = content(path)
    digest = hashlib.sha1(b"blob %d\0" % len(held), usedforsecurity=False)
    digest.update(held)
    return digest.hexdigest() == file.blob
