"""Commands and the folders they write into: nobody else's, new ones are new."""

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import QUICK

from experiments import cifar10, ensemble, fmnist, inspect, train, transfer, tune
from experiments.cli import folders
from imgcls_jax.config import Config
from imgcls_jax.files import held
from imgcls_jax.workdir import Workdir

ROOT = Path(__file__).parents[2]


@pytest.fixture
def elsewhere():
    """Holds a folder by another thread, as another process would: (folder) -> None."""
    with ThreadPoolExecutor(1) as thread:
        blocks = []

        def hold(folder) -> None:
            blocks.append(held(folder))
            thread.submit(blocks[-1].__enter__).result()

        yield hold
        for block in blocks:
            thread.submit(block.__exit__, None, None, None).result()


@pytest.mark.parametrize(
    "arguments",
    [
        QUICK,
        (*QUICK, "--seeds=2"),
        ("--run=8", "--dataset=digits"),
        ("--dataset=digits", "--hold_out=0.2", "--evaluate=best"),
    ],
    ids=" ".join,
)
def test_a_folder_in_use_is_refused_before_anything_is_loaded(
    fmnist_main, tmp_path, elsewhere, monkeypatch, arguments
):
    monkeypatch.setattr("imgcls_jax.data.load", None)
    elsewhere(tmp_path)
    status, _, err = fmnist_main(*arguments, f"--workdir={tmp_path}")
    assert (status, err.count("\n")) == (1, 1)
    assert f"error: {tmp_path} is in use by process " in err
    assert err.endswith("or choose another --workdir.\n")


def test_so_are_those_of_races_inspections_and_studies(
    cifar10_main, any_main, tmp_path, elsewhere, monkeypatch
):
    elsewhere(tmp_path / "taken")
    where = tmp_path / "taken"
    status, _, err = cifar10_main("--preset=speedrun", f"--workdir={where}")
    assert (status, "is in use" in err) == (1, True)
    for command in (f"--out={where}", f"--apply={where / 'findings.csv'}", f"--undo={where}"):
        status, _, err = any_main(inspect.main, f"--data_dir={tmp_path}", command)
        assert (status, "is in use" in err) == (1, True), err
    monkeypatch.setattr("experiments.cli.tuning._PATIENCE", 0.1)
    status, _, err = any_main(
        tune.main, "fmnist", "--dataset=digits", "--trials=1", f"--workdir={where}"
    )
    assert (status, "is in use" in err) == (1, True)
    monkeypatch.setattr(ensemble.members, "find", lambda *_, **__: [])
    monkeypatch.setattr(ensemble.members, "read", lambda _: [])
    status, _, err = any_main(ensemble.main, "--members=a", f"--workdir={where}")
    assert (status, "is in use" in err) == (1, True)


