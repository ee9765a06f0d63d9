"""Every reader of files meets damaged ones, and others in the place of files, see `fuzz.reader`.

The answer is right or a UserError of one sentence: never another exception, a crash, five seconds
of silence, code that runs, a file outside that is touched, or more memory than the reader states.
"""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz import worker

READERS = worker.readers()
_ROOT = Path(__file__).parents[2]


class Workers:
    """Processes that try inputs, started when they are first needed."""

    def __init__(self, stack: contextlib.ExitStack):
        self._stack, self._started = stack, []

    def __call__(self, name: str, first: int, stop: int, *, of: int = 1) -> list[str]:
        """Returns the failures among the inputs of these numbers, tried by `of` processes."""
        self._started += [self._start() for _ in range(len(self._started), of)]
        share = -(-(stop - first) // of)
        for number, process in enumerate(self._started[:of]):
            begin = first + number * share
            request = [name, begin, min(begin + share, stop)]
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
        return [found for one in self._started[:of] for found in json.loads(one.stdout.readline())]

    def _start(self) -> subprocess.Popen:
        paths = os.pathsep.join(map(str, (_ROOT, _ROOT / "tests")))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        environment = os.environ | {"PYTHONPATH": paths, "JAX_PLATFORMS": "cpu"}
        command = [sys.executable, "-m", "fuzz.worker"]
        return self._stack.enter_context(subprocess.Popen(command, env=environment, **pipes))


@pytest.fixture(scope="module")
def tried():
    with contextlib.ExitStack() as stack:
        yield Workers(stack)


@pytest.mark.parametrize("name", READERS)
def test_damage_ends_in_an_answer_or_one_sentence(tried, name):
    assert tried(name, 0, 200) == []
    assert [
        said for number in READERS[name].found for said in tried(name, number, number + 1)
    ] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_much_damage_ends_in_an_answer_or_one_sentence(tried, name, whole):
    assert tried(name, 0, 10_000 if whole else 1_000, of=2 if whole else 1) == []


@pytest.mark.parametrize("name", [name for name, of in READERS.items() if of.odd])
def test_a_pipe_a_socket_or_a_device_in_the_place_of_a_file_is_not_waited_for(tried, name):
    assert tried(name, -3 * len(READERS[name].builds), 0) == []
