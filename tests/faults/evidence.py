"""Faults in how the documents' runs and claims are measured and judged."""

from .fault import plant

_PLAN = plant(
    "experiments/evidence/plan.py",
    ("experiments/test_evidence_plan.py",),
    a_schedule_is_no_difference=(
        "the first epochs of a scheduled run are taken for a shorter one",
        'settings.get("schedule") or settings.get("warmup_epochs")',
        'settings.get("warmup_epochs")',
    ),
    a_warmup_is_no_difference=(
        "the first epochs of a run that warms up are taken for a shorter one",
        ' or settings.get("warmup_epochs") or ',
        " or ",
    ),
    an_average_is_no_difference=(
        "the first epochs of an averaged run are taken for a shorter one",
        ' or settings.get("ema")\n',
        "\n",
    ),
    a_seed_fewer=(
        "seeds begin at 1, and one is missing",
        "for seed in range(seeds)]",
        "for seed in range(1, seeds)]",
    ),
    programs_of_several_lengths=(
        "trainings of other numbers of epochs share a program, which ends with the first",
        'if name != "lr"}',
        'if name not in ("lr", "epochs")}',
    ),
    another_network_keeps_the_figures=(
        "the document's figures are compared with another network's",
        'report |= {"figures": {}, ',
        "report |= {",
    ),
    weights_by_their_place=(
        "a moved file of weights makes other settings",
        'Path(config["weights"]).name',
        'str(config["weights"])',
    ),
    orders_have_one_name=(
        "all seeds of a training share a folder and a lock",
        '-{digest}-seed-{self.seed}"',
        '-{digest}-seed-{self.targets[0].epochs}"',
    ),
)
_STORE = plant(
    "experiments/evidence/store.py",
    ("experiments/test_evidence_store.py",),
    a_changed_file_is_believed=(
        "the digest of a result file is not compared",
        'if found.get("digest") != _digest(found):',
        'if "digest" not in found:',
    ),
    a_digest_of_names=(
        "the digest does not know the figures",
        "text = json.dumps(rest, sort_keys=True",
        "text = json.dumps(sorted(rest), sort_keys=True",
    ),
    a_seed_counts_twice=(
        "a seed that is measured again counts twice",
        "_key(held) == _key(entry) for held",
        "held == entry for held",
    ),
    variants_are_one=(
        "the same seed of another variant is taken for done",
        'return entry.get("variant"), entry["seed"]',
        'return None, entry["seed"]',
    ),
    the_last_machine_made_it=(
        "a seed is said to be made by the machine that came last",
        'found["environments"].index(_plain(environment))',
        'len(found["environments"]) - 1',
    ),
    variants_are_not_paired=(
        "variants are compared as if their seeds had nothing in common",
        "statistics.paired(ours, theirs)",
        "statistics.unpaired(ours, theirs)",
    ),
    the_base_less_the_variant=(
        "a variant that is better counts as worse",
        "statistics.paired(ours, theirs)",
        "statistics.paired(theirs, ours)",
    ),
    other_data_is_joined=(
        "seeds of other data join a file",
        ', ("data", "figures of other data")',
        ", ",
    ),
    watching_is_forgotten=(
        "a document's validation figure is not compared, although its run watched the test set",
        "spread([watched | seed for seed in seeds], documented)",
        "spread(seeds, documented)",
    ),
    work_is_anybodys=(
        "work that another process has in hand is done twice",
        "yield False",
        "yield True",
    ),
    a_file_is_written_unlocked=(
        "of two processes that add to a file one loses its seed",
        'with self._lock(f"{stem}.file.lock"):',
        "with contextlib.nullcontext():",
    ),
)
_READINGS = plant(
    "experiments/evidence/readings.py",
    ("experiments/test_evidence_readings.py",),
    nothing_is_left_out=(
        "a seed is assigned by readings that know it",
        "np.delete(values, number, axis=0) for values in self",
        "values for values in self",
    ),
    a_shared_training_knows_the_seed=(
        "a seed is left out of its own reading only, though others are the same training",
        "other: log_likelihoods(of.without(number), accuracy, matrix)",
        "other: log_likelihoods(of.without(number) if other == name else of, accuracy, matrix)",
    ),
    a_concentration_knows_its_seed=(
        "the concentration is fitted to seeds around a mean that has them in it",
        "rest = total - one + _SMOOTHING",
        "rest = total + _SMOOTHING",
    ),
    a_density_of_the_mean=(
        "the density of an accuracy is that of the mean",
        "math.sqrt(1 + 1 / n)",
        "math.sqrt(1 / n)",
    ),
    errors_are_not_tempered=(
        "errors count as if rows were independent",
        '"errors": errors / temperature',
        '"errors": errors',
    ),
    the_accuracy_is_tempered=(
        "the accuracy counts as little as if it were too sure",
        '"accuracy": accuracy,',
        '"accuracy": accuracy / temperature,',
    ),
    the_worst_temperature=(
        "the temperature is the one that knows the known seeds least",
        "kind: min(_TEMPERATURES",
        "kind: max(_TEMPERATURES",
    ),
    a_runs_readings_meet_all=(
        "a run's readings are told apart from those of all runs",
        "{other: scores[other] for other in among}",
        "scores",
    ),
)
_VERDICTS = plant(
    "experiments/evidence/verdicts.py",
    ("experiments/test_evidence_verdicts.py", "experiments/test_evidence_readings.py"),
    another_runs_matrix=(
        "every run's readings are compared with the errors of run 1",
        "np.array(found.confusion_matrix)",
        "np.array(RUNS[1].confusion_matrix)",
    ),
    equal_readings_count_twice=(
        "a training that two runs share is told apart from itself",
        'first.setdefault(str(held["config"]), stem)',
        "first.setdefault(stem, stem)",
    ),
    any_majority_is_a_verdict=(
        "the likeliest reading is called the one",
        "if chances[ranked[0]] >= _SURE:",
        "if chances[ranked[0]] >= 0.5:",
    ),
    two_seeds_are_enough=(
        "a reading of two seeds is weighed, whose density is no density",
        'len(held["seeds"]) < 3',
        'len(held["seeds"]) < 2',
    ),
    the_first_readings_prediction=(
        "every reading has the t of the run's first one",
        "**_prediction(files[stem], accuracy)",
        "**_prediction(files[among[0]], accuracy)",
    ),
)
_CLAIMS = plant(
    "experiments/evidence/claims.py",
    ("experiments/test_evidence_claims.py",),
    claims_are_not_corrected=(
        "the ps of several variants are not corrected",
        'holm([of["p"] for of in paired.values()])',
        '[of["p"] for of in paired.values()]',
    ),
    worse_is_better=(
        "a variant that is worse is called better",
        'if of["difference"] > 0 else worse',
        'if of["difference"] < 0 else worse',
    ),
)
_WORK_TESTS = "experiments/test_evidence_work.py"
_UNIT = plant(
    "experiments/evidence/unit.py",
    (
        f"{_WORK_TESTS}::test_every_order_of_the_pixels_is_another_and_the_first_the_stored_one",
        f"{_WORK_TESTS}::test_rates_of_one_program_are_those_of_the_settings_given_or_not",
        f"{_WORK_TESTS}::test_a_training_that_was_stopped_goes_on_to_the_same_end",
        f"{_WORK_TESTS}::test_one_program_gives_what_trainings_alone_give",
    ),
    seeds_of_a_unit_are_alike=(
        "every training has the same seed",
        "fit(staged, seed=unit.seed, **at)",
        "fit(staged, seed=0, **at)",
    ),
    readings_end_with_the_longest=(
        "a shorter reading is trained as long as the longest",
        "staged = dataclasses.replace(trainer, config=config)",
        "staged = trainer",
    ),
    a_reading_is_lost_where_it_stopped=(
        "a reading whose end was just saved is never met by the test set",
        "if begun > target.epochs * trainer.steps_per_epoch:",
        "if begun >= target.epochs * trainer.steps_per_epoch:",
    ),
    rates_are_factors=(
        "trainings in one program learn at the square of their rate",
        "scales=rates / rates[0]",
        "scales=rates",
    ),
    longer_readings_are_met_early=(
        "readings that end later are met by the test set where the first one ends",
        "if target.epochs != many.epochs:",
        "if target.epochs < many.epochs:",
    ),
    together_the_test_set_watches=(
        "in one program the validation figures are those of the test set",
        "many.train_epoch(trainer.watched)",
        "many.train_epoch((trainer.watched or (None,))[:1] + (dataset.test,))",
    ),
    pixels_in_one_order=(
        "run 8 has the pixels in one order, whatever the seed",
        "np.random.default_rng(unit.seed)",
        "np.random.default_rng(0)",
    ),
)
_WORK = plant(
    "experiments/evidence/work.py",
    (
        f"{_WORK_TESTS}::test_what_some_file_or_variant_lacks_is_missing",
        f"{_WORK_TESTS}::test_a_stop_keeps_what_was_begun",
        f"{_WORK_TESTS}::test_one_program_gives_what_trainings_alone_give",
    ),
    one_variant_is_all=(
        "a seed of one variant is taken for the others' too",
        "(t.variant, u.seed) not in held[t.stem]",
        "u.seed not in {seed for _, seed in held[t.stem]}",
    ),
    one_file_is_all=(
        "a training is left out where one of its files has the seed",
        "if any((t.variant",
        "if all((t.variant",
    ),
    the_first_settings_train_all=(
        "trainings of other settings are those of the first",
        "if self._built is None or self._built[0] != course:",
        "if self._built is None:",
    ),
    a_stop_loses_what_was_begun=(
        "a training that a signal stops begins anew",
        "        except Interrupted:\n            self.stop_if_asked()\n",
        "        except Interrupted:\n            shutil.rmtree(folder.path)\n"
        "            self.stop_if_asked()\n",
    ),
)
_TABLES = plant(
    "experiments/evidence/claims.py",
    ("experiments/test_tables.py",),
    a_gap_the_other_way=(
        "the gap of a variant has the other sign",
        "100 * (train['mean'] - compared['mean'])",
        "100 * (compared['mean'] - train['mean'])",
    ),
)
FAULTS = _PLAN + _STORE + _READINGS + _VERDICTS + _CLAIMS + _UNIT + _WORK + _TABLES
