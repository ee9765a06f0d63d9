"""Progress bars on a terminal, in a log and in a notebook."""

import importlib
import sys
import types

import pytest
import tqdm.notebook
import tqdm.std

from imgcls_jax import bars


@pytest.fixture
def in_a_notebook(monkeypatch):
    """Imports the bars where IPython's kernel is at work: (with ipywidgets) -> the module."""

    def imported(widgets: bool):
        # What the versions of tqdm look for.
        shell = types.SimpleNamespace(config={"IPKernelApp": {}})
        kernel = types.SimpleNamespace(get_ipython=lambda: shell)
        monkeypatch.setitem(sys.modules, "IPython", kernel)
        monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", types.ModuleType("zmqshell"))
        monkeypatch.setattr(tqdm.notebook, "IProgress", object if widgets else None)
        for name in ("tqdm.auto", "tqdm.autonotebook"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.reload(bars)

    yield imported
    monkeypatch.undo()
    importlib.reload(bars)


def test_bars_are_lines_on_a_terminal_and_nothing_in_a_log(monkeypatch):
    assert bars.tqdm is tqdm.std.tqdm
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert bars.can_be_shown()
    monkeypatch.setenv("TERM", "dumb")
    assert not bars.can_be_shown()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert not bars.can_be_shown()


def test_bars_are_widgets_in_a_notebook(in_a_notebook):
    found = in_a_notebook(widgets=True)
    assert issubclass(found.tqdm, tqdm.notebook.tqdm_notebook)
    assert found.can_be_shown()


def test_a_notebook_without_widgets_has_no_bars_and_no_warning(in_a_notebook, recwarn):
    found = in_a_notebook(widgets=False)
    assert issubclass(found.tqdm, tqdm.std.tqdm)
    assert not issubclass(found.tqdm, tqdm.notebook.tqdm_notebook)
    assert not [warning for warning in recwarn if "IProgress" in str(warning.message)]
