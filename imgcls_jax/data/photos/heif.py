"""HEIC photos, as telephones take them: by pillow-heif, where it is installed."""

import functools

SUFFIXES = (".heic", ".heif", ".hif")
INSTALL = "pip install pillow-heif"
MISSING = f"is a HEIC photo, which takes pillow-heif to read ({INSTALL})"

# ISO/IEC 23008-12, the brands of pictures that HEVC encodes; AVIF has others.
_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}


@functools.cache
def available() -> bool:
    """Says whether Pillow can read HEIC photos now, and makes it able to where it is possible."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def is_heif(content: bytes) -> bool:
    """Says whether a file's content begins as that of a HEIC photo, whatever its name is."""
    if content[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(content[:4], "big"), 256)
    return any(content[at : at + 4] in _BRANDS for at in (8, *range(16, end, 4)))
