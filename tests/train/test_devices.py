"""Eight simulated devices against one: the same training, within rounding.

The comparisons are made by `on_devices.py` in a process of its own, all of them at once.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imgcls_jax import sharding
from imgcls_jax.config import Config
from imgcls_jax.errors import UserError
from imgcls_jax.workdir import Workdir

HERE = Path(__file__).parent
# A machine that is busy may take long to run eight threads that wait for each other.
FLAGS = (
    "--xla_force_host_platform_device_count=8 "
    "--xla_cpu_collective_call_warn_stuck_timeout_seconds=120 "
    "--xla_cpu_collective_call_terminate_timeout_seconds=600"
)


def compared(folder, what, flags=""):
    flags = f"{os.environ.get('XLA_FLAGS', '')} {FLAGS} {flags}"
    path = os.pathsep.join(map(str, (HERE.parents[1], HERE.parent)))
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


@pytest.fixture(scope="module")
def found_slowly(tmp_path_factory):
    return compared(tmp_path_factory.mktemp("devices"), "slow")


def assert_near(of, *, examples, test):
    assert of["params"] < 1e-5
    assert of["logits"] < 1e-4
    assert of["loss"] < 1e-5
    assert of["devices"] == [8, True]
    assert of["counts"] == [examples] * 2 + [test] * 2


def test_a_hundred_steps_of_mlp_3_are_those_of_one_device(found):
    assert_near(found["mlp_3"], examples=4 * 1437 + 8 * 64, test=360)


def test_the_same_devices_compute_the_same_bits_in_the_same_order(found):
    assert found["mlp_3"]["twice"] == 0
    assert found["mlp_3"]["order"]


def test_the_work_is_shared_and_one_device_shares_nothing(found):
    assert found["mlp_3"]["shared"] == [False, True]
    assert found["mlp_3"]["said"] == [
        "devices: 8 x cpu, batch 64 = 8 x 8",
        "devices: 8 x cpu, batch 100 = at most 13 each; a multiple of 8 would use them evenly",
    ]


def test_norms_see_the_whole_batch_and_draws_do_not_depend_on_devices(found):
    assert_near(found["cnn"], examples=160, test=360)
    assert found["cnn"]["batch_stats"] < 1e-5


def test_parameters_are_cut_where_they_divide_evenly(found):
    """The last kernel is (128, 10), and 10 do not divide; biases are no kernels."""
    cut = found["parameters_cut"]
    assert cut["params"] < 1e-5
    shapes = {
        "Dense_0/kernel": [64, 32], "Dense_1/kernel": [32, 128], "Dense_2/kernel": [16, 10],
        "Dense_0/bias": [256], "Dense_1/bias": [128], "Dense_2/bias": [10],
    }  # fmt: skip
    moments = {f"1/0/{of}/{name}": s for of in ("mu", "nu") for name, s in shapes.items()}
    params = {f"0/{name}": shape for name, shape in shapes.items()}
    assert cut["shards"] == params | moments | {"1/0/count": [], "1/1/count": []}
    assert "matches none of: Dense_0/bias" in cut["refused"]


def test_a_checkpoint_of_eight_devices_is_one_of_any_number(found):
    cut = found["parameters_cut"]
    assert cut["restored"] == {"1": 0, "8": 0, "cut": 0}
    assert cut["on"] == {"1": 1, "8": 8, "cut": 8}
    assert cut["as_cut"]
    assert (cut["evaluated"], cut["evaluated_on"]) == (0, 1)


def test_examples_that_are_too_many_are_cut_over_the_devices(found):
    """1,437 rows and three of zeros."""
    cut = found["rows_cut"]
    assert cut["rows"] == [1437, 180]
    assert cut["length"] == 1437
    assert [cut["held"], cut["same"], cut["right"]] == [True] * 3


@pytest.mark.slow
def test_a_hundred_steps_of_resnet_20_are_those_of_one_device(found_slowly):
    assert_near(found_slowly["resnet_20"], examples=1600, test=45)
    assert found_slowly["resnet_20"]["batch_stats"] < 1e-4  # of variances far above 1


@pytest.mark.slow
def test_mixed_micro_batches_are_those_of_one_device(found_slowly):
    assert_near(found_slowly["augmented"], examples=160, test=360)


@pytest.mark.slow
def test_streams_rate_finders_seeds_and_teachers_are_those_of_one_device(found_slowly):
    """Of 29 photos, 8 steps of 8 or 5."""
    assert_near(found_slowly["streamed"], examples=58, test=7)
    assert found_slowly["streamed"]["rates"] < 1e-4
    assert found_slowly["side_by_side"]["params"] < 1e-5
    assert found_slowly["side_by_side"]["logits"] < 1e-4
    assert found_slowly["taught"]["once"] < 1e-5
    assert found_slowly["taught"]["within"] < 1e-5


@pytest.mark.slow
def test_flags_of_a_gpu_change_nothing_on_a_cpu_nor_does_another_process(tmp_path):
    bits = []
    for name, flags in (("a", ""), ("b", ""), ("c", "--xla_gpu_deterministic_ops=true")):
        (tmp_path / name).mkdir()
        bits.append(compared(tmp_path / name, "digest", flags)["digest"]["of"])
    assert bits[0] == bits[1] == bits[2]


def test_more_devices_than_there_are_are_refused():
    with pytest.raises(UserError, match=r"`devices=99` cannot be used, there are 1; give at most"):
        sharding.make_mesh(99)


def test_a_run_goes_on_with_other_devices(tmp_path):
    """Nothing else about it may change."""
    config = Config.of(dataset="digits", devices=8, shard_params="all")
    workdir = Workdir(tmp_path / "run")
    workdir.claim(config)
    workdir.write_json("network.json", {})
    workdir.claim(config.replace(devices=1, shard_params=None))
    with pytest.raises(UserError, match=r"lr is 0\.001 there, 0\.01 here") as refused:
        workdir.claim(config.replace(devices=1, lr=0.01))
    assert "devices" not in str(refused.value)


def test_one_device_is_a_mesh_of_one(monkeypatch):
    monkeypatch.delattr(os, "sysconf")  # as on Windows
    mesh = sharding.make_mesh()
    assert mesh.size == 1
    assert sharding.fits_whole(mesh, 2**60)
    rows = np.arange(10).reshape(5, 2)
    for placed in (
        sharding.put(rows, sharding.by_rows(mesh)),
        sharding.put_batch({"rows": rows}, mesh, 5)["rows"],
    ):
        np.testing.assert_array_equal(placed, rows)
    np.testing.assert_array_equal(sharding.rows_here(mesh, 5), np.arange(5))
