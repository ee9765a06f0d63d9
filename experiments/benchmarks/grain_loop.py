"""The stream of photos beside Grain's own loop, on records of ImageNet's shape: images per second.

Both read the same array records, decode by the same function, shuffle and batch. Grain's own loop
is `grain.DataLoader` with the decoding in a transformation, in worker processes, since it decodes
in one thread without any; the stream is measured with as many processes, and as it is by default,
in threads. A turn begins after some batches that fill the buffers, and ends while they are full.
Linux only, which tells the processor time of worker processes.
"""

import contextlib
import io
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from imgcls_jax.data.photos import decode, streaming
from imgcls_jax.data.photos.cache import cores
from imgcls_jax.data.photos.sources import RecordPhotos
from imgcls_jax.report import console

IMAGES, CLASSES = 384, 1000
BATCH_SIZE, SIZE = 32, 224
_SHAPE = (375, 500)  # of most of ImageNet's photos
_WARM, _COUNTED = 12, 48  # batches of a turn, those that count being of four epochs
_QUALITY, _NOISE = 92, 18  # which make files of about 110 kB, ImageNet's mean
_AHEAD = 2  # batches that Grain's workers hold ready, as those of the stream do


def measure(_: Any, *, rounds: int) -> dict[str, Any]:
    """Makes the records in a folder that is then gone, and has the contenders take turns.

    Returns:
      Seconds of each turn and their medians, images and megabytes per second of those, milliseconds
      of the processor per image, all processes together, and the median over the rounds of each
      rate as a ratio of that of Grain's own loop.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = RecordPhotos(write_records(Path(folder)), "train")
        mean = statistics.mean(len(source[index][0]) for index in range(len(source)))
        turns = take_turns(source, rounds=rounds)
    seconds = {name: [turn.seconds for turn in of] for name, of in turns.items()}
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    images, own = BATCH_SIZE * _COUNTED, seconds["grain_processes"]
    rates = {name: images / median for name, median in medians.items()}
    return {
        "benchmark": f"streaming {images:,} images from records of ImageNet's shape: seconds",
        "records": len(source),
        "bytes_per_image": mean,
        "batch_size": BATCH_SIZE,
        "size": SIZE,
        "processes": cores(),
        "seconds": seconds,
        "median": medians,
        "images_per_second": rates,
        "mb_per_second": {name: rate * mean / 1e6 for name, rate in rates.items()},
        "cpu_ms_per_image": {
            name: statistics.median(turn.cpu_ms for turn in of) for name, of in turns.items()
        },
        "ratio": {
            name: statistics.median(b / a for a, b in zip(values, own, strict=True))
            for name, values in seconds.items()
        },
    }


def show(result: dict[str, Any]) -> None:
    """Prints the medians."""
    size = f"{result['size']}x{result['size']}"
    console.heading(f"JPEGs of {result['bytes_per_image'] / 1e3:.0f} kB to {size}")
    console.pairs(
        {
            name: f"{rate:.0f} images/s   {result['mb_per_second'][name]:.1f} MB/s   "
            f"{result['ratio'][name]:.3f} of Grain's own loop   "
            f"{result['cpu_ms_per_image'][name]:.2f} ms of the processor each"
            for name, rate in result["images_per_second"].items()
        }
    )


class Turn(NamedTuple):
    """A turn's seconds, and milliseconds of the processor per image."""

    seconds: float
    cpu_ms: float


def take_turns(source: RecordPhotos, *, rounds: int) -> dict[str, list[Turn]]:
    """Returns what each contender reached in each round."""
    workers = cores()
    contenders: dict[str, Callable[[int], Iterator[Any]]] = {
        "grain_processes": lambda seed: grain_loop(source, seed, workers),
        "stream_processes": lambda seed: stream(source, seed, workers),
        "stream_threads": lambda seed: stream(source, seed, 0),
        "grain_one_thread": lambda seed: grain_loop(source, seed, 0),
    }
    turns = {name: [] for name in contenders}
    for turn in range(rounds):
        # The other way round every second time, so that none always follows the same one.
        order = list(contenders) if turn % 2 == 0 else list(contenders)[::-1]
        for name in order:
            turns[name].append(timed(contenders[name](turn)))
    return turns


