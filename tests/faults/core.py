"""Faults in steps, losses and metrics."""

from .fault import plant

_STEPS = plant(
    "imgcls_jax/steps.py",
    ("train/test_training_features.py", "train/test_draws.py"),
    steps_draw_alike=(
        "augmentation and dropout are drawn alike at every step",
        "jax.random.split(jax.random.fold_in(stream, state.step))",
        "jax.random.split(stream)",
    ),
    micro_batches_draw_alike=(
        "every micro-batch has the same dropout",
        "part, jax.random.fold_in(key, number)",
        "part, key",
    ),
    micro_batches_weigh_alike=(
        "a smaller micro-batch counts as much as a full one",
        "lambda g, m: g + share * m",
        "lambda g, m: g + m / -(-total // size)",
    ),
    micro_batches_forget_statistics=(
        "batch norm keeps the statistics of the last micro-batch only",
        "state.params, batch_stats, part",
        "state.params, state.batch_stats, part",
    ),
    epoch_is_the_batch=(
        "the augmentation is told the number of the batch for that of the epoch",
        "state.step // steps_per_epoch",
        "state.step % steps_per_epoch",
    ),
    average_lags=(
        "the average takes in the parameters before the update",
        "ema_update(average, params, decay=ema",
        "ema_update(average, state.params, decay=ema",
    ),
) + plant(
    "imgcls_jax/steps.py",
    ("test_steps.py",),
    evaluation_ignores_the_mask=(
        "examples that fill up the last batch count",
        'batch.get("mask")), logits',
        "None), logits",
    ),
)
_LOSSES = plant(
    "imgcls_jax/losses.py",
    ("test_losses.py", "data/photos/test_folders.py"),
    smoothing_spares_the_true_class=(
        "label smoothing is shared by the other classes only",
        "+ label_smoothing / classes",
        "+ label_smoothing / (classes - 1)",
    ),
    balanced_weights_sum_to_classes=(
        "class weights do not average to 1 over the examples",
        "(num_classes * np.maximum(counts, 1))",
        "np.maximum(counts, 1)",
    ),
    nan_is_no_divergence=(
        "a loss that is NaN goes on training",
        "return not loss < _DIVERGED * math.log(num_classes)",
        "return loss >= _DIVERGED * math.log(num_classes)",
    ),
)
_METRICS = plant(
    "imgcls_jax/metrics.py",
    ("test_metrics.py", "report/test_curves.py"),
    confusion_matrix_is_transposed=(
        "predicted classes stand in the rows",
        "true * num_classes + predicted",
        "predicted * num_classes + true",
    ),
    absent_classes_have_recall_0=(
        "classes without examples lower the balanced accuracy",
        "(np.diag(matrix)[support > 0] / support[support > 0]).mean()",
        "(np.diag(matrix) / np.maximum(support, 1)).mean()",
    ),
    the_commoner_class_is_drawn=(
        "of two classes the curve of the commoner one is drawn",
        "[min(held, key=lambda c: counts[c])]",
        "[max(held, key=lambda c: counts[c])]",
    ),
    calibration_weighs_bins_alike=(
        "the calibration error is the mean over bins, not over examples",
        "error += count / len(correct) *",
        "error += 1 / bins *",
    ),
)
FAULTS = _STEPS + _LOSSES + _METRICS
