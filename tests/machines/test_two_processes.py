"""Real processes on this machine's loopback train together as one process does."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.workdir import Workdir

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LIMIT = 600  # seconds, on a machine that does much else
EXACT = {"rtol": 0, "atol": 1e-5}


def _port():
    with socket.socket() as listening:
        listening.bind(("localhost", 0))
        return listening.getsockname()[1]


def run(script, commands):
    """Runs a script with each of the arguments at once; returns (status, output, errors) of each.

    Each process has one device, whatever the tests themselves have.
    """
    flags = [f for f in os.environ.get("XLA_FLAGS", "").split() if "device_count" not in f]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        "XLA_FLAGS": " ".join(flags),
        "JAX_PLATFORMS": "cpu",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, str(HERE / script), *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for arguments in commands
    ]
    try:
        said = [process.communicate(timeout=LIMIT) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(p.returncode, out, err) for p, (out, err) in zip(processes, said, strict=True)]


def start(path, count, **given):
    """Trains in a folder by so many processes; returns (status, output, errors) of each."""
    port, pairs = _port(), [f"{name}={value}" for name, value in given.items()]
    commands = [(path, number, count, port, *pairs) for number in range(count)]
    return run("one_process.py", commands)


def finish(path, count, **given):
    """Trains as `start` does, to the end; returns what the first process printed."""
    found = start(path, count, **given)
    assert [status for status, _, _ in found] == [0] * count, "\n".join(e for _, _, e in found)
    assert [out for _, out, _ in found[1:]] == [""] * (count - 1)
    return found[0][1]


def losses(path):
    figures = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy")
    return np.array([[record[f] for f in figures] for record in Workdir(path).history()])


def assert_same_run(path, other):
    """The same history, predictions and test figures, within rounding."""
    np.testing.assert_allclose(losses(path), losses(other), **EXACT)
    found, wanted = (Workdir(p).read_arrays("predictions.npz") for p in (path, other))
    np.testing.assert_array_equal(found["labels"], wanted["labels"])
    np.testing.assert_allclose(found["probabilities"], wanted["probabilities"], **EXACT)
    found, wanted = (Workdir(p).summary() for p in (path, other))
    assert found["test_accuracy"] == wanted["test_accuracy"]
    assert found["steps"] == wanted["steps"]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The folder of a run of one process."""
    path = tmp_path_factory.mktemp("alone") / "run"
    finish(path, 1)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of 56 training pictures of two classes: batches of 16, 16, 16 and 8."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for split, count in (("train", 28), ("validation", 5), ("test", 7)):
        for label, low in (("dark", 0), ("light", 128)):
            (root / split / label).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(low, low + 128, (12, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / label / f"{number}.png")
    return root


def test_two_processes_meet_and_agree_and_share_a_batch():
    port = _port()
    found = run("meeting.py", [(number, 2, port) for number in range(2)])
    assert [status for status, _, _ in found] == [0, 0], found
    first, second = (json.loads(out.splitlines()[-1]) for _, out, _ in found)
    assert (first.pop("who"), second.pop("who")) == ([0, 2, True], [1, 2, False])
    assert first.pop("refused") is None
    assert "process 1 of 2 has another number than the first" in second.pop("refused")
    assert (first["even"][0], second["even"][0]) == ([0, 1, 2, 3], [4, 5, 6, 7])
    assert first.pop("even")[1] == second.pop("even")[1] == 28
    assert first == second
    assert first == {
        "told": {"by": 0},
        "greatest": [1, 0],
        "asked": [True, False],
        "first": 10,
        "uneven": [[0, 1, 2, 3, 4, 5, 6], 21],  # which every process reads whole
    }


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_processes_train_as_one_does_and_the_first_writes(count, reference, tmp_path):
    out = finish(tmp_path / "run", count)
    assert f"devices: {count} x cpu" in out
    assert_same_run(tmp_path / "run", reference)
    names = [sorted(path.name for path in of.iterdir()) for of in (tmp_path / "run", reference)]
    assert names[0] == names[1]


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_streams_are_shared_and_every_example_is_seen_once(count, pictures, tmp_path):
    seen = tmp_path / "seen"
    seen.mkdir()
    given = {"pictures": pictures, "lr": 0.001}
    finish(tmp_path / "one", 1, **given)
    finish(tmp_path / "several", count, **given, seen=seen)
    assert_same_run(tmp_path / "several", tmp_path / "one")
    read = [dict(map(json.loads, (seen / f"{k}.jsonl").open())) for k in range(count)]
    for epoch in range(2):
        batches = range(4 * epoch, 4 * epoch + 4)
        each = [[index for batch in batches for index in of[batch]] for of in read]
        assert sorted(itertools.chain.from_iterable(each)) == list(range(56))
        assert len({len(of) for of in each}) == 1


@pytest.mark.slow
def test_a_signal_to_one_stops_all_at_one_step_and_any_number_goes_on(reference, tmp_path):
    path = tmp_path / "run"
    found = start(path, 2, stop_at=3)
    assert [status for status, _, _ in found] == [130, 130], found
    step = Checkpoints(path / "checkpoints").step("last")
    assert f"stopped at step {step}, saved" in found[0][2]
    assert found[1][2] == ""
    out = finish(path, 1)
    assert f"resuming from step {step}" in out
    assert_same_run(path, reference)


@pytest.mark.slow
@pytest.mark.parametrize("killed", [1, 0])
def test_a_killed_process_ends_the_others_and_the_run_goes_on(killed, reference, tmp_path):
    path = tmp_path / "run"
    found = start(path, 2, kill_at=10, killed=killed, lost_after=20)
    status, _, said = found[1 - killed]
    assert found[killed][0] == -signal.SIGKILL
    assert status not in (0, 130)
    go_on = "run the same command again, in any number of processes, to go on"
    assert go_on in said
    assert "ended without a word: it was killed, or the first" in found[killed][2]
    if killed == 1:
        assert said.startswith("error: nothing was heard of process 1 of 2 for 20 s; ")
        assert len(said.splitlines()) == 1
    finish(path, 2)
    assert_same_run(path, reference)


@pytest.mark.slow
def test_the_parameters_may_be_cut_over_processes(reference, tmp_path):
    """The checkpoint that they write together is one process' to go on from."""
    found = start(tmp_path / "run", 2, shard_params="all", stop_at=3)
    assert [status for status, _, _ in found] == [130, 130], found
    finish(tmp_path / "run", 1)
    assert_same_run(tmp_path / "run", reference)


@pytest.mark.slow
def test_a_process_whose_fellow_never_comes_ends_with_a_sentence(tmp_path):
    """JAX aborts it within the time given, here of seconds."""
    status, _, said = run("alone.py", [(_port(),)])[0]
    assert status != 0
    assert said.splitlines()[-1].startswith("error: process ")
    assert "the others did not come within" in said.splitlines()[-1]
