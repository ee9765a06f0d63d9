"""A sheet that shows what each augmentation does to an image: arrays in, one PNG file out."""

import os
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from imgcls_jax import augment
from imgcls_jax.report.figure import DPI, FAINT, INK, new_figure, save
from imgcls_jax.report.sheets import display_tiles, mosaic

_GAP, _MARGIN, _NAMES, _HEAD = 6, 20, 190, 56  # device pixels


def augmentation_sheet(
    images: np.ndarray,
    path: str | os.PathLike,
    *,
    seed: int = 0,
    specs: Sequence[str] = augment.NAMES,
    draws: int = 8,
) -> Path:
    """One row an augmentation: an original, then what several draws make of it.

    Rows show the images in turn; what mixes takes its partners from all of them.

    Args:
      images: (N, H, W, 1 or 3) uint8; about as many as there are rows.
      path: the PNG file to write.
      seed: of the draws.
      specs: "name" or "name:strength", a row each.
      draws: columns beside the original; `alternate_flip` shows as many epochs.

    Raises:
      UserError: for a spec that cannot be used, or a file that cannot be written.
    """
    rows = [_row(images, number, spec, seed=seed, draws=draws) for number, spec in enumerate(specs)]
    tiles = display_tiles(np.concatenate(rows), side=96)
    height, width = tiles.shape[1:3]
    cell = (height + _GAP, width + _GAP)
    sheet = mosaic(tiles, draws + 1, cell=cell, offset=(0, 0))
    left, split = _MARGIN + _NAMES, _MARGIN  # a wider gap parts the originals from the draws
    sheet = np.insert(sheet, [cell[1]] * split, 255, axis=1)
    sheet = np.pad(sheet, ((_HEAD, _MARGIN), (left, _MARGIN), (0, 0)), constant_values=255)

    figure = new_figure(sheet.shape[1] / DPI, sheet.shape[0] / DPI, layout=None)
    figure.figimage(sheet, origin="upper", zorder=-1)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, sheet.shape[1]), ylim=(sheet.shape[0], 0))
    axes.set_axis_off()
    for x, words in ((left, "original"), (left + cell[1] + split, "augmented")):
        axes.text(x, _HEAD - 10, words, color=FAINT, fontsize=10, va="bottom")
    for number, spec in enumerate(specs):
        name, strength = _caption(spec)
        middle = _HEAD + number * cell[0] + height / 2
        style = {"va": "center", "parse_math": False}
        axes.text(_MARGIN, middle - 10 * bool(strength), name, color=INK, fontsize=11, **style)
        axes.text(_MARGIN, middle + 14, strength, color=FAINT, fontsize=8, **style)
    return save(figure, path)


def _row(images, number: int, spec: str, *, seed: int, draws: int) -> np.ndarray:
    """Image `number` (or N less) as it is, and `draws` times augmented: (1 + draws, H, W, C)."""
    count, shown = len(images), number % len(images)
    function = jax.jit(augment.create([spec], num_classes=count))
    key = jax.random.fold_in(jax.random.key(seed), number)
    batch = {"image": images.astype(np.float32) / 255, "label": np.arange(count)}
    row = [images[shown]]
    for epoch in range(draws):
        numbers = {"index": np.arange(count), "epoch": np.int32(epoch)}
        drawn = function(jax.random.fold_in(key, epoch), {**batch, **numbers})["image"][shown]
        row.append(np.round(np.asarray(drawn) * 255).astype(np.uint8))
    return np.stack(row)


def _caption(spec: str) -> tuple[str, str]:
    """The name, and its strength in words: ("crop", "4 px of padding")."""
    name, _, strength = spec.partition(":")
    kind = augment.KINDS[name]
    if kind.default is None:
        return name, ""
    return name, kind.unit.format(strength or format(kind.default, "g"))
