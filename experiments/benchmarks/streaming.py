"""Streams a folder with far more pictures than memory holds: seconds and megabytes.

    python -m experiments.benchmarks.streaming FOLDER [IMAGES] [WORKERS]

Makes a folder of that many pictures (hard links to a few, 100,000 by default) where there is none,
streams one epoch of it with that many worker processes (none by default: threads), and prints what
`measure` returns.
"""

if __name__ == "__main__":  # before anything heavy is imported
    from experiments.cli.beginning import begin

    begin()

import json
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
from PIL import Image

from experiments.cli import flags as cli
from imgcls_jax.data.photos import folders, streaming
from imgcls_jax.data.photos.sources import FolderPhotos
from imgcls_jax.errors import UserError

_PAGE = os.sysconf("SC_PAGE_SIZE")


def make_folder(path: Path, *, images: int, classes: int = 100) -> None:
    """Writes `images` JPEGs of noise, 32x32, in class folders; within a class all are one file."""
    rng = np.random.default_rng(0)
    for label in range(classes):  # file systems allow 65,000 links to a file: one file per class
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
    """Streams an epoch, or its first batches, of a folder without split folders. Linux only.

    Returns:
      images, decoded_mb: number and size in memory of the whole set, in MB of 10**6 bytes.
      workers, streamed: processes that decoded, and images that came.
      scan_seconds: what finding the files took.
      first_batch_seconds: from then to the first batch, the start of the workers included.
      images_per_second: the rate after the first batch.
      before_mb: resident memory of this process before the scan.
      growth_mb: the most that it and the workers later had beyond that.
      late_growth_mb: how much of the growth came after a tenth of the batches.
    """
    import grain  # noqa: F401  so that its own memory is not taken for the stream's

    before, started = _resident_mb(), time.perf_counter()
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
            processes = multiprocessing.active_children()
            resident.append(
                _resident_mb() + sum(_resident_mb(process.pid) for process in processes)
            )
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


def _resident_mb(pid: int | str = "self") -> float:
    """Returns the resident memory of a process in MB; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 1e6
    except OSError:
        return 0.0


def main(arguments: list[str]) -> None:
    """Makes the folder if there is none, streams it and prints the figures as JSON.

    Raises:
      UserError: for arguments other than a folder and at most two whole numbers.
    """
    if not 1 <= len(arguments) <= 3 or not all(number.isdecimal() for number in arguments[1:]):
        raise UserError("give FOLDER [IMAGES] [WORKERS], a folder and whole numbers.")
    path, numbers = Path(arguments[0]), [int(number) for number in arguments[1:]]
    images, workers = [*numbers, *(100_000, 0)[len(numbers) :]]
    if not path.exists():
        make_folder(path, images=images)
    print(json.dumps(measure(path, workers=workers), indent=2))


if __name__ == "__main__":
    cli.run(main, takes_arguments=True)
