"""Reading known files out of a tar archive into memory: nothing is ever unpacked onto the disk."""

import gzip
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from imgcls_jax.data.raw.layouts import AGAIN, GZIP_MAGIC
from imgcls_jax.errors import UserError
from imgcls_jax.files import reading

_OTHER_BYTES = 2**20  # for headers and for members that nobody wants, such as a readme


def read(path: Path, *, limits: Mapping[str, int]) -> dict[str, bytes]:
    """Returns the contents of the wanted members that the archive has, in one pass.

    Args:
      path: a tar archive, gzipped or not.
      limits: wanted member, such as "folder/file" -> the most bytes it may have.

    Raises:
      UserError: it is unreadable, truncated, damaged or no tar archive, has a member that is a
        link or a device or lies outside the archive's folder, or is larger than all limits allow.
    """
    contents = {}
    try:
        with reading.opened(path) as file:
            packed = file.read(2) == GZIP_MAGIC
            file.seek(0)
            stream = _Bounded(gzip.GzipFile(fileobj=file) if packed else file, path, limits)
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    name = _safe_name(path, member)
                    if name not in limits or member.isdir():
                        continue
                    if member.size > limits[name] or name in contents:
                        raise UserError(
                            f"{path} is refused: its {name} "
                            f"{'is there twice' if name in contents else 'is far too large'}; "
                            "fetch the archive again from its publisher."
                        )
                    contents[name] = archive.extractfile(member).read()
            while stream.read(2**16):  # to gzip's check sum at the very end
                pass
    except (EOFError, ValueError, gzip.BadGzipFile, zlib.error, tarfile.TarError) as error:
        raise UserError(
            f"{path} is truncated, damaged or no tar archive ({error}): {AGAIN}."
        ) from error
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): make it a readable file or {AGAIN}."
        ) from error
    return contents


def _safe_name(archive: Path, member: tarfile.TarInfo) -> str:
    """Returns the member's normalised name; UserError unless a plain file or folder inside."""
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        problem = "lies outside the archive's folder"
    elif member.issym() or member.islnk():
        problem = "is a link"
    elif not (member.isdir() or member.type in (tarfile.REGTYPE, tarfile.AREGTYPE)):
        problem = "is neither a file nor a folder"
    else:
        return str(name)
    raise UserError(
        f"{archive} is refused: its member {member.name!r} {problem}, as none does in the "
        "published archive; fetch it again from its publisher."
    )


class _Bounded:
    """A stream that ends in a UserError before it can fill the memory."""

    def __init__(self, stream: BinaryIO, path: Path, limits: Mapping[str, int]):
        self._stream, self._path = stream, path
        self._left = sum(limits.values()) + _OTHER_BYTES

    def read(self, size: int) -> bytes:
        data = self._stream.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise UserError(
                f"{self._path} is refused: it unpacks to far more than the published archive; "
                "fetch it again from its publisher."
            )
        return data
