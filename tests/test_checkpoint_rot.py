"""Checkpoints that rot, cannot be written, or are of another setting: what is said, and what not.

What is whole is never lost, and nothing of a damaged checkpoint is used.
"""

import errno
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from conftest import same_bits
from test_checkpoint import tree

from imgcls_jax.checkpoint import Checkpoints, digests, failures
from imgcls_jax.errors import UserError


def saved(folder, kind="last", steps=(1, 2)):
    """Checkpoints of `tree(step)` in a folder."""
    with Checkpoints(folder) as checkpoints:
        for step in steps:
            checkpoints.save(kind, step, tree(step))
    return folder / kind


def swap(folder, step, kind="last"):
    """Puts other values of the same shapes in place of a checkpoint's, which Orbax can read."""
    other = saved(folder / "other", steps=(99,)) / "99"
    shutil.copy(folder / kind / str(step) / digests.NAME, other)
    shutil.rmtree(folder / kind / str(step))
    other.rename(folder / kind / str(step))


def test_no_flipped_bit_gives_other_values(tmp_path):
    """In the files of arrays and in those of Orbax' own; one that changes no value is no harm."""
    (step,) = saved(tmp_path, "evaluated", steps=(7,)).iterdir()
    noticed, said = set(), set()
    for path in sorted(path for path in step.rglob("*") if path.is_file()):
        content = path.read_bytes()
        for place in {len(content) // 3, 2 * len(content) // 3}:
            flipped = bytearray(content)
            flipped[place] ^= 1 << place % 8
            path.write_bytes(flipped)
            try:
                with Checkpoints(tmp_path) as checkpoints:
                    assert same_bits(checkpoints.restore("evaluated", tree()), tree(7)), path
            except UserError as error:
                noticed.add(path.name)
                said.add(str(error).partition("(")[0])
        path.write_bytes(content)
    assert said == {
        f"the 'evaluated' checkpoint {step} {how} " for how in ("is damaged", "cannot be read")
    }
    assert {digests.NAME, "manifest.ocdbt", "_METADATA"} <= noticed


def test_values_that_were_not_written_are_noticed(tmp_path):
    saved(tmp_path, steps=(1,))
    swap(tmp_path, 1)
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(UserError, match=r"last/1 is damaged \(key is not what was written\)"),
    ):
        checkpoints.restore("last", tree())


def test_of_a_damaged_newest_the_one_before_is_read_and_said(tmp_path, caplog):
    saved(tmp_path)
    swap(tmp_path, 2)
    with Checkpoints(tmp_path) as checkpoints:
        assert same_bits(checkpoints.restore("last", tree()), tree(1))
        assert checkpoints.step("last") == 1
        assert "last/2 is damaged (key is not what was written); going on from step 1" in (
            caplog.text
        )
        checkpoints.save("last", 2, tree(2))
    with Checkpoints(tmp_path) as checkpoints:
        assert same_bits(checkpoints.restore("last", tree()), tree(2))
        assert checkpoints.steps("last") == [2, 1]


def test_where_all_are_damaged_the_folders_are_named_and_nothing_is_removed(tmp_path):
    saved(tmp_path)
    saved(tmp_path, "best", steps=(1,))
    for path in tmp_path.glob("last/*/manifest.ocdbt"):
        path.write_bytes(b"")
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(UserError) as raised:
        checkpoints.restore("last", tree(), otherwise="begin anew")
    named = [f"{tmp_path}/last/{step} cannot be read (perhaps it is damaged)" for step in (2, 1)]
    assert str(raised.value) == f"the 'last' checkpoint {' and '.join(named)}; begin anew."
    assert len(list(tmp_path.glob("*/*"))) == 3


@pytest.mark.parametrize("kind", ["best", "last"])
def test_a_checkpoint_of_an_earlier_step_replaces_those_of_later_ones(tmp_path, kind):
    """As when a run begins again from before a damaged one."""
    saved(tmp_path, kind, steps=(8, 10))
    saved(tmp_path, kind, steps=(9,))
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps(kind) == ([9, 8] if kind == "last" else [9])


def test_checkpoints_of_before_there_were_digests_are_read(tmp_path):
    words = tree(5) | {"key": jax.random.key_data(tree(5)["key"])}
    with ocp.CheckpointManager(tmp_path / "last") as manager:
        manager.save(5, args=ocp.args.StandardSave(words))
    with Checkpoints(tmp_path) as checkpoints:
        assert same_bits(checkpoints.restore("last", tree()), tree(5))
        checkpoints.save("last", 6, tree(6))
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps("last") == [6, 5]


