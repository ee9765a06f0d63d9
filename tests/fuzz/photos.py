"""Readers of photos: every format, the cache of decoded ones, the tables of an inspection."""

import functools
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fuzz.reader import Inside, Reader
from PIL import Image, features

from imgcls_jax.data.photos import cache, decode, folders, inspected, kinds

_SIDE = 8
_PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
_COLOURED = Image.fromarray(_PIXELS)
_GREY = Image.fromarray(_PIXELS[..., 0].astype(np.uint16) * 257)  # 16 bits
_SEEN_THROUGH = Image.fromarray(np.dstack([_PIXELS, _PIXELS[..., :1]]))
_TURNED = Image.Exif()
_TURNED[0x0112] = 6


def _encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _contents() -> dict[str, list[bytes]]:
    """Returns good files by format."""
    palette, marks = _COLOURED.quantize(8), _COLOURED.convert("1")
    large = _COLOURED.resize((96, 96))  # so large that it is decoded at less than its size
    found = {
        "JPEG": [
            _encoded(_COLOURED, "JPEG", exif=_TURNED),
            _encoded(_COLOURED, "JPEG", progressive=True, subsampling=2),
            _encoded(_COLOURED.convert("CMYK"), "JPEG"),
            _encoded(large, "JPEG"),
        ],
        "PNG": [
            _encoded(_COLOURED, "PNG"),
            _encoded(_GREY, "PNG"),
            _encoded(palette, "PNG", transparency=1),
            _encoded(_SEEN_THROUGH, "PNG"),
            _encoded(marks, "PNG"),
            _encoded(_COLOURED, "PNG", save_all=True, append_images=[_SEEN_THROUGH]),
        ],
        "GIF": [
            _encoded(palette, "GIF"),
            _encoded(palette, "GIF", save_all=True, append_images=[marks], transparency=2),
        ],
        "BMP": [_encoded(image, "BMP") for image in (_COLOURED, palette, marks, _SEEN_THROUGH)],
        "DIB": [_encoded(image, "DIB") for image in (_COLOURED, palette)],
        "WEBP": [
            _encoded(_COLOURED, "WEBP"),
            _encoded(_SEEN_THROUGH, "WEBP", lossless=True),
            _encoded(_COLOURED, "WEBP", save_all=True, append_images=[_SEEN_THROUGH]),
        ],
        "TIFF": [
            _encoded(_COLOURED, "TIFF", compression=way)
            for way in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
        ]
        + [_encoded(image, "TIFF") for image in (_GREY, palette, _SEEN_THROUGH)],
        "PPM": [
            _encoded(_COLOURED, "PPM"),
            _encoded(_GREY, "PPM"),
            _encoded(marks, "PPM"),
            b"P2\n# grey\n3 2\n255\n0 1 2\n3 4 255\n",
            b"P3 2 1 9\n0 1 2 3 4 9\n",
            b"P1\n4 2\n0101\n1010\n",
        ],
    }
    if features.check("avif"):
        found["AVIF"] = [_encoded(image, "AVIF") for image in (_COLOURED, _SEEN_THROUGH)]
    if kinds.heic_is_read():
        found["HEIC"] = [_encoded(_COLOURED, "HEIF"), _encoded(_COLOURED, "HEIF", exif=_TURNED)]
    return found


def _with_checksums(content: bytes) -> bytes:
    """Returns a PNG file with the CRC of each chunk made right again."""
    fixed, at = [content[:8]], 8
    while at + 8 <= len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        body = content[at + 4 : at + 8 + length]
        if len(body) < 4 + length:
            break
        fixed.append(content[at : at + 4] + body + struct.pack(">I", zlib.crc32(body)))
        at += 12 + length
    return b"".join(fixed) + content[at:]


def _write(content: bytes, kind: str, folder: Path) -> Inside | None:
    (folder / "photo.jpg").write_bytes(content)
    return {"photo.jpg": (content, _with_checksums)} if kind == "PNG" else None


def _read_photo(folder: Path) -> None:
    image = decode.load(folder / "photo.jpg", _SIDE)
    assert image.dtype == np.uint8
    assert image.shape == (_SIDE, _SIDE, 3)


_NAMES = tuple(f"{number}.png" for number in range(3))


def _photos(folder: Path) -> None:
    (folder / "photos").mkdir()
    for number, name in enumerate(_NAMES):
        _COLOURED.rotate(90 * number).save(folder / "photos" / name)


def _cached(folder: Path) -> None:
    _photos(folder)
    _read_cache(folder)


def _broken_off(folder: Path) -> None:
    """Leaves what a process that died while it decoded leaves."""
    _cached(folder)
    (kept,) = (path for path in (folder / "cache").iterdir() if path.is_dir())
    images = np.load(kept / "images.npy")
    (kept / "images.npy").rename(kept / "partial")
    (kept / "finished.json").unlink()
    lines = [
        f'{{"images": 1, "crc32": {zlib.crc32(images[n : n + 1])}, "bad": {{}}}}\n' for n in (0, 1)
    ]
    (kept / "blocks.jsonl").write_text("".join(lines))


def _read_cache(folder: Path) -> None:
    images, kept, bad = cache.load(
        folder / "photos", _NAMES, size=4, how="crop", cache_dir=folder / "cache", workers=1
    )
    assert images.shape == (3, 4, 4, 3)
    assert kept.all()
    assert not bad


def _inspected(folder: Path) -> None:
    for number, name in enumerate(("a", "b")):
        (folder / "photos" / name).mkdir(parents=True)
        for turn in range(3):
            path = folder / "photos" / name / f"{turn}.bmp"
            _COLOURED.rotate(90 * turn + 7 * number).save(path)
    places = ("a/0.bmp", inspected.EXCLUDE, ""), ("b/1.bmp", inspected.MOVE, "a")
    inspected.write_corrections(
        folder,
        [inspected.Correction(*of, inspected.digest(folder / "photos" / of[0])) for of in places],
    )
    paths = folders.scan(folder / "photos").splits["all"].paths
    inspected.write_groups(folder, paths, np.arange(len(paths)) // 2)


def _read_inspected(folder: Path) -> None:
    found = folders.scan(folder / "photos")
    corrected = inspected.corrected(found, inspected.read_corrections(folder))
    assert set(corrected.class_names) == {"a", "b"}
    assert len(inspected.read_groups(folder, found)) >= len(found.splits["all"])


def _builds(kind: str, contents: list[bytes]) -> tuple[Callable[[Path], Inside | None], ...]:
    return tuple(functools.partial(_write, content, kind) for content in contents)


_FOUND = {"PNG": (1346, 7493), "GIF": (517,), "WEBP": (2969, 5678)}  # gigabytes, or many seconds

READERS = (
    *(
        # 17 million pixels, which few bytes may promise: of an animation several at a time.
        Reader(
            f"photo_{kind.lower()}",
            _builds(kind, contents),
            _read_photo,
            found=_FOUND.get(kind, ()),
            megabytes=500,
        )
        for kind, contents in _contents().items()
    ),
    Reader(
        "photo_cache",
        (_cached, _broken_off),
        _read_cache,
        found=(6397, 7401),
        files=("cache/*/*.npy", "cache/*/*.json*", "cache/*/partial"),
        leaves=True,
    ),
    Reader(
        "inspection",
        (_inspected,),
        _read_inspected,
        files=("corrections.csv", "copies.csv"),
        found=(930,),
    ),
)
