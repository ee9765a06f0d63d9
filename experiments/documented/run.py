"""A documented run: its settings, its figures, and how the document contradicts itself."""

import dataclasses
from collections.abc import Mapping
from typing import Any

Figures = Mapping[str, float | tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class Reading:
    """One way to read a run's settings.

    Attributes:
      label: a few words that tell it from the run's other readings.
      where: the passage of the document that it rests on.
      settings: configuration fields, without those left to their defaults.
      figures: what the document reports of this reading; None for what it reports of the run.
    """

    label: str
    where: str
    settings: Mapping[str, Any]
    figures: Figures | None = None


@dataclasses.dataclass(frozen=True)
class DocumentedRun:
    """One run as its document tells it.

    Attributes:
      number: 1 to 15.
      title: the network or the experiment in a few words.
      source: title of the document.
      framework: 'torch', 'sklearn' or 'keras', which the program was written in.
      figures: documented results by name, fractions in [0, 1] or nats, (low, high) where the
        document gives a range; the first is the headline.
      readings: every set of settings that the document allows; at least one, the first is the
        preset.
      seconds: documented training time, or None.
      hardware: the machine of the run, or None if the document does not name it.
      confusion_matrix: 10 rows (true class) of 10 counts (predicted class) over the test set, or
        None.
      disagreement: the document's contradictions in one or two sentences, or None.
      classes: of the documented photos, in lower case, or their number; None where the name of the
        data set says it all.
    """

    number: int
    title: str
    source: str
    framework: str
    figures: Figures
    readings: tuple[Reading, ...]
    seconds: float | None = None
    hardware: str | None = None
    confusion_matrix: tuple[tuple[int, ...], ...] | None = None
    disagreement: str | None = None
    classes: tuple[str, ...] | int | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Returns the configuration fields that the run sets, a copy of the first reading's."""
        return dict(self.readings[0].settings)

    @property
    def headline(self) -> tuple[str, float | tuple[float, float] | None]:
        """Returns name and value of the figure to compare with, e.g. ('test_accuracy', 0.8894).

        The value is None if the document gives no figure.
        """
        return next(iter(self.figures.items()), ("test_accuracy", None))

    def figures_of(self, reading: Reading) -> dict[str, float | tuple[float, float]]:
        """Returns what the document reports of one of the run's readings."""
        return dict(self.figures if reading.figures is None else reading.figures)

    def has_classes(self, names: tuple[str, ...]) -> bool:
        """Returns whether photos of these classes may be the documented ones."""
        if isinstance(self.classes, tuple):
            return sorted(name.lower().strip() for name in names) == sorted(self.classes)
        return self.classes in (None, len(names))
