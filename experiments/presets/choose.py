"""Picks the settings to start from, and says which documented run they are.

They are a documented run's or a named preset's, less the options of a choice that the command line
replaces; the command line wins over the rest.
"""

import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from experiments.cli import origins
from experiments.documented import RUNS, DocumentedRun, Reading
from experiments.presets import cifar10 as cifar10_presets
from experiments.presets import fmnist as fmnist_presets
from experiments.presets import train as train_presets
from experiments.presets import transfer as transfer_presets
from imgcls_jax import models, pretrained
from imgcls_jax.config import Config, settings_by_name
from imgcls_jax.data.photos import label_table
from imgcls_jax.errors import UserError
from imgcls_jax.report import console


@dataclasses.dataclass(frozen=True)
class Preset:
    """Settings to start from.

    Attributes:
      name: what folders under runs/ are called by.
      settings: configuration fields, without those left to their defaults.
      run: the documented run that the settings reproduce, or None.
    """

    name: str
    settings: Mapping[str, Any]
    run: DocumentedRun | None = None

    @property
    def title(self) -> str:
        """Returns its name within a sentence."""
        return f"documented run {self.run.number}" if self.run else f"the preset {self.name}"


# Settings by experiment and by the name that --preset takes.
NAMED: dict[str, dict[str, Mapping[str, Any]]] = {
    "fmnist": fmnist_presets.PRESETS,
    "cifar10": cifar10_presets.PRESETS,
    "transfer": transfer_presets.PRESETS,
    "train": train_presets.PRESETS,
}

# What belongs to the model, optimiser or schedule that a preset names, and to no other.
_OWN = {
    "model": ("hidden", "widths", "stem", "depth", "dropout", "stochastic_depth"),
    "optimizer": ("lr", "lr_scale", "momentum", "nesterov", "weight_decay"),
    "schedule": ("warmup_epochs",),
}


def fashion_mnist(number: int | None, name: str | None, given: Mapping[str, Any]) -> Preset:
    """Picks by the number of a run or the name of a preset.

    Without either: the preset `cnn` for --model=cnn, run 9 for --model=linear, else run 5.

    Args:
      number: what --run gives.
      name: what --preset gives, a key of NAMED["fmnist"].
      given: the settings on the command line.

    Raises:
      UserError: for a number that is no documented run on Fashion-MNIST.
    """
    if number is None:
        if name == "cnn" or (name is None and given.get("model") == "cnn"):
            return named("fmnist", "cnn", given)
        number = 9 if given.get("model") == "linear" else 5
    return _documented_run(number, given, dataset="fashion_mnist")


def cifar10(number: int | None, name: str | None, given: Mapping[str, Any]) -> Preset:
    """Picks as `fashion_mnist` does; by default run 10, or the preset `resnet` for another model.

    Raises:
      UserError: for a number that is no documented run on CIFAR-10.
    """
    if name is None and number is None and given.get("model", "documented_cnn") != "documented_cnn":
        name = "resnet"
    if name is not None:
        return named("cifar10", name, given)
    return _documented_run(10 if number is None else number, given, dataset="cifar10")


def transfer(number: int | None, name: str | None, given: Mapping[str, Any]) -> Preset:
    """Picks as `fashion_mnist` does; by default `frozen`, or `fine_tuned` to train below the head.

    Convention and preprocessing follow from the weights, but for a documented run's image size, and
    the enlarged evaluation from the image size, unless they are given too. Settings that mean
    nothing are left out: for a frozen network those that only fine-tuning has, and a head's own
    epochs where photos are streamed or no weights are given.

    Raises:
      UserError: for a number that is no documented run on photos, or weights that cannot be read.
    """
    if number is not None:
        preset = _documented_run(number, given, dataset="folder")
    else:
        # Settings for a head are not those for what lies below it.
        name = name or ("frozen" if given.get("trainable", "head") == "head" else "fine_tuned")
        preset = named("transfer", name, given)
    settings = dict(preset.settings)
    kept = set(given) if number is None else {"image_size", *given}
    with origins.named(settings, preset.title):
        following = following_weights(settings | given, given=kept)
    if given.get("trainable") == "head":
        for option in ("head_epochs", "layer_decay", "ema", "eval_size"):
            settings.pop(option, None)
    if "eval_size" in settings:
        settings["eval_size"] = _eval_size(settings, settings | following | given)
    if given.get("feed") == "streamed" or given.get("weights") == "none":
        settings.pop("head_epochs", None)
    return dataclasses.replace(preset, settings=settings | following)


def following_labels(preset: Preset, given: Mapping[str, Any], *, data_dir: str | None) -> Preset:
    """Returns the preset with the head that a table of several labels per photo asks for.

    Args:
      given: the settings on the command line; a `head` among them stays.
      data_dir: the folder of the photos, in which the table may lie.

    Raises:
      UserError: for a table that cannot be read.
    """
    if not given.get("label_file") or "head" in given:
        return preset
    table = label_table.read(label_table.find(given["label_file"], data_dir))
    head = {"head": "multi_label"} if table.several else {}
    return dataclasses.replace(preset, settings={**preset.settings, **head})


def features(given: Mapping[str, Any]) -> Config:
    """Returns the settings of photos and network alone: those given, else the preset `frozen`'s.

    Raises:
      UserError: for settings or weights that cannot be used.
    """
    settings, fields = dict(transfer(None, "frozen", given).settings), settings_by_name()
    kept = {n: v for n, v in (settings | dict(given)).items() if fields[n][0] in ("data", "model")}
    return Config.of(**kept)


