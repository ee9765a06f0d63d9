"""The report of a finished run as one HTML file, `report.html`, from its files and its data."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from imgcls_jax.config import Config, settings_by_name
from imgcls_jax.data.dataset import Dataset
from imgcls_jax.limits import temperature
from imgcls_jax.report import console, page
from imgcls_jax.report.page import Card
from imgcls_jax.report.sheets import confident_mistakes
from imgcls_jax.workdir import Workdir

NAME = "report.html"
_MISTAKES = 25  # named in the table at most
_CAPTIONS = {
    "learning_curves": "Loss and accuracy by epoch. Those of training are means over the epoch, "
    "while the network changes.",
    "confusion_matrix": "Test examples by true class (rows) and predicted class (columns); the "
    "colour is the share of the true class.",
    "predictions": "Some test examples under their predicted class: green is right, red is wrong.",
    "mistakes": "The mistakes that the network was most certain of, the worst first.",
    "calibration": "How often predictions of a confidence are right, with the temperature, where "
    "one was learned, and without it. On the dotted line confidence is what it says.",
    "class_counts": "How many examples each class has, by split.",
    "precision_recall": "Precision against recall at every threshold, one class against the rest.",
    "roc": "True against false positives at every threshold, one class against the rest.",
    "saliency": "Where the network looks for its prediction (Grad-CAM).",
    "sample_image": "The first training image.",
    "sample_row": "Some training images with their classes.",
    "augmentation": "What the augmentations of the training images do.",
}
_OF_LABELS = {  # where an example may have several
    "predictions": "Some test photos under the labels from their thresholds on, above those they "
    "have: green where all are right. A bar is green or red by its label, grey below a threshold.",
    "class_counts": "How many photos have each label, by split.",
    "precision_recall": "Precision against recall at every threshold, for each label.",
    "roc": "True against false positives at every threshold, for each label.",
    "sample_image": "The first training photo and its labels.",
}
_NO_VALIDATION = (
    " Nothing was held out from training, so that there is no validation line; the setting "
    "hold_out=0.1 keeps a tenth to choose by."
)


def write(
    workdir: Workdir, dataset: Dataset, *, figures: Sequence[str | Path], command: str
) -> Path:
    """Writes the report of a finished run and returns its path.

    Args:
      workdir: the run's folder.
      dataset: its data.
      figures: the files of its figures, in the order of the page.
      command: what to type to run it again.

    Raises:
      UserError: the file cannot be written, or one of the run's cannot be read.
    """
    summary, config = workdir.summary(), workdir.config()
    sections = [
        page.cards(headline(summary)),
        page.section("Result", page.facts(console.results(summary))),
        page.section("Classes", classes(summary["per_class"])),
        page.section("Figures", pictures(figures, summary)),
    ]
    if dataset.test.paths is not None and not dataset.several_labels:
        sections.append(page.section("Worst mistakes", _mistakes(workdir, dataset, summary)))
    sections += [
        page.section("Settings", _settings(config)),
        page.section("Data", data(dataset, summary)),
        page.section("Times", page.facts(console.seconds(summary))),
        page.section("Environment", environment(summary)),
        page.section("Run it again", page.command(command)),
    ]
    return save(workdir, f"{summary['run']} on {dataset.name}", sections)


def save(workdir: Workdir, title: str, sections: Sequence[str]) -> Path:
    """Writes a report of these sections, HTML, into a run's folder; returns its path."""
    workdir.write_text(NAME, page.page(title, str(workdir.path), sections))
    return workdir.path / NAME


def headline(summary: Mapping[str, Any]) -> list[Card]:
    """Returns the figures of a run that are seen first."""
    low, high = summary["test_accuracy_interval"]
    if summary.get("thresholds") is not None:
        precision, exact = summary["test_mean_average_precision"], summary["test_subset_accuracy"]
        return [
            Card("mean average precision", "-" if precision is None else f"{precision:.4f}", ""),
            Card("exact matches", f"{exact:.4f}", "every label of a photo right"),
            Card("Hamming loss", f"{summary['test_hamming_loss']:.4f}", "share of wrong labels"),
        ]
    found = [
        Card("test accuracy", f"{summary['test_accuracy']:.4f}", interval(low, high)),
        Card("balanced accuracy", f"{summary['test_balanced_accuracy']:.4f}", "mean recall"),
    ]
    if "test_balanced_accuracy_interval" in summary:
        note = interval(*summary["test_balanced_accuracy_interval"])
        found[1] = found[1]._replace(note=note)
    for name, difference in list(summary.get("difference", {}).items())[:1]:
        figure, ours = console.documented_figure(summary, name, difference)
        found.append(Card(f"documented {name.replace('_', ' ')}", figure, ours))
    if summary.get("train_seconds"):
        note = f"{summary['epochs']} epochs, without compilation and evaluation"
        found.append(Card("training", f"{summary['train_seconds']:,.1f} s", note))
    return found


