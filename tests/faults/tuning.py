"""Faults in the search for settings: its trials, its memory and its end."""

from .fault import plant

_TRIALS = plant(
    "imgcls_jax/train/tuning/trials.py",
    (
        "train/tuning/test_trials.py",
        "train/tuning/test_trial_failures.py",
        "train/tuning/test_tune.py",
        "train/tuning/test_commands.py",
    ),
    trials_have_the_test_set=(
        "trials are given the test set",
        "blind = dataclasses.replace(dataset, test=None)",
        "blind = dataset",
    ),
    the_settings_to_beat_are_pruned=(
        "the trial that the winner is compared with can be given up",
        "if not self._first and epoch",
        "if epoch",
    ),
    a_trial_counts_its_best_epoch=(
        "a trial's value is that of its best epoch, not of the last one",
        "return history[-1], trainer.parameters",
        'return max(history, key=lambda r: r["validation_accuracy"]), trainer.parameters',
    ),
    trials_are_all_alike=(
        "what is proposed is not tried",
        "**search.given, **params})",
        "**search.given})",
    ),
    the_first_is_not_what_is_to_beat=(
        "the first trial has what is fixed for the others",
        "({} if first else search.fixed)",
        "search.fixed",
    ),
    processes_propose_alike=(
        "all processes propose the same settings",
        "[(of, blind, seed) for seed in seeds]",
        "[(of, blind, seeds[0]) for _ in seeds]",
    ),
    a_call_proposes_anew=(
        "a study that goes on proposes what it proposed before",
        "range(_MOST_JOBS * mine, _MOST_JOBS * mine + jobs)",
        "range(jobs)",
    ),
    divergence_is_a_failure=(
        "proposals come back to where training diverged",
        "raise (pruned(reason) if diverged else _Failed(reason)) from None",
        "raise _Failed(reason) from None",
    ),
    an_interrupted_trial_has_its_reason=(
        "a trial that the deadline cut is lost",
        "        raise _Failed from None  # without a reason: queued again",
        '        trial.set_user_attr("reason", "interrupted")\n        raise _Failed from None',
    ),
)
_STUDY = (
    plant(
        "imgcls_jax/train/tuning/study.py",
        ("train/tuning/test_trials.py", "train/tuning/test_tune.py"),
        a_queued_trial_forgets_its_values=(
            "a lost trial comes back with other settings",
            "self.of.enqueue_trial(trial.params,",
            "self.of.enqueue_trial({},",
        ),
        a_queued_trial_forgets_it_is_first=(
            "the trial to beat comes back as one of the others",
            'user_attrs={"repeats": trial.number} | first',
            'user_attrs={"repeats": trial.number}',
        ),
        lost_trials_use_up_the_budget=(
            "trials that were lost count as done",
            "return len(repeats.counted(self.of.get_trials(deepcopy=False))) < trials",
            "return len(self.of.get_trials(deepcopy=False)) < trials",
        ),
        a_pruned_trial_can_win=(
            "a trial that was given up has a value",
            'trial.value if trial.state.name == "COMPLETE" else None',
            "trial.value",
        ),
        rates_are_drawn_evenly=(
            "a logarithmic range is searched as an even one",
            "trial.suggest_float(name, found.low, found.high, log=found.log)",
            "trial.suggest_float(name, found.low, found.high)",
        ),
        whole_numbers_are_drawn_evenly=(
            "a logarithmic range of whole numbers is searched as an even one",
            "int(found.low), int(found.high), log=found.log)",
            "int(found.low), int(found.high))",
        ),
    )
    + plant(
        "imgcls_jax/train/tuning/study.py",
        (
            "train/tuning/test_tune.py::test_another_study_in_its_place_is_refused",
            "train/tuning/test_tune.py::test_the_test_set_is_not_there_while_trials_run",
        ),
        another_space_of_equal_names=(
            "a study goes on with other ranges of the same settings",
            "if held[part] == wanted[part]:",
            "if [*held[part]] == [*wanted[part]]:",
        ),
        epochs_come_in_any_order=(
            "the accuracies of a trial are sorted by their size",
            "[value for _, value in sorted(trial.intermediate_values.items())]",
            "sorted(trial.intermediate_values.values())",
        ),
    )
    + plant(
        "imgcls_jax/train/tuning/study.py",
        ("train/tuning/test_tune.py::test_the_study_seeks_the_winner",),
        the_lowest_is_sought=(
            "proposals and pruning seek the lowest accuracy",
            'direction="maximize"',
            'direction="minimize"',
        ),
    )
)
_SEARCH = plant(
    "imgcls_jax/train/tuning/search.py",
    (
        "train/tuning/test_trials.py",
        "train/tuning/test_tune.py::test_another_study_in_its_place_is_refused",
        "train/tuning/test_tune.py::test_the_first_trial_has_the_settings_to_beat_and_all_are_of_the_space",
    ),
    what_is_fixed_may_differ=(
        "a study goes on with other settings of its trials",
        "for name, value in self.fixed.items():",
        "for name, value in {}.items():",
    ),
    the_first_wins_with_others_settings=(
        "the settings to beat are retrained with what is fixed for the others",
        'if record["first"]:',
        'if not record["params"]:',
    ),
) + plant(
    "imgcls_jax/train/tuning/search_space.py",
    ("train/tuning/test_search_space.py", "train/tuning/test_trials.py"),
    a_scale_is_forgotten=(
        ":log behind a range does nothing",
        "_number(name, high), bool(colon))",
        "_number(name, high))",
    ),
    ends_are_outside=(
        "settings to beat at the end of a range are unknown to the proposals",
        "self.low <= value <= self.high",
        "self.low < value < self.high",
    ),
    epochs_can_be_searched=(
        "trials of different lengths are compared",
        '    "epochs": "the budget of a trial",\n',
        "",
    ),
)
_TUNE = plant(
    "imgcls_jax/train/tuning/tune.py",
    (
        "train/tuning/test_trials.py",
        "train/tuning/test_tune.py::test_the_share_of_selection_is_what_the_test_set_does_not_confirm",
        "train/tuning/test_tune.py::test_the_first_trial_has_the_settings_to_beat_and_all_are_of_the_space",
    ),
    the_lowest_wins=(
        "the trial of the lowest accuracy wins",
        "return max(finished",
        "return min(finished",
    ),
    the_last_of_equals_wins=(
        "of equal trials the last one wins",
        '-record["number"]',
        'record["number"]',
    ),
    the_winner_keeps_its_hold_out=(
        "the winner is trained without the examples that chose it",
        '{**of.settings(record), **(of.whole or {"hold_out": 0.0})}',
        "of.settings(record)",
    ),
    finals_have_one_seed=(
        "the winner is trained several times with one seed",
        "one.train.seed, one, folder))",
        "one.train.seed, config, folder))",
    ),
    the_share_is_what_stays=(
        "the share of selection is that of what the test set confirms",
        '"share": 1 - float(pairs.mean()) / gain',
        '"share": float(pairs.mean()) / gain',
    ),
    errors_of_a_gain_add_up=(
        "the deviation of a difference is the sum of two",
        "math.hypot(*(_error(part) for part in (mine, theirs)))",
        "sum(_error(part) for part in (mine, theirs))",
    ),
)
_REPEATS = plant(
    "imgcls_jax/train/tuning/repeats.py",
    ("train/tuning/test_trials.py", "train/tuning/test_tune.py", "train/tuning/test_commands.py"),
    trials_are_queued_for_ever=(
        "a lost trial is queued again at every look",
        "done = repeated(trials) | doubles(trials)",
        "done = doubles(trials)",
    ),
    two_machines_queue_a_trial_twice=(
        "a trial that two processes queued is run twice",
        "done = repeated(trials) | doubles(trials)",
        "done = repeated(trials)",
    ),
    a_killing_trial_is_tried_for_ever=(
        "a trial whose process was killed is tried again without end",
        "return before + bool(",
        "return bool(",
    ),
)
_COMMAND = plant(
    "experiments/cli/tuning.py",
    ("experiments/test_tune_main.py", "experiments/test_tune_photos.py"),
    a_split_of_its_own_is_lost=(
        "the winner is trained without the validation split that the data have",
        '{} if whole.validation is None else {"join_validation": True}',
        "{}",
    ),
    a_study_watches_the_test_set=(
        "trials that start from run 10 are watched on the test set",
        'given["watch_test"] = False',
        'given.pop("watch_test", None)',
    ),
    what_is_off_is_on_in_the_command=(
        "the winner's command turns on what the winner has turned off",
        "f\"--{'' if value else 'no'}{name}\"",
        'f"--{name}"',
    ),
    the_winners_command_forgets_its_preset=(
        "the command of the winner starts from the defaults",
        'for n in ("run", "preset") if flags',
        'for n in ("run",) if flags',
    ),
    data_by_their_name=(
        "a study goes on with other data of the same name",
        "data=identity(whole),",
        "data=whole.name,",
    ),
    another_storage_is_the_same=(
        "a folder of a study goes on with another storage",
        '("experiment", "name", "storage")[: 2 if moved else 3]',
        '("experiment", "name")',
    ),
    presets_overrule_flags=(
        "a preset's settings stand before those that are given",
        "{**preset.settings, **given}",
        "{**given, **preset.settings}",
    ),
)
FAULTS = _TRIALS + _STUDY + _REPEATS + _SEARCH + _TUNE + _COMMAND
