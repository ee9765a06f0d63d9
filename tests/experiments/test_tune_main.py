"""The tuning command end to end on digits: what a study writes, and what it refuses."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from absl import flags
from PIL import Image
from study_helpers import planned

pytest.importorskip("optuna")

from experiments import tune
from experiments.cli import flags as cli
from experiments.cli import tuning
from experiments.presets import choose, spaces
from imgcls_jax.config import Config
from imgcls_jax.data.dataset import identity
from imgcls_jax.errors import UserError
from imgcls_jax.optim.frameworks import DEFAULTS
from imgcls_jax.train.tuning import search_space
from imgcls_jax.train.tuning.commands import Elsewhere
from imgcls_jax.train.tuning.search_space import Range
from imgcls_jax.train.tuning.study import stored
from imgcls_jax.train.tuning.tune import final_config, final_settings

ROOT = Path(__file__).parents[2]
# One setting is searched; the others are fixed, small or without a cost of compiling.
SMALL = (
    "fmnist", "--dataset=digits", "--epochs=2", "--hidden=8", "--batch_size=100", "--augment=",
    "--schedule=constant", "--ema=0", "--dropout=0", "--weight_decay=0.01",
    "--label_smoothing=0.1", "--jobs=1",
)  # fmt: skip


@pytest.fixture
def tune_main(capsys):
    """Runs the tuning command in this process: (*arguments) -> (exit status, out, err)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        for name in flags.FLAGS:
            flags.FLAGS[name].unparse()
        status = 0
        try:
            cli.run(tune.main, takes_arguments=True, argv=["tune", *arguments])
        except SystemExit as exit_:
            status = exit_.code or 0
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.mark.slow
def test_a_study_writes_its_winner_whose_command_runs(tune_main, fmnist_main, tmp_path):
    folder = tmp_path / "study"
    call = (*SMALL, "--trials=2", "--seeds=1", f"--workdir={folder}")
    status, out, err = tune_main(*call)
    assert (status, err) == (0, "")
    for words in ("the settings to beat", "The winner", "seed 0: test accuracy", "Figures"):
        assert words in out
    summary = json.loads((folder / "summary.json").read_text())
    assert [record["number"] for record in summary["trials"]] == [0, 1]
    assert list(summary["space"]) == ["lr"]
    assert summary["data"]["verified"] is True
    assert summary["budget"] == {"trials": 2, "minutes": None, "jobs": 1, "seeds": 1}
    assert summary["test_met_by"] == sorted({0, summary["winner"]["trial"]})
    assert "git_commit" in summary
    names = ("history", "importances", "parallel_coordinates", "intermediate_values")
    for name in names:
        with Image.open(folder / "figures" / f"{name}.png") as image:
            assert min(image.size) > 200
    assert (folder / "best_flags.txt").read_text().split("\n")[:-1] == summary["flags"]

    module, *arguments = shlex.split(summary["command"])[2:]
    assert module == "experiments.fmnist"
    status, _, err = fmnist_main(*arguments, "--nofigures", f"--workdir={tmp_path / 'again'}")
    assert (status, err) == (0, "")
    found = folder / "finals" / f"trial-{summary['winner']['trial']}" / "seed-0"
    same = [json.loads((f / "summary.json").read_text()) for f in (found, tmp_path / "again")]
    assert same[0]["test_loss"] == same[1]["test_loss"]

    before = (found / "summary.json").read_bytes()
    status, out, err = tune_main(*call, "--nofigures")  # the same command again: nothing is run
    assert (status, err) == (0, "")
    assert "trial 1: validation" not in out
    assert (found / "summary.json").read_bytes() == before
    for more, said in (
        ("--space=lr=1e-3..1:log", "has another search space (lr is"),
        ("--hidden=16", "has other fixed settings (hidden is [8], here [16])"),
        ("--study_name=else", "a study whose name is fmnist digits, here else"),
    ):
        status, _, err = tune_main(*call, more)
        assert (status, err.count("\n")) == (1, 1)
        assert said in err
    status, _, err = fmnist_main("--dataset=digits", f"--workdir={folder}")
    assert (status, err.count("\n")) == (1, 1)
    assert "is not empty" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name the experiment to tune, one of fmnist, cifar10, transfer"),
        (("mnist",), "there is 'mnist'"),
        (("fmnist", "--out=/proc/no/a.json"), "cannot write /proc/no/a.json"),
        (("fmnist", "--trials=0"), "--trials=0 cannot be used; it must be at least 1"),
        (("fmnist", "--minutes=0"), "--minutes=0 cannot be used"),
        (("fmnist", "--jobs=0"), "--jobs=0 cannot be used"),
        (("fmnist", "--seeds=0"), "--seeds=0 cannot be used"),
        (("fmnist", "--tensorboard"), "takes no --tensorboard"),
        (("fmnist", "--watch_test"), "takes no --watch_test"),
        (("fmnist", "--patience=3"), "takes no --patience"),
        (("fmnist", "--hold_out=0"), "leaves no validation split"),
        (("fmnist", "--epochs=0"), "trains nothing"),
        (("fmnist", "--run=8"), "a program of its own"),
        (("cifar10", "--preset=speedrun"), "a program of its own"),
        (("fmnist", "--preset=fast"), "unknown --preset=fast"),
        (("fmnist", "--lr=0.1", "--space=lr=1|2"), "--space searches lr, which a flag fixes"),
        (("fmnist", "--space=rate=1|2"), "--space=rate=1|2 names no setting"),
        ((*SMALL, "--lr=0.1"), "needs a setting to search"),
        ((*SMALL, "--storage=study.db"), "the --storage study.db cannot be read; give sqlite:"),
        ((*SMALL, "--storage=journal:////nowhere/study.log"), "No such file or directory"),
    ],
)
def test_bad_input_is_one_sentence(tune_main, tmp_path, arguments, said):
    status, _, err = tune_main(*arguments, f"--workdir={tmp_path / 'new'}")
    assert (status, err.count("\n")) == (1, 1)
    assert said in err
    assert not (tmp_path / "new").exists()


