"""Faults in what odd machines, wrong JSON and damaged exported files meet."""

from .fault import plant

FAULTS = (
    plant(
        "imgcls_jax/files/fit.py",
        ("files/test_fit.py", "test_run_files.py"),
        text_is_a_number=(
            "a value of another type passes",
            "        fits = kind is wanted\n",
            "        fits = True\n",
        ),
        keys_may_be_missing=(
            "an object without a key that is needed passes",
            "elif name in wanted.__required_keys__:",
            "elif name in ():",
        ),
        ranges_are_not_held=(
            "a value outside its range passes",
            "for h in of[1:] if not h.test(value))",
            "for h in of[2:] if not h.test(value))",
        ),
        whole_numbers_may_be_huge=(
            "a whole number of a thousand bits passes",
            "if wanted is int and set(map(type, value)) == {int}:",
            "if wanted is int and set(map(type, value)) == {int}:\n        return\n    if False:",
        ),
    )
    + plant(
        "imgcls_jax/files/reading.py",
        ("files/test_typed.py",),
        two_keys_are_one=(
            "the last of two equal keys wins without a word",
            "if len(found) < len(pairs):",
            "if not found:",
        ),
        numbers_may_be_infinite=(
            "1e999 is read as infinity",
            "    if math.isinf(value):\n",
            "    if math.isnan(value):\n",
        ),
        nesting_may_be_deep=(
            "JSON of a thousand lists in each other is read",
            "    _require_shallow(value)\n    return value",
            "    return value",
        ),
    )
    + plant(
        "imgcls_jax/predict/export.py",
        ("predict/test_export_checked.py",),
        a_program_is_not_compared=(
            "class names and shapes are not held to the program",
            "if said := _unlike(exported, meta):",
            "if said := None:",
        ),
        a_damaged_program_is_a_traceback=(
            "a program that cannot be compiled ends in XLA's own error",
            "predict=_explained(jax.jit(exported.call), path),",
            "predict=jax.jit(exported.call),",
        ),
        files_may_be_compressed=(
            "a small exported file unpacks into a vast one",
            "if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):",
            "if not archive.infolist():",
        ),
    )
    + plant(
        "imgcls_jax/predict/predictor.py",
        ("predict/test_export_checked.py",),
        nan_is_the_first_class=(
            "a picture whose probabilities are NaN is of a class",
            "if not np.isfinite(probabilities).all() or",
            "if",
        ),
    )
    + plant(
        "imgcls_jax/limits/kept.py",
        ("test_run_files.py",),
        limits_of_other_shapes_are_taken=(
            "arrays of another run's limits are taken",
            "    if not _fit_together(arrays):",
            "    if not arrays:",
        ),
    )
    + plant(
        "imgcls_jax/files/__init__.py",
        ("experiments/test_surroundings.py", "files/test_files.py"),
        addresses_are_folders=(
            "gs://bucket makes a folder called gs:",
            "    if _ADDRESS.match(text):",
            '    if text == "gs://":',
        ),
        numbers_are_formulas=(
            "a negative number has an apostrophe before it",
            "if isinstance(value, int | float):",
            "if isinstance(value, int):",
        ),
    )
    + plant(
        "experiments/cli/surroundings.py",
        ("experiments/test_surroundings.py",),
        a_notebooks_backend_stays=(
            "figures are drawn by the backend of a notebook that is not there",
            '    os.environ["MPLBACKEND"] = "Agg"\n',
            "",
        ),
        closed_streams_stay=(
            "the next file that is opened is standard output",
            "        if getattr(sys, name) is None:",
            '        if name == "":',
        ),
        float64_stays=(
            "JAX_ENABLE_X64 ends a training in a TypeError",
            "            jax.config.update(name, False)\n",
            "",
        ),
    )
    + plant(
        "imgcls_jax/config/__init__.py",
        ("experiments/test_surroundings.py",),
        seeds_go_beyond_the_bound=(
            "the second of two seeds is one that nobody may give",
            "if first + count > 2**31:",
            "if first > 2**31:",
        ),
    )
    + plant(
        "imgcls_jax/data/photos/above.py",
        ("data/photos/test_above.py",),
        a_class_is_no_level=(
            "the folder of one class names no right level",
            "    return of_split(inside.parent) or inside.parent\n",
            "    return None\n",
        ),
    )
    + plant(
        "imgcls_jax/data/catalog/load.py",
        ("data/catalog/test_catalog_load.py",),
        a_level_too_deep_is_prepared_again=(
            "a data_dir one level too deep is prepared anew inside itself",
            "            return top\n",
            "            return data_dir\n",
        ),
    )
    + plant(
        "imgcls_jax/workdir.py",
        ("test_run_files.py",),
        hidden_files_fill_a_folder=(
            "a folder with .DS_Store alone is refused",
            'if not entry.name.startswith(".")}',
            'if entry.name != "."}',
        ),
    )
    + plant(
        "imgcls_jax/losses.py",
        ("test_losses.py",),
        an_infinite_logit_is_nan=(
            "a logit of infinity on the side of its label makes the loss NaN",
            "of_label - _weighed(1 - targets, jax.nn.log_sigmoid(-logits))",
            "of_label - (1 - targets) * jax.nn.log_sigmoid(-logits)",
        ),
    )
)
