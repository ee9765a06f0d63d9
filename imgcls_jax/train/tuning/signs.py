"""Signs of life: who runs a trial, or a command, counts on in the storage while it does.

Others see by clocks of their own whether the count goes on, so that machines whose clocks differ
and storages without a clock are alike. A process of this machine is known to have ended at once.
"""

import contextlib
import itertools
import time
from collections.abc import Iterator
from typing import Any

from imgcls_jax.files.processes import has_died, is_here
from imgcls_jax.train.waiting import meanwhile

BEAT_SECONDS, GRACE_SECONDS = 10.0, 60.0


@contextlib.contextmanager
def given(trial: Any) -> Iterator[None]:
    """Counts in the user attribute `beat` of a running trial, in a thread, until the block ends."""
    counts = itertools.count(1)

    def beat() -> None:
        with contextlib.suppress(Exception):  # the next one may reach the storage again
            trial.set_user_attr("beat", next(counts))

    with meanwhile(beat, seconds=BEAT_SECONDS):
        yield


class Watch:
    """Watches running trials, each by its number."""

    def __init__(self):
        self._seen: dict[int, tuple[int, float, bool]] = {}

    def lives(self, trial: Any) -> bool | None:
        """Says whether a trial's process lives; None while that is not certain.

        It is certain of another machine's once its count went on, or stood for a minute.
        """
        process = trial.user_attrs.get("process", "")
        if is_here(process):
            return not has_died(process)
        count, now = trial.user_attrs.get("beat", 0), time.monotonic()
        before, since, moved = self._seen.setdefault(trial.number, (count, now, False))
        if count != before:
            self._seen[trial.number] = (count, now, True)
            return True
        if now - since > GRACE_SECONDS:
            return False
        return True if moved else None
