"""The arrays of one checkpoint, written and read through Orbax."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from imgcls_jax.checkpoint import digests, failures
from imgcls_jax.errors import UserError
from imgcls_jax.files import reading
from imgcls_jax.machines import group


class Damaged(Exception):
    """A checkpoint is not what was written, or cannot be read; its text is said of its folder."""


class Handler(ocp.PyTreeCheckpointHandler):
    """Writes a tree, and before it is complete the record of its leaves.

    Nothing is compressed: weights become a twelfth smaller by it, and take half as long again.

    Attributes:
      seconds: the time that the last tree took; 0 before.
    """

    seconds = 0.0

    def __init__(self):
        super().__init__(use_compression=False)

    async def async_save(self, directory, args):
        self._began = time.perf_counter()
        self._leaves, self._random = dict(digests.leaves(args.item, copy=True)), args.random
        return await super().async_save(directory, args=args)

    def finalize(self, directory):
        super().finalize(directory)
        digests.write(directory, self._leaves, self._random)
        del self._leaves
        self.seconds = time.perf_counter() - self._began


@ocp.args.register_with_handler(Handler, for_save=True)
@dataclasses.dataclass
class _Save(ocp.args.PyTreeSave):
    """What `Handler` takes: the tree, and `digests.random_numbers` of it."""

    random: str | None = None


@ocp.args.register_with_handler(Handler, for_restore=True)
@dataclasses.dataclass
class _Restore(ocp.args.PyTreeRestore):
    """What Orbax wants of a handler, though this one only writes."""


def to_save(tree: Any) -> ocp.args.CheckpointArgs:
    """Returns what `Handler` writes of a tree."""
    return _Save(_storable(tree), random=digests.random_numbers(tree))


def are_shapes(like: Any) -> bool:
    """Returns whether this process reads by itself, and not with all that train together."""
    return all(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(like))


def record(folder: Path, like: Any) -> dict[str, Any] | None:
    """Returns what a checkpoint is to be compared with; None where no digests were kept.

    Raises:
      Damaged, UserError: as `read`.
    """
    with _explained(folder):
        try:
            found = digests.read(folder)
        except ValueError as error:
            raise Damaged(f"is damaged ({error})") from error
        if found is not None:
            _require_of_use(folder, found, like)
        for path in folder.rglob("*"):
            if not path.is_dir():
                reading.require_regular(path)
        return found


def agreed(together: bool, read: Callable[..., Any], *args: Any) -> Any:
    """Returns what a function reads; raises Damaged where any process that reads with this has."""
    found, damage = None, None
    try:
        found = read(*args)
    except Damaged as error:
        damage = error
    if together and group.any_of(damage is not None) and damage is None:
        damage = Damaged("cannot be read (by another process)")
    if damage is not None:
        raise damage
    return found


def read(folder: Path, like: Any, record: dict[str, Any] | None) -> Any:
    """Reads a checkpoint into the structure, shapes and dtypes of `like`.

    Arrays are read by all processes that train together, shapes by this one alone.

    Args:
      record: see the function of that name.

    Raises:
      Damaged: it is not what was written, or cannot be read for a reason that may be its own.
      UserError: it cannot be read for another reason, or is another model's or another
        random-number implementation's.
    """
    target = jax.tree.map(_target, _storable(like))
    return _usable(_read(folder, target, record, alone=are_shapes(like)), like)


def verify(folder: Path, like: Any, record: dict[str, Any] | None) -> None:
    """Reads a checkpoint for this process alone, and not onto a device, to see if it is whole.

    Raises:
      Damaged, UserError: as `read`.
    """
    _read(folder, jax.tree.map(_on_host, _storable(like)), record, alone=True)


def _read(folder: Path, target: Any, record: dict[str, Any] | None, *, alone: bool) -> Any:
    with _explained(folder):
        # Versions up to 0.2 wrote through Orbax' manager, which adds a folder.
        arrays = folder / "default" if (folder / "default").is_dir() else folder
        with _reader(alone=alone) as reader:
            tree = reader.restore(arrays, args=ocp.args.StandardRestore(target))
        if record is not None and (name := digests.changed(record, tree)):
            raise Damaged(f"is damaged ({name} is not what was written)")
        return tree


def _reader(*, alone: bool) -> ocp.Checkpointer:
    here = {jax.process_index()} if alone else None
    options = ocp.options.MultiprocessingOptions(
        primary_host=jax.process_index() if alone else 0, active_processes=here
    )
    handler = ocp.StandardCheckpointHandler(multiprocessing_options=options)
    return ocp.Checkpointer(handler, multiprocessing_options=options)


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Tells the damage of a checkpoint from what keeps a whole one from being read."""
    try:
        yield
    except (Damaged, UserError):
        raise
    except Exception as error:
        if reason := failures.unreadable(error):
            raise UserError(f"{folder} cannot be read ({reason}); see to that first.") from error
        if not folder.exists():
            raise UserError(
                f"{folder} was replaced while it was read; run the same command again."
            ) from error
        if (folder / digests.NAME).exists():
            raise Damaged("cannot be read (perhaps it is damaged)") from error
        raise Damaged("cannot be read (it is damaged, or belongs to another model)") from error


def _require_of_use(folder: Path, record: dict[str, Any], like: Any) -> None:
    """Raises UserError if a checkpoint is whole but of another kind than what is wanted."""
    there, here = record["random"], digests.random_numbers(like)
    if there and here and there != here:
        raise UserError(
            f"{folder} draws its random numbers from {there}, and JAX is set to {here}; set "
            f"{digests.environment(there)} to go on as it began."
        )
    if found := digests.unlike(record, _storable(like)):
        raise UserError(
            f"{folder} belongs to another model ({found}); choose another `workdir`, or the "
            "settings that it was made with."
        )


def _target(leaf: Any) -> Any:
    """Returns the shape that a leaf is read into, on the devices of `like` or on the first."""
    if not isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
        return leaf
    sharding = leaf.sharding or jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def _on_host(leaf: Any) -> Any:
    """Returns an array of NumPy of a leaf's shape that takes no memory."""
    if not isinstance(leaf, jax.Array | jax.ShapeDtypeStruct):
        return leaf
    return np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape)


def _storable(tree: Any) -> Any:
    """Replaces random keys by their words, which have a dtype that every version can read.

    What lies in one of several processes alone becomes a host's array: the first one's is written.
    """

    def one(leaf: Any) -> Any:
        if digests.is_key(leaf):
            return jax.random.key_data(leaf)
        here = isinstance(leaf, jax.Array) and leaf.is_fully_addressable
        return np.asarray(leaf) if here and jax.process_count() > 1 else leaf

    return jax.tree.map(one, tree)


def _usable(tree: Any, like: Any) -> Any:
    """Undoes `_storable` where `like` has a key."""

    def convert(template, leaf):
        if not digests.is_key(template):
            return leaf
        return jax.random.wrap_key_data(leaf, impl=jax.random.key_impl(template))

    return jax.tree.map(convert, like, tree)