def _eval_size(preset: Mapping[str, Any], named: Mapping[str, Any]) -> int | None:
    """Scales the preset's evaluation size to another image size; None where it means nothing.

    It is for published networks that are trained on random crops: those show things enlarged, see
    `imgcls_jax.models.tta`.
    """
    crops = any(spec.partition(":")[0] == "resized_crop" for spec in named["augment"])
    if named["model"] not in models.TRANSFERABLE or not (crops or named.get("random_crop")):
        return None
    return round(preset["eval_size"] * named["image_size"] / preset["image_size"])


def following_weights(
    settings: Mapping[str, Any], *, given: Collection[str] = ()
) -> dict[str, Any]:
    """Returns the convention and preprocessing that the weights named in the settings ask for.

    Args:
      settings: those of the preset and of the command line.
      given: the names of those that stay, whatever the weights ask for.

    Raises:
      UserError: for weights that cannot be read, or that do not tell their preprocessing.
    """
    weights, model = settings["weights"], settings["model"]
    if weights != "none":
        described = pretrained.describe(weights, model, given=given)
        pixels = dataclasses.asdict(described.pixels)
        if settings.get("resize") == "pad":  # which keeps the whole photo
            del pixels["crop_fraction"]
        told = {"convention": described.convention} | pixels
        return {n: value for n, value in told.items() if value is not None and n not in given}
    return {} if "convention" in models.options_of(model) else {"convention": None}


def _without_options_of_others(
    settings: Mapping[str, Any], given: Mapping[str, Any], choices: Iterable[str] = tuple(_OWN)
) -> dict[str, Any]:
    """Returns the settings less the options of a choice that the command line replaces."""
    replaced = [c for c in choices if given.get(c, settings.get(c)) != settings.get(c)]
    shed = {option for choice in replaced for option in _OWN[choice]}
    return {name: value for name, value in settings.items() if name not in shed}


def named(experiment: str, name: str, given: Mapping[str, Any]) -> Preset:
    """Returns a named preset less the options of a choice that the command line replaces.

    A training that is no longer than the preset's warm-up has none.
    """
    settings = _without_options_of_others(NAMED[experiment][name], given)
    if given.get("epochs", math.inf) <= settings.get("warmup_epochs", 0):
        settings["warmup_epochs"] = 0.0
    return Preset(name, settings)


def _documented_run(number: int, given: Mapping[str, Any], *, dataset: str) -> Preset:
    """Returns a documented run's settings less the options of a model that is replaced."""
    known = [n for n, found in RUNS.items() if found.settings["dataset"] == dataset]
    if number not in known:
        raise UserError(
            f"there is no documented run {number} here; choose one of "
            f"{', '.join(map(str, known))}, see --list_runs."
        )
    found = RUNS[number]
    settings = _without_options_of_others(found.settings, given, ["model"])
    return Preset(name=f"run{number}", settings=settings, run=found)


def documented(preset: Preset, config: Config) -> dict[str, Any] | None:
    """Finds the documented run that `config` is; returns its `report`, or None if it is none.

    Readings of the preset's own run come first. No reading has the settings where, for example,
    another data set is used: then there is nothing to compare with.
    """
    if preset.run is None:
        return None
    for number in (preset.run.number, *RUNS):
        found = RUNS[number]
        for reading in found.readings:
            if _matches(config, reading.settings):
                return report(found, reading)
    return None


def name_of(preset: Preset, config: Config, documented: Mapping[str, Any] | None) -> str:
    """Returns what a run is called in its summary: by its document, its preset or its network."""
    if documented:
        return f"run {documented['run']}"
    settings = config.flat()
    if preset.run is None and preset.settings == {name: settings[name] for name in preset.settings}:
        return f"{config.data.dataset} {preset.name}"
    return f"{config.data.dataset} {config.model.model}"


def report(found: DocumentedRun, reading: Reading) -> dict[str, Any]:
    """Returns the document's report of a run, as `documented` holds it in a summary."""
    return {
        "run": found.number,
        "source": found.source,
        "reading": f"{reading.label} ({reading.where})",
        "figures": found.figures_of(reading),
        "seconds": found.seconds,
        "hardware": found.hardware,
        "confusion_matrix": found.confusion_matrix,
        "disagreement": found.disagreement,
    }


def _matches(config: Config, settings: Mapping[str, Any]) -> bool:
    """Says whether `config` is what `settings` make it; the seed is free.

    For a network with published weights their publisher, the preprocessing and the split are free
    too: the documents do not name them.
    """
    if settings["model"] == "logistic_sgd" or settings["dataset"] != config.data.dataset:
        return False
    free = ["seed"]
    if settings["dataset"] == "folder":
        if config.model.weights == "none":
            return False
        free += ["weights", "convention", "normalise", "interpolation", "crop_fraction"]
        free += ["folds", "fold", "hold_out", "split_seed"]
    same = {name: value for name, value in config.flat().items() if name in free}
    return config == Config.of(**settings).replace(**same)


def _shown(value: float | tuple[float, float]) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "{:.2f} to {:.2f}".format(*value)


def list_runs(dataset: str) -> None:
    """Prints the documented runs of a data set."""
    rows = []
    shown = [found for found in RUNS.values() if found.settings["dataset"] == dataset]
    for found in shown:
        figure, value = found.headline
        settings = found.settings
        rows.append(
            (
                f"{found.number}  {found.title}",
                found.framework,
                f"{settings['lr']:g}" if "lr" in settings else "-",
                str(settings["epochs"]),
                "-" if value is None else f"{figure.replace('_', ' ')} {_shown(value)}",
                str(len(found.readings)),
            )
        )
    console.table(("run", "framework", "lr", "epochs", "documented", "readings"), rows)
    if any(len(found.readings) > 1 for found in shown):
        print(
            "\nThe document contradicts itself where a run has several readings; the first is the\n"
            "preset. Give the others by flags, as in --run=5 --lr=0.008; all are measured\n"
            "in experiments/results/README.md."
        )
