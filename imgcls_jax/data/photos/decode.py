"""Picture files of any kind: decoded to uint8 RGB, and brought to the square that a network takes.

`in_order` runs such work in a pool of threads or processes, with few pictures in memory at a time.
"""

import io
import os
import re
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from imgcls_jax.data.photos import kinds
from imgcls_jax.errors import UserError, printable
from imgcls_jax.files import reading

# Named, since Pillow would also hand files that look like PostScript over to Ghostscript.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "AVIF", "TIFF", "PPM")

# Both over the whole area a pixel stands for (Pillow's resize is antialiased). Bilinear is what
# torchvision's ResNet, MobileNet and DenseNet weights were evaluated with; bicubic, for most of
# timm's, costs a third more. Keras' stretching without antialiasing turns fine texture into noise.
_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_HOW = re.compile(r"(crop|stretch|pad)(?:-(bilinear|bicubic)-(0\.\d*[1-9]\d*|1))?")

_UPRIGHT = {  # EXIF orientation -> the turn that brings the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112  # the EXIF tag

_ALWAYS, _PER_BYTE = 2**24, 10_000  # pixels that are decoded, of any file and for each of its bytes

# Pillow warns of large pictures (it refuses only those of twice that size) and of stray metadata:
# of no use to anybody while a set of pictures is read, whose bad ones are reported anyway.
warnings.filterwarnings("ignore", module=r"PIL\.")


class BadImage(UserError):
    """The error for a file that cannot be used as an image.

    name: the file, or "The image" where bytes were given; made printable.
    reason: the sentence's predicate, such as "is empty (0 bytes)".
    """

    def __init__(self, name: str, reason: str):
        super().__init__(name, reason)  # both, so that it survives pickling between processes
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        advice = "install that" if self.reason == kinds.WITHOUT_HEIC else "replace or remove it"
        return f"{self.name} {self.reason}: {advice}."


def decode(
    source: str | os.PathLike | bytes, *, at_least: tuple[int, int] | None = None
) -> np.ndarray:
    """Decodes a picture to uint8 (H, W, 3) RGB, upright by its EXIF orientation.

    Any mode: grey, palette, alpha (over white), CMYK; 16-bit values are scaled by 255/65535, and
    so are 32-bit integers; floats are taken for 0..1 or else 0..255; values that do not fit are
    stretched from the smallest to the largest. Of an animation or several pages it is the first.

    Args:
      source: a file or its content.
      at_least: (H, W) in pixels: a JPEG may come at a half, a quarter or an eighth of its size, but
        not smaller than this; up to four times as fast for large photos.

    Raises:
      BadImage: the file cannot be read, is empty, truncated, damaged, no image or so large that it
        could be a decompression bomb: above 179 million pixels (Pillow's limit), or above 17
        million and 10,000 for each byte.
    """
    return np.asarray(_open(source, at_least))


def resize(image: np.ndarray, size: int, how: str = "crop") -> np.ndarray:
    """Resizes uint8 (H, W, 3) to uint8 (size, size, 3).

    Args:
      size: side in pixels.
      how: "crop" makes the short side fit and cuts the long one (torchvision's evaluation), no
        distortion; "stretch" fits both sides (Keras' image_dataset_from_directory); "pad" fits the
        long side and fills with black (its pad_to_aspect_ratio). With an interpolation, by default
        "bilinear", and a share of the sides, by default 1, as in "crop-bicubic-0.875": the photo is
        fitted to size / 0.875, and its middle is kept.

    Raises:
      UserError: no such `how`, or a size below 1.
    """
    return np.asarray(_square(Image.fromarray(image), size, how))


def load(source: str | os.PathLike | bytes, size: int, how: str = "crop") -> np.ndarray:
    """Computes `resize(decode(source), ...)`, the one way from a file to a network's input.

    No array lies between the two, and a JPEG at least four times as large as needed is decoded at a
    half, a quarter or an eighth of its size, never below twice the size needed (the choice of
    Pillow's own `thumbnail`). A 12-megapixel photo takes a fifth of the time that way.

    Raises:
      BadImage, UserError: as `decode` and `resize` do.
    """
    least = 2 * _fitted(size, _parts(how)[2])
    return np.asarray(_square(_open(source, (least, least)), size, how))


def stretched(how: str) -> str:
    """Returns the `how` that stretches a whole picture, by the interpolation of another."""
    interpolation = _parts(how)[1]
    return "stretch" if interpolation == "bilinear" else f"stretch-{interpolation}-1"


def _open(source: str | os.PathLike | bytes, at_least: tuple[int, int] | None) -> Image.Image:
    """Returns the decoded picture, upright, mode RGB."""
    name = "The image" if isinstance(source, bytes) else printable(source)
    try:
        content = source if isinstance(source, bytes) else reading.content(source)
    except OSError as error:
        raise BadImage(name, f"cannot be read ({error.strerror})") from error
    if not content:
        raise BadImage(name, "is empty (0 bytes)")
    formats = _FORMATS
    if kinds.is_heic(content):
        if not kinds.heic_is_read():
            raise BadImage(name, kinds.WITHOUT_HEIC)
        formats = ("HEIF",)
    try:
        with Image.open(io.BytesIO(content), formats=formats) as image:
            _require_no_bomb(image.size, len(content), name)
            if at_least and image.format in ("JPEG", "MPO"):
                lying = _orientation(image) >= 5
                image.draft(None, at_least if lying else at_least[::-1])
            image.load()
            # After loading, since some of Pillow's readers (TIFF) have turned it by then.
            turn = _UPRIGHT.get(_orientation(image))
            return _rgb(image.transpose(turn) if turn is not None else image)
    except (MemoryError, BadImage):
        raise
    except UnidentifiedImageError as error:
        whatever = ", whatever its name says" if kinds.is_called_picture(name) else ""
        raise BadImage(name, f"is no image{whatever}") from error
    except Image.DecompressionBombError as error:
        raise BadImage(name, "has so many pixels that it could be a decompression bomb") from error
    except Exception as error:  # damaged files make Pillow's readers raise anything
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise BadImage(name, f"is truncated or damaged ({reason})") from error


def _require_no_bomb(size: tuple[int, int], length: int, name: str) -> None:
    """Refuses pixels that a few bytes promise: they would take gigabytes before they are missed.

    Of one colour, a PNG of one bit for a pixel has 8,000 of them for each byte.
    """
    pixels = size[0] * size[1]
    if pixels > max(_ALWAYS, _PER_BYTE * length):
        why = f"has {pixels:,} pixels in {length:,} bytes"
        raise BadImage(name, f"{why}, so that it could be a decompression bomb")


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF data are no reason to lose a picture
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_bytes(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    # `convert` copies also where there is nothing to convert.
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_bytes(values: np.ndarray) -> np.ndarray:
    """Brings grey values wider than a byte to uint8 of the same shape."""
    whole = values.dtype.kind != "f"
    values = np.nan_to_num(values.astype(np.float64), posinf=0, neginf=0)
    low, high = values.min(), values.max()
    full = 65535 if whole else 1 if high <= 1 else 255
    if low < 0 or high > full:
        values, full = values - low, high - low
    return np.rint(values * (255 / full)).astype(np.uint8)


def _square(image: Image.Image, size: int, how: str) -> Image.Image:
    if size < 1:
        raise UserError(f"Size {size} must be at least 1.")
    kind, interpolation, fraction = _parts(how)
    resample, fitted = _FILTERS[interpolation], _fitted(size, fraction)
    width, height = image.size
    if kind == "stretch":
        new_width = new_height = fitted
    else:
        fit = fitted / (min if kind == "crop" else max)(width, height)
        # The fitted side comes out exact, the other is cut off to whole pixels as torchvision does.
        new_width, new_height = (max(1, int(length * fit + 1e-6)) for length in (width, height))
    left, top = round((new_width - size) / 2), round((new_height - size) / 2)
    if kind == "pad":
        image = image.resize((new_width, new_height), resample)
        square = Image.new("RGB", (size, size))
        square.paste(image, (-left, -top))
        return square
    # Only the part that is kept is resized, as if all had been resized and then cut; the box is in
    # the source's pixels.
    x, y = width / new_width, height / new_height
    box = (left * x, top * y, min((left + size) * x, width), min((top + size) * y, height))
    return image.resize((size, size), resample, box=box)


def _parts(how: str) -> tuple[str, str, float]:
    """Returns the way to make a picture square, the interpolation and the share of the sides."""
    found = _HOW.fullmatch(how)
    if found is None:
        raise UserError(f"Resizing {how!r} does not exist: choose crop, stretch or pad.")
    return found[1], found[2] or "bilinear", float(found[3] or 1)


def _fitted(size: int, fraction: float) -> int:
    """Returns the pixels of the fitted side before its middle is kept, as timm rounds them."""
    return int(size / fraction + 1e-6)


def in_order(
    pool: Executor, function: Callable[[Any], Any], arguments: Iterable[Any], *, ahead: int
) -> Iterator[Any]:
    """Yields the results of `pool.map` with at most `ahead` + 1 begun and not yet taken.

    Calls that are begun but not running are cancelled if the results are not all taken.
    """
    waiting = deque()
    try:
        for argument in arguments:
            waiting.append(pool.submit(function, argument))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
