"""Words of any script, in columns of a terminal and in figures: class names are folder names.

A folder may be called in Korean, with a line feed or an escape code in it, or by bytes that are no
text at all; neither a table nor a figure may break.
"""

import functools
import unicodedata

from imgcls_jax.errors import printable

_FONT = "DejaVu Sans"  # Matplotlib's own, always there
_BOX = "□"  # stands for letters that no font has


def width(text: str) -> int:
    """Counts the columns of a text on a terminal: two per wide letter, none per combining mark."""
    if text.isascii():
        return len(text)
    return sum(_columns(c) for c in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad(text: str, columns: int) -> str:
    """Returns the text and spaces behind it up to a width."""
    return text + " " * (columns - width(text))


def shorten(text: str, columns: int, *, keep_end: bool = False) -> str:
    """Returns the text, or its beginning and an ellipsis, in at most `columns` terminal columns.

    Args:
      keep_end: True keeps the end instead, which says most of a path.
    """
    if width(text) <= columns:
        return text
    letters = text[::-1] if keep_end else text
    kept, left = [], columns - 1
    for letter in letters:
        left -= _columns(letter)
        if left < 0:
            break
        kept.append(letter)
    if keep_end:
        return "…" + "".join(reversed(kept)).lstrip()
    return "".join(kept).rstrip() + "…"


def drawable(text: str) -> str:
    """Replaces letters that no installed font has by boxes, and unprintable ones by escapes."""
    return "".join(c if c.isascii() or _font(c) else _BOX for c in printable(text))


def families(text: str) -> list[str]:
    """Returns font families that together have a `drawable` text's letters, Matplotlib's first."""
    found = (_font(c) for c in text if not c.isascii())
    return list(dict.fromkeys([_FONT, *filter(None, found)]))


@functools.cache
def _font(character: str) -> str | None:
    """Finds a family that has this character: Matplotlib's own, else the first installed one."""
    from matplotlib import font_manager

    if ord(character) in _characters(font_manager.findfont(_FONT)):
        return _FONT
    for entry in font_manager.fontManager.ttflist:
        if entry.style != "normal" or entry.name.startswith("Last Resort"):  # boxes for everything
            continue
        if ord(character) in _characters(entry.fname):
            return entry.name
    return None


@functools.cache
def _characters(path: str) -> frozenset[int]:
    """Returns the code points that a font file has outlines for; none if it is not scalable."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(path)
        return frozenset(font.get_charmap()) if font.scalable else frozenset()
    except (OSError, RuntimeError):
        return frozenset()
