"""Pictures decoded once: a memory-mapped uint8 file that later epochs and later runs only read.

<cache>/<name>-<size>-<how>-<key>/     a folder for each set of pictures and settings
    images.npy      (N, size, size, 3), the pictures that can be read, in the order asked for
    finished.json   written last, so its presence says that images.npy is whole; the bad pictures,
                    and the checksums of blocks: some are compared at each start, or all if asked
    partial, blocks.jsonl   work in progress: pixels, and a line with a checksum for each block
    .lock           held while anything is written

The key is a SHA-256 over name, size and modification time of every file and over the settings: an
edited picture, another size or another way to resize makes another cache.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
from absl import logging
from tqdm.auto import tqdm

from imgcls_jax.data.photos import decode, pixel_file
from imgcls_jax.data.photos.decode import in_order
from imgcls_jax.data.photos.pictures import Files, Pictures
from imgcls_jax.errors import UserError
from imgcls_jax.files import advised, cache_folder, lock, whole
from imgcls_jax.files.reading import read_json, require_regular

_LAYOUT = 2  # raise it when the files here, or the pixels that `photos` makes, change
_NAMED = 10  # bad images that an error names
_BLOCKS = "blocks.jsonl"


def load(
    root: str | os.PathLike,
    paths: Sequence[str],
    *,
    size: int,
    how: str,
    corrupt: str = "refuse",
    cache_dir: str | os.PathLike | None = None,
    workers: int | None = None,
    verify: bool = False,
) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str]]]:
    """Loads the pictures `root/path` as `load_pictures` does.

    Args:
      root: the folder that paths are relative to.
      paths: of the pictures, in the order wanted.
    """
    return load_pictures(
        Files(Path(root).expanduser(), tuple(paths)),
        size=size,
        how=how,
        corrupt=corrupt,
        cache_dir=cache_dir,
        workers=workers,
        verify=verify,
    )


def load_pictures(
    pictures: Pictures,
    *,
    size: int,
    how: str,
    corrupt: str = "refuse",
    cache_dir: str | os.PathLike | None = None,
    workers: int | None = None,
    verify: bool = False,
) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str]]]:
    """Loads pictures, resized and memory-mapped; only the first call decodes.

    A call that was broken off goes on where it stopped. Threads decode: Pillow lets go of Python's
    lock meanwhile, and unlike processes they start at once and from any script or notebook.

    Args:
      size, how: as `decode.resize` has them.
      corrupt: "skip" leaves out pictures that cannot be read, "refuse" refuses to go on.
      cache_dir: default $IMGCLS_CACHE, else ~/.cache/imgcls_jax.
      workers: threads; default one per core.
      verify: whether the checksums of all pixels are compared rather than of some, chosen by
        chance. Damaged ones are decoded anew.

    Returns:
      images: uint8 (N, size, size, 3), read-only, of the N pictures that can be read.
      kept: bool (len(pictures),), which those are.
      bad: (path, reason) of the others; the reason is the predicate of a sentence.

    Raises:
      UserError: pictures that cannot be read and corrupt="refuse", none that can, or a cache that
        cannot be written.
    """
    workers = workers or cores()
    cache = cache_folder(cache_dir)
    folder = cache / _name(pictures, size, how)
    try:
        bad = _finished(folder, pictures, size, verify)
        if bad is None:
            folder.mkdir(parents=True, exist_ok=True)
            with lock(folder, "decodes the same images"):
                bad = _finished(folder, pictures, size, verify)  # another may just have made it
                if bad is None:
                    bad = _make(folder, pictures, size, how, workers)
    except OSError as error:
        advice = advised(error, "set IMGCLS_CACHE to another folder, then run again")
        raise UserError(
            f"Decoded images cannot be kept in {cache} ({error.strerror or error}): {advice}."
        ) from error
    listed = [(pictures.told(index), bad[index]) for index in sorted(bad)]
    if len(listed) == len(pictures) or (listed and corrupt == "refuse"):
        raise UserError(_refusal(pictures, listed))
    kept = np.ones(len(pictures), bool)
    kept[sorted(bad)] = False
    return pixel_file.open_images(folder), kept, listed


def _name(pictures: Pictures, size: int, how: str) -> str:
    digest = hashlib.sha256(json.dumps([_LAYOUT, PIL.__version__, size, how]).encode())
    for part in pictures.key():
        digest.update(part)
    return f"{pictures.title[:80]}-{size}-{how}-{digest.hexdigest()[:32]}"


def _finished(folder: Path, pictures: Pictures, size: int, verify: bool) -> dict[int, str] | None:
    """Returns why pictures are bad, by index, or None without a whole, current cache."""
    try:
        record = read_json(folder / "finished.json")
        if record["state"] != pixel_file.state_of(
            folder / "images.npy"
        ):  # cut short or written into
            return None
        bad = {int(index): reason for index, reason in record["bad"].items()}
        if not pixel_file.is_intact(folder / "images.npy", record, size, verify):
            logging.warning("Decoded images in %s are damaged: they are decoded anew.", folder)
            return None
        count, every = len(pixel_file.open_images(folder)), set(range(len(pictures)))
        if count + len(bad) != len(every) or set(bad) - every:
            return None
    except Exception:  # missing or damaged, of which NumPy raises anything
        return None
    # The fault may have been outside the file (permissions, a mount) and be put right by now.
    for index in bad:
        with contextlib.suppress(decode.BadImage):
            decode.decode(pictures[index])
            return None
    if not (folder / "partial").exists():  # nobody decodes: one died when all was done
        with contextlib.suppress(OSError):
            (folder / _BLOCKS).unlink()
    return bad


def _make(folder: Path, pictures: Pictures, size: int, how: str, workers: int) -> dict[int, str]:
    """Decodes the missing blocks, in order; returns why pictures are bad, by index."""
    partial, blocks = folder / "partial", folder / _BLOCKS
    for path in (partial, blocks):
        path.touch()
        require_regular(path)
    with partial.open("r+b") as pixels, blocks.open("a+", errors="replace") as log:
        pixels.write(pixel_file.npy_header(len(pictures), size))
        done, bad = pixel_file.resume(pixels, log, size)
        needed, free = (len(pictures) - done) * size * size * 3, shutil.disk_usage(folder).free
        if needed > free:
            reason = f"{needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free"
            raise OSError(errno.ENOSPC, reason)

        def decode_block(start: int) -> tuple[np.ndarray, dict[int, str]]:
            return _decode(
                pictures, range(start, min(start + pixel_file.BLOCK, len(pictures))), size, how
            )

        progress = tqdm(
            total=len(pictures),
            initial=done,
            desc=f"Decoding {pictures.title}",
            unit=" images",
            leave=False,
            disable=None,
        )
        with progress, ThreadPoolExecutor(workers) as pool:
            starts = range(done, len(pictures), pixel_file.BLOCK)
            for images, reasons in in_order(pool, decode_block, starts, ahead=workers + 2):
                pixels.write(images)
                pixels.flush()
                line = {"images": len(images), "crc32": zlib.crc32(images), "bad": reasons}
                log.write(json.dumps(line) + "\n")
                log.flush()
                bad |= reasons
                progress.update(len(images) + len(reasons))
        pixels.seek(0)
        pixels.write(pixel_file.npy_header(len(pictures) - len(bad), size))
        pixels.flush()
        os.fsync(pixels.fileno())  # before the rename says that it is whole
        log.seek(0)
        written = [(block["images"], block["crc32"]) for block in map(json.loads, log)]
    os.replace(partial, folder / "images.npy")
    record = {"state": pixel_file.state_of(folder / "images.npy"), "bad": bad, "blocks": written}
    with whole(folder / "finished.json") as unfinished:
        unfinished.write_text(json.dumps(record) + "\n")
    blocks.unlink(missing_ok=True)
    return bad


def _decode(
    pictures: Pictures, indices: range, size: int, how: str
) -> tuple[np.ndarray, dict[int, str]]:
    """Returns (uint8 (n, size, size, 3), why the others are bad, by index)."""
    images, bad = [], {}
    for index in indices:
        try:
            images.append(decode.load(pictures[index], size, how))
        except decode.BadImage as error:
            bad[index] = error.reason
    return np.array(images, np.uint8).reshape(-1, size, size, 3), bad


def _refusal(pictures: Pictures, bad: Sequence[tuple[str, str]]) -> str:
    named = "; ".join(f"{decode.printable(path)} {reason}" for path, reason in bad[:_NAMED])
    more = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    count, where = len(pictures), pictures.where
    if len(bad) == count:
        return f"None of the {count} images in {where} can be read ({named}{more}): replace them."
    return (
        f"{len(bad)} of the {count} images in {where} cannot be read ({named}{more}): "
        f"{pictures.advice}."
    )


def cores() -> int:
    """Counts the cores of this process, which may be fewer than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(affinity(0)) if affinity else os.cpu_count() or 1
