"""A documented run: its settings, its figures, and how the document contradicts itself."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Reading:
    """One way to read a run's settings.

    Attributes:
      label: a few words that tell it from the run's other readings.
      where: the passage of the document that it rests on.
      settings: configuration fields, without those left to their defaults.
    """

    label: str
    where: str
    settings: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class DocumentedRun:
    """One run as its document tells it.

    Attributes:
      number: 1 to 15.
      title: the network or the experiment in a few words.
      source: title of the document.
      framework: 'torch', 'sklearn' or 'keras', which the program was written in.
      figures: documented results by name, fractions in [0, 1] or nats; the first is the headline.
      readings: every set of settings that the document allows; at least one, the first is the
        preset.
      seconds: documented training time, or None.
      hardware: the machine of the run, or None if the document does not name it.
      confusion_matrix: 10 rows (true class) of 10 counts (predicted class) over the test set, or
        None.
      disagreement: the document's contradictions in one or two sentences, or None.
    """

    number: int
    title: str
    source: str
    framework: str
    figures: Mapping[str, float]
    readings: tuple[Reading, ...]
    seconds: float | None = None
    hardware: str | None = None
    confusion_matrix: tuple[tuple[int, ...], ...] | None = None
    disagreement: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Returns the configuration fields that the run sets, a copy of the first reading's."""
        return dict(self.readings[0].settings)

    @property
    def headline(self) -> tuple[str, float | None]:
        """Returns name and value of the figure to compare with, e.g. ('test_accuracy', 0.8894).

        The value is None if the document gives no figure.
        """
        return next(iter(self.figures.items()), ("test_accuracy", None))
