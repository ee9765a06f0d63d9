"""Faults of the general command, and of what a notebook is shown."""

from .fault import plant

FAULTS = (
    plant(
        "experiments/presets/general.py",
        ("experiments/test_general.py",),
        characters_are_mirrored=(
            "digits and letters are mirrored",
            "if _characters(found):",
            "if not found.class_names:",
        ),
        large_images_train_from_scratch=(
            "photos of a data set are taken for small images",
            "return sized or found is None or found.photos",
            "return sized or found is None",
        ),
        every_split_counts=(
            "the largest split, which may have no labels, decides how long is trained",
            'found.counts.get("train") or max(found.counts.values())',
            "max(found.counts.values())",
        ),
        few_examples_make_one_batch=(
            "few examples make an epoch of one step",
            "> max(1, examples // _STEPS):",
            "> max(1, examples):",
        ),
    )
    + plant(
        "experiments/cli/again.py",
        ("experiments/test_again.py",),
        the_command_lacks_its_data_set=(
            "the command of a report leaves out the data set that the folder named",
            'if experiment == "train":',
            'if experiment == "general":',
        ),
    )
    + plant(
        "experiments/cli/training.py",
        ("experiments/test_train_main.py",),
        a_folder_goes_to_no_data_set=(
            "a folder is claimed for a data set that does not exist",
            '        if experiment != "train":  # which has shown it\n',
            '        if experiment == "train":\n',
        ),
    )
    + plant(
        "imgcls_jax/report/notebook_figure.py",
        ("report/test_figure.py",),
        a_shown_figure_is_cut=(
            "a notebook shows a figure cut to what is drawn",
            'self.savefig(drawn, format="png")',
            'self.savefig(drawn, format="png", bbox_inches="tight")',
        ),
    )
    + plant(
        "imgcls_jax/train/waiting.py",
        ("train/test_waiting.py",),
        notebooks_have_no_bars=(
            "a notebook is taken for a log",
            'kind.__module__ == "tqdm.notebook"',
            'kind.__module__ == "tqdm.gui"',
        ),
    )
)