def test_new_folders_are_made_by_one_command_each(tmp_path, monkeypatch):
    """Also in the same second: a test and a making would let two pass."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda _: "now")
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: folders.new("fmnist", "run"), range(8)))
    assert len(set(made)) == 8
    assert {path.name for path in made} == {"run-now" + "x" * n for n in range(8)}


def test_a_command_that_fails_at_once_leaves_no_new_folder(fmnist_main, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, err = fmnist_main("--dataset=digits", "--batch_size=0")
    assert (status, "--batch_size=0 cannot be used" in err) == (1, True)
    assert not list(tmp_path.glob("runs/fmnist/*"))
    (tmp_path / "runs").rename(tmp_path / "gone")
    (tmp_path / "runs").touch()
    status, _, err = fmnist_main(*QUICK)
    assert (status, "cannot make runs/fmnist/" in err) == (1, True)


@pytest.mark.parametrize(
    "given",
    [
        ("--data_dir=nowhere", "--weights=none", "--model=resnet20", "--trainable=all"),
        ("--data_dir=empty", "--weights=none", "--model=resnet20", "--trainable=all"),
        ("--weights=none", "--model=resnet20", "--trainable=all"),
        ("--data_dir=nowhere", "--weights=gone.h5"),
    ],
    ids=" ".join,
)
def test_photos_that_are_not_there_leave_no_new_folder(transfer_main, tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    status, _, err = transfer_main("--image_size=32", *given)
    assert (status, err.count("\n")) == (1, 1)
    assert not list(tmp_path.glob("runs/transfer/*"))


@pytest.mark.parametrize("several", [(), ("--seeds=2",)], ids=" ".join)
def test_an_error_before_training_leaves_a_folder_only_where_it_was_named(
    fmnist_main, tmp_path, monkeypatch, several
):
    monkeypatch.chdir(tmp_path)
    given = ("--dataset=digits", "--batch_size=2000", *several)
    status, _, err = fmnist_main(*given)
    assert (status, "larger than the training set of 1437" in err) == (1, True)
    assert not list(tmp_path.glob("runs/fmnist/*"))
    status, _, _ = fmnist_main(*given, "--workdir=mine")
    assert status == 1
    kept = "seeds.json" if several else "config.json"
    assert kept in {path.name for path in (tmp_path / "mine").rglob("*.json")}


def test_a_folder_in_which_something_was_done_stays(tmp_path):
    workdir = Workdir(tmp_path / "run")
    workdir.claim(Config())
    (workdir.path / ".lock").touch()
    for name in ("metrics.jsonl", "checkpoints/last/1/arrays", "seed-0/summary.json"):
        (workdir.path / name).parent.mkdir(parents=True, exist_ok=True)
        (workdir.path / name).touch()
        folders._forget(workdir.path)
        assert (workdir.path / "config.json").exists()
        (workdir.path / name).unlink()
    folders._forget(workdir.path)
    assert [path.name for path in workdir.path.iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("command", "given"),
    [
        (fmnist, ("--dataset=digits",)),
        (cifar10, ()),
        (transfer, ("--data_dir=.",)),
        (transfer, ("--data_dir=.", "--weights=none")),
        (transfer, ("--data_dir=.", "--weights=none", "--preset=fine_tuned")),
        (transfer, ("--data_dir=.", "--run=12")),
        (train, ("--dataset=digits",)),
        (train, ("--dataset=folder", "--data_dir=.", "--weights=none")),
        (tune, ("fmnist", "--dataset=digits", "--trials=1")),
        (tune, ("transfer", "--data_dir=.", "--weights=none", "--trials=1")),
    ],
)
def test_an_unknown_model_is_one_sentence(any_main, tmp_path, monkeypatch, command, given):
    monkeypatch.chdir(tmp_path)
    status, _, err = any_main(command.main, "--model=resnet99", *given)
    assert (status, err.count("\n")) == (1, 1), err
    assert "error: unknown --model=resnet99; perhaps resnet" in err
    assert not list(tmp_path.glob("runs/*/*"))


def test_a_command_that_only_reads_is_let_in(fmnist_main, tmp_path, elsewhere):
    assert fmnist_main(*QUICK, "--nofigures", f"--workdir={tmp_path}")[0] == 0
    elsewhere(tmp_path)
    status, out, err = fmnist_main("--epochs=0", f"--workdir={tmp_path}")
    assert (status, err) == (0, "")
    assert "test accuracy" in out
    status, _, err = fmnist_main(f"--workdir={tmp_path}")
    assert (status, "is in use" in err) == (1, True)


@pytest.mark.slow
def test_of_two_commands_on_one_new_folder_one_trains(tmp_path):
    def start(*arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "experiments.fmnist", "--dataset=digits", *arguments]
        return subprocess.Popen(
            [*command, "--nofigures", f"--workdir={tmp_path / 'run'}"],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    both = [start("--epochs=900", f"--lr={lr}", "--checkpoint_every=2s") for lr in (0.1, 0.01)]
    until = time.monotonic() + 200
    while all(process.poll() is None for process in both) or not list(
        tmp_path.glob("run/checkpoints/last/[0-9]*")
    ):
        assert time.monotonic() < until
        time.sleep(0.1)
    (refused,) = (process for process in both if process.returncode is not None)
    (first,) = {*both} - {refused}
    said = refused.communicate()[1]
    assert (refused.returncode, f"is in use by process {first.pid};" in said) == (1, True), said
    first.send_signal(signal.SIGTERM)
    said = first.communicate(timeout=60)[1]
    assert (first.returncode, "to continue" in said) == (130, True), said
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(1, len(lines) + 1))
    assert not list((tmp_path / "run").glob(".*"))
