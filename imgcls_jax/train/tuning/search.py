"""The definition of a search for settings: what is to be beaten, the space, where it is kept."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from imgcls_jax.config import Config
from imgcls_jax.train.tuning import study as studies
from imgcls_jax.train.tuning.search_space import Space


@dataclasses.dataclass(frozen=True)
class Search:
    """What is searched, how, and where it is remembered; it can be pickled.

    Attributes:
      configure: settings by name -> the configuration they make, on top of what they start from.
      given: settings of every trial, the first one's too.
      fixed: further settings of every trial but the first.
      space: what differs between trials.
      data: the identity of the data, see `data.dataset.identity`.
      url, name, folder: the study's, see `study.Study`.
      pruner: one of `study.PRUNERS`.
      trials: how many there are to be in all; None for as many as the time allows.
      whole: settings by which a run trains on the validation split too; `hold_out=0` if empty.
    """

    configure: Callable[[Mapping[str, Any]], Config]
    given: Mapping[str, Any]
    fixed: Mapping[str, Any]
    space: Space
    data: str
    url: str
    name: str
    folder: Path
    pruner: str
    trials: int | None
    whole: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def preset(self) -> Config:
        """The settings to beat, those of the first trial."""
        return self.configure(self.given)

    def settings(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the settings that a trial adds to what it starts from.

        Args:
          record: the trial's, see `study.Study.records`.
        """
        if record["first"]:
            return dict(self.given)
        return {**self.fixed, **self.given, **studies.read(self.space, record["params"])}

    def definition(self) -> dict[str, Any]:
        """Returns what a study is of, as JSON."""
        defaults, preset = Config().to_json(), self.preset.to_json()
        fixed = {name: value for name, value in preset.items() if value != defaults[name]}
        for name, value in self.fixed.items():
            fixed[f"{name} of trials"] = list(value) if isinstance(value, tuple) else value
        space = {name: found.to_json() for name, found in self.space.items()}
        return {"space": space, "fixed": fixed, "data": self.data}

    def open(self) -> studies.Study:
        """Opens the study; raises as `study.Study` does."""
        return studies.Study(self.url, self.name, self.folder, self.definition())
