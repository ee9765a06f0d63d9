"""The page of results: its numbers are the files', every file is on it, and it is up to date."""

import json
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments import tables
from experiments.documented import RUNS
from experiments.evidence.plan import slug
from experiments.tables import race, runs, speed
from imgcls_jax.errors import UserError

RESULTS = Path(__file__).parents[2] / "experiments" / "results"
EVERY = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}


def _copy(folder: Path, *stems: str) -> Path:
    for stem in stems:
        shutil.copy(RESULTS / f"{stem}.json", folder)
    return folder


def _row(page: str, start: str) -> str:
    return next(line for line in page.splitlines() if line.startswith(start))


def test_the_committed_page_is_what_the_files_say():
    written = (RESULTS / "README.md").read_text()
    assert tables.page(RESULTS) == written, "run: python -m experiments.reproduce --table"


def test_every_result_file_is_on_the_page_and_every_file_it_names_exists():
    linked = re.findall(r"\]\(([^)]+\.json)\)", (RESULTS / "README.md").read_text())
    assert set(linked) == {f"{stem}.json" for stem in EVERY}


def test_a_file_that_no_table_shows_is_refused(tmp_path):
    (tmp_path / "stray.json").write_text('{"a": 1}')
    with pytest.raises(UserError, match=r"no table shows stray\.json; name it in"):
        tables.page(tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"a":', "run2.json cannot be used"),
        ("{}", "run2.json holds no result; move it away"),
        ("[1, 2]", "run2.json holds no result; move it away"),
        (None, "run2.json was changed by hand"),
    ],
)
def test_a_file_that_is_damaged_or_edited_is_refused(tmp_path, text, sentence):
    path = _copy(tmp_path, "run2") / "run2.json"
    path.write_text(path.read_text().replace("0.87", "0.88") if text is None else text)
    with pytest.raises(UserError, match=sentence):
        tables.page(tmp_path)


def test_a_folder_with_few_files_has_their_sections_only(tmp_path):
    page = tables.page(_copy(tmp_path, "run2"))
    assert re.findall("^## (.*)", page, re.MULTILINE) == ["Where", "Documented runs"]


def test_result_files_have_names_of_their_own():
    names = [slug(run, reading) for run in RUNS.values() for reading in run.readings]
    assert len(set(names)) == len(names)
    assert "run5_lr0.0008" in names


def test_a_reading_shows_mean_spread_seeds_and_distance(tmp_path):
    page = tables.page(_copy(tmp_path, "run5_lr0.0008"))
    values = EVERY["run5_lr0.0008"]["spread"]["test_accuracy"]["values"]
    mean, std = statistics.mean(values), statistics.stdev(values)
    assert _row(page, "| 5 |") == (
        f"| 5 | lr 0.0008 | test accuracy | 88.94 % | {100 * mean:.2f} ± {100 * std:.2f} % | 10 "
        f"| {(0.8894 - mean) / (std * 1.1**0.5):+.1f} | 0.85 | fits | A "
        "| [run5_lr0.0008](run5_lr0.0008.json) |"
    )
    assert "| A | cpu: Intel(R) Xeon(R) Processor, 2 cores | 0.10.2 |" in page


def test_keras_stands_below_ours_with_its_best_epoch(tmp_path):
    page = tables.page(_copy(tmp_path, "run11", "keras_run11"))
    for label, stem in (("as written", "run11"), ("Keras itself", "keras_run11")):
        best = [100 * max(of["by_epoch"]["test_accuracy"]) for of in EVERY[stem]["seeds"]]
        row = _row(page, f"| 11 | {label} | validation accuracy, best epoch |")
        assert f"| {statistics.mean(best):.2f} ± {statistics.stdev(best):.2f} % |" in row
        assert f"[{stem}]({stem}.json) †" in row


def test_folds_are_counted_once_per_seed(tmp_path):
    page = tables.page(_copy(tmp_path, "eggs_frozen_seed0", "eggs_frozen_seed1"))
    pooled = [EVERY[f"eggs_frozen_seed{seed}"]["pooled"]["test_accuracy"] for seed in (0, 1)]
    shown = f"{100 * statistics.mean(pooled):.2f} ± {100 * statistics.stdev(pooled):.2f} %"
    assert f"| 2, 5 folds | {shown} |" in _row(page, "| 634 eggs, damaged or not, frozen")


def test_stored_means_are_those_of_the_stored_values():
    for stem, result in EVERY.items():
        spreads = result.get("spread", {})
        if "variants" in result:
            spreads = {(v, f): e for v, of in spreads.items() for f, e in of.items()}
        for figure, entry in spreads.items():
            assert entry["mean"] == pytest.approx(statistics.mean(entry["values"])), (stem, figure)


def test_a_ratio_is_of_medians_to_the_first_contender(tmp_path):
    page = tables.page(_copy(tmp_path, "benchmark_fmnist"))
    median = EVERY["benchmark_fmnist"]["median"]
    ours, theirs = median["resident, many steps a call"], median["PyTorch, preloaded tensors"]
    row = _row(page, "| PyTorch, preloaded tensors |")
    assert f"| {theirs:.2f} |" in row
    assert f"| {theirs / ours:.2f} | 34 % |" in row
    assert "images/s" not in page  # this benchmark has no such figure


@pytest.mark.parametrize("claim", runs.PRESETS + runs.TRANSFER, ids=lambda claim: claim.stems[0])
def test_a_claims_command_is_what_its_file_was_made_with(claim):
    for stem in claim.stems:
        config = EVERY[stem]["config"]
        for name, value in re.findall(r"--(\w+)(?:=(\S+))?", claim.command.partition("#")[0]):
            if name == "seeds" and "spread" not in EVERY[stem]:
                assert claim.command.endswith(f"--seed={config['seed']}")
            elif name == "seeds":
                assert len(EVERY[stem]["spread"]["test_accuracy"]["values"]) == int(value)
            elif name in config:
                kept = config[name]
                kept = ",".join(kept) if isinstance(kept, list) else kept
                assert (value or True) == (kept if kept is True else str(kept)), name


def test_every_contest_has_its_file():
    assert {contest.stem for contest in speed.SPEED} <= set(EVERY)


@pytest.mark.slow
def test_one_command_writes_the_page(tmp_path):
    """In a process of its own: the flags of two commands cannot live in one."""
    _copy(tmp_path, "run2")
    command = [sys.executable, "-m", "experiments.reproduce", "--table", f"--out={tmp_path}"]
    done = subprocess.run(command, cwd=RESULTS.parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "README.md").read_text() == tables.page(tmp_path)


def test_the_race_is_read_from_both_programs_files(tmp_path):
    accuracies, seconds = race.runs_of(RESULTS / "airbench94_muon.log")
    log = (RESULTS / "airbench94_muon.log").read_text()
    mean, std = (float(found) for found in re.search(r"Mean: (\S+)\s+Std: (\S+)", log).groups())
    assert len(accuracies) == len(seconds) == 20
    assert np.mean(accuracies) == pytest.approx(mean, abs=6e-5)
    assert np.std(accuracies, ddof=1) == pytest.approx(std, abs=6e-5)
    assert max(seconds) < 2  # the warm-up, which compiles, is none of them
    assert race.race(tables.Files(tmp_path)) == []
