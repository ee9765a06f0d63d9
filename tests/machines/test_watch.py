"""A lost or failed process ends all others, with the reason, within seconds."""

import time

import pytest
from machine_helpers import Store, as_process, in_processes

from imgcls_jax.machines import group, watch
from imgcls_jax.machines.watch import Watch


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(watch, "_TICK_SECONDS", 0.02)
    monkeypatch.setattr(watch, "_POLL_SECONDS", 0.01)


def _until_told(said, *, seconds=10):
    until = time.monotonic() + seconds
    while not said and time.monotonic() < until:
        time.sleep(0.01)
    return said


def test_a_failure_of_one_ends_the_others_with_its_reason(monkeypatch):
    def work(number):
        said = []
        watching = Watch(said.append, lost_seconds=60)
        if number == 2:
            return watching.fail("no photo x.jpg.")
        return _until_told(said)

    reason = ["process 2 of 3 ended: no photo x.jpg."]
    assert in_processes(3, work, monkeypatch) == [reason, reason, False]


def test_a_failure_of_all_is_said_by_the_first_alone(monkeypatch):
    def work(number):
        said = []
        watching = Watch(said.append, lost_seconds=60)
        time.sleep(0.005 * number)
        return watching.fail("`lr=-1` cannot be used."), said

    assert in_processes(3, work, monkeypatch) == [(False, []), (True, []), (True, [])]


def test_silence_ends_the_others_after_a_while(monkeypatch):
    def work(number):
        if number == 1:
            return None  # it never says that it lives, as if it were killed
        said = []
        Watch(said.append, lost_seconds=0.3)
        started = time.monotonic()
        _until_told(said)
        return said, time.monotonic() - started > 0.25

    silent = [f"nothing was heard of process 1 of 3 for 0.3 s; {watch.GO_ON}"]
    assert in_processes(3, work, monkeypatch) == [(silent, True), None, (silent, True)]


def test_a_first_process_that_is_gone_ends_the_others(monkeypatch):
    store, said = Store(), []
    monkeypatch.setattr(group, "_group", group._Group())
    with as_process(1, 2, store):
        Watch(said.append, lost_seconds=60)
        time.sleep(0.05)
        assert not said
        store.gone = True
        assert "process 0 of 2 cannot be reached any more; run" in _until_told(said)[0]


@pytest.mark.parametrize("work_seconds", [(1.6, 0.0, 0.1), (0.0, 0.1, 1.6)])
def test_the_end_of_all_is_awaited_while_the_watch_goes_on(monkeypatch, work_seconds):
    """The first, on which the others' word depends, leaves last; one works longer than silence."""
    came, ends = {}, {}

    def work(number):
        said = []
        watching = Watch(said.append, lost_seconds=1.0)  # 0.3 passed on a busy machine
        time.sleep(work_seconds[number])
        came[number] = time.monotonic()
        watching.await_end()
        ends[number] = time.monotonic()
        return said

    assert in_processes(3, work, monkeypatch) == [[], [], []]
    assert ends[0] >= max(came.values())
    assert min(ends.values()) >= came[0]
