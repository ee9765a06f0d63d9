"""Archives read within bounds: no member outside the folder, no link, no endless content.

Stands in for the readers of `tensorflow_datasets.core.download.extractor`, which follow links and
unpack whatever comes. As there, hidden files and back-ups (`.name`, `name~`) are passed over.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from imgcls_jax.data.catalog.preparing import gfile
from imgcls_jax.errors import UserError, printable

# As large unpacked as packed, the size that TFDS pins; text, which packs best, comes to about 10.
_MOST_TIMES = 30
_ALWAYS = 2**26  # bytes that may come of an archive however small
_OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile)
_PACKING_DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)

Source = str | os.PathLike | BinaryIO
Members = Iterator[tuple[str, BinaryIO]]


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Puts these readers in the place of those of TFDS, in this process, while it is open."""
    from tensorflow_datasets.core.download import extractor
    from tensorflow_datasets.core.download.resource import ExtractMethod as Method

    table = extractor._EXTRACT_METHODS
    before = dict(table)
    table.update(
        {
            Method.BZIP2: _reader(_packed(bz2.open)),
            Method.GZIP: _reader(_packed(gzip.open)),
            Method.TAR: _reader(_tar),
            Method.TAR_GZ: _reader(_tar),
            Method.TAR_GZ_STREAM: _reader(_tar),
            Method.TAR_STREAM: _reader(_tar),
            Method.ZIP: _reader(_zip),
        }
    )
    try:
        yield
    finally:
        table.clear()
        table.update(before)


def unpack(members: Members, folder: Path) -> None:
    """Writes the members into a folder, or as the file of that name where there is one, unnamed.

    Raises:
      OSError: it cannot be written.
    """
    for name, file in members:
        path = folder / name if name else folder
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as copy:
            shutil.copyfileobj(file, copy, 2**20)


def _reader(read: Callable[[BinaryIO, str, int], Members]) -> Callable[[Source], Members]:
    """Returns a reader that takes a path or an open file, as those of TFDS do."""

    def members(source: Source) -> Members:
        with contextlib.ExitStack() as stack:
            is_path = isinstance(source, str | os.PathLike)
            file = stack.enter_context(gfile.GFile(source, "rb")) if is_path else source
            name = printable(source) if is_path else "an archive within an archive"
            try:
                yield from read(file, name, _most_bytes(file))
            except _DAMAGE as error:
                raise _damaged(name, error) from error

    return members


def _most_bytes(file: BinaryIO) -> int:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return _MOST_TIMES * size + _ALWAYS


def _refused(archive: str, problem: str) -> UserError:
    return UserError(f"{archive} is refused: {problem}; fetch it again from its publisher.")


def _damaged(archive: str, error: Exception) -> UserError:
    return UserError(
        f"{archive} is truncated, damaged or of another kind ({error}): delete it, and fetch it "
        "again from its publisher."
    )


class _Bounded(io.RawIOBase):
    """A decompressed stream that ends in a UserError past a position."""

    def __init__(self, stream: Any, archive: str, most: int):
        self._stream, self._archive, self._most = stream, archive, most

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and offset > self._most:
            raise self._too_large()
        return self._stream.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read(len(buffer))
        except _PACKING_DAMAGE as error:
            raise _damaged(self._archive, error) from error
        if self._stream.tell() > self._most:
            raise self._too_large()
        buffer[: len(data)] = data
        return len(data)

    def _too_large(self) -> UserError:
        return _refused(self._archive, f"it unpacks to more than {self._most / 1e6:,.0f} MB")


def _decompressed(file: BinaryIO, archive: str, most: int) -> BinaryIO:
    start = file.read(6)
    file.seek(0)
    opener = next((to for magic, to in _OPENERS.items() if start.startswith(magic)), None)
    stream = _Bounded(opener(file) if opener else file, archive, most)
    return io.BufferedReader(stream, 2**16)


def _packed(opener: Callable[[BinaryIO], BinaryIO]) -> Callable[..., Members]:
    def members(file: BinaryIO, archive: str, most: int) -> Members:
        yield "", io.BufferedReader(_Bounded(opener(file), archive, most), 2**16)

    return members


def _tar(file: BinaryIO, archive: str, most: int) -> Members:
    with tarfile.open(fileobj=_decompressed(file, archive, most), mode="r:") as tar:
        for member in tar:
            name = _place(archive, member.name)
            if member.issym() or member.islnk():
                raise _refused(archive, f"its member {printable(member.name)} is a link")
            if member.isfile() and name:
                yield name, tar.extractfile(member)


def _zip(file: BinaryIO, archive: str, most: int) -> Members:
    with zipfile.ZipFile(file) as packed:
        if sum(member.file_size for member in packed.infolist()) > most:
            raise _refused(archive, f"it unpacks to more than {most / 1e6:,.0f} MB")
        for member in packed.infolist():
            name = _place(archive, member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise _refused(archive, f"its member {printable(member.filename)} is a link")
            if name and not member.is_dir():
                yield name, _opened(packed, member, archive)


def _opened(packed: zipfile.ZipFile, member: zipfile.ZipInfo, archive: str) -> BinaryIO:
    try:
        stream = packed.open(member)
    except Exception as error:  # an offset that is none, a password, an unknown compression
        raise _damaged(archive, error) from error
    return io.BufferedReader(_Bounded(stream, archive, member.file_size), 2**16)


def _place(archive: str, name: str) -> str | None:
    """Returns a member's path in the folder; None for one that TFDS passes over.

    Raises:
      UserError: it lies outside the folder.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or path.drive:
        raise _refused(archive, f"its member {printable(name)} lies outside the archive's folder")
    place = os.path.normpath(name)
    hidden = place.startswith(".") or os.path.basename(place).startswith(".")
    return None if hidden or place.endswith("~") else place
