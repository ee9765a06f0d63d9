"""Where bars are shown: on a terminal and in a notebook, not in a log."""

import fcntl
import os
import struct
import sys
import termios

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


def test_a_terminal_that_does_not_say_its_width_gets_lines(monkeypatch):
    """As `script` makes one; tqdm draws a bar of no width there."""
    ours, its = os.openpty()
    with os.fdopen(ours, "wb"), os.fdopen(its, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        assert not waiting.bars_are_shown()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        assert waiting.bars_are_shown()
