"""Words of any script, in columns of a terminal and in figures: class names are folder names.

A folder may be called in Korean, with a line feed or an escape code in it, or by bytes that are no
text at all; neither a table nor a figure may break.
"""

import contextlib
import functools
import itertools
import unicodedata
from collections.abc import Iterable, Sequence

from imgcls_jax.errors import printable

_FONT = "DejaVu Sans"  # Matplotlib's own, always there
_BOX = "□"  # stands for letters that no font has
_SHOWN = 8  # missing letters in a notice


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
    """Returns the text, or its two ends and an ellipsis, in at most `columns` terminal columns.

    Args:
      keep_end: True keeps the end alone, which says most of a path.
    """
    if width(text) <= columns:
        return text
    at_the_end = columns - 1 if keep_end else (columns - 1) // 2
    end = _beginning(text[::-1], at_the_end)[::-1]
    begin = "" if keep_end else _beginning(text, columns - 1 - at_the_end).rstrip()
    return begin + "…" + end.lstrip()


def _beginning(text: str, columns: int) -> str:
    """Returns as many letters from the beginning of a text as fit."""
    taken = 0
    for number, letter in enumerate(text):
        taken += _columns(letter)
        if taken > columns:
            return text[:number]
    return text


def tell_apart(names: Sequence[str], columns: int) -> list[str]:
    """Shortens names so that those which differ still do, as far as `columns` allow it.

    Names that would become the same lose what they have in common at their beginning.
    """
    short = [shorten(name, columns) for name in names]
    alike: dict[str, list[int]] = {}
    for place, text in enumerate(short):
        alike.setdefault(text, []).append(place)
    for places in alike.values():
        if len({names[place] for place in places}) > 1:
            letters = zip(*(names[place] for place in places), strict=False)
            begin = sum(1 for _ in itertools.takewhile(lambda here: len(set(here)) == 1, letters))
            for place in places:
                short[place] = shorten("…" + names[place][begin:].lstrip(), columns)
    return short


def drawable(text: str) -> str:
    """Replaces letters that no installed font has by boxes, and unprintable ones by escapes."""
    return "".join(c if c.isascii() or _font(c) else _BOX for c in printable(text))


def lacking(texts: Iterable[str]) -> str | None:
    """Returns a sentence about letters that no installed font has, with what to install.

    None where figures can show all of them.
    """
    letters = dict.fromkeys(c for text in texts for c in printable(text) if not c.isascii())
    missing = [c for c in letters if not _font(c)]
    if not missing:
        return None
    package = "fonts-noto-cjk" if any(map(_is_east_asian, missing)) else "fonts-noto-core"
    shown = "".join(missing[:_SHOWN]) + "…" * (len(missing) > _SHOWN)
    return (
        f"No installed font has the letters {shown} of class names, so figures show {_BOX} for "
        f"them; install one, on Debian and Ubuntu by apt-get install {package}"
    )


def _is_east_asian(character: str) -> bool:
    return unicodedata.name(character, "").startswith(("HANGUL", "CJK", "HIRAGANA", "KATAKANA"))


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
    found = _among(character, font_manager.fontManager.ttflist)
    if found is None and _add_new_fonts():
        found = _among(character, font_manager.fontManager.ttflist)
    return found


@functools.cache
def _add_new_fonts() -> bool:
    """Adds fonts that were installed after Matplotlib made its list, which it keeps for ever."""
    from matplotlib import font_manager

    manager = font_manager.fontManager
    new = set(font_manager.findSystemFonts()) - {entry.fname for entry in manager.ttflist}
    for path in sorted(new):
        with contextlib.suppress(Exception):  # damaged fonts make FreeType raise anything
            manager.addfont(path)
    return bool(new)


def _among(character: str, fonts: Iterable) -> str | None:
    """Finds the first family that has a character."""
    for entry in fonts:
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
