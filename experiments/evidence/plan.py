"""What there is to measure: result files, and the fewest trainings that fill them.

Readings that differ in the number of epochs alone are one training, met by the test set where each
of them ends: with a constant rate the first epochs of a longer run are the shorter run. Readings of
two runs that have the same settings are one training too.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.documented import RUNS, DocumentedRun, Reading
from experiments.presets import choose
from imgcls_jax.config import Config
from imgcls_jax.errors import UserError


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """A result file to fill, and the settings that its seeds are measured with.

    Attributes:
      stem: the file's name without its suffix.
      settings: configuration fields, without those left to their defaults.
      header: what the file says of all its seeds.
      variant: what tells it from the file's other settings, where a file compares several.
    """

    stem: str
    settings: Mapping[str, Any]
    header: Mapping[str, Any]
    variant: str | None = None

    @property
    def epochs(self) -> int:
        return self.settings["epochs"]


@dataclasses.dataclass(frozen=True)
class Unit:
    """One training of one seed, for all the files that it fills.

    Attributes:
      settings: of the training, with the most epochs that a target asks for.
      targets: in the order of their epochs.
      seed: the seed, or of run 8 the number of an order of the pixels.
    """

    settings: Mapping[str, Any]
    targets: tuple[Target, ...]
    seed: int

    @property
    def name(self) -> str:
        """A name for its folder and its lock, the same in every process."""
        content = json.dumps([dict(self.settings), [t.epochs for t in self.targets]], default=str)
        digest = hashlib.sha256(content.encode()).hexdigest()[:8]
        return f"{self.targets[-1].stem}-{digest}-seed-{self.seed}"

    @property
    def title(self) -> str:
        stems = dict.fromkeys(target.stem for target in self.targets)
        variants = [target.variant for target in self.targets if target.variant]
        of = "order" if self.is_logistic else "seed"
        return ", ".join((*stems, *variants, f"{of} {self.seed}"))

    @property
    def is_logistic(self) -> bool:
        return self.settings["model"] == "logistic_sgd"


def chosen_runs(names: Sequence[str]) -> list[DocumentedRun]:
    """Returns the documented runs that a list such as ["1-9", "11"] names.

    Raises:
      UserError: for anything that is no number of a run, or no range of them.
    """
    chosen: list[int] = []
    for name in names or [""]:  # no name is none of a run either
        first, dash, last = name.partition("-")
        try:
            numbers = range(int(first), int(last if dash else first) + 1)
        except ValueError:
            numbers = range(0)
        if not numbers or not set(numbers) <= set(RUNS):
            raise UserError(
                f"--runs={','.join(names)} must name documented runs, {min(RUNS)} to {max(RUNS)}, "
                "such as 1-9 or 5,10."
            )
        chosen += numbers
    return [RUNS[number] for number in dict.fromkeys(chosen)]


def slug(found: DocumentedRun, reading: Reading) -> str:
    """Names the file of a reading: run5_lr0.0008, run4_5epochs; run2 where there is only one."""
    if len(found.readings) == 1:
        return f"run{found.number}"
    return f"run{found.number}_{re.sub(r'[^0-9A-Za-z.]', '', reading.label)}"


def documented(found: DocumentedRun, replaced: Mapping[str, Any] | None = None) -> list[Target]:
    """Returns a file for each reading of a documented run.

    Args:
      replaced: settings to put in place of a photo run's own, `model` and `weights`. The document
        then reports nothing of these readings, and those that become equal are one.

    Raises:
      UserError: for weights that cannot be read.
    """
    targets: dict[str, Target] = {}
    for reading in found.readings:
        settings, stem = dict(reading.settings), slug(found, reading)
        report = choose.report(found, reading)
        if settings["dataset"] == "folder":
            settings |= replaced or {}
            settings |= choose.following_weights(settings, given=["image_size"])
            if settings["model"] != reading.settings["model"]:
                report |= {"figures": {}, "reading": f"{settings['model']} in place of its network"}
                kind = "frozen" if settings["trainable"] == "head" else "trained"
                augmented = "_augmented" if settings.get("augment") and kind == "frozen" else ""
                stem = f"run{found.number}_{settings['model']}_{kind}{augmented}"
        header = {
            "run": found.number,
            "reading": reading.label,
            "title": found.title,
            "config": config_of(settings),
            "documented": report,
            "watched": "test" if settings.get("watch_test") else None,
        }
        targets.setdefault(stem, Target(stem, settings, header))
    return list(targets.values())


def config_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings whole, less the seed, which is each entry's own.

    A file of weights is known by its name, wherever it lies.
    """
    if settings["model"] == "logistic_sgd":
        return {name: value for name, value in settings.items() if name != "seed"}
    config = Config.of(**settings).to_json()
    del config["seed"]
    return config | {"weights": Path(config["weights"]).name}


def units(targets: Iterable[Target], seeds: int) -> list[Unit]:
    """Returns the trainings that fill the files with seeds 0 to `seeds` - 1, the longest first."""
    courses: dict[str, list[Target]] = {}
    for target in targets:
        courses.setdefault(_course(target.settings), []).append(target)
    found = []
    for shared in courses.values():
        shared.sort(key=lambda target: target.epochs)
        found += [Unit(shared[-1].settings, tuple(shared), seed) for seed in range(seeds)]
    return sorted(found, key=lambda unit: -unit.targets[-1].epochs)


def program(unit: Unit) -> str:
    """Returns what trainings must share to be one program: all but seed and learning rate."""
    shared = {name: value for name, value in unit.settings.items() if name != "lr"}
    return json.dumps(shared, sort_keys=True, default=str)


def _course(settings: Mapping[str, Any]) -> str:
    """Returns what settings must share to be one training."""
    shared = dict(settings)
    prefix_is_shorter_run = settings["model"] in ("mlp", "linear") and not (
        settings.get("schedule") or settings.get("warmup_epochs") or settings.get("ema")
    )
    if prefix_is_shorter_run:
        del shared["epochs"]
    return json.dumps(shared, sort_keys=True, default=str)
