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

pytest.importorskip("optuna")

from experiments import tune
from experiments.cli import flags as cli
from experiments.cli import tuning
from experiments.presets import choose, spaces
from imgcls_jax.config import Config
from imgcls_jax.data.dataset import identity
from imgcls_jax.errors import UserError
from imgcls_jax.train import search_space

ROOT = Path(__file__).parents[2]
# One setting is searched; the others are fixed, small or without a cost of compiling.
SMALL = (
    "fmnist", "--dataset=digits", "--epochs=2", "--hidden=8", "--batch_size=100", "--augment=",
    "--schedule=constant", "--ema=0", "--dropout=0", "--weight_decay=0.01",
    "--label_smoothing=0.1", "--jobs=1",
)  # fmt: skip


def _planned(*arguments, folder):
    """Returns what a command line comes to."""
    for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
    flags.FLAGS(["tune", *arguments])
    return tuning.plan(arguments[0], number=None, name=None, folder=str(folder))


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
    ],
)
def test_bad_input_is_one_sentence(tune_main, tmp_path, arguments, said):
    status, _, err = tune_main(*arguments, f"--workdir={tmp_path / 'new'}")
    assert (status, err.count("\n")) == (1, 1)
    assert said in err
    assert not (tmp_path / "new").exists()


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
    plan = _planned("cifar10", "--dataset=digits", "--minutes=1", folder=tmp_path)
    first = plan.search.preset
    assert (first.model.model, first.evaluation.watch_test) == ("documented_cnn", False)
    assert first.data.hold_out == tuning.HOLD_OUT
    later = plan.search.configure({**plan.search.fixed, **plan.search.given})
    assert (later.model.model, later.optim.optimizer) == ("speednet", "airbench")
    assert plan.search.trials is None
    winning = tuning.setting_flags(plan.search.given)
    assert {"--nowatch_test", "--hold_out=0"} <= set(winning)
    assert plan.search.data == identity(plan.whole)


def test_the_winners_command_starts_from_what_its_study_did(tmp_path):
    name = next(name for name in choose.NAMED["cifar10"] if name != "speedrun")
    _planned("cifar10", "--dataset=digits", f"--preset={name}", folder=tmp_path / "preset")
    assert f"--preset={name}" in tuning.command("cifar10", ["--lr=0.1"])
    _planned("fmnist", "--dataset=digits", "--run=2", folder=tmp_path / "run")
    assert tuning.command("fmnist", ["--lr=0.1"])[3:5] == ["--run=2", "--lr=0.1"]


def test_a_folder_belongs_to_a_study_in_its_storage(tmp_path):
    _planned("fmnist", "--dataset=digits", folder=tmp_path)
    with pytest.raises(UserError, match=r"a study whose storage is sqlite.*, here sqlite:///else"):
        _planned("fmnist", "--dataset=digits", "--storage=sqlite:///else.db", folder=tmp_path)


def test_spaces_for_photos_can_be_searched():
    for name in choose.NAMED["transfer"]:
        settings = Config.of(**choose.NAMED["transfer"][name])
        searched = spaces.space_of("transfer", None, settings.train.trainable)
        search_space.check(search_space.parse(",".join(searched.space)), settings)


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
        assert (process.returncode, err.count("\n")) == (130, 1)
        assert "is intact, run the same command to go on" in err
    time.sleep(2)
    again = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)
    assert again.returncode == 0, again.stderr
    summary = json.loads((tmp_path / "study" / "summary.json").read_text())
    states = [record["state"] for record in summary["trials"]]
    assert len(states) == 5
    assert set(states) <= {"complete", "pruned"}
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
