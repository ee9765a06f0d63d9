"""From picture files to probabilities, by a run's network or an exported file."""

import dataclasses
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from imgcls_jax.data.batching import eval_batch_size
from imgcls_jax.data.photos import decode, kinds, listing
from imgcls_jax.data.photos.decode import in_order
from imgcls_jax.errors import UserError
from imgcls_jax.limits import kept, thresholds, unknown
from imgcls_jax.limits.kept import Limits

_EXPORTED = "an exported file keeps nothing of held-out examples; give the run's folder"
_BEFORE = "the run is of a version that kept nothing of held-out examples; run it again"
_NO_FEATURES = (
    "it goes by the features of photos, and this network hands out none; train one that is made "
    "for transfer"
)
_NO_FEATURES_OF_ALL = "an ensemble has no features of its own; give the folder of a member"


@dataclasses.dataclass(frozen=True)
class Predictor:
    """A network and the preprocessing of its images.

    Attributes:
      probabilities: images uint8 (B, H, W, C) -> (B, number of classes), by the temperature that
        the run learned, if it did; compiles for every B. Those of labels need not sum to 1.
      class_names: of the columns of the probabilities.
      image_shape: (H, W, C), square.
      preprocessing: {"resize": how pictures become square, see `data.photos.decode.resize`}.
      grad_cam: (images uint8 (B, H, W, C), classes (B,)) -> (B, h, w) in [0, 1], see
        `imgcls_jax.predict.saliency`; None where only the file of the network is there.
      limits: what was learned from held-out examples; None where nothing was.
      with_distances: images -> (`probabilities`, how far they are from the known classes (B,), see
        `imgcls_jax.limits.unknown`); None without statistics of features.
      missing: why there is no such thing, by what cannot be judged then: "unknown", "coverage".
      thresholds: (number of classes,), from which on a picture has a label, where it may have
        several; None where each picture is of one class.
    """

    probabilities: Callable[[Any], Any]
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    preprocessing: Mapping[str, Any]
    grad_cam: Callable[[Any, Any], Any] | None = None
    limits: Limits | None = None
    with_distances: Callable[[Any], tuple[Any, Any]] | None = None
    missing: Mapping[str, str] = dataclasses.field(default_factory=dict)
    thresholds: np.ndarray | None = None

    def __post_init__(self):
        height, width, channels = self.image_shape
        if height != width or channels not in (1, 3):
            raise UserError(
                f"the network takes images of {height}x{width}x{channels}, and pictures become "
                "square ones of one channel or three; predict with the library, from arrays."
            )

    def prepare(self, source: str | os.PathLike | bytes) -> np.ndarray:
        """Returns a picture as the network's uint8 (H, W, C); grey ones by luminance (ITU-R 601).

        Raises:
          photos.BadImage: the file is no usable image.
        """
        image = decode.load(source, self.image_shape[0], self.preprocessing["resize"])
        if self.image_shape[2] == 1:
            image = np.rint(image @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)[..., None]
        return image

    def export(self, path: str | os.PathLike, **options: Any) -> Path:
        """Writes it to a file that `load` takes; `options` are those of `export.write`."""
        from imgcls_jax.predict import export

        return export.write(
            path,
            self.probabilities,
            image_shape=self.image_shape,
            class_names=self.class_names,
            preprocessing=self.preprocessing,
            thresholds=self.thresholds,
            **options,
        )

    @property
    def batch_size(self) -> int:
        """The number of images that are given to the network at a time."""
        return eval_batch_size(self.image_shape)


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The result for a file: image, probabilities (C,) and, where asked for, its distance
    to the known classes; or `error`, such as "is empty".
    """

    path: str
    image: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    error: str | None = None
    distance: float | None = None


def load(path: str | os.PathLike) -> Predictor:
    """Returns the predictor of a run's or an ensemble's folder, or of an exported file.

    Raises:
      UserError: the path is none of these, or its content cannot be used.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise UserError(
            f"there is no {path}; give the folder of a run or an exported file as `checkpoint`."
        )
    if (path / "ensemble.json").exists():
        return from_ensemble(path)
    return from_workdir(path) if path.is_dir() else from_export(path)


def from_export(path: str | os.PathLike) -> Predictor:
    """Returns the predictor of an exported file; the network's code is not imported."""
    from imgcls_jax.predict import export

    exported = export.read(path)
    return Predictor(
        probabilities=exported.predict,
        class_names=exported.class_names,
        image_shape=exported.image_shape,
        preprocessing=exported.preprocessing,
        thresholds=exported.thresholds,
        missing=dict.fromkeys(("unknown", "coverage"), _EXPORTED),
    )


