"""The members of an ensemble: finished runs, found in folders and known by a digest."""

import contextlib
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from imgcls_jax.config import Config
from imgcls_jax.errors import UserError
from imgcls_jax.files import typed
from imgcls_jax.files.reading import content
from imgcls_jax.files.run_files import StudySummary
from imgcls_jax.predict.restored import Restored, restore
from imgcls_jax.workdir import SEVERAL, Workdir

# What members' networks must agree on, by the name in `network.json`, and how an error calls it.
_ALIKE = {
    "class_names": "classes",
    "image_shape": "image shapes",
    "resize": "ways to make pictures square",
}


class Member(NamedTuple):
    """A finished run that takes part.

    Attributes:
      path: the run's folder.
      digest: of its settings and parameters, see `digest`.
      config: its settings.
      summary: the content of its `summary.json`.
      restored: its network.
    """

    path: Path
    digest: str
    config: Config
    summary: dict[str, Any]
    restored: Restored


def find(sources: Sequence[str | Path], *, best: int | None = None) -> list[Path]:
    """Returns the folders of runs that the sources hold, in their order.

    A source is a run's folder, or one that holds such: of a run over seeds or folds every one, of
    any other, such as a study's, those that are finished.

    Args:
      best: how many to keep, of the highest validation accuracy; None keeps all.

    Raises:
      UserError: a source holds no run, a run comes twice, fewer than two are left, or there is
        nothing to choose the best by.
    """
    paths = [path for source in sources for path in _runs(Path(source).expanduser().resolve())]
    for number, path in enumerate(paths):
        if path in paths[:number]:
            raise UserError(f"{path} is given twice as a member; give it once in `members`.")
    if len(paths) < 2:
        raise UserError(
            f"an ensemble needs at least two members, and {', '.join(map(str, sources)) or 'none'} "
            f"gives {len(paths)}; add folders of runs to `members`."
        )
    return paths if best is None else _best(paths, best)


def _runs(source: Path) -> list[Path]:
    """Returns the folders of runs in and below a folder, by number where names end in one."""
    if not source.is_dir():
        raise UserError(f"there is no folder {source}; give folders of runs in `members`.")
    if (source / "ensemble.json").exists():
        raise UserError(
            f"{source} holds an ensemble, which is no member; give its members, or a network "
            "distilled from it."
        )
    if (source / "config.json").exists():
        return [source]
    found = sorted((path.parent for path in source.rglob("config.json")), key=_natural)
    if (source / SEVERAL).exists():
        if found and (source / "summary.json").exists():
            return found
        raise UserError(
            f"the run over seeds or folds in {source} is not finished; run its command again to "
            "finish it, or give single runs in `members`."
        )
    found = [path for path in found if Workdir(path).summary() is not None]
    if not found:
        raise UserError(f"{source} holds no finished run; give folders of runs in `members`.")
    return found


def _natural(path: Path) -> list[Any]:
    """Returns a key by which seed-10 comes behind seed-9."""
    parts = re.split(r"(\d+)", str(path))
    return [int(part) if part.isdigit() else part for part in parts]


def _best(paths: list[Path], count: int) -> list[Path]:
    """Returns the runs of the highest validation accuracy, best first."""
    if not 2 <= count <= len(paths):
        raise UserError(
            f"`best={count}` cannot be used; it must be from 2 to {len(paths)}, the number of runs "
            "that `members` gives."
        )
    accuracies = {}
    for path in paths:
        accuracies[path] = _validation_accuracy(path)
        if accuracies[path] is None:
            raise UserError(
                f"the run in {path} has no validation accuracy to choose by; leave out `best`, or "
                "train with `hold_out=0.1`, say."
            )
    return sorted(paths, key=lambda path: -accuracies[path])[:count]


def _validation_accuracy(path: Path) -> float | None:
    """Returns a run's validation accuracy, or its trial's in the study it lies in; None without.

    A study trains its best settings again on all examples, in folders `finals/trial-N/seed-K`: such
    a run is as good as its trial was on the examples held out then.
    """
    accuracy = (Workdir(path).summary() or {}).get("validation_accuracy")
    number = re.fullmatch(r"trial-(\d+)", path.parent.name)
    if accuracy is not None or number is None:
        return accuracy
    with contextlib.suppress(OSError, ValueError):  # another folder than a study's
        study = typed.load(path.parents[2] / "summary.json", StudySummary)
        return {of["number"]: of["value"] for of in study["trials"]}.get(int(number[1]))
    return None


def read(paths: Sequence[Path]) -> list[Member]:
    """Reads the members' networks.

    Raises:
      UserError: a run is not finished or damaged, or the members' classes or images differ.
    """
    members = []
    for path in paths:
        workdir = Workdir(path)
        restored, summary = restore(path), workdir.summary()
        if summary is None:
            raise UserError(
                f"the run in {path} is not finished; run its command again with "
                f"`workdir={path}` to finish it."
            )
        if restored.record.get("several_labels"):
            raise UserError(
                f"the run in {path} gives pictures any number of labels, and an ensemble is of "
                "networks that give one class; leave it out of `members`."
            )
        members.append(Member(path, digest(path), workdir.config(), summary, restored))
    require_alike(paths, [member.restored.record for member in members])
    return members


def require_alike(paths: Sequence[Path], records: Sequence[dict[str, Any]]) -> None:
    """Raises UserError if networks tell other classes apart or take other images than the first.

    Args:
      records: the contents of `network.json` in the folders `paths`.
    """
    for path, record in zip(paths, records, strict=True):
        for key, words in _ALIKE.items():
            here, first = record[key], records[0][key]
            if here != first:
                raise UserError(
                    f"{path} and {paths[0]} have different {words} ({_short(here)} and "
                    f"{_short(first)}); give `members` of one data set."
                )


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def digest(path: Path) -> str:
    """Returns what tells a run's network from any other: of its settings and its parameters."""
    found = hashlib.sha256()
    kept = sorted(file for file in (path / "checkpoints" / "evaluated").rglob("*"))
    for file in (path / "config.json", path / "network.json", *kept):
        if file.is_file():
            held = content(file)
            found.update(f"{file.relative_to(path)} {len(held)}\n".encode())
            found.update(held)
    return found.hexdigest()[:16]


def test_probabilities(members: Sequence[Member], labels: np.ndarray) -> np.ndarray:
    """Returns what the members said of the test set when they met it, (K, N, C).

    Args:
      labels: (N,) of the test set.

    Raises:
      UserError: if a member met another test set.
    """
    found = []
    for member in members:
        arrays = Workdir(member.path).read_arrays("predictions.npz")
        if not np.array_equal(arrays["labels"], labels):
            raise UserError(
                f"the run in {member.path} met another test set than the other `members`; leave it "
                "out."
            )
        found.append(arrays["probabilities"])
    return np.stack(found)


def names(paths: Sequence[Path]) -> list[str]:
    """Returns short names of folders: their last parts, as many as tell them apart."""
    for length in range(1, max(len(path.parts) for path in paths)):
        found = ["/".join(path.parts[-length:]) for path in paths]
        if len(set(found)) == len(found):
            return found
    return [str(path) for path in paths]
