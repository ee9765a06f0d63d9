"""A page for a browser in one file: plain text in, HTML out, with its style and pictures inside.

Nothing on it is loaded from elsewhere and nothing runs. Every function takes plain text, escapes
it, and returns HTML.
"""

import base64
import html
import io
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from imgcls_jax.errors import printable
from imgcls_jax.files import reading

_LARGE = 60_000  # bytes of a picture from which JPEG is tried in place of PNG
_QUALITY = 85  # of a JPEG
_WIDE = 1.75  # times its height: a picture that takes both columns
_STYLE = Path(__file__).with_name("page.css")
_PAGE = string.Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
</head>
<body>
<header>
<h1>$title</h1>
<p class="soft">$below</p>
</header>
$body
</body>
</html>
""")


class Card(NamedTuple):
    """A figure that is seen first: its name, its value, and a few words on it."""

    name: str
    value: str
    note: str = ""


def text(words: object) -> str:
    """Returns words as HTML, with escapes for what cannot be printed."""
    return html.escape(printable(str(words)))


def page(title: str, below: str, parts: Sequence[str]) -> str:
    """Returns a whole page.

    Args:
      title: of the page.
      below: a line under the title.
      parts: HTML; empty ones are left out.
    """
    body, style = "\n".join(filter(None, parts)), _STYLE.read_text()
    return _PAGE.substitute(title=text(title), below=text(below), style=style, body=body)


def section(title: str, *parts: str) -> str:
    """Returns parts, HTML, under a heading; nothing where all are empty."""
    body = "\n".join(filter(None, parts))
    return f"<section>\n<h2>{text(title)}</h2>\n{body}\n</section>" if body else ""


def cards(found: Sequence[Card]) -> str:
    """Returns figures in large type beside each other."""
    shown = (
        f'<div class="card"><span>{text(name)}</span><b>{text(value)}</b>'
        f"<span>{text(note)}</span></div>"
        for name, value, note in found
    )
    return f'<div class="cards">{"".join(shown)}</div>'


def facts(items: Mapping[str, object]) -> str:
    """Returns names and values in two columns; nothing where there are none."""
    rows = (f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in items.items())
    return f"<dl>{''.join(rows)}</dl>" if items else ""


def paragraphs(sentences: Sequence[str]) -> str:
    """Returns sentences, one under another."""
    return "".join(f'<p class="soft">{text(one)}</p>' for one in sentences)


def command(line: str) -> str:
    """Returns a line that is typed."""
    return f"<pre><code>{text(line)}</code></pre>"


def table(header: Sequence[str], rows: Sequence[Sequence[str | float | int]]) -> str:
    """Returns a table in a box of its own that scrolls; nothing where there are no rows.

    Numbers stand to the right; a fraction, a float in [0, 1], has a bar below it.
    """
    if not rows:
        return ""
    kinds = ["number" if isinstance(cell, (int, float)) else "" for cell in rows[0]]
    heads = zip(kinds, header, strict=True)
    head = "".join(f'<th class="{kind}">{text(name)}</th>' for kind, name in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in rows)
    return (
        f'<div class="rows"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>'
        "</div>"
    )


def _cell(value: str | float | int) -> str:
    if isinstance(value, float):
        part = f"{100 * min(max(value, 0.0), 1.0):.1f}%"
        return f'<td class="number">{value:.3f}<i style="width:{part}"></i></td>'
    if isinstance(value, int):
        return f'<td class="number">{value:,}</td>'
    return f"<td>{text(value)}</td>"


def picture(path: Path, caption: str) -> str:
    """Returns a picture file, which the page then holds, above its caption."""
    from PIL import Image

    content = reading.content(path)
    with Image.open(io.BytesIO(content)) as opened:
        width, height = opened.size
        kind, content = _smallest(content, opened.convert("RGB"))
    data = base64.b64encode(content).decode("ascii")
    wide = ' class="wide"' if width > _WIDE * height else ""
    return (
        f'<figure{wide}><img src="data:image/{kind};base64,{data}" width="{width}" '
        f'height="{height}" alt="{text(caption)}"><figcaption>{text(caption)} '
        f"<code>{text(path.name)}</code></figcaption></figure>"
    )


def _smallest(content: bytes, image) -> tuple[str, bytes]:
    """Returns a PNG file's kind and content, or the JPEG's where that is smaller by much."""
    if len(content) > _LARGE:
        other = io.BytesIO()
        image.save(other, "JPEG", quality=_QUALITY, subsampling=0)
        if len(other.getvalue()) < 0.7 * len(content):
            return "jpeg", other.getvalue()
    return "png", content
