"""What trials and the end of a search are given, each by a stand-in for what it hands on to."""

import types

import pytest

from imgcls_jax.config import Config
from imgcls_jax.train import workers
from imgcls_jax.train.tuning import repeats, study, trials, tune
from imgcls_jax.train.tuning.search import Search
from imgcls_jax.train.tuning.search_space import Range, parse
from imgcls_jax.workdir import Workdir

optuna = pytest.importorskip("optuna")

NEVER = workers.Stop(lambda: False)


class _Trial:
    """Stands for a trial of Optuna's that is always hopeless."""

    def __init__(self, **attributes):
        self.user_attrs, self.reported, self.asked = attributes, [], {}

    def report(self, value, step):
        self.reported.append((step, value))

    def should_prune(self):
        return True

    def set_user_attr(self, name, value):
        self.user_attrs[name] = value

    def suggest_float(self, name, low, high, *, log=False):
        self.asked[name] = (low, high, log)
        return low

    suggest_int = suggest_float


def test_the_settings_to_beat_are_never_given_up():
    """The first of several processes' trials would be, once another has a better epoch."""
    record = {"epoch": 1, "validation_accuracy": 0.5}
    first = _Trial(first=True)
    trials._Reporting(first, epochs=9, stop=NEVER).epoch(record)
    assert first.reported == [(1, 0.5)]
    with pytest.raises(optuna.TrialPruned, match=r"pruned after epoch 1 with .* 0\.5000"):
        trials._Reporting(_Trial(), epochs=9, stop=NEVER).epoch(record)
    trials._Reporting(_Trial(), epochs=1, stop=NEVER).epoch(record)  # it is done


def test_a_trial_counts_its_last_epoch(monkeypatch):
    """A run that is trained on everything has no best epoch to stop at."""
    history = [{"epoch": n, "validation_accuracy": 0.9 - 0.1 * n} for n in (1, 2)]
    trainer = types.SimpleNamespace(parameters=7, watched=types.SimpleNamespace(split=[1, 2, 3]))
    monkeypatch.setattr(trials, "make_trainer", lambda config, dataset: trainer)
    monkeypatch.setattr(trials, "fit", lambda trainer, **of: (None, history))
    found = trials._train(Config.of(dataset="digits", epochs=2), _Trial(), None, NEVER)
    assert found == (history[1], 7, 3)


def test_a_logarithmic_range_is_proposed_on_its_scale():
    trial = _Trial()
    study.suggest(trial, parse("lr=1e-4..1e-2:log,dropout=0..0.5,batch_size=16..256:log"))
    assert trial.asked == {
        "lr": (1e-4, 1e-2, True), "dropout": (0, 0.5, False), "batch_size": (16, 256, True)
    }  # fmt: skip


def test_a_range_holds_its_ends():
    found = Range(0.1, 0.3)
    assert [found.holds(value) for value in (0.1, 0.2, 0.3, 0.31, True)] == [
        True, True, True, False, False
    ]  # fmt: skip


def test_a_trial_that_two_machines_queued_is_queued_no_third_time():
    said = [{"first": True}, {"first": True}, {"repeats": 0}, {"repeats": 0}, {"reason": "ill"}]
    of = [types.SimpleNamespace(number=n, user_attrs=attrs) for n, attrs in enumerate(said)]
    assert [trial.number for trial in repeats.unfinished(of)] == [2]


def _search(folder):
    base = {"dataset": "digits", "hidden": (8,), "batch_size": 100, "epochs": 2, "seed": 5}
    return Search(
        configure=lambda given: Config.of(**{**base, **given}),
        given={"hold_out": 0.1},
        fixed={"optimizer": "adamw"},
        space=parse("lr=1e-3..1e-1:log"),
        data="digits",
        url="",
        name="test",
        folder=folder,
        pruner="none",
        trials=3,
    )


@pytest.mark.parametrize("jobs", [1, 3])
def test_finals_are_of_every_seed_on_everything_but_the_test_set(
    tmp_path, digits, monkeypatch, jobs
):
    trained, repeated = [], []

    def train(config, *, dataset, workdir, **of):
        place = workdir.path.relative_to(tmp_path).as_posix()
        trained.append((place, config.train.seed, config.optim.optimizer, config.data.hold_out))
        assert dataset is digits
        return {"test_accuracy": 0.5}

    def repeat(config, *, seeds, workdir, **of):
        repeated.append((workdir.path.name, config.train.seed, seeds, config.data.hold_out))
        return workdir.path.name

    def spread(task, jobs):
        for job in jobs:
            task(*job, stop=NEVER)

    monkeypatch.setattr(tune.run, "train", train)
    monkeypatch.setattr(tune.run, "repeat", repeat)
    monkeypatch.setattr(tune, "spread", spread)
    values = {0: 0.8, 1: 0.7, 2: 0.9}
    records = [
        {
            "number": n,
            "value": value,
            "first": n == 0,
            "params": {"lr": 0.01 * (n + 1)},
            "state": "complete",
        }
        for n, value in values.items()
    ]
    found = tune.finals(
        _search(tmp_path), records, digits, seeds=2, jobs=jobs, workdir=Workdir(tmp_path)
    )
    assert sorted(trained) == [
        ("trial-0/seed-5", 5, "adam", 0.0), ("trial-0/seed-6", 6, "adam", 0.0),
        ("trial-2/seed-5", 5, "adamw", 0.0), ("trial-2/seed-6", 6, "adamw", 0.0),
    ]  # fmt: skip
    assert repeated == [("trial-2", 5, 2, 0.0), ("trial-0", 5, 2, 0.0)]
    assert found == {2: "trial-2", 0: "trial-0"}
