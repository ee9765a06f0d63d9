"""Batches from pictures that do not fit in memory, decoded by Grain's worker processes as they go.

A batch is a pure function of the stream's settings and of the batch's number: epoch e of
seed s visits the pictures in one order whatever the number of workers, and a stream that goes on
from batch n decodes none of those before it. Grain (https://google-grain.readthedocs.io)
carries the batches from the workers through pipes, and ahead of time to the device.

Orders and random numbers are NumPy's, not Grain's: its shuffle draws epoch e of seed s from s + e,
so seeds 0 and 1 would visit the same orders one epoch apart.
"""

import dataclasses
import json
import math
import operator
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from imgcls_jax.data import children
from imgcls_jax.data.photos import decode
from imgcls_jax.data.photos.cache import cores
from imgcls_jax.data.photos.crops import RATIOS, random_crop
from imgcls_jax.data.photos.source import Source
from imgcls_jax.data.sampling import Balanced, order
from imgcls_jax.errors import UserError

_FOREVER = 2**62  # batches: a stream without end, which still has a length as Python allows it
_AHEAD = 2  # batches in each buffer: of each worker, of the host and of the device
_THREADS = 4  # at most, where there are no workers


def stream(
    source: Source,
    *,
    workers: int = 0,
    place: Callable[[dict[str, np.ndarray]], Any] | None = None,
    ahead: bool = True,
    **settings: Any,
) -> "Stream":
    """Opens a stream of batches: `image` uint8 (B, size, size, 3), `label` and `index` int32 (B,);
    of several labels per picture, `label` is (B, K).

    Args:
      source: pictures of a folder (`sources.FolderPhotos`) or TFDS records (`RecordPhotos`).
      workers: processes that decode; 0 decodes in threads of this process, which starts at once
        and is as fast on a few cores. Processes take seconds and 200 MB each to start, and as they
        are spawned, a script that streams needs `if __name__ == "__main__":` around its work.
      place: puts a batch on devices; None leaves NumPy arrays.
      ahead: whether it does so ahead of time, in a thread.
      **settings: those of `Batches` that decide which batches come: batch_size and size, which are
        needed, how, crop_scale, seed, epochs, shuffle and balance, and `here`.

    Raises:
      UserError: an option out of its range or no pictures.
      BadImage: while iterating, a picture that cannot be read.
      UserError: while iterating, a worker that died.
    """
    batches = Batches(source, **settings)
    least = {"batch_size": (batches.batch_size, 1), "seed": (batches.seed, 0)}
    for name, (value, lowest) in (least | {"workers": (workers, 0)}).items():
        if value < lowest:
            raise UserError(f"{name}={value} is too small: give at least {lowest}.")
    scale = batches.crop_scale
    if scale is not None and not 0 < scale[0] <= scale[1] <= 1:
        raise UserError(f"crop_scale={scale} must be two shares of the area, 0 < low <= high <= 1.")
    if not len(source):
        raise UserError("There are no pictures to stream: give a source with at least one.")
    return Stream(batches, workers=workers, place=place, ahead=ahead)


