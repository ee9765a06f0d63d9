"""Near copies are found whatever was done to them, and other pictures of the kind are not."""

import numpy as np
import pytest
from doctor_helpers import changed, colours, texture

from imgcls_jax.doctor import alignment, copies, outliers
from imgcls_jax.doctor.copies import Pairs
from imgcls_jax.doctor.nearest import nearest

KINDS = ("encoded", "smaller", "cropped", "mirrored")


def _pixels(pictures) -> np.ndarray:
    return np.stack([np.asarray(picture.resize((96, 96))) for picture in pictures])


@pytest.fixture(scope="module")
def pictures():
    """Sixteen pictures, then a copy of each of the first twelve, three of a kind."""
    originals = [texture(seed) for seed in range(16)]
    return _pixels(originals + [changed(originals[i], KINDS[i % 4]) for i in range(12)])


@pytest.fixture(scope="module")
def compared(pictures):
    return copies.compare(colours(pictures), pictures)


def test_every_copy_is_found_and_nothing_else(compared):
    found = compared.copies()
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert pairs == {(i, 16 + i) for i in range(12)}
    assert len(compared) > len(found)  # others were compared, for the sheet beside the threshold


def test_mirror_images_are_told(compared):
    found = compared.copies()
    mirrored = {int(i) for i, turned in zip(found.first, found.mirrored, strict=True) if turned}
    assert mirrored == {3, 7, 11}


def test_agreement_does_not_depend_on_which_comes_first(pictures):
    small = alignment.thumbnails(pictures)
    there = alignment.agreements(small, [(i, 16 + i) for i in range(12)])
    back = alignment.agreements(small, [(16 + i, i) for i in range(12)])
    np.testing.assert_allclose(there[0], back[0], atol=0.12)
    assert there[1].tolist() == back[1].tolist()


def test_plain_pictures_are_no_copies_of_each_other():
    plain = np.stack([np.full((64, 64, 3), grey, np.uint8) for grey in (40, 90, 200)])
    assert len(copies.compare(np.ones((3, 4)), plain).copies()) == 0


def test_copies_of_copies_are_one_group():
    pairs = Pairs(np.array([0, 1, 4]), np.array([1, 3, 5]), *3 * (np.ones(3),))
    found = copies.groups(7, pairs)
    assert found[0] == found[1] == found[3]
    assert found[4] == found[5]
    assert len(set(found.tolist())) == 4


def test_nearest_are_those_of_all_cosines(monkeypatch):
    monkeypatch.setattr("imgcls_jax.doctor.nearest._BLOCK", 7)
    rows = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1)
    cosines = rows @ rows.T / np.outer(lengths, lengths)
    np.fill_diagonal(cosines, -2)
    indices, found = nearest(rows, count=3)
    assert indices.tolist() == np.argsort(-cosines, axis=1)[:, :3].tolist()
    np.testing.assert_allclose(found, -np.sort(-cosines, axis=1)[:, :3], atol=1e-6)


def test_a_photo_like_no_other_is_the_first_outlier():
    rng = np.random.default_rng(0)
    features = 1 + 0.1 * rng.normal(size=(60, 8))
    features[7] = -features[7]
    far, scores = outliers.unusual(outliers.distances(features))
    assert far[0] == 7
    assert scores[7] > 10
    assert len(far) < 10
