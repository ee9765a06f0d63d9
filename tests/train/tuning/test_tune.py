"""A search on digits: first trial, pruning, divergence, requeued trials, processes, selection."""

import dataclasses
import os
import socket
import sqlite3
import subprocess
import sys
import time

import pytest
from study_helpers import search, trained

from imgcls_jax.errors import UserError
from imgcls_jax.files import processes
from imgcls_jax.train import workers
from imgcls_jax.train.tuning import trials, tune
from imgcls_jax.train.tuning.trials import run_trials, work

optuna = pytest.importorskip("optuna")


@pytest.fixture(scope="module")
def found(tmp_path_factory, digits):
    """A study of three trials, and its records."""
    of = search(tmp_path_factory.mktemp("study"), storage="sqlite")
    run_trials(of, digits, jobs=1, deadline=None)
    return of, of.open().records()


def test_the_first_trial_has_the_settings_to_beat_and_all_are_of_the_space(found):
    of, records = found
    assert [record["number"] for record in records] == [0, 1, 2]
    assert [record["first"] for record in records] == [True, False, False]
    assert of.settings(records[0]) == {"hold_out": 0.1}
    assert records[0]["params"] == {"lr": 0.01}
    assert len(records[0]["by_epoch"]) == 2
    assert records[0]["value"] == records[0]["by_epoch"][-1]
    assert records[0]["examples"] == 144
    settings = of.settings(records[1])
    assert settings["optimizer"] == "adamw"
    assert 1e-3 <= settings["lr"] <= 1e-1
    assert tune.final_config(of, records[1]).data.hold_out == 0


def test_the_same_study_again_runs_nothing_more(found, digits):
    of, records = found
    run_trials(of, digits, jobs=1, deadline=None)
    assert of.open().records() == records


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"space": "lr=1e-3..1:log"}, "another search space (lr is"),
        ({"seed": 3}, "other fixed settings (seed is not there, here 3)"),
        ({"fixed": {"optimizer": "sgd"}}, "optimizer of trials is adamw, here sgd"),
        ({"data": "else"}, "other data (digits there, else here)"),
    ],
)
def test_another_study_in_its_place_is_refused(found, changed, said):
    of, records = found
    fixed = {"fixed": changed.pop("fixed")} if "fixed" in changed else {}
    with pytest.raises(UserError) as caught:
        dataclasses.replace(search(of.folder, storage="sqlite", **changed), **fixed).open()
    assert said in str(caught.value)
    assert of.open().records() == records


def test_the_test_set_is_not_there_while_trials_run(tmp_path, digits, monkeypatch):
    seen = []

    def train(config, trial, dataset, stop):
        seen.append((dataset.test, config.optim.optimizer))
        for epoch, accuracy in ((1, 0.5), (2, 0.4)):
            trial.report(accuracy, epoch)
        of = {"epoch": 2, "validation_accuracy": 0.4, "validation_loss": 1, "train_accuracy": 1}
        return of, 10, 144

    monkeypatch.setattr("imgcls_jax.train.tuning.trials._train", train)
    of = search(tmp_path)
    run_trials(of, digits, jobs=1, deadline=None)
    assert seen == [(None, "adam"), (None, "adamw"), (None, "adamw")]
    assert [record["by_epoch"] for record in of.open().records()] == [[0.5, 0.4]] * 3


@pytest.mark.slow
def test_a_trial_that_diverges_keeps_its_reason_and_the_study_goes_on(tmp_path, digits):
    of = search(tmp_path, space="lr=1e30|1e31", trials=2, optimizer="sgd")
    run_trials(of, digits, jobs=1, deadline=None)
    records = of.open().records()
    assert [record["state"] for record in records] == ["complete", "pruned"]
    assert records[1]["reason"].startswith("training diverged in epoch 1")


@pytest.mark.parametrize("pruner", ["hyperband", pytest.param("median", marks=pytest.mark.slow)])
def test_hopeless_trials_are_pruned_but_the_first_is_not(tmp_path, digits, monkeypatch, pruner):
    monkeypatch.setattr(trials, "_train", trained)
    of = search(tmp_path, trials=12, epochs=9, space="lr=1e-3..1e-1:log")
    of = dataclasses.replace(of, pruner=pruner)
    run_trials(of, digits, jobs=1, deadline=None)
    records = of.open().records()
    pruned = [record for record in records if record["state"] == "pruned"]
    assert pruned
    assert all(len(record["by_epoch"]) < 9 for record in pruned)
    assert all(record["value"] is None for record in pruned)
    assert all(record["reason"].startswith("pruned after epoch") for record in pruned)
    assert records[0]["state"] == "complete"
    shares = of.open().importances()
    assert shares == pytest.approx({"lr": 1.0})
    best = tune.winner(records)
    assert best["value"] == max(record["params"]["lr"] for record in records)


def test_settings_to_beat_that_cannot_be_used_end_the_study(tmp_path, digits):
    of = search(tmp_path, batch_size=5000)
    with pytest.raises(UserError, match=r"`batch_size=5000`"):
        run_trials(of, digits, jobs=1, deadline=None)


