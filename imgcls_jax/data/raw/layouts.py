"""Raw files on disk: finding the published layouts in a folder, and reading one file."""

import dataclasses
import gzip
import io
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imgcls_jax.errors import UserError

AGAIN = "fetch it again or point `raw_dir` at a complete copy"
GZIP_MAGIC = b"\x1f\x8b"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """One published form of the raw files.

    files: their official names.
    folder: the folder that holds them in the published archive; "" where there is no archive.
    archive: the name of that archive, "" where there is none.
    """

    files: tuple[str, ...]
    folder: str = ""
    archive: str = ""


def find(layouts: tuple[Layout, ...], raw_dir: Path) -> Mapping[str, Path]:
    """Finds paths by official name: all files of a layout or, where none is complete, one archive.

    Files may lie in raw_dir or in its subfolder of the published name, with or without .gz.

    Args:
      layouts: the forms to look for, preferred first.
      raw_dir: a folder or, for a data set published as an archive, the archive itself.

    Raises:
      UserError: raw_dir is neither, or holds no layout in full.
    """
    archives = [layout.archive for layout in layouts if layout.archive]
    if raw_dir.is_file() and archives:
        return {archives[0]: raw_dir}  # told apart by its content: a person may rename it
    if not raw_dir.is_dir():
        raise UserError(
            f"`raw_dir={raw_dir}` is not a folder{' and no archive' * bool(archives)}: "
            "give the one with the raw files."
        )
    found = [
        _find(layout.files, folder)
        for layout in layouts
        for folder in dict.fromkeys((raw_dir, raw_dir / layout.folder))
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
        "give a folder that has all of them."
    )


def _find(names: tuple[str, ...], folder: Path) -> dict[str, Path | None]:
    return {
        name: next((p for p in (folder / name, folder / f"{name}.gz") if os.path.exists(p)), None)
        for name in names
    }


def missing(candidates: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the names that are None in the candidate with the fewest such."""
    lacking = [[name for name, found in c.items() if found is None] for c in candidates]
    return min(lacking, key=len)


def read(path: Path, *, limit: int | None = None) -> bytes:
    """Returns the content of a file, unpacked where it begins as a gzip file does.

    Args:
      path: the file; its name says nothing.
      limit: the most bytes that a gzip file may hold, so that a small one cannot fill the memory.

    Raises:
      UserError: it is missing, unreadable, a truncated or damaged gzip file, or holds too much.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: {AGAIN}.") from error
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): make it a readable file or {AGAIN}."
        ) from error
    if not data.startswith(GZIP_MAGIC):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            # One byte too many proves it, and reading on to the end checks the checksum.
            content = file.read(-1 if limit is None else limit + 1)
    except EOFError as error:
        raise UserError(
            f"{path} is truncated (its gzip stream stops after {len(data)} bytes): {AGAIN}."
        ) from error
    except (zlib.error, OSError) as error:
        raise UserError(f"{path} is a damaged gzip file ({error}): {AGAIN}.") from error
    if limit is not None and len(content) > limit:
        raise UserError(f"{path} unpacks to more than the {limit} bytes it may hold: {AGAIN}.")
    return content