def test_another_random_number_implementation_is_no_damage(tmp_path):
    saved(tmp_path, steps=(1,))
    other = tree() | {"key": jax.random.key(0, impl="rbg")}
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(
            UserError,
            match="draws its random numbers from threefry2x32, and JAX is set to rbg; set "
            "JAX_DEFAULT_PRNG_IMPL=threefry2x32 JAX_THREEFRY_PARTITIONABLE=1 to go on",
        ),
    ):
        checkpoints.restore("last", other)
    with (
        jax.threefry_partitionable(False),
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(UserError, match="JAX is set to threefry2x32, not partitionable; set"),
    ):
        checkpoints.restore("last", tree())
    with Checkpoints(tmp_path) as checkpoints:  # and keys of another implementation come back
        checkpoints.save("best", 1, other)
        assert same_bits(checkpoints.restore("best", other), other)


def test_leftovers_of_killed_writers_are_swept(tmp_path):
    saved(tmp_path)
    for name in ("3.orbax-checkpoint-tmp", "4.orbax-checkpoint-tmp-17"):
        (tmp_path / "last" / name).mkdir()
        (tmp_path / "last" / name / "part").touch()
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.step("last") == 2
        checkpoints.sweep()
    assert sorted(path.name for path in (tmp_path / "last").iterdir()) == ["1", "2"]


def test_a_failing_write_is_told_truly_and_keeps_what_was_there(tmp_path, capfd):
    saved(tmp_path, steps=(1,))
    large = {"a": np.random.default_rng(0).random(20_000)}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # or it kills, unlike a full disk
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.restore("last", tree())
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
            checkpoints.save("last", 2, large)
            with pytest.raises(UserError) as raised:
                checkpoints.wait()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        checkpoints.save("last", 3, tree(3))  # once there is room again
    assert str(raised.value) == (
        f"cannot write a checkpoint to {tmp_path / 'last'} (File too large); allow larger files "
        "(`ulimit -f`), or choose another `workdir` (that of step 1 is kept)."
    )
    assert capfd.readouterr().err == ""
    assert sorted(path.name for path in (tmp_path / "last").iterdir()) == ["1", "3"]


@pytest.mark.parametrize(
    ("error", "reason", "advice"),
    [
        (ValueError("RESOURCE_EXHAUSTED: [No space left on device]"), "No space left", "free some"),
        (PermissionError(errno.EACCES, "no"), "Permission denied", "make it writable"),
        (OSError(errno.EROFS, "no"), "Read-only file system", "on a disk that can be written"),
        (RuntimeError("Event loop is closed"), "for an unknown reason", "choose another `workdir`"),
    ],
)
def test_the_kind_of_a_failure_is_told_truly(error, reason, advice):
    error.__cause__ = FileNotFoundError(errno.ENOENT, "what follows") if error.args[1:] else None
    said = failures.unwritten(error)
    assert said[0].startswith(reason)
    assert advice in said[1]


def test_only_what_orbax_logs_and_leaves_is_dropped():
    def record(path, error=None):
        about = (type(error), error, None) if error else None
        return logging.LogRecord("asyncio", 40, path, 1, "lost", (), about)

    assert not failures._not_of_orbax(record("site-packages/orbax/x.py"))
    assert not failures._not_of_orbax(record("futures.py", ValueError("See TensorStore details")))
    assert failures._not_of_orbax(record("futures.py", ValueError("of somebody else")))
    heard = []
    for error in (RuntimeError("Event loop is closed"), ValueError("See TensorStore details"), 3):
        unraisable = types.SimpleNamespace(exc_value=error, object=None)
        failures._unless_late(heard.append, unraisable)
    assert heard == [unraisable]


_SHARDED = """
import sys, jax, numpy as np
from imgcls_jax.checkpoint import Checkpoints
mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
by_rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
tree = {"a": jax.device_put(np.arange(48.0, dtype=np.float32).reshape(16, 3), by_rows)}
with Checkpoints(sys.argv[1]) as checkpoints:
    found = checkpoints.restore("last", tree)["a"]
    assert found.sharding == by_rows and (np.asarray(found) == np.asarray(tree["a"]) + 1).all()
    checkpoints.save("best", 2, tree)
"""


@pytest.mark.slow
def test_a_checkpoint_of_some_devices_is_verified_on_others(tmp_path):
    one = {"a": jnp.arange(48.0).reshape(16, 3)}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save("last", 1, {"a": one["a"] + 1})
    devices = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
    }
    subprocess.run([sys.executable, "-c", _SHARDED, str(tmp_path)], env=devices, check=True)
    with Checkpoints(tmp_path) as checkpoints:
        assert same_bits(checkpoints.restore("best", one), one)
        assert same_bits(checkpoints.restore("best", jax.eval_shape(lambda: one)), one)
