"""Checkpoints: what is saved comes back bit for bit, and damage is one sentence."""

import errno
import threading
import time

import jax
import jax.numpy as jnp
import pytest
from conftest import same_bits

from imgcls_jax.checkpoint import Checkpoints, digests
from imgcls_jax.errors import UserError


def tree(seed=0):
    key = jax.random.key(seed)
    return {
        "params": {"kernel": jax.random.normal(key, (3, 2)), "bias": jnp.zeros(2)},
        "opt_state": (jnp.int32(4), ()),
        "batch_stats": {},
        "key": key,
    }


def test_round_trip_keeps_bits_types_and_structure(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save("last", 3, tree(1))
    with Checkpoints(tmp_path) as checkpoints:
        assert (checkpoints.step("last"), checkpoints.step("best")) == (3, None)
        restored = checkpoints.restore("last", tree(2))
    assert jax.tree.structure(restored) == jax.tree.structure(tree())
    assert same_bits(restored, tree(1))
    assert restored["key"].dtype == tree()["key"].dtype


def test_a_relative_folder_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Checkpoints("relative") as checkpoints:
        checkpoints.save("last", 1, tree())
    with Checkpoints(tmp_path / "relative") as checkpoints:
        assert checkpoints.step("last") == 1


def test_the_newest_are_kept_two_of_those_to_go_on_from(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        for step in (1, 2, 5):
            checkpoints.save("last", step, tree(step))
        checkpoints.save("best", 2, tree(2))
        checkpoints.save("best", 2, tree(9))  # the same step again: already there
    with Checkpoints(tmp_path) as checkpoints:
        assert same_bits(checkpoints.restore("last", tree()), tree(5))
        assert same_bits(checkpoints.restore("best", tree()), tree(2))
    assert sorted(p.name for p in (tmp_path / "last").iterdir()) == ["2", "5"]
    assert [p.name for p in (tmp_path / "best").iterdir()] == ["2"]


def test_what_is_evaluated_does_not_wait(tmp_path, monkeypatch):
    """At the end of a run two are written at the same time."""
    held, write = threading.Event(), digests.write

    def writing(folder, *of):
        if "last" in str(folder):
            assert held.wait(20)
        write(folder, *of)

    monkeypatch.setattr(digests, "write", writing)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save("last", 1, tree(1))
        checkpoints.save("evaluated", 1, tree(1))
        held.set()
    assert Checkpoints(tmp_path).step("last") == Checkpoints(tmp_path).step("evaluated") == 1
    assert checkpoints.saved == 2


def test_a_last_is_never_newer_than_the_best_it_tells_of(tmp_path, monkeypatch):
    order, write = [], digests.write

    def writing(folder, *of):
        if "best" in str(folder):
            time.sleep(0.5)
        write(folder, *of)
        order.append("best" if "best" in str(folder) else "last")

    monkeypatch.setattr(digests, "write", writing)
    with Checkpoints(tmp_path) as checkpoints:
        for step in (1, 2):
            checkpoints.save("best", step, tree(step))
            checkpoints.save("last", step, tree(step))
    assert order == ["best", "last"] * 2


def test_one_that_fails_does_not_hide_what_became_of_the_other(tmp_path, monkeypatch):
    write = digests.write

    def writing(folder, *of):
        if "last" in str(folder):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(folder, *of)

    monkeypatch.setattr(digests, "write", writing)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save("last", 1, tree(1))
    checkpoints.save("evaluated", 1, tree(1))
    with pytest.raises(UserError, match=r"last \(No space left on device\); free some disk"):
        checkpoints.wait()
    assert (checkpoints.saved, checkpoints.step("last"), checkpoints.step("evaluated")) == (
        1,
        None,
        1,
    )
    checkpoints.wait()


def test_donating_the_saved_arrays_does_not_change_what_is_written(tmp_path):
    """The next step reuses the buffers while the previous state is still being written."""
    step = jax.jit(lambda t: jax.tree.map(lambda x: x + 1, t), donate_argnums=0)
    state = {"a": jnp.zeros((2000, 500))}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save("last", 1, state)
        for _ in range(20):
            state = step(state)
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore("last", {"a": jnp.ones((2000, 500))})
    assert float(jnp.abs(restored["a"]).max()) == 0.0


def test_missing_is_a_sentence(tmp_path):
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(UserError, match=r"no 'last' checkpoint in .*; train first"),
    ):
        checkpoints.restore("last", tree())


def test_another_models_checkpoint_is_a_sentence(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save("last", 1, tree())
    other = tree() | {"params": {"kernel": jnp.zeros((3, 5)), "bias": jnp.zeros(5)}}
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(
            UserError,
            match=r"last/1 belongs to another model \(params.bias is float32\[2\] there and",
        ),
    ):
        checkpoints.restore("last", other)


def test_a_damaged_checkpoint_is_a_sentence(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save("last", 1, tree())
    for path in (tmp_path / "last" / "1").rglob("*"):
        if path.is_file() and path.stat().st_size and "METADATA" not in path.name:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(UserError, match=r"last/1 is damaged .*; bring it back from a copy"),
    ):
        checkpoints.restore("last", tree())


def test_a_file_in_the_way_is_a_sentence(tmp_path):
    (tmp_path / "last").write_text("not a folder")
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(UserError, match=r"cannot write a checkpoint .*File exists"),
    ):
        checkpoints.save("last", 1, tree())


def test_an_unwritable_folder_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("not a folder")

    def save():
        with Checkpoints(tmp_path / "file") as checkpoints:
            checkpoints.save("last", 1, tree())
            checkpoints.wait()

    with pytest.raises(UserError, match=r"cannot write a checkpoint to .*Not a directory"):
        save()
