"""RandAugment: every operation against Pillow, and how often each is drawn."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from imgcls_jax.augment import geometry, randaugment
from imgcls_jax.augment.randaugment import OPERATIONS

KEY = jax.random.key(0)
SIZE = 16
PIXELS = np.random.default_rng(0).integers(20, 200, (2, SIZE, SIZE, 3), np.uint8)
LEVEL, BITS = 0.5, 6  # 8 - 4 * LEVEL


def enhance(name):
    return lambda image, sign: getattr(ImageEnhance, name)(image).enhance(1 + 0.9 * LEVEL * sign)


def affine(matrix_of):
    """Pillow's affine transform with x first, about the centre of pixels that have extent."""

    def apply(image, sign):
        a, b, c, d, e, f = matrix_of(sign)
        middle = SIZE / 2
        c, f = c + middle - a * middle - b * middle, f + middle - d * middle - e * middle
        return image.transform(image.size, Image.AFFINE, (a, b, c, d, e, f), Image.BILINEAR)

    return apply


def turn(sign):
    angle = np.radians(30 * LEVEL * sign)
    return np.cos(angle), np.sin(angle), 0, -np.sin(angle), np.cos(angle), 0


SHEAR, MOVE = 0.3 * LEVEL, 0.45 * LEVEL * SIZE
PILLOW = {
    "identity": lambda image, sign: image,
    "autocontrast": lambda image, sign: ImageOps.autocontrast(image),
    "brightness": enhance("Brightness"),
    "contrast": enhance("Contrast"),
    "colour": enhance("Color"),
    "sharpness": enhance("Sharpness"),
    "posterize": lambda image, sign: ImageOps.posterize(image, BITS),
    "solarize": lambda image, sign: ImageOps.solarize(image, 128),
    "rotate": affine(turn),
    "shear_x": affine(lambda sign: (1, SHEAR * sign, 0, 0, 1, 0)),
    "shear_y": affine(lambda sign: (1, 0, 0, SHEAR * sign, 1, 0)),
    "translate_x": affine(lambda sign: (1, 0, MOVE * sign, 0, 1, 0)),
    "translate_y": affine(lambda sign: (1, 0, 0, 0, 1, MOVE * sign)),
}


def drawn(images, magnitude):
    return np.asarray(jax.jit(lambda x: randaugment.randaugment(KEY, x, magnitude))(images))


@jax.jit
def one(images, operation, sign):
    planes = jnp.moveaxis(images, -1, 1)
    values = randaugment.on_values(planes, operation, sign, level=LEVEL)
    moves = randaugment.on_positions(images.shape, operation, sign, level=LEVEL)
    return geometry.affine(jnp.moveaxis(values, 1, -1), moves)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_is_pillows(name, sign):
    operation = np.full(len(PIXELS), OPERATIONS.index(name))
    got = np.asarray(one(PIXELS / np.float32(255), operation, np.full(len(PIXELS), float(sign))))
    # Pillow interpolates nothing across the image's edge: only its inside is compared.
    edge = 6 if name in ("rotate", "shear_x", "shear_y", "translate_x", "translate_y") else 0
    inside = (slice(edge, SIZE - edge),) * 2
    for pixels, image in zip(PIXELS, got, strict=True):
        expected = np.asarray(PILLOW[name](Image.fromarray(pixels), sign))
        np.testing.assert_allclose(image[inside] * 255, expected[inside], atol=1.6)
    assert (name == "identity") == np.allclose(got * 255, PIXELS, atol=0.01)


def test_every_operation_and_direction_is_drawn_equally_often(monkeypatch):
    """Operations replaced by their own counters: a channel each, and one for the direction."""

    def count_one(planes, operation, sign, *, level):
        each = jnp.concatenate([jax.nn.one_hot(operation, 13), sign[:, None]], axis=1)
        return planes + each[:, :, None, None]

    monkeypatch.setattr(randaugment, "on_values", count_one)
    monkeypatch.setattr(randaugment, "on_positions", lambda *_, level: jnp.eye(3))
    images = 2000
    counts = drawn(jnp.zeros((images, 1, 1, 14)), 9.0)[:, 0, 0]
    np.testing.assert_array_equal(counts[:, :13].sum(axis=1), 2)  # two operations an image
    expected = 2 * images / 13
    chi_square = ((counts[:, :13].sum(axis=0) - expected) ** 2 / expected).sum()
    assert chi_square < 40  # 12 degrees of freedom: 40 has probability 7e-5
    assert abs(counts[:, 13].sum()) < 5 * (2 * images) ** 0.5


def test_a_constant_image_survives_autocontrast():
    flat = np.full((2, 1, 4, 4), 0.25, np.float32)
    operation = np.full(2, OPERATIONS.index("autocontrast"))
    got = jax.jit(functools.partial(randaugment.on_values, level=0.3))(flat, operation, np.ones(2))
    np.testing.assert_allclose(got, flat, atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 2, 2, 1), (4, 1, 5, 3)])
def test_images_too_small_to_sharpen(shape):
    images = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    assert np.isfinite(drawn(images, 15.0)).all()
