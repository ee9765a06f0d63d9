"""The sources of a data set, in order: a prepared folder, raw files, files to be fetched."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from absl import logging
from tqdm.auto import tqdm

from imgcls_jax.data.catalog import prepared
from imgcls_jax.data.catalog.folders.places import data_dir_of
from imgcls_jax.data.catalog.recipe import Recipe, Splits
from imgcls_jax.data.dataset import Dataset
from imgcls_jax.data.raw import layouts
from imgcls_jax.errors import UserError
from imgcls_jax.files import local_path


def load(
    recipe: Recipe,
    *,
    data_dir: str | os.PathLike | None = None,
    raw_dir: str | os.PathLike | None = None,
    offline: bool = False,
) -> Dataset:
    """Loads by the first of: raw_dir if given, a prepared folder, raw files, files to be fetched.

    Fetched are, in turn, the raw files from the address that TFDS pins, the copy on the Hugging
    Face Hub, and the package of Debian and Ubuntu. Each says in a line on standard error what came
    of it, and only the published data, by its digests, is taken.

    A data set not prepared yet is prepared in data_dir, once, so that the next load is quick. Where
    data_dir cannot be written (permissions, full disk) that is a warning, and the data is used as
    it was read. raw_dir never yields other data than its own: a folder prepared earlier is left
    as it is and not looked at. Nor do later loads get the data of raw_dir unless it is the
    published: other data is used as read and not prepared.

    Args:
      data_dir: TFDS folder; default $TFDS_DATA_DIR, else ~/tensorflow_datasets.
      raw_dir: folder with the official raw files, with or without .gz, or their archive.
      offline: whether nothing may be fetched.

    Raises:
      UserError: files that are missing or not what they should be, a data_dir that is no folder,
        or a data set that is not on this machine and cannot or may not be fetched.
    """
    data_dir = _above_prepared(recipe, data_dir_of(data_dir))
    folder = prepared.folder_of(recipe, data_dir)
    if raw_dir is None and prepared.exists(folder):
        return prepared.read(recipe, data_dir)

    remark = ""
    if found := _raw_paths(recipe, raw_dir):
        paths, source = found
        remark = layouts.remark(recipe.layouts, paths)
        splits = recipe.read_raw(paths)
    else:
        splits, source = _fetch(recipe, data_dir, offline=offline)
    differing = recipe.differing(splits)
    if differing:
        _warn(recipe, source, differing)
    # Prepared, other data that a person names would pass for the data set in every later load.
    if (raw_dir is None or not differing) and not prepared.exists(folder):
        _prepare(recipe, data_dir, splits, source)
    return Dataset(
        name=recipe.name,
        train=splits["train"],
        test=splits["test"],
        class_names=recipe.class_names,
        source=f"{source[0].upper()}{source[1:]}.",
        verified=not differing,
        notes=(remark,) if differing and remark else (),
    )


def _above_prepared(recipe: Recipe, data_dir: Path) -> Path:
    """Returns the TFDS folder, also where its folder of the data set or of the version is given."""
    ends = ((), (recipe.name,), (recipe.name, recipe.version))
    tops = [data_dir.parents[len(end) - 1] if end else data_dir for end in ends]
    for end, top in zip(ends, tops, strict=True):
        within = data_dir.parts[len(data_dir.parts) - len(end) :] == end
        if within and prepared.exists(prepared.folder_of(recipe, top)):
            return top
    return data_dir


def _warn(recipe: Recipe, source: str, differing: Sequence[str]) -> None:
    logging.warning(
        "%s as read from %s is not the published data (by digest: %s); results may not be "
        "comparable.",
        recipe.name,
        source,
        ", ".join(differing),
    )


def _prepare(recipe: Recipe, data_dir: Path, splits: Splits, source: str) -> None:
    """Prepares the data set, so that the next load is quick; a warning says why it cannot."""
    try:
        prepared.write(recipe, data_dir, splits, source=source)
    except OSError as error:
        logging.warning(
            "%s cannot be prepared in %s (%s): it is used as read, and read again next time.",
            recipe.name,
            data_dir,
            error.strerror or error,
        )


def _raw_paths(
    recipe: Recipe, raw_dir: str | os.PathLike | None
) -> tuple[Mapping[str, Path], str] | None:
    """Returns paths of the raw files by official name, and their place; None if there are none."""
    if raw_dir is not None:
        raw_dir = local_path(raw_dir, "raw_dir").absolute()
        return layouts.find(recipe.layouts, raw_dir), f"the raw files in {raw_dir}"
    for folder in recipe.raw_dirs:
        with contextlib.suppress(UserError):  # incomplete: not chosen by anybody, so no error
            return layouts.find(recipe.layouts, folder), f"the raw files in {folder}"
    return None


class _Source(NamedTuple):
    """A place that data can be fetched from.

    where: what it is called in messages.
    fetch: () -> splits; raises Unavailable, UserError on files that are not right, or OSError.
    source: as in "made from ...".
    """

    where: str
    fetch: Callable[[], Splits]
    source: str


def _sources(recipe: Recipe, data_dir: Path) -> Iterator[_Source]:
    from imgcls_jax.data.catalog import debian, download, hub

    yield _Source(
        download.host(recipe),
        lambda: recipe.read_raw(download.fetch(recipe, data_dir)),
        f"a download from {recipe.homepage}",
    )
    if recipe.hub:
        copy = f"the copy {recipe.hub.repository} on the Hugging Face Hub"
        yield _Source(copy, lambda: hub.fetch(recipe), copy)
    if recipe.debian and debian.exists():
        package = f"the Debian package {recipe.debian.name}"
        yield _Source(package, lambda: debian.fetch(recipe, data_dir), package)


def _fetch(recipe: Recipe, data_dir: Path, *, offline: bool) -> tuple[Splits, str]:
    """Returns the published data from the first source that has it, and the name of the source.

    Raises:
      UserError: offline, no source has it, or data_dir cannot be written.
    """
    if offline:
        raise UserError(
            f"{recipe.name} is not on this machine, and `offline` forbids to fetch it: "
            f"{recipe.ways_out}, or (c) connect to the network and run without `offline`."
        )
    failed = []
    for source in _sources(recipe, data_dir):
        started = time.perf_counter()
        try:
            splits, reason = _try(recipe, source)
        except OSError as error:
            raise UserError(
                f"{recipe.name} cannot be fetched into `data_dir={data_dir}` "
                f"({error.strerror or error}): give a folder with room that you may write to."
            ) from error
        outcome = reason or f"fetched and verified in {time.perf_counter() - started:.0f} s"
        print(f"{recipe.name} from {source.where}: {outcome}", file=sys.stderr)
        if splits is not None:
            return splits, source.source
        failed.append(f"{source.where}: {reason}")
    raise UserError(
        f"{recipe.name} is not on this machine and cannot be fetched ({'; '.join(failed)}): "
        f"{recipe.ways_out}, or (c) connect to the network and run again; the data set digits "
        "needs no download."
    )


def _try(recipe: Recipe, source: _Source) -> tuple[Splits | None, str | None]:
    """Returns the splits if they are the published data, else why there are none.

    Raises:
      OSError: the data folder cannot be written.
    """
    from imgcls_jax.data.catalog.download import Unavailable

    trying = f"{recipe.name} from {source.where} ..."
    with tqdm(desc=trying, bar_format="{desc}", leave=False, disable=None):
        try:
            splits = source.fetch()
        except (Unavailable, UserError) as error:
            return None, str(error).rstrip(".")
    if differing := recipe.differing(splits):
        return None, f"not the published data (by digest: {', '.join(differing)})"
    return splits, None
