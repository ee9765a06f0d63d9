"""RandAugment: every operation against Pillow, and how often each is drawn."""

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


def test_every_operation_is_drawn_equally_often(monkeypatch):
    """The operations are told apart by what each does: here, add its own number."""
    monkeypatch.setattr(
        randaugment,
        "on_values",
        lambda images, operation, sign, *, level: (
            images + 10.0 ** operation[:, None, None, None].astype(jnp.float64)
        ),
    )
    monkeypatch.setattr(
        randaugment, "on_positions", lambda shape, *_, level: jnp.tile(jnp.eye(3), (shape[0], 1, 1))
    )
    count = 2000
    with jax.enable_x64(True):
        sums = np.asarray(randaugment.randaugment(KEY, jnp.zeros((count, 1, 1, 1)), 9.0))
    digits = [list(map(int, f"{round(float(value)):013d}"[::-1])) for value in sums.ravel()]
    assert {sum(each) for each in digits} == {2}  # two operations an image
    counts = np.sum(digits, axis=0)
    expected = 2 * count / 13
    assert ((counts - expected) ** 2 / expected).sum() < 40  # 12 degrees of freedom: 7e-5


def test_a_constant_image_survives_autocontrast():
    flat = np.full((2, 1, 4, 4), 0.25, np.float32)
    operation = np.full(2, OPERATIONS.index("autocontrast"))
    got = randaugment.on_values(flat, operation, np.ones(2), level=0.3)
    np.testing.assert_allclose(got, flat, atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 2, 2, 1), (4, 1, 5, 3)])
def test_images_too_small_to_sharpen(shape):
    images = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    assert np.isfinite(randaugment.randaugment(KEY, images, 15.0)).all()
