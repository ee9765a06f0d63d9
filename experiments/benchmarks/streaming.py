"""How a folder with far more pictures than memory holds is streamed: seconds and megabytes.

    python -m experiments.benchmarks.streaming FOLDER [IMAGES] [WORKERS]

makes a folder of that many pictures (hard links to a few, 100,000 by default) where there is none,
streams one epoch of it, and prints what `measure` returns.
"""

if __name__ == "__main__":  # before anything heavy is imported
    from experiments.cli import huge_pages

    huge_pages.ask()

import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from imgcls_jax.data.photos import folders, streaming
from imgcls_jax.data.photos.sources import FolderPhotos

_PAGE = os.sysconf("SC_PAGE_SIZE")


def make_folder(path: Path, *, images: int, classes: int = 100) -> None:
    """`images` JPEGs of noise, 32x32, in class folders; within a class all are one file."""
    rng = np.random.default_rng(0)
    for label in range(classes):  # file systems allow 65,000 links to a file, so one file a class
        folder = path / f"class {label:03}"
        folder.mkdir(parents=True)
        first = folder / "0.jpg"
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(first)
        for number in range(1, len(range(label, images, classes))):
            os.link(first, folder / f"{number}.jpg")


def measure(
    path: Path,
    *,
    size: int = 64,
    batch_size: int = 64,
    workers: int = 0,
    batches: int | None = None,
) -> dict[str, float]:
    """Streams an epoch, or its first batches, of a folder without split folders.

    Returns:
      images and decoded_mb: of the whole set; scan_seconds; first_batch_seconds, after the scan,
      start of the workers included; images_per_second after that; resident memory in MB (10**6
      bytes): before_mb, of this process before the scan; growth_mb, the most that it and the
      workers later had beyond that; late_growth_mb, how much of it came after a tenth of the
      batches. Linux only.
    """
    import grain  # noqa: F401  so that its own memory is not taken for the stream's

    before, started = _resident(), time.perf_counter()
    folder = folders.scan(path)
    files = folder.splits["all"]
    scanned = time.perf_counter()
    source = FolderPhotos(folder.path, files.paths, files.labels)
    resident, seen = [], 0
    with streaming.stream(
        source, batch_size=batch_size, size=size, epochs=1, workers=workers
    ) as stream:
        count = min(batches or stream.batches_per_epoch, stream.batches_per_epoch)
        for _ in range(count):
            seen += len(next(stream)["label"])
            resident.append(_resident() + sum(map(_resident, _workers())))
            if len(resident) == 1:
                first, seen_first = time.perf_counter(), seen
    ended = time.perf_counter()
    early = max(resident[: max(1, count // 10)])
    return {
        "images": len(files),
        "decoded_mb": len(files) * size * size * 3 / 1e6,
        "workers": workers,
        "streamed": seen,
        "scan_seconds": scanned - started,
        "first_batch_seconds": first - scanned,
        "images_per_second": (seen - seen_first) / (ended - first),
        "before_mb": before,
        "growth_mb": max(resident) - before,
        "late_growth_mb": max(max(resident) - early, 0.0),
    }


def _workers() -> list[int]:
    return [process.pid for process in multiprocessing.active_children()]


def _resident(pid: int | str = "self") -> float:
    """Of a process, in MB; 0 where it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6
    except OSError:
        return 0.0


def main(folder: str, images: str = "100000", workers: str = "0") -> None:
    path = Path(folder)
    if not path.exists():
        make_folder(path, images=int(images))
    print(json.dumps(measure(path, workers=int(workers)), indent=2))


if __name__ == "__main__":
    main(*sys.argv[1:])
