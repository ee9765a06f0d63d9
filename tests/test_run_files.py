"""Files of a run's folder that are valid JSON and wrong: one sentence, whoever reads them."""

import json
import shutil

import numpy as np
import pytest
from conftest import SMALL
from run_helpers import EPOCH, NETWORK, SUMMARY

from imgcls_jax.config import Config
from imgcls_jax.errors import UserError
from imgcls_jax.limits import kept
from imgcls_jax.predict import members
from imgcls_jax.predict.ensemble import restore_ensemble
from imgcls_jax.predict.restored import restore
from imgcls_jax.train.ledger import Ledger
from imgcls_jax.workdir import Workdir

FACTS = {"temperature": 1.5, "held_out": {"of": "some", "examples": 3, "identity": "x"}}
RACE = {
    "run": "speedrun", "seeds": [0], "accuracies": [0.5], "train_seconds": [1.0],
    "total_seconds": [1.0], "warmup_seconds": 1.0, "preparation_seconds": 0.1, "device": "cpu",
    **{f"{of}_summary": {"mean": 0.5, "std": None}
       for of in ("accuracies", "train_seconds", "total_seconds")},
}  # fmt: skip


def _claimed_race(folder):
    workdir = Workdir(folder)
    workdir.write_json("race.json", SMALL.to_json() | {"seeds": 1})
    return workdir.claim_race(SMALL, seeds=1)


def _summary(folder):
    (folder / "predictions.npz").touch()
    return Workdir(folder).summary()


# File -> what it holds at least, and who reads it.
READ = {
    "config.json": (Config().to_json(), lambda folder: Workdir(folder).config()),
    "seeds.json": (Config().to_json(), lambda folder: Workdir(folder).config(several=True)),
    "network.json": (NETWORK, lambda folder: Workdir(folder).network_record()),
    "head.json": ({"seconds": 1.0}, lambda folder: Workdir(folder).head_seconds()),
    "ensemble.json": ({"members": [], "weighting": None}, lambda f: Workdir(f).ensemble()),
    "calibration.json": (FACTS, kept.facts),
    "summary.json": (SUMMARY, _summary),
}
BROKEN = ("[]", "null", "3", '"text"', "NaN", "[" * 20_000, "{", '{"a": 1, "a": 2}')


@pytest.mark.parametrize("name", READ)
def test_a_file_that_is_no_object_is_one_sentence(name, tmp_path):
    held, read = READ[name]
    (tmp_path / "metrics.jsonl").touch()  # a run was begun
    (tmp_path / name).write_text(json.dumps(held))
    assert read(tmp_path) is not None
    for content in BROKEN:
        (tmp_path / name).write_text(content)
        with pytest.raises(UserError) as caught:
            read(tmp_path)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", READ)
