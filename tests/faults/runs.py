"""Faults in whole runs: their folders, seeds, summaries, checkpoints and races."""

from .fault import plant

_ENTRY = "experiments/test_fmnist.py"
_RUN = plant(
    "imgcls_jax/train/run.py",
    (
        f"{_ENTRY}::test_seeds_give_mean_and_deviation",
        f"{_ENTRY}::test_the_best_checkpoint_meets_the_test_set_when_asked",
        "predict/test_restored.py::test_seeds_that_are_finished_build_nothing",
    ),
    every_seed_is_the_first=(
        "runs over seeds all train with the first",
        "fit(trainer, seed=config.train.seed, **at",
        "fit(trainer, seed=trainer.config.train.seed, **at",
    ),
    the_last_meets_the_test=(
        "evaluate=best is forgotten",
        'config.evaluation.evaluate == "best" and config.train.epochs',
        'config.evaluation.evaluate == "best" and not config.train.epochs',
    ),
)
_SUMMARY = plant(
    "imgcls_jax/train/summary.py",
    ("train/test_summary.py", f"{_ENTRY}::test_the_best_checkpoint_meets_the_test_set_when_asked"),
    deviation_is_of_the_population=(
        "the deviation over seeds divides by n",
        "np.std(values, ddof=1)",
        "np.std(values)",
    ),
    figures_are_of_the_last=(
        "a run that evaluates its best epoch reports the last",
        'return max(history, key=lambda record: record["validation_accuracy"])',
        "return history[-1]",
    ),
)
_KEPT = plant(
    "imgcls_jax/train/kept.py",
    ("predict/test_predictor.py", "train/test_transfer_chain.py"),
    the_record_says_crop=(
        "predict crops whatever resize was",
        '"resize": trainer.config.data.square',
        '"resize": "crop"',
    ),
)
_CHECKPOINT = plant(
    "imgcls_jax/checkpoint/__init__.py",
    ("test_checkpoint.py", "test_checkpoint_rot.py", "test_checkpoint_doubts.py"),
    what_cannot_be_read_is_removed=(
        "a checkpoint that could not be read, and may be whole, is removed",
        "if one in self._damaged[kind]:",
        "if one in self._sound[kind]:",
    ),
    what_is_whole_is_written_anew=(
        "a whole checkpoint is removed before its like is written",
        "there and not self._is_whole(kind, step, tree))",
        "there)",
    ),
    one_last_is_kept=(
        "a damaged checkpoint has no predecessor",
        "_KEPT.get(kind, 1) - 1]",
        "_KEPT.get(kind, 1) - 2]",
    ),
    all_kinds_wait=(
        "what is written at the end waits for what was written before it",
        "if kind in _BESIDE and",
        "if kind not in _BESIDE and",
    ),
    damaged_steps_stay=(
        "a run that begins again from before a damaged checkpoint keeps it as its newest",
        "for one in set(self._on_disk(kind)) - keep:",
        "for one in set(older) - keep:",
    ),
)
_ARRAYS = plant(
    "imgcls_jax/checkpoint/arrays.py",
    ("test_checkpoint.py", "test_checkpoint_rot.py"),
    keys_stay_words=(
        "random keys come back as numbers",
        "return jax.random.wrap_key_data(leaf, impl=jax.random.key_impl(template))",
        "return leaf",
    ),
    digests_are_not_compared=(
        "a checkpoint with other values than were written is restored",
        "if record is not None and (name := digests.changed(record, tree)):",
        "if record is None and (name := digests.changed(record, tree)):",
    ),
)
_OUTCOME = plant(
    "imgcls_jax/train/outcome.py",
    ("train/test_resume.py",),
    the_end_is_not_asked_for=(
        "a run that cannot end is trained all the same",
        "    _require_best(trainer, workdir, checkpoints, position)\n    return position",
        "    return position",
    ),
)
_DIGESTS = plant(
    "imgcls_jax/checkpoint/digests.py",
    ("test_checkpoint_rot.py",),
    other_random_numbers_read_as_damage=(
        "a checkpoint does not know how random numbers were drawn",
        "    if not found:\n        return None\n",
        "    if found:\n        return None\n",
    ),
)
_SPEEDRUN = plant(
    "imgcls_jax/train/speedrun.py",
    ("train/test_speedrun.py",),
    races_train_on_one_order=(
        "every epoch of a race has one order",
        "order_fn(state.key, epoch)[: steps_per_epoch",
        "order_fn(state.key, 0)[: steps_per_epoch",
    ),
)
_CONFIG = plant(
    "imgcls_jax/config/__init__.py",
    ("config/test_config.py",),
    features_ignore_the_views=(
        "features are computed once although evaluation has several views",
        'plain = self.evaluation.tta == "none" and self.evaluation.eval_size is None',
        "plain = self.evaluation.eval_size is None",
    ),
    features_ignore_the_size=(
        "features are computed once although evaluation is larger",
        'plain = self.evaluation.tta == "none" and self.evaluation.eval_size is None',
        'plain = self.evaluation.tta == "none"',
    ),
    features_ignore_crops=(
        "features are computed once although crops are random",
        "fixed = not self.train.augment and self.data.random_crop is None and plain",
        "fixed = not self.train.augment and plain",
    ),
)
FAULTS = _RUN + _SUMMARY + _KEPT + _CHECKPOINT + _ARRAYS + _OUTCOME + _DIGESTS + _SPEEDRUN + _CONFIG
