"""Where arrays lie when there are several devices: one mesh, one axis, a few rules.

Training is data parallel as JAX has it (https://docs.jax.dev/en/latest/parallel.html): programs are
written for the whole batch, arrays say how they are cut over a mesh of devices, and the compiler
adds the communication. A mean over a batch, as the loss and batch norm take it, is thereby one over
the whole batch whatever the number of devices, and a program for one device is a program for a mesh
of one. The mesh spans the devices of all processes that `jax.distributed` joins.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from imgcls_jax.errors import UserError

AXIS = "data"
_WHOLE_SHARE = 0.25  # of a device's memory, up to which it holds a copy of the examples


def make_mesh(devices: int = 0) -> Mesh:
    """Makes the mesh of all devices, of one axis, or of some devices of each process.

    Args:
      devices: how many of each process; 0 for all.

    Raises:
      UserError: if a process has fewer.
    """
    there: dict[int, list[jax.Device]] = {}
    for device in jax.devices():
        there.setdefault(device.process_index, []).append(device)
    fewest = min(map(len, there.values()))
    if devices > fewest:
        raise UserError(
            f"`devices={devices}` cannot be used, there are {fewest}; give at most that, or 0 for "
            "all there are."
        )
    chosen = [device for of in there.values() for device in of[: devices or None]]
    return jax.make_mesh((len(chosen),), (AXIS,), axis_types=(AxisType.Auto,), devices=chosen)


def replicated(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def by_rows(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of what is cut over the devices by its first dimension."""
    return NamedSharding(mesh, PartitionSpec(AXIS))


def described(mesh: Mesh, rows: int) -> str:
    """Says how the devices of a mesh share a batch."""
    each, rest = divmod(rows, mesh.size)
    parts = f"{mesh.size} x {each}"
    if rest:
        parts = f"at most {each + 1} each; a multiple of {mesh.size} would use them evenly"
    return f"devices: {mesh.size} x {mesh.devices.flat[0].platform}, batch {rows} = {parts}"


def of_batch(mesh: Mesh, rows: int) -> NamedSharding:
    """Returns the sharding of a batch as a program is given it.

    It is cut by rows where they divide evenly, as an array outside a program has to be. Else every
    device holds it whole, and `over_batch` cuts it within the program, where it may be uneven.
    """
    return replicated(mesh) if rows % mesh.size else by_rows(mesh)


def over_batch(mesh: Mesh) -> Callable[[Any], Any]:
    """Builds a function that cuts the arrays of a traced batch over the devices by their rows.

    The rows need not divide evenly; the compiler fills up and masks what is missing.
    """
    sharding = by_rows(mesh)
    return lambda batch: jax.lax.with_sharding_constraint(batch, sharding)


def fits_whole(mesh: Mesh, count: int) -> bool:
    """Returns whether every device may hold so many bytes, a quarter of its memory at most.

    Devices of a CPU share the machine's. Processes may be told different things and have to agree.
    """
    if mesh.size == 1:
        return True
    here = mesh.local_devices
    known = [(device.memory_stats() or {}).get("bytes_limit") for device in here]
    least = min((limit for limit in known if limit), default=_machine_bytes() // len(here))
    return count <= _WHOLE_SHARE * least


def _machine_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def rows_here(mesh: Mesh, rows: int) -> np.ndarray:
    """Returns which rows of a batch this process' devices hold, in the batch's order."""
    places = of_batch(mesh, rows).addressable_devices_indices_map((rows,))
    held = np.zeros(rows, bool)
    for (place,) in places.values():
        held[place] = True
    return np.flatnonzero(held)


def of_state(mesh: Mesh, state: Any, chosen: Any) -> Any:
    """Returns the shardings of a training state whose parameters are cut over the devices.

    A chosen parameter is cut along its longest dimension that divides evenly, and so is all else of
    its path and shape: the optimiser's moments, the average. The rest is held whole.

    Args:
      state: shapes; it has `params`.
      chosen: a tree like `params` of bools.
    """
    shapes = jax.tree_util.tree_leaves_with_path(state.params)
    cut = {
        (_names(path), leaf.shape)
        for (path, leaf), meant in zip(shapes, jax.tree.leaves(chosen), strict=True)
        if meant
    }

    def one(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        names = _names(path)
        meant = any((names[k:], leaf.shape) in cut for k in range(len(names)))
        even = [n for n in leaf.shape if n % mesh.size == 0] if meant else []
        if not even:
            return replicated(mesh)
        axis = leaf.shape.index(max(even))
        return NamedSharding(mesh, PartitionSpec(*[None] * axis, AXIS))

    return jax.tree_util.tree_map_with_path(one, state)


def _names(path: tuple[Any, ...]) -> tuple[str, ...]:
    """Returns the names in a path of `jax.tree_util`, without fields and places in tuples."""
    return tuple(k.key for k in path if isinstance(k, jax.tree_util.DictKey))


def shaped(shapes: Any, shardings: Any) -> Any:
    """Returns shapes with their shardings, to compile for.

    Args:
      shardings: one for all, or a tree like that of the shapes.
    """
    if isinstance(shardings, NamedSharding):
        shardings = jax.tree.map(lambda _: shardings, shapes)
    return jax.tree.map(
        lambda leaf, of: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=of),
        shapes,
        shardings,
    )


def put(tree: Any, sharding: NamedSharding) -> Any:
    """Puts host arrays on the devices; every process gives the same whole arrays."""

    def one(array: Any) -> jax.Array:
        array = np.asarray(array)
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

    return jax.tree.map(one, tree)


def fetched(array: jax.Array) -> np.ndarray:
    """Returns an array in host memory, gathered where it is cut over processes, which all ask."""
    if array.is_fully_addressable or array.is_fully_replicated:
        return np.asarray(array)
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(array, tiled=True)


def put_batch(batch: Mapping[str, Any], mesh: Mesh, rows: int) -> dict[str, jax.Array]:
    """Puts a host batch on the devices, as `of_batch` has it.

    Args:
      batch: arrays of those rows that `rows_here` names.
      rows: of the whole batch.
    """
    sharding = of_batch(mesh, rows)
    return {
        name: jax.make_array_from_process_local_data(sharding, array, (rows, *array.shape[1:]))
        for name, array in batch.items()
    }
