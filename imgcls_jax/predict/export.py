"""A trained network as one file that runs without its code: StableHLO, preprocessing inside.

The file is a zip archive of `model.stablehlo`, as `jax.export` serialises it, weights and
preprocessing included, and of `meta.json` with the class names and how pictures become its input.
JAX alone is enough to use it:

    archive = zipfile.ZipFile("model.stablehlo.zip")
    predict = jax.export.deserialize(archive.read("model.stablehlo")).call
    probabilities = predict(images)  # uint8 (B, H, W, C) -> float32 (B, number of classes)

The batch size is symbolic: any is right, each is compiled once.
"""

import contextlib
import dataclasses
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export

from imgcls_jax.errors import UserError
from imgcls_jax.files import replacing, typed
from imgcls_jax.files.fit import misfit
from imgcls_jax.files.reading import opened
from imgcls_jax.files.run_files import ExportedRecord

PLATFORMS = ("cpu", "cuda")

_FORMAT = 1  # number of the layout of meta.json
_MODEL, _META = "model.stablehlo", "meta.json"
_AGAIN = "export the run again"
_ANEW = f"copy it anew, or {_AGAIN}"
_ONE_ARRAY = (
    jax.tree.structure(((0,), {})),
    jax.tree.structure(0),
)  # of what it takes, and of what it gives


@dataclasses.dataclass(frozen=True)
class Exported:
    """A network read from a file.

    Attributes:
      predict: images uint8 (B, H, W, C) -> probabilities float32 (B, number of classes), jitted;
        raises UserError where a damaged program cannot be compiled or run.
      class_names: of the columns of the probabilities.
      image_shape: (H, W, C).
      preprocessing: how a picture becomes such an image; `resize` as `photos.decode` takes it.
      platforms: those that the file runs on, such as ("cpu", "cuda").
      thresholds: (C,), from which on a picture has a label; None where each is of one class.
    """

    predict: Callable[[Any], jax.Array]
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    preprocessing: dict[str, Any]
    platforms: tuple[str, ...]
    thresholds: np.ndarray | None = None


def write(
    path: str | os.PathLike,
    fn: Callable[[jax.Array], jax.Array],
    *,
    image_shape: Sequence[int],
    class_names: Sequence[str],
    preprocessing: Mapping[str, Any],
    thresholds: np.ndarray | None = None,
    platforms: Sequence[str] = PLATFORMS,
) -> Path:
    """Writes a function of images as such a file, whole or not at all; returns its path.

    Args:
      fn: images uint8 (B, H, W, C) -> probabilities (B, C), traceable by JAX for any B.
      image_shape: (H, W, C).
      class_names: of the columns of the probabilities.
      preprocessing: JSON values to keep, see `Exported`.
      thresholds: (C,) to keep, see `Exported`.
      platforms: "cpu", "cuda", "rocm", "tpu": those to lower for, which need not be here.

    Raises:
      UserError: the file cannot be written, or a platform is unknown.
      ValueError: there are not as many class names as probabilities.
    """
    from imgcls_jax.models.lowering.conv import portable_convolutions

    (batch,) = jax_export.symbolic_shape("batch")
    images = jax.ShapeDtypeStruct((batch, *image_shape), jnp.uint8)
    if unknown := set(platforms) - {"cpu", "cuda", "rocm", "tpu"}:
        raise UserError(
            f"cannot export for {', '.join(sorted(unknown))}; choose among cpu, cuda, rocm and tpu."
        )
    with portable_convolutions(True), _without_paths():
        exported = jax_export.export(jax.jit(fn), platforms=tuple(platforms))(images)
    if exported.out_avals[0].shape[1:] != (len(class_names),):
        raise ValueError(f"{len(class_names)} class names for {exported.out_avals[0].shape}")
    meta = {
        "format": _FORMAT,
        "class_names": list(class_names),
        "image_shape": list(image_shape),
        "preprocessing": dict(preprocessing),
        "platforms": list(platforms),
        "jax": jax.__version__,
    }
    if thresholds is not None:
        meta["thresholds"] = np.asarray(thresholds).tolist()
    with (
        replacing(path, advice="give another file") as partial,
        zipfile.ZipFile(partial, "w") as archive,
    ):
        # ZipInfo bears no time of day: the same network gives the same file.
        archive.writestr(zipfile.ZipInfo(_META), json.dumps(meta, indent=2))
        archive.writestr(zipfile.ZipInfo(_MODEL), exported.serialize())
    return Path(path)


@contextlib.contextmanager
def _without_paths() -> Iterator[None]:
    """Keeps the names of source files, and so of users, out of the lowered code."""
    limit = jax.config.jax_traceback_in_locations_limit
    jax.config.update("jax_traceback_in_locations_limit", 0)
    try:
        yield
    finally:
        jax.config.update("jax_traceback_in_locations_limit", limit)


