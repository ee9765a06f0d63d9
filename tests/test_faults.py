"""The planted faults keep up with the library: see `python -m tests.faults.run --help`."""

import dataclasses
import json
import shutil
from collections import Counter

import pytest
from faults import catalogue, run
from faults.fault import Fault

LATE = Fault("late", "a.py", "is late", "now", "later", ("tests/test_a.py",))
TESTS = ("tests/test_a.py::test_time",)
CHANGES = ({"new": "tomorrow"}, {"old": "today"}, {"file": "b.py"}, {"breaks": "is too late"})


def test_every_fault_has_a_name_of_its_own_and_changes_something():
    names = Counter(fault.name for fault in catalogue.FAULTS)
    assert not [name for name, count in names.items() if count > 1]
    assert all(fault.old != fault.new and fault.tests for fault in catalogue.FAULTS)
    assert len(names) >= 250


def test_every_fault_can_be_planted_and_its_tests_are_there():
    assert catalogue.outdated() == []


def test_every_fault_leaves_a_program():
    """A fault that is no Python would be noticed by any test, and would say nothing."""
    for fault in catalogue.FAULTS:
        planted = fault.planted_in((catalogue.ROOT / fault.file).read_text())
        compile(planted, fault.file, "exec")


def test_a_fault_whose_text_is_gone_or_there_twice_is_refused():
    assert LATE.planted_in("do it now") == "do it later"
    for text, count in (("do it", 0), ("now and now", 2)):
        with pytest.raises(ValueError, match=f"fault late stands {count} times in a.py, not once"):
            LATE.planted_in(text)


def _told(fault, by="tests/test_a.py::test_time"):
    named = {name: getattr(fault, name) for name in ("name", "file", "breaks", "digest")}
    return named | {"by": by, "seconds": 1.0}


@pytest.mark.parametrize("change", CHANGES)
def test_a_fault_that_changed_in_any_part_is_planted_again(change, tmp_path, monkeypatch):
    other = dataclasses.replace(LATE, name="other")
    path = tmp_path / "noticed.json"
    path.write_text(json.dumps({"faults": [_told(LATE), _told(other)]}))
    monkeypatch.setattr(run, "FAULTS", (LATE, other))
    assert list(run._known(str(path), TESTS)) == ["late", "other"]
    monkeypatch.setattr(run, "FAULTS", (dataclasses.replace(LATE, **change), other))
    assert list(run._known(str(path), TESTS)) == ["other"]


def test_more_tests_change_no_fault_and_one_not_noticed_is_planted_again(tmp_path, monkeypatch):
    path = tmp_path / "noticed.json"
    unknown = _told(LATE) | {"name": "older"}
    del unknown["digest"]  # as an older version wrote it
    path.write_text(json.dumps({"faults": [_told(LATE), _told(LATE, by=None), unknown]}))
    monkeypatch.setattr(run, "FAULTS", (dataclasses.replace(LATE, tests=("tests/test_b.py",)),))
    assert run._known(str(path), TESTS) == {"late": _told(LATE)}


@pytest.mark.parametrize("tests", [(), ("tests/test_a.py::test_place",)])
def test_a_fault_whose_test_is_gone_or_slow_is_planted_again(tests, tmp_path, monkeypatch):
    path = tmp_path / "noticed.json"
    path.write_text(json.dumps({"faults": [_told(LATE)]}))
    monkeypatch.setattr(run, "FAULTS", (LATE,))
    assert run._known(str(path), tests) == {}
    path.write_text(json.dumps({"faults": [_told(LATE, by="the process of the tests died")]}))
    assert list(run._known(str(path), tests)) == ["late"]


def test_the_tests_that_run_by_default_are_listed(tmp_path):
    shutil.copy(catalogue.ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(
        "import pytest\ndef test_time(): pass\n@pytest.mark.slow\ndef test_place(): pass\n"
    )
    assert run._default_tests(tmp_path) == {"tests/test_a.py::test_time"}
