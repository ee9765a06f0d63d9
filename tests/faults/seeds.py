"""Faults in what several seeds say, and in trainings that share a program."""

from .fault import plant

_PREDICTION = plant(
    "imgcls_jax/statistics.py",
    ("test_statistics.py",),
    a_prediction_is_of_the_mean=(
        "a reported figure is compared with the mean, not with one more seed",
        "scale = std * math.sqrt(1 + 1 / n)",
        "scale = std * math.sqrt(1 / n)",
    ),
    an_interval_without_its_new_seed=(
        "the prediction interval is that of the mean",
        "float(values.std(ddof=1)) * math.sqrt(1 + 1 / n)",
        "float(values.std(ddof=1)) * math.sqrt(1 / n)",
    ),
    a_deviation_of_all_there_is=(
        "the deviation of seeds divides by n",
        "float(np.std(values, ddof=1))",
        "float(np.std(values))",
    ),
    a_prediction_with_n_degrees=(
        "a prediction has a degree of freedom too many",
        "_student(-abs(t), n - 1)",
        "_student(-abs(t), n)",
    ),
    a_one_sided_prediction=(
        "the p of a prediction is one-sided",
        "p = 2 * _student(",
        "p = _student(",
    ),
    ranks_without_the_new_one=(
        "ranks are of n values, not of n + 1",
        "2 * (min(below, above) + 1) / (n + 1)",
        "2 * (min(below, above) + 1) / n",
    ),
    skewed_is_normal=(
        "normal seeds are compared by rank and skewed ones by t",
        "_shapiro(values) < SKEWED",
        "_shapiro(values) > SKEWED",
    ),
    the_far_end_of_a_range=(
        "of a reported range the upper end counts, wherever the seeds are",
        "figure = min(max(mean, low), high)",
        "figure = high",
    ),
    a_quantile_of_one_side=(
        "an interval of 95 % is one of 90 %",
        "(1 + confidence) / 2",
        "confidence",
    ),
    a_mean_as_uncertain_as_a_seed=(
        "the interval of a mean is that of the seeds",
        "float(values.std(ddof=1)) / math.sqrt(n)",
        "float(values.std(ddof=1))",
    ),
)
_DIFFERENCE = plant(
    "imgcls_jax/statistics.py",
    ("test_statistics.py",),
    pairs_with_n_degrees=(
        "n pairs have n degrees of freedom",
        "error, len(gains) - 1)",
        "error, len(gains))",
    ),
    a_difference_the_other_way=(
        "a paired difference has the other sign",
        "gains = a - b",
        "gains = b - a",
    ),
    welch_with_pooled_freedom=(
        "Welch's test has the degrees of freedom of Student's",
        "    if total:\n        freedom =",
        "    if not total:\n        freedom =",
    ),
    a_variance_of_all_there_is=(
        "the variances of Welch's test divide by n",
        "series.var(ddof=1) / len(series)",
        "series.var() / len(series)",
    ),
    a_one_sided_difference=(
        "the p of a difference is one-sided",
        '"p": 2 * _student(',
        '"p": _student(',
    ),
    holm_corrects_nothing=(
        "p values are not multiplied by how many there are",
        "(len(values) - rank) * values[place]",
        "values[place]",
    ),
    holm_is_bonferroni=(
        "every p is multiplied by their number",
        "(len(values) - rank) * values[place]",
        "len(values) * values[place]",
    ),
    holm_falls=(
        "a corrected p is below that of a smaller one",
        "least = max(least, min(1.0, (len(values) - rank) * values[place]))",
        "least = min(1.0, (len(values) - rank) * values[place])",
    ),
    holm_sorts=(
        "corrected ps come sorted, not in the order they were given in",
        "corrected[place] = least",
        "corrected[rank] = least",
    ),
)
_MANY = plant(
    "imgcls_jax/train/many.py",
    ("train/test_many.py",),
    members_start_alike=(
        "every member has the first seed",
        "[trainer.start(seed) for seed in seeds]",
        "[trainer.start(seeds[0]) for _ in seeds]",
    ),
    members_repeat_their_order=(
        "every epoch of members has the order of the first one",
        "self._orders(self.state.key, np.int32(self.epochs), ",
        "self._orders(self.state.key, np.int32(0), ",
    ),
    members_learn_at_one_rate=(
        "the scale of a member's rate does nothing",
        "lambda count: scale * schedule(count)",
        "lambda count: schedule(count)",
    ),
    members_drop_the_rest=(
        "the smaller batch that ends an epoch is dropped",
        "if rest and count == full:",
        "if rest and count < full:",
    ),
    members_report_one_rate=(
        "every member's record has the rate of the first",
        "self._setup.schedule(step - 1) * self._scales",
        "self._setup.schedule(step - 1) * jnp.ones_like(self._scales)",
    ),
    members_are_all_the_first=(
        "the state and the figures of every member are the first one's",
        "lambda leaf, k=k: leaf[k]",
        "lambda leaf, k=k: leaf[0]",
    ),
    members_meet_one_split=(
        "every split that members are evaluated on is the first one",
        "_, source, evaluate = self._placed[id(split)]",
        "_, source, evaluate = next(iter(self._placed.values()))",
    ),
    sums_of_members_run_on=(
        "training figures of an epoch are those of all epochs so far",
        "self.state, sums = jax.block_until_ready(carry)",
        "self.state, sums = jax.block_until_ready(carry)\n        self._zeros = sums",
    ),
    side_by_side_is_never_shared=(
        "the time of eight trainings is compared with that of one",
        "(time.perf_counter() - started) / members",
        "time.perf_counter() - started",
    ),
)
_SHARED = plant(
    "imgcls_jax/train/repeat.py",
    ("train/test_fit_head.py",),
    seeds_are_not_asked=(
        "what seeds share is prepared to its end, whatever signal comes",
        "check=lambda: self._check()",
        "check=lambda: None",
    ),
    the_first_seed_is_asked=(
        "what a later seed prepares asks the first one whether to stop",
        "        self._check = check\n        if self._made is None:\n",
        "        if self._made is None:\n            self._check = check\n",
    ),
) + plant(
    "experiments/cli/batches.py",
    ("experiments/test_transfer_main.py::test_it_fits_those_of_folds_and_of_a_search_for_a_rate",),
    folds_are_as_large_as_the_first=(
        "a batch fits the first fold's training set and not a smaller one's",
        "least = max(len(train) - spare, 1)",
        "least = len(train)",
    ),
    a_held_runs_batch_is_fitted=(
        "a run that is held with a batch of its own cannot be gone on with",
        "if held is not None or not _is_own(preset):",
        "if not _is_own(preset):",
    ),
)
FAULTS = _PREDICTION + _DIFFERENCE + _MANY + _SHARED
