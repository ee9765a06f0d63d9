"""A pool's results in order and in bounded memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import Any


def in_order(
    pool: Executor, function: Callable[[Any], Any], arguments: Iterable[Any], *, ahead: int
) -> Iterator[Any]:
    """Like `pool.map`, with at most `ahead` + 1 results begun and not yet taken.

    What was begun and is not running yet is cancelled where the results are left off.
    """
    waiting = deque()
    try:
        for argument in arguments:
            waiting.append(pool.submit(function, argument))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
