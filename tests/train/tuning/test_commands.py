"""Machines that share a study: nothing is queued or trained twice, one command does the finals."""

import dataclasses
import subprocess
import sys
import threading

import pytest
from study_helpers import search, trained

from imgcls_jax.errors import UserError
from imgcls_jax.files import processes
from imgcls_jax.train.tuning import signs
from imgcls_jax.train.tuning.commands import Commands, Elsewhere
from imgcls_jax.train.tuning.trials import run_trials
from imgcls_jax.workdir import Workdir

pytest.importorskip("optuna")

STORAGES = ("journal", pytest.param("sqlite", marks=pytest.mark.slow))
AFAR = "another-machine/1/1"


@pytest.fixture(params=["journal"])
def machines(tmp_path, request):
    """The same study as two machines have it, each in a folder of its own."""
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    url = f"{request.param}:///{tmp_path / 'study'}"
    return [dataclasses.replace(search(folder, trials=2), url=url) for folder in folders]


@pytest.fixture
def soon(monkeypatch):
    monkeypatch.setattr(signs, "GRACE_SECONDS", 0.3)
    monkeypatch.setattr(signs, "BEAT_SECONDS", 1000.0)
    monkeypatch.setattr("imgcls_jax.train.tuning.commands._LOOK_SECONDS", 0.05)
    monkeypatch.setattr("imgcls_jax.train.tuning.trials._LOOK_SECONDS", 0.05)


def _dead():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return processes.this_process().split("/")[0] + f"/{ended.pid}/1"


def _begun(study, process):
    trial = study.of.ask()
    trial.suggest_float("lr", 1e-3, 1e-1, log=True)
    trial.set_user_attr("process", process)
    return trial


def _refused(commands, folder, kind, said):
    with pytest.raises(kind, match=said), commands.finals(folder):
        pass


@pytest.mark.parametrize("machines", STORAGES, indirect=True)
def test_two_machines_that_queue_at_once_have_each_trial_run_once(machines, digits, monkeypatch):
    monkeypatch.setattr("imgcls_jax.train.tuning.trials._train", trained)
    one, other = (of.open() for of in machines)
    preset, space = machines[0].preset.flat(), machines[0].space
    one.begin(preset, space)
    with monkeypatch.context() as within:  # the other one read the study before that
        within.setattr(type(other.of), "get_trials", lambda *_, **__: [])
        other.begin(preset, space)
    _begun(one, _dead())
    one.requeue()
    (found,) = [t for t in other.of.get_trials() if t.state.name == "FAIL"]
    other._repeat(found)
    run_trials(machines[1], digits, jobs=1, deadline=None)
    trials = [(t.user_attrs.get("repeats"), t.state.name) for t in one.of.get_trials()]
    assert sorted(trials[1:], key=str) == [(0, "COMPLETE"), (0, "FAIL"), (None, "COMPLETE"),
                                           (None, "FAIL")]  # fmt: skip
    assert [record["state"] for record in one.records()] == ["complete"] * 2
    assert [record["first"] for record in one.records()].count(True) == 1


def test_a_trial_whose_process_is_killed_time_and_again_is_given_up(machines):
    study = machines[0].open()
    study.begin(machines[0].preset.flat(), machines[0].space)
    for _ in range(3):
        _begun(study, _dead())
        study.requeue()
    assert not study.waiting()
    (record,) = study.records()
    assert record["reason"].startswith("its process was killed 3 times")


def test_a_machine_without_a_sign_of_life_is_dead(machines, digits, monkeypatch, soon):
    monkeypatch.setattr("imgcls_jax.train.tuning.trials._train", trained)
    study = machines[0].open()
    study.begin(machines[0].preset.flat(), machines[0].space)
    _begun(study, AFAR)
    assert study.requeue() == 1
    run_trials(machines[1], digits, jobs=1, deadline=None)
    records = study.records()
    assert [record["state"] for record in records] == ["complete"] * 2
    assert sum(record["first"] for record in records) == 1