def interval(low: float, high: float) -> str:
    """Returns an interval in words."""
    return f"95 % interval {low:.4f} to {high:.4f}"


def classes(per_class: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the table of the classes, or of the labels with their thresholds."""
    shares = ["precision", "recall", "f1"]
    shares += ["threshold"] * any("threshold" in of for of in per_class.values())
    rows = [
        (name, *(float(of[share]) for share in shares), int(of["support"]))
        for name, of in per_class.items()
    ]
    return page.table(("class", *shares, "support"), rows)


def pictures(figures: Sequence[str | Path], summary: Mapping[str, Any]) -> str:
    """Returns figures with their captions; nothing where none were drawn."""
    shown, several = [], summary.get("thresholds") is not None
    captions = _CAPTIONS | _OF_LABELS if several else _CAPTIONS
    for path in map(Path, figures):
        caption = captions.get(path.stem, path.stem.replace("_", " "))
        if path.stem == "learning_curves" and summary.get("watched") is None:
            caption += _NO_VALIDATION
        shown.append(page.picture(path, caption))
    return f'<div class="pictures">{"".join(shown)}</div>' if shown else ""


def data(dataset: Dataset, summary: Mapping[str, Any]) -> str:
    """Returns what the data is, where it came from, and what is to be known of it."""
    lines = console.of_data(dataset)
    del lines["first labels"]
    if "examples" in summary:  # less what was held out
        lines["examples"] = ", ".join(f"{n:,} {name}" for name, n in summary["examples"].items())
    return page.facts(lines) + page.paragraphs(dataset.notes)


def environment(summary: Mapping[str, Any]) -> str:
    """Returns the device, the versions and the commit of a run."""
    versions = ", ".join(f"{name} {value}" for name, value in summary["versions"].items())
    found = {"device": summary["device"], "versions": versions}
    return page.facts(found | {"commit": summary["git_commit"] or "not known"})


def settings(rows: Sequence[Sequence[str]]) -> str:
    """Returns a table of settings: name, value, default, and what each is."""
    note = "All other settings have their defaults; config.json has every one."
    return page.table(("setting", "value", "default", "what it is"), rows) + page.paragraphs([note])


def _settings(config: Config) -> str:
    """Returns the settings that differ from the defaults or matter in every run."""
    defaults = Config().to_json()
    return settings(
        [
            (name, _spelled(value), _spelled(defaults[name]), _meaning(name))
            for name, value in config.shown().items()
        ]
    )


def _meaning(setting: str) -> str:
    """Returns what a setting is, without the choices that there are."""
    of = settings_by_name()[setting][1].metadata
    return of["help"].removesuffix(f": {', '.join(of['choices'])}")


def _spelled(value: Any) -> str:
    found = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
    return "-" if found in (None, "") else str(found)


def _mistakes(workdir: Workdir, dataset: Dataset, summary: Mapping[str, Any]) -> str:
    """Returns the table of the photos that were confidently called something else."""
    arrays = workdir.read_arrays("predictions.npz")
    known = summary.get("temperature", {}).get("value")
    probabilities = temperature.of_probabilities(arrays["probabilities"], known)
    wrong, names = confident_mistakes(arrays["labels"], probabilities), dataset.class_names
    rows = []
    for index in wrong[:_MISTAKES]:
        chosen = int(np.argmax(probabilities[index]))
        of = (dataset.test.paths[index], names[arrays["labels"][index]], names[chosen])
        rows.append((*of, float(probabilities[index, chosen])))
    said = f"{len(wrong):,} of {len(dataset.test):,} test photos"
    more = ["No mistakes." if not rows else f"{said}; predictions.csv has every one."]
    return page.table(("photo", "true", "predicted", "probability"), rows) + page.paragraphs(more)