def from_workdir(path: str | os.PathLike) -> Predictor:
    """Returns the predictor of the checkpoint in the folder of a run."""
    from imgcls_jax.predict import saliency
    from imgcls_jax.predict.restored import restore

    restored = restore(path)
    model, record = restored.network.model, restored.record

    @jax.jit
    def grad_cam(images, classes):
        return saliency.grad_cam(model, restored.variables, restored.seen(images), classes)

    limits, several = kept.read(path), bool(record.get("several_labels"))
    temperature = 1.0 if limits is None else limits.temperature
    squash = jax.nn.sigmoid if several else jax.nn.softmax

    def probabilities(images):
        return squash(restored.logits(images).astype(jnp.float32) / temperature)

    def with_distances(images):
        features = restored.features(images).astype(jnp.float32)
        logits = restored.logits(images).astype(jnp.float32)
        far = unknown.distances(limits.statistics, features, logits)
        return squash(logits / temperature), far

    known = limits is not None and limits.statistics is not None
    return Predictor(
        probabilities=jax.jit(probabilities),
        class_names=tuple(record["class_names"]),
        image_shape=tuple(record["image_shape"]),
        preprocessing={"resize": record["resize"]},
        grad_cam=grad_cam,
        limits=limits,
        with_distances=jax.jit(with_distances) if known else None,
        missing=_missing(path, limits, _NO_FEATURES),
        thresholds=thresholds.values(kept.facts(path), len(record["class_names"]))
        if several
        else None,
    )


def from_ensemble(path: str | os.PathLike) -> Predictor:
    """Returns the predictor of the ensemble in a folder, whose members are where they were."""
    from imgcls_jax.predict.ensemble import restore_ensemble

    ensemble, limits = restore_ensemble(path), kept.read(path)
    record = ensemble.record

    def probabilities(images):
        if limits is None:
            return ensemble.probabilities(images)
        return jax.nn.softmax(ensemble.log_probabilities(images) / limits.temperature)

    return Predictor(
        probabilities=jax.jit(probabilities),
        class_names=tuple(record["class_names"]),
        image_shape=tuple(record["image_shape"]),
        preprocessing={"resize": record["resize"]},
        grad_cam=jax.jit(ensemble.grad_cam),
        limits=limits,
        missing=_missing(path, limits, _NO_FEATURES_OF_ALL),
    )


def _missing(path: str | os.PathLike, limits: Limits | None, no_features: str) -> dict[str, str]:
    """Returns why a folder's network cannot be judged by what it lacks."""
    if limits is not None:
        return {"unknown": no_features}
    why = (kept.facts(path) or {}).get("why_not") or _BEFORE
    return {"unknown": why, "coverage": why}


def find_images(
    sources: Iterable[str | os.PathLike], passed_over: Counter | None = None
) -> list[str]:
    """Returns files as they are, and for a folder the images below it, ordered by path.

    Files in folders are left out if they are hidden, left there by the system, or if their
    extension is not that of an image.

    Args:
      passed_over: is given the number of files that have another extension, by the reason.

    Raises:
      UserError: a folder cannot be listed.
    """

    def refuse(error: OSError):
        raise UserError(
            f"cannot list {error.filename} ({error.strerror}); make it readable or leave it out."
        )

    found = []
    for source in map(os.fspath, sources):
        if not os.path.isdir(source):
            found.append(source)
            continue
        for folder, below, names in os.walk(source, onerror=refuse):
            below[:] = sorted(name for name in below if not listing.is_junk(name))
            for name in sorted(name for name in names if not listing.is_junk(name)):
                if kinds.is_picture_name(name):
                    found.append(os.path.join(folder, name))
                elif passed_over is not None:
                    passed_over[listing.kind_of_name(name)] += 1
    return found


def _told(picture: Prediction, probabilities: np.ndarray, distance: float | None) -> Prediction:
    """Returns what a network says of a picture; NaN names no class and no distance."""
    if not np.isfinite(probabilities).all() or not np.isfinite(distance or 0):
        return dataclasses.replace(picture, error="gives NaN: the network or its file is damaged")
    return dataclasses.replace(picture, probabilities=probabilities, distance=distance)


def predict(
    predictor: Predictor, paths: Sequence[str], *, distances: bool = False
) -> Iterator[Prediction]:
    """Yields predictions of any number of files, in their order, in the memory of a few batches.

    Threads decode while the network computes. All batches but the last have one size, and so has
    that if there are others: one compilation.

    Args:
      distances: whether to compute those of the features too, see `Predictor.with_distances`.
    """
    size, waiting, images, several = predictor.batch_size, [], [], False

    def flush():
        nonlocal several
        rows = iter(())
        if images:
            batch = np.stack(images)
            if several and len(batch) < size:
                batch = np.pad(batch, ((0, size - len(batch)), *3 * ((0, 0),)))
            rows = compute(batch)
            several = True
        for waited in waiting:
            if waited.error is None:
                waited = _told(waited, *next(rows))
            yield waited
        waiting.clear()
        images.clear()

    def compute(batch):
        if not distances:
            return zip(np.asarray(predictor.probabilities(batch)), itertools.repeat(None))
        probabilities, far = predictor.with_distances(batch)
        return zip(np.asarray(probabilities), np.asarray(far).tolist(), strict=True)

    def prepare(path):
        try:
            return Prediction(path, image=predictor.prepare(path))
        except decode.BadImage as error:
            return Prediction(path, error=error.reason)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for prepared in in_order(pool, prepare, paths, ahead=2 * size):
            waiting.append(prepared)
            if prepared.error is None:
                images.append(prepared.image)
            elif not images:
                yield waiting.pop()
            if len(images) == size:
                yield from flush()
        yield from flush()
