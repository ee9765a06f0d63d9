"""Faults in what a run is made of and in its loop."""

from .fault import plant

_SETUP = (
    plant(
        "imgcls_jax/train/setup.py",
        (
            "train/test_setup.py",
            "train/test_loop.py::test_settings_reach_the_program",
        ),
        one_weight_for_all=(
            "the first class' weight stands for all",
            "weights[labels] if labels.ndim == 1",
            "weights[0] if labels.ndim == 1",
        ),
        mixed_labels_weigh_as_their_largest=(
            "a mixed label weighs as its larger part",
            "labels @ weights)",
            "weights[labels.argmax(-1)])",
        ),
        warmup_epochs_are_steps=(
            "epochs of warm-up are taken for steps",
            "round(of.warmup_epochs * steps_per_epoch)",
            "round(of.warmup_epochs)",
        ),
        the_schedule_ends_early=(
            "a schedule ends after as many steps as there are epochs",
            "total_steps=steps_per_epoch * config.train.epochs",
            "total_steps=config.train.epochs",
        ),
        step_epochs_are_steps=(
            "epochs between two drops are taken for steps",
            "max(round(of.step_epochs * steps_per_epoch), 1)",
            "max(round(of.step_epochs), 1)",
        ),
        layer_decay_is_nothing=(
            "layer_decay does nothing",
            "layer_decay=config.train.layer_decay",
            "layer_decay=1.0",
        ),
        accumulation_is_nothing=(
            "accumulate does nothing",
            "accumulate=config.train.accumulate",
            "accumulate=1",
        ),
    )
    + plant(
        "imgcls_jax/train/setup.py",
        (
            "train/test_transfer_chain.py",
            "predict/test_predictor.py",
            "predict/test_restored.py::test_predictions_are_the_evaluated_ones",
        ),
        evaluation_is_not_enlarged=(
            "evaluation, and so predict, forgets eval_size",
            "tta.wrap(apply_fn, config.evaluation.tta, size=size)",
            "tta.wrap(apply_fn, config.evaluation.tta)",
        ),
        views_are_forgotten=(
            "evaluation has one view whatever tta says",
            "tta.wrap(apply_fn, config.evaluation.tta, size=size)",
            'tta.wrap(apply_fn, "none", size=size)',
        ),
    )
    + plant(
        "imgcls_jax/train/setup.py",
        (
            "train/test_transfer_chain.py",
            "train/test_features.py",
        ),
        frozen_stages_are_only_slow=(
            "stages below trainable are frozen by their rate alone, and their norms learn",
            "train_fn = freezing.freeze(network.apply_fn, frozen)",
            "train_fn = network.apply_fn",
        ),
        frozen_norms_is_nothing=(
            "frozen_norms does nothing",
            "freezing.with_fixed_norms(train_fn) if config.train.frozen_norms else train_fn",
            "train_fn",
        ),
    )
)
_BUILD = plant(
    "imgcls_jax/train/build.py",
    (
        "train/test_setup.py",
        "train/test_loop.py::test_validation_is_what_was_held_out_of_training",
    ),
    the_test_set_chooses=(
        "validation is the test set",
        'Watched("validation", validation)',
        'Watched("validation", dataset.test)',
    ),
    one_split_for_every_seed=(
        "split_seed does nothing",
        "seed=of.split_seed",
        "seed=42",
    ),
)
_FEATURES = plant(
    "imgcls_jax/train/features.py",
    (
        "train/test_transfer_chain.py",
        "train/test_features.py",
    ),
    averages_start_at_random=(
        "averages start from the random network after weights were loaded",
        "average = ema_init(params) if state.average else {}",
        "average = state.average",
    ),
    statistics_start_at_random=(
        "loaded weights meet the statistics of a fresh network",
        'merge(state.batch_stats, pretrained.get("batch_stats", {}))',
        "state.batch_stats",
    ),
    the_head_learns_at_the_default=(
        "head_lr does nothing",
        'optim.create("adam", learning_rate=of.learning_rate)',
        'optim.create("adam")',
    ),
)
_AVERAGED = plant(
    "imgcls_jax/train/averaged.py",
    (
        "train/test_transfer_chain.py",
        "train/test_training_features.py",
    ),
    frozen_stages_are_recalibrated=(
        "statistics of frozen stages are estimated anew",
        "name: state.batch_stats[name] if name in setup.frozen else stats",
        "name: stats",
    ),
    fixed_norms_are_recalibrated=(
        "statistics that frozen_norms keeps are estimated anew",
        "if not config.train.frozen_norms:",
        "if True:",
    ),
)
_FEEDS = plant(
    "imgcls_jax/train/feeds.py",
    (
        "train/test_transfer_chain.py",
        "train/test_training_features.py",
    ),
    averages_are_not_evaluated=(
        "a resident run with averages is evaluated without them",
        "return jax.block_until_ready(self._average(state, self._train))",
        "return state",
    ),
    features_meet_the_whole_network=(
        "features go through the network that made them",
        "self._setup.eval_step(self._setup.head_fn)",
        "self._setup.eval_step()",
    ),
) + plant(
    "imgcls_jax/train/feeds.py",
    (
        "train/test_resume.py",
        "train/test_loop.py::test_a_stopped_and_resumed_run_is_the_uninterrupted_one",
    ),
    every_epoch_has_one_order=(
        "every epoch visits the examples in the first one's order",
        "if self._order is None or self._order[0] != epoch:",
        "if self._order is None:",
    ),
)
_RECALIBRATE = plant(
    "imgcls_jax/train/recalibrate.py",
    ("train/test_recalibrate.py",),
    recalibration_batches_are_neighbours=(
        "each batch is of one part of a set that is sorted by class",
        "return order.reshape(size, count).T.astype(np.int32)",
        "return order.reshape(count, size).astype(np.int32)",
    ),
    recalibration_drops_alike=(
        "all batches have the same dropout",
        "jax.random.fold_in(jax.random.key(0), number)",
        "jax.random.key(0)",
    ),
)
_LOOP = (
    plant(
        "imgcls_jax/train/loop.py",
        (
            "train/test_resume.py",
            "train/test_loop.py",
        ),
        the_rate_is_the_next=(
            "the learning rate recorded is that of the step to come",
            "trainer.setup.schedule(step - 1)",
            "trainer.setup.schedule(step)",
        ),
        sums_run_on=(
            "training figures of an epoch are those of all epochs so far",
            "        self._sums = jax.tree.map(jnp.zeros_like, self._sums)\n",
            "",
        ),
    )
    + plant(
        "imgcls_jax/train/ledger.py",
        (
            "train/test_resume.py",
            "train/test_loop.py::test_best_is_chosen_by_validation",
        ),
        the_best_is_forgotten=(
            "the best checkpoint is forgotten on resuming",
            'max((r.get("validation_accuracy", -1.0) for r in self.history), default=-1.0)',
            "-1.0",
        ),
        the_last_of_equals_is_best=(
            "of equal epochs the last is kept, and the record names the first",
            "accuracy > self._best",
            "accuracy >= self._best",
        ),
    )
    + plant(
        "imgcls_jax/train/loop.py",
        (
            "train/test_resume.py",
            "train/test_training_features.py",
        ),
        validation_meets_no_average=(
            "epochs are judged without the average",
            "trainer.feed.evaluate(trainer.feed.averaged(self.state), split)",
            "trainer.feed.evaluate(self.state, split)",
        ),
        the_test_meets_no_average=(
            "the test set meets the trained weights, not the average",
            "    state = trainer.feed.averaged(state)\n",
            "",
        ),
    )
    + plant(
        "imgcls_jax/train/ledger.py",
        ("train/test_features.py",),
        patience_ends_at_equals=(
            "patience is up although an epoch was as good and better",
            "max(accuracies[-patience:]) <= max(accuracies[:-patience])",
            "max(accuracies[-patience:]) <= max(accuracies)",
        ),
    )
)
_DEVICES = (
    plant(
        "imgcls_jax/sharding.py",
        ("train/test_devices.py",),
        every_device_does_all_the_work=(
            "several devices each compute the whole batch",
            "return lambda batch: jax.lax.with_sharding_constraint(batch, sharding)",
            "return lambda batch: batch",
        ),
        moments_are_held_whole=(
            "the optimiser's state of parameters that are cut over devices is not cut",
            "meant = any((names[k:], leaf.shape) in cut for k in range(len(names)))",
            "meant = len(path) == 3 and (names, leaf.shape) in cut",
        ),
    )
    + plant(
        "imgcls_jax/train/feeds.py",
        ("train/test_devices.py",),
        statistics_depend_on_devices=(
            "statistics of averaged weights are taken of other batches on other devices",
            "size, cut = evaluation_batch_size(config, train), sharding.over_batch(setup.mesh)",
            "cut = sharding.over_batch(setup.mesh)\n"
            "    size = evaluation_batch_size(config, train) * setup.mesh.size",
        ),
    )
    + plant(
        "imgcls_jax/checkpoint/arrays.py",
        ("train/test_devices.py",),
        networks_ask_for_the_devices_they_were_saved_from=(
            "a network that was trained on several devices is read on no other machine",
            "sharding = leaf.sharding or jax.sharding.SingleDeviceSharding(jax.local_devices()[0])",
            "sharding = leaf.sharding",
        ),
    )
    + plant(
        "imgcls_jax/config/train.py",
        ("train/test_devices.py",),
        a_run_keeps_its_devices=(
            "a run does not go on with another number of devices",
            """        **_AT_LEAST_0,
        binding=False,
    )""",
            """        **_AT_LEAST_0,
    )""",
        ),
    )
)
FAULTS = _SETUP + _BUILD + _FEATURES + _AVERAGED + _FEEDS + _RECALIBRATE + _LOOP + _DEVICES
