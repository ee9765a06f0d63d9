"""scikit-learn's bundled handwritten digits: real images that need no download."""

import numpy as np

from imgcls_jax.data.catalog.description import Description
from imgcls_jax.data.dataset import Dataset, Split

TRAIN_EXAMPLES = 1437  # four fifths of 1797, rounded down
_TEST_EXAMPLES = 360


def load() -> Dataset:
    """Loads 1797 images of 8x8 pixels, uint8 (N, 8, 8, 1): the first 1437 train, the rest test.

    The files are ordered by writer and stay so: the test digits are by other people than the
    training digits, which is harder than a shuffled split and closer to use. Pixels come as 0..16
    and are scaled to 0..255.

    Source: `sklearn.datasets.load_digits`, the test part of the UCI "Optical Recognition of
    Handwritten Digits" (Alpaydin and Kaynak 1998).
    """
    from sklearn.datasets import load_digits  # costs half a second

    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = bunch.target.astype(np.int32)
    train, test = slice(None, TRAIN_EXAMPLES), slice(TRAIN_EXAMPLES, None)
    return Dataset(
        name="digits",
        train=Split(images[train], labels[train]),
        test=Split(images[test], labels[test]),
        class_names=tuple("0123456789"),
        source="The handwritten digits bundled with scikit-learn.",
        verified=True,
    )


def describe() -> Description:
    """Tells what `load` loads."""
    return Description(
        name="digits",
        version=None,
        class_names=tuple("0123456789"),
        counts={"train": TRAIN_EXAMPLES, "test": _TEST_EXAMPLES},
        image_shape=(8, 8, 1),
        licence="CC BY 4.0",
        homepage="https://archive.ics.uci.edu/dataset/80",
        remarks=("It comes with scikit-learn and needs no download",),
    )