@pytest.mark.filterwarnings("ignore:Heartbeat of storage")  # asked for here without running
def test_a_trial_whose_process_died_is_queued_again_once(tmp_path, digits, monkeypatch):
    monkeypatch.setattr("imgcls_jax.train.tuning.trials._train", trained)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    dead = f"{socket.gethostname()}/{ended.pid}/1"
    ended.wait()
    of = search(tmp_path, trials=2)
    study = of.open()
    study.begin(of.preset.flat(), of.space)
    for process in (dead, processes.this_process()):  # the other one still runs
        trial = study.of.ask()
        trial.suggest_float("lr", 1e-3, 1e-1, log=True)
        trial.set_user_attr("process", process)
    for _ in range(2):
        study.requeue()
    states = [(t.state.name, t.user_attrs.get("repeats")) for t in study.of.get_trials()]
    assert states == [("FAIL", None), ("RUNNING", None), ("WAITING", 0)]
    run_trials(of, digits, jobs=1, deadline=None)
    records = study.records()
    assert [(r["number"], r["state"], r["first"]) for r in records] == [
        (1, "running", False), (2, "complete", True)
    ]  # fmt: skip
    assert records[1]["params"] == {"lr": 0.01}


def test_a_trial_that_the_deadline_cuts_is_queued_again(tmp_path, digits):
    of = search(tmp_path, trials=1)
    of.open().begin(of.preset.flat(), of.space)
    stops = iter([False, True, True, True])

    class Late(workers.Stop):
        def __bool__(self):
            return next(stops)

    work(of, dataclasses.replace(digits, test=None), 0, stop=Late(lambda: False))
    assert [t.state.name for t in of.open().of.get_trials()] == ["FAIL"]
    run_trials(of, digits, jobs=1, deadline=None)
    assert [record["state"] for record in of.open().records()] == ["complete"]
    assert of.open().left(2)  # the one that was cut is not one of two


def test_the_study_seeks_the_winner(found):
    of, records = found
    values = [record["value"] for record in records]
    assert of.open().of.best_value == tune.winner(records)["value"] == max(values) > min(values)


def test_one_trial_too_many_gives_way(found):
    of, _ = found
    study = of.open()
    assert [study.is_surplus(number, 2) for number in range(3)] == [False, False, True]
    assert not study.left(3)
    assert study.left(4)


def test_a_missing_optuna_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"\.\[tune\]"):
        search(tmp_path).open()


def test_a_locked_database_is_waited_for(tmp_path):
    of = search(tmp_path, storage="sqlite")
    of.open()
    held = sqlite3.connect(tmp_path / "study")
    held.execute("BEGIN")
    assert of.open().records() == []
    held.close()


def _fail(number, *, stop):
    if number:
        raise UserError(f"process {number} failed.")
    while not stop:
        time.sleep(0.05)


@pytest.mark.slow
def test_a_failing_process_stops_the_others():
    with pytest.raises(UserError, match="process 1 failed"):
        workers.spread(_fail, [(0,), (1,)])


def test_a_stop_is_a_wish_a_deadline_or_a_lost_parent():
    assert not workers.Stop(lambda: False, time.time() + 60, os.getppid())
    assert workers.Stop(lambda: True)
    assert workers.Stop(lambda: False, time.time() - 1)
    assert workers.Stop(lambda: False, None, os.getppid() + 1)


def test_the_share_of_selection_is_what_the_test_set_does_not_confirm():
    def record(number, value, first=False):
        return {
            "number": number, "value": value, "first": first, "examples": 1000, "state": "running"
        }  # fmt: skip

    def test(*values):
        return {"spread": {"test_accuracy": {"values": list(values)}}}

    records = [record(0, 0.90, True), record(1, 0.94), record(2, 0.94), record(3, None)]
    outcome = tune.outcome(records, {0: test(0.89, 0.91), 1: test(0.89, 0.93)})
    assert (outcome["winner"]["trial"], outcome["first"]["trial"]) == (1, 0)
    found = outcome["selection"]
    assert found["validation_gain"] == pytest.approx(0.04)
    assert found["test_gain"] == pytest.approx(0.01)
    assert found["share"] == pytest.approx(0.75)
    # Student's with one degree of freedom: 12.706 x sd / sqrt(2), of the paired gains 0, 0.02.
    assert found["test_gain_interval"][1] - 0.01 == pytest.approx(0.12706, rel=1e-3)
    error = ((0.90 * 0.10 + 0.94 * 0.06) / 1000) ** 0.5  # of two independent shares
    assert found["validation_gain_interval"] == pytest.approx(
        [0.04 - 1.96 * error, 0.04 + 1.96 * error]
    )
    assert tune.outcome(records[:1], {0: test(0.9)})["selection"] is None
    with pytest.raises(UserError, match="no trial was finished"):
        tune.winner(records[3:])
    failed = {"state": "fail", "reason": "memory ran out"}
    with pytest.raises(UserError, match="the last one since: memory ran out"):
        tune.winner([record(3, None) | failed])
