"""The processes that train together: which one this is, how they meet, and what the first tells.

Each runs the same command. They meet through JAX's own runtime, `jax.distributed.initialize`
(https://docs.jax.dev/en/latest/multi_process.html), which finds its settings by itself on Slurm,
Kubernetes, Open MPI and TPU pods. Process 0, the first, writes and prints for all of them.
"""

import dataclasses
import functools
import importlib.util
import json
import os
from collections.abc import Callable
from typing import Any

from imgcls_jax.errors import UserError

START_SECONDS = 300  # that processes have to come together in, a queue's delays included
_BACKSTOP_SECONDS = 600  # after which JAX itself ends a process, by the system's means
_WAIT_MILLISECONDS = 5_000  # of one question for what the first tells
_ALONE = "give `processes=1` to train in this process alone"


@dataclasses.dataclass
class _Group:
    """The group of this process.

    Attributes:
      number, count: of this process, and of all.
      client: the store of JAX's runtime; None where the process is alone.
      told: how many things the first has told.
    """

    number: int = 0
    count: int = 1
    client: Any = None
    told: int = 0


_group = _Group()


def number() -> int:
    """Returns the number of this process, 0 for the first and for one that is alone."""
    return _group.number


def count() -> int:
    """Returns the number of processes that train together."""
    return _group.count


def is_first() -> bool:
    """Returns whether this is the process that writes and prints."""
    return _group.number == 0


def by_first(write: Callable[..., None]) -> Callable[..., None]:
    """Makes a function that returns nothing do nothing in all processes but the first."""

    @functools.wraps(write)
    def written(*arguments: Any, **keywords: Any) -> None:
        if is_first():
            write(*arguments, **keywords)

    return written


def client() -> Any:
    """Returns the key-value store of the group; None where a process is alone."""
    return _group.client


def others_expected(
    coordinator: str | None = None, processes: int | None = None, process_id: int | None = None
) -> bool:
    """Returns whether `join` would look for other processes."""
    given = any(value is not None for value in (coordinator, processes, process_id))
    return processes != 1 and (given or _cluster() is not None)


def join(
    coordinator: str | None = None,
    processes: int | None = None,
    process_id: int | None = None,
    *,
    seconds: int = START_SECONDS,
) -> None:
    """Makes this process one of several, before JAX is used for anything else.

    Without arguments it does so where JAX can tell a cluster by its environment: in a step of
    several Slurm or Open MPI tasks, an indexed Kubernetes job, or a TPU pod. Elsewhere, and with
    `processes=1`, the process stays alone.

    Args:
      coordinator: HOST:PORT of the first process, which all of them can reach.
      processes: how many there are.
      process_id: which one this is, from 0 on.
      seconds: that all have to arrive in.

    Where the others do not come in time, JAX may abort this process with a trace of its own code.

    Raises:
      UserError: if settings are missing or wrong, or the others are not met.
    """
    given = {"coordinator": coordinator, "processes": processes, "process_id": process_id}
    if not others_expected(**given):
        return
    cluster = _cluster()
    _check(given, cluster)
    import jax
    from jax._src import distributed  # its store has no public name; Orbax takes it from here too

    # It would take SIGTERM over, which training answers to itself.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator_address=coordinator,
            num_processes=processes,
            process_id=process_id,
            initialization_timeout=seconds,
            heartbeat_timeout_seconds=_BACKSTOP_SECONDS,
            shutdown_timeout_seconds=seconds,
        )
    except (RuntimeError, ValueError, OSError) as error:
        if cluster == "TPU" and not any(v is not None for v in given.values()):
            return  # the package alone makes no pod
        raise UserError(_unmet(given, cluster, seconds, error)) from error
    state = distributed.global_state
    _group.number, _group.count, _group.client = state.process_id, state.num_processes, state.client


