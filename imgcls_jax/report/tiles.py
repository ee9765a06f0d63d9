"""Sheets to the pixel: images as tiles, tiles side by side, and words and boxes over them.

Images are uint8, (N, H, W, 1) or (N, H, W, 3). Grey ones are drawn dark on white (Matplotlib's
``gray_r``, also called ``binary``), as the documented runs draw them.
"""

import numpy as np

from imgcls_jax.report.figure import DPI, INK, find_fonts, new_figure, shorten
from imgcls_jax.report.lettering import width


def display_tiles(images: np.ndarray, side: int = 140) -> np.ndarray:
    """Brings images to the form of a sheet: (n, h, w, 3) uint8, about `side` pixels wide.

    Small images grow by a whole factor, so that each pixel stays a square; others are resampled.
    Grey ones become dark on white.

    Args:
      images: (n, H, W, 1 or 3) uint8.
      side: width to aim at.
    """
    from PIL import Image

    if images.shape[-1] == 1:
        images = np.repeat(255 - images, 3, axis=-1)
    height, width = images.shape[1:3]
    if 3 * width <= side:
        factor = side // width
        return images.repeat(factor, axis=1).repeat(factor, axis=2)
    size = (side, max(1, round(side * height / width)))
    return np.stack([np.asarray(Image.fromarray(image).resize(size)) for image in images])


def mosaic(
    tiles: np.ndarray, columns: int, *, cell: tuple[int, int], offset: tuple[int, int]
) -> np.ndarray:
    """Pastes tiles row by row into a white sheet of equal cells.

    One sheet draws many times faster than one Matplotlib axes per image.

    Args:
      tiles: (n, h, w, 3) uint8.
      columns: cells per row.
      cell: height and width of a cell, at least offset + (h, w).
      offset: where in its cell a tile's top left corner lies.

    Returns:
      (ceil(n / columns) * cell height, columns * cell width, 3) uint8.
    """
    count, height, width = tiles.shape[:3]
    rows = -(-count // columns)
    sheet = np.full((rows * columns, *cell, 3), 255, np.uint8)
    top, left = offset
    sheet[:count, top : top + height, left : left + width] = tiles
    sheet = sheet.reshape(rows, columns, *cell, 3).swapaxes(1, 2)
    return sheet.reshape(rows * cell[0], columns * cell[1], 3)


def box(x: float, y: float, width: float, height: float) -> list[tuple[float, float]]:
    """Returns the corners of a rectangle, for a `PolyCollection`."""
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def write(
    axes,
    x: float,
    y: float,
    words: str,
    *,
    end: str = "",
    room: float,
    keep_end: bool = False,
    **style,
) -> None:
    """Writes words that may hold anything ("$1 coin"), shortened to fit their room.

    Long ones lose their middle.

    Args:
      end: words behind them that are not shortened.
      room: pixels for all of it.
      keep_end: True lets long ones keep their end alone, as `shorten` does.
      **style: as `Axes.text` takes it.
    """
    letters = width(words)
    text = axes.text(x, y, words + end, parse_math=False, **({"color": INK} | style))
    find_fonts(text)
    while letters > 1 and (taken := text.get_window_extent().width) > room:
        letters = max(1, min(letters - 1, int(letters * room / taken) + 1))
        text.set_text(shorten(words, letters, keep_end=keep_end) + end)


def pixel_figure(pixels: np.ndarray):
    """Makes a figure of exactly these pixels, and axes in pixels from its top left corner."""
    rows, columns = pixels.shape[:2]
    figure = new_figure(columns / DPI, rows / DPI, layout=None)
    figure.figimage(pixels, origin="upper", zorder=-1)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, columns), ylim=(rows, 0))
    axes.set_axis_off()
    return figure, axes
