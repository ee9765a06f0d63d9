"""The base of every figure: how one is made, written, handed out and lettered.

Figures are made with Matplotlib's object-oriented API, so no global state is changed and threads
may draw at the same time. Matplotlib is imported only when a figure is drawn.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from imgcls_jax.files import replacing
from imgcls_jax.report import lettering

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 130
INK, FAINT = "#222222", "#9aa0a6"

Target: TypeAlias = str | os.PathLike | None  # the file to write; None: hand out the figure
Drawn: TypeAlias = "Path | Figure"  # the file that was written, or the figure


def new_figure(width: float, height: float, layout: str | None = "constrained"):
    """Makes a white Matplotlib figure of width x height inches, which a notebook's cell shows."""
    from imgcls_jax.report.notebook_figure import NotebookFigure

    return NotebookFigure(figsize=(width, height), dpi=DPI, layout=layout, facecolor="white")


def finish(figure, path: Target) -> Drawn:
    """Writes a figure as `save` does and returns its path; without a path, returns the figure.

    Raises:
      UserError: the file cannot be written.
    """
    if path is not None:
        return save(figure, path)
    find_fonts(figure)
    return figure


def save(figure, path: str | os.PathLike) -> Path:
    """Writes a figure as PNG, whole or not at all: a file already there stays until it is done.

    Missing folders are made.

    Raises:
      UserError: the file cannot be written.
    """
    find_fonts(figure)
    with replacing(path, advice="give a folder that can be written") as partial:
        figure.savefig(partial, format="png")
    return Path(path)


def shorten(text: str, length: int, *, keep_end: bool = False) -> str:
    """Returns the text, or its ends (or its end) and an ellipsis, in at most `length` columns.

    A letter that no installed font has becomes a box.
    """
    return lettering.drawable(lettering.shorten(text, length, keep_end=keep_end))


def shorten_names(names: Sequence[str], length: int) -> list[str]:
    """Shortens the names of classes so that they stay apart; see `lettering.tell_apart`."""
    return [lettering.drawable(name) for name in lettering.tell_apart(names, length)]


def find_fonts(artist) -> None:
    """Gives every text in it with other than plain letters the fonts that have them."""
    from matplotlib.text import Text

    for text in artist.findobj(Text):
        if not text.get_text().isascii():
            text.set_fontfamily(lettering.families(text.get_text()))
