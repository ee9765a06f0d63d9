"""What a checkpoint holds, leaf by leaf, with a digest that one changed bit changes.

The record is of whole arrays: it does not depend on how they were divided among devices or
processes, so that a checkpoint of N devices is verified on M.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from imgcls_jax import sharding
from imgcls_jax.errors import UserError
from imgcls_jax.files import reading

NAME = "digests.json"  # beside the files of Orbax
_VERSION = 1
_THREEFRY, _IN_ONE = "threefry2x32", "not partitionable"


def is_key(leaf: Any) -> bool:
    """Returns whether a leaf is a typed random key."""
    return isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def random_numbers(tree: Any) -> str | None:
    """Returns what the bits drawn from a tree's keys depend on, in words; None without keys."""
    found = {str(jax.random.key_impl(leaf)) for leaf in jax.tree.leaves(tree) if is_key(leaf)}
    if not found:
        return None
    divided = "" if jax.config.jax_threefry_partitionable else f", {_IN_ONE}"
    return ", ".join(sorted(found)) + (divided if _THREEFRY in found else "")


def environment(random: str) -> str:
    """Returns the environment in which JAX draws such random numbers."""
    name, _, rest = random.partition(", ")
    threefry = f" JAX_THREEFRY_PARTITIONABLE={int(rest != _IN_ONE)}" if name == _THREEFRY else ""
    return f"JAX_DEFAULT_PRNG_IMPL={name}{threefry}"


def leaves(tree: Any, *, copy: bool = False) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the paths and values of a tree's leaves, in its order.

    Every process of a program has to ask for all of them: an array that is divided among processes
    is gathered.

    Args:
      copy: whether the values may not change when the buffers of the tree are donated.
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if isinstance(leaf, jax.Array):
            leaf = sharding.fetched(leaf)
        value = np.array(leaf) if copy else np.asarray(leaf)
        yield jax.tree_util.keystr(path, simple=True, separator="."), value


def write(folder: Any, values: Mapping[str, np.ndarray], random: str | None) -> None:
    """Writes the record of leaves into the folder of their checkpoint.

    Args:
      random: see `random_numbers`.
    """
    described = {
        name: {"dtype": str(value.dtype), "shape": list(value.shape), "sha256": _digest(value)}
        for name, value in values.items()
    }
    record = {"version": _VERSION, "random": random, "leaves": described}
    text = json.dumps(record | {"sha256": _of_record(record)}, indent=1)
    (Path(folder) / NAME).write_text(text + "\n")


def read(folder: Path) -> dict[str, Any] | None:
    """Reads the record; None in the checkpoint of a version that kept none.

    Raises:
      ValueError: it is damaged.
      OSError: it cannot be read.
      UserError: it is of another version of the record.
    """
    try:
        record = reading.read_json(folder / NAME)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"{NAME} is no record") from error
    if not isinstance(record, dict) or record.pop("sha256", None) != _of_record(record):
        raise ValueError(f"{NAME} is not what was written")
    if record["version"] != _VERSION:
        raise UserError(
            f"{folder / NAME} is a record of version {record['version']}, and this version of "
            f"imgcls_jax reads version {_VERSION}; use the one that wrote it."
        )
    return record


def unlike(record: Mapping[str, Any], tree: Any) -> str | None:
    """Says in what a tree is of another structure than the record's; None if it is not.

    What the record holds in the place of an empty dict is not asked for, as where a stream stands
    is not by an evaluation.
    """
    held = {name: (of["dtype"], tuple(of["shape"])) for name, of in record["leaves"].items()}
    found = jax.tree_util.tree_leaves_with_path(
        tree, is_leaf=lambda node: isinstance(node, dict) and not node
    )
    nodes = {jax.tree_util.keystr(path, simple=True, separator="."): node for path, node in found}
    unasked = tuple(f"{name}." for name, node in nodes.items() if isinstance(node, dict))
    held = {name: of for name, of in held.items() if not f"{name}.".startswith(unasked)}
    here = {n: (str(of.dtype), of.shape) for n, of in nodes.items() if not isinstance(of, dict)}
    for name in (*held, *here):
        if held.get(name) != here.get(name):
            there, wanted = (_spelled(of.get(name)) for of in (held, here))
            return f"{name} is {there} there and {wanted} here"
    return None


def changed(record: Mapping[str, Any], tree: Any) -> str | None:
    """Returns the path of the first leaf that is not what was written; None if all are."""
    different = [
        name for name, value in leaves(tree) if _digest(value) != record["leaves"][name]["sha256"]
    ]
    return different[0] if different else None


def _spelled(of: tuple[str, tuple[int, ...]] | None) -> str:
    return "missing" if of is None else f"{of[0]}{list(of[1])}"


def _digest(value: np.ndarray) -> str:
    # Views have no bytes of their own order, and 0-d arrays no view of another width.
    flat = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
    return hashlib.sha256(flat).hexdigest()


def _of_record(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
