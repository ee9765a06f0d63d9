"""What a documented run is: settings, figures, and how a document contradicts itself."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Reading:
    """One way to read a run's settings: a short label, the passage it rests on, the settings."""

    label: str
    where: str
    settings: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class DocumentedRun:
    """One run as its source document tells it.

    Attributes:
      number: 1 to 15.
      title: what the run is, in a few words.
      source: title of the document.
      framework: 'torch', 'sklearn' or 'keras', whose semantics the run has.
      figures: documented results by name, fractions in [0, 1] or nats; the first is the headline.
      readings: every set of settings the document allows; never empty, the first is the preset.
      seconds: documented training time, or None.
      hardware: what the run was made on, or None where the document does not say.
      confusion_matrix: 10 rows (true class) of 10 counts (predicted class) over the test set, or
        None.
      disagreement: what the document contradicts itself about, in one sentence, or None.
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
        """The configuration fields the run sets: a fresh copy of the first reading's."""
        return dict(self.readings[0].settings)

    @property
    def headline(self) -> tuple[str, float | None]:
        """Name and value of the figure to compare with, e.g. ('test_accuracy', 0.8894).

        The value is None where the document gives no figure.
        """
        return next(iter(self.figures.items()), ("test_accuracy", None))
