"""What every figure shares: how one is made, written and lettered.

Figures are made with Matplotlib's object-oriented API, so no global state is changed and threads
may draw at the same time. Matplotlib is imported only when a figure is drawn.
"""

import os
import threading
from pathlib import Path

from imgcls_jax.errors import UserError

DPI = 130
INK, FAINT = "#222222", "#9aa0a6"


def new_figure(width: float, height: float, layout: str | None = "constrained"):
    """A white Matplotlib figure of width x height inches, drawn by the Agg backend."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save(figure, path: str | os.PathLike) -> Path:
    """Writes a figure as PNG, whole or not at all: a file already there stays until it is done.

    Missing folders are made.

    Raises:
      UserError: the file cannot be written.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            figure.savefig(partial, format="png")
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"Cannot write the figure {path} ({error.strerror}); give a folder that can be written."
        ) from error
    return path


def shorten(text: str, length: int) -> str:
    """The text, or its beginning and an ellipsis, in at most `length` characters."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
