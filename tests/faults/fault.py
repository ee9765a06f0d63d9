"""A fault as a careless programmer would make it: one piece of text in one file of the library."""

import dataclasses
import hashlib
import json
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
      name: unique, for `--only`.
      file: the file it is planted in, relative to the repository.
      breaks: what goes wrong, a clause.
      old, new: the text that is replaced, which stands in the file once, and its replacement.
      tests: files of tests, or single ones ("file.py::test"), that are expected to notice, the
        cheapest first.
    """

    name: str
    file: str
    breaks: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Tells this fault from any other, by all but its tests: more of them can only help."""
        whole = [self.name, self.file, self.breaks, self.old, self.new]
        return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:16]

    def planted_in(self, text: str) -> str:
        """Returns the text of the file with the fault in it.

        Raises:
          ValueError: if the old text is not there exactly once.
        """
        count = text.count(self.old)
        if count != 1:
            raise ValueError(
                f"the text of fault {self.name} stands {count} times in {self.file}, not once: "
                "bring the fault up to date with the file."
            )
        return text.replace(self.old, self.new)


def plant(file: str, tests: tuple[str, ...], **changes: tuple[str, str, str]) -> tuple[Fault, ...]:
    """Returns the faults of one file, whose tests are the same.

    Args:
      file: relative to the repository.
      tests: relative to the folder of tests.
      **changes: by the fault's name: what it breaks, the old text, the new one.
    """
    paths = tuple(f"tests/{test}" for test in tests)
    return tuple(
        Fault(name, file, breaks, old, new, paths) for name, (breaks, old, new) in changes.items()
    )
