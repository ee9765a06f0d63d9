"""Sheets of images, with and without predictions: arrays in, one PNG file or figure out.

Files are written, returned and refused as in `imgcls_jax.report.charts`; images are drawn as in
`imgcls_jax.report.tiles`.
"""

from collections.abc import Sequence

import numpy as np

from imgcls_jax.report.cells import RIGHT, Entry, draw, joined
from imgcls_jax.report.figure import (
    Drawn,
    Target,
    finish,
    new_figure,
    shorten,
)
from imgcls_jax.report.lettering import drawable
from imgcls_jax.report.tiles import display_tiles, mosaic, pixel_figure, write


def prediction_grid(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    path: Target = None,
    *,
    rows: int = 5,
    columns: int = 5,
) -> Drawn:
    """Draws the first rows x columns images, each with its three most probable classes.

    The predicted class stands above an image, in green if right, in red with the truth if wrong.

    Args:
      images: (N, H, W, 1 or 3) uint8.
      labels: (N,) true classes.
      probabilities: (N, C), rows summing to one.
      class_names: C names.
      path: the PNG file to write.
      rows: most rows to draw; fewer images take fewer.
      columns: images per row.
    """
    shown = slice(rows * columns)
    entries = [Entry(*pair) for pair in zip(probabilities[shown], labels[shown], strict=True)]
    right = sum(int(entry.probabilities.argmax() == entry.truth) for entry in entries)
    title = f"Predictions ({right} of {len(entries)} right)"
    tiles = display_tiles(images[shown])
    return draw(tiles, entries, class_names, path, title=title, columns=columns, places=3)


def most_confident_mistakes(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    path: Target = None,
    *,
    captions: Sequence[str] | None = None,
    rows: int = 5,
    columns: int = 5,
) -> Drawn:
    """Draws the wrong predictions of the highest probability, most confident first.

    Without a mistake the figure says so. Arguments are those of :func:`prediction_grid`, and:

    Args:
      captions: N names of the images, set below them; long ones keep their end.
    """
    wrong = confident_mistakes(labels, probabilities)
    if not len(wrong):
        figure = new_figure(6.0, 1.6)
        message = f"No mistakes among {len(labels):,} examples"
        figure.text(0.5, 0.5, message, fontsize=14, color=RIGHT, ha="center", va="center")
        return finish(figure, path)
    shown = wrong[: rows * columns]
    title = f"Most confident mistakes ({len(shown)} of {len(wrong):,})"
    below = ["" if captions is None else captions[index] for index in shown]
    found = zip(probabilities[shown], labels[shown], below, strict=True)
    entries = [Entry(*one) for one in found]
    tiles = display_tiles(images[shown])
    return draw(tiles, entries, class_names, path, title=title, columns=columns, places=3)


def confident_mistakes(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns indices of the wrong predictions, highest probability first, ties in data order."""
    predicted = np.argmax(probabilities, axis=1)
    wrong = np.flatnonzero(predicted != labels)
    return wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")]


def prediction_sheet(
    images: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    captions: Sequence[str],
    path: Target = None,
    *,
    decided: tuple[np.ndarray, str] | None = None,
    overlays: np.ndarray | None = None,
    title: str = "Predictions",
) -> Drawn:
    """Draws each picture under its class, beside the bars of the five most probable ones.

    Four stand in a row, or two with what stands beside them.

    Args:
      images: (N, H, W, 1 or 3) uint8, as the network gets them; grey ones look as their files do,
        not dark on white.
      probabilities: (N, C).
      class_names: C names.
      captions: N names of the pictures, set below them; long ones keep their end.
      path: the PNG file to write.
      decided: the classes, bool (N, C), that stand above a picture in place of the most probable
        one and whose bars are coloured, and the word that stands there where it is none.
      overlays: (N, H, W, 3) uint8 to stand beside the pictures, such as saliency.
      title: of the sheet.

    Raises:
      UserError: the file cannot be written.
    """
    pairs = zip(probabilities, captions, strict=True)
    entries = [Entry(row, caption=caption) for row, caption in pairs]
    if decided is not None:
        masks, nothing = decided
        found = zip(entries, masks, strict=True)
        entries = [entry._replace(decided=mask, nothing=nothing) for entry, mask in found]
    tiles, columns = _beside(images, overlays)
    return draw(tiles, entries, class_names, path, title=title, columns=columns, places=5)


def label_sheet(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    thresholds: np.ndarray,
    class_names: Sequence[str],
    path: Target = None,
    *,
    overlays: np.ndarray | None = None,
    title: str = "Predictions",
) -> Drawn:
    """Draws pictures under the labels from their thresholds on, above those that they have.

    The words are green where every label is right; a bar is green or red by its own label, and grey
    below its threshold. Arguments are those of :func:`prediction_sheet`, and:

    Args:
      labels: (N, C) of 0 and 1.
      thresholds: (C,) from which on a picture has a label.
    """
    chosen = probabilities >= thresholds
    entries = [
        Entry(row, caption=joined(true, class_names), labels=np.stack([given, true != 0]))
        for row, given, true in zip(probabilities, chosen, labels, strict=True)
    ]
    tiles, columns = _beside(images, overlays)
    return draw(tiles, entries, class_names, path, title=title, columns=columns, places=5)


def _beside(images: np.ndarray, overlays: np.ndarray | None) -> tuple[np.ndarray, int]:
    """Returns the images with what stands beside them, and how many stand in a row."""
    tiles = display_tiles(images.repeat(3 // images.shape[-1], axis=-1), side=168)
    if overlays is None:
        return tiles, 4
    return np.concatenate([tiles, display_tiles(overlays, side=168)], axis=2), 2


def overlay(image: np.ndarray, cam: np.ndarray, *, strength: float = 0.55) -> np.ndarray:
    """Lays colours over an image, from none where the map is 0 to yellow and red where it is 1.

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


def sample_image(image: np.ndarray, label_name: str, path: Target = None) -> Drawn:
    """Draws an (H, W, 1 or 3) uint8 image: a grey one with pixel axes and a colour bar, 0 to 255.

    So the document draws its own; a photo stands alone.
    """
    figure = new_figure(4.8, 4.0)
    axes = figure.add_subplot()
    if image.shape[-1] == 1:
        drawn = axes.imshow(image[..., 0], cmap="binary", vmin=0, vmax=255)
        figure.colorbar(drawn, ax=axes, ticks=[0, 50, 100, 150, 200, 255])
    else:
        axes.imshow(image)
        axes.set_axis_off()
    axes.set_title(shorten(label_name, 40), fontsize=12, parse_math=False)
    return finish(figure, path)


def sample_row(
    images: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    path: Target = None,
    *,
    count: int = 10,
) -> Drawn:
    """Draws the first `count` images in a row, each above its class name."""
    tiles = display_tiles(images[:count])
    height, width = tiles.shape[1:3]
    cell = (height + 32, width + 24)
    figure, axes = pixel_figure(mosaic(tiles, len(tiles), cell=cell, offset=(6, 12)))
    for position, label in enumerate(labels[: len(tiles)]):
        words, x = drawable(class_names[label]), (position + 0.5) * cell[1]
        style = {"ha": "center", "va": "top", "fontsize": 9}
        write(axes, x, height + 12, words, room=cell[1] - 8, **style)
    return finish(figure, path)
