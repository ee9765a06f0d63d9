"""Faults in ensembles, in their weights and gains, and in the one network made of several."""

from .fault import plant

_FOLDERS = "predict/test_ensemble.py"
_ENSEMBLE = plant(
    "imgcls_jax/predict/ensemble.py",
    (
        "predict/test_members.py",
        f"{_FOLDERS}::test_a_folder_that_holds_something_else_is_refused",
        f"{_FOLDERS}::test_a_moved_changed_or_unfinished_member_is_one_sentence",
    ),
    logits_are_averaged=(
        "an ensemble averages logits, not probabilities",
        "        return sum(\n"
        "            weight * jax.nn.softmax(network.logits(images).astype(jnp.float32))\n"
        "            for weight, network in self._weighed()\n        )\n",
        "        return jax.nn.softmax(\n"
        "            sum(weight * network.logits(images) for weight, network in self._weighed())\n"
        "        )\n",
    ),
    logarithms_are_averaged=(
        "the logarithm of an average is the average of logarithms",
        "jax.nn.logsumexp(jnp.stack(terms), axis=0)",
        "jnp.stack(terms).mean(axis=0)",
    ),
    logarithms_weigh_alike=(
        "a student learns from equally weighted members",
        "np.float32(np.log(weight))",
        "np.float32(-np.log(len(self.networks)))",
    ),
    a_map_without_weights=(
        "members' maps count alike, whatever their weights",
        "maps.append(weight * jax.image.resize(",
        "maps.append(jax.image.resize(",
    ),
    a_changed_member_is_used=(
        "a member's digest is not compared",
        'if digest(found) != member["digest"]:',
        "if not digest(found):",
    ),
    as_many_members_are_the_same=(
        "a folder takes another ensemble of as many members",
        "{name: held.get(name) for name in settings} != settings:",
        'len(held["members"]) != len(settings["members"]):',
    ),
)
_MEMBERS = plant(
    "imgcls_jax/predict/members.py",
    ("predict/test_members.py", f"{_FOLDERS}::test_members_are_found_in_every_kind_of_folder"),
    the_worst_are_best=(
        "members of the lowest validation accuracy are kept",
        "key=lambda path: -accuracies[path]",
        "key=lambda path: accuracies[path]",
    ),
    members_chosen_by_the_test_set=(
        "the best members are chosen by their test accuracy",
        '(Workdir(path).summary() or {}).get("validation_accuracy")',
        '(Workdir(path).summary() or {}).get("test_accuracy")',
    ),
    a_digest_of_settings=(
        "a digest does not know a member's parameters",
        'path / "network.json", *kept):',
        'path / "network.json"):',
    ),
    as_many_labels_are_the_same=(
        "members that met another test set of the same size are averaged",
        'if not np.array_equal(arrays["labels"], labels):',
        'if len(arrays["labels"]) != len(labels):',
    ),
)
_WEIGHTING = plant(
    "imgcls_jax/predict/weighting.py",
    ("predict/test_ensemble.py",),
    a_selection_forgets_the_last=(
        "the choice that made a selection best does not count",
        "kept = chosen[: int(np.argmin(losses)) + 1]",
        "kept = chosen[: max(1, int(np.argmin(losses)))]",
    ),
    a_selection_without_replacement=(
        "a member that was chosen never comes again",
        "chosen.append(int(after.argmin()))",
        "after[chosen] = np.inf if len(chosen) < len(after) else after[chosen]\n"
        "        chosen.append(int(after.argmin()))",
    ),
)
_GAINS = plant(
    "imgcls_jax/predict/gains.py",
    ("predict/test_members.py", f"{_FOLDERS}::test_gain_disagreement_and_what_is_kept_by_hand"),
    gains_count_members_as_examples=(
        "the interval of a gain takes the members' predictions for independent ones",
        "differences.std(ddof=1)) / math.sqrt(len(labels))",
        "differences.std(ddof=1)) / math.sqrt(len(labels) * len(members))",
    ),
    members_deviate_too_little=(
        "the deviation of members divides by their number",
        "float(np.std([one[name] for one in members], ddof=1))",
        "float(np.std([one[name] for one in members]))",
    ),
    members_agree_with_themselves=(
        "the mean disagreement counts each member with itself",
        "np.triu_indices(len(apart), 1)",
        "np.triu_indices(len(apart))",
    ),
    calibration_of_the_first_member=(
        "the members' calibration is that of the first",
        "np.concatenate(list(probabilities)), np.tile(labels, len(probabilities))",
        "probabilities[0], labels",
    ),
)
_FOLDS = plant(
    "imgcls_jax/predict/folds.py",
    ("predict/test_members.py", "experiments/test_ensemble_main.py"),
    one_member_stands_for_a_fold=(
        "of several members of a fold the first alone counts",
        'averaged(np.stack([arrays["probabilities"] for arrays in kept]))',
        'kept[0]["probabilities"]',
    ),
    folds_of_two_cross_validations=(
        "folds of other splits of the data are joined",
        "dataclasses.replace(member.config.data, fold=first.config.data.fold)\n"
        "            != first.config.data\n",
        "member.config.data.dataset != first.config.data.dataset\n",
    ),
)
_SOUP = plant(
    "imgcls_jax/train/soup.py",
    ("train/test_soup.py",),
    any_start_makes_a_soup=(
        "networks of different seeds make a soup",
        'if first.model.weights == "none" and len(',
        'if first.model.weights != "none" and len(',
    ),
    other_weights_make_a_soup=(
        "networks that began from other weights make a soup",
        "if any(config.model != first.model for config in configs):",
        "if any(config.model.model != first.model.model for config in configs):",
    ),
    a_soup_begins_with_the_worst=(
        "networks are added worst first",
        "key=lambda k: -alone[k]",
        "key=lambda k: alone[k]",
    ),
    a_soup_is_compared_with_the_added=(
        "a network is kept where the soup is better than that network",
        "(accuracy := accuracy_of(tried)) >= best:",
        "(accuracy := accuracy_of(tried)) >= alone[k]:",
    ),
    a_soup_reports_its_best_member=(
        "a soup's accuracy is that of its best member",
        "chosen, best, mixed = [*chosen, k], accuracy, tried",
        "chosen, mixed = [*chosen, k], tried",
    ),
)
_DISTIL = plant(
    "imgcls_jax/train/distil.py",
    ("train/test_distil.py",),
    the_student_is_not_softened=(
        "the temperature is the teacher's alone",
        "cross_entropy(logits / temperature, targets)",
        "cross_entropy(logits, targets)",
    ),
    the_teacher_is_not_softened=(
        "the temperature is the student's alone",
        "jax.nn.softmax(soft / temperature)",
        "jax.nn.softmax(soft)",
    ),
    soft_gradients_vanish=(
        "the teacher's part shrinks with the temperature",
        "learned = temperature**2 * cross_entropy",
        "learned = cross_entropy",
    ),
    the_teacher_sees_other_images=(
        "the teacher is asked for the images before they were changed",
        "bool(config.train.augment) or config.data.random_crop is not None",
        "False",
    ),
    a_crop_is_no_change=(
        "the teacher is asked once although photos are cropped at random",
        "bool(config.train.augment) or config.data.random_crop is not None",
        "bool(config.train.augment)",
    ),
    answers_in_their_order=(
        "an example gets what the teacher said of another",
        "known[index]",
        "known[: len(index)]",
    ),
    a_teacher_is_asked_to_the_end=(
        "a signal waits until the teacher has been asked for every image",
        "[:count])\n        check()\n",
        "[:count])\n",
    ),
)
_COMMAND = (
    "experiments/test_ensembling.py",
    "experiments/test_ensemble_main.py::test_the_folder_tells_the_whole_story",
    "experiments/test_ensemble_main.py::test_the_student_is_a_run_like_any_other",
)
_DECISIONS = plant(
    "experiments/cli/ensembling.py",
    _COMMAND,
    weights_fitted_on_the_test_set=(
        "weights and soup are chosen on the test set",
        'return watched.split, "no member trained on it"',
        'return dataset.test, "no member trained on it"',
    ),
    other_splits_are_common=(
        "members that held out other examples of equal number share a validation split",
        "{(of.data.hold_out, of.data.split_seed) for of",
        "{of.data.hold_out for of",
    ),
    one_that_held_out_is_enough=(
        "weights are fitted on examples that some members trained on",
        "not all(of.data.hold_out for of in configs)",
        "not any(of.data.hold_out for of in configs)",
    ),
    the_student_learns_from_equals=(
        "a student learns from members of equal weight",
        "tuple(weights.tolist()))",
        "(1 / len(members),) * len(members))",
    ),
    a_soup_chosen_by_the_test_set=(
        "a greedy soup is chosen by the test set",
        'figures(of, split)["accuracy"]',
        'figures(of, dataset.test)["accuracy"]',
    ),
    a_soup_of_all_is_called_greedy=(
        "the soup that meets the test set is of all members, not the greedy one",
        'chosen, found, kind = greedy.chosen, greedy.variables, "greedy"',
        'chosen, kind = greedy.chosen, "greedy"',
    ),
    the_best_student_counts=(
        "the figures of several students are the best one's",
        "float(np.mean(values)) for name, values in figures",
        "float(np.max(values)) for name, values in figures",
    ),
    a_teacher_without_weights=(
        "a student goes on with a teacher of other weights",
        'f"{m.digest}:{w:.9g}" for m, w',
        "m.digest for m, _",
    ),
) + plant(
    "experiments/ensemble.py",
    _COMMAND,
    soft_share_is_nothing=(
        "soft_share does nothing",
        '"share": _SOFT_SHARE.value',
        '"share": 0.9',
    ),
    candidates_are_all_the_chosen=(
        "the test figures of every weighting are those of the chosen one",
        'np.array(candidate["weights"])',
        "weighed.weights",
    ),
)
FAULTS = (
    _ENSEMBLE + _MEMBERS + _WEIGHTING + _GAINS + _FOLDS + _SOUP + _DISTIL + _DECISIONS
)  # fmt: skip
