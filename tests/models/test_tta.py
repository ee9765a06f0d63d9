"""Test-time augmentation: views by hand, networks that the views leave alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from imgcls_jax.errors import UserError
from imgcls_jax.models import tta

IMAGES = np.random.default_rng(0).normal(size=(3, 5, 4, 2)).astype(np.float32)


def read_out(variables, images, train):
    """Logits that see every pixel differently, and not linearly."""
    assert not train
    return jnp.tanh(images.reshape(images.shape[0], -1) @ variables["kernel"])


VARIABLES = {"kernel": np.random.default_rng(1).normal(size=(5 * 4 * 2, 6)).astype(np.float32)}


def by_hand(images):
    return np.tanh(np.float64(images).reshape(len(images), -1) @ VARIABLES["kernel"])


def both(images):
    return (by_hand(images) + by_hand(images[:, :, ::-1])) / 2


def moved(images, way):
    """The image one pixel right and down (+1) or left and up (-1), the edge reflected."""
    rows = np.abs(np.arange(5) - way)
    columns = np.abs(np.arange(4) - way)
    rows = np.where(rows > 4, 8 - rows, rows)
    columns = np.where(columns > 3, 6 - columns, columns)
    return images[:, rows][:, :, columns]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", by_hand(IMAGES)),
        ("flip", both(IMAGES)),
        (
            "flip_shift",
            both(IMAGES) / 2 + (both(moved(IMAGES, 1)) + both(moved(IMAGES, -1))) / 4,
        ),
    ],
)
def test_averages_by_hand(name, expected):
    apply_fn = jax.jit(tta.wrap(read_out, name), static_argnames="train")
    actual = apply_fn(VARIABLES, IMAGES, train=False)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_a_move_by_hand():
    """What the reference above means by moving an image."""
    image = np.arange(20.0).reshape(1, 5, 4, 1)
    np.testing.assert_array_equal(moved(image, 1)[0, :3, :3, 0], [[5, 4, 5], [1, 0, 1], [5, 4, 5]])
    np.testing.assert_array_equal(moved(image, -1)[0, 3:, 2:, 0], [[19, 18], [15, 14]])


@pytest.mark.parametrize("name", tta.NAMES)
def test_a_network_that_the_views_leave_alone_is_unchanged(name):
    def colours(variables, images, train):
        return jnp.stack([images[..., 0].max((1, 2)), images[..., 1].max((1, 2))], -1)

    images = jnp.asarray(IMAGES).at[:, 2, 1].set(9.0)  # never moved out
    actual = tta.wrap(colours, name)({}, images, train=False)
    np.testing.assert_allclose(actual, colours({}, images, train=False), rtol=1e-6)


def test_every_view_is_enlarged_as_pillow_does():
    images = np.random.default_rng(2).uniform(size=(2, 8, 8, 1)).astype(np.float32)

    def large(image):
        enlarged = Image.fromarray(image[..., 0]).resize((11, 11), Image.Resampling.BILINEAR)
        return np.asarray(enlarged)[..., None]

    seen = []

    def record(variables, images, train):
        jax.debug.callback(lambda view: seen.append(np.asarray(view)), images, ordered=True)
        return images.reshape(len(images), -1)

    logits = tta.wrap(record, "flip", size=11)({}, jnp.asarray(images), train=False)
    jax.effects_barrier()
    expected = [np.stack([large(i) for i in view]) for view in (images, images[:, :, ::-1])]
    np.testing.assert_allclose(seen, expected, atol=1e-5)
    np.testing.assert_allclose(logits, np.mean(expected, 0).reshape(2, -1), atol=1e-5)


def test_unknown_name():
    with pytest.raises(UserError, match=r"'rotate'.*none, flip, flip_shift"):
        tta.wrap(read_out, "rotate")