def test_a_machine_that_counts_on_lives(machines, monkeypatch, soon):
    monkeypatch.setattr(signs, "GRACE_SECONDS", 600.0)
    monkeypatch.setattr(signs, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(processes, "this_process", lambda: AFAR)
    here, there = (Commands(of.open(), of.folder) for of in machines)
    with there.present("trials"), pytest.raises(Elsewhere) as caught:
        here.leave_trials()
    assert f"{machines[1].folder} (process 1) still runs trials" in str(caught.value)
    here.leave_trials()


def test_a_command_leaves_the_finals_to_the_one_that_still_runs_trials(
    machines, digits, monkeypatch
):
    monkeypatch.setattr("imgcls_jax.train.tuning.trials._train", trained)
    commands, said = Commands(machines[0].open(), machines[0].folder), "the one that ends last"
    with commands.present("trials"), pytest.raises(Elsewhere, match=said):
        run_trials(machines[1], digits, jobs=1, deadline=None)
    run_trials(machines[1], digits, jobs=1, deadline=None)
    assert len(machines[0].open().records()) == 2


def test_commands_of_a_study_propose_by_seeds_of_their_own(machines, digits, monkeypatch):
    seeds = []

    def work(search, dataset, seed, *, stop):
        seeds.append(seed)

    monkeypatch.setattr("imgcls_jax.train.tuning.trials.work", work)
    for of in machines:
        study = of.open()
        run_trials(of, digits, jobs=1, deadline=0.0)
    asked = []
    monkeypatch.setattr(
        "imgcls_jax.train.tuning.trials.spread", lambda f, of, **_: asked.extend(of)
    )
    run_trials(machines[0], digits, jobs=3, deadline=0.0)
    assert len({seed for *_, seed in asked}) == 3
    with Commands(study, machines[0].folder).present("trials"):
        commands = Commands(study, machines[1].folder)
        with commands.present("trials") as mine:
            assert len({*seeds, 1000 * mine}) == 3


def test_one_command_at_a_time_has_the_finals_and_they_stay_in_its_folder(machines):
    here, there = (Commands(of.open(), of.folder) for of in machines)
    mine, theirs = (Workdir(of.folder / "finals") for of in machines)
    with here.finals(mine):
        for of, folder in ((there, theirs), (here, mine)):
            _refused(of, folder, Elsewhere, "trains the winner of this study now")
    _refused(there, theirs, UserError, r"finals of this study began in .*a/?, which keeps")
    with here.finals(mine):
        here.finished()
    _refused(there, theirs, Elsewhere, r"are done, in .*a; their results are there")
    moved = Workdir(mine.path.rename(theirs.path.with_name("moved")))
    with there.finals(moved):  # the folder counts, not where it lies
        pass


def test_finals_whose_machine_is_lost_begin_anew(machines, monkeypatch, soon):
    here, there = (Commands(of.open(), of.folder) for of in machines)
    mine, theirs = (Workdir(of.folder / "finals") for of in machines)
    with monkeypatch.context() as within:
        within.setattr(processes, "this_process", lambda: AFAR)
        lost = there.finals(theirs)
        lost.__enter__()
    with here.finals(mine):
        here.finished()
    _refused(there, theirs, Elsewhere, "are done")


@pytest.mark.parametrize("machines", STORAGES, indirect=True)
def test_of_many_commands_that_end_at_once_one_does_the_finals(machines):
    found, barrier = [], threading.Barrier(4)

    def end(number):
        of = machines[number % 2]
        commands = Commands(of.open(), of.folder)
        with commands.present("trials"):
            barrier.wait()
        try:
            commands.leave_trials()
            with commands.finals(Workdir(of.folder / "finals")):
                commands.finished()
                found.append(number)
        except Elsewhere as other:
            found.append(str(other))

    threads = [threading.Thread(target=end, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    done = {number % 2 for number in found if isinstance(number, int)}
    assert len(done) == 1
