"""How often a training writes a checkpoint: every so many seconds, steps or epochs."""

import dataclasses
import math
import re

from imgcls_jax.errors import UserError

_FORM = re.compile(r"(\d+(?:\.\d+)?)(s|steps?|epochs?)", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Cadence:
    """The distance of two checkpoints; at most one of the numbers is finite.

    Attributes:
      seconds: the time that has to pass, above 0.
      steps: the number of training steps, at least 1.
      epochs: the number of epochs, at least 1.
    """

    seconds: float = math.inf
    steps: float = math.inf
    epochs: float = math.inf

    @classmethod
    def of(cls, text: str) -> "Cadence":
        """Reads `30s`, `500steps` or `2epochs`.

        Raises:
          UserError: for anything else, or a number below 1 of steps or epochs, or 0 s.
        """
        found = _FORM.fullmatch(text.strip())
        number = float(found[1]) if found else 0.0
        unit = found[2].removesuffix("s") if found else ""
        if not 0 < number < math.inf or (unit and not number.is_integer()):
            raise UserError(
                f"`checkpoint_every={text}` cannot be used; write a number and its unit, such as "
                "30s, 500steps or 2epochs."
            )
        return cls(**{f"{unit}s" if unit else "seconds": number})

    def steps_left(self, step: int) -> float:
        """Returns how many steps there are from `step` to the next checkpoint by steps."""
        return self.steps - step % self.steps if math.isfinite(self.steps) else math.inf
