"""What ends a trial: its reason is kept, and the study goes on where it can."""

import dataclasses

import pytest
from study_helpers import search, trained

from imgcls_jax.errors import UnreadablePhoto, UserError
from imgcls_jax.train.tuning import tune
from imgcls_jax.train.tuning.storage import StorageFailed
from imgcls_jax.train.tuning.trials import run_trials

pytest.importorskip("optuna")


def _failing(errors):
    """Returns a training that raises the errors in turn, and then is one that works."""
    left = list(errors)

    def train(config, trial, dataset, stop):
        if left:
            raise left.pop(0)
        return trained(config, trial, dataset, stop)

    return train


def test_an_unexpected_end_of_the_first_trials_is_recorded(tmp_path, digits, monkeypatch):
    import jax

    errors = [
        jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.\nmore"),
        MemoryError(),
        ZeroDivisionError("division by zero"),
    ]
    monkeypatch.setattr("imgcls_jax.train.tuning.trials._train", _failing(errors))
    of = search(tmp_path, trials=4)
    run_trials(of, digits, jobs=1, deadline=None)
    records = of.open().records()
    assert [record["state"] for record in records] == ["fail"] * 3 + ["complete"]
    assert [record["reason"] for record in records[:3]] == [
        "memory ran out: RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.",
        "memory ran out",
        "ZeroDivisionError: division by zero",
    ]
    assert "in _run" in records[2]["traceback"]
    assert tune.winner(records)["number"] == 3


def test_a_trial_that_diverges_is_pruned_so_that_proposals_keep_away(tmp_path, digits, monkeypatch):
    errors = [UserError("training diverged in epoch 1; give a lower rate.")]
    monkeypatch.setattr("imgcls_jax.train.tuning.trials._train", _failing(errors))
    of = search(tmp_path, trials=2)
    run_trials(of, digits, jobs=1, deadline=None)
    records = of.open().records()
    assert [record["state"] for record in records] == ["pruned", "complete"]
    assert records[0]["reason"].startswith("training diverged in epoch 1")


@pytest.mark.parametrize("trials", [2, 20])
def test_a_study_whose_trials_all_fail_ends_with_the_reason(tmp_path, digits, monkeypatch, trials):
    monkeypatch.setattr("imgcls_jax.train.tuning.trials._train", _failing([MemoryError()] * 20))
    of = search(tmp_path, trials=trials)

    def searched():
        run_trials(of, digits, jobs=1, deadline=None)
        tune.winner(of.open().records())

    with pytest.raises(UserError, match=r"since:? memory ran out; change") as caught:
        searched()
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(2, "No such file", "a.jpg"), r"trial 0 cannot go on .*a\.jpg.*mend"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (UnreadablePhoto("a.jpg cannot be read; replace it."), r"^a\.jpg cannot be read"),
    ],
)
def test_a_file_that_fails_a_trial_is_no_trouble_of_the_storage(
    tmp_path, digits, monkeypatch, error, said
):
    monkeypatch.setattr("imgcls_jax.train.tuning.trials._train", _failing([error]))
    of = search(tmp_path, trials=1)
    with pytest.raises(UserError, match=said) as caught:
        run_trials(of, digits, jobs=1, deadline=None)
    assert not isinstance(caught.value, StorageFailed)
    run_trials(of, digits, jobs=1, deadline=None)  # it is mended: the settings to beat are tried
    (record,) = of.open().records()
    assert (record["state"], record["first"]) == ("complete", True)


def test_a_storage_that_fails_within_a_trial_ends_the_study(tmp_path, digits, monkeypatch):
    monkeypatch.setattr("imgcls_jax.train.tuning.trials._train", trained)

    def full(*_):
        raise OSError(28, "No space left on device")

    of = search(tmp_path, trials=2)
    name = "optuna.storages.JournalStorage.set_trial_intermediate_value"
    with monkeypatch.context() as within:
        within.setattr(name, full)
        with pytest.raises(StorageFailed, match=r"study cannot be used \(.*No space left"):
            run_trials(of, digits, jobs=1, deadline=None)
    run_trials(of, digits, jobs=1, deadline=None)
    assert [record["state"] for record in of.open().records()] == ["complete"] * 2


def test_settings_to_beat_that_are_wrong_still_end_the_study(tmp_path, digits):
    of = dataclasses.replace(search(tmp_path, batch_size=5000), trials=3)
    with pytest.raises(UserError, match="`batch_size=5000`"):
        run_trials(of, digits, jobs=1, deadline=None)
