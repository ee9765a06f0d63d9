"""Pictures of every kind come out upright and RGB; whatever is none is refused in one sentence."""

import pickle
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photo_helpers import encoded, smooth
from PIL import Image, features

from imgcls_jax.data.photos import decode

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (5, 7, 3), np.uint8)
GREY = RNG.integers(0, 256, (5, 7), np.uint8)
WIDE = RNG.integers(0, 65536, (5, 7)).astype(np.uint16)
ALPHA = RNG.integers(0, 256, (5, 7), np.uint8)
LOSSLESS = {"PNG": {}, "BMP": {}, "PPM": {}, "TIFF": {}, "WEBP": {"lossless": True}}


def png(header: bytes, pixels: bytes) -> bytes:
    """A PNG written from the format's description, also such as Pillow cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def as_rgb(grey) -> np.ndarray:
    return np.repeat(np.asarray(grey)[..., None], 3, axis=-1)


@pytest.mark.parametrize("kind", LOSSLESS)
def test_formats_keep_the_pixels(kind):
    np.testing.assert_array_equal(decode.decode(encoded(RGB, kind, **LOSSLESS[kind])), RGB)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif():
    picture = smooth(48, 64)
    difference = decode.decode(encoded(picture, "AVIF", quality=90)).astype(int) - picture
    assert np.abs(difference).mean() < 2


def palette() -> tuple[Image.Image, np.ndarray]:
    """A palette image and its indices; entry i is the colour (i, 255 - i, i // 2)."""
    indices = RNG.integers(0, 200, (5, 7), np.uint8)
    image = Image.fromarray(indices).convert("P")
    image.putpalette([value for i in range(256) for value in (i, 255 - i, i // 2)])
    image.frombytes(indices.tobytes())
    return image, indices


def test_cmyk_jpeg():
    """As image editors write them: inverted, which Adobe's marker says."""
    stored = Image.fromarray(np.dstack([smooth(40, 50), smooth(40, 50)[::-1, :, :1]]), "CMYK")
    ink = np.asarray(stored, np.float64)
    decoded = decode.decode(encoded(stored, "JPEG", quality=95))
    expected = (255 - ink[..., :3]) * (255 - ink[..., 3:]) / 255
    assert np.abs(decoded - expected).mean() < 2


def over_white(colour, alpha) -> np.ndarray:
    share = np.asarray(alpha, np.float64)[..., None] / 255
    return colour * share + 255 * (1 - share)


def modes():
    image, indices = palette()
    colours = np.stack([indices, 255 - indices, indices // 2], axis=-1)
    yield "1", encoded(Image.fromarray(GREY > 127)), as_rgb((GREY > 127) * 255)
    yield "L", encoded(GREY), as_rgb(GREY)
    yield "LA", encoded(np.dstack([GREY, ALPHA])), over_white(as_rgb(GREY), ALPHA)
    yield (
        "L, one value transparent",
        encoded(GREY, transparency=int(GREY[0, 0])),
        as_rgb(np.where(GREY[0, 0] == GREY, 255, GREY)),
    )
    yield "P", encoded(image), colours
    yield (
        "P, one colour transparent",
        encoded(image, transparency=int(indices[2, 3])),
        np.where(as_rgb(indices == indices[2, 3]), 255, colours),
    )
    yield "P, GIF", encoded(image, "GIF"), colours
    yield "RGBA", encoded(np.dstack([RGB, ALPHA])), over_white(RGB, ALPHA)
    cmyk = np.dstack([RGB, GREY])
    yield (
        "CMYK",
        encoded(Image.fromarray(cmyk, "CMYK"), "TIFF"),
        (255.0 - RGB) * (255.0 - as_rgb(GREY)) / 255,
    )
    yield "16 bit", encoded(WIDE), as_rgb(WIDE / 257)
    yield "16 bit, big-endian", encoded(WIDE.astype(">u2"), "TIFF"), as_rgb(WIDE / 257)
    yield "16 bit, PGM", b"P5 7 5 65535\n" + WIDE.astype(">u2").tobytes(), as_rgb(WIDE / 257)
    yield "32 bit", encoded(WIDE.astype(np.int32), "TIFF"), as_rgb(WIDE / 257)
    wide_rgb = np.dstack([WIDE, WIDE[::-1], 65535 - WIDE])
    header = struct.pack(">IIBBBBB", 7, 5, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in wide_rgb)
    yield "16 bit RGB", png(header, rows), wide_rgb / 257
    beyond = WIDE.astype(np.int32) * 1000 - 5
    stretched = 255 * (WIDE - WIDE.min().astype(float)) / np.ptp(WIDE)
    yield "32 bit beyond 16", encoded(beyond, "TIFF"), as_rgb(stretched)
    unit = GREY.astype(np.float32) / 255
    yield "float 0..1", encoded(unit, "TIFF"), as_rgb(GREY)
    yield "float 0..255", encoded(GREY.astype(np.float32), "TIFF"), as_rgb(GREY)
    yield "float beyond", encoded(WIDE.astype(np.float32) - 9, "TIFF"), as_rgb(stretched)
    unit = unit.copy()
    unit[0, :3] = np.nan, np.inf, -np.inf
    yield "float, not finite", encoded(unit, "TIFF"), as_rgb(np.where(np.isfinite(unit), GREY, 0))


@pytest.mark.parametrize(("content", "expected"), [pytest.param(*m[1:], id=m[0]) for m in modes()])
def test_every_mode_becomes_rgb(content, expected):
    decoded = decode.decode(content)
    assert decoded.dtype == np.uint8
    assert decoded.shape == (5, 7, 3)
    assert np.abs(decoded - expected).max() <= 1  # rounding


# The EXIF standard says where the stored row 0 and column 0 belong; this brings them there.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("PNG", "TIFF", "WEBP"):
        decoded = decode.decode(encoded(RGB, kind, exif=exif, **LOSSLESS[kind]))
        np.testing.assert_array_equal(decoded, UPRIGHT[orientation](RGB))
    stored = smooth(40, 80)
    decoded = decode.decode(encoded(stored, "JPEG", quality=95, exif=exif))
    assert np.abs(decoded.astype(int) - UPRIGHT[orientation](stored)).mean() < 2


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_is_no_reason_to_lose_a_picture():
    exif = b"Exif\0\0II*\0\xff\xff\xff\x7f" + b"\xff" * 20
    assert decode.decode(encoded(smooth(9, 11), "JPEG", exif=exif)).shape == (9, 11, 3)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_first_frame(kind):
    first, second = (Image.new("RGB", (7, 5), colour) for colour in ("red", "blue"))
    content = encoded(first, kind, save_all=True, append_images=[second])
    decoded = decode.decode(content).astype(int)
    assert np.abs(decoded - [255, 0, 0]).max() <= 2


@settings(deadline=None, max_examples=25)
@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    at_least=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    orientation=st.sampled_from([1, 6]),
)
def test_reduced_jpegs_are_large_enough(shape, at_least, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = shape if orientation == 1 else shape[::-1]
    decoded = decode.decode(encoded(smooth(*shape), "JPEG", exif=exif), at_least=at_least)
    reduction = upright[0] / decoded.shape[0]
    for had, got, wanted in zip(upright, decoded.shape, at_least, strict=False):
        assert min(had, wanted) <= got <= had
    assert reduction < 2 or min(upright[0] / at_least[0], upright[1] / at_least[1]) >= 2


def test_large_jpegs_are_reduced():
    content = encoded(smooth(400, 640), "JPEG", quality=95)
    reduced = decode.decode(content, at_least=(60, 60))
    assert reduced.shape == (100, 160, 3)  # a quarter: an eighth would be 50 high
    assert np.abs(reduced.astype(int) - smooth(100, 160)).mean() < 2


def test_what_is_at_least_wanted_is_meant_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(smooth(800, 400), "JPEG", exif=exif)
    assert decode.decode(content, at_least=(400, 100)).shape == (400, 800, 3)
    assert decode.decode(content, at_least=(100, 400)).shape == (200, 400, 3)


def test_a_large_scan_of_one_colour_is_no_bomb():
    """Of 8,000 pixels for each byte."""
    content = encoded(Image.new("1", (5_000, 5_000)))
    assert len(content) < 5_000 * 5_000 / 7_000
    assert decode.load(content, 8).max() == 0


BAD = {
    "zero bytes": (b"", "is empty (0 bytes)"),
    "text": (b"404 Not Found\n" * 50, "is no image"),
    "web page": (b"<!DOCTYPE html><html></html>", "is no image"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no image"),
    # A few bytes that announce 900 million pixels.
    "bomb": (
        png(struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0), b""),
        "could be a decompression bomb",
    ),
    # Pillow would decode them, in seconds and gigabytes.
    "25 million pixels": (
        png(struct.pack(">IIBBBBB", 5_000, 5_000, 8, 2, 0, 0, 0), b""),
        "has 25,000,000 pixels in 65 bytes, so that it could be a decompression bomb",
    ),
    "half a JPEG": (encoded(smooth(80, 80), "JPEG")[:700], "is truncated or damaged"),
    "half a PNG": (encoded(smooth(80, 80))[:300], "is truncated or damaged"),
    "half a WebP": (encoded(smooth(80, 80), "WEBP")[:90], "is truncated or damaged"),
    "half a TIFF": (encoded(smooth(80, 80), "TIFF")[:900], "is truncated or damaged"),
}


def refused(source, **options) -> decode.BadImage:
    with pytest.raises(decode.BadImage) as error:
        decode.decode(source, **options)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(": replace or remove it.")
    return error.value


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_named(tmp_path, case):
    content, reason = BAD[case]
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    for options in ({}, {"at_least": (1, 1)}):
        error = refused(path, **options)
        assert error.name == str(path)
        assert reason in error.reason
    assert str(refused(content)).startswith("The image ")


def test_missing_files_and_folders_are_named(tmp_path):
    assert refused(tmp_path / "none.jpg").reason == "cannot be read (No such file or directory)"
    assert refused(tmp_path).reason == "cannot be read (Is a directory)"


def test_unreadable_files_are_named(tmp_path, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(decode.reading, "content", denied)
    assert refused(tmp_path / "mine.jpg").reason == "cannot be read (Permission denied)"


def test_messages_stay_on_one_line_and_print_anywhere(tmp_path):
    path = tmp_path / "a\nb\udcff.jpg"
    path.write_bytes(b"")
    message = str(refused(path))
    message.encode()
    assert r"a\nb\udcff.jpg is empty" in message


def test_bad_image_passes_between_processes():
    error = pickle.loads(pickle.dumps(refused(b"")))
    assert str(error) == "The image is empty (0 bytes): replace or remove it."
    assert (error.name, error.reason) == ("The image", "is empty (0 bytes)")


WHOLE = {
    kind: encoded(smooth(30, 40), kind)
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM")
}


@pytest.mark.filterwarnings("ignore")  # Pillow warns of damage before it raises
@settings(deadline=None, max_examples=150)
@given(kind=st.sampled_from(sorted(WHOLE)), data=st.data())
def test_damaged_files_give_a_picture_or_a_sentence(kind, data):
    content = bytearray(WHOLE[kind])
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    for _ in range(data.draw(st.integers(0, 5))):
        if content:
            where = data.draw(st.integers(0, min(len(content), 200) - 1))
            content[where] = data.draw(st.integers(0, 255))
    try:
        decoded = decode.decode(bytes(content))
    except decode.BadImage:
        refused(bytes(content))
    else:
        assert decoded.dtype == np.uint8
        assert decoded.ndim == 3
        assert decoded.shape[2] == 3
