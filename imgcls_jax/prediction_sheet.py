"""A sheet of pictures and what a network takes them for: arrays in, one PNG file out."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imgcls_jax.drawing import FAINT, save, shorten
from imgcls_jax.sheets import box, display_tiles, mosaic, pixel_figure, write

_COLOR = "#1f5a94"
# Device pixels: around the sheet, above and below a picture, beside it, and the bars.
_MARGIN, _BANNER, _HEAD, _FOOT, _GAP, _BAR, _RIGHT = 20, 40, 30, 34, 14, 170, 48


def prediction_sheet(
    images: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    captions: Sequence[str],
    path: str | os.PathLike,
    *,
    overlays: np.ndarray | None = None,
    title: str = "Predictions",
    columns: int = 4,
    places: int = 5,
) -> Path:
    """Each picture under its most probable class, beside the bars of the first few.

    Args:
      images: (N, H, W, 1 or 3) uint8, as the network gets them.
      probabilities: (N, C).
      class_names: C names.
      captions: N names of the pictures, set below them; long ones keep their end.
      path: the PNG file to write.
      overlays: (N, H, W, 3) uint8 to stand beside the pictures, such as saliency.
      title: of the sheet.
      columns: pictures a row.
      places: classes shown of each.

    Raises:
      UserError: the file cannot be written.
    """
    from matplotlib.collections import PolyCollection

    # Grey pictures are not drawn dark on white as elsewhere: these look as their files do.
    tiles = display_tiles(images.repeat(3 // images.shape[-1], axis=-1), side=168)
    if overlays is not None:
        tiles = np.concatenate([tiles, display_tiles(overlays, side=168)], axis=2)
    height, width = tiles.shape[1:3]
    cell = (_HEAD + height + _FOOT, _MARGIN + width + _GAP + _BAR + _RIGHT)
    sheet = mosaic(tiles, min(columns, len(tiles)), cell=cell, offset=(_HEAD, _MARGIN))
    figure, axes = pixel_figure(np.pad(sheet, ((_BANNER, 0), (0, 0), (0, 0)), constant_values=255))
    write(axes, _MARGIN, _BANNER / 2, title, va="center", fontsize=12)
    places = min(places, len(class_names))
    bars, colors = [], []
    for position, (row, caption) in enumerate(zip(probabilities, captions, strict=True)):
        down, right = divmod(position, columns)
        x, y = right * cell[1] + _MARGIN, down * cell[0] + _BANNER + _HEAD
        ranked = np.argsort(-row, kind="stable")[:places]
        letters = width // 8
        heading = shorten(class_names[ranked[0]], letters)
        write(axes, x, y - 6, heading, color=_COLOR, va="bottom", fontsize=9)
        caption = shorten(caption, letters, keep_end=True)
        write(axes, x, y + height + 4, caption, color=FAINT, va="top", fontsize=7)
        for place, chosen in enumerate(ranked):
            left, top = x + width + _GAP, y + (place + 0.6) * height / places
            filled = _BAR * float(row[chosen])
            bars += [box(left, top, _BAR, 8), box(left, top, filled, 8)]
            colors += ["#eceef0", FAINT if place else _COLOR]
            words = f"{shorten(class_names[chosen], 18)}: {row[chosen]:.1%}"
            write(axes, left, top - 2, words, va="bottom", fontsize=7.5)
    axes.add_collection(PolyCollection(bars, facecolors=colors), autolim=False)
    return save(figure, path)
