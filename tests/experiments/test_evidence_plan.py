"""What there is to measure: the fewest trainings for all readings, and clear words for the rest."""

import pytest

from experiments.documented import RUNS
from experiments.evidence import plan
from experiments.evidence.claims import CLAIMS
from imgcls_jax.config import Config
from imgcls_jax.errors import UserError


def _targets(*numbers):
    return [target for number in numbers for target in plan.documented(RUNS[number])]


def test_runs_are_named_by_numbers_and_ranges():
    assert [run.number for run in plan.chosen_runs(["5", "1-3", "2"])] == [5, 1, 2, 3]


@pytest.mark.parametrize("names", [["16"], ["0-3"], ["x"], ["3-1"], [""], ["1-"]])
def test_what_is_no_run_is_refused(names):
    with pytest.raises(UserError, match=r"must name documented runs, 1 to 15, such as 1-9"):
        plan.chosen_runs(names)


def test_readings_that_differ_in_epochs_alone_are_one_training():
    units = plan.units(_targets(5, 6), seeds=2)
    met = {u.targets[-1].stem: [t.epochs for t in u.targets] for u in units if u.seed == 0}
    assert met == {
        "run6_lr0.0008": [15, 20], "run6_lr0.008": [15, 20], "run5_lr0.001": [15]
    }  # fmt: skip
    assert len(units) == 6
    assert units[0].settings["epochs"] == 20  # the longest first


def test_runs_with_equal_settings_are_one_training():
    (unit,) = [u for u in plan.units(_targets(1, 3), 1) if len(u.targets) > 1]
    assert {target.stem for target in unit.targets} == {"run1_lr0.01", "run3_twolayers"}


def test_what_ends_with_the_training_or_a_convolution_keeps_trainings_apart():
    apart = ({"schedule": "cosine"}, {"warmup_epochs": 1}, {"ema": 0.9})
    for settings in (*(RUNS[2].settings | of for of in apart), RUNS[10].settings):
        targets = [plan.Target(f"a{n}", {**settings, "epochs": n}, {}) for n in (2, 4)]
        assert [len(unit.targets) for unit in plan.units(targets, 1)] == [1, 1]


def test_all_of_runs_1_to_9_are_few_epochs():
    """The documented epochs of one seed are 255; shared trainings need 195 and run 8."""
    targets = _targets(*range(1, 10))
    needed = [u.targets[-1].epochs for u in plan.units(targets, 1) if not u.is_logistic]
    assert sum(needed) == 195
    assert sum(t.epochs for t in targets if t.settings["model"] != "logistic_sgd") == 255


def test_names_are_one_per_training_and_the_same_in_every_process():
    units = plan.units(_targets(*range(1, 12)), 3)
    assert len({unit.name for unit in units}) == len(units)
    (first,) = [u for u in plan.units(_targets(2), 1)]
    assert first.name == "run2-79f91841-seed-0"


def test_every_reading_has_usable_settings_and_says_them_without_a_seed():
    for target in _targets(*range(1, 12)):
        assert "seed" not in target.header["config"]
        if target.settings["model"] != "logistic_sgd":
            assert Config.of(**target.settings).train.epochs == target.epochs


def test_another_network_for_photos_is_compared_with_nothing():
    """The document names figures for its own networks only."""
    found = plan.documented(RUNS[12], {"model": "mobilenet_v2", "weights": "imagenet"})
    assert plan.config_of(found[0].settings | {"weights": "/some/where/a.h5"})["weights"] == "a.h5"
    assert [target.stem for target in found] == [
        "run12_mobilenet_v2_frozen", "run12_mobilenet_v2_trained"
    ]  # fmt: skip
    assert all(target.header["documented"]["figures"] == {} for target in found)


def test_programs_are_shared_by_seeds_and_rates():
    units = plan.units(CLAIMS["learning_rate"].targets(), 2)
    assert len({plan.program(unit) for unit in units}) == 1
    apart = [plan.Target(f"a{n}", RUNS[10].settings | {"epochs": n}, {}) for n in (2, 4)]
    assert len({plan.program(unit) for unit in plan.units(apart, 1)}) == 2
