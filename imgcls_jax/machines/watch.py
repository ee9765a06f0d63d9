"""A process that trains with others hears of their end: a failure at once, silence after a while.

Every process says each second that it lives. The first one listens and finds who has gone silent; a
process that fails says why. All others then end too, since a program over several processes cannot
go on without one of them.
"""

import contextlib
import threading
import time
from collections.abc import Callable

from imgcls_jax.machines import group

LOST_SECONDS = 30.0
_TICK_SECONDS = 1.0
_ALIVE, _FAILED, _DONE = "imgcls/alive/", "imgcls/failed/", "imgcls/done/"
_POLL_SECONDS = 0.2
GO_ON = "run the same command again, in any number of processes, to go on from the last checkpoint."


class Watch:
    """Watches over the group in a thread of its own.

    Args:
      ended: is called, in that thread, with a sentence on who ended, why, and what to do. It ends
        the process: the main thread may wait for a lost one for ever.
      lost_seconds: of silence after which a process counts as lost.
    """

    def __init__(self, ended: Callable[[str], None], *, lost_seconds: float = LOST_SECONDS):
        self._ended, self._lost_seconds = ended, lost_seconds
        self._client, self._over = group.client(), threading.Event()
        self._number, self._count = group.number(), group.count()
        self._beats = 0
        now = time.monotonic()
        self._heard = dict.fromkeys(range(1, self._count), ("", now))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(_TICK_SECONDS):
            try:
                why = self._look()
            except RuntimeError:
                why = f"process 0 of {self._count} cannot be reached any more; {GO_ON}"
            if why is not None and not self._over.is_set():
                self._ended(why)
                return

    def _look(self) -> str | None:
        """Says that this process lives; returns who ended and why, if anyone did."""
        self._beats += 1
        mine = f"{_ALIVE}{self._number}"
        self._client.key_value_set(mine, str(self._beats), allow_overwrite=True)
        for _, why in self._client.key_value_dir_get(_FAILED):
            self._linger()
            return why
        if self._number:
            return None
        now, alive = time.monotonic(), dict(self._client.key_value_dir_get(_ALIVE))
        for number, (beats, since) in self._heard.items():
            found = alive.get(f"{_ALIVE}{number}", "")
            if found != beats:
                self._heard[number] = (found, now)
            elif now - since > self._lost_seconds and number not in self._done():
                why = (
                    f"nothing was heard of process {number} of {self._count} for "
                    f"{self._lost_seconds:g} s; {GO_ON}"
                )
                self._tell(why)
                self._linger()
                return why
        return None

    def _tell(self, why: str) -> None:
        self._client.key_value_set(f"{_FAILED}{self._number}", why, allow_overwrite=True)

    def _linger(self) -> None:
        """Leaves the others the time to hear of it: the store lies in the first process."""
        if not self._number:
            time.sleep(2 * _TICK_SECONDS)

    def fail(self, why: str) -> bool:
        """Tells the others why this process ends, and stops watching.

        Returns:
          whether the first process ends for the same reason, and so says it.
        """
        self._over.set()
        with contextlib.suppress(RuntimeError):
            self._tell(self._ended_by(self._number, why))
            time.sleep(_TICK_SECONDS)
            self._linger()
            said = dict(self._client.key_value_dir_get(_FAILED)).get(f"{_FAILED}0")
            return self._number > 0 and said == self._ended_by(0, why)
        return False

    def await_end(self) -> None:
        """Returns when every process has come to its end, while the watch goes on."""
        self._client.key_value_set(f"{_DONE}{self._number}", "")
        wanted = self._count if self._number == 0 else 1
        while True:
            done = self._done()
            if len(done) >= wanted and 0 in done:
                break
            time.sleep(_POLL_SECONDS)
        self._over.set()

    def _done(self) -> set[int]:
        """Returns the processes that have come to their end, and have no more to say."""
        found = self._client.key_value_dir_get(_DONE)
        return {int(name.removeprefix(_DONE)) for name, _ in found}

    def _ended_by(self, number: int, why: str) -> str:
        return f"process {number} of {self._count} ended: {why}"
