"""A store of JAX's runtime in this process, so that threads can stand for processes."""

import contextlib
import threading

from imgcls_jax.machines import group


class Store:
    """Keys and values, as the client of `jax.distributed` has them; once `gone`, calls fail."""

    def __init__(self):
        self._values, self._changed, self.gone = {}, threading.Condition(), False

    def key_value_set(self, key, value, allow_overwrite=False):
        with self._changed:
            self._reach()
            assert allow_overwrite or key not in self._values, f"{key} is told twice"
            self._values[key] = value
            self._changed.notify_all()

    def key_value_dir_get(self, folder):
        with self._changed:
            self._reach()
            return [(key, v) for key, v in sorted(self._values.items()) if key.startswith(folder)]

    def blocking_key_value_get(self, key, milliseconds):
        with self._changed:
            found = self._changed.wait_for(lambda: key in self._values, min(milliseconds, 50) / 1e3)
            self._reach()
            if not found:
                raise RuntimeError("DEADLINE_EXCEEDED: it was not told")
            return self._values[key]

    def _reach(self):
        if self.gone:
            raise RuntimeError("UNAVAILABLE: Socket closed")


class _Local(threading.local):
    """What `group` knows of the process, by thread."""

    number, count, client, told = 0, 1, None, 0


@contextlib.contextmanager
def as_process(number, count, store):
    """Makes this thread one of several processes, under `threads_as_processes`."""
    of = group._group
    of.number, of.count, of.client, of.told = number, count, store, 0
    try:
        yield
    finally:
        of.number, of.count, of.client = 0, 1, None


def in_processes(count, work, monkeypatch):
    """Runs work(number) in as many threads; returns what each returned or raised, by number."""
    monkeypatch.setattr(group, "_group", _Local())
    store, found = Store(), [None] * count

    def run(number):
        with as_process(number, count, store):
            try:
                found[number] = work(number)
            except Exception as error:
                found[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return found
