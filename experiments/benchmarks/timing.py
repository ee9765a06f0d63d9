"""Measures contenders against each other: turns in one process, medians, the machine's peak.

Contenders take turns for several rounds and medians are compared, so that a machine that is busy
for a while slows all of them.
"""

import statistics
import time
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp


def take_turns(
    contenders: Mapping[str, Callable[[int], None]], *, rounds: int, warm: bool = False
) -> tuple[dict[str, list[float]], float]:
    """Calls every contender in every round, with the number of the turn, and times it.

    The first turn warms up and is not counted.

    Args:
      contenders: functions of the turn's number by name; each returns when its work is done.
      rounds: turns that count.
      warm: whether every turn is two calls and only the second is counted, like a step in the
        middle of many: the first call finds caches and memory as the other contender left them.

    Returns:
      The seconds of every turn by contender, and the median matmul peak in operations per second.
    """
    seconds = {name: [] for name in contenders}
    peaks = []
    for turn in range(rounds + 1):
        for name, contender in contenders.items():
            if warm and turn:
                contender(turn)
            started = time.perf_counter()
            contender(turn)
            if turn:
                seconds[name].append(time.perf_counter() - started)
        peaks.append(matmul_peak())
    return seconds, statistics.median(peaks)


def matmul_peak(size: int = 2048, repeats: int = 5) -> float:
    """Returns the best rate of a few float32 matrix products, in operations per second."""
    a = jnp.full((size, size), 0.5)
    product = jax.jit(lambda a: a @ a)
    jax.block_until_ready(product(a))
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        jax.block_until_ready(product(a))
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """Returns the median of each contender's turns."""
    return {name: statistics.median(values) for name, values in seconds.items()}
