"""Faults in predictions, exports, saliency, charts and sheets."""

from .fault import plant

_PREDICTOR = plant(
    "imgcls_jax/predict/predictor.py",
    ("predict/test_predictor.py",),
    predict_always_crops=(
        "pictures are cropped whatever resize was",
        'decode.load(source, self.image_shape[0], self.preprocessing["resize"])',
        "decode.load(source, self.image_shape[0])",
    ),
    a_run_always_crops=(
        "a run's own resize does not reach its predictor",
        'preprocessing={"resize": record["resize"]},\n        grad_cam=grad_cam',
        'preprocessing={"resize": "crop"},\n        grad_cam=grad_cam',
    ),
    bad_files_shift_the_others=(
        "a file after a bad one gets its neighbour's probabilities",
        "            if waited.error is None:\n                waited = _told",
        "            if waited.path:\n                waited = _told",
    ),
)
_RESTORED = plant(
    "imgcls_jax/predict/restored.py",
    ("predict/test_restored.py",),
    predict_has_one_view=(
        "predict has neither tta nor eval_size",
        "self.network.evaluate_fn(self.variables,",
        "self.network.apply_fn(self.variables,",
    ),
    constants_are_lost=(
        "a whitened or standardised network is built without its constants",
        'constants=record["normalise"]["constants"]',
        "constants={}",
    ),
)
_EXPORT = plant(
    "imgcls_jax/predict/export.py",
    ("predict/test_export.py",),
    exports_are_for_here=(
        "an export holds the convolutions of this machine alone",
        "with portable_convolutions(True), _without_paths():",
        "with _without_paths():",
    ),
)
_SALIENCY = plant(
    "imgcls_jax/predict/saliency.py",
    ("predict/test_saliency.py",),
    saliency_drifts=(
        "a common shift of the logits changes the map",
        " - logits.mean(\n            1, keepdims=True\n        )",
        "",
    ),
)
_CHARTS = plant(
    "imgcls_jax/report/charts.py",
    ("report/test_charts.py", "report/test_curves.py", "report/test_drawn.py"),
    counts_are_transposed=(
        "counts of the drawn confusion matrix are transposed",
        "axes.text(column, row, str(count)",
        "axes.text(row, column, str(count)",
    ),
    axes_change_names=(
        "the axes of the confusion matrix have each other's name",
        'axes.set_xlabel("Predicted", fontsize=11)\n    axes.set_ylabel("True", fontsize=11)',
        'axes.set_xlabel("True", fontsize=11)\n    axes.set_ylabel("Predicted", fontsize=11)',
    ),
    bars_have_others_names=(
        "bars are sorted and their names are not",
        "[names[c] for c in order]",
        "names",
    ),
    roc_is_mirrored=(
        "the ROC curve has its axes swapped",
        "return false, true",
        "return true, false",
    ),
)
_SHEETS = (
    plant(
        "imgcls_jax/report/sheets.py",
        ("report/test_sheets.py", "report/test_drawn.py"),
        mistakes_have_others_labels=(
            "mistakes stand beside the labels of the first images",
            "found = zip(probabilities[shown], labels[shown], below, strict=True)",
            "found = zip(probabilities[shown], labels, below, strict=False)",
        ),
    )
    + plant(
        "imgcls_jax/report/run_figures.py",
        ("report/test_drawn.py", "experiments/test_fmnist.py"),
        photos_have_others_predictions=(
            "photos on the sheet stand beside the predictions of the first ones",
            "labels[drawn], calibrated[drawn], names",
            "labels[drawn], calibrated[: len(drawn)], names",
        ),
    )
    + plant(
        "imgcls_jax/report/augmentation_sheet.py",
        ("report/test_augmentation_sheet.py",),
        one_draw_in_all_columns=(
            "all draws of a row are one",
            "drawn = function(jax.random.fold_in(key, epoch),",
            "drawn = function(key,",
        ),
    )
)
_PREDICT = plant(
    "experiments/predict.py",
    ("experiments/test_multi_label.py",),
    a_sheet_has_one_label=(
        "a sheet shows the likeliest of several labels alone",
        "    if asked.labels or asked.decides:\n",
        "    if asked.decides:\n",
    ),
)
FAULTS = _PREDICTOR + _RESTORED + _EXPORT + _SALIENCY + _CHARTS + _SHEETS + _PREDICT