class Stream(Iterator[dict[str, Any]]):
    """Hands out batches and knows its position; made by `stream`. Close it to end its workers."""

    def __init__(self, batches: "Batches", *, workers: int, place: Any, ahead: bool):
        self._batches, self._workers = batches, workers
        self._place, self._ahead = place, ahead
        self._next = 0
        self._running = []  # Grain's iterator, once there is one
        weakref.finalize(self, _end, self._running)  # also at exit, while Grain still can

    @property
    def batches_per_epoch(self) -> int:
        return self._batches.per_epoch

    def __next__(self) -> dict[str, Any]:
        if self._next >= self._batches.count:
            self.close()
            raise StopIteration
        try:
            if not self._running:
                self._running.append(self._start())
            batch = next(self._running[0])
        except BaseException as error:
            self.close()
            if "process was terminated unexpectedly" in str(error):  # Grain has no class for it
                raise UserError(
                    f"A process that decodes pictures died ({str(error).split('. ')[0]}): make "
                    "sure of memory, or give fewer workers (0 needs none)."
                ) from error
            raise
        self._next += 1
        return batch

    def _start(self) -> Iterator[dict[str, Any]]:
        import grain
        from absl import flags

        if not flags.FLAGS.is_parsed():  # in a notebook or a test; Grain reads flags of its own
            flags.FLAGS.mark_as_parsed()
        rest = dataclasses.replace(self._batches, first=self._next)
        # A worker needs no threads. Without workers a few threads, each with a batch of its own, do
        # as well: Pillow lets go of Python's lock while it decodes.
        threads = 0 if self._workers else min(cores(), _THREADS)
        dataset = grain.MapDataset.source(rest).to_iter_dataset(
            grain.ReadOptions(num_threads=threads, prefetch_buffer_size=threads + 1)
        )
        if self._workers:
            workers = min(self._workers, rest.count - self._next)
            dataset = dataset.mp_prefetch(
                grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=_AHEAD),
                worker_init_fn=_serve,
            )
            # Through pipes: a killed process would leave its shared memory behind for good.
            through_pipes = grain.experimental.DatasetOptions(min_shm_size=sys.maxsize)
            dataset = grain.experimental.WithOptionsIterDataset(dataset, through_pipes)
        if self._place is None:
            return iter(dataset)
        if self._ahead:
            dataset = _prefetched(dataset)
        dataset = dataset.map(self._place)
        return iter(_prefetched(dataset) if self._ahead else dataset)

    def get_state(self) -> bytes:
        """Returns the stream's position as JSON, for a checkpoint, without the batches in buffers.

        Unlike the state of Grain's iterator it does not depend on the number of workers.
        """
        return json.dumps({"next_batch": self._next, **self._batches.identity()}).encode()

    def set_state(self, state: bytes) -> None:
        """Goes on from where the stream was that had this state: exactly the remaining batches.

        Raises:
          UserError: it is of a stream with other batches, or no state at all.
        """
        try:
            there = json.loads(state)
            next_batch = operator.index(there.pop("next_batch"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError("The state of the stream is damaged: start the run anew.") from error
        here = self._batches.identity()
        if there != here:
            names = (n for n in sorted(there.keys() | here.keys()) if there.get(n) != here.get(n))
            changes = ", ".join(f"{n} is {there.get(n)} there, {here.get(n)} here" for n in names)
            raise UserError(
                f"The stream cannot go on from a state of another stream ({changes}): give the "
                "settings and pictures it began with."
            )
        self.close()
        self._next = next_batch

    def close(self) -> None:
        """Ends the workers; the stream may still go on, with new ones."""
        _end(self._running)

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _prefetched(dataset: Any) -> Any:
    import grain

    return grain.experimental.ThreadPrefetchIterDataset(dataset, prefetch_buffer_size=_AHEAD)


def _serve(number: int, count: int) -> None:
    """Makes a process one of Grain's workers, whose end is that of the one that trains."""
    del number, count
    children.serve()


def _end(running: list) -> None:
    while running:
        running.pop().close()


@dataclasses.dataclass(frozen=True, eq=False)
class Batches:
    """The batches of all epochs as a sequence: a data source to Grain.

    Attributes:
      batch_size: pictures per batch; the last batch of an epoch may be smaller.
      size, how: as `decode.resize` takes them.
      crop_scale: cut a random rectangle of this share of the picture's area, and of width to height
        3:4 to 4:3, stretched to the square, in place of `how` (Szegedy et al. 2015, "Going Deeper
        with Convolutions", section 6); (0.08, 1) there. Drawn by (seed, epoch, index).
      seed: of the orders and crops.
      epochs, shuffle: None goes on for ever, False keeps the order; 1, False for evaluation.
      balance: draws pictures so that all classes are equally likely, and crops by (seed, epoch,
        place in the epoch); None visits every picture once.
      first: number of the first batch.
      here: by the size of a batch, the numbers (R,) of those of its rows that this process reads,
        where several train together; the batches are the same ones then, and so is `identity`. A
        number may come again and again at the end, to fill up. None reads whole batches.
    """

    source: Source
    batch_size: int
    size: int
    how: str = "crop"
    crop_scale: tuple[float, float] | None = None
    seed: int = 0
    epochs: int | None = None
    shuffle: bool = True
    balance: Balanced | None = None
    first: int = 0
    here: Mapping[int, np.ndarray] | None = None

    @property
    def per_epoch(self) -> int:
        return math.ceil(len(self.source) / self.batch_size)

    @property
    def count(self) -> int:
        """Counts all batches, those before `first` too."""
        return _FOREVER if self.epochs is None else self.epochs * self.per_epoch

    def __len__(self) -> int:
        return self.count - self.first

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        epoch, batch = divmod(self.first + number, self.per_epoch)
        chosen = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
        indices = self.order(epoch)[chosen]
        size = len(indices)
        rows = np.arange(size) if self.here is None else self.here[size]
        indices = indices[rows]
        images = np.empty((len(rows), self.size, self.size, 3), np.uint8)
        labels = []
        for k, (row, index) in enumerate(zip(rows.tolist(), indices.tolist(), strict=True)):
            if k and row == rows[k - 1]:
                images[k] = images[k - 1]
                labels.append(labels[-1])
                continue
            picture, label = self.source[index]
            labels.append(label)
            try:
                drawn = index if self.balance is None else chosen.start + row
                images[k] = self._image(picture, epoch, drawn)
            except decode.BadImage as error:
                raise decode.BadImage(self.source.name(index), error.reason) from error
        label = np.array(labels, np.int32)
        batch = {"image": images, "label": label, "index": indices.astype(np.int32)}
        return batch if self.here is None else batch | {"rows": np.int32(size)}

    def order(self, epoch: int) -> np.ndarray:
        """Returns the indices (N,) of an epoch's pictures, as the source orders them if it does."""
        if self.balance is not None or (self.shuffle and hasattr(self.source, "order")):
            return (self.balance or self.source).order(self.seed, epoch)
        return order(len(self.source), self.seed, epoch, shuffle=self.shuffle)

    def _image(self, picture: str | bytes, epoch: int, number: int) -> np.ndarray:
        if self.crop_scale is None:
            return decode.load(picture, self.size, self.how)
        # The smallest crop still has `size` pixels per side then, if the picture has them.
        least = math.ceil(self.size / math.sqrt(self.crop_scale[0] * RATIOS[0]))
        image = decode.decode(picture, at_least=(least, least))
        # Not 0: NumPy's seeds (s, e) and (s, e, 0) are the same, and the order has the former.
        rng = np.random.default_rng((self.seed, epoch, number + 1))
        top, left, height, width = random_crop(rng, image.shape[:2], self.crop_scale)
        crop = np.ascontiguousarray(image[top : top + height, left : left + width])
        return decode.resize(crop, self.size, decode.stretched(self.how))

    def identity(self) -> dict[str, Any]:
        """Returns the settings that decide the batches, as JSON has them."""
        settings = ("batch_size", "size", "how", "crop_scale", "seed", "shuffle")
        values = {name: getattr(self, name) for name in settings}
        values |= {} if self.balance is None else {"sampler": "balanced"}
        return json.loads(json.dumps({"pictures": self.source.identity(), **values}))
