"""Drawn pixels and the files that published archives are made of; the seed decides every byte.

What is packed is packed without compression, since that differs by the version of zlib.
"""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping

import numpy as np
from PIL import Image

_EPOCH = (1980, 1, 1, 0, 0, 0)


def pixels(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Draws coarse blocks of colour under fine noise, uint8 (height, width, 3)."""
    blocks = rng.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3))
    large = blocks.repeat(16, 0).repeat(16, 1)[:height, :width]
    noise = rng.integers(-30, 31, (height, width, 3))
    return (large + noise).clip(0, 255).astype(np.uint8)


def jpeg(image: np.ndarray, mode: str = "RGB", **options: object) -> bytes:
    """Returns pixels (H, W, 3) as a JPEG file in a mode of Pillow's."""
    buffer = io.BytesIO()
    Image.fromarray(image).convert(mode).save(buffer, "JPEG", **{"quality": 90, **options})
    return buffer.getvalue()


def photo(rng: np.random.Generator, height: int | None = None, width: int | None = None) -> bytes:
    """Draws a JPEG file; sides that are not given are of 40 to 90 pixels."""
    height, width = (side or int(rng.integers(40, 91)) for side in (height, width))
    return jpeg(pixels(rng, height, width))


def png(image: np.ndarray) -> bytes:
    """Returns pixels, uint8 (H, W, 1, 3 or 4) or bool (H, W, 1), as a PNG file, not compressed."""
    height, width, channels = image.shape
    colour = {1: 0, 3: 2, 4: 6}[channels]
    bits = 8
    if image.dtype == bool:
        image, bits = np.packbits(image, axis=1), 1
    rows = b"".join(b"\0" + row.tobytes() for row in image)
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0),
        b"IDAT": b"\x78\x01" + _stored(rows) + struct.pack(">I", zlib.adler32(rows)),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts.items()
    )


def gzipped(content: bytes) -> bytes:
    """Returns the content as a gzip file."""
    tail = struct.pack("<II", zlib.crc32(content), len(content))
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + _stored(content) + tail


def _stored(content: bytes) -> bytes:
    """Returns the content as Deflate's blocks without compression (RFC 1951, 3.2.4)."""
    blocks = [content[start : start + 65535] for start in range(0, len(content), 65535)]
    return b"".join(
        struct.pack("<BHH", number == len(blocks), len(block), len(block) ^ 0xFFFF) + block
        for number, block in enumerate(blocks, 1)
    )


def npy(array: np.ndarray) -> bytes:
    """Returns an array as a file of NumPy's."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    """Returns arrays by name as a zip archive of NumPy's files."""
    return zipped({f"{name}.npy": npy(array) for name, array in arrays.items()})


def hdf5(**arrays: np.ndarray) -> bytes:
    """Returns arrays by name as an HDF5 file."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, track_times=False)
    return buffer.getvalue()


def lines(lines: Iterable[str]) -> bytes:
    """Returns a text of some lines."""
    return "".join(f"{line}\n" for line in lines).encode()


def idx(array: np.ndarray) -> bytes:
    """Returns uint8 of any shape as a gzipped IDX file."""
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return gzipped(head + array.astype(np.uint8).tobytes())


def mat(**arrays: np.ndarray) -> bytes:
    """Returns arrays as a MATLAB 5 file."""
    from scipy.io import savemat

    buffer = io.BytesIO()
    savemat(buffer, arrays)
    # The first 116 bytes are a comment, which holds the time.
    return b"MATLAB 5.0 MAT-file".ljust(116) + buffer.getvalue()[116:]


def tar(members: Mapping[str, bytes]) -> bytes:
    """Returns files by path as a tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def tgz(members: Mapping[str, bytes]) -> bytes:
    """Returns files by path as a gzipped tar archive."""
    return gzipped(tar(members))


def zipped(members: Mapping[str, bytes]) -> bytes:
    """Returns files by path as a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
    return buffer.getvalue()
