"""Whoever measures: what is finished stays, what was begun goes on, and nobody works twice."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments.documented import RUNS
from experiments.evidence import plan, work
from experiments.evidence import unit as unit_module
from experiments.evidence.claims import CLAIMS
from experiments.evidence.store import Store, results_folder
from experiments.evidence.unit import measure
from imgcls_jax import data
from imgcls_jax.config import Config
from imgcls_jax.errors import Interrupted, UserError
from imgcls_jax.train import run
from imgcls_jax.train.progress import Progress
from imgcls_jax.workdir import Workdir

ROOT = Path(__file__).parents[2]
DIGITS = data.load("digits")
SETTINGS = {
    "dataset": "digits", "model": "mlp", "hidden": (16,), "optimizer": "adam", "lr": 0.01,
    "batch_size": 64, "epochs": 2,
}  # fmt: skip


def _targets(*epochs, lr=0.01, **more):
    found = []
    for n in epochs:
        settings = SETTINGS | {"epochs": n, "lr": lr} | more
        header = {"config": plan.config_of(settings), "documented": {"figures": {}}}
        found.append(plan.Target(f"digits_{n}_{lr:g}", settings, header))
    return found


def _run(folder, targets, seeds=2, **more):
    more = {"processes": 1} | more
    store, units = Store(folder), plan.units(targets, seeds)
    work.run(units, store, load=lambda unit: DIGITS, **more)
    return store


@pytest.mark.slow
def test_the_first_epochs_of_a_longer_training_are_the_shorter_run(tmp_path):
    """Bit for bit: the figures are those of a run of its own, whatever follows."""
    store = _run(tmp_path / "out", _targets(1, 3))
    for epochs in (1, 3):
        config = Config.of(**SETTINGS | {"epochs": epochs}, seed=1)
        workdir = Workdir(tmp_path / f"run{epochs}")
        alone = run.train(config, name="alone", dataset=DIGITS, workdir=workdir)
        entry = store.read(f"digits_{epochs}_0.01")["seeds"][1]
        for figure in ("test_accuracy", "test_loss", "train_loss", "confusion_matrix"):
            assert entry[figure] == alone[figure]
        assert len(entry["by_epoch"]["train_loss"]) == epochs
    assert list((tmp_path / "out").glob(".unfinished/*seed*")) != []  # locks, until they are tidied
    assert not any(path.is_dir() for path in (tmp_path / "out" / ".unfinished").iterdir())


def test_finished_seeds_are_never_run_again_and_more_seeds_are(tmp_path, monkeypatch):
    store = _run(tmp_path, _targets(1), seeds=1)
    before = store.read("digits_1_0.01")["seeds"][0]
    trained = []
    monkeypatch.setattr(
        work, "measure", lambda unit, *a: trained.append(unit.seed) or measure(unit, *a)
    )
    _run(tmp_path, _targets(1), seeds=3)
    assert trained == [1, 2]
    assert store.read("digits_1_0.01")["seeds"][0] == before


class _StopAfter(Progress):
    def __init__(self, epochs):
        self._left = epochs

    def epoch(self, record):
        self._left -= 1

    def stop_requested(self):
        return self._left <= 0


def test_a_training_that_was_stopped_goes_on_to_the_same_end(tmp_path):
    (unit,) = plan.units(_targets(1, 4), 1)
    trainer = run.make_trainer(Config.of(**unit.settings), DIGITS)

    def entries(found, folder, progress):
        for target, entry in measure(unit, trainer, DIGITS, Workdir(tmp_path / folder), progress):
            found.append((target.epochs, {**entry, "train_seconds": None}))

    went_on, whole = [], []
    with pytest.raises(Interrupted):
        entries(went_on, "stopped", _StopAfter(2))
    assert [epochs for epochs, _ in went_on] == [1]
    entries(went_on, "stopped", Progress())
    entries(whole, "whole", Progress())
    assert went_on == whole
    lost = measure(unit, trainer, DIGITS, Workdir(tmp_path / "lost"), Progress())
    assert next(lost)[0].epochs == 1
    lost.close()  # the process died, and its file has no entry
    found_again = []
    entries(found_again, "lost", Progress())
    assert found_again == whole


def test_one_program_gives_what_trainings_alone_give(tmp_path, monkeypatch):
    rates, train_epoch = [], unit_module.Many.train_epoch

    def noted(many, watched):
        records = train_epoch(many, watched)
        rates.append([record["learning_rate"] for record in records])
        return records

    monkeypatch.setattr(unit_module.Many, "train_epoch", noted)
    targets = [*_targets(1, 2, hold_out=0.2), *_targets(2, lr=0.003, hold_out=0.2)]
    alone = _run(tmp_path / "alone", targets)
    together = _run(tmp_path / "together", targets, vectorize="on")
    for target in targets:
        ours, theirs = (s.read(target.stem)["spread"] for s in (together, alone))
        for figure in ("test_accuracy", "test_loss", "train_loss", "validation_loss"):
            assert ours[figure]["values"] == pytest.approx(theirs[figure]["values"], rel=1e-4)
    assert rates == [pytest.approx([0.01, 0.01, 0.003, 0.003])] * 2


def test_rates_of_one_program_are_those_of_the_settings_given_or_not(monkeypatch):
    """A setting that is left out has its default, as it has alone."""
    default = Config().optim.lr
    targets = [plan.Target(f"a{lr}", SETTINGS | {"lr": lr}, {}) for lr in (default, 4 * default)]
    left_out = {name: value for name, value in SETTINGS.items() if name != "lr"}
    targets[0] = plan.Target("a", left_out, {})
    units = plan.units(targets, 1)
    assert plan.program(units[0]) == plan.program(units[1])
    asked = {}

    def made(trainer, train, **of):
        asked.update(of)
        raise Interrupted("that is all.")

    monkeypatch.setattr(unit_module, "Many", made)
    trainer = types.SimpleNamespace(config=Config.of(**left_out))
    with pytest.raises(Interrupted):
        next(unit_module.measure_together(units, trainer, DIGITS, None, Progress()))
    np.testing.assert_allclose(asked["scales"], [1, 4])


def test_what_some_file_or_variant_lacks_is_missing(tmp_path):
    """One training fills two files, and another the second variant of a third."""
    store, place = Store(tmp_path), {"device": "cpu"}
    (unit,) = plan.units(targets := _targets(1, 2), 1)
    entry = {"seed": 0, "test_accuracy": 0.5}
    store.add(targets[0].stem, targets[0].header, entry, place)
    assert work.missing([unit], store) == [unit]
    store.add(targets[1].stem, targets[1].header, entry, place)
    assert work.missing([unit], store) == []
    header = {"variants": ["a", "b"], "base": "a"}
    variants = [
        plan.Target("c", SETTINGS | {"lr": lr}, header, v) for lr, v in ((1, "a"), (2, "b"))
    ]
    units = plan.units(variants, 1)
    store.add("c", header, entry | {"variant": "a"}, place)
    assert work.missing(units, store) == [u for u in units if u.targets[0].variant == "b"]


def test_a_stop_keeps_what_was_begun(tmp_path, monkeypatch):
    stop, (unit,) = [], plan.units(_targets(1), 1)

    def begun(unit, trainer, dataset, workdir, progress):
        workdir.path.mkdir(parents=True)
        stop.append(signal.SIGTERM)
        raise Interrupted("stopped.")
        yield

    monkeypatch.setattr(work, "measure", begun)
    monkeypatch.setattr(work, "make_trainer", lambda config, dataset: None)
    worker = work._Worker(Store(tmp_path), lambda unit: DIGITS, work._Quiet(stop))
    with pytest.raises(Interrupted, match="run the same command to go on"):
        worker.take(unit)
    assert [path for path in tmp_path.glob(f".unfinished/{unit.name}-*") if path.is_dir()]


@pytest.mark.parametrize("apart", [{"ema": 0.9}, {"model": "logistic_sgd"}])
def test_trainings_that_share_no_program_are_left_to_be_trained_alone(tmp_path, monkeypatch, apart):
    """As frozen photos are on a GPU, where one program is tried without being asked for."""
    target = plan.Target("a", SETTINGS | apart, {})
    units = plan.units([target], 2)

    def load(unit):
        raise AssertionError("nothing is begun")

    worker = work._Worker(Store(tmp_path), load, work._Quiet([]))
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    worker.take_together(units, "auto")
    assert work.missing(units, Store(tmp_path)) == units


def test_every_order_of_the_pixels_is_another_and_the_first_the_stored_one(monkeypatch):
    orders = []

    def validate(dataset, settings, pixels):
        orders.append(pixels)
        matrix = np.eye(2, dtype=int)
        return types.SimpleNamespace(
            scores=np.array([0.7, 0.8]),
            confusion_matrix=matrix,
            model=types.SimpleNamespace(passes=np.ones((5, 10), int)),
        ), 0.0

    monkeypatch.setattr(unit_module.logistic, "validate", validate)
    target = plan.Target("run8", {"model": "logistic_sgd", "epochs": 1}, {})
    entries = [
        unit_module.measure_logistic(plan.Unit(target.settings, (target,), seed), DIGITS)
        for seed in range(3)
    ]
    assert orders[0] is None
    assert all(sorted(order) == list(range(64)) for order in orders[1:])
    assert list(orders[1]) != list(orders[2])
    assert [entry["seed"] for entry in entries] == [0, 1, 2]
    assert entries[0]["cross_validation_accuracy"] == pytest.approx(0.75)


def test_trainings_that_cannot_share_a_program_are_made_one_by_one_or_refused(
    tmp_path, monkeypatch
):
    (target,) = _targets(1)
    settings = target.settings | {"ema": 0.9}
    target = dataclasses.replace(target, settings=settings)
    target.header["config"] = plan.config_of(settings)
    with pytest.raises(UserError, match=r"averaged weights \(`ema`\) do not share a program"):
        _run(tmp_path, [target], vectorize="on")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    store = _run(tmp_path, [target], vectorize="auto")
    assert [entry["seed"] for entry in store.read(target.stem)["seeds"]] == [0, 1]


def test_work_in_hand_elsewhere_is_left_until_it_is_done(tmp_path, monkeypatch):
    """The other process finishes one seed, and dies with another."""
    targets, store = _targets(1), Store(tmp_path)
    units = plan.units(targets, 2)
    held = [store.claim(unit.name) for unit in units]
    for claim in held:
        assert claim.__enter__()

    real = time.sleep

    def other(seconds):
        if seconds != work._POLL_SECONDS:
            return real(seconds)
        while held:
            held.pop().__exit__(None, None, None)

    monkeypatch.setattr(work.time, "sleep", other)
    _run(tmp_path, targets)
    assert store.seeds("digits_1_0.01", {}) == {(None, 0), (None, 1)}


_BAD = [
    (["--runs=16"], "--runs=16 must name documented runs, 1 to 15"),
    (["--seeds=0"], "--seeds=0 cannot be used; it must be at least 2"),
    (["--claims=none"], "there is no claim 'none'; choose from learning_rate, epochs"),
    (["--runs=12,14"], "runs 12, 13 and 14-15 are of different photos"),
    (["--runs=5", "--model=resnet50"], "--model and --weights are for runs 12-15"),
    (["--readings"], "has fewer than three seeds; measure runs 1-7 first"),
    (["--runs="], "--runs= must name documented runs, 1 to 15"),
    (["--runs=15"], "runs 12-15 are of photos; give the folder of theirs as --data_dir"),
    (["--table", "--runs=3"], "--runs does nothing beside --table; leave one of them out"),
    (["--readings", "--seeds=3"], "--seeds does nothing beside --readings"),
    (["--claims=model_size", "--only=run5"], "--only does nothing beside --claims"),
    (["--runs=2", f"--out={__file__}"], "is a file, and results go into a folder; give another"),
]


@pytest.mark.slow  # a process each
@pytest.mark.parametrize(("flags", "sentence"), _BAD)
def test_bad_input_is_one_sentence(tmp_path, flags, sentence):
    command = [sys.executable, "-m", "experiments.reproduce", f"--out={tmp_path}", *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_runs_of_photos_among_others_are_left_out_and_said_to_be():
    command = [sys.executable, "-m", "experiments.reproduce", "--runs=1-15", "--only=none"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.startswith("Left out: runs 12, 13, 14, 15, of photos; measure them by")
    assert "there is no none among these runs; choose from run1_lr0.001" in done.stderr


@pytest.mark.slow
def test_a_killed_command_goes_on_and_its_processes_end_with_it(tmp_path):
    """Kill -9 of the command: its processes save and end, and the same command finishes."""
    command = [
        sys.executable, "-m", "experiments.reproduce", "--runs=1", "--seeds=2", "--processes=2",
        f"--out={tmp_path}", f"--figures={tmp_path}", "--offline",
    ]  # fmt: skip
    killed = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    deadline = time.time() + 120
    while not list(tmp_path.glob(".unfinished/*-seed-?-*/metrics.jsonl")):
        assert time.time() < deadline
        time.sleep(0.1)
    os.kill(killed.pid, signal.SIGKILL)
    while subprocess.run(["pgrep", "-f", f"out={tmp_path}"], capture_output=True).stdout:
        assert time.time() < deadline, "processes outlived the command"
        time.sleep(0.2)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "run1_lr0.001  test accuracy" in done.stdout
    assert not list(tmp_path.glob(".unfinished/*-seed-?*"))


RESULTS = Store(results_folder())
SEEDS = {10: 5, 11: 3}  # of the others ten


@pytest.mark.parametrize("number", range(1, 12))
def test_the_files_of_the_documented_runs_lack_no_seed(number):
    """By today's settings: those that came after a file change nothing that it holds."""
    units = plan.units(plan.documented(RUNS[number]), SEEDS.get(number, 10))
    assert work.missing(units, RESULTS) == []


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_the_files_of_the_claims_lack_no_variant(claim):
    if RESULTS.read(claim.stem) is None:
        pytest.skip(f"{claim.stem} was not measured")
    assert work.missing(plan.units(claim.targets(), claim.seeds), RESULTS) == []


def test_a_setting_that_is_younger_than_a_file_had_its_default(tmp_path):
    store, place = Store(tmp_path), {"device": "cpu"}
    config = plan.config_of(SETTINGS)
    older = {name: value for name, value in config.items() if name != "sampler"}
    for wrapped in (lambda of: of, lambda of: {"a": config, "b": of}):  # a run, and a claim
        store.add("old", {"config": wrapped(older)}, {"seed": 0, "test_accuracy": 0.5}, place)
        assert store.seeds("old", {"config": wrapped(config)}) == {(None, 0)}
        with pytest.raises(UserError, match="holds other settings than are measured now"):
            store.seeds("old", {"config": wrapped(config | {"sampler": "balanced"})})
        (tmp_path / "old.json").unlink()
