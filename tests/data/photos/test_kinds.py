"""HEIC photos: read where pillow-heif is installed, told apart where it is not."""

import io
import pickle

import numpy as np
import pytest
from PIL import Image

from imgcls_jax.data.photos import decode, kinds

BEGINS = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + b"\0" * 40  # as a telephone's file begins


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (BEGINS, True),
        (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", True),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", False),
        (b"\0\0\0\x10ftypmp42heic" + b"heic" * 9, False),  # the box ends before
        (b"\xff\xd8\xff\xe0 ftypheic", False),
        (b"", False),
    ],
)
def test_heic_is_known_by_its_content(content, expected):
    assert kinds.is_heic(content) == expected


def test_without_the_package_the_sentence_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(kinds, "heic_is_read", lambda: False)
    (tmp_path / "photo.jpg").write_bytes(BEGINS)
    with pytest.raises(decode.BadImage) as error:
        decode.load(tmp_path / "photo.jpg", 8)
    sentence = str(error.value)
    assert "photo.jpg is a HEIC photo, which takes pillow-heif to read (pip inst" in sentence
    assert sentence.endswith("pillow-heif): install that.")
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)
    assert not kinds.is_picture_name("photo.HEIC")
    assert kinds.is_picture_name("photo.JPG")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.jpg", "is no image, whatever its name says:"),
        ("a.HEIC", "is no image, whatever its name says:"),
        ("photos.zip", "is no image:"),
        ("a", "is no image:"),
    ],
)
def test_a_name_is_blamed_only_where_it_claims_a_picture(tmp_path, name, said):
    (tmp_path / name).write_bytes(b"PK\3\4 nothing to see")
    with pytest.raises(decode.BadImage, match=f"{name} {said}"):
        decode.load(tmp_path / name, 8)


def test_photos_of_a_telephone_are_read_upright(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:24, :, 0], pixels[24:, :, 2] = 250, 250  # red above blue
    image, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x0112] = 6  # lies on its side: a quarter turn brings it upright
    pillow_heif.register_heif_opener()
    for name, options in (("a.heic", {}), ("b.HEIF", {"exif": exif.tobytes()})):
        stream = io.BytesIO()
        image.save(stream, "HEIF", quality=95, **options)
        (tmp_path / name).write_bytes(stream.getvalue())
    assert kinds.is_picture_name("b.HEIF")
    plain, turned = decode.decode(tmp_path / "a.heic"), decode.decode(tmp_path / "b.HEIF")
    assert np.abs(plain.astype(int) - pixels)[[5, 40]].mean() < 12
    assert turned.shape == (64, 48, 3)
    assert np.abs(turned.astype(int) - np.rot90(pixels, -1))[:, [5, 40]].mean() < 12
    (tmp_path / "cut.heic").write_bytes((tmp_path / "a.heic").read_bytes()[:200])
    with pytest.raises(decode.BadImage, match=r"cut.heic is (truncated or damaged|no image)"):
        decode.decode(tmp_path / "cut.heic")