def test_a_study_that_is_refused_leaves_no_new_folder(tune_main, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def refuse(*of) -> None:
        raise UserError("it cannot be claimed.")

    monkeypatch.setattr(tuning, "claim", refuse)
    assert tune_main(*SMALL, "--trials=1")[::2] == (1, "error: it cannot be claimed.\n")
    assert not list(tmp_path.glob("runs/tune/*"))


def test_a_folder_that_holds_something_else_is_left_alone(tune_main, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    status, _, err = tune_main(*SMALL, "--trials=1", f"--workdir={tmp_path}")
    assert (status, err.count("\n")) == (1, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("experiment", ["fmnist", "cifar10"])
def test_every_space_can_be_searched(experiment):
    for model, searched in spaces.SPACES[experiment].items():
        space = search_space.parse(",".join(searched.space))
        given = {"model": model, **searched.fixed, "hold_out": 0.1, "watch_test": False}
        search_space.check(space, tuning.configured(experiment, None, None, given))
    for name in choose.NAMED[experiment]:
        if name == "speedrun":
            continue
        model = choose.NAMED[experiment][name]["model"]
        searched = spaces.space_of(experiment, model, "all")
        base = tuning.configured(experiment, None, name, searched.fixed)
        search_space.check(search_space.parse(",".join(searched.space)), base)


def test_a_study_on_cifar10_starts_from_run_10_and_never_watches_the_test_set(tmp_path):
    plan = planned("cifar10", "--dataset=digits", "--minutes=1", folder=tmp_path)
    first = plan.search.preset
    assert (first.model.model, first.evaluation.watch_test) == ("documented_cnn", False)
    assert first.data.hold_out == tuning.HOLD_OUT
    later = plan.search.configure({**plan.search.fixed, **plan.search.given})
    assert (later.model.model, later.optim.optimizer) == ("speednet", "airbench")
    assert plan.search.trials is None
    record = {"number": 1, "first": False, "params": {}}
    winning = tuning.setting_flags(final_settings(plan.search, record))
    assert {"--nowatch_test", "--hold_out=0"} <= set(winning)
    assert plan.search.data == identity(plan.identified)


def test_the_winners_command_starts_from_what_its_study_did(tmp_path):
    name = next(name for name in choose.NAMED["cifar10"] if name != "speedrun")
    planned("cifar10", "--dataset=digits", f"--preset={name}", folder=tmp_path / "preset")
    assert f"--preset={name}" in tuning.command("cifar10", ["--lr=0.1"])
    planned("fmnist", "--dataset=digits", "--run=2", folder=tmp_path / "run")
    assert tuning.command("fmnist", ["--lr=0.1"])[3:5] == ["--run=2", "--lr=0.1"]


def test_a_folder_belongs_to_a_study_in_its_storage(tmp_path):
    planned("fmnist", "--dataset=digits", folder=tmp_path)
    with pytest.raises(
        UserError, match=r"a study whose storage is sqlite.*, here sqlite:///.*else"
    ):
        planned(
            "fmnist", "--dataset=digits", f"--storage=sqlite:///{tmp_path}/else.db", folder=tmp_path
        )


@pytest.mark.parametrize("experiment", ["fmnist", "cifar10"])
@pytest.mark.parametrize("first", [True, False])
def test_the_printed_command_has_the_settings_of_the_finals(experiment, first, tmp_path):
    of = planned(experiment, "--dataset=digits", folder=tmp_path).search
    ends = {k: d.low if isinstance(d, Range) else d.values[-1] for k, d in of.space.items()}
    params = {name: stored(of.space[name], value) for name, value in ends.items()}
    record = {"first": first, "params": params}
    printed = tuning.command(experiment, tuning.setting_flags(final_settings(of, record)))
    for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
    flags.FLAGS(printed[2:])
    found = tuning.configured(experiment, None, None, cli.given_settings())
    assert found == final_config(of, record)


@pytest.mark.parametrize("model", spaces.SPACES["cifar10"])
def test_a_space_holds_what_its_optimiser_usually_has(model):
    """A range a thousand times too high once let no trial of the speed network learn."""
    searched = spaces.space_of("cifar10", model, "all")
    usual = DEFAULTS["torch"][searched.fixed["optimizer"]]
    space = search_space.parse(",".join(searched.space))
    for setting, name in (("lr", "learning_rate"), ("weight_decay", "weight_decay")):
        assert space[setting].low <= usual[name] <= space[setting].high


def test_spaces_for_photos_can_be_searched():
    for name in choose.NAMED["transfer"]:
        settings = Config.of(**choose.NAMED["transfer"][name])
        searched = spaces.space_of("transfer", None, settings.train.trainable)
        search_space.check(search_space.parse(",".join(searched.space)), settings)


def test_a_study_moved_with_its_folder_goes_on(tmp_path):
    call = ("fmnist", "--dataset=digits", "--study_name=mine")
    first = planned(*call, folder=tmp_path / "here").search
    first.open()
    (tmp_path / "here").rename(tmp_path / "there")
    moved = planned(*call[:2], folder=tmp_path / "there").search
    assert (moved.name, moved.url) == ("mine", first.url.replace("here", "there"))


def test_a_command_that_leaves_the_rest_to_another_ends_well(tune_main, tmp_path, monkeypatch):
    def elsewhere(*_, **__):
        raise Elsewhere("another one does that.")

    monkeypatch.setattr("imgcls_jax.train.tuning.trials.run_trials", elsewhere)
    status, out, err = tune_main(*SMALL, "--trials=1", f"--workdir={tmp_path / 'study'}")
    assert (status, err) == (0, "")
    assert out.endswith("\nAnother one does that.\n")


@pytest.mark.slow
def test_two_commands_on_one_folder_train_nothing_twice(tmp_path):
    call = [
        sys.executable, "-m", "experiments.tune", *SMALL, "--trials=4", "--seeds=2", "--nofigures",
        f"--workdir={tmp_path / 'study'}",
    ]  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    both = [subprocess.Popen(call, **pipes) for _ in range(2)]
    told = [process.communicate(timeout=290) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert sum("Result" in out for out, _ in told) == 1
    assert (
        sum(
            "The trials of this" in out or "The command" in out or "are done" in out
            for out, _ in told
        )
        == 1
    )
    summary = json.loads((tmp_path / "study" / "summary.json").read_text())
    assert [record["state"] for record in summary["trials"]].count("running") == 0
    assert len(summary["trials"]) == 4
    begun = [line for out, _ in told for line in out.splitlines() if line.endswith(": begins")]
    assert len(begun) == len(set(begun)) == 2 * len(summary["test_met_by"])


@pytest.mark.slow
@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGTERM])
def test_a_study_in_processes_goes_on_after_its_end(tmp_path, ended_by):
    call = [
        sys.executable, "-m", "experiments.tune", *SMALL[:-1], "--epochs=60", "--jobs=2",
        "--trials=5", "--seeds=1", "--nofigures", f"--workdir={tmp_path / 'study'}",
    ]  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    process = subprocess.Popen(call, **pipes)
    for line in process.stdout:
        if "trial 0: validation" in line:
            break
    process.send_signal(ended_by)
    _, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    if ended_by == signal.SIGTERM:
        *heard, said = err.splitlines()  # the first where the trials take a while to stop
        assert heard in ([], ["stopping; Ctrl-C once more leaves at once."])
        assert (process.returncode, "is intact, run the same command" in said) == (130, True)
    time.sleep(2)
    again = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)
    assert again.returncode == 0, again.stderr
    summary = json.loads((tmp_path / "study" / "summary.json").read_text())
    states = [record["state"] for record in summary["trials"]]
    assert len(states) == 5
    assert set(states) <= {"complete", "pruned"}
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
