"""What the documents claim in passing, answered from result files without a further training."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

# Returns a file by its stem, or says with which command to make it; as `store.Store.need`.
Need = Callable[..., dict[str, Any]]
_PLACE = ("device", "versions", "git_commit")  # of a file of one program's one run
Table = tuple[Sequence[str], Sequence[Sequence[str]]]


@dataclasses.dataclass(frozen=True)
class Computed:
    """A sentence of a document that other result files answer.

    Attributes:
      name: of the claim, and after `claim_` of its file.
      says: the claim in a sentence.
      source: where it stands.
      compute: returns the content of the file, with `environments`, from other files.
      table: returns header and rows to show of a content.
      sentence: returns what a content comes to.
    """

    name: str
    says: str
    source: str
    compute: Callable[[Need], dict[str, Any]]
    table: Callable[[Mapping[str, Any]], Table]
    sentence: Callable[[Mapping[str, Any]], str]

    @property
    def stem(self) -> str:
        return f"claim_{self.name}"

    def content(self, need: Need) -> dict[str, Any]:
        """Returns the content of the claim's file."""
        return {"claim": self.name, "says": self.says, "source": self.source} | self.compute(need)


def per_cent(values: Sequence[float]) -> str:
    """Returns mean and deviation (n - 1) of fractions, as per cent."""
    deviation = f" ± {100 * stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * mean(values):.2f}{deviation} %"


def environments(files: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns where the seeds of files were measured, each place once."""
    made = []
    for found in files:
        made += found.get("environments", [{n: found[n] for n in _PLACE if n in found}])
    return [place for k, place in enumerate(made) if place and place not in made[:k]]
