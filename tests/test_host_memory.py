"""Memory that is freed stays with the process."""

import subprocess
import sys

import pytest

from imgcls_jax.host_memory import keep_freed_memory

_FAULTS = """
import resource, sys
from imgcls_jax.host_memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else False
import jax, jax.numpy as jnp
x = jnp.ones((1024, 1024))

@jax.jit
def step(x):  # a temporary of 64 MB
    wide = jnp.outer(x[0], jnp.arange(16384.0))
    return x + (wide + wide[::-1]).reshape(16, 1024, 1024).sum(0)

for _ in range(40):  # small allocations cut pieces off what is kept, until enough is
    step(x).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step(x).block_until_ready()
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(argument: str) -> tuple[int, int]:
    command = [sys.executable, "-c", _FAULTS, argument]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(answer[0]), int(answer[1])


def test_steps_fault_fewer_pages_in_once_freed_memory_is_kept():
    kept, faults = _faults("keep")
    if not kept:
        pytest.skip("not the GNU C library")
    assert 5 * faults < _faults("leave")[1]


def test_says_whether_it_could(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert keep_freed_memory() is False
