"""Archives are read within bounds, and what is in them comes out as it is."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest
from tensorflow_datasets.core.download import extractor
from tensorflow_datasets.core.download.resource import ExtractMethod

from imgcls_jax.data.catalog.preparing import extraction
from imgcls_jax.errors import UserError

MEMBERS = {"a/b.txt": b"first", "./c.bin": bytes(range(256)), "a/empty": b""}
HIDDEN = {"a/.hidden": b"x", "._a": b"x", "a/old~": b"x"}
EXPECTED = {"a/b.txt": b"first", "c.bin": bytes(range(256)), "a/empty": b""}
TAR_METHODS = ("TAR", "TAR_GZ", "TAR_GZ_STREAM", "TAR_STREAM")


def tar_of(members: dict[str, bytes], *infos: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in infos:
            archive.addfile(info)
    return buffer.getvalue()


def zip_of(members: dict[str, bytes], *infos: zipfile.ZipInfo) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        for info in infos:
            archive.writestr(info, "target")
    return buffer.getvalue()


def read(content: bytes, method: str, tmp_path, name: str = "archive") -> dict[str, bytes]:
    path = tmp_path / name
    path.write_bytes(content)
    with extraction.bounded():
        members = extractor.iter_archive(path, ExtractMethod[method])
        return {member: file.read() for member, file in members}


@pytest.mark.parametrize("method", TAR_METHODS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_tar(tmp_path, method, pack):
    assert read(pack(tar_of(MEMBERS | HIDDEN)), method, tmp_path) == EXPECTED


def test_zip(tmp_path):
    assert read(zip_of(MEMBERS | HIDDEN | {"a/": b""}), "ZIP", tmp_path) == EXPECTED


@pytest.mark.parametrize(("method", "pack"), [("GZIP", gzip.compress), ("BZIP2", bz2.compress)])
def test_one_packed_file(tmp_path, method, pack):
    assert read(pack(b"content"), method, tmp_path) == {"": b"content"}


def test_an_archive_in_memory_within_another():
    with extraction.bounded():
        members = extractor.iter_archive(io.BytesIO(tar_of(MEMBERS)), ExtractMethod.TAR_STREAM)
        assert {name: file.read() for name, file in members} == EXPECTED


def test_members_of_a_tar_archive_can_be_read_later(tmp_path):
    path = tmp_path / "archive"
    path.write_bytes(gzip.compress(tar_of(MEMBERS)))
    with extraction.bounded():
        members = extractor.iter_archive(path, ExtractMethod.TAR_GZ)
        kept = [next(members), next(members)]
        assert [file.read() for _, file in reversed(kept)] == [bytes(range(256)), b"first"]


def test_unpacks_into_a_folder_or_a_file(tmp_path):
    members = [("a/b", io.BytesIO(b"1")), ("c", io.BytesIO(b"2"))]
    extraction.unpack(iter(members), tmp_path / "folder")
    assert (tmp_path / "folder/a/b").read_bytes() == b"1"
    extraction.unpack(iter([("", io.BytesIO(b"3"))]), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"3"


def test_tfds_has_its_own_readers_back():
    def fail():
        with extraction.bounded():
            assert extractor._EXTRACT_METHODS[ExtractMethod.ZIP] is not extractor.iter_zip
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert extractor._EXTRACT_METHODS[ExtractMethod.ZIP] is extractor.iter_zip
    assert extractor._EXTRACT_METHODS[ExtractMethod.TAR] is extractor.iter_tar


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "..\\out"])
@pytest.mark.parametrize(("method", "make"), [("TAR", tar_of), ("ZIP", zip_of)])
def test_a_member_outside_is_refused(tmp_path, name, method, make):
    with pytest.raises(UserError, match="lies outside the archive's folder"):
        read(make({name: b"x"}), method, tmp_path)


@pytest.mark.parametrize("method", TAR_METHODS)
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_is_refused(tmp_path, method, kind):
    link = tarfile.TarInfo("a/link")
    link.type, link.linkname = kind, "a/b.txt"
    with pytest.raises(UserError, match="its member a/link is a link"):
        read(tar_of(MEMBERS, link), method, tmp_path)


def test_a_link_in_a_zip_archive_is_refused(tmp_path):
    link = zipfile.ZipInfo("a/link")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with pytest.raises(UserError, match="its member a/link is a link"):
        read(zip_of(MEMBERS, link), "ZIP", tmp_path)


@pytest.fixture
def small_bound(monkeypatch):
    monkeypatch.setattr(extraction, "_ALWAYS", 10_000)


@pytest.mark.parametrize(
    ("method", "pack"),
    [
        ("GZIP", gzip.compress),
        ("BZIP2", bz2.compress),
        ("TAR_GZ", lambda content: gzip.compress(tar_of({"a": content}))),
        ("TAR_STREAM", lambda content: lzma.compress(tar_of({"a": content}))),
        # What is passed over counts, too.
        ("TAR", lambda content: gzip.compress(tar_of({".a": content, "b": b"x"}))),
        ("ZIP", lambda content: zip_of({"a": content})),
    ],
)
def test_what_unpacks_without_end_is_refused(tmp_path, small_bound, method, pack):
    assert read(pack(bytes(5_000)), method, tmp_path)
    with pytest.raises(UserError, match="archive is refused: it unpacks to more than"):
        read(pack(bytes(1_000_000)), method, tmp_path)


@pytest.mark.parametrize(
    ("method", "content"),
    [
        ("TAR", b"no archive"),
        ("TAR_GZ", gzip.compress(tar_of(MEMBERS))[:-20]),
        ("GZIP", b"no archive"),
        ("GZIP", gzip.compress(bytes(1000))[:-9]),
        ("ZIP", b"no archive"),
        ("ZIP", zip_of(MEMBERS)[:-30]),
    ],
)
def test_a_damaged_archive_is_told(tmp_path, method, content):
    with pytest.raises(UserError, match="is truncated, damaged or of another kind") as caught:
        read(content, method, tmp_path)
    assert "\n" not in str(caught.value)
