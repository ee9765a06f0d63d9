"""How a training runs on several machines, and what breaks first where there are many.

The text is `scaling.md` beside this module, with the model's table in its place.
"""

from pathlib import Path

from experiments.benchmarks import scaling

_TEXT = Path(__file__).with_suffix(".md")


def several_machines(folder: Path) -> list[str]:
    """Returns the section, by the constants measured in `folder`; nothing without them."""
    if not (folder / scaling.MEASURED).exists():
        return []
    table = "\n".join(scaling.page(scaling.measured(folder)))
    return _TEXT.read_text().rstrip().replace("{table}", table).splitlines()
