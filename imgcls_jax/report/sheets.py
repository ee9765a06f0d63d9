"""Sheets of images, with and without predictions: arrays in, one PNG file out.

Files are written, returned and refused as in `imgcls_jax.report.charts`. Images are uint8,
(N, H, W, 1) or (N, H, W, 3). Grey ones are drawn dark on white (Matplotlib's ``gray_r``, also
called ``binary``), as the documented runs draw them.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imgcls_jax.report.figure import DPI, FAINT, INK, new_figure, save, shorten


def overlay(image: np.ndarray, cam: np.ndarray, *, strength: float = 0.55) -> np.ndarray:
    """Colours over the image, from none where the map is 0 to yellow and red where it is 1.

    Args:
      image: (H, W, 1 or 3) uint8.
      cam: (h, w) in [0, 1], enlarged smoothly to H x W.
      strength: opacity of the colour at 1.

    Returns:
      (H, W, 3) uint8.
    """
    from matplotlib import colormaps
    from PIL import Image

    height, width = image.shape[:2]
    smooth = Image.fromarray(np.asarray(cam, np.float32)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    heat = np.clip(np.asarray(smooth), 0, 1)[..., None]
    colors = colormaps["inferno"](heat[..., 0])[..., :3]
    grey = image.mean(axis=2, keepdims=True).repeat(3, axis=2)
    mixed = (1 - strength * heat) * grey + strength * heat * 255 * colors
    return np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)


_RIGHT, _WRONG = "#2e7d4f", "#b3302a"


def prediction_grid(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    path: str | os.PathLike,
    *,
    rows: int = 5,
    columns: int = 5,
) -> Path:
    """The first rows x columns images, each with its three most probable classes.

    The predicted class stands above an image, in green if right, in red with the truth if wrong.

    Args:
      images: (N, H, W, 1 or 3) uint8.
      labels: (N,) true classes.
      probabilities: (N, C), rows summing to one.
      class_names: C names.
      path: the PNG file to write.
      rows: most rows to draw; fewer images take fewer.
      columns: images a row.
    """
    shown = np.arange(min(len(images), rows * columns))
    wrong = int((np.argmax(probabilities[shown], axis=1) != labels[shown]).sum())
    title = f"Predictions ({len(shown) - wrong} of {len(shown)} right)"
    return _draw_predictions(
        images, labels, probabilities, class_names, path, shown=shown, columns=columns, title=title
    )


def most_confident_mistakes(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    path: str | os.PathLike,
    *,
    rows: int = 5,
    columns: int = 5,
) -> Path:
    """The wrong predictions with the highest probability, most confident first.

    Arguments are those of :func:`prediction_grid`. Without a mistake the figure says so.
    """
    wrong = confident_mistakes(labels, probabilities)
    if not len(wrong):
        figure = new_figure(6.0, 1.6)
        message = f"No mistakes among {len(labels):,} examples"
        figure.text(0.5, 0.5, message, fontsize=14, color=_RIGHT, ha="center", va="center")
        return save(figure, path)
    shown = wrong[: rows * columns]
    title = f"Most confident mistakes ({len(shown)} of {len(wrong):,})"
    return _draw_predictions(
        images, labels, probabilities, class_names, path, shown=shown, columns=columns, title=title
    )


def confident_mistakes(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Indices of the wrong predictions, highest probability first, equal ones in data order."""
    predicted = np.argmax(probabilities, axis=1)
    wrong = np.flatnonzero(predicted != labels)
    return wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")]


def sample_image(image: np.ndarray, label_name: str, path: str | os.PathLike) -> Path:
    """One (H, W, 1 or 3) uint8 image with pixel axes and, if grey, its colour bar from 0 to 255."""
    figure = new_figure(4.8, 4.0)
    axes = figure.add_subplot()
    if image.shape[-1] == 1:
        drawn = axes.imshow(image[..., 0], cmap="binary", vmin=0, vmax=255)
        figure.colorbar(drawn, ax=axes, ticks=[0, 50, 100, 150, 200, 255])
    else:
        axes.imshow(image)
    axes.set_title(shorten(label_name, 40), fontsize=12, parse_math=False)
    return save(figure, path)


def sample_row(
    images: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    path: str | os.PathLike,
    *,
    count: int = 10,
) -> Path:
    """The first `count` images in a row, each above its class name."""
    tiles = display_tiles(images[:count])
    height, width = tiles.shape[1:3]
    cell = (height + 32, width + 24)
    figure, axes = pixel_figure(mosaic(tiles, len(tiles), cell=cell, offset=(6, 12)))
    for position, label in enumerate(labels[: len(tiles)]):
        words, x = shorten(class_names[label], 15), (position + 0.5) * cell[1]
        write(axes, x, height + 12, words, ha="center", va="top", fontsize=9)
    return save(figure, path)


