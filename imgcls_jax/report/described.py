"""What a data set is, in a few lines, before any of its examples is read."""

import re

from imgcls_jax.data.catalog.description import Description
from imgcls_jax.errors import printable
from imgcls_jax.report.figure import shorten

_NAMED = 6  # class names that are shown
_WIDTH = 92  # columns of a line
# Of BibTeX: the value of a field, and another field or the entry's end behind it.
_VALUE = r'(?:{(.*?)}|"(.*?)"|(\d+))'
_ENDS = r"(?=\s*,?\s*(?:\w+\s*=|}?\s*\Z))"
_ANY = re.IGNORECASE | re.DOTALL


def lines(found: Description) -> dict[str, str]:
    """Returns the lines of a description by what they tell; nothing is told of what is unknown."""
    told = {
        "name": f"{found.name} {found.version or ''}".strip(),
        "classes": _classes(found.class_names),
        "splits": ", ".join(f"{count:,} {split}" for split, count in found.counts.items()),
        "images": _images(found),
        "download": _size(found.download_bytes),
        "licence": found.licence,
        "homepage": found.homepage,
        "citation": _cited(found.citation),
        "remarks": ". ".join(found.remarks),
    }
    return {name: shorten(printable(line), _WIDTH) for name, line in told.items() if line}


def _classes(names: tuple[str, ...]) -> str:
    if all(name.isdecimal() for name in names):  # none of them has a name
        return f"{len(names):,}" if names else ""
    shown = ", ".join(names[:_NAMED])
    return f"{len(names):,}: {shown}{', ...' if len(names) > _NAMED else ''}"


def _images(found: Description) -> str:
    height, width, channels = found.image_shape
    if height is None or width is None:
        return f"of many sizes, {channels or 3} channels"
    return f"{height}x{width}x{channels}"


def _size(count: int | None) -> str:
    if count is None:
        return ""
    return f"{count / 1e9:,.2f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def _cited(citation: str) -> str:
    """Returns author, year and title of a BibTeX entry; of anything else its first line."""
    found = {}
    for field in ("author", "year", "title"):
        value = re.search(rf"\b{field}\s*=\s*{_VALUE}{_ENDS}", citation, _ANY)
        if value:
            text = next(filter(None, value.groups()), "")
            found[field] = " ".join(re.sub(r"[{}]", "", text).split())
    if not found.get("title"):
        return next((line.strip() for line in citation.splitlines() if line.strip()), "")
    author, *others = re.split(r"\s+and\s+", found.get("author", ""))
    who = author + (" and others" if others else "")
    when = f" ({found['year']})" if found.get("year") else ""
    return f"{who}{when}: {found['title']}" if who else found["title"] + when
