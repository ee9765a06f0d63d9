"""Eight simulated devices against one: the same training, within rounding.

The comparisons are made by `on_devices.py` in a process of its own, all of them at once.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# A machine that is busy may take long to run eight threads that wait for each other.
FLAGS = (
    "--xla_force_host_platform_device_count=8 "
    "--xla_cpu_collective_call_warn_stuck_timeout_seconds=120 "
    "--xla_cpu_collective_call_terminate_timeout_seconds=600"
)


def compared(folder, what):
    flags = f"{os.environ.get('XLA_FLAGS', '')} {FLAGS}"
    path = os.pathsep.join(filter(None, [str(HERE.parents[1]), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, HERE / "on_devices.py", folder, what],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {path.stem: json.loads(path.read_text()) for path in Path(folder).glob("*.json")}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return compared(tmp_path_factory.mktemp("devices"), "fast")


def test_a_hundred_steps_of_mlp_3_are_those_of_one_device(found):
    mlp = found["mlp_3"]
    assert mlp["params"] < 1e-5
    assert mlp["logits"] < 1e-4
    assert mlp["loss"] < 1e-6
    assert mlp["devices"] == [8, True]
    assert mlp["counts"] == [100 * 64 - 4 * (64 - 29)] * 2 + [360] * 2
