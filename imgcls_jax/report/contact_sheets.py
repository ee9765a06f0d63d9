"""Contact sheets: photos in rows with a few words below each, for a person to look through.

Files are written, returned and refused as in `imgcls_jax.report.charts`.
"""

from collections.abc import Sequence

import numpy as np

from imgcls_jax.report.figure import FAINT, Drawn, Target, finish, shorten
from imgcls_jax.report.lettering import drawable
from imgcls_jax.report.tiles import display_tiles, mosaic, pixel_figure, write

_SIDE = 168  # pixels per side of a photo
_MARGIN, _BANNER, _LINE, _FOOT = 12, 44, 17, 12


def contact_sheet(
    images: np.ndarray,
    words: Sequence[Sequence[str]],
    path: Target = None,
    *,
    title: str,
    columns: int = 6,
) -> Drawn:
    """Draws photos in rows.

    Args:
      images: (N, S, S, 3) uint8, N at least 1.
      words: the lines below each photo, the first of them darker; long ones keep their end.
      path: the PNG file to write.
      title: of the sheet.
      columns: photos per row.
    """
    return _draw(display_tiles(images, side=_SIDE), words, path, title=title, columns=columns)


def pair_sheet(
    first: np.ndarray,
    second: np.ndarray,
    words: Sequence[Sequence[str]],
    path: Target = None,
    *,
    title: str,
    columns: int = 3,
) -> Drawn:
    """Draws pairs of photos side by side; arguments are those of `contact_sheet`."""
    left, right = (display_tiles(images, side=_SIDE) for images in (first, second))
    gap = np.full((*left.shape[:2], 4, 3), 255, np.uint8)
    tiles = np.concatenate([left, gap, right], axis=2)
    return _draw(tiles, words, path, title=title, columns=columns)


def _draw(
    tiles: np.ndarray,
    words: Sequence[Sequence[str]],
    path: Target = None,
    *,
    title: str,
    columns: int,
) -> Drawn:
    height, width = tiles.shape[1:3]
    lines = max(map(len, words))
    cell = (height + _LINE * lines + _FOOT, width + _MARGIN)
    columns = min(columns, len(tiles))
    sheet = mosaic(tiles, columns, cell=cell, offset=(0, _MARGIN))
    missing = max(0, 11 * len(title) + 2 * _MARGIN - sheet.shape[1])
    sheet = np.pad(sheet, ((_BANNER, 0), (0, missing + _MARGIN), (0, 0)), constant_values=255)
    figure, axes = pixel_figure(sheet)
    room = sheet.shape[1] - 2 * _MARGIN
    write(axes, _MARGIN, _BANNER / 2, drawable(title), room=room, va="center", fontsize=12)
    for position, texts in enumerate(words):
        row, column = divmod(position, columns)
        x, y = column * cell[1] + _MARGIN, row * cell[0] + _BANNER + height + 4
        for line, text in enumerate(texts):
            style = {"keep_end": True} | ({} if line == 0 else {"color": FAINT})
            text = shorten(text, width // 6, keep_end=True)
            write(axes, x, y + line * _LINE, text, room=width, va="top", fontsize=7.5, **style)
    return finish(figure, path)
