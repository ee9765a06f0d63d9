"""Programs ask for huge pages by starting again once."""

import ast
import importlib
import sys
from pathlib import Path

import pytest

import experiments
from experiments.cli import beginning, huge_pages

_COMMAND = ["python", "-X", "dev", "-m", "experiments.fmnist", "--lr=1"]


@pytest.fixture
def started(monkeypatch):
    """What would be started, on a system that has huge pages on request."""
    calls = []
    monkeypatch.delenv(huge_pages.VARIABLE, raising=False)
    monkeypatch.setattr(sys, "orig_argv", _COMMAND)
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(huge_pages, "_on_request", lambda: True)
    monkeypatch.setattr("os.execv", lambda *call: calls.append(call))
    return calls


def test_a_program_starts_again_as_it_was_called(started, monkeypatch):
    huge_pages.ask()
    assert started == [(sys.executable, [sys.executable, *_COMMAND[1:]])]
    huge_pages.ask()  # now with the variable set
    assert len(started) == 1


@pytest.mark.parametrize(
    "command",
    [["python", "-m", "pytest"], ["python", "-m", "pdb", "-m", "experiments.fmnist"], ["python"]],
)
def test_nothing_else_starts_again(started, monkeypatch, command):
    monkeypatch.setattr(sys, "orig_argv", command)
    huge_pages.ask()
    assert started == []


@pytest.mark.parametrize("value", ["", "glibc.malloc.hugetlb=0"])
def test_a_users_setting_stays(started, monkeypatch, value):
    monkeypatch.setenv(huge_pages.VARIABLE, value)
    huge_pages.ask()
    assert started == []


def test_other_systems_are_left_alone(started, monkeypatch):
    monkeypatch.setattr("platform.libc_ver", lambda: ("", ""))
    huge_pages.ask()
    assert started == []


def test_pages_on_request(tmp_path, monkeypatch):
    for text, expected in (("always [madvise] never", True), ("[always] madvise never", False)):
        (tmp_path / "enabled").write_text(text + "\n")
        monkeypatch.setattr(huge_pages, "_ON_REQUEST", tmp_path / "enabled")
        assert huge_pages._on_request() is expected
    monkeypatch.setattr(huge_pages, "_ON_REQUEST", tmp_path / "missing")
    assert huge_pages._on_request() is False


_FOLDER = Path(experiments.__file__).parent
_PROGRAMS = [
    path
    for path in _FOLDER.rglob("*.py")
    if path.parent.name != "cli"
    and any(call in path.read_text() for call in ("cli.run(main", "training.command(main"))
]


@pytest.mark.parametrize("path", _PROGRAMS, ids=lambda path: path.stem)
def test_every_program_begins_before_it_imports_anything(path):
    docstring, first, *_ = ast.parse(path.read_text()).body
    assert isinstance(docstring, ast.Expr)
    assert ast.unparse(first) == ast.unparse(
        ast.parse(
            'if __name__ == "__main__":\n'
            "    from experiments.cli.beginning import begin\n"
            "    begin()"
        )
    )


def test_importing_the_package_starts_nothing(started):
    importlib.reload(experiments)
    assert started == []


def test_all_programs_are_known():
    assert {path.stem for path in _PROGRAMS} >= {"fmnist", "cifar10", "transfer", "predict"}


def test_names_of_files_are_in_utf_8(started, monkeypatch):
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("PYTHONUTF8", "0")
    beginning.begin()
    assert started[0] == (sys.executable, [sys.executable, *_COMMAND[1:]])
    started.clear()
    monkeypatch.setenv(huge_pages.VARIABLE, "")
    beginning.begin()  # whatever the encoding is now
    assert started == []
