"""The arrays of one checkpoint, written and read through Orbax."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from imgcls_jax.checkpoint import digests, failures
from imgcls_jax.errors import UserError


class Damaged(Exception):
    """A checkpoint is not what was written, in words."""


class Handler(ocp.StandardCheckpointHandler):
    """Writes a tree, and before it is complete the record of its leaves.

    Attributes:
      seconds: the time that the last tree took; 0 before.
    """

    seconds = 0.0

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
class _Save(ocp.args.StandardSave):
    """What `Handler` takes: the tree, and `digests.random_numbers` of it."""

    random: str | None = None


@ocp.args.register_with_handler(Handler, for_restore=True)
@dataclasses.dataclass
class _Restore(ocp.args.StandardRestore):
    """What Orbax wants of a handler, though this one only writes."""


def to_save(tree: Any) -> ocp.args.CheckpointArgs:
    """Returns what `Handler` writes of a tree."""
    return _Save(_storable(tree), random=digests.random_numbers(tree))


def read(folder: Path, like: Any) -> Any:
    """Reads a checkpoint into the structure, shapes and dtypes of `like`.

    Raises:
      Damaged: it is not what was written.
      UserError: it cannot be read, or is another model's or another random-number
        implementation's.
    """
    with _explained(folder):
        record = digests.read(folder)
    if record is not None:
        _require_of_use(folder, record, like)
    # Versions up to 0.2 wrote through Orbax' manager, which adds a folder.
    arrays = folder / "default" if (folder / "default").is_dir() else folder
    target = jax.tree.map(_target, _storable(like))
    with _explained(folder), ocp.Checkpointer(ocp.StandardCheckpointHandler()) as reader:
        tree = reader.restore(arrays, args=ocp.args.StandardRestore(target))
    if record is not None and (name := digests.changed(record, tree)):
        raise Damaged(f"{name} is not what was written")
    return _usable(tree, like)


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Tells the damage of a checkpoint from what keeps a whole one from being read."""
    try:
        yield
    except Exception as error:
        if reason := failures.unreadable(error):
            raise UserError(f"{folder} cannot be read ({reason}); see to that first.") from error
        if (folder / digests.NAME).exists():
            raise Damaged("it is not what was written") from error
        raise Damaged("it cannot be read, or belongs to another model") from error


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


def _storable(tree: Any) -> Any:
    """Replaces random keys by their words, which have a dtype that every version can read."""
    return jax.tree.map(lambda x: jax.random.key_data(x) if digests.is_key(x) else x, tree)


def _usable(tree: Any, like: Any) -> Any:
    """Undoes `_storable` where `like` has a key."""

    def convert(template, leaf):
        if not digests.is_key(template):
            return leaf
        return jax.random.wrap_key_data(leaf, impl=jax.random.key_impl(template))

    return jax.tree.map(convert, like, tree)
