"""Faults in what predictions know of their limits, in labels, samples and rates, and the doctor."""

from .fault import plant

_TEMPERATURE = plant(
    "imgcls_jax/limits/temperature.py",
    ("limits/test_temperature.py",),
    the_temperature_is_inverted=(
        "a timid network is made more timid",
        "scaled = np.asarray(logits, np.float64) / (temperature or 1.0)\n    weights",
        "scaled = np.asarray(logits, np.float64) * (temperature or 1.0)\n    weights",
    ),
    all_right_is_certain=(
        "the targets are not smoothed",
        "rest = 1 / (count + 2) / (classes - 1)",
        "rest = 0.0",
    ),
)
_CONFORMAL = plant(
    "imgcls_jax/limits/conformal.py",
    ("limits/test_conformal.py",),
    coverage_of_the_known=(
        "the quantile forgets the new example",
        "place = math.ceil(round((count + 1) * coverage, 9))",
        "place = math.ceil(round(count * coverage, 9))",
    ),
    sets_may_be_empty=(
        "a set may lack the most probable class",
        "    inside[np.arange(len(probabilities)), probabilities.argmax(axis=1)] = True\n",
        "",
    ),
)
_UNKNOWN = plant(
    "imgcls_jax/limits/unknown.py",
    ("limits/test_unknown.py",),
    held_out_is_known=(
        "a fold's distances are to statistics of its own examples",
        "fit(features.known[~out], features.labels[~out])",
        "fit(features.known, features.labels)",
    ),
    the_covariance_is_not_shrunk=(
        "the covariance within classes is taken as it is",
        "return float(np.clip(noise / apart, 0, 1)) if apart > 0 else 1.0",
        "return 0.0",
    ),
    angles_are_not_scaled=(
        "one of two angles counts alone",
        "far = (angles(statistics, features) / statistics.scales[:2]).sum(1)",
        "far = angles(statistics, features).sum(1)",
    ),
    answers_are_in_order=(
        "the logits are taken to be in the order of the examples",
        "doubt[features.answers[features.answers >= 0]]",
        "doubt[: (features.answers >= 0).sum()]",
    ),
    the_sure_are_strange=(
        "a clear answer makes a picture unknown",
        "return far + doubts(logits) / statistics.scales[2]",
        "return far - doubts(logits) / statistics.scales[2]",
    ),
)
_THRESHOLDS = plant(
    "imgcls_jax/limits/thresholds.py",
    ("limits/test_thresholds.py",),
    thresholds_are_on_a_score=(
        "a threshold is no midway between scores",
        "cuts = (ranked + after) / 2",
        "cuts = ranked",
    ),
    equal_scores_are_cut_apart=(
        "a threshold parts examples of one score",
        "possible = ranked > after",
        "possible = ranked >= after",
    ),
    losses_are_of_examples=(
        "the Hamming loss counts examples",
        '"hamming_loss": float((true != said).mean())',
        '"hamming_loss": float((true != said).any(axis=1).mean())',
    ),
)
_TABLE = plant(
    "imgcls_jax/data/photos/label_table.py",
    ("data/photos/test_label_table.py",),
    zeros_are_marks=(
        "a column of 0 gives the label",
        'if mark.strip() == "1")',
        'if mark.strip() != "")',
    ),
    columns_without_a_mark_are_lost=(
        "a label that no photo has is none",
        "names = found if len(of_labels) == 1 else {columns[place] for place in of_labels}",
        "names = found",
    ),
)
_SAMPLER = plant(
    "imgcls_jax/data/sampling.py",
    ("data/test_sampling.py",),
    balanced_is_uniform=(
        "frequent classes are drawn as often as they are",
        "drawn = rng.integers(len(self._counts), size=len(self._by_class))",
        "drawn = rng.choice(len(self._counts), size=len(self._by_class),"
        " p=self._counts / self._counts.sum())",
    ),
    balanced_epochs_are_alike=(
        "balanced sampling draws the same in every epoch",
        "return balanced.draw(np.random.default_rng((seed, epoch)))",
        "return balanced.draw(np.random.default_rng((seed, 0)))",
    ),
)
_TOP_K = plant(
    "imgcls_jax/metrics.py",
    ("test_top_k.py",),
    ties_are_all_first=(
        "of equal logits every class is among the first",
        "rank = ((logits > own) | ((logits == own) & before)).sum(axis=1)",
        "rank = (logits > own).sum(axis=1)",
    ),
)
_PREDICTIONS = plant(
    "imgcls_jax/train/predictions.py",
    ("train/test_predictions.py",),
    the_table_has_the_true_probability=(
        "the probability in the table is the true class's",
        "names[c], _digits(of[c]))",
        "names[c], _digits(of[label]))",
    ),
    the_table_is_timid=(
        "the table's probabilities are without the temperature",
        "of_probabilities(probabilities, temperature)",
        "of_probabilities(probabilities, None)",
    ),
)
_RATES = plant(
    "imgcls_jax/train/rate_finder.py",
    ("train/test_rate_finder.py",),
    steepest_is_anywhere=(
        "a fall after the lowest loss counts",
        "[: lowest + 1].argmin())",
        ".argmin())",
    ),
    noise_is_a_fall=(
        "a rate is suggested where the loss only varies",
        "if smoothed[0] - smoothed[lowest] > (losses - smoothed)[: lowest + 1].std():",
        "if smoothed[0] - smoothed[lowest] > 0:",
    ),
)
_DOCTOR = plant(
    "imgcls_jax/doctor/labels.py",
    ("doctor/test_labels.py",),
    the_surest_are_suspected=(
        "labels that are thought most of are suspected first",
        "np.argsort(own[wrong], kind",
        "np.argsort(-own[wrong], kind",
    ),
    heads_have_seen_the_photo=(
        "heads judge photos that they were fitted to",
        "found[judged] = fit(features[train], labels[train], seed)",
        "found[judged] = fit(features, labels, seed)",
    ),
)
_COPIES = plant(
    "imgcls_jax/doctor/copies.py",
    ("doctor/test_copies.py",),
    copies_of_copies_are_apart=(
        "a group is the copies of one photo alone",
        "return connected_components(links, directed=False)[1].astype(int)",
        "return np.minimum(np.arange(count), (links + links.T).argmax(axis=0)).astype(int)",
    ),
)
_QUALITY = plant(
    "imgcls_jax/doctor/quality.py",
    ("doctor/test_quality.py",),
    a_lamp_lights_the_night=(
        "one bright spot makes a dark photo bright",
        "np.percentile(grey, 99) / 255",
        "grey.max() / 255",
    ),
)

FAULTS = (
    *_TEMPERATURE, *_CONFORMAL, *_UNKNOWN, *_THRESHOLDS, *_TABLE, *_SAMPLER, *_TOP_K,
    *_PREDICTIONS, *_RATES, *_DOCTOR, *_COPIES, *_QUALITY,
)  # fmt: skip
