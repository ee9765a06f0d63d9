"""Archives: known members come out, whatever could do harm is refused."""

import gzip
import io
import tarfile

import pytest
from data_helpers import write_tar
from hypothesis import given, settings
from hypothesis import strategies as st

from imgcls_jax.data.raw import tar
from imgcls_jax.errors import UserError

FILES = {"folder/a": b"first" * 100, "folder/b": b"second"}
LIMITS = {"folder/a": 1000, "folder/b": 1000, "folder/absent": 1000}


def refused(path) -> str:
    with pytest.raises(UserError) as error:
        tar.read(path, limits=LIMITS)
    message = str(error.value)
    assert message.startswith(str(path))
    assert message.endswith(".")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("folder", ["", "./"])
def test_reads_the_wanted_members(tmp_path, mode, folder):
    members = {"folder/readme.html": b"x" * 5000} | FILES | {"other/a": b"third"}
    path = write_tar(tmp_path / "x", members, folder=folder, mode=mode)
    before = set(tmp_path.iterdir())
    assert tar.read(path, limits=LIMITS) == FILES
    assert set(tmp_path.iterdir()) == before


def write_member(path, name: str, kind: bytes = tarfile.REGTYPE, target: str = ""):
    """An archive with FILES and one member more, of any name and kind."""
    write_tar(path, FILES, mode="w")
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info, io.BytesIO())
    return path


HARMFUL = {
    "absolute": ("/etc/passwd", tarfile.REGTYPE, "lies outside the archive's folder"),
    "parent": ("../a", tarfile.REGTYPE, "lies outside"),
    "parent within": ("folder/../../a", tarfile.REGTYPE, "lies outside"),
    "parent folder": ("..", tarfile.DIRTYPE, "lies outside"),
    "symbolic link": ("folder/c", tarfile.SYMTYPE, "is a link"),
    "hard link": ("folder/c", tarfile.LNKTYPE, "is a link"),
    "link in place of a wanted file": ("folder/absent", tarfile.SYMTYPE, "is a link"),
    "device": ("folder/c", tarfile.CHRTYPE, "is neither a file nor a folder"),
    "named pipe": ("folder/c", tarfile.FIFOTYPE, "is neither a file nor a folder"),
    "line break in the name": ("../a\nb", tarfile.REGTYPE, "lies outside"),
}


@pytest.mark.parametrize(("name", "kind", "expected"), HARMFUL.values(), ids=HARMFUL)
def test_harmful_members(tmp_path, name, kind, expected):
    path = write_member(tmp_path / "x", name, kind, target="/etc/passwd")
    message = refused(path)
    assert f"{path} is refused: its member {name!r} {expected}" in message


def test_a_member_twice_and_a_folder_of_its_name(tmp_path):
    assert "folder/b is there twice" in refused(write_member(tmp_path / "x", "folder/b"))
    path = write_member(tmp_path / "y", "folder/absent", tarfile.DIRTYPE)
    assert tar.read(path, limits=LIMITS) == FILES


def test_sizes_are_bounded(tmp_path):
    path = write_tar(tmp_path / "large", FILES | {"folder/absent": b"x" * 1001})
    assert "its folder/absent is far too large" in refused(path)
    path = write_tar(tmp_path / "bomb", FILES | {"folder/readme": bytes(2**24)})
    assert path.stat().st_size < 2**16
    assert "unpacks to far more" in refused(path)


def test_a_header_cannot_fill_the_memory(tmp_path):
    """Extended headers are read into memory whole; this one announces 8 GB."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 8 * 2**30 - 512
    path = tmp_path / "x"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT) + bytes(2**22))
    assert "unpacks to far more" in refused(path)


DAMAGED = {
    "empty": lambda good: b"",
    "no archive": lambda good: b"<!DOCTYPE html>",
    "gzip cut short": lambda good: good[: len(good) // 2],
    "gzip without its check sum": lambda good: good[:-4],
    "other check sum": lambda good: good[:-8] + bytes(8),
    "garbage in gzip": lambda good: good[:-40] + b"\xff" * 20 + good[-20:],
    "garbage in gzip's header": lambda good: good[:10] + b"\xff" * 50,
    "gzip of something else": lambda good: gzip.compress(b"hello" * 999),
    "tar cut short": lambda good: gzip.decompress(good)[:700],
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_damaged(tmp_path, damage):
    path = write_tar(tmp_path / "x", FILES)
    path.write_bytes(damage(path.read_bytes()))
    assert "is truncated, damaged or no tar archive (" in refused(path)


def test_nonsense_in_an_extended_header(tmp_path):
    """tarfile itself fails on this one with a ValueError."""
    path = tmp_path / "x"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("folder/a")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
        info.size = 512
        archive.addfile(info, io.BytesIO(b"x" * 512))
    assert "is truncated, damaged or no tar archive (" in refused(path)


def test_unreadable(tmp_path):
    assert "cannot be read (Is a directory)" in refused(tmp_path)
    assert "cannot be read (No such file or directory)" in refused(tmp_path / "absent")


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_damage_ends_in_known_contents_or_one_sentence(tmp_path_factory, data):
    """gzip's check sum covers the contents, so damaged contents never come out."""
    path = tmp_path_factory.getbasetemp() / "damaged"
    content = bytearray(write_tar(path, FILES).read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        contents = tar.read(path, limits=LIMITS)
    except UserError:
        return
    assert contents == FILES
