"""Kinds of picture files; HEIC, as telephones take them, by pillow-heif where it is installed."""

import functools
import os

EXTENSIONS = frozenset(
    f".{name}"
    for names in ("jpg jpeg jpe jfif png apng gif webp avif bmp dib", "tif tiff ppm pgm pbm pnm")
    for name in names.split()
)
HEIC = (".heic", ".heif", ".hif")
INSTALL = "pip install pillow-heif"
WITHOUT_HEIC = f"is a HEIC photo, which takes pillow-heif to read ({INSTALL})"

# ISO/IEC 23008-12, the brands of pictures that HEVC encodes; AVIF has others.
_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}


@functools.cache
def heic_is_read() -> bool:
    """Says whether Pillow can read HEIC photos now, and makes it able to where it is possible."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def is_heic(content: bytes) -> bool:
    """Says whether a file's content begins as that of a HEIC photo, whatever its name is."""
    if content[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(content[:4], "big"), 256)
    return any(content[at : at + 4] in _BRANDS for at in (8, *range(16, end, 4)))


def is_called_picture(name: str) -> bool:
    """Says whether a file is a picture by the ending of its name, read here or not."""
    return os.path.splitext(name)[1].lower() in {*EXTENSIONS, *HEIC}


def is_picture_name(name: str) -> bool:
    """Says whether a file is a picture that can be read here, by the ending of its name."""
    suffix = os.path.splitext(name)[1].lower()
    return suffix in EXTENSIONS or (suffix in HEIC and heic_is_read())
