"""Raw files on disk: finding the published layouts in a folder, and reading one file."""

import contextlib
import dataclasses
import gzip
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from imgcls_jax.errors import UserError
from imgcls_jax.files import reading

AGAIN = "fetch it again or point `raw_dir` at a complete copy"
GZIP_MAGIC = b"\x1f\x8b"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """One published form of the raw files.

    files: their official names.
    called: what all of them are called in messages.
    folder: the folder that holds them in the published archive; "" where there is no archive.
    elsewhere: other folders that hold them where programs unpack or download them.
    archive: the name of that archive, "" where there is none.
    remark: a sentence about data in this form that is not the published; "" for none.
    """

    files: tuple[str, ...]
    called: str
    folder: str = ""
    elsewhere: tuple[str, ...] = ()
    archive: str = ""
    remark: str = ""


def find(layouts: tuple[Layout, ...], raw_dir: Path) -> Mapping[str, Path]:
    """Finds paths by official name: all files of a layout or, where none is complete, one archive.

    Files may lie in raw_dir, in its subfolder of the published name or where other programs put
    them, with or without .gz, in a folder of their own name as Kaggle's archives have them, or with
    a dot in their names as 7-Zip writes them (`train-images.idx3-ubyte`).

    Args:
      layouts: the forms to look for, preferred first.
      raw_dir: a folder or, for a data set published as an archive, the archive itself.

    Raises:
      UserError: raw_dir is neither, or holds no layout in full.
    """
    archives = [layout.archive for layout in layouts if layout.archive]
    if raw_dir.is_file() and raw_dir.suffix.lower() == ".zip":
        raise UserError(
            f"`raw_dir={raw_dir}` is a zip archive: unpack it and give the folder that comes out; "
            f"accepted are {_accepted(layouts)}."
        )
    if raw_dir.is_file() and archives:
        return {archives[0]: raw_dir}  # told apart by its content: a person may rename it
    if not raw_dir.is_dir():
        raise UserError(
            f"`raw_dir={raw_dir}` is not a folder{' and no archive' * bool(archives)}: "
            "give the one with the raw files."
        )
    found = [
        _find(layout.files, raw_dir / folder)
        for layout in layouts
        for folder in dict.fromkeys(("", layout.folder, *layout.elsewhere))
    ]
    for paths in found:
        if None not in paths.values():
            return paths
    for name in archives:
        if (raw_dir / name).is_file():
            return {name: raw_dir / name}
    raise UserError(
        f"`raw_dir={raw_dir}` lacks {', '.join(missing(found))} (with or without .gz)"
        f"{' and has no ' * bool(archives)}{' or '.join(archives)}: "
        f"give a folder that has all of them; accepted are {_accepted(layouts)}."
    )


def remark(layouts: Sequence[Layout], paths: Mapping[str, Path]) -> str:
    """Returns the remark of the layout whose files `find` found, "" for an archive."""
    return next((of.remark for of in layouts if paths.keys() == set(of.files)), "")


def _accepted(layouts: Sequence[Layout]) -> str:
    return " or ".join(layout.called for layout in layouts)


def _find(names: tuple[str, ...], folder: Path) -> dict[str, Path | None]:
    return {name: _file(name, folder) for name in names}


def _file(name: str, folder: Path) -> Path | None:
    dotted = name.replace("-idx", ".idx")
    spelled = dict.fromkeys((name, f"{name}.gz", dotted, f"{dotted}.gz"))
    inner = (folder / outer / one for outer in (name, dotted) for one in spelled)
    possible = (*(folder / one for one in spelled), *inner)
    there = [path for path in possible if os.path.exists(path)]
    # A folder of that name is told by its reader, unless it holds the file.
    return next((path for path in there if not path.is_dir()), there[0] if there else None)


def missing(candidates: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the names that are None in the candidate that has most of its own."""
    most = max(candidates, key=lambda c: sum(found is not None for found in c.values()))
    return [name for name, found in most.items() if found is None]


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """Opens a file to read its content, unpacked where it begins as a gzip file does.

    Only as much is unpacked as is read; at the end gzip's checksum is compared.

    Args:
      path: the file; its name says nothing.

    Raises:
      UserError: here or while it is read: it is missing, unreadable, or a truncated or damaged gzip
        file.
    """
    try:
        with reading.opened(path) as file:
            packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            file.seek(0)
            yield gzip.GzipFile(fileobj=file) if packed else file
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: {AGAIN}.") from error
    except EOFError as error:
        raise UserError(
            f"{path} is truncated (its gzip stream stops after {os.path.getsize(path)} bytes): "
            f"{AGAIN}."
        ) from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path} is a damaged gzip file ({error}): {AGAIN}.") from error
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): make it a readable file or {AGAIN}."
        ) from error


def read(path: Path, *, limit: int) -> bytes:
    """Returns the content of a file, see `unpacked`.

    Args:
      limit: the most bytes that it may have, so that a small gzip file cannot fill the memory.

    Raises:
      UserError: as `unpacked`, or it has more.
    """
    with unpacked(path) as file:
        content = file.read(limit + 1)  # one byte too many proves it
    if len(content) > limit:
        raise UserError(f"{path} has more than the {limit} bytes it may hold: {AGAIN}.")
    return content