def test_a_value_of_another_type_is_one_sentence_that_names_it(name, tmp_path):
    held, read = READ[name]
    (tmp_path / "metrics.jsonl").touch()
    for key in [*held][:: 1 + len(held) // 20]:
        for wrong in ({"line\nfeed": [[]]}, [[{}]], 10**400):
            (tmp_path / name).write_text(json.dumps(held | {key: wrong}))
            with pytest.raises(UserError) as caught:
                read(tmp_path)
            assert key in str(caught.value)
            assert "\n" not in str(caught.value)


def test_a_speed_run_is_shown_from_a_whole_summary_alone(tmp_path):
    (tmp_path / "summary.json").write_text(json.dumps(RACE))
    assert _claimed_race(tmp_path) == RACE
    for key, wrong in (("accuracies", ["0.5"]), ("device", None), ("seeds", 1)):
        (tmp_path / "summary.json").write_text(json.dumps(RACE | {key: wrong}))
        with pytest.raises(UserError, match=rf"summary\.json cannot be used \(`{key}"):
            _claimed_race(tmp_path)


def test_a_line_that_is_no_record_of_an_epoch_is_left_out(tmp_path):
    lines = [EPOCH, EPOCH | {"epoch": 2, "step": 20}, EPOCH | {"epoch": "3"}]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert [record["epoch"] for record in Workdir(tmp_path).history()] == [1, 2]
    for odd in ('{"epoch": 1}', "[" * 20_000, json.dumps(EPOCH | {"train_loss": None}), "NaN"):
        (tmp_path / "metrics.jsonl").write_text(f"{odd}\n{json.dumps(EPOCH)}\n")
        assert Workdir(tmp_path).history() == [EPOCH]


def test_a_run_that_chooses_by_validation_needs_its_accuracy_of_every_epoch(tmp_path):
    """Or the best epoch would be looked for among records that do not say."""
    workdir = Workdir(tmp_path)
    validated = EPOCH | {"validation_loss": 1.0, "validation_accuracy": 0.5}
    workdir.set_history([validated, EPOCH | {"epoch": 2, "step": 20}])
    of = {"num_classes": 10, "steps": 10}
    best = SMALL.replace(hold_out=0.2, evaluate="best")
    assert len(Ledger(SMALL, workdir, None, epochs=2, **of).history) == 2
    with pytest.raises(UserError, match="epoch 2 came to, and the checkpoint is of epoch 2"):
        Ledger(best, workdir, None, epochs=2, **of)


def test_a_calibration_says_where_it_is_from_or_why_there_is_none(tmp_path):
    for facts, missing in (({"temperature": 1.5}, "held_out"), ({"temperature": None}, "why_not")):
        (tmp_path / "calibration.json").write_text(json.dumps(facts))
        with pytest.raises(UserError, match=rf"cannot be used \(`{missing}` is missing\); remove"):
            kept.facts(tmp_path)


ARRAYS = {
    "labels": np.array([0, 1, 2]),
    "logits": np.zeros((3, 3), np.float32),
    "distances": np.zeros(3, np.float32),
    "statistics_centre": np.zeros(4, np.float32),
    "statistics_whiten": np.zeros((4, 4), np.float32),
    "statistics_plain_means": np.zeros((3, 4), np.float32),
    "statistics_plain_offsets": np.zeros(3, np.float32),
    "statistics_means": np.zeros((3, 4), np.float32),
    "statistics_offsets": np.zeros(3, np.float32),
    "statistics_scales": np.ones(3, np.float32),
}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("labels", np.array([0, 1])),
        ("labels", np.array([0, 1, 3])),
        ("labels", np.array([0.0, 1, 2])),
        ("logits", np.full((3, 3), np.nan, np.float32)),
        ("logits", np.zeros(3, np.float32)),
        ("distances", np.zeros((3, 1), np.float32)),
        ("statistics_centre", np.zeros(5, np.float32)),
        ("statistics_whiten", np.zeros((4, 5), np.float32)),
        ("statistics_means", np.zeros((2, 4), np.float32)),
        ("statistics_scales", np.ones(4, np.float32)),
        ("statistics_scales", np.array(["a", "b", "c"])),
    ],
)
def test_arrays_of_limits_that_do_not_fit_together_are_one_sentence(name, wrong, tmp_path):
    (tmp_path / "calibration.json").write_text(json.dumps(FACTS))
    np.savez(tmp_path / "limits.npz", **ARRAYS)
    assert kept.read(tmp_path).statistics is not None
    np.savez(tmp_path / "limits.npz", **ARRAYS | {name: wrong})
    with pytest.raises(UserError, match=r"limits\.npz is damaged; bring back a good one"):
        kept.read(tmp_path)


@pytest.mark.parametrize("weights", [[0.5], [0.5, 0.6], []])
def test_an_ensembles_weights_are_one_per_member_and_of_sum_1(weights, tmp_path):
    places = [{"path": name, "digest": "0" * 16} for name in "ab"]
    held = {"members": places, "weighting": None, "weights": weights}
    (tmp_path / "ensemble.json").write_text(json.dumps(held))
    with pytest.raises(UserError, match=r"is damaged: its weights are not one per member"):
        restore_ensemble(tmp_path)


@pytest.mark.parametrize("normalise", ["standard", "whiten"])
def test_a_record_of_another_network_is_one_sentence(normalise, tmp_path):
    for constants in ({}, {"mean": [[1], [2, 3]], "std": "x"}):
        record = NETWORK | {"normalise": {"name": normalise, "constants": constants}}
        Workdir(tmp_path).write_json("network.json", record)
        config = SMALL.replace(normalise=normalise, model="resnet20", hidden=())
        Workdir(tmp_path).write_json("config.json", config.to_json())
        with pytest.raises(UserError, match="are not of one network"):
            restore(tmp_path)


def test_a_study_that_is_none_gives_no_validation_accuracy(tmp_path):
    of = tmp_path / "finals" / "trial-2" / "seed-0"
    of.mkdir(parents=True)
    trial = {"number": 2, "value": 0.75}
    for content, found in (
        ({"trials": [trial]}, 0.75),
        ({"trials": {}}, None),
        ({"trials": [trial | {"value": "0.9"}]}, None),
        ([], None),
    ):
        (tmp_path / "summary.json").write_text(json.dumps(content))
        assert members._validation_accuracy(of) == found


def test_hidden_files_leave_a_folder_empty(tmp_path):
    for name in (".DS_Store", ".gitkeep", ".lock"):
        (tmp_path / name).touch()
    workdir = Workdir(tmp_path)
    workdir.claim(SMALL)
    workdir.claim(SMALL.replace(lr=0.5))  # nothing was done in it
    assert (tmp_path / ".gitkeep").exists()
    shutil.copy(tmp_path / "config.json", tmp_path / "thesis.json")
    with pytest.raises(UserError, match="is not empty and holds no run"):
        workdir.make_empty()
