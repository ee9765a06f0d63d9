"""The README's promises: its snippet runs, its commands exist, its tables are the result files."""

import contextlib
import io
import re
from pathlib import Path

from absl import flags

from experiments import (
    tables,
    transfer,  # noqa: F401  (their flags)
)

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_notebook_snippet_trains_an_mlp():
    snippet = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(snippet, "README.md", "exec"), {})
    accuracy = float(re.search(r"'accuracy': ([\d.]+)", printed.getvalue())[1])
    assert accuracy > 0.88


def test_every_flag_in_the_readme_exists():
    commands = [line for line in README.splitlines() if "python -m experiments." in line]
    named = {flag for line in commands for flag in re.findall(r"--(\w+)", line.split("#")[0])}
    assert len(named) > 5
    assert named - {"help"} <= set(flags.FLAGS)


def test_the_table_is_the_result_files():
    table = tables.table(ROOT / "experiments" / "results")
    assert table.count("\n") > 10
    assert table in README
