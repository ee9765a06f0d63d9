"""Where prepared TFDS data sets lie on this machine."""

import itertools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from imgcls_jax.data.catalog.folders import folder_info
from imgcls_jax.data.catalog.naming import Name
from imgcls_jax.errors import UserError, printable
from imgcls_jax.files import local_path, require_home
from imgcls_jax.files.typed import load


class _Configs(TypedDict):
    default_config_name: str


_VERSION = re.compile(r"\d+\.\d+\.\d+")
_MANY = 200  # entries: more than a folder of versions or configurations has


def data_dir_of(given: str | os.PathLike | None) -> Path:
    """Returns the TFDS folder: the one given, else $TFDS_DATA_DIR, else ~/tensorflow_datasets.

    Raises:
      UserError: it is in a home that this user has not, or a file.
    """
    where = given or os.environ.get("TFDS_DATA_DIR")
    if not where:
        require_home("data", "give `data_dir` or TFDS_DATA_DIR")
    setting = "data_dir" if given else "TFDS_DATA_DIR"
    data_dir = local_path(where or "~/tensorflow_datasets", setting).absolute()
    existing = next(path for path in (data_dir, *data_dir.parents) if os.path.exists(path))
    if not existing.is_dir():
        raise UserError(
            f"`data_dir={data_dir}` cannot be a folder because {existing} is a file: "
            "give another `data_dir` or TFDS_DATA_DIR."
        )
    return data_dir


def find(wanted: Name, data_dir: Path) -> Path | None:
    """Returns the prepared folder of a data set, at whatever level `data_dir` was given.

    That is the folder itself, `NAME[/CONFIG]/VERSION` below it, or what is left of that below a
    folder that is already NAME or CONFIG. Of several versions the newest is taken, of several
    configurations the one that TFDS calls the default.

    Returns:
      None where nothing of the name and configuration is prepared.

    Raises:
      UserError: another data set, configuration or version is prepared, or none wholly.
    """
    if folder_info.exists(data_dir):
        told = folder_info.identity(data_dir)
        if told is None or told.name != wanted.name:
            held = told.name if told else "a damaged data set"
            raise UserError(
                f"`data_dir={printable(data_dir)}` holds {held} and not {wanted.name}: give the "
                "folder above it, or another."
            )
        found = {(told.config, told.version): data_dir}
    else:
        inside = [data_dir / wanted.name, data_dir, data_dir.parent]
        found = {}
        for top in inside[: 3 if data_dir.parent.name == wanted.name else 2]:
            found = found or {
                (of.config, of.version): folder
                for folder, of in _below(top)
                if of.name == wanted.name
            }
    if not found:
        _refuse_half_prepared(wanted, data_dir)
        return None
    return _of_version(wanted, _of_config(wanted, found, data_dir))


def find_any(folder: Path) -> Path | None:
    """Returns the one prepared folder that a folder is or holds, None where it holds none.

    Raises:
      UserError: it holds several.
    """
    if folder_info.exists(folder):
        return folder
    found = [path for path, _ in _below(folder)]
    for inner in [] if found else _folders(folder):
        found += [path for path, _ in _below(inner)]
    if len(found) > 1:
        listed = ", ".join(str(path.relative_to(folder)) for path in found[:5])
        raise UserError(
            f"`data_dir={printable(folder)}` holds several prepared data sets ({listed}"
            f"{' ...' if len(found) > 5 else ''}): give the folder of one, or `dataset=NAME`."
        )
    return found[0] if found else None


def names(data_dir: Path) -> list[str]:
    """Returns the names of the data sets that are prepared in a TFDS folder."""
    return [folder.name for folder in _folders(data_dir) if _below(folder)]


def _folders(folder: Path) -> list[Path]:
    """Lists the folders in a folder that has few entries, as all those of TFDS do; else none."""
    try:
        with os.scandir(folder) as entries:
            some = list(itertools.islice(entries, _MANY + 1))
        return sorted(Path(of.path) for of in some if of.is_dir()) if len(some) <= _MANY else []
    except OSError:  # no folder, or not to be read
        return []


def _below(top: Path) -> list[tuple[Path, folder_info.Identity]]:
    """Returns the prepared folders VERSION and CONFIG/VERSION of a folder, and what they hold."""
    inside = _folders(top)
    versions = [of for of in inside if _VERSION.fullmatch(of.name)]
    for config in inside:
        versions += [of for of in _folders(config) if _VERSION.fullmatch(of.name)]
    found = [(of, folder_info.identity(of)) for of in versions if folder_info.exists(of)]
    return [(folder, of) for folder, of in found if of is not None]


def _of_config(
    wanted: Name, found: Mapping[tuple[str | None, str], Path], data_dir: Path
) -> dict[str, Path]:
    """Returns the prepared folders of the configuration wanted, by version."""
    configs = sorted({config or "" for config, _ in found})
    config = wanted.config
    if config is None and len(configs) == 1:
        config = configs[0]
    elif config is None:
        config = _default_config(wanted, data_dir)
    if config not in configs:
        listed = ", ".join(f"{wanted.name}/{name}" if name else wanted.name for name in configs)
        if wanted.config is None:
            raise UserError(f"Several configurations are prepared: choose one of {listed}.")
        return {}
    return {version: path for (of, version), path in found.items() if (of or "") == config}


def _default_config(wanted: Name, data_dir: Path) -> str | None:
    for folder in (data_dir / wanted.name, data_dir):
        try:
            return load(folder / ".config/metadata.json", _Configs)["default_config_name"]
        except (OSError, ValueError):
            continue
    return None


def _of_version(wanted: Name, found: Mapping[str, Path]) -> Path | None:
    if wanted.version is None and found:
        return found[max(found, key=lambda version: tuple(map(int, version.split("."))))]
    if found and wanted.version not in found:
        raise UserError(
            f"Version {wanted.version} of {wanted.name} is not prepared: there is "
            f"{', '.join(sorted(found))}; ask for that, or give an empty `data_dir`."
        )
    return found.get(wanted.version)


def _refuse_half_prepared(wanted: Name, data_dir: Path) -> None:
    """Raises UserError for a version's folder that has examples but nothing says that it is whole.

    Folders that TFDS or this library left while it prepared have other names and are passed over.
    """
    top = data_dir / wanted.name
    for folder in [data_dir, *_folders(top), *itertools.chain(*map(_folders, _folders(top)))]:
        if _VERSION.fullmatch(folder.name) and any(folder.glob(f"{wanted.name}-*record*")):
            there = folder_info.exists(folder)
            what = "its dataset_info.json is damaged" if there else "it has no dataset_info.json"
            raise UserError(
                f"{printable(folder)} is half prepared ({what}): delete it and run again."
            )
