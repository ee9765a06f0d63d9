"""The folder of result files that grows seed by seed, whoever measures them."""

import contextlib
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from imgcls_jax import files, statistics
from imgcls_jax.config import Config
from imgcls_jax.data.dataset import Dataset, identity
from imgcls_jax.errors import UserError
from imgcls_jax.files import typed
from imgcls_jax.train.summary import spread

FORMAT = 2  # of the files that this module writes


class Store:
    """Reads and writes result files; finished seeds stay, and two processes may add at once.

    Args:
      folder: where the files are. Below it, `.unfinished` holds locks and what is not yet a result.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder).expanduser().resolve()
        self.unfinished = self.folder / ".unfinished"

    def read(self, stem: str) -> dict[str, Any] | None:
        """Returns the content of a result file; None where there is none.

        Raises:
          UserError: if the file is of another version, or was changed by hand.
        """
        found = self.parsed(stem)
        return None if found is None else self.checked(stem, found)

    def checked(self, stem: str, found: Any) -> dict[str, Any]:
        """Returns what a file holds, if this module wrote it so; raises as `read`."""
        path = self.folder / f"{stem}.json"
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise UserError(
                f"{path} is of another version of this program; move it away, or give another "
                "folder as --out."
            )
        if found.get("digest") != _digest(found):
            raise UserError(
                f"{path} was changed by hand: its content no longer has the digest it was written "
                "with; bring the written one back, or move it away to measure anew."
            )
        return found

    def need(self, stem: str, command: str, *, entry: str | None = None) -> dict[str, Any]:
        """Returns the content of a result file.

        Args:
          command: makes the file.
          entry: what it has, where another program than `reproduce` writes it, without a digest.

        Raises:
          UserError: as `read`, if it is missing, or if it is not what `command` writes.
        """
        found = self.read(stem) if entry is None else self.parsed(stem)
        if found is None:
            raise UserError(f"{stem}.json is missing in {self.folder}; make it first: {command}")
        if entry is not None and not (
            isinstance(found, dict) and isinstance(found.get(entry), dict)
        ):
            raise UserError(
                f"{self.folder / stem}.json has no entry {entry!r}; move it away, and make it "
                f"anew: {command}"
            )
        return found

    def parsed(self, stem: str) -> Any:
        """Returns what a file holds, whoever wrote it; None where there is none."""
        return typed.read(self.folder / f"{stem}.json", advice="move it away")

    def seeds(self, stem: str, header: Mapping[str, Any]) -> set[tuple[str | None, int]]:
        """Returns variant and seed of every entry of a file.

        Raises:
          UserError: if the file is of other settings or data than `header` says.
        """
        found = self.read(stem)
        if found is None:
            return set()
        self._require_same(stem, found, header)
        return {_key(entry) for entry in found["seeds"]}

    def _require_same(self, stem: str, found: Mapping[str, Any], header: Mapping[str, Any]) -> None:
        for name, words in (("config", "other settings"), ("data", "figures of other data")):
            if name not in found or name not in header:
                continue
            ours, theirs = found[name], _plain(header[name])
            if name == "config":
                ours, theirs = _with_defaults(ours), _with_defaults(theirs)
            if ours != theirs:
                raise UserError(
                    f"{self.folder / stem}.json holds {words} than are measured now; move it away, "
                    "or give another folder as --out."
                )

    def add(
        self,
        stem: str,
        header: Mapping[str, Any],
        entry: Mapping[str, Any],
        environment: Mapping[str, Any],
    ) -> None:
        """Adds a finished seed to a file, made if it is missing; one that is there stays.

        Args:
          header: what the file says of every seed: `config`, `documented` and so on.
          entry: the figures of the seed, by their names in a summary, and `seed`.
          environment: device, versions and commit that the seed was measured with.

        Raises:
          UserError: if the file is of other settings, or cannot be written.
        """
        with self._lock(f"{stem}.file.lock"):
            found = self.read(stem) or {"format": FORMAT, **header, "environments": [], "seeds": []}
            self._require_same(stem, found, header)
            if any(_key(held) == _key(entry) for held in found["seeds"]):
                return
            if _plain(environment) not in found["environments"]:
                found["environments"].append(_plain(environment))
            made = found["environments"].index(_plain(environment))
            found["seeds"].append(_plain({**entry, "made": made}))
            found["seeds"].sort(key=lambda held: held["seed"])  # variants in the order they came
            self.write(stem, found | summarised(found))

    def write(self, stem: str, content: Mapping[str, Any]) -> None:
        """Writes a file whole, with the digest of its content."""
        content = _plain(content) | {"format": FORMAT}
        content["digest"] = _digest(content)
        path = self.folder / f"{stem}.json"
        with files.replacing(path, advice="give another --out") as temporary:
            temporary.write_text(_text(content), encoding="utf-8")

    @contextlib.contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """Holds a piece of work, and tells whether it could: not while another process has it.

        The system frees the lock of a process that died.
        """
        lock = self._lock(f"{name}.lock")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def tidy(self, names: Sequence[str]) -> None:
        """Removes the locks of work that is done; a file's own stays, for others may wait there."""
        for name in names:
            (self.unfinished / f"{name}.lock").unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others are at work there, or nothing ever was
            self.unfinished.rmdir()

    def _lock(self, name: str) -> filelock.BaseFileLock:
        try:
            self.unfinished.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot write into {self.folder} ({error.strerror}); give another --out."
            ) from error
        return filelock.FileLock(self.unfinished / name)


