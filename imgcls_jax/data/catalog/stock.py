"""The data sets that TFDS knows, asked without TensorFlow and without network.

Imported only where needed: tensorflow_datasets costs half a second.
"""

import contextlib
import difflib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from imgcls_jax.data.catalog import NAMES
from imgcls_jax.data.catalog.builder import leaving_nothing
from imgcls_jax.data.catalog.description import Description
from imgcls_jax.data.catalog.folders import places
from imgcls_jax.data.catalog.folders.folder_info import choose, tree_of
from imgcls_jax.data.catalog.naming import Name
from imgcls_jax.errors import UserError, printable


def builder(wanted: Name, *, data_dir: str | os.PathLike) -> Any:
    """Returns the stock TFDS builder of a data set; nothing is read or written in `data_dir`.

    Raises:
      UserError: there is no such data set, configuration or version, with the nearest that are
        there, or its builder needs TensorFlow.
    """
    known = tfds.list_builders(with_community_datasets=False)
    if wanted.name not in known:
        _require_not_prepared(wanted, Path(data_dir))
        near = _nearest(wanted.name, [*known, *places.names(Path(data_dir))])
        instead = f"; the nearest are {', '.join(near)}" if near else ""
        raise UserError(
            f"TFDS knows no data set {wanted.name!r}{instead}: give a name of its catalogue."
        )
    options = {"config": wanted.config} if wanted.config else {}
    if wanted.version:
        options["version"] = wanted.version
    try:
        with _quiet():
            return tfds.builder(wanted.name, data_dir=data_dir, **options)
    except ImportError as error:
        first = error.__cause__ or error.__context__ or error  # TFDS wraps it without its name
        package = getattr(first, "name", None) or f"a package ({_first_line(first)})"
        raise UserError(
            f"The TFDS builder of {wanted.name} needs {package}, which cannot be imported: "
            "install it, or give a folder prepared elsewhere as `data_dir`."
        ) from error
    except Exception as error:  # TFDS raises anything
        _require_config(wanted)
        _require_version(wanted)
        raise UserError(
            f"The TFDS builder of {wanted.name} cannot be made ({_first_line(error)}): choose "
            "another data set."
        ) from error


def unknown(name: str) -> UserError:
    """Returns the error for a name that TFDS cannot have, with the nearest that it has.

    Papers write CIFAR-100 and Oxford Flowers 102 where TFDS has small letters and underscores.
    """
    known = tfds.list_builders(with_community_datasets=False)
    written = name.casefold().replace("-", "_").replace(" ", "_")
    plain = {of.replace("_", ""): of for of in known}
    same = plain.get(written.replace("_", ""))
    near = list(dict.fromkeys([*([same] if same else []), *_nearest(written, known)]))[:3]
    instead = f"; the nearest are {', '.join(near)}" if near else ""
    return UserError(
        f"There is no data set {printable(name)!r}{instead}: give NAME, NAME/CONFIG or "
        f"NAME:VERSION of a data set of TFDS, or one of {', '.join(NAMES)}."
    )


def _require_not_prepared(wanted: Name, data_dir: Path) -> None:
    """Raises UserError for a data set that is prepared but is none of TFDS' own.

    It was looked for before, so that its configuration is what is not there.
    """
    if wanted.name in places.names(data_dir):
        raise UserError(
            f"{wanted.name} is prepared in {printable(data_dir)}, but not its configuration "
            f"{wanted.config!r}: leave the configuration out, or give one that is prepared there."
        )


def _nearest(name: str, known: Sequence[str]) -> list[str]:
    """Returns up to three names that are spelled alike, then the shortest that hold the name."""
    alike = difflib.get_close_matches(name, known, n=3)
    holding = sorted((of for of in known if name in of), key=lambda of: (len(of), of))
    return list(dict.fromkeys([*alike, *holding]))[:3]


def _require_config(wanted: Name) -> None:
    configs = list(tfds.builder_cls(wanted.name).builder_configs)
    if wanted.config and wanted.config not in configs:
        near = difflib.get_close_matches(wanted.config, configs, n=5, cutoff=0) or ["none"]
        raise UserError(
            f"{wanted.name} has no configuration {wanted.config!r}: choose one of "
            f"{', '.join(near)}{' ...' if len(configs) > len(near) else ''}."
        )


def _require_version(wanted: Name) -> None:
    cls = tfds.builder_cls(wanted.name)
    versions = [str(v) for v in (cls.VERSION, *cls.SUPPORTED_VERSIONS) if v is not None]
    if wanted.version and versions and wanted.version not in versions:
        raise UserError(
            f"{wanted.name} has no version {wanted.version} here: choose one of "
            f"{', '.join(dict.fromkeys(versions))}, or leave the version out."
        )


def describe(builder: Any) -> Description:
    """Tells what a builder's data set is.

    Raises:
      UserError: it has not one image and one label.
    """
    info, config = builder.info, builder.builder_config
    name = f"{builder.name}/{config.name}" if config else builder.name
    keys, where = info.supervised_keys, f"The data set {name}"
    features = choose(tree_of(info.features), keys, where=where)
    counts = {split: found.num_examples for split, found in info.splits.items()}
    licence = info.redistribution_info.license if info.redistribution_info else ""
    sizes = [found.size for found in (builder.url_infos or {}).values()]
    return Description(
        name=name,
        version=str(builder.version),
        class_names=tuple(info.features[features.label].names),
        counts=counts,
        image_shape=features.image_shape,
        download_bytes=sum(sizes) or None,
        licence=licence,
        homepage=info.homepage or "",
        citation=info.citation or "",
        remarks=() if counts else ("What splits it has is known once it is prepared",),
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps TFDS from printing that TensorFlow is not installed, and from leaving folders."""
    silent = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with silent[0], silent[1], leaving_nothing():
        yield


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[-1] or type(error).__name__