def display_tiles(images: np.ndarray, side: int = 140) -> np.ndarray:
    """Images as they appear in a grid: (n, h, w, 3) uint8, about `side` pixels wide.

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

    One sheet draws many times faster than a Matplotlib axes an image.

    Args:
      tiles: (n, h, w, 3) uint8.
      columns: cells a row.
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


def _draw_predictions(images, labels, probabilities, class_names, path, *, shown, columns, title):
    """A sheet of cells, each an image and, beside it, bars of its most probable classes."""
    from matplotlib.collections import PolyCollection

    tiles = display_tiles(images[shown])
    height, width = tiles.shape[1:3]
    # All in device pixels: room for the heading above an image, for the bars to its right.
    head, bar_left, bar_width, slot = 34, width + 14, 146, height / 3
    cell = (head + height + 22, bar_left + bar_width + 38)
    margin, banner = 20, 40
    sheet = mosaic(tiles, min(columns, len(shown)), cell=cell, offset=(head, margin))
    figure, axes = pixel_figure(np.pad(sheet, ((banner, 0), (0, 0), (0, 0)), constant_values=255))
    write(axes, margin, banner / 2, title, va="center", fontsize=12)
    bars, bar_colors, frames, frame_colors = [], [], [], []
    for position, index in enumerate(shown):
        row, column = divmod(position, columns)
        x, y = column * cell[1] + margin, row * cell[0] + banner + head
        ranked = np.argsort(-probabilities[index], kind="stable")[:3]
        predicted, true = ranked[0], labels[index]
        color = _RIGHT if predicted == true else _WRONG
        heading = shorten(class_names[predicted], 26)
        if predicted != true:
            names = (shorten(class_names[chosen], 14) for chosen in (predicted, true))
            heading = "{} (true: {})".format(*names)
        write(axes, x, y - 8, heading, color=color, va="bottom", fontsize=9)
        frames.append(box(x, y, width, height))
        frame_colors.append(color)
        for place, chosen in enumerate(ranked):
            left, top = x + bar_left, y + (place + 0.56) * slot
            filled = bar_width * float(probabilities[index, chosen])
            bars += [box(left, top, bar_width, 10), box(left, top, filled, 10)]
            bar_colors += ["#eceef0", _RIGHT if chosen == true else FAINT if place else _WRONG]
            words = f"{shorten(class_names[chosen], 15)}: {probabilities[index, chosen]:.0%}"
            write(axes, left, top - 3, words, va="bottom", fontsize=7.5)
    axes.add_collection(PolyCollection(bars, facecolors=bar_colors), autolim=False)
    outlines = PolyCollection(frames, facecolors="none", edgecolors=frame_colors, linewidths=1.2)
    axes.add_collection(outlines, autolim=False)
    return save(figure, path)


def box(x: float, y: float, width: float, height: float) -> list[tuple[float, float]]:
    """The corners of a rectangle, for a `PolyCollection`."""
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]


def write(axes, x, y, words, *, color=INK, **style):
    """Words that may hold anything: a class may be "$1 coin"."""
    axes.text(x, y, words, color=color, parse_math=False, **style)


def pixel_figure(pixels: np.ndarray):
    """A figure of exactly these pixels, and axes over it in pixels from the top left corner."""
    height, width = pixels.shape[:2]
    figure = new_figure(width / DPI, height / DPI, layout=None)
    figure.figimage(pixels, origin="upper", zorder=-1)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return figure, axes


_BAR_COLOR = "#1f5a94"
# Device pixels: around the sheet, above and below a picture, beside it, and the bars.
_MARGIN, _BANNER, _HEAD, _FOOT, _GAP, _BAR, _FIGURES = 20, 40, 30, 34, 14, 170, 48


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
    cell = (_HEAD + height + _FOOT, _MARGIN + width + _GAP + _BAR + _FIGURES)
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
        write(axes, x, y - 6, heading, color=_BAR_COLOR, va="bottom", fontsize=9)
        caption = shorten(caption, letters, keep_end=True)
        write(axes, x, y + height + 4, caption, color=FAINT, va="top", fontsize=7)
        for place, chosen in enumerate(ranked):
            left, top = x + width + _GAP, y + (place + 0.6) * height / places
            filled = _BAR * float(row[chosen])
            bars += [box(left, top, _BAR, 8), box(left, top, filled, 8)]
            colors += ["#eceef0", FAINT if place else _BAR_COLOR]
            words = f"{shorten(class_names[chosen], 18)}: {row[chosen]:.1%}"
            write(axes, left, top - 2, words, va="bottom", fontsize=7.5)
    axes.add_collection(PolyCollection(bars, facecolors=colors), autolim=False)
    return save(figure, path)