def timed(batches: Iterator[dict[str, np.ndarray]]) -> Turn:
    """Returns how an endless loop's batches come once its buffers are full."""
    for _ in range(_WARM):
        next(batches)
    before, started = _cpu_seconds(), time.perf_counter()
    images = sum(len(next(batches)["label"]) for _ in range(_COUNTED))
    seconds, used = time.perf_counter() - started, _cpu_seconds() - before
    batches.close()
    return Turn(seconds, 1000 * used / images)


def _cpu_seconds() -> float:
    """Returns the processor's seconds that this process and its workers have used."""
    own = os.times()
    ticks = 0
    for process in multiprocessing.active_children():
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])  # utime and stime, see proc(5)
    return own.user + own.system + ticks / os.sysconf("SC_CLK_TCK")


def stream(source: RecordPhotos, seed: int, workers: int) -> Iterator[dict[str, np.ndarray]]:
    """Yields the batches of this library's stream for ever."""
    settings = {"batch_size": BATCH_SIZE, "size": SIZE, "seed": seed, "workers": workers}
    with streaming.stream(source, **settings) as opened:
        yield from opened


def grain_loop(source: RecordPhotos, seed: int, workers: int) -> Iterator[dict[str, np.ndarray]]:
    """Yields the batches of Grain's own loop for ever."""
    import grain

    loader = grain.DataLoader(
        data_source=source,
        sampler=grain.samplers.IndexSampler(
            num_records=len(source),
            num_epochs=None,
            shard_options=grain.sharding.NoSharding(),
            shuffle=True,
            seed=seed,
        ),
        operations=[_decoding(), grain.transforms.Batch(batch_size=BATCH_SIZE)],
        worker_count=workers,
        worker_buffer_size=_AHEAD,
    )
    yield from loader


def _decoding() -> Any:
    import grain

    class Decode(grain.transforms.Map):
        """Decodes a record as the stream does."""

        def map(self, element: tuple[bytes, int]) -> dict[str, Any]:
            content, label = element
            return {"image": decode.load(content, SIZE, "crop"), "label": np.int32(label)}

    return Decode()


def write_records(data_dir: Path, *, images: int = IMAGES) -> Path:
    """Writes a TFDS folder of array records with JPEGs of ImageNet's usual size; returns it."""
    import tensorflow_datasets as tfds

    def examples() -> Iterator[tuple[int, dict[str, Any]]]:
        rng = np.random.default_rng(0)
        for number in range(images):
            example = {"image": io.BytesIO(photo(rng)), "label": number % CLASSES}
            yield number, example | {"file_name": f"{number}.JPEG"}

    with tfds.core.registered.skip_registration():

        class Builder(tfds.core.GeneratorBasedBuilder):
            """A data set with the features of imagenet2012."""

            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                features = {
                    "image": tfds.features.Image(encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(num_classes=CLASSES),
                    "file_name": tfds.features.Text(),
                }
                return self.dataset_info_from_configs(
                    features=tfds.features.FeaturesDict(features),
                    supervised_keys=("image", "label"),
                )

            def _split_generators(self, dl_manager):
                return {"train": examples()}

            def _generate_examples(self):
                raise NotImplementedError("_split_generators hands out the generator itself")

    Builder.name = "imagenet_like"
    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints the folder's name
        builder = Builder(data_dir=data_dir, file_format="array_record")
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(try_download_gcs=False)
        )
    return Path(os.fspath(builder.data_path))


def photo(rng: np.random.Generator) -> bytes:
    """Returns a JPEG file with structure of several sizes, as photos have, and noise."""
    height, width = _SHAPE
    pixels = 120 + rng.normal(0, _NOISE, (height, width, 3))
    for cells, strength in ((4, 60), (16, 30), (64, 18)):
        coarse = rng.normal(0, strength, (3, cells * 3 // 4, cells)).astype(np.float32)
        for channel in range(3):
            image = Image.fromarray(coarse[channel])
            pixels[..., channel] += image.resize((width, height), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    whole = np.clip(pixels, 0, 255).astype(np.uint8)
    Image.fromarray(whole).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
