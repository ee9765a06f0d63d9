"""Checkpoints on disk: the only room that knows Orbax.

A run keeps the two newest of `<directory>/last`, and one each of `best` and `evaluated`, each under
the number of its step. A checkpoint is written under another name and renamed when complete; its
predecessor goes only then, so a crash or a full disk at any moment leaves a usable one. Beside the
arrays lies a digest of each (`digests`), which is compared whenever they are read: nothing of a
damaged checkpoint is used. One that is in the way of another is renamed, not removed, as what
cannot be read may yet be whole. Where several processes read together, the first one chooses the
step, and what one finds damaged is damaged for all.
"""

import contextlib
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from absl import logging

from imgcls_jax.checkpoint import arrays, failures
from imgcls_jax.errors import UserError
from imgcls_jax.machines import group

_KEPT = {"last": 2}  # of a kind, one of any other
_BESIDE = ("evaluated",)  # written beside others: no run goes on from it
_UNFINISHED = ".orbax-checkpoint-tmp"  # in the name of a folder that is being written or removed
_ASIDE = ".aside"  # at the end of the name of a damaged one
_COPY = "bring it back from a copy"


class Checkpoints:
    """The checkpoints of one run. Use as a context manager: leaving it waits for writes.

    Attributes:
      directory: the folder of all of them.
      saved: how many were written.
    """

    def __init__(self, directory: str | Path):
        self.directory = Path(directory).resolve()
        self.saved = 0
        # By kind: who writes, and what is being written.
        self._writers: dict[str, tuple[arrays.Handler, ocp.AsyncCheckpointer]] = {}
        self._writing: dict[str, int] = {}
        # Steps that were written or read here, and those that were found damaged.
        self._sound: defaultdict[str, set[int]] = defaultdict(set)
        self._damaged: defaultdict[str, set[int]] = defaultdict(set)
        failures.keep_quiet()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, exc_type, exc, traceback) -> None:
        try:
            with contextlib.suppress(Exception) if exc_type else contextlib.nullcontext():
                self.wait()
        finally:
            for kind in list(self._writers):
                self._close(kind)

    @property
    def seconds(self) -> float:
        """The time that writing the newest `last` took, in the background too; 0 before."""
        return self._writers["last"][0].seconds if "last" in self._writers else 0.0

    def step(self, kind: str) -> int | None:
        """Returns the newest step of that kind that is not known to be damaged, None for none."""
        return next(iter(self.steps(kind)), None)

    def steps(self, kind: str) -> list[int]:
        """Returns all such steps, the newest first.

        Raises:
          UserError: if the folder cannot be read.
        """
        return [step for step in self._on_disk(kind) if step not in self._damaged[kind]]

    def save(self, kind: str, step: int, tree: Any) -> None:
        """Writes `tree` as the newest checkpoint of that kind.

        Returns once the arrays are copied; writing and the digests go on in the background, after
        what was saved before is on disk: a `last` is never newer than the `best` it tells of. One
        process writes what is to be evaluated beside others. A step that is on disk and whole stays
        as it is: a run that goes on comes to the same values.

        Raises:
          UserError: if this checkpoint or one before could not be written.
        """
        if kind in _BESIDE and jax.process_count() == 1:
            self._wait_for(kind)
        else:
            self.wait()
        if step in self._sound[kind]:
            return
        self._writing[kind] = step
        try:
            self._require_writable(kind, step)
            there = step in self._on_disk(kind)
            there, lost = group.greatest(there, there and not self._is_whole(kind, step, tree))
            if lost:
                self._set_aside(kind, step)
            elif there:
                del self._writing[kind]
                self._settle(kind, step)
                return
            if kind not in self._writers:
                handler = arrays.Handler()
                self._writers[kind] = handler, ocp.AsyncCheckpointer(handler)
            self._writers[kind][1].save(self._folder(kind, step), args=arrays.to_save(tree))
        except Exception as error:
            raise self._unwritten(kind, error) from error

    def wait(self) -> None:
        """Returns when everything saved so far is on disk, and what it replaces is gone.

        Raises:
          UserError: if it could not be written.
        """
        failed = None
        for kind in list(self._writing):
            try:
                self._wait_for(kind)
            except UserError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def _wait_for(self, kind: str) -> None:
        if kind not in self._writing:
            return
        try:
            self._writers[kind][1].wait_until_finished()
        except Exception as error:
            raise self._unwritten(kind, error) from error
        self.saved += 1
        self._settle(kind, self._writing.pop(kind))

    def restore(
        self, kind: str, like: Any, *, step: int | None = None, otherwise: str = _COPY
    ) -> Any:
        """Reads a checkpoint of that kind into the structure, shapes and dtypes of `like`.

        The newest that is whole is read; a warning says where a newer one is not.

        Args:
          like: arrays or their shapes; an array's sharding is what it is read into.
          step: the only one that will do.
          otherwise: what to do where all are damaged, the end of the error's sentence.

        Raises:
          UserError: if there is none, all are damaged, or it is another model's or another
            random-number implementation's.
        """
        return self._first(arrays.read, kind, like, step, otherwise)

    def verify(self, kind: str, like: Any, *, step: int, otherwise: str = _COPY) -> None:
        """Compares a checkpoint with its digests, and takes no memory of a device for it.

        Args:
          like, step, otherwise: as `restore` takes them.

        Raises:
          UserError: as `restore`.
        """
        self._first(arrays.verify, kind, like, step, otherwise)

    def _first(
        self,
        read: Callable[..., Any],
        kind: str,
        like: Any,
        step: int | None,
        otherwise: str,
    ) -> Any:
        """Returns what `read` gives of the newest checkpoint that it can read."""
        self.wait()
        together = not arrays.are_shapes(like)
        found = group.broadcast(lambda: self.steps(kind)) if together else self.steps(kind)
        found = [one for one in found if step in (None, one)]
        if not found and step is None:
            raise UserError(
                f"no {kind!r} checkpoint in {self.directory}; train first, or check `workdir`."
            )
        if not found:
            raise UserError(f"{self._folder(kind, step)} is missing; {otherwise}.")
        said = []
        for one in found:
            folder = self._folder(kind, one)
            try:
                record = arrays.agreed(together, arrays.record, folder, like)
                tree = arrays.agreed(together, read, folder, like, record)
            except arrays.Damaged as error:
                said.append(f"{folder} {error}")
                self._damaged[kind].add(one)
            else:
                self._sound[kind].add(one)
                for what in said:
                    logging.warning("%s; going on from step %d, the one before.", what, one)
                return tree
        raise UserError(f"the {kind!r} checkpoint {' and '.join(said)}; {otherwise}.")

    def sweep(self) -> None:
        """Removes what killed writers left; for the process that holds the run's folder."""
        if jax.process_index() == 0:
            for path in self.directory.glob(f"*/*{_UNFINISHED}*"):
                shutil.rmtree(path, ignore_errors=True)

    def _is_whole(self, kind: str, step: int, like: Any) -> bool:
        """Returns whether a checkpoint that lies there already is one of `like`, and whole."""
        try:
            folder = self._folder(kind, step)
            arrays.verify(folder, like, arrays.record(folder, like))
        except (arrays.Damaged, UserError):
            return False
        return True

    def _settle(self, kind: str, step: int) -> None:
        """Notes that a checkpoint is on disk, and clears away what it replaces."""
        self._sound[kind].add(step)
        older = [one for one in self.steps(kind) if one < step]
        keep = {step, *older[: _KEPT.get(kind, 1) - 1]}
        for one in set(self._on_disk(kind)) - keep:
            with contextlib.suppress(OSError):  # one that cannot be removed is no harm
                if one in self._damaged[kind]:
                    self._set_aside(kind, one)
                else:
                    self._remove(kind, one)

    def _require_writable(self, kind: str, step: int) -> None:
        """Raises OSError where a folder cannot be made: Orbax would say so late and at length."""
        unfinished = self._unfinished(kind, step)
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        if jax.process_index() == 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            unfinished.rmdir()

    def _unwritten(self, kind: str, error: Exception) -> UserError:
        """Returns what is said of the checkpoint that was to be written; there is none any more."""
        step = self._writing.pop(kind)
        self._close(kind)
        shutil.rmtree(self._unfinished(kind, step), ignore_errors=True)
        reason, advice = failures.unwritten(error)
        kept = self.step(kind)
        whole = f"that of step {kept} is kept" if kept in self._sound[kind] else "none was removed"
        return UserError(
            f"cannot write a checkpoint to {self.directory / kind} ({reason}); {advice} ({whole})."
        )

    def _close(self, kind: str) -> None:
        if kind in self._writers:
            with contextlib.suppress(Exception):  # what failed was said before
                self._writers.pop(kind)[1].close()

    def _folder(self, kind: str, step: int) -> Path:
        return self.directory / kind / str(step)

    def _unfinished(self, kind: str, step: int) -> Path:
        """Returns where Orbax writes a checkpoint, and where it lies while it is removed."""
        return self.directory / kind / f"{step}{_UNFINISHED}"

    def _on_disk(self, kind: str) -> list[int]:
        """Returns the steps of the complete checkpoints of a kind, the newest first."""
        folder = self.directory / kind
        try:
            names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        except OSError as error:
            raise UserError(
                f"{folder} cannot be read ({error.strerror}); see to that first."
            ) from error
        return sorted((int(name) for name in names if name.isdecimal()), reverse=True)

    def _set_aside(self, kind: str, step: int) -> None:
        """Renames a checkpoint that cannot be used, so that it is in nobody's way and not lost."""
        if jax.process_index() == 0:
            folder = self._folder(kind, step)
            aside = folder.with_name(folder.name + _ASIDE)
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
            logging.warning("%s, which cannot be used, is kept as %s.", folder, aside.name)
        self._damaged[kind].discard(step)

    def _remove(self, kind: str, step: int) -> None:
        """Removes a checkpoint, which at no moment is there in part."""
        if jax.process_index() == 0:
            unfinished = self._unfinished(kind, step)
            shutil.rmtree(unfinished, ignore_errors=True)
            self._folder(kind, step).rename(unfinished)
            shutil.rmtree(unfinished, ignore_errors=True)


class NoCheckpoints:
    """Stands where checkpoints are expected, and keeps none."""

    seconds = 0.0

    def step(self, kind: str) -> None:
        del kind

    def save(self, kind: str, step: int, tree: Any) -> None:
        del kind, step, tree

    def wait(self) -> None:
        pass
