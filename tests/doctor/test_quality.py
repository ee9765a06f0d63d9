"""Blurred, dark and tiny pictures are told from others."""

import numpy as np
from doctor_helpers import texture
from PIL import ImageFilter

from imgcls_jax.doctor import quality


def test_sharpness_is_the_variance_of_the_laplacian():
    image = np.zeros((5, 5, 3), np.uint8)
    image[2, 2] = 100
    found = quality.measure(image[None], []).sharpness
    laplacian = np.array([0, 100, 0, 100, -400, 100, 0, 100, 0.0])  # of the nine inner pixels
    np.testing.assert_allclose(found, laplacian.var(), rtol=1e-5)


def test_blurred_and_dark_pictures_are_below_their_limits(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    picture = texture(0, side=96)
    pictures = [picture.filter(ImageFilter.GaussianBlur(6)), picture.point(lambda v: v // 8)]
    images = np.stack([noise, *map(np.asarray, pictures)])
    picture.resize((30, 20)).save(tmp_path / "small.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    found = quality.measure(images, [tmp_path / "small.png", tmp_path / "bad.png"])
    assert (found.sharpness < quality.BLURRED).tolist()[:2] == [False, True]
    assert (found.brightness < quality.DARK).tolist() == [False, False, True]
    assert found.sides.tolist() == [20, 0]


def test_a_lamp_does_not_light_the_night():
    night = np.full((1, 96, 96, 3), 20, np.uint8)
    night[0, 40:44, 40:44] = 255
    assert quality.measure(night, []).brightness < quality.DARK
