"""The folder of a run: its settings, its history, its results and its environment."""

import contextlib
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from imgcls_jax import files
from imgcls_jax.config import Config
from imgcls_jax.config.cadence import Cadence
from imgcls_jax.errors import UserError
from imgcls_jax.files import fit, run_files
from imgcls_jax.files.reading import read_arrays
from imgcls_jax.files.typed import read
from imgcls_jax.machines import claims, group

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy")
_ELSEWHERE = "choose another `workdir`, then run the same command to continue"
# What a folder can be claimed for, by the file that holds the settings, and how an error says so.
_RUN, SEVERAL, _RACE, _ENSEMBLE = "config.json", "seeds.json", "race.json", "ensemble.json"
HOLDS = {
    _RUN: "holds a single run; choose another `workdir`",
    SEVERAL: "holds a run over seeds or folds; give `seeds` or `folds` to continue it",
    _RACE: "holds a speed run; give its settings to see it, or choose another `workdir`",
    _ENSEMBLE: "holds an ensemble; choose another `workdir`",
}
_UNDO = "undo the edit, or choose another `workdir`"
_ANEW = "remove it and run the same command again, which writes it anew"


class Workdir:
    """Reads and writes a run's files; every file but the growing history is replaced whole.

    `checkpoint_every` is how often a training here writes checkpoints; None leaves it to `ledger`.
    """

    def __init__(self, path: str | Path, *, checkpoint_every: Cadence | None = None):
        try:
            self.path = files.local_path(path, "workdir").resolve()
        except (OSError, RuntimeError) as error:
            raise UserError(f"cannot use {path} as `workdir` ({error}); choose another.") from error
        self.checkpoint_every = checkpoint_every
        self.figures = self.path / "figures"
        self.checkpoints = self.path / "checkpoints"

    def config(self, *, several: bool = False) -> Config | None:
        """Reads the configuration of the run in this folder; None if nothing was run in it yet.

        Args:
          several: whether to ask for the repetition over seeds or folds, a folder of folders.

        Raises:
          UserError: if the file is damaged or of another version.
        """
        kind = SEVERAL if several else _RUN
        values = self._held(kind)
        if values is not None and values.get("model") == "logistic_sgd":
            raise UserError(
                f"{self.path} holds run 8, which keeps no network and is never continued; choose "
                "another."
            )
        try:
            return None if values is None else Config.from_json(values)
        except UserError as error:
            raise UserError(f"{self.path / kind} cannot be used: {error}") from error

    def one_of_several(self) -> Path | None:
        """Returns the folder of one run where this is the folder of several, else None."""
        if not (self.path / SEVERAL).exists():
            return None
        found = sorted(self.path.glob(f"*-*/{_RUN}"))
        return found[0].parent if found else self.path / "seed-0"

    @claims.by_first(lambda several: SEVERAL if several else _RUN)
    def claim(self, config: Config, *, several: bool = False) -> None:
        """Makes this the folder of `config`, or checks that it already is.

        Raises:
          UserError: if it holds something else, or cannot be written.
        """
        if self._claim(SEVERAL if several else _RUN, config.to_json()) is None:
            return
        if differing := self.config(several=several).differences(config):
            changes = "; ".join(
                f"{name} is {old} there, {new} here" for name, (old, new) in differing.items()
            )
            raise UserError(
                f"{self.path} holds another run ({changes}); choose another `workdir`, or leave "
                "those settings out to continue the run it holds, whose settings are fixed."
            )

    def claim_race(self, config: Config, *, seeds: int) -> dict[str, Any] | None:
        """Makes this the folder of a speed run; returns what it found if it is finished.

        Raises:
          UserError: if the folder holds anything else, or a race that was broken off, whose
            summary has the seeds that were run.
        """
        settings = config.to_json() | {"seeds": seeds}
        held = self._claim(_RACE, settings)
        if held is None:
            return None
        finished = held == settings and self._read_json("summary.json", run_files.Race, _ANEW)
        if not finished or len(finished["seeds"]) != seeds:
            raise UserError(
                f"{self.path} holds something else than this speed run, finished; choose another "
                "`workdir`."
            )
        return finished

    def claim_ensemble(self, settings: dict[str, Any]) -> dict[str, Any] | None:
        """Makes this the folder of an ensemble; returns the record it holds if it already is."""
        return self._claim(_ENSEMBLE, settings)

    def ensemble(self) -> dict[str, Any] | None:
        """Returns the record of the ensemble in this folder; None without one."""
        return self._read_json(_ENSEMBLE, run_files.Ensemble)

    def _held(self, kind: str) -> Any:
        """Reads the settings that the folder holds; None where it is claimed at most.

        Where nothing was done, the settings may have been mistaken.
        """
        if self._names() <= set(HOLDS):
            return None
        return self._read_json(kind, run_files.Ensemble if kind == _ENSEMBLE else dict)

    def _claim(self, kind: str, settings: dict[str, Any]) -> Any:
        """Claims a folder in which nothing was done; else returns the settings that it holds.

        The one rule: a folder is of one kind, and a run begun in it stays.
        """
        held = self._held(kind)
        for other, sentence in HOLDS.items():
            if other != kind and self._held(other) is not None:
                raise UserError(f"{self.path} {sentence}.")
        if held is None:
            self.make_empty(but_for=set(HOLDS))
            for other in set(HOLDS) - {kind}:
                (self.path / other).unlink(missing_ok=True)
            self.write_json(kind, settings)
        return held

    def make_empty(self, *, but_for: Collection[str] = ()) -> None:
        """Makes the folder, or checks that it is empty, but for files of those names.

        Raises:
          UserError: if it holds anything, or cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if self._names() - set(but_for):
                raise UserError(
                    f"{self.path} is not empty and holds no run; choose a new or empty folder as "
                    "`workdir`."
                )
        except OSError as error:
            raise UserError(
                f"cannot use {self.path} as `workdir` ({error.strerror}); choose a folder that "
                "can be written."
            ) from error

    def network_record(self) -> dict[str, Any] | None:
        """Returns the record that a prediction needs beside the parameters; None without one."""
        return self._read_json("network.json", run_files.NetworkRecord)

    def history(self, *, steps: int | None = None) -> list[dict[str, Any]]:
        """Reads the records of epochs 1, 2 and so on, as far as each has one; see `files.records`.

        With the number of `steps` per epoch, lines of other steps are left out. Versions up to 0.1
        called the figures of a watched test set `validation_*`; here they are `test_*`.
        """

        def fits(line: Any) -> bool:
            fitting = not fit.misfit(line, run_files.EpochRecord)
            return fitting and (steps is None or line["step"] == steps * line["epoch"])

        records = files.records(self.path / "metrics.jsonl", by="epoch", aside="second", fits=fits)
        if records and self._watches_test():
            old, new = "validation_", "test_"
            records = [{k.replace(old, new): v for k, v in r.items()} for r in records]
        return records

    @group.by_first
    def append_history(self, record: dict[str, Any]) -> None:
        with self._writing("metrics.jsonl"), (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    def set_history(self, records: Iterable[dict[str, Any]]) -> None:
        """Replaces the history, as when resuming from before its last epoch."""
        self.write_text("metrics.jsonl", "".join(json.dumps(r) + "\n" for r in records))

    def set_head_seconds(self, seconds: float) -> None:
        """Keeps the time that fitting the head took before training began, if it took any."""
        if seconds:
            self.write_json("head.json", {"seconds": seconds})

    def head_seconds(self) -> float | None:
        """Returns the time that `set_head_seconds` kept; None where there is none."""
        return (self._read_json("head.json", run_files.HeadRecord) or {}).get("seconds")

    def summary(self) -> dict[str, Any] | None:
        """Returns a finished run's report; None while it is not finished, or if files are gone."""
        if not (self.path / "predictions.npz").exists():
            return None
        if (found := self._read_json("summary.json", run_files.Summary, _ANEW)) is None:
            return None
        if self._watches_test() and "watched" not in found:  # as versions up to 0.1 wrote it
            found = {k: v for k, v in found.items() if not k.startswith("validation_")}
            found["watched"] = "test"
        return found

    def _watches_test(self) -> bool:
        return bool((self._read_json(_RUN) or {}).get("watch_test"))

    def write_json(self, name: str, value: Any) -> None:
        self.write_text(name, json.dumps(value, indent=2, allow_nan=False) + "\n")

    @group.by_first
    def write_text(self, name: str, text: str) -> None:
        with self._replacing(name) as temporary:
            temporary.write_text(text, encoding="utf-8")

    @group.by_first
    def write_arrays(self, name: str, **arrays: np.ndarray) -> None:
        # Opened here: savez would add a suffix to a path.
        with self._replacing(name) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)

    def read_arrays(self, name: str) -> dict[str, np.ndarray]:
        try:
            return read_arrays(self.path / name)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self.path / name} is damaged; delete it and run the same command again."
            ) from error

    def make_figures(self) -> Path:
        """Returns the folder for figures, made if it is missing."""
        with self._writing("figures"):
            self.figures.mkdir(exist_ok=True)
        return self.figures

    def _names(self) -> set[str]:
        """Returns the names in the folder but hidden ones; none where there is no folder."""
        entries = self.path.iterdir() if self.path.is_dir() else ()
        return {entry.name for entry in entries if not entry.name.startswith(".")}

    def _read_json(self, name: str, wanted: Any = dict, advice: str = _UNDO) -> Any:
        return read(self.path / name, wanted, advice=advice)

    def _replacing(self, name: str) -> contextlib.AbstractContextManager[Path]:
        return files.replacing(self.path / name, advice=_ELSEWHERE)

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        """Turns an OSError (no space, no permission) into a sentence that names the file."""
        try:
            yield
        except OSError as error:
            raise UserError(
                f"cannot write {self.path / name} ({error.strerror}); "
                f"{files.advised(error, _ELSEWHERE)}."
            ) from error


def environment(devices: int | None = None) -> dict[str, Any]:
    """Returns what a result depends on beside its settings: devices (all if None), versions, ..."""
    device = jax.devices()[0]
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    versions["python"] = platform.python_version()
    return {
        "device": f"{device.platform}: {_device_name(device, devices or jax.device_count())}",
        "versions": versions,
        "git_commit": _git_commit(),
    }


def _device_name(device: jax.Device, count: int) -> str:
    if device.platform != "cpu":
        return f"{device.device_kind} x{count}"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        name = device.device_kind
    return f"{name}, {os.cpu_count()} cores" + (f" as {count} devices" if count > 1 else "")


def _git_commit() -> str | None:
    """Returns the commit of the running code, with `+` if files were changed; None outside git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
        return said.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", __file__)  # else the repository is somebody else's
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None
