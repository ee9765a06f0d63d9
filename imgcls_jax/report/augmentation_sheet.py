"""The sheet that shows what each augmentation does to an image: arrays in, a file or figure out."""

from collections.abc import Sequence

import jax
import numpy as np

from imgcls_jax import augment
from imgcls_jax.report.figure import FAINT, Drawn, Target, finish
from imgcls_jax.report.tiles import display_tiles, mosaic, pixel_figure, write

_GAP, _MARGIN, _NAMES, _HEAD = 6, 20, 190, 56  # device pixels


def augmentation_sheet(
    images: np.ndarray,
    path: Target = None,
    *,
    seed: int = 0,
    specs: Sequence[str] = augment.NAMES,
    draws: int = 8,
) -> Drawn:
    """Draws one row per augmentation: an original, then several draws of it, augmented.

    Rows show the images in turn; augmentations that mix take their partners from all of them.

    Args:
      images: (N, H, W, 1 or 3) uint8; about as many as there are rows.
      path: the PNG file to write.
      seed: of the draws.
      specs: "name" or "name:strength", one per row.
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

    figure, axes = pixel_figure(sheet)
    for x, words in ((left, "original"), (left + cell[1] + split, "augmented")):
        write(axes, x, _HEAD - 10, words, room=_NAMES, color=FAINT, fontsize=10, va="bottom")
    for number, spec in enumerate(specs):
        name, strength = _caption(spec)
        middle = _HEAD + number * cell[0] + height / 2
        style = {"room": _NAMES - 4, "va": "center"}
        write(axes, _MARGIN, middle - 10 * bool(strength), name, fontsize=11, **style)
        write(axes, _MARGIN, middle + 14, strength, color=FAINT, fontsize=8, **style)
    return finish(figure, path)


def _row(images, number: int, spec: str, *, seed: int, draws: int) -> np.ndarray:
    """Returns image `number` modulo N as it is, then augmented draws: (1 + draws, H, W, C)."""
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
    """Returns the name, and its strength in words: ("crop", "4 px of padding")."""
    name, _, strength = spec.partition(":")
    kind = augment.KINDS[name]
    if kind.default is None:
        return name, ""
    return name, kind.unit.format(strength or format(kind.default, "g"))
