"""What lies in a folder, without what systems and programs leave there; and what is a picture."""

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from imgcls_jax.data.photos import kinds
from imgcls_jax.errors import UserError, printable

LAYOUT = "give a folder that holds one folder of images for each class, in split folders or not"

# Of macOS, Windows, Linux, Synology and QNAP.
_JUNK_NAMES = (
    "__macosx $recycle.bin lost+found thumbs.db ehthumbs.db desktop.ini @eadir #recycle #snapshot "
    "@recycle @recently-snapshot __pycache__"
)
_JUNK = {*_JUNK_NAMES.split(), "system volume information"}
_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
_LABEL_TABLES = (".csv", ".parquet")
_TABLES = (".csv", ".tsv", ".xlsx", ".xls", ".json", ".jsonl", ".parquet")


def is_junk(name: str) -> bool:
    """Says whether a file or folder is hidden or left there by the system."""
    return name.startswith(".") or name.lower() in _JUNK


def entries(folder: Path, ignored: Counter) -> list[os.DirEntry]:
    """Lists a folder, sorted by name, without junk and links that lead nowhere, which are counted.

    Raises:
      UserError: the folder cannot be read, or is a file.
    """
    try:
        with os.scandir(folder) as scanned:
            found = sorted(scanned, key=lambda entry: entry.name)
    except NotADirectoryError as error:
        raise UserError(_refusal_of_file(folder)) from error
    except OSError as error:
        raise UserError(
            f"The folder {printable(folder)} cannot be read ({error.strerror}): {LAYOUT}."
        ) from error
    kept = []
    for entry in found:
        if entry.name.startswith("."):
            ignored["hidden"] += 1
        elif is_junk(entry.name):
            ignored[f"of the system ({printable(entry.name)})"] += 1
        elif entry.is_symlink() and not os.path.exists(entry.path):
            ignored["link that leads nowhere"] += 1
        else:
            kept.append(entry)
    return kept


def _refusal_of_file(path: Path) -> str:
    name, suffix = printable(path), path.suffix.lower()
    if suffix in _ARCHIVES:
        return f"{name} is an archive: unpack it and give the folder that comes out."
    if suffix in _LABEL_TABLES:
        return f"{name} is a table: give it as `label_file`, and the folder of its photos."
    if suffix in _TABLES:
        return f"{name} is a table, and photos are labelled by their folders: {LAYOUT}."
    return f"{name} is a file: {LAYOUT}."


def without_class_folders(
    folder: Path, found: list[os.DirEntry], *, whole: Path | None = None
) -> str:
    """Returns the sentence that refuses a folder without class folders, with what it holds.

    Args:
      whole: the folder that would have them, if this one is a class itself.
    """
    images = sum(is_image(entry) for entry in found)
    archives = [e.name for e in found if e.name.lower().endswith(_ARCHIVES)]
    tables = [e.name for e in found if e.name.lower().endswith(_TABLES)]
    unread = sum(kind(entry).startswith("HEIC") for entry in found)
    name = f"The data folder {printable(folder)} has no class folders"
    if images or unread:
        holds = f"{images + unread:,} photo{'s' * (images + unread != 1)}"
        tabled = [table for table in tables if table.lower().endswith(_LABEL_TABLES)]
        give = f"give `label_file={printable(tabled[0])}`, or " if tabled else ""
        here = f"if it is itself a class, give {printable(whole)}; else " if whole else ""
        return (
            f"{name} but {holds}, whose classes are not known: {here}{give}put those of each class "
            "into a folder of its name."
        )
    if archives:
        return f"{name} but {printable(archives[0])}: unpack that and give the folder it makes."
    return f"{name}: {LAYOUT}."


def some(names: Sequence[str], most: int) -> str:
    """Returns the first names of several, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def class_name(name: str) -> str:
    """Returns the class that a folder's name means: without spaces at its ends, printable.

    macOS decomposes accents in names, other systems do not: both become one spelling.
    """
    composed = unicodedata.normalize("NFC", name)
    return printable(composed.strip() or composed)


def identity(folder: str | Path) -> tuple[int, int]:
    """Returns what tells a folder from all others, whichever links lead to it."""
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def is_image(entry: os.DirEntry) -> bool:
    """Says whether an entry is a file with the name of a picture that can be read here."""
    return kinds.is_picture_name(entry.name) and entry.is_file()


def kind(entry: os.DirEntry) -> str:
    """Returns the reason for which an entry that is no image is passed over."""
    return kind_of_name(entry.name) if entry.is_file() else "neither file nor folder"


def kind_of_name(name: str) -> str:
    """Returns the reason for which a file is passed over that is no image by its name."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix in kinds.HEIC:
        return f"HEIC ({kinds.INSTALL} to read them)"
    return f"not an image ({printable(suffix) or 'no suffix'})"
