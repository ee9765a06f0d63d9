"""Where arrays lie when there are several devices: one mesh, one axis, a few rules.

Training is data parallel as JAX has it (https://docs.jax.dev/en/latest/parallel.html): programs are
written for the whole batch, arrays say how they are cut over a mesh of devices, and the compiler
adds the communication. A mean over a batch, as the loss and batch norm take it, is thereby one over
the whole batch whatever the number of devices, and a program for one device is a program for a mesh
of one. The mesh spans the devices of all processes that `jax.distributed` joins.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from imgcls_jax.errors import UserError

AXIS = "data"


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
            f"`devices={devices}` cannot be used, there are {fewest}; leave it out to use them all."
        )
    chosen = [device for of in there.values() for device in of[: devices or None]]
    return jax.make_mesh((len(chosen),), (AXIS,), axis_types=(AxisType.Auto,), devices=chosen)


def replicated(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of what every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def by_rows(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of what is cut over the devices by its first dimension."""
    return NamedSharding(mesh, PartitionSpec(AXIS))


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


def rows_here(mesh: Mesh, rows: int) -> np.ndarray:
    """Returns which rows of a batch this process' devices hold, in the batch's order."""
    places = of_batch(mesh, rows).addressable_devices_indices_map((rows,))
    held = np.zeros(rows, bool)
    for (place,) in places.values():
        held[place] = True
    return np.flatnonzero(held)


def put(tree: Any, sharding: NamedSharding) -> Any:
    """Puts host arrays on the devices; every process gives the same whole arrays."""

    def one(array: Any) -> jax.Array:
        array = np.asarray(array)
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

    return jax.tree.map(one, tree)


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
