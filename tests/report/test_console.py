"""The table at the end of a run: sizes, seconds and intervals, also those of older summaries."""

import pytest
from golden import behaviour

from experiments.documented import RUNS
from experiments.presets import choose
from imgcls_jax import metrics
from imgcls_jax.config import Config
from imgcls_jax.report import console
from imgcls_jax.train import run
from imgcls_jax.workdir import Workdir


@pytest.fixture(scope="module")
def old():
    """What version 0.1 left: no sizes, no seconds of a head, one interval."""
    return Workdir(behaviour.GOLDEN.with_name("old_runs") / "finished").summary()


def line(capsys, start: str) -> str:
    """The one line of the output that begins so."""
    (found,) = [
        x.strip() for x in capsys.readouterr().out.splitlines() if x.strip()[: len(start)] == start
    ]
    return found[len(start) :].strip()


def test_a_summary_of_an_older_version_is_shown(old, capsys):
    console.closing(old)
    assert line(capsys, "parameters") == f"{old['parameters']:,}"
    console.closing(old)
    accuracy = f"{old['test_balanced_accuracy']:.4f}"
    assert line(capsys, "balanced accuracy") == f"{accuracy}   (mean recall of classes)"


def test_sizes_and_the_balanced_interval_are_shown(old, capsys):
    new = old | {"parameters": 122_570, "parameters_mb": 0.49028, "checkpoint_mb": 1234.5}
    new["test_balanced_accuracy_interval"] = [0.25, 0.75]
    console.closing(new)
    assert line(capsys, "parameters") == "122,570   0.49 MB in float32, 1,234.50 MB as saved"
    console.closing(new)
    assert "95 % interval [0.2500, 0.7500]   (mean" in line(capsys, "balanced accuracy")


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (5, "30 s   machine: Apple GPU (PyTorch mps)"),
        (6, "40.8 s   machine: Apple GPU (PyTorch mps)"),
        (11, "7,200 s   machine: a GPU, not named"),
    ],
)
def test_documented_seconds_are_shown_beside_ours(number, shown, old, capsys):
    documented = choose.report(RUNS[number], RUNS[number].readings[0])
    console.closing(old | {"documented": documented})
    assert line(capsys, "documented training") == shown
    console.times({"train_seconds": [1.0, 2.0, 4.5], "documented": documented})
    out = capsys.readouterr().out
    assert "2.50 s on average, 1.00 to 4.50 s" in out
    assert shown in out


def test_nothing_is_said_of_seconds_that_no_document_gives(old, capsys):
    for documented in (None, choose.report(RUNS[1], RUNS[1].readings[0])):
        console.closing(old | ({"documented": documented} if documented else {}))
        console.times({"train_seconds": [1.0], "documented": documented})
        assert "documented training" not in capsys.readouterr().out


def test_groups_are_short_and_empty_ones_are_left_out(capsys):
    console.groups(
        {"Data": {"dataset": "folder", "hold_out": 0.1}, "Nothing": {}, "Training": {"hidden": ()}}
        | {"Long": {f"name_{k}": (k, "x" * 9) for k in range(5)}, "Alone": {"": "runs/a b"}}
    )
    assert capsys.readouterr().out.splitlines() == [
        "  Data      dataset=folder  hold_out=0.1",
        "  Training  hidden=-",
        "  Long      name_0=0,xxxxxxxxx  name_1=1,xxxxxxxxx  name_2=2,xxxxxxxxx",
        "            name_3=3,xxxxxxxxx  name_4=4,xxxxxxxxx",
        "  Alone     runs/a b",
    ]


def test_pooled_folds_have_intervals(tmp_path, monkeypatch, capsys):
    matrices = iter(([[8, 2], [0, 3]], [[9, 1], [1, 2]]))
    monkeypatch.setattr(
        run, "train", lambda *_, **__: {"confusion_matrix": next(matrices), "train_seconds": 1.0}
    )
    config = Config.of(dataset="folder", image_size=8, model="mlp", folds=2)
    result = run.cross_validate(
        config, name="folds", load=lambda one: None, workdir=Workdir(tmp_path)
    )
    pooled = result["pooled"]
    assert pooled["test_accuracy"] == 22 / 26
    assert pooled["test_accuracy_interval"] == list(metrics.wilson_interval(22, 26))
    low, high = pooled["test_balanced_accuracy_interval"]
    assert 0.5 < low < pooled["test_balanced_accuracy"] < high < 1
    console.pairs(console.accuracies(pooled, of=" over all"))
    assert f"[{low:.4f}, {high:.4f}]" in line(capsys, "balanced accuracy over all")


def test_seeds_have_columns_of_documented_figures_only_where_there_are_some(capsys):
    entry = {"mean": 0.9, "std": 0.1, "values": [0.8, 1.0]}
    console.spread({"test_accuracy": entry})
    assert line(capsys, "figure").split() == ["mean", "std", "min", "max"]
    console.spread({"test_accuracy": entry | {"documented": 0.95, "p": 0.5, "verdict": "fits"}})
    assert line(capsys, "test accuracy").split()[-3:] == ["0.9500", "0.5", "fits"]
