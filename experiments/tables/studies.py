"""Studies: what a search of settings found, and how much of its gain was selection."""

from typing import Any

from experiments.tables.files import Files, measured, table

NOTE = """\
The winner by validation accuracy, and the settings to beat, each trained again on all training
examples over seeds and met by the test set once per seed. *Selection* is the share of the gain on
validation that the test set does not give."""
# Result files by stem: a title, and the commands that make them.
STUDIES = {
    "tune_fmnist": (
        "Fashion-MNIST, MLPs",
        "python -m experiments.tune fmnist --minutes=15 --workdir=STUDY",
        "python -m experiments.tune fmnist --trials=32 --workdir=STUDY"
        " --out=experiments/results/tune_fmnist.json  # what it came to, no more trials",
    ),
    "tune_cifar10": (
        "CIFAR-10",
        "python -m experiments.tune cifar10 --minutes=25 --jobs=1 --workdir=STUDY"
        " --out=experiments/results/tune_cifar10.json  # on one core of two",
    ),
}


def studies(files: Files) -> list[str]:
    """Returns the table of the studies that have files, and the commands that made them."""
    rows, commands = [], []
    for stem, (title, *making) in STUDIES.items():
        for name, result in files.take([stem]).items():
            commands += making
            trials = ", ".join(f"{count} {state}" for state, count in result["trials"].items())
            for words, of in (("winner", "winner"), ("settings to beat", "first")):
                if result[of] is not None:
                    figures = _figures(result, of)
                    rows.append((title, words, *figures, trials, *files.made({name: result})))
    if not rows:
        return []
    header = ("", "settings", "validation", "test", "n", "gain on test", "95 %", "selection")
    return [*table((*header, "trials", "machine", "file"), rows), "", "```", *commands, "```"]


def _figures(result: dict[str, Any], of: str) -> tuple[str, ...]:
    found, selection = result[of], result["selection"]
    gain = ("-", "-", "-")
    if of == "winner" and selection is not None:
        low, high = (100 * end for end in selection["test_gain_interval"])
        share = f"{100 * selection['share']:.0f} %"
        gain = (f"{100 * selection['test_gain']:+.2f}", f"{low:+.2f} to {high:+.2f}", share)
    values = found["test_accuracies"]
    validation = measured([found["validation_accuracy"]], "accuracy")
    return (validation, measured(values, "accuracy"), str(len(values)), *gain)
