"""Measuring contenders against each other: turns in one process, medians, the machine's peak.

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
    """Seconds of every turn of each contender, and the matmul peak in operations a second.

    Each is called with the number of its turn; the first turn warms up and is not counted.

    Args:
      warm: whether every turn is two calls and only the second is counted, as of a step in the
        middle of many: the first finds caches and memory as the other contender left them.
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
    """The best of a few float32 products of square matrices, in operations a second."""
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
    return {name: statistics.median(values) for name, values in seconds.items()}