@functools.cache
def said_of(dataset: Dataset) -> dict[str, Any]:
    """Returns what a result file says of its data."""
    return {
        "dataset": dataset.name,
        "class_names": list(dataset.class_names),
        "data": identity(dataset),
        "data_verified": dataset.verified,
    }


def results_folder(package: Path = Path(__file__).parents[1]) -> Path:
    """Returns the folder of the result files: a checkout's own; an installed copy has none."""
    return package / "results" if (package / "results").is_dir() else Path("results")


def summarised(found: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a file's seeds come to: `spread` and, if they have matrices, their mean.

    Where a file compares variants there is a spread of each.
    """
    seeds, documented = found["seeds"], found.get("documented")
    if "variants" in found:
        return _compared(found)
    watched = {"watched": found.get("watched")}
    result = {"spread": spread([watched | seed for seed in seeds], documented)}
    if seeds and "confusion_matrix" in seeds[0]:
        matrices = np.array([seed["confusion_matrix"] for seed in seeds])
        result["mean_confusion_matrix"] = matrices.mean(0).round(3).tolist()
    return result


def _compared(found: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `spread` of each variant, and `paired`: its figure less that of the base."""
    figure = found.get("figure", "test_accuracy")
    seeds = {
        name: {entry["seed"]: entry for entry in found["seeds"] if entry["variant"] == name}
        for name in found["variants"]
    }
    base, differences = seeds[found["base"]], {}
    for name, of in seeds.items():
        both = sorted(set(of) & set(base))
        if name != found["base"] and len(both) > 1:
            ours, theirs = ([side[seed][figure] for seed in both] for side in (of, base))
            differences[name] = statistics.paired(ours, theirs)
    spreads = {name: spread(list(of.values()), None) for name, of in seeds.items()}
    return {"spread": spreads, "paired": differences}


def _with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns settings, or those of each variant, with the default of those that are not there.

    A setting that is younger than a file is not in it: the program then did what the default does.
    """
    if all(isinstance(of, Mapping) for of in config.values()):
        return {variant: _with_defaults(of) for variant, of in config.items()}
    return {**_plain(Config().to_json()), **config}


def _key(entry: Mapping[str, Any]) -> tuple[str | None, int]:
    return entry.get("variant"), entry["seed"]


def _digest(content: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in content.items() if name != "digest"}
    text = json.dumps(rest, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Returns a value as it comes back from JSON."""
    return json.loads(json.dumps(value, allow_nan=False))


def _text(content: Mapping[str, Any]) -> str:
    """Returns JSON with one entry per line, and one seed per line below."""
    lines = [f"{json.dumps(name)}: {_value(value)}" for name, value in content.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _value(value: Any) -> str:
    if isinstance(value, Sequence) and value and isinstance(value[0], Mapping):
        return "[\n" + ",\n".join(json.dumps(item, ensure_ascii=False) for item in value) + "\n]"
    return json.dumps(value, ensure_ascii=False)
