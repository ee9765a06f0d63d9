"""Where bars are shown: on a terminal and in a notebook, not in a log."""

import sys

import pytest
import tqdm.notebook

from imgcls_jax.train import waiting


@pytest.mark.parametrize(
    ("terminal", "kind", "shown"),
    [(True, "xterm", True), (True, "dumb", False), (False, "xterm", False)],
)
def test_bars_are_lines_on_a_terminal_and_nothing_in_a_log(monkeypatch, terminal, kind, shown):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("TERM", kind)
    assert waiting.bars_are_shown() is shown


def test_bars_are_widgets_in_a_notebook(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    monkeypatch.setattr(waiting, "tqdm", tqdm.notebook.tqdm_notebook)
    assert waiting.bars_are_shown()
