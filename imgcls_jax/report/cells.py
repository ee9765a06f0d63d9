"""A sheet of cells, each an image and, beside it, bars of its most probable classes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from imgcls_jax.report.figure import (
    FAINT,
    Drawn,
    Target,
    finish,
    shorten,
    shorten_names,
)
from imgcls_jax.report.lettering import drawable
from imgcls_jax.report.tiles import box, mosaic, pixel_figure, write

RIGHT, _WRONG, _PREDICTED, _EMPTY = "#2e7d4f", "#b3302a", "#1f5a94", "#eceef0"
# Device pixels: around the sheet, above all, above and below an image, and beside it.
_MARGIN, _BANNER, _HEAD, _FOOT, _CAPTION = 20, 40, 32, 22, 12
_GAP, _BAR, _FIGURES = 14, 150, 36
_WORDS = 14  # height of the words above a bar
NO_LABEL = "no label"


def joined(labels: np.ndarray, names: Sequence[str], *, nothing: str = NO_LABEL) -> str:
    """Returns the names of an example's labels (C,) of 0 and 1, with bars between them."""
    return " | ".join(names[label] for label in np.flatnonzero(labels)) or nothing


class Entry(NamedTuple):
    """The prediction that stands beside one image.

    Attributes:
      probabilities: (C,).
      truth: the true class, which colours the entry green or red and frames the image; None where
        it is not known.
      caption: words below the image.
      labels: bool (2, C), the labels that it is given and those that it has, where there may be
        several.
      decided: bool (C,), the classes that are decided for where those need not be the most probable
        one and the truth is not known.
      nothing: what is said where none is.
    """

    probabilities: np.ndarray
    truth: int | None = None
    caption: str = ""
    labels: np.ndarray | None = None
    decided: np.ndarray | None = None
    nothing: str = ""

    def words(self, names: Sequence[str]) -> tuple[str, str]:
        """Returns what stands above the image, and its colour."""
        if self.decided is not None:
            said = joined(self.decided, names, nothing=self.nothing)
            return said, _PREDICTED if self.decided.any() else FAINT
        if self.labels is None:
            best = int(np.argmax(self.probabilities))
            return names[best], self.color(best, 0)
        given, true = self.labels
        return joined(given, names), RIGHT if np.array_equal(given, true) else _WRONG

    def color(self, chosen: int, place: int) -> str:
        """Returns the colour of the class that is the `place`-th most probable."""
        if self.decided is not None:
            return _PREDICTED if self.decided[chosen] else FAINT
        if self.labels is not None:
            given, true = self.labels[:, chosen]
            return (RIGHT if true else _WRONG) if given else FAINT
        if self.truth is None:
            return FAINT if place else _PREDICTED
        return RIGHT if chosen == self.truth else FAINT if place else _WRONG


def draw(
    tiles: np.ndarray,
    entries: Sequence[Entry],
    class_names: Sequence[str],
    path: Target = None,
    *,
    title: str,
    columns: int,
    places: int,
) -> Drawn:
    """Draws N images (N, height, width, 3), uint8, with at most so many classes beside each.

    Those that the height of the images has no room for are left out.
    """
    from matplotlib.collections import PolyCollection

    height, width = tiles.shape[1:3]
    foot = _FOOT + _CAPTION * any(entry.caption for entry in entries)
    cell = (_HEAD + height + foot, _MARGIN + width + _GAP + _BAR + _FIGURES)
    sheet = mosaic(tiles, min(columns, len(tiles)), cell=cell, offset=(_HEAD, _MARGIN))
    missing = max(0, 12 * len(title) + 2 * _MARGIN - sheet.shape[1])
    sheet = np.pad(sheet, ((_BANNER, 0), (0, missing), (0, 0)), constant_values=255)
    figure, axes = pixel_figure(sheet)
    room = sheet.shape[1] - 2 * _MARGIN
    write(axes, _MARGIN, _BANNER / 2, title, room=room, va="center", fontsize=12)
    room, beside = cell[1] - _MARGIN - 4, _BAR + _FIGURES - 4
    places = min(places, len(class_names), max(1, height // (_WORDS + 13)))
    slot = height / places
    thick = min(10, int(slot / 4))
    drop = (slot + _WORDS + 3 - thick) / 2  # from a slot's top to its bar's, all of it centred
    short = shorten_names(class_names, 14)
    bars, bar_colors, frames, frame_colors = [], [], [], []
    for position, entry in enumerate(entries):
        row, column = divmod(position, columns)
        x, y = column * cell[1] + _MARGIN, row * cell[0] + _BANNER + _HEAD
        ranked = np.argsort(-entry.probabilities, kind="stable")[:places]
        words, color = entry.words(class_names)
        style = {"color": color, "va": "bottom", "fontsize": 9}
        wrong = entry.truth is not None and color == _WRONG
        true = f" (true: {short[entry.truth]})" if wrong else ""
        write(axes, x, y - 7, drawable(words), end=true, room=room, **style)
        style = {"color": FAINT, "va": "top", "fontsize": 7, "keep_end": True}
        caption = shorten(entry.caption, room // 5, keep_end=True)  # or each letter is measured
        write(axes, x, y + height + 4, caption, room=room, **style)
        if entry.truth is not None:
            frames.append(box(x, y, width, height))
            frame_colors.append(color)
        for place, chosen in enumerate(ranked):
            left, top = x + width + _GAP, y + place * slot + drop
            filled = _BAR * float(entry.probabilities[chosen])
            bars += [box(left, top, _BAR, thick), box(left, top, filled, thick)]
            bar_colors += [_EMPTY, entry.color(chosen, place)]
            share = f": {entry.probabilities[chosen]:.1%}"
            style = {"end": share, "va": "bottom", "fontsize": 7.5}
            write(axes, left, top - 3, drawable(class_names[chosen]), room=beside, **style)
    axes.add_collection(PolyCollection(bars, facecolors=bar_colors), autolim=False)
    outlines = PolyCollection(frames, facecolors="none", edgecolors=frame_colors, linewidths=1.2)
    axes.add_collection(outlines, autolim=False)
    return finish(figure, path)
