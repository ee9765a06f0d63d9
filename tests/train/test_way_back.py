"""A run goes on from the checkpoint before a damaged one, and ends as if nothing had happened."""

import dataclasses
import json
import shutil

import pytest
from conftest import SMALL, same_bits
from test_loop import StopAfter, figures, train
from test_resume import EXAMPLES, judged

from imgcls_jax.checkpoint import Checkpoints
from imgcls_jax.errors import Interrupted, UserError
from imgcls_jax.predict.restored import restore
from imgcls_jax.train import run
from imgcls_jax.workdir import Workdir

CONFIG = SMALL.replace(hold_out=0.2, evaluate="best")


def damage(folder, *kinds):
    for kind in kinds:
        for path in folder.glob(f"checkpoints/{kind}/manifest.ocdbt"):
            path.write_bytes(path.read_bytes()[::-1])


@pytest.fixture
def every_epoch(monkeypatch):
    """A checkpoint after every epoch, however short."""
    monkeypatch.setattr("imgcls_jax.train.ledger.Saver.is_due", lambda self: True)


def test_a_damaged_newest_costs_an_epoch_and_no_bit(
    held_out_trainer, tmp_path, every_epoch, caplog
):
    trainer = judged(held_out_trainer, [50, 60, 70, 40])
    whole, history = train(trainer, tmp_path / "whole")
    trainer.feed.met.clear()
    with pytest.raises(Interrupted):
        train(trainer, tmp_path / "cut", progress=StopAfter(3 * EXAMPLES - 1))
    length = trainer.steps_per_epoch
    damage(tmp_path / "cut", f"last/{3 * length}", f"best/{3 * length}")
    trainer.feed.met[:] = trainer.feed.met[:2]  # as a feed tells that begins with the third
    resumed, resumed_history = train(trainer, tmp_path / "cut")
    assert f"going on from step {2 * length}" in caplog.text
    assert same_bits(whole, resumed)
    assert figures(resumed_history) == figures(history)
    lines = (tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4]
    with Checkpoints(tmp_path / "cut" / "checkpoints") as checkpoints:
        kept = checkpoints.restore("best", trainer.blank())
    assert int(kept.state.step) == 3 * length


def test_without_any_whole_one_the_sentence_names_what_to_remove(
    held_out_trainer, tmp_path, every_epoch
):
    train(held_out_trainer, tmp_path)
    damage(tmp_path, "last/*")
    with pytest.raises(UserError, match=r"or remove .*/checkpoints/last, and nothing else, to"):
        train(held_out_trainer, tmp_path)
    shutil.rmtree(tmp_path / "checkpoints" / "last")  # as told
    _, history = train(held_out_trainer, tmp_path)
    assert len(history) == 4


@pytest.fixture(scope="module")
def finished(digits, held_out_trainer, tmp_path_factory):
    """(runs the command in a folder, the folder of a run that met the test set with its best)."""
    trainer = dataclasses.replace(held_out_trainer, config=CONFIG)

    def again(folder):
        at = {"workdir": Workdir(folder), "shared_trainer": lambda: trainer}
        return run.train(CONFIG, name="one", dataset=digits, **at)

    folder = tmp_path_factory.mktemp("finished")
    again(folder)
    return again, folder


def test_what_the_end_needs_is_asked_for_at_the_start(finished, tmp_path, monkeypatch):
    again, folder = finished[0], shutil.copytree(finished[1], tmp_path / "run")
    (folder / "summary.json").unlink()
    damage(folder, "best/*")
    monkeypatch.setattr(run, "fit", None)  # not reached
    with pytest.raises(UserError, match=r"/best/\d+ is damaged .* needs it at its end: bring it"):
        again(folder)
    shutil.rmtree(folder / "checkpoints" / "best")
    with pytest.raises(UserError, match=r"/best/\d+ is missing; the run in .* needs it at its end"):
        again(folder)


def test_a_damaged_network_is_made_anew_as_the_sentence_says(finished, tmp_path):
    again, folder = finished[0], shutil.copytree(finished[1], tmp_path / "run")
    before = restore(folder).variables
    (folder / "figures").mkdir(exist_ok=True)
    leftover = folder / "figures" / ".curves.png.99999999.4711"
    leftover.touch()
    damage(folder, "evaluated/*")
    with pytest.raises(UserError, match=r"/evaluated/\d+ is damaged .* or remove .*/summary.json"):
        restore(folder)
    (folder / "summary.json").unlink()  # as told
    again(folder)
    assert same_bits(restore(folder).variables, before)
    assert not leftover.exists()
