"""Checkpoints of which it is not known whether they are whole: none is lost, nor called damaged."""

import errno
import os
import shutil

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
import pytest
from conftest import same_bits
from jax.errors import JaxRuntimeError
from test_checkpoint import tree
from test_checkpoint_rot import saved, swap

from imgcls_jax.checkpoint import Checkpoints, arrays, digests
from imgcls_jax.errors import UserError
from imgcls_jax.machines import group


def full(tree):
    """Stands for what writes a tree, on a full disk."""
    raise OSError(errno.ENOSPC, "No space left on device")


def raises(error):
    def stands_for(*args, **kwargs):
        raise error

    return stands_for


def test_a_step_that_another_process_wrote_is_kept_if_it_is_whole(tmp_path, monkeypatch):
    """As of a run that was killed between its `best` and its `last`; a full disk costs nothing."""
    saved(tmp_path, "best", steps=(3,))
    with Checkpoints(tmp_path) as checkpoints, monkeypatch.context() as patched:
        patched.setattr(arrays, "to_save", None)  # not reached
        checkpoints.save("best", 3, tree(3))
    swap(tmp_path, 3, "best")
    with Checkpoints(tmp_path) as checkpoints:
        with monkeypatch.context() as patched:
            patched.setattr(arrays, "to_save", full)
            with pytest.raises(UserError) as raised:
                checkpoints.save("best", 3, tree(3))
        assert "(No space left on device)" in str(raised.value)
        assert str(raised.value).endswith("(none was removed).")
        assert (tmp_path / "best" / "3.aside" / digests.NAME).is_file()
        checkpoints.save("best", 3, tree(3))
    with Checkpoints(tmp_path) as checkpoints:
        assert same_bits(checkpoints.restore("best", tree(), step=3), tree(3))
        with pytest.raises(UserError, match=r"best/4 is missing; bring it back"):
            checkpoints.restore("best", tree(), step=4)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, ""), r"cannot be read \(Permission denied\); see to that"),
        (OSError(errno.ESTALE, ""), r"cannot be read \(Stale file handle\); see to that"),
        (
            JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory"),
            r"cannot be read \(a device has too little free memory\); see to that",
        ),
        (JaxRuntimeError("INTERNAL: Xid 79"), r"cannot be read \(a device failed\); see to that"),
    ],
)
def test_what_says_nothing_of_the_content_is_no_damage(tmp_path, monkeypatch, error, said):
    saved(tmp_path, steps=(1,))
    monkeypatch.setattr(ocp.Checkpointer, "restore", raises(error))
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(UserError, match=rf"last/1 {said}"):
            checkpoints.restore("last", tree())
        assert checkpoints.step("last") == 1


def test_a_checkpoint_that_is_replaced_while_it_is_read_is_no_damage(tmp_path, monkeypatch):
    folder = saved(tmp_path, steps=(1,))

    def too_late(*args, **kwargs):
        shutil.rmtree(folder / "1")
        raise ValueError("NOT_FOUND")

    monkeypatch.setattr(ocp.Checkpointer, "restore", too_late)
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(UserError, match=r"last/1 was replaced while it was read; run the same"),
    ):
        checkpoints.restore("last", tree())


def test_what_could_not_be_read_is_set_aside_and_not_lost(tmp_path, monkeypatch, caplog):
    folder = saved(tmp_path)
    newest = folder / "2" / "manifest.ocdbt"
    content = newest.read_bytes()
    newest.write_bytes(b"")
    with Checkpoints(tmp_path) as checkpoints:
        assert same_bits(checkpoints.restore("last", tree()), tree(1))
        assert "last/2 cannot be read (perhaps it is damaged); going on from step 1" in caplog.text
        checkpoints.save("last", 3, tree(3))
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2.aside", "3"]
    assert "last/2, which cannot be used, is kept as 2.aside." in caplog.text
    (folder / "2.aside").rename(folder / "2")
    newest.write_bytes(content)
    with Checkpoints(tmp_path) as checkpoints:
        assert same_bits(checkpoints.restore("last", tree(), step=2), tree(2))


@pytest.mark.parametrize("name", [digests.NAME, "manifest.ocdbt"])
def test_a_named_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path, name):
    folder = saved(tmp_path)
    (folder / "2" / name).unlink()
    os.mkfifo(folder / "2" / name)
    with Checkpoints(tmp_path) as checkpoints:
        assert same_bits(checkpoints.restore("last", tree()), tree(1))


def test_a_record_of_another_version_is_no_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "_VERSION", 2)
    saved(tmp_path)
    monkeypatch.undo()
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(UserError, match=r"last/2/digests.json is a record of version 2, and this"),
    ):
        checkpoints.restore("last", tree())


def test_a_checkpoint_is_verified_without_a_device(tmp_path, monkeypatch):
    saved(tmp_path, steps=(1,))
    monkeypatch.setattr(arrays, "_target", None)  # not reached: nothing goes onto a device
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.verify("last", tree(), step=1)
        swap(tmp_path, 1)
        with pytest.raises(UserError, match=r"last/1 is damaged \(key is .*; begin anew"):
            checkpoints.verify("last", tree(), step=1, otherwise="begin anew")


def test_the_first_process_chooses_the_step(tmp_path, monkeypatch):
    one = {"a": jnp.arange(3)}
    with Checkpoints(tmp_path) as checkpoints:
        for step in (1, 2):
            checkpoints.save("last", step, {"a": step * one["a"]})
    monkeypatch.setattr(group, "broadcast", lambda make: [1])  # the first does not see 2 yet
    with Checkpoints(tmp_path) as checkpoints:
        assert same_bits(checkpoints.restore("last", one), one)
        alone = jax.eval_shape(lambda: jnp.arange(3))  # read by one process for itself
        assert int(checkpoints.restore("last", {"a": alone})["a"][1]) == 2


@pytest.mark.parametrize("refused", ["the record", "the arrays"])
def test_what_one_process_finds_damaged_is_damaged_for_all(tmp_path, monkeypatch, caplog, refused):
    saved(tmp_path)
    others = iter([True, False, False] if refused == "the record" else [False, True, False, False])
    monkeypatch.setattr(group, "any_of", lambda flag: next(others))
    with Checkpoints(tmp_path) as checkpoints:
        assert same_bits(checkpoints.restore("last", tree()), tree(1))
        assert checkpoints.steps("last") == [1]
    assert "last/2 cannot be read (by another process); going on from step 1" in caplog.text


def test_a_step_that_one_process_finds_damaged_is_written_anew_by_all(tmp_path, monkeypatch):
    saved(tmp_path, steps=(1,))
    with Checkpoints(tmp_path) as checkpoints:
        with monkeypatch.context() as patched:
            patched.setattr(group, "greatest", lambda *flags: [1, 1])
            checkpoints.save("last", 1, tree(3))
        assert same_bits(checkpoints.restore("last", tree()), tree(3))