def _cluster() -> str | None:
    """Returns what kind of cluster seems to have started this process as one of several."""
    of = os.environ
    if "SLURM_STEP_NODELIST" in of and of.get("SLURM_NTASKS", "1") != "1":
        return "Slurm"
    if "OMPI_MCA_orte_hnp_uri" in of and of.get("OMPI_COMM_WORLD_SIZE", "1") != "1":
        return "Open MPI"
    if "KUBERNETES_SERVICE_HOST" in of and "JOB_COMPLETION_INDEX" in of:
        return "Kubernetes"
    return "TPU" if importlib.util.find_spec("libtpu") else None


def _check(given: dict[str, Any], cluster: str | None) -> None:
    """Raises UserError for settings that cannot bring processes together."""
    missing = [f"`{name}`" for name, value in given.items() if value is None]
    if cluster is None and missing:
        raise UserError(
            f"several processes need {' and '.join(missing)} too, since no cluster that JAX knows "
            "tells them; give all three, or none to train in this process alone."
        )
    processes, process_id = given["processes"], given["process_id"]
    if processes is not None and processes < 1:
        raise UserError(f"`processes={processes}` cannot be used; it must be at least 1.")
    if process_id is not None and not 0 <= process_id < (processes or process_id + 1):
        raise UserError(
            f"`process_id={process_id}` cannot be used; it must be at least 0 and below "
            f"`processes={processes}`."
        )
    coordinator = given["coordinator"]
    if coordinator is not None and not coordinator.rpartition(":")[2].isdecimal():
        raise UserError(
            f"`coordinator={coordinator}` cannot be used; it must be HOST:PORT of the first "
            "process, such as node1:8476."
        )


def _unmet(given: dict[str, Any], cluster: str | None, seconds: int, error: Exception) -> str:
    """Returns why processes did not come together, and what to do."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    if cluster is not None and given["coordinator"] is None:
        needs = "; install jax[k8s] there" if cluster == "Kubernetes" else ""
        return (
            f"the processes of this {cluster} job did not come together ({line}){needs}; give "
            f"`coordinator`, `processes` and `process_id` by hand, or {_ALONE}."
        )
    return (
        f"the processes did not come together within {seconds} s at "
        f"`coordinator={given['coordinator']}` ({line}); see that each was started with a "
        "`process_id` of its own, and that the port of the first process is free and can be "
        "reached."
    )


def broadcast(make: Callable[[], Any]) -> Any:
    """Returns in every process what the first one's `make` returns, as JSON carries it.

    All processes call it at the same point. The others wait as long as the first lives.
    """
    if _group.client is None:
        return make()
    _group.told += 1
    key = f"imgcls/told/{_group.told}"
    if is_first():
        value = make()
        _group.client.key_value_set(key, json.dumps(value))
        return value
    while True:
        try:
            return json.loads(_group.client.blocking_key_value_get(key, _WAIT_MILLISECONDS))
        except RuntimeError as error:  # the watch ends a process whose first is gone
            if "DEADLINE_EXCEEDED" not in str(error):
                raise


def require_same(what: str, value: Any) -> None:
    """Raises UserError if this process has another value than the first, as JSON compares them.

    Args:
      what: the value, as a sentence names it.
    """
    first = broadcast(lambda: value)
    if json.loads(json.dumps(value)) == first:
        return
    if isinstance(value, dict) and isinstance(first, dict):
        names = sorted(n for n in value.keys() | first.keys() if value.get(n) != first.get(n))
        what += f" ({', '.join(f'`{n}`' for n in names)})"
    raise UserError(
        f"process {number()} of {count()} has another {what} than the first; start all of them "
        "with the same command and the same data."
    )


def greatest(*values: int) -> list[int]:
    """Returns the greatest of each value over all processes, which call it at the same point."""
    if _group.count == 1:
        return list(values)
    import numpy as np
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(np.asarray(values, np.int32)).max(axis=0).tolist()


def any_of(flag: Any) -> bool:
    """Returns whether a flag is true in any process."""
    return bool(greatest(bool(flag))[0])


def of_first(value: int) -> int:
    """Returns the first process' value of a number of at least 0."""
    return greatest(value if is_first() else 0)[0]
