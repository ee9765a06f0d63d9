"""A prepared TFDS folder on disk: made whole or not at all, read through its decoded copy.

data_dir/<name>/<version>/           TFDS' own folder, plus imgcls_jax.json (where it came from)
data_dir/<name>/decoded-<version>.npz
data_dir/<name>/.lock                held while one of the two is written
data_dir/<name>/.preparing-*/        work in progress, swept by the next holder of the lock
"""

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import filelock
from absl import logging

from imgcls_jax.data.catalog import decoded
from imgcls_jax.data.catalog.recipe import Recipe, Splits
from imgcls_jax.data.dataset import Dataset
from imgcls_jax.errors import UserError, printable
from imgcls_jax.files import lock
from imgcls_jax.files.typed import load

_RECORD = "imgcls_jax.json"
_SCRATCH = ".preparing-"


class _Record(TypedDict):
    source: str


def folder_of(recipe: Recipe, data_dir: Path) -> Path:
    return data_dir / recipe.name / recipe.version


def exists(folder: Path) -> bool:
    """Returns whether TFDS would take the folder for a prepared one."""
    return all(os.path.isfile(folder / name) for name in ("dataset_info.json", "features.json"))


def write(recipe: Recipe, data_dir: Path, splits: Splits, *, source: str) -> None:
    """Prepares the folder from decoded splits, unless another process just did.

    Killed at any moment it leaves nothing that `exists` accepts: the folder appears by one rename.

    Args:
      source: where the splits came from, as it goes on in "made from ...".

    Raises:
      OSError: the folder cannot be written or the disk is full; nothing stays behind.
    """
    folder, differing = folder_of(recipe, data_dir), recipe.differing(splits)
    of = []

    def make(scratch: Path) -> Path:
        from imgcls_jax.data.catalog import builder

        made = builder.write(recipe, splits, data_dir=scratch)
        record = {"source": source, "verified": not differing, "differing": differing}
        (made / _RECORD).write_text(json.dumps(record, indent=2) + "\n")
        of.append(decoded.fingerprint(made))
        return made

    if make_whole(folder, make):
        _keep_decoded(folder, splits, of=of[0], differing=differing)


def make_whole(folder: Path, make: Callable[[Path], Path]) -> bool:
    """Makes a prepared folder unless it is there; returns whether it was made.

    Killed at any moment it leaves nothing that `exists` accepts: the folder appears by one rename.

    Args:
      make: given a scratch folder beside, returns which folder in it becomes `folder`.

    Raises:
      OSError: the folder cannot be written or the disk is full; nothing stays behind.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lock(folder.parent, f"prepares {folder}"):
        if exists(folder):
            return False
        if folder.exists() and any(folder.iterdir()):
            raise FileExistsError(errno.EEXIST, f"{folder} is there but incomplete, delete it")
        _sweep(folder.parent)
        scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=folder.parent))
        try:
            os.rename(make(scratch), folder)
        except RuntimeError as error:  # how array_record reports a failed write
            raise OSError(str(error).split(";")[0]) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return True


def tidy(folder: Path) -> None:
    """Removes what is left beside a prepared folder of a preparation killed after its renaming.

    Where somebody prepares beside it, or the folder cannot be written to, it stays.
    """
    if not any(folder.parent.glob(f"{_SCRATCH}*")):
        return
    held = filelock.FileLock(folder.parent / ".lock")
    with contextlib.suppress(OSError), held.acquire(timeout=0):  # a time-out is an OSError too
        _sweep(folder.parent)


def _sweep(folder: Path) -> None:
    """Removes the work in progress of killed preparations, for the holder of the lock."""
    for leftover in folder.glob(f"{_SCRATCH}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def read(recipe: Recipe, data_dir: Path) -> Dataset:
    """Reads the data set in a prepared folder, made by `write` or by anybody's TFDS.

    Whether it is verified is told by the content itself, not by what the folder says of itself.

    Raises:
      UserError: the folder cannot be read or holds other counts or labels than the data set.
    """
    folder = folder_of(recipe, data_dir)
    tidy(folder)
    try:
        of = decoded.fingerprint(folder)
        splits, differing = decoded.read(_decoded_path(folder), of=of) or _decode(
            recipe, folder, of=of
        )
        made_from = _made_from(folder)
    except UserError:
        raise
    except Exception as error:  # TFDS, array_record, protobuf and Pillow each raise their own.
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UserError(
            f"The prepared folder {folder} cannot be read ({reason}): delete it and run again."
        ) from error
    if differing:
        logging.warning(
            "%s was prepared from other data than the published (%s differ by digest); results may "
            "not be comparable; delete this folder to prepare it anew.",
            folder,
            ", ".join(differing),
        )
    return Dataset(
        name=recipe.name,
        train=splits["train"],
        test=splits["test"],
        class_names=recipe.class_names,
        source=f"The prepared TFDS folder {folder}{made_from}.",
        verified=not differing,
    )


def _decode(recipe: Recipe, folder: Path, *, of: str) -> tuple[Splits, tuple[str, ...]]:
    from imgcls_jax.data.catalog import builder

    splits = builder.read(folder, key=recipe.stock_key)
    for name, count in recipe.counts.items():
        if len(splits[name]) != count:
            raise UserError(
                f"The prepared folder {folder} holds {len(splits[name])} {name} examples where "
                f"{count} are expected: delete it and run again."
            )
    differing = recipe.differing(splits)
    _keep_decoded(folder, splits, of=of, differing=differing)
    return splits, differing


def _keep_decoded(folder: Path, splits: Splits, *, of: str, differing: tuple[str, ...]) -> None:
    try:
        with lock(folder.parent, f"prepares {folder}"):
            decoded.write(_decoded_path(folder), splits, of=of, differing=differing)
    except OSError as error:
        logging.warning(
            "No decoded copy can be kept beside %s (%s): each start will take seconds longer.",
            folder,
            error.strerror or error,
        )


def _decoded_path(folder: Path) -> Path:
    return folder.with_name(f"decoded-{folder.name}.npz")


def _made_from(folder: Path) -> str:
    try:
        return f", made from {printable(load(folder / _RECORD, _Record)['source'])}"
    except (OSError, ValueError):  # prepared by other hands
        return ""
