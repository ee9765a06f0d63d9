"""What the builders encode and decode images with, by Pillow in place of TensorFlow.

JPEG files come out byte for byte as TensorFlow writes them, decoded pixels bit for bit. PNG files
hold the same pixels in other bytes: the two libraries compress differently.
"""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from imgcls_jax.data.catalog.preparing import jpeg
from imgcls_jax.data.catalog.preparing.tensors import Bytes, NotSupplied, Tensor

_PNG_LEVEL = 1  # of zlib: more takes twice as long for files a hundredth smaller
_DOTS_PER_INCH = (300, 300)  # TensorFlow's


def encode_png(image: Any, compression: int = -1, **others: Any) -> Bytes:
    """Returns pixels (H, W, 1 to 4), uint8, or (H, W, 1), uint16, as a PNG file.

    Source: `tf.io.encode_png`.

    Raises:
      NotSupplied: uint16 in several channels, which Pillow cannot write.
    """
    _refuse("encode_png", others)
    pixels = np.asarray(image)
    if pixels.dtype == np.uint16 and pixels.shape[-1] != 1:
        raise NotSupplied("tf.io.encode_png of 16-bit colours")
    level = _PNG_LEVEL if compression < 0 else compression
    return _file(pixels, "PNG", compress_level=level)


def encode_jpeg(image: Any, format: str = "", quality: int = 95, **others: Any) -> Bytes:
    """Returns pixels (H, W, 1 or 3), uint8, as a JPEG file.

    Source: `tf.io.encode_jpeg`, whose defaults are those here.
    """
    _refuse("encode_jpeg", others)
    pixels = np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3):
        raise ValueError(f"an image of the shape {pixels.shape} cannot become a JPEG file")
    # A grey file with sampling factors would differ in one byte.
    sampling = {"subsampling": "4:2:0"} if pixels.shape[-1] == 3 else {}
    return _file(pixels, "JPEG", quality=quality, dpi=_DOTS_PER_INCH, **sampling)


def _file(pixels: np.ndarray, kind: str, **options: Any) -> Bytes:
    buffer = io.BytesIO()
    plane = pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels
    Image.fromarray(np.ascontiguousarray(plane)).save(buffer, kind, **options)
    return Bytes(buffer.getvalue())


def decode_jpeg(contents: bytes, **others: Any) -> Tensor:
    """Returns the pixels of a JPEG file, uint8 (H, W, 1 or 3).

    Source: `tf.io.decode_jpeg` with its defaults.
    """
    _refuse("decode_jpeg", others)
    return Tensor(jpeg.decode(contents))


def decode_png(contents: bytes, channels: int = 0, **others: Any) -> Tensor:
    """Returns the pixels of a PNG file, uint8 (H, W, C), C as stored or as asked for.

    Source: `tf.io.decode_png`.

    Raises:
      NotSupplied: a file of 16 bits per channel.
    """
    _refuse("decode_png", others)
    image = Image.open(io.BytesIO(contents), formats=["PNG"])
    if image.mode.startswith("I") or image.mode == "F":
        raise NotSupplied("tf.io.decode_png of 16 bits per channel")
    if image.mode == "P" or "transparency" in image.info:
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode == "1":
        image = image.convert("L")
    if channels:
        image = image.convert(("L", "LA", "RGB", "RGBA")[channels - 1])
    return _pixels(image)


def decode_image(contents: bytes, **others: Any) -> Tensor:
    """Returns the pixels of a JPEG, PNG or BMP file, uint8 (H, W, C).

    Source: `tf.io.decode_image` with its defaults.

    Raises:
      NotSupplied: a GIF file or a file of any other kind.
    """
    _refuse("decode_image", others)
    if contents.startswith(b"\xff\xd8\xff"):
        return decode_jpeg(contents)
    if contents.startswith(b"\x89PNG"):
        return decode_png(contents)
    if contents.startswith(b"BM"):
        return _pixels(Image.open(io.BytesIO(contents), formats=["BMP"]).convert("RGB"))
    raise NotSupplied("tf.io.decode_image of other files than JPEG, PNG and BMP")


def _refuse(name: str, others: Mapping[str, Any]) -> None:
    """Raises NotSupplied for an argument that only TensorFlow's function takes."""
    if given := [f"{key}={value!r}" for key, value in others.items() if value is not None]:
        raise NotSupplied(f"tf.io.{name} with {', '.join(given)}")


def _pixels(image: Image.Image) -> Tensor:
    pixels = np.asarray(image, np.uint8)
    return Tensor(pixels[..., None] if pixels.ndim == 2 else pixels)
