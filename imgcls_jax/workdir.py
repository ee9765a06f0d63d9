"""The folder of a run: its settings, how it went, what came out, and what it was made with."""

import contextlib
import importlib.metadata
import json
import os
import platform
import subprocess
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from imgcls_jax.config import Config
from imgcls_jax.errors import UserError

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "numpy")


_CONFIG = {False: "config.json", True: "seeds.json"}  # of one run, of one over seeds
_RACE = "race.json"  # of a speed run


class Workdir:
    """Reads and writes a run's files; every file but the growing history is replaced whole."""

    def __init__(self, path: str | Path):
        try:
            self.path = Path(path).expanduser().resolve()
        except (OSError, RuntimeError) as error:
            raise UserError(f"cannot use {path} as --workdir ({error}); choose another.") from error
        self.figures = self.path / "figures"
        self.checkpoints = self.path / "checkpoints"

    def config(self, *, seeds: bool = False) -> Config | None:
        """The configuration this folder holds a run of; None if nothing was run in it yet.

        Args:
          seeds: whether to ask for the repetition over seeds, a folder of folders, that it holds.

        Raises:
          UserError: if the file is damaged or of another version.
        """
        if self._names() <= {_CONFIG[seeds]}:
            return None  # claimed, but nothing was done: the settings may have been mistaken
        values = self._read_json(_CONFIG[seeds])
        if isinstance(values, dict) and values.get("model") == "logistic_sgd":
            raise UserError(
                f"{self.path} holds run 8, which keeps no network and is never continued; choose "
                "another."
            )
        return None if values is None else Config.from_json(values)

    def claim_race(self, config: Config, *, seeds: int) -> dict[str, Any] | None:
        """Makes this the folder of a speed run; returns what it found if it is finished.

        Raises:
          UserError: if the folder holds anything else, or a race that was broken off, whose
            summary has the seeds that were run.
        """
        settings = config.to_json() | {"seeds": seeds}
        if self._names() <= {_RACE}:  # nothing was done: the settings may have been mistaken
            self.make_empty(but_for=_RACE)
            self.write_json(_RACE, settings)
            return None
        finished = self._read_json("summary.json") or {}
        if self._read_json(_RACE) != settings or len(finished.get("seeds", ())) != seeds:
            raise UserError(
                f"{self.path} holds something else than this speed run, finished; choose another "
                "--workdir."
            )
        return finished

    def claim(self, config: Config, *, seeds: bool = False) -> None:
        """Makes this the folder of `config`, or checks that it already is.

        Raises:
          UserError: if it holds something else, or cannot be written.
        """
        if (self.path / _RACE).exists() and self._names() != {_RACE}:
            raise UserError(
                f"{self.path} holds a speed run; give --preset=speedrun with its settings to see "
                "it, or choose another --workdir."
            )
        if (self.path / _CONFIG[not seeds]).exists():
            raise UserError(
                f"{self.path} holds a single run; choose another --workdir for several."
                if seeds
                else f"{self.path} holds a run over seeds or folds; give --seeds or --folds to "
                "continue it."
            )
        held = self.config(seeds=seeds)
        if held is not None and held != config:
            changes = "; ".join(
                f"{name} is {old} there, {new} here"
                for name, (old, new) in held.differences(config).items()
            )
            raise UserError(
                f"{self.path} holds another run ({changes}); choose another --workdir, or leave "
                "those flags out to continue the run it holds, whose settings are fixed."
            )
        if held is None:
            self.make_empty(but_for=_CONFIG[seeds])
            self.write_json(_CONFIG[seeds], config.to_json())

    def make_empty(self, *, but_for: str = "") -> None:
        """Makes the folder, or checks that it is empty, but for a file of that name.

        Raises:
          UserError: if it holds anything, or cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if self._names() - {but_for}:
                raise UserError(
                    f"{self.path} is not empty and holds no run; choose a new or empty folder as "
                    "--workdir."
                )
        except OSError as error:
            raise UserError(
                f"cannot use {self.path} as --workdir ({error.strerror}); choose a folder that "
                "can be written."
            ) from error

    def network(self) -> dict[str, Any] | None:
        """Returns what a prediction needs beside the parameters; None where there is nothing."""
        return self._read_json("network.json")

    def history(self) -> list[dict[str, Any]]:
        """One dict an epoch, in order; a line cut short by a crash is left out."""
        path = self.path / "metrics.jsonl"
        records = []
        try:
            for line in path.read_text().splitlines() if path.exists() else ():
                record = json.loads(line)
                if not isinstance(record, dict):
                    break
                records.append(record)
        except ValueError:  # cut short, or no text at all
            pass
        return records

    def append_history(self, record: dict[str, Any]) -> None:
        with self._writing("metrics.jsonl"), (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    def set_history(self, records: Iterable[dict[str, Any]]) -> None:
        """Replaces the history, as when resuming from before its last epoch."""
        self.write_text("metrics.jsonl", "".join(json.dumps(r) + "\n" for r in records))

    def summary(self) -> dict[str, Any] | None:
        """What the finished run reported; None while it is not finished, or if files are gone."""
        found = self._read_json("summary.json")
        whole = isinstance(found, dict) and "per_class" in found
        return found if whole and (self.path / "predictions.npz").exists() else None

    def write_json(self, name: str, value: Any) -> None:
        self.write_text(name, json.dumps(value, indent=2, allow_nan=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        with self._replacing(name) as temporary:
            temporary.write_text(text)

    def write_arrays(self, name: str, **arrays: np.ndarray) -> None:
        with self._replacing(name) as temporary:
            np.savez(temporary, **arrays)

    def read_arrays(self, name: str) -> dict[str, np.ndarray]:
        try:
            with np.load(self.path / name) as arrays:
                return dict(arrays)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{self.path / name} is damaged; delete it and run the same command again."
            ) from error

    def make_figures(self) -> Path:
        """The folder for figures, made if it is missing."""
        with self._writing("figures"):
            self.figures.mkdir(exist_ok=True)
        return self.figures

    def _names(self) -> set[str]:
        """The names in the folder; none where there is no folder."""
        return {entry.name for entry in self.path.iterdir()} if self.path.is_dir() else set()

    def _read_json(self, name: str) -> Any:
        path = self.path / name
        try:
            return json.loads(path.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path} cannot be read ({error}); remove it or choose another --workdir."
            ) from error

    @contextlib.contextmanager
    def _replacing(self, name: str) -> Iterator[Path]:
        """A temporary path whose file becomes `name` at the end, whole or not at all."""
        with self._writing(name):
            self.path.mkdir(parents=True, exist_ok=True)
            temporary = self.path / f".{os.getpid()}.{name}"  # savez insists on the suffix
            yield temporary
            os.replace(temporary, self.path / name)

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        """Turns an OSError (no space, no permission) into a sentence that names the file."""
        try:
            yield
        except OSError as error:
            raise UserError(
                f"cannot write {self.path / name} ({error.strerror}); free some space or choose "
                "another --workdir, then run the same command to continue."
            ) from error


def environment() -> dict[str, Any]:
    """Device, library versions and git commit: what a result depends on beside its settings."""
    device = jax.devices()[0]
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    versions["python"] = platform.python_version()
    return {
        "device": f"{device.platform}: {_device_name(device)}",
        "versions": versions,
        "git_commit": _git_commit(),
    }


def _device_name(device: jax.Device) -> str:
    if device.platform != "cpu":
        return f"{device.device_kind} x{jax.device_count()}"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        name = device.device_kind
    return f"{name}, {os.cpu_count()} cores"


def _git_commit() -> str | None:
    """The commit of the code that runs, with `+` if files were changed since; None outside git."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", __file__)  # else the repository is somebody else's
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None
