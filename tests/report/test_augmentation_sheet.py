"""The sheet of augmentations: its size, its originals, and that draws differ from them."""

import numpy as np
import pytest
from figure_helpers import examples, pixels

from imgcls_jax.errors import UserError
from imgcls_jax.report import augmentation_sheet, tiles


@pytest.mark.parametrize("channels", [1, 3])
def test_rows_begin_with_the_original_and_go_on_with_draws(tmp_path, channels):
    images, _, _ = examples(2, channels=channels, size=12)
    specs = ["flip", "colour:0", "mixup:1"]
    path = augmentation_sheet.augmentation_sheet(
        images, tmp_path / "sheet.png", specs=specs, draws=6
    )
    picture = pixels(path)
    # Tiles of 8 x 12 = 96 pixels, 6 apart; left of them the names.
    assert picture.shape == (56 + 3 * 102 + 20, 20 + 190 + 7 * 102 + 20 + 20, 3)
    originals = tiles.display_tiles(images, side=96)

    def tile(row, column):
        top, left = 56 + row * 102, 210 + column * 102 + 20 * (column > 0)
        return picture[top : top + 96, left : left + 96]

    for row in range(3):
        np.testing.assert_array_equal(tile(row, 0), originals[row % 2])
    flipped = [np.array_equal(tile(0, c), originals[0][:, ::-1]) for c in range(1, 7)]
    kept = [np.array_equal(tile(0, c), originals[0]) for c in range(1, 7)]
    assert 0 < sum(flipped) < 6
    assert sum(flipped) + sum(kept) == 6
    for column in range(1, 7):
        np.testing.assert_array_equal(tile(1, column), originals[1])
    assert not np.array_equal(tile(2, 1), tile(2, 2))
    assert (picture[56:152, :200] < 100).any()  # a name stands at the left


def test_the_strength_is_written_in_words():
    assert augmentation_sheet._caption("crop:2") == ("crop", "2 px of padding")
    assert augmentation_sheet._caption("rotate") == ("rotate", "up to 15 degrees")
    assert augmentation_sheet._caption("flip") == ("flip", "")


def test_a_bad_spec_is_refused_before_anything_is_written(tmp_path):
    images, _, _ = examples(2)
    with pytest.raises(UserError, match="unknown `augment=melt`"):
        augmentation_sheet.augmentation_sheet(images, tmp_path / "a.png", specs=["melt"])
    assert not list(tmp_path.iterdir())