def read(path: str | os.PathLike) -> Exported:
    """Reads a file of `write`; needs no code of the network's.

    Raises:
      UserError: the file cannot be read, is no such file, was cut short, says of itself what cannot
        be, or is for other platforms than the one JAX computes on here.
    """
    meta, model = _content(path)
    if meta.get("format") != _FORMAT:
        raise UserError(f"{path} was exported by another version of this program; {_AGAIN}.")
    if said := _wrong(meta):
        raise UserError(f"{path} cannot be used, since in its {_META} {said}; {_ANEW}.")
    if not runs_here(meta["platforms"]):
        here = jax_export.default_export_platform()
        raise UserError(
            f"{path} is for {' and '.join(meta['platforms'])}, and JAX computes on {here} here; "
            f"set JAX_PLATFORMS={meta['platforms'][0]}, or {_AGAIN} with platforms={here}."
        )
    try:
        exported = jax_export.deserialize(bytearray(model))
    except Exception as error:  # of another JAX version: whatever the parsers raise
        raise UserError(
            f"{path} was written with JAX {meta['jax']} and cannot be read with JAX "
            f"{jax.__version__}; {_AGAIN} here, or install that version."
        ) from error
    if said := _unlike(exported, meta):
        raise UserError(f"{path} cannot be used, since its program {said}; {_ANEW}.")
    return Exported(
        predict=_explained(jax.jit(exported.call), path),
        class_names=tuple(meta["class_names"]),
        image_shape=tuple(meta["image_shape"]),
        preprocessing=meta["preprocessing"],
        platforms=tuple(meta["platforms"]),
        thresholds=np.array(meta["thresholds"]) if "thresholds" in meta else None,
    )


def _content(path: str | os.PathLike) -> tuple[dict[str, Any], bytes]:
    """Returns what the file says of itself, and its program; raises as `read`."""
    try:
        with opened(path) as file, zipfile.ZipFile(file) as archive:
            if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
                raise zipfile.BadZipFile(
                    "`write` compresses nothing, and a small file could be vast"
                )
            meta, model = (archive.read(name) for name in (_META, _MODEL))  # compares checksums
        return typed.parse(meta, dict), model
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror}); check the path.") from error
    except Exception as error:  # damaged archives make zipfile raise anything
        raise UserError(
            f"{path} is no exported network, or it is damaged or cut short; {_ANEW}."
        ) from error


def _wrong(meta: dict[str, Any]) -> str | None:
    """Returns what is wrong with what a file says of itself, as a clause; None for nothing."""
    if said := misfit(meta, ExportedRecord):
        return said
    classes, thresholds = len(meta["class_names"]), meta.get("thresholds")
    if thresholds is not None and len(thresholds) != classes:
        return f"there are {len(thresholds)} thresholds for {classes} classes"
    return None


def _unlike(exported: jax_export.Exported, meta: dict[str, Any]) -> str | None:
    """Returns in what a program differs from what its file says of it, as a clause."""
    takes, gives = exported.in_avals, exported.out_avals
    height, width, channels = meta["image_shape"]
    wanted = f"uint8 images (B, {height}, {width}, {channels})"
    if len(takes) != 1 or takes[0].dtype != np.uint8 or len(takes[0].shape) != 4:
        return f"takes {_shapes(takes)} and not {wanted}"
    batch, *rest = takes[0].shape
    if rest != meta["image_shape"] or isinstance(batch, int):
        return f"takes {_shapes(takes)} and not {wanted}"
    classes = len(meta["class_names"])
    if (
        len(gives) != 1
        or gives[0].shape != (batch, classes)
        or not jnp.issubdtype(gives[0].dtype, jnp.floating)
    ):
        return f"gives {_shapes(gives)} and not probabilities (B, {classes})"
    if (exported.in_tree, exported.out_tree) != _ONE_ARRAY:
        return "takes or gives more than an array"
    if not set(meta["platforms"]) <= set(exported.platforms):
        return f"is for {' and '.join(exported.platforms)}, not {' and '.join(meta['platforms'])}"
    return None


def _shapes(avals: Sequence[Any]) -> str:
    return ", ".join(f"{aval.dtype} {aval.shape}" for aval in avals) or "nothing"


def _explained(call: Callable[[Any], jax.Array], path: str | os.PathLike) -> Callable[..., Any]:
    """Builds a function whose failures, of compiling or of running, are a sentence."""

    def predict(images: Any) -> jax.Array:
        try:
            return jax.block_until_ready(call(images))
        except Exception as error:  # of MLIR, XLA or the device: whatever they raise
            said = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise UserError(f"{path} cannot be computed here ({said}); {_ANEW}.") from error

    return predict


def runs_here(platforms: Sequence[str]) -> bool:
    """Tells if JAX computes on one of these platforms in this process."""
    return jax_export.default_export_platform() in platforms


def difference(path: str | os.PathLike, fn: Callable[[jax.Array], jax.Array]) -> float:
    """Returns the largest difference of a file's and a function's probabilities, random images."""
    exported = read(path)
    shape = (4, *exported.image_shape)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    ours, theirs = (np.asarray(f(images), np.float64) for f in (jax.jit(fn), exported.predict))
    return float(np.abs(ours - theirs).max())
