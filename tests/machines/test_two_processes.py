"""Real processes on this machine's loopback train together as one process does."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgcls_jax.workdir import Workdir

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LIMIT = 600  # seconds, on a machine that does much else
EXACT = {"rtol": 0, "atol": 1e-5}


def _port():
    with socket.socket() as listening:
        listening.bind(("localhost", 0))
        return listening.getsockname()[1]


def start(path, count, **given):
    """Starts processes that train in a folder; returns (status, output, errors) of each."""
    port, pairs = _port(), [f"{name}={value}" for name, value in given.items()]
    flags = [f for f in os.environ.get("XLA_FLAGS", "").split() if "device_count" not in f]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        "XLA_FLAGS": " ".join(flags),
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, str(HERE / "one_process.py"), str(path)]
    processes = [
        subprocess.Popen(
            [*command, str(number), str(count), str(port), *pairs],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for number in range(count)
    ]
    try:
        said = [process.communicate(timeout=LIMIT) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(p.returncode, out, err) for p, (out, err) in zip(processes, said, strict=True)]


def alone(path, **given):
    """Trains in one process, as `start` does in several."""
    status, _, err = start(path, 1, **given)[0]
    assert status == 0, err


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
    path = tmp_path_factory.mktemp("alone") / "run"
    alone(path)
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


def test_two_processes_train_as_one_does_and_the_first_writes(reference, tmp_path):
    first, second = start(tmp_path / "two", 2)
    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert "accuracy" in first[1]
    assert second[1] == ""
    assert_same_run(tmp_path / "two", reference)
    names = {path.name for path in (tmp_path / "two").iterdir() if not path.name.startswith(".")}
    assert names == {path.name for path in reference.iterdir() if not path.name.startswith(".")}
