"""Checkpoints on disk: the only module that knows Orbax.

A run keeps two, `<directory>/last` and `<directory>/best`, each under the number of its step. A
checkpoint is written beside its predecessor and renamed when complete; the predecessor goes only
then, so a crash or a full disk at any moment leaves a usable one.
"""

import contextlib
import logging
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from imgcls_jax.errors import UserError


class Checkpoints:
    """The checkpoints of one run. Use as a context manager: leaving it waits for writes."""

    def __init__(self, directory: str | Path):
        # Orbax discovers a relative path only in its writing thread, too late to be told.
        self._directory = Path(directory).resolve()
        self._managers: dict[str, ocp.CheckpointManager] = {}
        logging.getLogger("absl").addFilter(_not_from_orbax)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, exc_type, exc, traceback) -> None:
        for manager in self._managers.values():
            with contextlib.suppress(Exception) if exc_type else contextlib.nullcontext():
                manager.close()

    def _manager(self, kind: str) -> ocp.CheckpointManager:
        if kind not in self._managers:
            if (self._directory / kind).exists() and not (self._directory / kind).is_dir():
                raise NotADirectoryError(f"{self._directory / kind} is not a folder")
            options = ocp.CheckpointManagerOptions(max_to_keep=1, create=True)
            self._managers[kind] = ocp.CheckpointManager(self._directory / kind, options=options)
        return self._managers[kind]

    def step(self, kind: str) -> int | None:
        """Returns the step of the checkpoint of that kind, None where there is none."""
        if not (self._directory / kind).is_dir():
            return None
        return self._manager(kind).latest_step()

    def save(self, kind: str, step: int, tree: Any) -> None:
        """Writes `tree` as the checkpoint of that kind, replacing the previous one.

        Returns once the arrays are copied; writing goes on in the background.

        Raises:
          UserError: if this or the previous checkpoint could not be written.
        """
        try:
            manager = self._manager(kind)
            if manager.latest_step() != step:
                manager.save(step, args=ocp.args.StandardSave(_storable(tree)), force=True)
        except Exception as error:
            raise UserError(self._unwritten(kind, error)) from error

    def wait(self) -> None:
        """Returns when everything saved so far is on disk."""
        for kind, manager in self._managers.items():
            try:
                manager.wait_until_finished()
            except Exception as error:
                raise UserError(self._unwritten(kind, error)) from error

    def _unwritten(self, kind: str, error: Exception) -> str:
        return (
            f"cannot write a checkpoint to {self._directory / kind} ({_first_line(error)}); free "
            "some disk space or choose another `workdir`: earlier checkpoints are intact."
        )

    def restore(self, kind: str, like: Any) -> Any:
        """Reads the checkpoint of that kind into the structure, shapes and dtypes of `like`.

        Arrays come to the devices where those of `like` lie, wherever they were saved from; to the
        first device where `like` has shapes alone.

        Raises:
          UserError: if there is none, it is damaged, or it holds other shapes.
        """
        step = self.step(kind)
        if step is None:
            raise UserError(
                f"no {kind!r} checkpoint in {self._directory}; train first, or check `workdir`."
            )
        target = jax.tree.map(_target, _storable(like))
        try:
            restored = self._manager(kind).restore(step, args=ocp.args.StandardRestore(target))
        except Exception as error:
            raise UserError(
                f"the {kind!r} checkpoint of step {step} in {self._directory} cannot be read for "
                f"this model ({_first_line(error)}); it is damaged or belongs to another model: "
                "remove that folder or choose another `workdir`."
            ) from error
        return _usable(restored, like)


def _not_from_orbax(record: logging.LogRecord) -> bool:
    """Drops the log of Orbax: its failures, with tracebacks, reach the caller as errors anyway."""
    return "orbax" not in record.pathname


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _storable(tree: Any) -> Any:
    """Replaces random keys by their words, which have a dtype that every version can read."""

    def one(leaf):
        if _is_key(leaf):
            return jax.random.key_data(leaf)
        # What lies here alone is as good as a host's array, of which the first process' is kept.
        here = isinstance(leaf, jax.Array) and leaf.is_fully_addressable
        return np.asarray(leaf) if here and jax.process_count() > 1 else leaf

    return jax.tree.map(one, tree)


def _target(leaf: Any) -> Any:
    """Returns what Orbax restores an array by; without a place it would ask for the saved one."""
    shape = ocp.utils.to_shape_dtype_struct(leaf)
    if getattr(shape, "sharding", shape) is None:
        place = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        shape = jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=place)
    return shape


def _usable(tree: Any, like: Any) -> Any:
    """Undoes `_storable` where `like` has a key."""

    def convert(template, leaf):
        return jax.random.wrap_key_data(leaf) if _is_key(template) else leaf

    return jax.tree.map(convert, like, tree)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
